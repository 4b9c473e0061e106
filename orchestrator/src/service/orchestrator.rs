//! What the API asks, answered.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use bus_schemas::{
    id::ProjectId,
    v1::{
        api::{
            ApplyRequest, ApplyView, ApprovalView, AskRequest, AuditEntry, AuditReport, BatchOutcome, BatchRequest,
            BudgetRequest, CancelRequest, DeadLetterView, DecisionRequest, DelegateRequest, DiffView, EditPlanRequest,
            FatigueView, FeedEvent, Health, HostView, JournalEntry, LetterQuery, LetterRequest, LetterView, MailView,
            NewProject, OutView, PlanReport, PlanSource, PlanView, Problem, ProjectView, RebuildReport, RememberedView,
            RevokeRequest, TaskView, TellRequest, TellView, UndoRequest, ViewedRequest,
        },
        approval::ApprovalSubject,
        skill::SkillReview,
        task::LogChunk,
    },
};
use bytes::Bytes;
use futures::Stream;

use super::{
    create::blocking,
    editing::has_agents,
    feed::{self, Until},
    letters::of_mail,
    problem::{of_journal, of_refusal, problem},
    resolve,
};
use crate::{
    adapter::{
        bus::{Logs, NatsBus},
        shadow::ShadowRepos,
        shelf::Shelf,
        sqlite::Store,
    },
    digest,
    driver::{Detail, FolderTurns, Handle, Turns},
    plan::event::Fact,
    planfile::ModelConfig,
    policy::Rules,
    port::{
        Clock, Ids, Preset, Service,
        journal::JournalError,
        mail::MailRoom,
        waiting::{Waiting, Waits},
    },
};

/// The running orchestrator, as the API sees it. Cheap to clone.
#[derive(Clone)]
pub struct Orchestrator {
    pub(super) store: Store,
    pub(super) handle: Handle<Store, NatsBus>,
    pub(super) bus: NatsBus,
    pub(super) shadow: Arc<ShadowRepos>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) models: Arc<ModelConfig>,
    /// People, policies and presets.
    pub(super) rules: Arc<Rules>,
    /// Where projects without a folder get one.
    pub(super) data_dir: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    /// One apply per folder, from the plan until it is written: the next one then sees what it did.
    pub(super) applying: Arc<FolderTurns>,
    /// One start per key.
    pub(super) starting: Arc<Turns<String>>,
    /// What came and went by mail, once mail is started.
    pub(super) mail: Arc<OnceLock<Arc<dyn MailRoom>>>,
}

impl std::fmt::Debug for Orchestrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Orchestrator").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Orchestrator {
    pub(super) async fn view(&self, project_id: ProjectId) -> Result<ProjectView, Problem> {
        let view = self.read(self.store.project(project_id).await)?;
        view.ok_or_else(|| problem("not_found", 404, format!("there is no project {project_id}")))
    }

    async fn head(&self, id: &str) -> Result<ProjectView, Problem> {
        let project_id = resolve::project(&self.store, id).await?;
        let view = self.read(self.store.project_head(project_id).await)?;
        view.ok_or_else(|| problem("not_found", 404, format!("there is no project {project_id}")))
    }

    pub(super) async fn task(&self, project_id: ProjectId, key: &str) -> Result<TaskView, Problem> {
        let task = self.read(self.store.task(project_id, key.to_owned()).await)?;
        task.ok_or_else(|| problem("not_found", 404, format!("project {project_id} has no task {key}")))
    }

    #[expect(clippy::unused_self, reason = "reads as what it is: an answer of this orchestrator's store")]
    pub(super) fn read<T>(&self, answer: Result<T, JournalError>) -> Result<T, Problem> {
        answer.map_err(|e| of_journal(&e))
    }

    /// Adds the plan to a request that is about one, and what it may cost.
    async fn with_plan(&self, mut view: ApprovalView) -> Result<ApprovalView, Problem> {
        if view.subject == ApprovalSubject::Plan {
            let text = self.read(self.store.plan_detail(view.project_id, view.approval_id).await)?;
            if let Some(Ok(Detail::Project(detail))) = text.as_deref().map(serde_json::from_str) {
                let scripts = detail.scripts.iter();
                view.scripts = scripts.map(|(path, text)| (path.clone(), digest::of_bytes(text.as_bytes()))).collect();
                view.skills = detail.skills.iter().map(|skill| (skill.name.clone(), skill.sha256.clone())).collect();
                view.skill_reviews = detail.skills.into_iter().filter(SkillReview::needs_approval).collect();
                view.plan = Some(detail.plan);
            }
        }
        view.estimate = view.plan.as_ref().filter(|plan| has_agents(plan)).map(|plan| self.estimate(plan));
        Ok(view)
    }

    pub(super) async fn approval_view(&self, id: &str) -> Result<ApprovalView, Problem> {
        let approval_id = resolve::approval(&self.store, id).await?;
        let view = self.read(self.store.approval(approval_id).await)?;
        view.ok_or_else(|| problem("not_found", 404, format!("there is no approval {approval_id}")))
    }
}

