//! An orchestrator that decides by simple rules and writes down what it is asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bus_schemas::{
    id::ApprovalId,
    v1::{
        api::{
            ApplyRequest, ApplyView, ApprovalView, AskRequest, AskedView, AuditEntry, AuditReport, BatchOutcome,
            BatchRequest, BudgetRequest, CancelRequest, DeadLetterView, DecisionRequest, DelegateRequest, DiffView,
            EditPlanRequest, FatigueView, FeedEvent, Health, HostView, JournalEntry, NewProject, PlanReport,
            PlanSource, PlanView, Problem, ProjectView, RebuildReport, RememberedView, RevokeRequest, TellRequest,
            TellView, UndoRequest, ViewedRequest, VoteView,
        },
        approval::{Decision, Verdict},
        project::ProjectState,
        task::LogChunk,
    },
};
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::watch;

use super::{ANN, BOB, lock};
use crate::{
    adapter::slack::view::samples,
    port::{
        Preset, Service,
        waiting::{Waiting, Waits},
    },
};

#[derive(Debug)]
pub(super) struct Known {
    pub project: ProjectView,
    pub approvals: BTreeMap<ApprovalId, ApprovalView>,
    pub created: Vec<NewProject>,
    pub decided: Vec<DecisionRequest>,
    pub told: Vec<TellRequest>,
    pub viewed: Vec<ViewedRequest>,
    pub asked: Vec<AskRequest>,
    pub edits: Vec<EditPlanRequest>,
    /// How an edit is answered, if not well.
    pub edit_fails: Option<Problem>,
    /// How long an edit takes.
    pub edit_takes: Duration,
    pub remembered: Vec<RememberedView>,
    pub events: Vec<FeedEvent>,
    /// It cannot do anything now.
    pub down: bool,
    /// What it needs for decisions is not there.
    pub away: bool,
    /// How often somebody tried to decide.
    pub tries: u32,
    /// The path that changed.
    pub changed: String,
    /// How many must approve.
    pub quorum: usize,
    /// How often everything that waits was read.
    pub listed: u32,
}

#[derive(Clone, Debug)]
pub(super) struct FakeService {
    known: Arc<Mutex<Known>>,
    bell: watch::Sender<()>,
}

pub(super) fn problem(code: &str, status: u16) -> Problem {
    Problem { code: code.to_owned(), status, detail: format!("it is {code}"), hint: None, findings: Vec::new() }
}

fn unused<T>() -> Result<T, Problem> {
    Err(problem("not_asked_in_tests", 500))
}

impl FakeService {
    pub(super) fn new() -> Self {
        let known = Known {
            project: samples::project(),
            approvals: BTreeMap::new(),
            created: Vec::new(),
            decided: Vec::new(),
            told: Vec::new(),
            viewed: Vec::new(),
            asked: Vec::new(),
            edits: Vec::new(),
            edit_fails: None,
            edit_takes: Duration::ZERO,
            remembered: Vec::new(),
            events: Vec::new(),
            down: false,
            away: false,
            tries: 0,
            changed: "x".to_owned(),
            quorum: 1,
            listed: 0,
        };
        Self { known: Arc::new(Mutex::new(known)), bell: watch::Sender::new(()) }
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut lock(&self.known))
    }

    /// A request is asked, or is another now; the feed says so.
    pub(super) fn asks(&self, view: ApprovalView) {
        let approval_id = view.approval_id;
        self.with(|known| {
            known.approvals.insert(approval_id, view);
            known.project.pending_approvals =
                known.approvals.values().filter(|view| view.decision.is_none()).map(|view| view.approval_id).collect();
        });
        self.feeds(Some(approval_id));
    }

    /// The feed says that something happened.
    pub(super) fn feeds(&self, approval_id: Option<ApprovalId>) {
        self.with(|known| {
            let event = FeedEvent {
                sequence: known.events.len() as u64 + 1,
                kind: "something.happened".to_owned(),
                at: samples::NOW,
                project_id: samples::project_id(),
                task_key: None,
                project_state: ProjectState::Working,
                text: "something happened".to_owned(),
                tasks: Vec::new(),
                approval_id,
            };
            known.events.push(event);
        });
        self.bell.send_replace(());
    }

    fn up(&self) -> Result<(), Problem> {
        if self.with(|known| known.down) { Err(problem("shutting_down", 503)) } else { Ok(()) }
    }
}

