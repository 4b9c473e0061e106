//! Pauses: an attempt ends and the task waits, for a person, a provider or another agent. A pause counts as no try, and the
//! time it takes does not count to schedule-to-close. Notes are here, too: what is said to a task.

use std::mem::discriminant;

use bus_schemas::{
    id::{ApprovalId, ClaimNonce, TaskId},
    time::UnixMs,
};

use super::{asking::answer_of, attempt::Failing, capability::Wanted, limit::person};
use crate::{
    ledger::{Decided, Decision},
    plan::{
        change::Change,
        command::Command,
        event::{PauseSpec, TaskKind, TaskSpec},
        policy::{self, NOTE_BYTES},
        rejected::Rejected,
        request::{Asking, Subject},
        task::{Note, Task, TaskState},
    },
};

/// The longest a provider can make a task wait before it tries again: a day.
const LONGEST_WAIT_MS: u64 = 24 * 60 * 60 * 1000;
/// So many pauses for a busy provider in a row without a turn between them, and the attempt has failed.
const STUCK_AT_PROVIDER: u32 = 5;
/// The same for a limit that is not reached, for a host or a secret that people have answered for, for a secret there is not, and
/// for an effect that cannot be done.
const STUCK_BELOW_LIMIT: u32 = 3;
/// The most of a question that goes with its answer, in bytes.
const QUESTION_BYTES: usize = 1024;

/// A pause as its host tells it.
pub(super) struct Pausing<'a> {
    pub(super) pause: &'a PauseSpec,
    pub(super) asking: Asking<'a>,
    pub(super) vm_ms: u64,
    pub(super) saved_turn: u32,
}

