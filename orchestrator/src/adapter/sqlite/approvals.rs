//! What the HTTP API reads of requests to people.

use std::collections::BTreeMap;

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
    v1::api::ApprovalView,
};
use rusqlite::{OptionalExtension, Row};

use super::{
    row::{get_id, get_json, get_json_opt},
    store::Store,
};
use crate::port::journal::{About, JournalError};

impl Store {
    /// The detail of the record that asked about a plan: the plan with its scripts.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn plan_detail(
        &self,
        project_id: ProjectId,
        approval_id: ApprovalId,
    ) -> Result<Option<String>, JournalError> {
        self.read("read a plan", move |connection| {
            connection
                .prepare_cached(
                    "SELECT detail FROM journal WHERE project_id = ?1 AND kind IN ('project_created', 'plan_proposed')
                         AND event ->> '$.fact.approval_id' = ?2",
                )?
                .query_row([project_id.to_string(), approval_id.to_string()], |row| row.get(0))
                .optional()
                .map(Option::flatten)
        })
        .await
    }

    /// Requests to people: the pending ones, or all, oldest first. Without the plans they are about.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn approvals(&self, all: bool) -> Result<Vec<ApprovalView>, JournalError> {
        self.read("list approvals", move |connection| {
            let which = if all { "TRUE" } else { "approval.closed = 0" };
            let sql = format!("SELECT {APPROVAL} WHERE {which} ORDER BY asked_at, approval_id");
            connection.prepare_cached(&sql)?.query_map([], approval)?.collect()
        })
        .await
    }

    /// One request, without the plan it is about.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn approval(&self, approval_id: ApprovalId) -> Result<Option<ApprovalView>, JournalError> {
        self.read("read an approval", move |connection| {
            let sql = format!("SELECT {APPROVAL} WHERE approval.approval_id = ?1");
            connection.prepare_cached(&sql)?.query_row([approval_id.to_string()], approval).optional()
        })
        .await
    }
}

const APPROVAL: &str = "approval.approval_id, approval.project_id, project.title, approval.subject,
    task.key, approval.digest, approval.policy, approval.asked_at, approval.expires_at, approval.decision,
    approval.about
    FROM approval JOIN project USING (project_id) LEFT JOIN task ON task.task_id = approval.task_id";

fn approval(row: &Row<'_>) -> rusqlite::Result<ApprovalView> {
    let about: Option<About> = get_json_opt(row, 10)?;
    let mut view = ApprovalView {
        approval_id: ApprovalId::from_uuid(get_id(row, 0)?),
        project_id: ProjectId::from_uuid(get_id(row, 1)?),
        project_title: row.get(2)?,
        subject: get_json(row, 3)?,
        task_key: row.get(4)?,
        digest: row.get(5)?,
        policy: row.get(6)?,
        asked_at: UnixMs(row.get(7)?),
        expires_at: row.get::<_, Option<i64>>(8)?.map(UnixMs),
        decision: get_json_opt(row, 9)?,
        plan: None,
        scripts: BTreeMap::new(),
        handoff: None,
        skills: BTreeMap::new(),
        skill_reviews: Vec::new(),
        estimate: None,
        question: None,
        over_budget: None,
        patch: None,
        skill: None,
        capability: None,
        apply: None,
        route: bus_schemas::v1::api::RouteView::default(),
    };
    match about {
        Some(About::Handoff(handoff)) => view.handoff = Some(handoff),
        Some(About::Question(question)) => view.question = Some(question),
        Some(About::OverBudget(limit)) => view.over_budget = Some(limit),
        Some(About::Patch(patch, plan)) => {
            view.patch = Some(patch);
            view.plan = Some(plan);
        }
        Some(About::Skill(skill)) => view.skill = Some(skill),
        Some(About::Capability(capability)) => view.capability = Some(capability),
        Some(About::Apply(offer)) => view.apply = Some(offer),
        None => {}
    }
    Ok(view)
}
