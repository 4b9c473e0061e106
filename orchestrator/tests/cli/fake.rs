//! An orchestrator that is all memory: what the API and the commands are tested against.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bus_schemas::{
    id::{ApprovalId, HostId, ProjectId, TaskId},
    json::Json,
    time::UnixMs,
    v1::{
        api::{
            ApplyRequest, ApplyView, ApprovalView, AskRequest, AskedView, AuditEntry, AuditFinding, AuditReport,
            BatchOutcome, BatchRequest, BudgetRequest, CancelRequest, Conflict, DeadLetterView, DecisionRequest,
            DelegateRequest, DelegationView, DiffView, EditPlanRequest, FatigueView, FeedEvent, Health, HostView,
            JournalEntry, NewProject, PlanReport, PlanSource, PlanView, Problem, ProjectView, RebuildReport,
            RememberedView, RevokeRequest, TellRequest, TellView, UndoRequest, ViewedRequest, VoteView,
        },
        approval::{Decision, Verdict},
        handoff::Isolation,
        host::Beat,
        project::ProjectState,
        task::LogChunk,
    },
};
use futures::{Stream, StreamExt as _, stream};
use orchestrator::{
    adapter::web::problem,
    planfile,
    port::{Preset, Service},
};
use tokio::sync::watch;
use uuid::Uuid;

use super::fixtures::finding;
use super::fixtures::{approval, audited, project, remembered};
pub use super::fixtures::{changed, chunk};

/// The digest of the one request.
pub const DIGEST: &str = "5f1d0c0ffee0000000000000000000000000000000000000000000000000abcd";

/// The project's id.
pub fn project_id() -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(0x0193_abcd_4f21_7000_8000_0000_0000_0001))
}

/// The request's id.
pub fn approval_id() -> ApprovalId {
    ApprovalId::from_uuid(Uuid::from_u128(0x0193_abcd_4f99_7000_8000_0000_0000_0002))
}

/// The one task's id.
pub fn task_id() -> TaskId {
    TaskId::from_uuid(Uuid::from_u128(7))
}

/// Everything it knows, and what it was asked.
pub struct State {
    pub project: ProjectView,
    pub others: Vec<ProjectView>,
    pub approval: ApprovalView,
    pub events: Vec<FeedEvent>,
    pub logs: Vec<LogChunk>,
    pub conflict: bool,
    pub bus_away: bool,
    pub differences: u64,
    pub created: Vec<NewProject>,
    pub canceled: Vec<CancelRequest>,
    pub edited: Vec<String>,
    pub told: Vec<TellRequest>,
    pub budgets: Vec<BudgetRequest>,
    pub asked_after: Vec<u64>,
    /// Approvals it takes.
    pub needed: usize,
    /// Who saw it.
    pub views: Vec<ViewedRequest>,
    pub decided: Vec<DecisionRequest>,
    pub remembered: RememberedView,
    pub tampered: bool,
    /// People are who they say they are.
    pub trusting: bool,
}

