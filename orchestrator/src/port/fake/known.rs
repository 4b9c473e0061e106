//! What the orchestrator of tests knows, and what it was asked.

use std::{collections::BTreeMap, time::Duration};

use bus_schemas::{
    id::ApprovalId,
    time::UnixMs,
    v1::api::{
        ApprovalView, AskRequest, CancelRequest, DecisionRequest, DelegateRequest, DiffView, EditPlanRequest,
        FeedEvent, JournalEntry, NewProject, Problem, ProjectView, RememberedView, TellRequest, ViewedRequest,
    },
};

/// What it knows, and what it was asked.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) project: ProjectView,
    pub(crate) approvals: BTreeMap<ApprovalId, ApprovalView>,
    pub(crate) remembered: Vec<RememberedView>,
    pub(crate) journal: Vec<JournalEntry>,
    pub(crate) events: Vec<FeedEvent>,
    pub(crate) diff: DiffView,
    pub(crate) now: UnixMs,
    /// How many must approve.
    pub(crate) quorum: usize,
    /// Who somebody is whom a bridge names.
    pub(crate) names: fn(&str) -> String,
    /// What it answers instead, so often.
    pub(crate) down: Option<(Problem, u32)>,
    /// What it needs for decisions is not there.
    pub(crate) away: bool,
    /// How an edit is answered, if not well.
    pub(crate) edit_fails: Option<Problem>,
    /// How long an edit takes.
    pub(crate) edit_takes: Duration,
    /// The request about the plan that was written, if it is not like the one before.
    pub(crate) next: Option<ApprovalView>,
    /// Nobody is asked about plans that were written.
    pub(crate) is_auto: bool,

    /// The projects that were made; the same key makes no second one.
    pub(crate) created: Vec<NewProject>,
    /// What was decided and taken.
    pub(crate) decided: Vec<DecisionRequest>,
    pub(crate) told: Vec<TellRequest>,
    pub(crate) viewed: Vec<ViewedRequest>,
    pub(crate) asked: Vec<AskRequest>,
    pub(crate) edits: Vec<EditPlanRequest>,
    pub(crate) delegated: Vec<DelegateRequest>,
    pub(crate) canceled: Vec<CancelRequest>,
    /// How often it was asked anything.
    pub(crate) calls: u32,
    /// How often somebody tried to decide.
    pub(crate) tries: u32,
    /// How often everything that waits was read.
    pub(crate) listed: u32,
}

impl Known {
    pub(super) fn new(project: ProjectView, now: UnixMs) -> Self {
        let diff = DiffView {
            base_commit: "a".repeat(40),
            commit: "b".repeat(40),
            changed: Vec::new(),
            text: "+the new line\n".to_owned(),
            truncated: false,
        };
        Self {
            project,
            approvals: BTreeMap::new(),
            remembered: Vec::new(),
            journal: Vec::new(),
            events: Vec::new(),
            diff,
            now,
            quorum: 1,
            names: str::to_owned,
            down: None,
            away: false,
            edit_fails: None,
            edit_takes: Duration::ZERO,
            next: None,
            is_auto: false,
            created: Vec::new(),
            decided: Vec::new(),
            told: Vec::new(),
            viewed: Vec::new(),
            asked: Vec::new(),
            edits: Vec::new(),
            delegated: Vec::new(),
            canceled: Vec::new(),
            calls: 0,
            tries: 0,
            listed: 0,
        }
    }

    /// The only request.
    pub(crate) fn only(&mut self) -> &mut ApprovalView {
        assert_eq!(self.approvals.len(), 1, "one request");
        self.approvals.values_mut().next().unwrap()
    }
}
