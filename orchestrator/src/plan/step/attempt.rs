//! From ready to the end: offers, claims, handoffs, failures, limits. Everything said about an attempt is fenced by its
//! number and by the nonce of the claim that holds it.

use bus_schemas::{
    id::{ClaimNonce, HostId, TaskId},
    time::UnixMs,
};

use crate::plan::{
    change::Change,
    command::Command,
    event::{Limit, TaskKind},
    policy::{self, NOTE_BYTES},
    rejected::Rejected,
    request::{Asking, Subject},
    state::ProjectState,
    task::{Claim, Failure, Handed, Note, Task, TaskState},
    timer,
};

/// After these failures an agent starts afresh: what it had in mind led nowhere.
const AFRESH: [&str; 3] = ["nothing_done", "model_failed", "out_of_turns"];

/// How an attempt failed, as told by its host or found by a limit.
pub(super) struct Failing<'a> {
    pub(super) reason: &'a str,
    pub(super) detail: &'a str,
    pub(super) retryable: bool,
    pub(super) vm_ms: Option<u64>,
}

/// A handoff as its host tells it.
pub(super) struct Handing<'a> {
    pub(super) commit: &'a str,
    pub(super) proven: bool,
    pub(super) asking: Asking<'a>,
    pub(super) answer: Option<&'a str>,
    pub(super) vm_ms: u64,
}