/// The names of the bridge's members.
fn name(by: &str) -> String {
    match by {
        ANN => "ann".to_owned(),
        BOB => "bob".to_owned(),
        other => format!("slack:{other}"),
    }
}

impl Service for FakeService {
    async fn health(&self) -> Result<Health, Problem> {
        unused()
    }

    async fn hosts(&self) -> Result<Vec<HostView>, Problem> {
        unused()
    }

    async fn create_project(&self, new: NewProject) -> Result<ProjectView, Problem> {
        self.up()?;
        Ok(self.with(|known| {
            if known.created.iter().any(|before| before.key.is_some() && before.key == new.key) {
                return known.project.clone();
            }
            known.project.owner = name(&new.owner);
            known.project.goal = new.goal.clone().unwrap_or_default();
            known.project.created_at = samples::NOW;
            known.created.push(new);
            known.project.clone()
        }))
    }

    async fn projects(&self) -> Result<Vec<ProjectView>, Problem> {
        self.up()?;
        Ok(vec![self.with(|known| known.project.clone())])
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
        Ok(Vec::new())
    }

    async fn diff(&self, _: &str, _: Option<&str>) -> Result<DiffView, Problem> {
        self.up()?;
        Ok(DiffView {
            base_commit: "a".repeat(40),
            commit: "b".repeat(40),
            changed: vec![samples::path(
                &self.with(|known| known.changed.clone()),
                bus_schemas::v1::handoff::ChangeKind::Added,
                3,
            )],
            text: "+one\n".to_owned(),
            truncated: false,
        })
    }

    async fn plan(&self, _: &str) -> Result<PlanView, Problem> {
        unused()
    }

    async fn edit_plan(&self, _: &str, request: EditPlanRequest) -> Result<ProjectView, Problem> {
        self.up()?;
        tokio::time::sleep(self.with(|known| known.edit_takes)).await;
        if let Some(problem) = self.with(|known| known.edit_fails.clone()) {
            return Err(problem);
        }
        let shown = self.with(|known| known.approvals.values().find(|view| view.digest == request.digest).cloned());
        let Some(mut before) = shown.filter(|view| view.decision.is_none()) else {
            return Err(problem("digest_mismatch", 409));
        };
        let mut after = before.clone();
        (after.approval_id, after.digest) = (ApprovalId::from_uuid(uuid::Uuid::from_u128(77)), "e".repeat(64));
        before.decision = Some(Decision {
            approval_id: before.approval_id,
            verdict: Verdict::Rejected,
            digest: before.digest.clone(),
            by: "orchestrator".to_owned(),
            channel: "void".to_owned(),
            rule: None,
            note: format!("{} proposes another plan", name(&request.by)),
            decided_at: samples::NOW,
        });
        self.with(|known| known.edits.push(request));
        self.asks(before);
        self.asks(after);
        Ok(self.with(|known| known.project.clone()))
    }

    async fn tell(&self, _: &str, request: TellRequest) -> Result<TellView, Problem> {
        self.up()?;
        self.with(|known| known.told.push(request));
        Ok(TellView { now: vec!["report".to_owned()], later: Vec::new() })
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
        Ok(self.with(|known| {
            known.listed += 1;
            known.approvals.values().filter(|view| view.decision.is_none()).cloned().collect()
        }))
    }

    async fn waiting(&self, which: Waiting, limit: usize) -> Result<Waits, Problem> {
        self.up()?;
        let pending = self.with(|known| known.approvals.values().filter(|v| v.decision.is_none()).cloned().collect());
        Ok(which.of(pending, limit))
    }

