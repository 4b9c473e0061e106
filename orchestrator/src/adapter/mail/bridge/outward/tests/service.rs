//! An orchestrator that is as a test says, and tells the feed of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bus_schemas::{
    id::ApprovalId,
    time::UnixMs,
    v1::{
        api::{
            ApplyRequest, ApplyView, ApprovalView, AskRequest, AuditEntry, AuditReport, BatchOutcome, BatchRequest,
            BudgetRequest, CancelRequest, DeadLetterView, DecisionRequest, DelegateRequest, DiffView, EditPlanRequest,
            FatigueView, FeedEvent, Health, HostView, JournalEntry, NewProject, PlanReport, PlanSource, PlanView,
            Problem, ProjectView, RebuildReport, RememberedView, RevokeRequest, TaskView, TellRequest, TellView,
            UndoRequest, ViewedRequest,
        },
        task::LogChunk,
    },
};
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::watch;

use super::{START, lock, project, project_id};
use crate::port::{Preset, Service};

#[derive(Debug)]
pub(super) struct Known {
    pub project: ProjectView,
    pub approvals: BTreeMap<ApprovalId, ApprovalView>,
    pub events: Vec<FeedEvent>,
    /// It cannot do anything now.
    pub down: bool,
    /// How often it was asked something.
    pub asked: u32,
}

#[derive(Clone, Debug)]
pub(super) struct FakeService {
    known: Arc<Mutex<Known>>,
    bell: watch::Sender<()>,
}

impl Default for FakeService {
    fn default() -> Self {
        let (approvals, events) = (BTreeMap::new(), Vec::new());
        let known = Known { project: project(), approvals, events, down: false, asked: 0 };
        Self { known: Arc::new(Mutex::new(known)), bell: watch::Sender::new(()) }
    }
}

fn problem(code: &str, status: u16) -> Problem {
    Problem { code: code.to_owned(), status, detail: format!("it is {code}"), hint: None, findings: Vec::new() }
}

fn unused<T>() -> Result<T, Problem> {
    Err(problem("not_asked_in_tests", 500))
}

impl FakeService {
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut lock(&self.known))
    }

    pub(super) fn asked(&self) -> u32 {
        self.with(|known| known.asked)
    }

    /// A request is asked, or is another now; the feed says so.
    pub(super) fn asks(&self, view: ApprovalView) {
        let approval_id = view.approval_id;
        self.with(|known| {
            known.approvals.insert(approval_id, view);
            let pending = known.approvals.values().filter(|view| view.decision.is_none());
            known.project.pending_approvals = pending.map(|view| view.approval_id).collect();
        });
        self.feeds("approval.due", "something", Some(approval_id), Vec::new());
    }

    /// The feed says that something happened.
    pub(super) fn feeds(&self, kind: &str, text: &str, approval_id: Option<ApprovalId>, tasks: Vec<TaskView>) {
        self.with(|known| {
            let sequence = known.events.len() as u64 + 1;
            known.events.push(FeedEvent {
                sequence,
                kind: kind.to_owned(),
                at: UnixMs(START + sequence as i64),
                project_id: project_id(),
                task_key: None,
                project_state: known.project.state,
                text: text.to_owned(),
                tasks,
                approval_id,
            });
        });
        self.bell.send_replace(());
    }

    fn up(&self) -> Result<(), Problem> {
        let down = self.with(|known| {
            known.asked += 1;
            known.down
        });
        if down { Err(problem("shutting_down", 503)) } else { Ok(()) }
    }
}

impl Service for FakeService {
    async fn health(&self) -> Result<Health, Problem> {
        unused()
    }

    async fn hosts(&self) -> Result<Vec<HostView>, Problem> {
        unused()
    }

    async fn create_project(&self, _: NewProject) -> Result<ProjectView, Problem> {
        unused()
    }

    async fn projects(&self) -> Result<Vec<ProjectView>, Problem> {
        unused()
    }

    async fn project(&self, _: &str) -> Result<ProjectView, Problem> {
        self.up()?;
        Ok(self.with(|known| known.project.clone()))
    }

