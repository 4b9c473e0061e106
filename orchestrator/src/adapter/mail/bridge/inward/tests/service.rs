//! An orchestrator that decides by simple rules and writes down what it is asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bus_schemas::{
    id::ApprovalId,
    time::UnixMs,
    v1::{
        api::{
            ApplyRequest, ApplyView, ApprovalView, AskRequest, AskedView, AuditEntry, AuditReport, BatchOutcome,
            BatchRequest, BudgetRequest, CancelRequest, DeadLetterView, DecisionRequest, DelegateRequest,
            DelegationView, DiffView, EditPlanRequest, FatigueView, FeedEvent, Health, HostView, JournalEntry,
            NewProject, PlanReport, PlanSource, PlanView, Problem, ProjectView, RebuildReport, RememberedView,
            RevokeRequest, TellRequest, TellView, UndoRequest, ViewedRequest, VoteView,
        },
        approval::{Decision, Verdict},
        project::ProjectState,
        task::LogChunk,
    },
};
use futures::{Stream, stream};

use super::{lock, samples};
use crate::port::{Preset, Service};

#[derive(Debug)]
pub(super) struct Known {
    pub project: ProjectView,
    pub approvals: BTreeMap<ApprovalId, ApprovalView>,
    /// The projects that were made, by key; the same key makes no second one.
    pub created: Vec<NewProject>,
    /// What was decided and taken.
    pub decided: Vec<DecisionRequest>,
    pub told: Vec<TellRequest>,
    pub asked: Vec<AskRequest>,
    pub delegated: Vec<DelegateRequest>,
    pub canceled: Vec<CancelRequest>,
    pub journal: Vec<JournalEntry>,
    /// What it answers instead, so often.
    pub down: Option<(Problem, u32)>,
    /// How many must approve.
    pub quorum: usize,
    pub now: UnixMs,
}

#[derive(Clone, Debug)]
pub(super) struct FakeService(Arc<Mutex<Known>>);

pub(super) fn problem(code: &str, status: u16) -> Problem {
    Problem { code: code.to_owned(), status, detail: format!("it is {code}"), hint: None, findings: Vec::new() }
}

fn unused<T>() -> Result<T, Problem> {
    Err(problem("not_asked_in_tests", 500))
}

impl FakeService {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Known {
            project: samples::project(),
            approvals: BTreeMap::new(),
            created: Vec::new(),
            decided: Vec::new(),
            told: Vec::new(),
            asked: Vec::new(),
            delegated: Vec::new(),
            canceled: Vec::new(),
            journal: Vec::new(),
            down: None,
            quorum: 1,
            now: samples::NOW,
        })))
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut lock(&self.0))
    }

    /// A request is asked, or is another now.
    pub(super) fn asks(&self, view: ApprovalView) {
        self.with(|known| known.approvals.insert(view.approval_id, view));
    }

    fn up(&self) -> Result<(), Problem> {
        self.with(|known| match &mut known.down {
            Some((problem, left)) if *left > 0 => {
                *left -= 1;
                Err(problem.clone())
            }
            _ => Ok(()),
        })
    }
}

/// The names of the bridge's members.
fn name(by: &str) -> String {
    match by {
        super::ANN => "ann".to_owned(),
        super::BOB => "bob".to_owned(),
        other => format!("email:{other}"),
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
        if new.policy.as_deref() == Some("nobody") {
            return Err(problem("unknown_policy", 422));
        }
        Ok(self.with(|known| {
            if !known.created.iter().any(|one| one.key.is_some() && one.key == new.key) {
                known.project.owner = name(&new.owner);
                known.project.goal = new.goal.clone().unwrap_or_default();
                known.created.push(new);
            }
            known.project.clone()
        }))
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
        self.up()?;
        Ok(self.with(|known| known.journal.clone()))
    }

    async fn diff(&self, _: &str, _: Option<&str>) -> Result<DiffView, Problem> {
        unused()
    }

    async fn plan(&self, _: &str) -> Result<PlanView, Problem> {
        unused()
    }

    async fn edit_plan(&self, _: &str, _: EditPlanRequest) -> Result<ProjectView, Problem> {
        unused()
    }

    async fn tell(&self, _: &str, request: TellRequest) -> Result<TellView, Problem> {
        self.up()?;
        self.with(|known| {
            let event = serde_json::json!({"fact": {"from": name(&request.by), "text": request.text}});
            known.journal.push(JournalEntry {
                sequence: known.journal.len() as u64 + 1,
                version: 1,
                at: known.now,
                kind: "agent.told".to_owned(),
                event: serde_json::from_value(event).unwrap(),
            });
            known.told.push(request);
        });
        Ok(TellView { now: vec!["report".to_owned()], later: Vec::new() })
    }

    async fn budget(&self, _: &str, _: BudgetRequest) -> Result<ProjectView, Problem> {
        unused()
    }

    async fn cancel(&self, _: &str, request: CancelRequest) -> Result<ProjectView, Problem> {
        self.up()?;
        Ok(self.with(|known| {
            known.canceled.push(request);
            known.project.state = ProjectState::Canceled;
            known.project.clone()
        }))
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

    async fn approval(&self, id: &str) -> Result<ApprovalView, Problem> {
        self.up()?;
        let found =
            self.with(|known| known.approvals.values().find(|view| view.approval_id.to_string() == id).cloned());
        found.ok_or_else(|| problem("not_found", 404))
    }

    async fn decide(&self, id: &str, request: DecisionRequest) -> Result<ApprovalView, Problem> {
        let by = name(&request.by);
        let (quorum, now) = self.with(|known| (known.quorum, known.now));
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
        if !view.route.eligible.contains(&by) {
            return Err(problem("not_eligible", 403));
        }
        if view.route.votes.iter().any(|vote| vote.by == by) {
            return Err(problem("already_voted", 409));
        }
        let channel = request.channel.clone();
        let vote = VoteView { by: by.clone(), channel: channel.clone(), note: String::new(), at: now };
        view.route.votes.push(vote);
        if request.verdict != Verdict::Approved || view.route.votes.len() >= quorum {
            view.decision = Some(Decision {
                approval_id: view.approval_id,
                verdict: request.verdict,
                digest: view.digest.clone(),
                by,
                channel,
                rule: None,
                note: request.note.clone(),
                decided_at: now,
            });
        }
        self.with(|known| known.decided.push(request));
        self.asks(view.clone());
        Ok(view)
    }

    async fn decide_batch(&self, _: BatchRequest) -> Result<Vec<BatchOutcome>, Problem> {
        unused()
    }

    async fn ask_agent(&self, id: &str, request: AskRequest) -> Result<ApprovalView, Problem> {
        let mut view = self.approval(id).await?;
        let at = self.with(|known| known.now);
        let (by, channel, question) = (name(&request.by), request.channel.clone(), request.question.clone());
        view.route.questions.push(AskedView { by, channel, question, at, answer: None });
        self.with(|known| known.asked.push(request));
        self.asks(view.clone());
        Ok(view)
    }

    async fn delegate(&self, id: &str, request: DelegateRequest) -> Result<ApprovalView, Problem> {
        let mut view = self.approval(id).await?;
        let at = self.with(|known| known.now);
        view.route.delegations.push(DelegationView { from: name(&request.by), to: request.to.clone(), at });
        self.with(|known| known.delegated.push(request));
        self.asks(view.clone());
        Ok(view)
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