/// The service. Clones share the state.
#[derive(Clone)]
pub struct Fake {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

impl Fake {
    pub fn new() -> Self {
        let state = State {
            project: project(),
            others: Vec::new(),
            approval: approval(),
            events: Vec::new(),
            logs: Vec::new(),
            conflict: false,
            bus_away: false,
            differences: 0,
            created: Vec::new(),
            canceled: Vec::new(),
            edited: Vec::new(),
            told: Vec::new(),
            budgets: Vec::new(),
            asked_after: Vec::new(),
            needed: 1,
            views: Vec::new(),
            decided: Vec::new(),
            remembered: remembered(),
            tampered: false,
            trusting: true,
        };
        Self { state: Arc::new(Mutex::new(state)), changed: watch::Sender::new(0) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happens in the project.
    pub fn happen(&self, kind: &str, state: ProjectState, text: &str) {
        {
            let mut inner = self.state();
            inner.project.state = state;
            let sequence = inner.events.len() as u64 + 1;
            let event = FeedEvent {
                sequence,
                kind: kind.to_owned(),
                at: UnixMs(1_700_000_000_000),
                project_id: project_id(),
                task_key: Some("scan".to_owned()),
                project_state: state,
                text: text.to_owned(),
                tasks: Vec::new(),
                approval_id: None,
            };
            inner.events.push(event);
        }
        self.changed.send_modify(|count| *count += 1);
    }

    /// Who reads the feed now.
    pub fn readers(&self) -> usize {
        self.changed.receiver_count()
    }

    fn known(&self, id: &str) -> Result<ProjectView, Problem> {
        let inner = self.state();
        let all = std::iter::once(&inner.project).chain(&inner.others);
        let found: Vec<&ProjectView> = all.filter(|one| one.project_id.to_string().starts_with(id)).collect();
        match found.as_slice() {
            [] => Err(problem(404, "not_found", format!("no project {id}"), None)),
            [one] => Ok((*one).clone()),
            _ => Err(problem(409, "ambiguous", format!("{id} names {} projects", found.len()), None)),
        }
    }
}

impl Service for Fake {
    async fn health(&self) -> Result<Health, Problem> {
        Ok(Health {
            version: "1.2.3".to_owned(),
            pid: 1,
            bus_connected: !self.state().bus_away,
            bus_version: None,
            hosts: 1,
            slots: 2,
            open_projects: 1,
            outbox: 0,
            dead_letters: 1,
        })
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetterView>, Problem> {
        Ok(vec![DeadLetterView {
            stream: "BATON_EVENTS".to_owned(),
            sequence: 7,
            subject: "baton.v1.event.x".to_owned(),
            at: UnixMs(0),
            reason: "missing field `kind`".to_owned(),
            payload_bytes: 9000,
            payload: "{\u{1b}[2J\"x\"}".to_owned(),
        }])
    }

    async fn hosts(&self) -> Result<Vec<HostView>, Problem> {
        let beat = Beat {
            host_id: HostId::from_uuid(Uuid::from_u128(0x0193_abcd_4f77_7000_8000_0000_0000_0003)),
            name: "desk".to_owned(),
            pool: "default".to_owned(),
            slots: 2,
            attempts: Vec::new(),
            spares: 1,
            accelerator: "tcg".to_owned(),
            accelerator_note: "no /dev/kvm".to_owned(),
            isolation: Isolation::Emulated,
            problems: Vec::new(),
        };
        Ok(vec![HostView { beat, seen_at: UnixMs(0), lost: true }])
    }

    async fn create_project(&self, new: NewProject) -> Result<ProjectView, Problem> {
        if new.plan.text.contains("bad") {
            let mut problem = problem(422, "plan_invalid", "the plan has errors", None);
            problem.findings = vec![finding(&new.plan.file)];
            return Err(problem);
        }
        let mut inner = self.state();
        inner.created.push(new);
        Ok(inner.project.clone())
    }

    async fn projects(&self) -> Result<Vec<ProjectView>, Problem> {
        let inner = self.state();
        let all = std::iter::once(&inner.project).chain(&inner.others).cloned();
        Ok(all
            .map(|mut one| {
                one.tasks.clear();
                one
            })
            .collect())
    }

    async fn project(&self, id: &str) -> Result<ProjectView, Problem> {
        self.known(id)
    }

    async fn feed(&self, id: &str, after: u64) -> Result<impl Stream<Item = FeedEvent> + Send + 'static, Problem> {
        self.known(id)?;
        self.state().asked_after.push(after);
        let fake = self.clone();
        let changed = self.changed.subscribe();
        Ok(stream::unfold((fake, changed, after), |(fake, mut changed, after)| async move {
            loop {
                changed.mark_unchanged();
                let (next, last) = {
                    let inner = fake.state();
                    (inner.events.iter().find(|event| event.sequence > after).cloned(), inner.project.state.is_final())
                };
                match next {
                    Some(event) => {
                        let sequence = event.sequence;
                        return Some((event, (fake, changed, sequence)));
                    }
                    None if last => return None,
                    None => changed.changed().await.ok()?,
                }
            }
        }))
    }

    async fn logs(
        &self,
        id: &str,
        task: Option<&str>,
        _follow: bool,
    ) -> Result<impl Stream<Item = LogChunk> + Send + 'static, Problem> {
        let project = self.known(id)?;
        if let Some(task) = task
            && !project.tasks.iter().any(|known| known.key == task)
        {
            return Err(problem(404, "not_found", format!("no task {task}"), None));
        }
        Ok(stream::iter(self.state().logs.clone()).boxed())
    }

    async fn journal(&self, id: &str) -> Result<Vec<JournalEntry>, Problem> {
        self.known(id)?;
        let event = Json::Map(BTreeMap::from([("reason".to_owned(), Json::Text("because".to_owned()))]));
        let at = UnixMs(1_700_000_000_000);
        Ok(vec![JournalEntry { sequence: 5, version: 1, at, kind: "project.created".to_owned(), event }])
    }

    async fn diff(&self, id: &str, _task: Option<&str>) -> Result<DiffView, Problem> {
        self.known(id)?;
        Ok(DiffView {
            base_commit: "a".repeat(40),
            commit: "b".repeat(40),
            changed: vec![changed("report.md")],
            text: "diff --git a/report.md b/report.md\n@@ -0,0 +1 @@\n+hello\n".to_owned(),
            truncated: false,
        })
    }

    async fn plan(&self, id: &str) -> Result<PlanView, Problem> {
        self.known(id)?;
        let text = "version: 1\ntitle: Audit\ntasks: [{ id: scan, run: echo one }]".to_owned();
        let report = planfile::check(&PlanSource { text, ..PlanSource::default() }, &skills::Catalog::default());
        let plan = report.plan.ok_or_else(|| problem(500, "internal", "the fake's plan", None))?;
        Ok(PlanView { plan, editable: true, digest: "5f1d".to_owned(), estimate: None })
    }

    async fn edit_plan(&self, id: &str, request: EditPlanRequest) -> Result<ProjectView, Problem> {
        let project = self.known(id)?;
        if request.plan.text.contains("bad") {
            let mut problem = problem(422, "plan_invalid", "the plan has errors", None);
            problem.findings = vec![finding(&request.plan.file)];
            return Err(problem);
        }
        self.state().edited.push(request.plan.text);
        Ok(project)
    }

    async fn tell(&self, id: &str, request: TellRequest) -> Result<TellView, Problem> {
        self.known(id)?;
        let now = vec![request.task.clone().unwrap_or_else(|| "scan".to_owned())];
        self.state().told.push(request);
        Ok(TellView { now, later: Vec::new() })
    }

    async fn budget(&self, id: &str, request: BudgetRequest) -> Result<ProjectView, Problem> {
        let project = self.known(id)?;
        self.state().budgets.push(request);
        Ok(project)
    }

    async fn cancel(&self, id: &str, request: CancelRequest) -> Result<ProjectView, Problem> {
        self.known(id)?;
        self.state().canceled.push(request);
        self.happen("project.canceled", ProjectState::Canceled, "canceled");
        self.known(id)
    }

    async fn apply(&self, id: &str, request: ApplyRequest) -> Result<ApplyView, Problem> {
        self.known(id)?;
        let conflicts = if self.state().conflict {
            let text = "<<<<<<< yours\n".to_owned();
            vec![Conflict { path: "report.md".to_owned(), kind: "content".to_owned(), text }]
        } else {
            Vec::new()
        };
        Ok(ApplyView {
            folder: "/f".to_owned(),
            dry_run: request.dry_run,
            changed: vec![changed("report.md")],
            merged_with_yours: vec!["report.md".to_owned()],
            conflicts,
        })
    }

    async fn undo(&self, id: &str, request: UndoRequest) -> Result<ApplyView, Problem> {
        self.apply(id, ApplyRequest { by: request.by, channel: "cli".to_owned(), dry_run: false }).await
    }

    async fn approvals(&self, all: bool) -> Result<Vec<ApprovalView>, Problem> {
        let approval = self.state().approval.clone();
        Ok(if all || approval.decision.is_none() { vec![approval] } else { Vec::new() })
    }

    async fn approval(&self, id: &str) -> Result<ApprovalView, Problem> {
        if approval_id().to_string().starts_with(id) {
            return Ok(self.state().approval.clone());
        }
        Err(problem(404, "not_found", format!("no approval {id}"), None))
    }

    async fn decide(&self, id: &str, request: DecisionRequest) -> Result<ApprovalView, Problem> {
        let mut approval = self.approval(id).await?;
        if request.digest != approval.digest {
            return Err(problem(409, "digest_mismatch", "the digest is another", None));
        }
        if approval.decision.is_some() {
            return Err(problem(409, "already_decided", "it was decided already", None));
        }
        let mut inner = self.state();
        let at = UnixMs(1_700_000_000_000);
        let vote =
            VoteView { by: request.by.clone(), channel: request.channel.clone(), note: request.note.clone(), at };
        approval.route.votes.push(vote);
        if request.verdict != Verdict::Approved || approval.route.votes.len() >= inner.needed {
            let by: Vec<&str> = approval.route.votes.iter().map(|vote| vote.by.as_str()).collect();
            approval.decision = Some(Decision {
                rule: None,
                approval_id: approval.approval_id,
                verdict: request.verdict,
                digest: request.digest.clone(),
                by: by.join(", "),
                channel: request.channel.clone(),
                note: request.note.clone(),
                decided_at: at,
            });
        }
        inner.decided.push(request);
        inner.approval = approval.clone();
        Ok(approval)
    }

    async fn decide_batch(&self, request: BatchRequest) -> Result<Vec<BatchOutcome>, Problem> {
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
            let voted = self.decide(&item.approval_id.to_string(), one).await;
            outcomes.push(BatchOutcome { approval_id: item.approval_id, problem: voted.err() });
        }
        Ok(outcomes)
    }