impl Service for Orchestrator {
    async fn health(&self) -> Result<Health, Problem> {
        let backlog = self.read(self.store.backlog().await)?;
        let hosts = self.hosts().await?;
        let live = hosts.iter().filter(|host| !host.lost);
        let (count, slots) = live.fold((0, 0_u32), |(n, slots), host| (n + 1, slots.saturating_add(host.beat.slots)));
        let connection = self.bus.connection();
        Ok(Health {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            bus_connected: connection.is_connected(),
            bus_version: Some(connection.server_version()).filter(|version| !version.is_empty()),
            hosts: count,
            slots,
            open_projects: backlog.open_projects,
            outbox: backlog.outbox,
            dead_letters: backlog.dead_letters,
        })
    }

    async fn hosts(&self) -> Result<Vec<HostView>, Problem> {
        self.handle.hosts().await.map_err(|e| of_refusal(&e))
    }

    async fn create_project(&self, new: NewProject) -> Result<ProjectView, Problem> {
        self.start_project(new).await.map(|(view, _)| view)
    }

    async fn start_project(&self, new: NewProject) -> Result<(ProjectView, bool), Problem> {
        let started = self.create(new).await?;
        Ok((self.view(started.project_id).await?, started.is_new))
    }

    async fn projects(&self) -> Result<Vec<ProjectView>, Problem> {
        self.read(self.store.projects().await)
    }

    async fn project(&self, id: &str) -> Result<ProjectView, Problem> {
        self.view(resolve::project(&self.store, id).await?).await
    }