impl Change<'_> {
    pub(super) fn attempt_paused(
        &mut self,
        task_id: TaskId,
        attempt: u32,
        nonce: ClaimNonce,
        pausing: &Pausing<'_>,
    ) -> Result<(), Rejected> {
        let (number, task) = self.fenced(task_id, attempt, nonce)?;
        self.fresh(pausing.asking.approval_id)?;
        let refused = match pausing.pause {
            PauseSpec::Bounce { need, clarifier } => self.check_bounce(task, *need, clarifier).err(),
            _ => None,
        };
        self.heard(number, nonce);
        if let Some(detail) = refused {
            let vm_ms = Some(pausing.vm_ms);
            self.fail(number, &Failing { reason: "bounce_refused", detail: &detail, retryable: true, vm_ms });
            return Ok(());
        }
        self.attempt_over(number, Some(pausing.vm_ms));
        if self.is_stuck(number, pausing) {
            let detail = "it paused again and again and came no further";
            self.fail(number, &Failing { reason: "no_progress", detail, retryable: true, vm_ms: Some(pausing.vm_ms) });
            return Ok(());
        }
        let at = self.at;
        self.edit(number, |task| {
            task.max_attempts = task.max_attempts.saturating_add(1);
            task.resume_from = attempt;
            task.pause = Some(pausing.pause.clone());
            task.paused_at = Some(at);
        });
        match pausing.pause {
            PauseSpec::Question { .. } => self.ask_question(number, pausing),
            PauseSpec::Capability { host } => self.ask_capability(number, pausing, Wanted::Host(host)),
            PauseSpec::Secret { name, terms, problem: None } => {
                self.ask_capability(number, pausing, Wanted::Secret(name, terms));
            }
            PauseSpec::Secret { name, terms, problem: Some(why) } => {
                self.refuse_capability(number, Wanted::Secret(name, terms), why);
            }
            PauseSpec::Effect { name, problem } => self.ask_effect(number, pausing, name, problem.as_deref()),
            PauseSpec::Budget => match self.reached(number, 0) {
                Some((owner, reached)) => {
                    self.ask_budget(number, owner, &reached, &pausing.asking);
                }
                // It was raised meanwhile.
                None => self.wait_until(number, at),
            },
            PauseSpec::RateLimited { resume_at } => self.wait_until(number, *resume_at),
            PauseSpec::Bounce { need, clarifier } => self.bounce(number, *need, clarifier),
        }
        Ok(())
    }

    /// Notes whether the task came further since its last pause; true if it paused too often without, and nobody else
    /// has to do something first.
    fn is_stuck(&mut self, number: usize, pausing: &Pausing<'_>) -> bool {
        let most = match pausing.pause {
            PauseSpec::RateLimited { .. } => Some(STUCK_AT_PROVIDER),
            PauseSpec::Budget if self.reached(number, 0).is_none() => Some(STUCK_BELOW_LIMIT),
            PauseSpec::Secret { problem: Some(_), .. } | PauseSpec::Effect { problem: Some(_), .. } => {
                Some(STUCK_BELOW_LIMIT)
            }
            pause => {
                let answered = Wanted::of(pause)
                    .is_some_and(|wanted| self.task(number).is_some_and(|task| wanted.is_answered(task)));
                answered.then_some(STUCK_BELOW_LIMIT)
            }
        };
        let Some(task) = self.task(number) else { return false };
        let same = task.last_pause.is_none_or(|last| last == discriminant(pausing.pause));
        let further = pausing.saved_turn > task.saved_turn;
        let before = if same && !further { task.stuck_pauses } else { 0 };
        let stuck = if most.is_some() && !further { before.saturating_add(1) } else { 0 };
        let fails = most.is_some_and(|most| stuck >= most);
        self.edit(number, |task| {
            task.saved_turn = pausing.saved_turn;
            task.last_pause = Some(discriminant(pausing.pause));
            task.stuck_pauses = if fails { 0 } else { stuck };
        });
        fails
    }

    /// Ready again at an instant: not sooner than a first retry would be, not later than a day from now.
    fn wait_until(&mut self, number: usize, resume_at: UnixMs) {
        let Some(task) = self.task(number) else { return };
        let at = self.at;
        let soonest = at.plus_ms(policy::backoff_ms(&task.spec, 1));
        let ready_at = resume_at.max(soonest).min(at.plus_ms(LONGEST_WAIT_MS));
        self.edit(number, |task| {
            task.state = TaskState::Ready;
            task.ready_at = ready_at;
            task.waited_ms = task.waited_ms.saturating_add(ready_at.since(at));
            task.paused_at = None;
            task.claim = None;
            "waits for its provider".clone_into(&mut task.reason);
        });
    }

    fn ask_question(&mut self, number: usize, pausing: &Pausing<'_>) {
        let Some(task) = self.task(number) else { return };
        let subject = Subject::Question { task_id: task.spec.task_id, number: task.attempt };
        let spec = person(&task.spec.policy);
        self.edit(number, |task| {
            task.state = TaskState::InputRequired;
            task.approval_id = Some(pausing.asking.approval_id);
            "asks a question".clone_into(&mut task.reason);
        });
        self.request(&pausing.asking, subject, &spec);
    }

    pub(super) fn carry_out_question(&mut self, approval_id: ApprovalId, task_id: TaskId, decision: &Decision) {
        let Some(number) = self.plan.numbers.get(&task_id).copied() else { return };
        if decision.verdict != Decided::Approved {
            let reason = match decision.verdict {
                Decided::Expired => decision.note.clone(),
                _ => format!("{}: {}", decision.by, decision.note),
            };
            self.end(number, TaskState::Rejected, &reason);
            return self.settle();
        }
        let asked = match self.task(number).and_then(|task| task.pause.as_ref()) {
            Some(PauseSpec::Question { question }) => {
                format!("You asked: {}", policy::bounded(question, QUESTION_BYTES))
            }
            Some(PauseSpec::Effect { .. }) => {
                let name = self.plan.effect_of(task_id).unwrap_or_default();
                format!(
                    "The effect {name} was started and its end was not seen. A person was asked whether it happened."
                )
            }
            _ => "You asked: ".to_owned(),
        };
        let answer = policy::bounded(&decision.note, NOTE_BYTES);
        let note = Note {
            id: format!("approval-{approval_id}"),
            from: decision.by.clone(),
            text: format!("{asked}\nThe answer: {answer}"),
        };
        self.tell(number, &note);
        self.go_on(number);
    }

    /// The wait is over: the task is offered again.
    pub(super) fn go_on(&mut self, number: usize) {
        let at = self.at;
        self.edit(number, |task| {
            let waited_ms = task.paused_at.take().map_or(0, |paused_at| at.since(paused_at));
            task.waited_ms = task.waited_ms.saturating_add(waited_ms);
            task.state = TaskState::Ready;
            task.ready_at = at;
            task.approval_id = None;
            task.claim = None;
            task.reason.clear();
        });
    }

    fn check_bounce(&self, task: &Task, need: TaskId, clarifier: &TaskSpec) -> Result<(), String> {
        let number = self.plan.numbers.get(&need).copied();
        let needed = number.filter(|_| task.spec.needs.contains(&need)).and_then(|number| self.task(number));
        let Some(needed) = needed else { return Err(format!("{need} is no task that it needs")) };
        let key = &needed.spec.key;
        if task.spec.kind.is_helper() {
            return Err("a helper cannot ask back".to_owned());
        }
        if number.is_some_and(|number| task.bounced.contains(&number)) {
            return Err(format!("{key} was asked once already"));
        }
        if needed.spec.kind != TaskKind::Agent || !needed.state.is_done() || needed.attempt == 0 {
            return Err(format!("{key} has no agent that could be asked"));
        }
        self.check_clarifier(clarifier)?;
        let ended = |need: &TaskId| self.plan.task(*need).is_some_and(Task::ended_well);
        if !clarifier.needs.iter().all(ended) {
            return Err(format!("{} needs what is not done", clarifier.key));
        }
        Ok(())
    }

    pub(super) fn check_clarifier(&self, clarifier: &TaskSpec) -> Result<(), String> {
        let fits = clarifier.kind == TaskKind::Clarifier && !clarifier.is_foreach && !clarifier.has_when;
        let is_known = self.plan.tasks.iter().any(|task| task.spec.key == clarifier.key);
        if !fits || is_known || self.plan.numbers.contains_key(&clarifier.task_id) {
            return Err(format!("{} cannot be added", clarifier.key));
        }
        Ok(())
    }

    /// The agent of the needed task is asked again, where it stood then.
    fn bounce(&mut self, number: usize, need: TaskId, spec: &TaskSpec) {
        let Some(asked) = self.plan.numbers.get(&need).copied() else { return };
        let Some(base) = self.task(asked).and_then(|task| task.commit.clone()) else { return };
        let reason = self.task(asked).map(|task| format!("asks {} back", task.spec.key)).unwrap_or_default();
        let clarifier = self.add_task(spec, &base, |task| task.asker = Some(number));
        self.edit(number, |task| {
            task.state = TaskState::Blocked;
            task.claim = None;
            task.clarifier = Some(clarifier);
            task.bounced.push(asked);
            task.reason = reason;
        });
        self.make_ready(clarifier, base);
    }

    /// A clarifier ended: its answer, or that there is none, goes to who asked: a task, or a person.
    pub(super) fn clarified(&mut self, clarifier: usize) {
        let Some(task) = self.task(clarifier) else { return };
        if let Some(approval_id) = task.asked_for {
            let (task_id, answer) = (task.spec.task_id, answer_of(task));
            return self.answered(approval_id, task_id, answer);
        }
        let Some(asker) = task.asker else { return };
        let text = answer_of(task);
        let id = format!("answer-{}", task.spec.task_id);
        let Some(asking) = self.task(asker) else { return };
        if asking.clarifier != Some(clarifier) || asking.state != TaskState::Blocked {
            return;
        }
        let from = asking.bounced.last().and_then(|need| self.task(*need)).map(|need| need.spec.key.clone());
        let note = Note { id, from: from.unwrap_or_default(), text };
        self.edit(asker, |task| task.clarifier = None);
        self.tell(asker, &note);
        self.go_on(asker);
    }

    pub(super) fn note_told(&mut self, task_id: TaskId, note: &Note) -> Result<(), Rejected> {
        let (number, task) = self.open_task(task_id)?;
        let children = task.children.clone();
        for number in std::iter::once(number).chain(children) {
            self.tell(number, note);
        }
        Ok(())
    }

    /// Leaves a note with a task, and tells the attempt that runs. The same note again is nothing.
    pub(super) fn tell(&mut self, number: usize, note: &Note) {
        let Some(task) = self.task(number) else { return };
        if task.state.is_final() || task.notes.iter().any(|known| known.id == note.id) {
            return;
        }
        let (task_id, attempt, runs) = (task.spec.task_id, task.attempt, task.is_outstanding());
        self.edit(number, |task| task.notes.push(note.clone()));
        if runs {
            self.command(Command::TellAttempt { task_id, number: attempt, note_id: note.id.clone() });
        }
    }
}
