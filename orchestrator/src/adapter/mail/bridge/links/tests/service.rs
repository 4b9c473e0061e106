//! An orchestrator with one request, which decides by simple rules and writes down what it is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus_schemas::v1::{
    api::{
        ApplyRequest, ApplyView, ApprovalView, AskRequest, AuditEntry, AuditReport, BatchOutcome, BatchRequest,
        BudgetRequest, CancelRequest, DeadLetterView, DecisionRequest, DelegateRequest, DiffView, EditPlanRequest,
        FatigueView, FeedEvent, Health, HostView, JournalEntry, NewProject, PlanReport, PlanSource, PlanView, Problem,
        ProjectView, RebuildReport, RememberedView, RevokeRequest, TellRequest, TellView, UndoRequest, ViewedRequest,
        VoteView,
    },
    approval::{Decision, Verdict},
    handoff::Usage,
    task::LogChunk,
};
use futures::{Stream, stream};
use serde_json::json;

use super::NOW;
use crate::port::{Preset, Service};

#[derive(Debug)]
pub(super) struct Known {
    pub approval: ApprovalView,
    pub project: ProjectView,
    pub decided: Vec<DecisionRequest>,
    pub viewed: Vec<ViewedRequest>,
    pub asked: Vec<AskRequest>,
    pub edits: Vec<EditPlanRequest>,
    /// How an edit is answered, if not well.
    pub edit_fails: Option<Problem>,
    /// The request about the plan that was written.
    pub next: Option<ApprovalView>,
    /// What was asked of it that changes nothing.
    pub reads: u32,
    /// It cannot do anything now.
    pub is_down: bool,
    /// How many must approve.
    pub quorum: usize,
}

#[derive(Clone, Debug)]
pub(super) struct FakeService(Arc<Mutex<Known>>);

impl FakeService {
    pub(super) fn new() -> Self {
        let (project_id, approval_id) = (super::project_id(), super::approval_id());
        let approval = json!({
            "approval_id": approval_id, "project_id": project_id, "project_title": "Docs", "subject": { "kind": "plan" },
            "digest": super::DIGEST, "policy": "ask", "asked_at": NOW,
            "plan": { "version": 1, "title": "Docs", "tasks": [{ "id": "a", "run": "make" }] },
        });
        let project = json!({
            "project_id": project_id, "title": "Docs", "goal": "Tidy up", "folder": "/docs", "owner": "bob",
            "state": "awaiting_approval", "created_at": NOW, "changed_at": NOW, "counts": {}, "usage": Usage::default(),
            "base_commit": "a",
        });
        Self(Arc::new(Mutex::new(Known {
            approval: serde_json::from_value(approval).unwrap(),
            project: serde_json::from_value(project).unwrap(),
            decided: Vec::new(),
            viewed: Vec::new(),
            asked: Vec::new(),
            edits: Vec::new(),
            edit_fails: None,
            next: None,
            reads: 0,
            is_down: false,
            quorum: 1,
        })))
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self) -> Result<MutexGuard<'_, Known>, Problem> {
        let known = self.known();
        if known.is_down { Err(problem("shutting_down", 503)) } else { Ok(known) }
    }
}

pub(super) fn problem(code: &str, status: u16) -> Problem {
    Problem { code: code.to_owned(), status, detail: format!("it is {code}"), hint: None, findings: Vec::new() }
}

fn unused<T>() -> Result<T, Problem> {
    unreachable!("no link asks this")
}

impl Service for FakeService {
    async fn approval(&self, id: &str) -> Result<ApprovalView, Problem> {
        let mut known = self.up()?;
        known.reads += 1;
        let all = [Some(&known.approval), known.next.as_ref()];
        let found = all.into_iter().flatten().find(|view| view.approval_id.to_string() == id);
        found.cloned().ok_or_else(|| problem("not_found", 404))
    }