impl Change<'_> {
    pub(super) fn attempt_offered(&mut self, task_id: TaskId, attempt: u32) -> Result<(), Rejected> {
        let (number, task) = self.open_task(task_id)?;
        let event = self.event;
        // An agent can be asked about its plan before that is approved.
        let asked = self.plan.state == ProjectState::AwaitingApproval && task.spec.kind == TaskKind::Clarifier;
        if !self.plan.state.is_active() && !asked {
            return Err(Rejected::WrongProjectState { state: self.plan.state, event });
        }
        if task.state != TaskState::Ready {
            return Err(self.wrong_state(task));
        }
        if attempt != task.attempt.saturating_add(1) {
            return Err(Rejected::StaleAttempt { task_id, number: attempt, current: task.attempt, event });
        }
        if self.at < task.ready_at {
            return Err(Rejected::NotDue { event, not_before: Some(task.ready_at) });
        }
        if let Some((owner, reached)) = self.reached(number, 0) {
            return Err(self.over_budget(owner, &reached));
        }
        let at = self.at;
        self.edit(number, |task| {
            task.state = TaskState::Submitted;
            task.reason.clear();
            task.attempt = attempt;
            task.claim = None;
            task.handoff = None;
            task.pause = None;
            task.attempt_vm_ms = 0;
            task.offered_at = Some(at);
            task.first_offered_at.get_or_insert(at);
        });
        self.command(Command::Offer { task_id, number: attempt });
        Ok(())
    }

    pub(super) fn attempt_claimed(
        &mut self,
        task_id: TaskId,
        attempt: u32,
        nonce: ClaimNonce,
        host_id: HostId,
    ) -> Result<(), Rejected> {
        let (number, task) = self.current(task_id, attempt)?;
        match &task.claim {
            Some(claim) if claim.nonce != nonce => Err(Rejected::AlreadyClaimed { task_id, number: attempt }),
            Some(claim) if claim.host_id.is_some() => Ok(()),
            // The first claim; or the claim of an attempt of which a later message came first: now the host is known.
            _ => {
                let at = self.at;
                self.edit(number, |task| {
                    if task.state == TaskState::Submitted {
                        task.state = TaskState::Working;
                    }
                    hold(task, nonce, at).host_id = Some(host_id);
                });
                Ok(())
            }
        }
    }

    pub(super) fn attempt_staged(
        &mut self,
        task_id: TaskId,
        attempt: u32,
        nonce: ClaimNonce,
        stage: &str,
    ) -> Result<(), Rejected> {
        let (number, task) = self.fenced(task_id, attempt, nonce)?;
        if task.claim.as_ref().is_some_and(|claim| claim.stage == stage) {
            return Ok(());
        }
        let at = self.at;
        self.edit(number, |task| {
            task.state = TaskState::Working;
            hold(task, nonce, at).stage = policy::bounded(stage, NOTE_BYTES);
        });
        Ok(())
    }

    pub(super) fn handoff_received(
        &mut self,
        task_id: TaskId,
        attempt: u32,
        nonce: ClaimNonce,
        handing: &Handing<'_>,
    ) -> Result<(), Rejected> {
        let (number, task) = self.fenced(task_id, attempt, nonce)?;
        let approval_id = handing.asking.approval_id;
        let (spec, at) = (task.spec.policy.clone(), self.at);
        self.fresh(approval_id)?;
        if task.base_commit.as_deref() != Some(handing.commit) {
            self.command(Command::KeepCommit { commit: handing.commit.to_owned() });
        }
        self.heard(number, nonce);
        self.attempt_over(number, Some(handing.vm_ms));
        self.edit(number, |task| {
            task.state = TaskState::InputRequired;
            task.approval_id = Some(approval_id);
            task.handoff = Some(Handed {
                number: attempt,
                commit: handing.commit.to_owned(),
                proven: handing.proven,
                digest: handing.asking.digest.to_owned(),
                approval_id,
                received_at: at,
                answer: handing.answer.map(|answer| policy::bounded(answer, NOTE_BYTES)),
            });
        });
        let subject = Subject::Handoff { task_id, number: attempt };
        if !self.request(&handing.asking, subject, &spec) {
            self.accept(number);
        }
        Ok(())
    }

    /// The handoff is good: its successors go on in the same step.
    pub(super) fn accept(&mut self, number: usize) {
        if self.task(number).is_some_and(|task| task.spec.kind == TaskKind::Planner) {
            return self.adopt(number);
        }
        let handed = self.task(number).and_then(|task| task.handoff.as_ref());
        let Some((proven, commit)) = handed.map(|handed| (handed.proven, handed.commit.clone())) else { return };
        self.complete(number, proven, commit);
        self.settle();
    }

    pub(super) fn attempt_failed(
        &mut self,
        task_id: TaskId,
        attempt: u32,
        nonce: ClaimNonce,
        failing: &Failing<'_>,
    ) -> Result<(), Rejected> {
        let (number, _) = self.fenced(task_id, attempt, nonce)?;
        self.heard(number, nonce);
        self.fail(number, failing);
        Ok(())
    }

    /// Somebody speaks for the current attempt: who speaks holds it, even if the claim is still on its way.
    pub(super) fn heard(&mut self, number: usize, nonce: ClaimNonce) {
        let at = self.at;
        if self.task(number).is_some_and(|task| task.state != TaskState::Working || task.claim.is_none()) {
            self.edit(number, |task| {
                task.state = TaskState::Working;
                hold(task, nonce, at);
            });
        }
    }

    /// The current attempt failed: another one after the backoff, or the end.
    pub(super) fn fail(&mut self, number: usize, failing: &Failing<'_>) {
        self.attempt_over(number, failing.vm_ms);
        let Some(task) = self.task(number) else { return };
        let (at, attempt, failures) = (self.at, task.attempt, task.failures.saturating_add(1));
        let detail = policy::bounded(failing.detail, NOTE_BYTES);
        let said = policy::bounded(&format!("{}: {detail}", failing.reason), NOTE_BYTES);
        let again = failing.retryable && attempt < task.max_attempts;
        let ready_at = at.plus_ms(policy::backoff_ms(&task.spec, failures));
        let reason = format!("attempt {attempt}: {}", failing.reason);
        self.edit(number, |task| {
            task.failures = failures;
            if AFRESH.contains(&failing.reason) {
                task.afresh_after = attempt;
            }
            task.resume_from = if attempt > task.afresh_after { attempt } else { 0 };
            task.notes.push(Note { id: format!("attempt-{attempt}"), from: format!("attempt {attempt}"), text: said });
            task.failure = Some(Failure {
                number: attempt,
                reason: failing.reason.to_owned(),
                detail,
                retryable: failing.retryable,
                failed_at: at,
            });
            reason.clone_into(&mut task.reason);
            task.state = if again { TaskState::Ready } else { TaskState::Failed };
            if again {
                task.claim = None;
                task.ready_at = ready_at;
            }
        });
        self.settle();
    }

    pub(super) fn limit_reached(&mut self, task_id: TaskId, attempt: u32, limit: Limit) -> Result<(), Rejected> {
        let (number, task) = self.open_task(task_id)?;
        let event = self.event;
        if attempt != task.attempt {
            return Err(Rejected::StaleAttempt { task_id, number: attempt, current: task.attempt, event });
        }
        let limits = task.spec.limits;
        if limit == Limit::Heartbeat {
            if task.state != TaskState::Working || task.spec.is_foreach {
                return Err(self.wrong_state(task));
            }
        } else {
            let deadline = timer::deadline(task, limit).ok_or_else(|| self.wrong_state(task))?;
            if self.at < deadline {
                return Err(Rejected::NotDue { event, not_before: Some(deadline) });
            }
        }
        match limit {
            Limit::ScheduleToStart => self.not_started(number, limits.schedule_to_start_ms),
            Limit::StartToClose => {
                let detail = format!("it took longer than its limit of {} ms", limits.start_to_close_ms);
                self.give_up(number, "timed_out", &detail);
            }
            Limit::Heartbeat => {
                let detail = format!("its host gave no sign of life for {} ms", limits.heartbeat_ms);
                self.give_up(number, "heartbeat_missed", &detail);
            }
            Limit::ScheduleToClose => {
                let reason = format!("all attempts took longer than {} ms", limits.schedule_to_close_ms);
                self.end(number, TaskState::Failed, &reason);
                self.settle();
            }
        }
        Ok(())
    }

    /// Nobody took the offer: another one at once. It costs no attempt; the schedule-to-close limit bounds how often.
    fn not_started(&mut self, number: usize, limit_ms: u64) {
        let Some(task) = self.task(number) else { return };
        let (task_id, attempt, at) = (task.spec.task_id, task.attempt, self.at);
        let reason = format!("attempt {attempt}: no host took it within {limit_ms} ms");
        self.command(Command::CancelAttempt { task_id, number: attempt, reason: reason.clone() });
        self.edit(number, |task| {
            task.state = TaskState::Ready;
            task.ready_at = at;
            task.reason = reason;
            task.max_attempts = task.max_attempts.saturating_add(1);
        });
    }

    /// Withdraws the current attempt and counts it as failed.
    fn give_up(&mut self, number: usize, reason: &str, detail: &str) {
        let Some(task) = self.task(number) else { return };
        let (task_id, attempt) = (task.spec.task_id, task.attempt);
        self.command(Command::CancelAttempt { task_id, number: attempt, reason: format!("{reason}: {detail}") });
        self.fail(number, &Failing { reason, detail, retryable: true, vm_ms: None });
    }

    /// A task whose current attempt is this one: offered, held by a host, or waiting for a person.
    fn current(&self, task_id: TaskId, attempt: u32) -> Result<(usize, &Task), Rejected> {
        let (number, task) = self.open_task(task_id)?;
        let over = matches!(task.state, TaskState::Blocked | TaskState::Ready) || task.spec.is_foreach;
        if over || attempt != task.attempt {
            let current = task.attempt;
            return Err(Rejected::StaleAttempt { task_id, number: attempt, current, event: self.event });
        }
        Ok((number, task))
    }

    /// A task whose current attempt is this one and not handed off yet, and is held by this claim, or by none that
    /// was heard of: messages can overtake the claim, and only who won it speaks.
    pub(super) fn fenced(&self, task_id: TaskId, attempt: u32, nonce: ClaimNonce) -> Result<(usize, &Task), Rejected> {
        let (number, task) = self.current(task_id, attempt)?;
        if task.claim.as_ref().is_some_and(|claim| claim.nonce != nonce) {
            return Err(Rejected::WrongNonce { task_id, number: attempt, event: self.event });
        }
        if task.state == TaskState::InputRequired {
            return Err(self.wrong_state(task));
        }
        Ok((number, task))
    }
}

/// The claim that holds the task, made now if there is none.
fn hold(task: &mut Task, nonce: ClaimNonce, at: UnixMs) -> &mut Claim {
    task.claim.get_or_insert_with(|| Claim { nonce, host_id: None, claimed_at: at, stage: String::new() })
}
