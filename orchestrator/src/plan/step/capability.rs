//! What an agent asks for beyond its task: a host its VM may reach. The answer is for this task alone, and a no is final.

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

impl Change<'_> {
    pub(super) fn ask_capability(&mut self, number: usize, pausing: &Pausing<'_>, host: &str) {
        let Some(task) = self.task(number) else { return };
        if is_answered(task, host) {
            return self.answer_again(number, host);
        }
        let subject = Subject::Capability { task_id: task.spec.task_id, number: task.attempt };
        let task_id = task.spec.task_id;
        let spec = person(&task.spec.policy);
        let approval_id = pausing.asking.approval_id;
        self.edit(number, |task| {
            task.state = TaskState::InputRequired;
            task.approval_id = Some(approval_id);
            task.reason = format!("asks for access to {host}");
        });
        if !self.request(&pausing.asking, subject, &spec) {
            let decision = self.plan.approvals.get(&approval_id).and_then(|approval| approval.decision.clone());
            if let Some(decision) = decision {
                self.carry_out_capability(approval_id, task_id, &decision);
            }
        }
    }

    /// Whatever is decided, the task goes on.
    pub(super) fn carry_out_capability(&mut self, approval_id: ApprovalId, task_id: TaskId, decision: &Decision) {
        let Some(number) = self.plan.numbers.get(&task_id).copied() else { return };
        let Some(PauseSpec::Capability { host }) = self.task(number).and_then(|task| task.pause.clone()) else {
            return;
        };
        let granted = decision.verdict == Decided::Approved;
        let text = if granted {
            format!("You asked for access to {host}: granted. Your VM can reach it from now on.")
        } else {
            not_granted(&host, &decision.note)
        };
        let text = policy::bounded(&text, NOTE_BYTES);
        self.edit(number, |task| {
            let list = if granted { &mut task.granted } else { &mut task.denied };
            list.push(host);
        });
        self.tell(number, &Note { id: format!("approval-{approval_id}"), from: decision.by.clone(), text });
        self.go_on(number);
    }

    /// It asks for what it has, or will not get: nobody is asked again.
    fn answer_again(&mut self, number: usize, host: &str) {
        let Some(task) = self.task(number) else { return };
        let text = if task.denied.iter().any(|denied| denied == host) {
            not_granted(host, "it was refused before")
        } else {
            format!("You asked for access to {host}: you have it already.")
        };
        let note = Note { id: format!("capability-{}", task.attempt), from: "orchestrator".to_owned(), text };
        self.tell(number, &note);
        self.go_on(number);
    }
}

/// Whether people answered for a host already.
pub(super) fn is_answered(task: &Task, host: &str) -> bool {
    task.granted.iter().chain(&task.denied).any(|answered| answered == host)
}

fn not_granted(host: &str, why: &str) -> String {
    format!("You asked for access to {host}: not granted: {why}; do not ask for it again. Go on without it.")
}