    async fn project(&self, _: &str) -> Result<ProjectView, Problem> {
        Ok(self.up()?.project.clone())
    }

    async fn projects(&self) -> Result<Vec<ProjectView>, Problem> {
        Ok(vec![self.up()?.project.clone()])
    }

    async fn diff(&self, _: &str, _: Option<&str>) -> Result<DiffView, Problem> {
        unused()
    }

    async fn viewed(&self, _: &str, request: ViewedRequest) -> Result<(), Problem> {
        self.up()?.viewed.push(request);
        Ok(())
    }

    async fn decide(&self, _: &str, request: DecisionRequest) -> Result<ApprovalView, Problem> {
        let mut known = self.up()?;
        let by = request.by.clone();
        let view = &known.approval;
        if view.decision.is_some() {
            return Err(problem("already_decided", 409));
        }
        if view.digest != request.digest {
            return Err(problem("digest_mismatch", 409));
        }
        if view.route.excluded.contains(&by) {
            return Err(problem("self_approval", 403));
        }
        if view.route.votes.iter().any(|vote| vote.by == by) {
            return Err(problem("already_voted", 409));
        }
        if request.verdict != Verdict::Approved && request.note.is_empty() {
            return Err(problem("note_required", 422));
        }
        let vote = VoteView { by: by.clone(), channel: request.channel.clone(), note: String::new(), at: NOW };
        known.approval.route.votes.push(vote);
        if request.verdict != Verdict::Approved || known.approval.route.votes.len() >= known.quorum {
            known.approval.decision = Some(Decision {
                approval_id: known.approval.approval_id,
                verdict: request.verdict,
                digest: request.digest.clone(),
                by,
                channel: request.channel.clone(),
                rule: None,
                note: request.note.clone(),
                decided_at: NOW,
            });
        }
        known.decided.push(request);
        Ok(known.approval.clone())
    }

    async fn ask_agent(&self, _: &str, request: AskRequest) -> Result<ApprovalView, Problem> {
        let mut known = self.up()?;
        known.asked.push(request);
        Ok(known.approval.clone())
    }

    fn trusts_names(&self) -> bool {
        true
    }

    async fn health(&self) -> Result<Health, Problem> {
        unused()
    }

    async fn hosts(&self) -> Result<Vec<HostView>, Problem> {
        unused()
    }

    async fn create_project(&self, _: NewProject) -> Result<ProjectView, Problem> {
        unused()
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

    async fn plan(&self, _: &str) -> Result<PlanView, Problem> {
        unused()
    }

    async fn edit_plan(&self, _: &str, request: EditPlanRequest) -> Result<ProjectView, Problem> {
        let mut known = self.up()?;
        if let Some(problem) = &known.edit_fails {
            return Err(problem.clone());
        }
        if known.approval.decision.is_some() {
            return Err(problem("digest_mismatch", 409));
        }
        known.approval.decision = Some(Decision {
            approval_id: known.approval.approval_id,
            verdict: Verdict::Rejected,
            digest: known.approval.digest.clone(),
            by: "orchestrator".to_owned(),
            channel: "void".to_owned(),
            rule: None,
            note: format!("{} proposes another plan", request.by),
            decided_at: NOW,
        });
        known.edits.push(request);
        known.project.pending_approvals = known.next.iter().map(|next| next.approval_id).collect();
        Ok(known.project.clone())
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
        unused()
    }

    async fn decide_batch(&self, _: BatchRequest) -> Result<Vec<BatchOutcome>, Problem> {
        unused()
    }

    async fn delegate(&self, _: &str, _: DelegateRequest) -> Result<ApprovalView, Problem> {
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

    async fn presets(&self) -> Result<Vec<Preset>, Problem> {
        unused()
    }

    async fn all_feed(&self, _: u64) -> Result<impl Stream<Item = FeedEvent> + Send + 'static, Problem> {
        unused::<stream::Empty<FeedEvent>>()
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
