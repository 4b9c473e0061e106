//! Stopping a task or the whole project.

use bus_schemas::id::TaskId;

use crate::plan::{change::Change, rejected::Rejected, state::ProjectState, task::TaskState};

impl Change<'_> {
    pub(super) fn cancel_requested(&mut self, task_id: Option<TaskId>, by: &str, reason: &str) -> Result<(), Rejected> {
        let why = if reason.is_empty() { format!("canceled by {by}") } else { format!("canceled by {by}: {reason}") };
        match task_id {
            Some(task_id) => self.cancel_task(task_id, &why),
            None => self.cancel_project(&why),
        }
    }

    fn cancel_task(&mut self, task_id: TaskId, why: &str) -> Result<(), Rejected> {
        let (number, task) = self.open_task(task_id)?;
        let children = task.children.clone();
        self.end(number, TaskState::Canceled, why);
        for child in children {
            self.end_open(child, TaskState::Canceled, why);
        }
        self.settle();
        Ok(())
    }

    fn cancel_project(&mut self, why: &str) -> Result<(), Rejected> {
        if self.plan.state.is_final() {
            return Err(Rejected::WrongProjectState { state: self.plan.state, event: self.event });
        }
        let pending: Vec<_> = self.plan.pending.iter().copied().collect();
        for approval_id in pending {
            self.close(approval_id, why);
        }
        self.plan.merging_result = false;
        self.set_project(ProjectState::Canceled, why.to_owned());
        self.end_all(TaskState::Canceled, why);
        Ok(())
    }

    /// Ends every task that is not final. The project must be final already, so that nothing goes on meanwhile.
    pub(super) fn end_all(&mut self, state: TaskState, reason: &str) {
        for number in 0..self.plan.tasks.len() {
            self.end_open(number, state, reason);
        }
        self.settle();
    }

    pub(super) fn end_open(&mut self, number: usize, state: TaskState, reason: &str) {
        if self.task(number).is_some_and(|task| !task.state.is_final()) {
            self.end(number, state, reason);
        }
    }
}
