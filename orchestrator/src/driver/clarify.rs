//! A person's question to the agent whose work a request is about: the task that answers it.

use bus_schemas::{id::TaskId, v1::approval::ApprovalSubject};

use super::{Detail, Seen};
use crate::{
    plan::event::{PolicySpec, TaskKind, TaskSpec},
    planfile::{
        lower::{POLICY_AUTO, default_limits, task_of},
        planner::clarifier_task,
    },
    port::Ids,
};

/// The task that answers a question about what a request is about; `None` if no agent made that.
#[must_use]
pub fn question(seen: &Seen, subject: &ApprovalSubject, question: &str, ids: &dyn Ids) -> Option<(TaskSpec, Detail)> {
    let asked = match subject {
        ApprovalSubject::Handoff { task_id, .. } => seen.tasks.iter().find(|task| task.task_id == *task_id)?,
        ApprovalSubject::Plan => seen.tasks.iter().find(|task| task.kind == TaskKind::Planner)?,
        _ => return None,
    };
    // A planner's task is in no plan but the one the project was started with.
    let document = task_of(&seen.project.plan, &asked.key).or_else(|| task_of(&seen.started.plan, &asked.key))?;
    document.agent.as_ref()?;
    let task_id = TaskId::from_uuid(ids.next());
    // No id of a plan file has this sign in it; somebody may ask twice.
    let key = format!("{}?{}", asked.key, task_id.to_string().get(28..).unwrap_or_default());
    let spec = TaskSpec {
        task_id,
        key: key.clone(),
        needs: vec![asked.task_id],
        max_attempts: 2,
        backoff_ms: 2_000,
        max_backoff_ms: 120_000,
        limits: default_limits(),
        policy: PolicySpec { name: POLICY_AUTO.to_owned(), asks: false, deadline_ms: None },
        has_when: false,
        is_foreach: false,
        kind: TaskKind::Clarifier,
        budget: crate::plan::BudgetSpec::default(),
    };
    Some((spec, Detail::Clarifier(Box::new(clarifier_task(key, document, question)))))
}