    async fn feed(&self, id: &str, after: u64) -> Result<impl Stream<Item = FeedEvent> + Send + 'static, Problem> {
        let project_id = resolve::project(&self.store, id).await?;
        Ok(feed::follow(self.store.clone(), self.handle.bells(), project_id, after))
    }

    async fn logs(
        &self,
        id: &str,
        task: Option<&str>,
        follow: bool,
    ) -> Result<impl Stream<Item = LogChunk> + Send + 'static, Problem> {
        let project_id = resolve::project(&self.store, id).await?;
        let task = match task {
            Some(key) => Some(self.task(project_id, key).await?),
            None => None,
        };
        let logs = Logs::new(self.bus.connection().clone(), project_id, task.as_ref().map(|task| task.task_id));
        let key = task.map(|task| task.key);
        let end = follow.then(|| Until::new(self.store.clone(), self.handle.bells(), project_id, key));
        logs.read(end).await.map_err(|detail| problem("bus_unavailable", 503, format!("read output: {detail}")))
    }

    async fn journal(&self, id: &str) -> Result<Vec<JournalEntry>, Problem> {
        let project_id = resolve::project(&self.store, id).await?;
        self.read(self.store.journal_of(project_id).await)
    }

    async fn diff(&self, id: &str, task: Option<&str>) -> Result<DiffView, Problem> {
        let head = self.head(id).await?;
        let project_id = head.project_id;
        let (base, commit) = match task {
            None => {
                let none = || problem("no_result", 409, format!("project {project_id} has no result yet"));
                (head.base_commit, head.result_commit.ok_or_else(none)?)
            }
            Some(key) => {
                let none = || problem("no_handoff", 409, format!("task {key} has handed nothing on yet"));
                let handoff = self.task(project_id, key).await?.handoff.ok_or_else(none)?;
                (handoff.base_commit, handoff.commit)
            }
        };
        self.kept(project_id, &base).await?;
        self.kept(project_id, &commit).await?;
        let shadow = Arc::clone(&self.shadow);
        let diff = blocking(move || shadow.diff(project_id, &base, &commit)).await?;
        diff.map_err(|e| problem("repository", 500, e.to_string()))
    }

    async fn cancel(&self, id: &str, request: CancelRequest) -> Result<ProjectView, Problem> {
        let project_id = resolve::project(&self.store, id).await?;
        let task_id = match &request.task {
            Some(key) => Some(self.task(project_id, key).await?.task_id),
            None => None,
        };
        let by = self.insider(project_id, &request.channel, &request.by).await?;
        let fact = Fact::CancelRequested { task_id, by, channel: request.channel, reason: request.reason };
        self.handle.ask(project_id, fact, None).await.map_err(|e| of_refusal(&e))?;
        self.view(project_id).await
    }

    async fn apply(&self, id: &str, request: ApplyRequest) -> Result<ApplyView, Problem> {
        let project_id = resolve::project(&self.store, id).await?;
        let view = self.view(project_id).await?;
        Box::pin(self.apply_result(view, request)).await
    }

    async fn undo(&self, id: &str, request: UndoRequest) -> Result<ApplyView, Problem> {
        let head = self.head(id).await?;
        self.undo_apply(head, request).await
    }

    async fn approvals(&self, all: bool) -> Result<Vec<ApprovalView>, Problem> {
        // What a request is about is large: it is read one by one.
        self.read(self.store.approvals(all).await)
    }

    async fn waiting(&self, which: Waiting, limit: usize) -> Result<Waits, Problem> {
        self.read(self.store.waiting(which, limit).await)
    }

    async fn approvals_json(&self, all: bool) -> Result<Vec<u8>, Problem> {
        self.read(self.store.approvals_json(all).await)
    }

    async fn approval(&self, id: &str) -> Result<ApprovalView, Problem> {
        self.with_plan(self.approval_view(id).await?).await
    }

    async fn decide(&self, id: &str, request: DecisionRequest) -> Result<ApprovalView, Problem> {
        self.vote(id, request).await
    }

    async fn decide_batch(&self, request: BatchRequest) -> Result<Vec<BatchOutcome>, Problem> {
        self.vote_on_all(request).await
    }

    async fn ask_agent(&self, id: &str, request: AskRequest) -> Result<ApprovalView, Problem> {
        self.question(id, request).await
    }

    async fn delegate(&self, id: &str, request: DelegateRequest) -> Result<ApprovalView, Problem> {
        self.hand_on(id, request).await
    }

    async fn viewed(&self, id: &str, request: ViewedRequest) -> Result<(), Problem> {
        self.seen_by(id, request).await
    }

    async fn remembered(&self) -> Result<Vec<RememberedView>, Problem> {
        self.read(self.store.remembered().await)
    }

    async fn revoke(&self, id: &str, request: RevokeRequest) -> Result<RememberedView, Problem> {
        self.take_back_remembered(id, request).await
    }

    async fn fatigue(&self) -> Result<FatigueView, Problem> {
        self.read(self.store.fatigue().await)
    }

    async fn audit(&self, after: u64, project: Option<&str>) -> Result<Vec<AuditEntry>, Problem> {
        self.audit_page(after, project).await
    }

    async fn verify_audit(&self, head: Option<String>) -> Result<AuditReport, Problem> {
        self.verified(head).await
    }

    async fn all_feed(&self, after: u64) -> Result<impl Stream<Item = FeedEvent> + Send + 'static, Problem> {
        Ok(feed::follow_all(self.store.clone(), self.handle.bells(), after))
    }

    async fn presets(&self) -> Result<Vec<Preset>, Problem> {
        let preset = |(name, preset): (&String, &crate::policy::Preset)| Preset {
            name: name.clone(),
            description: preset.description.clone(),
        };
        Ok(self.rules.presets.iter().map(preset).collect())
    }

    fn trusts_names(&self) -> bool {
        self.rules.trusts_names()
    }

    async fn plan(&self, id: &str) -> Result<PlanView, Problem> {
        self.plan_view(resolve::project(&self.store, id).await?).await
    }

    async fn edit_plan(&self, id: &str, request: EditPlanRequest) -> Result<ProjectView, Problem> {
        let project_id = resolve::project(&self.store, id).await?;
        self.edit(project_id, request).await?;
        self.view(project_id).await
    }

    async fn tell(&self, id: &str, request: TellRequest) -> Result<TellView, Problem> {
        self.say(resolve::project(&self.store, id).await?, request).await
    }

    async fn budget(&self, id: &str, request: BudgetRequest) -> Result<ProjectView, Problem> {
        let project_id = resolve::project(&self.store, id).await?;
        self.raise(project_id, request).await?;
        self.view(project_id).await
    }

    async fn check_plan(&self, source: PlanSource) -> Result<PlanReport, Problem> {
        self.report(source).await
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetterView>, Problem> {
        self.read(self.store.dead_letters().await)
    }

    async fn rebuild(&self) -> Result<RebuildReport, Problem> {
        self.handle.rebuild().await.map_err(|e| of_refusal(&e))
    }

    async fn letters(&self, query: LetterQuery) -> Result<Vec<LetterView>, Problem> {
        self.mail_room()?.letters(query).await.map_err(|e| of_mail(&e))
    }

    async fn letter(&self, id: &str) -> Result<LetterView, Problem> {
        self.mail_room()?.letter(id).await.map_err(|e| of_mail(&e))
    }

    async fn letter_text(&self, id: &str) -> Result<Bytes, Problem> {
        self.mail_room()?.text(id).await.map_err(|e| of_mail(&e))
    }

    async fn release_letter(&self, id: &str, request: LetterRequest) -> Result<LetterView, Problem> {
        self.judge_letter(id, request, true).await
    }

    async fn drop_letter(&self, id: &str, request: LetterRequest) -> Result<LetterView, Problem> {
        self.judge_letter(id, request, false).await
    }

    async fn mail(&self) -> Result<MailView, Problem> {
        Ok(self.mail_room()?.view())
    }

    async fn mail_outbox(&self, limit: u32) -> Result<Vec<OutView>, Problem> {
        self.mail_room()?.outbox(limit).await.map_err(|e| of_mail(&e))
    }
}
