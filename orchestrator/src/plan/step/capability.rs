//! What an agent asks for beyond its task: a host its VM may reach, a secret that is used on its behalf. The answer is for this
//! task alone, and a no is final.

use bus_schemas::id::{ApprovalId, TaskId};

use super::{limit::person, pause::Pausing};
use crate::{
    ledger::{Decided, Decision},
    plan::{
        change::Change,
        event::PauseSpec,
        policy::{self, NOTE_BYTES},
        request::Subject,
        task::{Note, Task, TaskState},
    },
};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'a> {
    /// A host.
    Host(&'a str),
    /// A secret, by its name, and where it goes.
    Secret(&'a str, &'a str),
}

impl<'a> Wanted<'a> {
    /// What a pause asks for, if it is something that is granted to a task.
    pub(super) fn of(pause: &'a PauseSpec) -> Option<Self> {
        match pause {
            PauseSpec::Capability { host } => Some(Self::Host(host)),
            PauseSpec::Secret { name, terms, .. } => Some(Self::Secret(name, terms)),
            _ => None,
        }
    }

    /// Whether people answered for it already. A secret that goes elsewhere now was not granted.
    pub(super) fn is_answered(self, task: &Task) -> bool {
        let granted = match self {
            Self::Host(host) => task.granted.iter().any(|known| known == host),
            Self::Secret(name, terms) => task.granted_secrets.get(name).is_some_and(|known| known == terms),
        };
        granted || self.is_denied(task)
    }

    fn is_denied(self, task: &Task) -> bool {
        match self {
            Self::Host(host) => task.denied.iter().any(|known| known == host),
            Self::Secret(name, _) => task.denied_secrets.iter().any(|known| known == name),
        }
    }

    fn note_down(self, task: &mut Task, granted: bool) {
        match (self, granted) {
            (Self::Host(host), true) => task.granted.push(host.to_owned()),
            (Self::Host(host), false) => task.denied.push(host.to_owned()),
            (Self::Secret(name, terms), true) => {
                task.granted_secrets.insert(name.to_owned(), terms.to_owned());
            }
            (Self::Secret(name, _), false) => task.denied_secrets.push(name.to_owned()),
        }
    }

    /// As a sentence goes on after "asks for".
    fn shown(self) -> String {
        match self {
            Self::Host(host) => format!("access to {host}"),
            Self::Secret(name, _) => format!("the secret {name}"),
        }
    }

    fn granted(self) -> String {
        let now = match self {
            Self::Host(_) => "Your VM can reach it from now on.",
            Self::Secret(..) => {
                "The proxy uses it for you from now on: send plain http:// requests to its hosts; you never see its value."
            }
        };
        format!("You asked for {}: granted. {now}", self.shown())
    }

    fn not_granted(self, why: &str) -> String {
        format!("You asked for {}: not granted: {why}; do not ask for it again. Go on without it.", self.shown())
    }
}

impl Change<'_> {
    pub(super) fn ask_capability(&mut self, number: usize, pausing: &Pausing<'_>, wanted: Wanted<'_>) {
        let Some(task) = self.task(number) else { return };
        if wanted.is_answered(task) {
            return self.answer_again(number, wanted);
        }
        let subject = Subject::Capability { task_id: task.spec.task_id, number: task.attempt };
        let task_id = task.spec.task_id;
        let spec = person(&task.spec.policy);
        let approval_id = pausing.asking.approval_id;
        self.edit(number, |task| {
            task.state = TaskState::InputRequired;
            task.approval_id = Some(approval_id);
            task.reason = format!("asks for {}", wanted.shown());
        });
        if !self.request(&pausing.asking, subject, &spec) {
            let decision = self.plan.approvals.get(&approval_id).and_then(|approval| approval.decision.clone());
            if let Some(decision) = decision {
                self.carry_out_capability(approval_id, task_id, &decision);
            }
        }
    }

    /// It asks for what nobody could grant: nobody is asked, and the task goes on with a no.
    pub(super) fn refuse_capability(&mut self, number: usize, wanted: Wanted<'_>, why: &str) {
        self.say_at_once(number, &wanted.not_granted(why));
    }

    /// Whatever is decided, the task goes on.
    pub(super) fn carry_out_capability(&mut self, approval_id: ApprovalId, task_id: TaskId, decision: &Decision) {
        let Some(number) = self.plan.numbers.get(&task_id).copied() else { return };
        let Some(pause) = self.task(number).and_then(|task| task.pause.clone()) else { return };
        let Some(wanted) = Wanted::of(&pause) else { return };
        let granted = decision.verdict == Decided::Approved;
        let text = if granted { wanted.granted() } else { wanted.not_granted(&decision.note) };
        let text = policy::bounded(&text, NOTE_BYTES);
        self.edit(number, |task| wanted.note_down(task, granted));
        self.tell(number, &Note { id: format!("approval-{approval_id}"), from: decision.by.clone(), text });
        self.go_on(number);
    }

    /// It asks for what it has, or will not get: nobody is asked again.
    fn answer_again(&mut self, number: usize, wanted: Wanted<'_>) {
        let Some(task) = self.task(number) else { return };
        let text = if wanted.is_denied(task) {
            wanted.not_granted("it was refused before")
        } else {
            format!("You asked for {}: you have it already.", wanted.shown())
        };
        self.say_at_once(number, &text);
    }

    fn say_at_once(&mut self, number: usize, text: &str) {
        let Some(task) = self.task(number) else { return };
        let (id, text) = (format!("capability-{}", task.attempt), policy::bounded(text, NOTE_BYTES));
        self.tell(number, &Note { id, from: "orchestrator".to_owned(), text });
        self.go_on(number);
    }
}