    async fn ask_agent(&self, id: &str, request: AskRequest) -> Result<ApprovalView, Problem> {
        let mut approval = self.approval(id).await?;
        let AskRequest { question, by, channel } = request;
        let answer = Some("because of \u{1b}[31mthis".to_owned());
        approval.route.questions.push(AskedView { by, channel, question, at: UnixMs(0), answer });
        self.state().approval = approval.clone();
        Ok(approval)
    }

    async fn delegate(&self, id: &str, request: DelegateRequest) -> Result<ApprovalView, Problem> {
        let mut approval = self.approval(id).await?;
        approval.route.delegations.push(DelegationView { from: request.by, to: request.to, at: UnixMs(0) });
        self.state().approval = approval.clone();
        Ok(approval)
    }

    async fn viewed(&self, id: &str, request: ViewedRequest) -> Result<(), Problem> {
        self.approval(id).await?;
        self.state().views.push(request);
        Ok(())
    }

    async fn remembered(&self) -> Result<Vec<RememberedView>, Problem> {
        Ok(vec![self.state().remembered.clone()])
    }

    async fn revoke(&self, id: &str, request: RevokeRequest) -> Result<RememberedView, Problem> {
        self.approval(id).await?;
        let mut inner = self.state();
        inner.remembered.revoked_by = Some(request.by);
        Ok(inner.remembered.clone())
    }

