//! What people say to agents, and what they let them spend.

use bus_schemas::{
    id::ProjectId,
    v1::api::{BudgetRequest, Problem, TellRequest, TellView},
};

use super::{
    orchestrator::Orchestrator,
    problem::{hinted, of_refusal, problem},
};
use crate::{
    driver::SeenTask,
    plan::{
        TaskState,
        event::{Fact, TaskKind},
        policy::NOTE_BYTES,
    },
    planfile::lower::budget_of,
};

impl Orchestrator {
    /// Says something to a task, or to all that are worked on.
    pub(super) async fn say(&self, project_id: ProjectId, request: TellRequest) -> Result<TellView, Problem> {
        if request.text.trim().is_empty() {
            return Err(problem("empty_note", 422, "there is nothing to tell: the text is empty"));
        }
        short_enough(&request.text)?;
        let from = self.insider(project_id, &request.channel, &request.by).await?;
        let seen = self.seen(project_id).await?;
        let is_meant = |task: &&SeenTask| match &request.task {
            Some(key) => task.key == *key,
            None => task.kind != TaskKind::Script && is_started(task),
        };
        let meant: Vec<&SeenTask> = seen.tasks.iter().filter(is_meant).collect();
        if meant.is_empty() {
            return Err(match &request.task {
                Some(key) => problem("not_found", 404, format!("project {project_id} has no task {key}")),
                None => {
                    let detail = format!("no agent works on project {project_id}");
                    hinted("wrong_state", 409, detail, "name a task: its next attempt hears it")
                }
            });
        }
        let mut view = TellView::default();
        for task in meant {
            let fact = Fact::NoteTold {
                task_id: task.task_id,
                note_id: self.ids.next().to_string(),
                from: from.clone(),
                text: request.text.clone(),
            };
            self.handle.ask(project_id, fact, None).await.map_err(|e| of_refusal(&e))?;
            let hears_now = task.nonce.is_some() && task.kind != TaskKind::Script;
            let keys = if hears_now { &mut view.now } else { &mut view.later };
            keys.push(task.key.clone());
        }
        Ok(view)
    }

    /// Sets limits.
    pub(super) async fn raise(&self, project_id: ProjectId, request: BudgetRequest) -> Result<(), Problem> {
        let BudgetRequest { task, budget, by, channel } = request;
        let by = self.insider(project_id, &channel, &by).await?;
        if budget.usd.is_some_and(|usd| !usd.is_finite() || usd < 0.0) {
            return Err(problem("bad_budget", 422, "the budget is not an amount of US dollars"));
        }
        let limits = budget_of("the budget", &budget).map_err(|e| problem("bad_budget", 422, e.to_string()))?;
        let task_id = match task {
            Some(key) => Some(self.task(project_id, &key).await?.task_id),
            None => None,
        };
        let fact = Fact::BudgetRaised { task_id, budget: limits, by, channel };
        self.handle.ask(project_id, fact, None).await.map_err(|e| of_refusal(&e)).map(drop)
    }
}

/// The core keeps no more of a note: who writes more is told so, instead of half of it being lost.
pub(super) fn short_enough(text: &str) -> Result<(), Problem> {
    if text.len() <= NOTE_BYTES {
        return Ok(());
    }
    let detail = format!("the text has {} bytes; {NOTE_BYTES} are the most", text.len());
    Err(hinted("note_too_long", 422, detail, "say it shorter, or put it into a file of the project"))
}

/// It was offered once, and is not over.
const fn is_started(task: &SeenTask) -> bool {
    !task.state.is_final() && task.attempt > 0 && !matches!(task.state, TaskState::Blocked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_would_be_cut_is_refused_with_the_limit() {
        assert!(short_enough(&"x".repeat(NOTE_BYTES)).is_ok());
        let refused = short_enough(&"ä".repeat(NOTE_BYTES)).unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (422, "note_too_long"));
        assert!(refused.detail.contains(&NOTE_BYTES.to_string()), "{}", refused.detail);
    }
}
