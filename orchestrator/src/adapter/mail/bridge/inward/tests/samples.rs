//! A project and its requests.

use std::collections::BTreeMap;

use bus_schemas::{
    id::{ApprovalId, ProjectId, TaskId},
    time::UnixMs,
    v1::{
        api::{ApprovalView, ProjectView, QuestionView, RouteView, SpendView},
        approval::ApprovalSubject,
        handoff::Usage,
        project::ProjectState,
    },
};
use uuid::Uuid;

/// Now.
pub(super) const NOW: UnixMs = UnixMs(1_795_381_500_000);

pub(super) fn project_id() -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(77))
}

pub(super) fn project() -> ProjectView {
    ProjectView {
        project_id: project_id(),
        title: "Blue page".to_owned(),
        goal: String::new(),
        folder: "/srv/page".to_owned(),
        owner: "bob".to_owned(),
        state: ProjectState::Working,
        created_at: NOW,
        changed_at: NOW,
        counts: BTreeMap::new(),
        usage: Usage::default(),
        spend: SpendView::default(),
        base_commit: "a".repeat(40),
        result_commit: None,
        applied_at: None,
        pending_approvals: Vec::new(),
        tasks: Vec::new(),
    }
}

/// A request about the plan that ann or bob may decide.
pub(super) fn request() -> ApprovalView {
    ApprovalView {
        approval_id: ApprovalId::from_uuid(Uuid::from_u128(5)),
        project_id: project_id(),
        project_title: "Blue page".to_owned(),
        subject: ApprovalSubject::Plan,
        task_key: None,
        digest: "0123456789abcdef".repeat(4),
        policy: "leads".to_owned(),
        asked_at: NOW,
        expires_at: None,
        decision: None,
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
        route: RouteView { eligible: vec!["ann".to_owned(), "bob".to_owned()], ..RouteView::default() },
    }
}

/// An agent's question.
pub(super) fn question(options: &[&str]) -> ApprovalView {
    let mut view = request();
    view.subject = ApprovalSubject::Question { task_id: TaskId::from_uuid(Uuid::from_u128(9)), attempt: 1 };
    view.question = Some(QuestionView {
        question: "Which one?".to_owned(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        stuck: false,
        by_baton: false,
    });
    view
}