    async fn fatigue(&self) -> Result<FatigueView, Problem> {
        Ok(FatigueView {
            finished_projects: 3,
            prompts: 7,
            prompts_median: 2,
            approved_permille: 985,
            ..FatigueView::default()
        })
    }

    async fn audit(&self, after: u64, _project: Option<&str>) -> Result<Vec<AuditEntry>, Problem> {
        Ok(audited().into_iter().filter(|entry| entry.number > after).take(2).collect())
    }

    async fn verify_audit(&self, head: Option<String>) -> Result<AuditReport, Problem> {
        let is_known = head.is_none_or(|head| audited().iter().any(|entry| entry.hash == head));
        let mut findings = Vec::new();
        if !is_known {
            findings.push(AuditFinding { number: 0, problem: "no entry has the hash".to_owned() });
        }
        if self.state().tampered {
            findings.push(AuditFinding { number: 2, problem: "it was changed: its hash is another".to_owned() });
        }
        Ok(AuditReport { entries: 3, starts_at: 9, head: audited()[2].hash.clone(), findings })
    }

    async fn all_feed(&self, _after: u64) -> Result<impl Stream<Item = FeedEvent> + Send + 'static, Problem> {
        Ok(stream::empty())
    }

    async fn presets(&self) -> Result<Vec<Preset>, Problem> {
        Ok(Vec::new())
    }

    fn trusts_names(&self) -> bool {
        self.state().trusting
    }

    async fn check_plan(&self, source: PlanSource) -> Result<PlanReport, Problem> {
        let findings = if source.text.contains("bad") { vec![finding(&source.file)] } else { Vec::new() };
        Ok(PlanReport { findings, plan: None, layers: Vec::new() })
    }

    async fn rebuild(&self) -> Result<RebuildReport, Problem> {
        Ok(RebuildReport { journal_entries: 9, rows: 3, differences: self.state().differences })
    }
}

/// The verdict of the one request, once there is one.
pub fn verdict_of(fake: &Fake) -> Option<Verdict> {
    fake.state().approval.decision.as_ref().map(|decision| decision.verdict)
}