    async fn feed(&self, _: &str, _: u64) -> Result<impl Stream<Item = FeedEvent> + Send + 'static, Problem> {
        unused::<stream::Empty<FeedEvent>>()
    }

    async fn logs(
        &self,
        _: &str,
        _: Option<&str>,
        _: bool,
    ) -> Result<impl Stream<Item = LogChunk> + Send + 'static, Problem> {
        unused::<stream::Empty<LogChunk>>()
    }

    async fn journal(&self, _: &str) -> Result<Vec<JournalEntry>, Problem> {
        unused()
    }

    async fn diff(&self, _: &str, _: Option<&str>) -> Result<DiffView, Problem> {
        self.up()?;
        Ok(DiffView {
            base_commit: "a".repeat(40),
            commit: "b".repeat(40),
            changed: Vec::new(),
            text: "+the new line\n".to_owned(),
            truncated: false,
        })
    }

    async fn plan(&self, _: &str) -> Result<PlanView, Problem> {
        unused()
    }

    async fn edit_plan(&self, _: &str, _: EditPlanRequest) -> Result<ProjectView, Problem> {
        unused()
    }

    async fn tell(&self, _: &str, _: TellRequest) -> Result<TellView, Problem> {
        unused()
    }

    async fn budget(&self, _: &str, _: BudgetRequest) -> Result<ProjectView, Problem> {
        unused()
    }

    async fn cancel(&self, _: &str, _: CancelRequest) -> Result<ProjectView, Problem> {
        unused()
    }

    async fn apply(&self, _: &str, _: ApplyRequest) -> Result<ApplyView, Problem> {
        unused()
    }

    async fn undo(&self, _: &str, _: UndoRequest) -> Result<ApplyView, Problem> {
        unused()
    }

    async fn approvals(&self, _: bool) -> Result<Vec<ApprovalView>, Problem> {
        self.up()?;
        Ok(self.with(|known| known.approvals.values().filter(|view| view.decision.is_none()).cloned().collect()))
    }

    async fn approval(&self, id: &str) -> Result<ApprovalView, Problem> {
        self.up()?;
        let found =
            self.with(|known| known.approvals.values().find(|view| view.approval_id.to_string() == id).cloned());
        found.ok_or_else(|| problem("not_found", 404))
    }

    async fn decide(&self, _: &str, _: DecisionRequest) -> Result<ApprovalView, Problem> {
        unused()
    }

    async fn decide_batch(&self, _: BatchRequest) -> Result<Vec<BatchOutcome>, Problem> {
        unused()
    }

    async fn ask_agent(&self, _: &str, _: AskRequest) -> Result<ApprovalView, Problem> {
        unused()
    }

    async fn delegate(&self, _: &str, _: DelegateRequest) -> Result<ApprovalView, Problem> {
        unused()
    }

    async fn viewed(&self, _: &str, _: ViewedRequest) -> Result<(), Problem> {
        unused()
    }

    async fn remembered(&self) -> Result<Vec<RememberedView>, Problem> {
        unused()
    }

    async fn revoke(&self, _: &str, _: RevokeRequest) -> Result<RememberedView, Problem> {
        unused()
    }

    async fn fatigue(&self) -> Result<FatigueView, Problem> {
        unused()
    }

    async fn audit(&self, _: u64, _: Option<&str>) -> Result<Vec<AuditEntry>, Problem> {
        unused()
    }

    async fn verify_audit(&self, _: Option<String>) -> Result<AuditReport, Problem> {
        unused()
    }

    fn trusts_names(&self) -> bool {
        true
    }

    async fn presets(&self) -> Result<Vec<Preset>, Problem> {
        unused()
    }

    async fn all_feed(&self, after: u64) -> Result<impl Stream<Item = FeedEvent> + Send + 'static, Problem> {
        let state = (self.clone(), self.bell.subscribe(), after);
        let feed = stream::unfold(state, |(service, mut bell, after)| async move {
            loop {
                bell.borrow_and_update();
                let next = service.with(|known| known.events.iter().find(|event| event.sequence > after).cloned());
                if let Some(event) = next {
                    let after = event.sequence;
                    return Some((event, (service, bell, after)));
                }
                bell.changed().await.ok()?;
            }
        });
        Ok(feed.boxed())
    }

    async fn check_plan(&self, _: PlanSource) -> Result<PlanReport, Problem> {
        unused()
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetterView>, Problem> {
        unused()
    }

    async fn rebuild(&self) -> Result<RebuildReport, Problem> {
        unused()
    }
}