    async fn approval(&self, id: &str) -> Result<ApprovalView, Problem> {
        self.up()?;
        let found =
            self.with(|known| known.approvals.values().find(|view| view.approval_id.to_string() == id).cloned());
        found.ok_or_else(|| problem("not_found", 404))
    }

    async fn decide(&self, id: &str, request: DecisionRequest) -> Result<ApprovalView, Problem> {
        self.with(|known| known.tries += 1);
        self.up()?;
        if self.with(|known| known.away) {
            return Err(problem("away", 503));
        }
        let by = name(&request.by);
        let quorum = self.with(|known| known.quorum);
        let mut view = self.approval(id).await?;
        if view.decision.is_some() {
            return Err(problem("already_decided", 409));
        }
        if view.digest != request.digest {
            return Err(problem("digest_mismatch", 409));
        }
        if view.route.excluded.contains(&by) {
            return Err(problem("self_approval", 403));
        }
        if !view.route.eligible.is_empty() && !view.route.eligible.contains(&by) {
            return Err(problem("not_eligible", 403));
        }
        if view.route.votes.iter().any(|vote| vote.by == by) {
            return Err(problem("already_voted", 409));
        }
        view.route.votes.push(VoteView {
            by: by.clone(),
            channel: "slack".to_owned(),
            note: String::new(),
            at: samples::NOW,
        });
        if request.verdict != Verdict::Approved || view.route.votes.len() >= quorum {
            view.decision = Some(Decision {
                approval_id: view.approval_id,
                verdict: request.verdict,
                digest: view.digest.clone(),
                by,
                channel: "slack".to_owned(),
                rule: None,
                note: request.note.clone(),
                decided_at: samples::NOW,
            });
        }
        self.with(|known| known.decided.push(request));
        self.asks(view.clone());
        Ok(view)
    }

    async fn decide_batch(&self, request: BatchRequest) -> Result<Vec<BatchOutcome>, Problem> {
        self.up()?;
        let mut outcomes = Vec::new();
        for item in request.requests {
            let one = DecisionRequest {
                verdict: request.verdict,
                digest: item.digest,
                by: request.by.clone(),
                channel: request.channel.clone(),
                note: request.note.clone(),
                remember: None,
            };
            let problem = self.decide(&item.approval_id.to_string(), one).await.err();
            outcomes.push(BatchOutcome { approval_id: item.approval_id, problem });
        }
        Ok(outcomes)
    }

    async fn ask_agent(&self, id: &str, request: AskRequest) -> Result<ApprovalView, Problem> {
        self.up()?;
        let mut view = self.approval(id).await?;
        view.route.questions.push(AskedView {
            by: name(&request.by),
            channel: request.channel.clone(),
            question: request.question.clone(),
            at: samples::NOW,
            answer: None,
        });
        self.with(|known| known.asked.push(request));
        self.asks(view.clone());
        Ok(view)
    }

    async fn delegate(&self, _: &str, _: DelegateRequest) -> Result<ApprovalView, Problem> {
        unused()
    }

    async fn viewed(&self, _: &str, request: ViewedRequest) -> Result<(), Problem> {
        self.up()?;
        self.with(|known| known.viewed.push(request));
        Ok(())
    }

    async fn remembered(&self) -> Result<Vec<RememberedView>, Problem> {
        self.up()?;
        Ok(self.with(|known| known.remembered.clone()))
    }

    async fn revoke(&self, id: &str, request: RevokeRequest) -> Result<RememberedView, Problem> {
        self.up()?;
        self.with(|known| {
            let mut all = known.remembered.iter_mut();
            let one = all.find(|one| one.approval_id.to_string().starts_with(id));
            let one = one.ok_or_else(|| problem("not_found", 404))?;
            one.revoked_by = Some(name(&request.by));
            Ok(one.clone())
        })
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
        Ok(vec![Preset { name: "website".to_owned(), description: "the website".to_owned() }])
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
