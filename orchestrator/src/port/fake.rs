//! For tests of the bridges: an orchestrator that decides by simple rules, writes down what it is asked, and tells the feed.

mod known;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus_schemas::{
    id::ApprovalId,
    time::UnixMs,
    v1::{
        api::{
            ApplyRequest, ApplyView, ApprovalView, AskRequest, AskedView, AuditEntry, AuditReport, BatchOutcome,
            BatchRequest, BudgetRequest, CancelRequest, DeadLetterView, DecisionRequest, DelegateRequest,
            DelegationView, DiffView, EditPlanRequest, FatigueView, FeedEvent, Health, HostView, JournalEntry,
            NewProject, PlanReport, PlanSource, PlanView, Problem, ProjectView, RebuildReport, RememberedView,
            RevokeRequest, TaskView, TellRequest, TellView, UndoRequest, ViewedRequest, VoteView,
        },
        approval::{Decision, Verdict},
        project::ProjectState,
        task::LogChunk,
    },
};
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::watch;

pub(crate) use self::known::Known;
use super::{
    Preset, Service,
    waiting::{Waiting, Waits},
};

#[derive(Clone, Debug)]
pub(crate) struct FakeService {
    known: Arc<Mutex<Known>>,
    bell: watch::Sender<()>,
}

pub(crate) fn problem(code: &str, status: u16) -> Problem {
    Problem { code: code.to_owned(), status, detail: format!("it is {code}"), hint: None, findings: Vec::new() }
}

/// It answers nothing else until it is told otherwise.
#[expect(clippy::unnecessary_wraps, reason = "this is what `Known::down` is set to")]
pub(crate) fn down() -> Option<(Problem, u32)> {
    Some((problem("shutting_down", 503), u32::MAX))
}

fn unused<T>() -> Result<T, Problem> {
    Err(problem("not_asked_in_tests", 500))
}

impl FakeService {
    /// With this project. People are called as the bridge calls them.
    pub(crate) fn new(project: ProjectView, now: UnixMs) -> Self {
        Self { known: Arc::new(Mutex::new(Known::new(project, now))), bell: watch::Sender::new(()) }
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known())
    }

    /// A request is asked, or is another now; the feed says so.
    pub(crate) fn asks(&self, view: ApprovalView) {
        let approval_id = view.approval_id;
        self.with(|known| {
            known.approvals.insert(approval_id, view);
            let pending = known.approvals.values().filter(|view| view.decision.is_none());
            known.project.pending_approvals = pending.map(|view| view.approval_id).collect();
        });
        self.feeds("approval.due", "something", Some(approval_id), Vec::new());
    }

    /// The feed says that something happened.
    pub(crate) fn feeds(&self, kind: &str, text: &str, approval_id: Option<ApprovalId>, tasks: Vec<TaskView>) {
        self.with(|known| {
            let sequence = known.events.len() as u64 + 1;
            known.events.push(FeedEvent {
                sequence,
                kind: kind.to_owned(),
                at: UnixMs(known.now.0 + known.events.len() as i64 + 1),
                project_id: known.project.project_id,
                task_key: None,
                project_state: known.project.state,
                text: text.to_owned(),
                tasks,
                approval_id,
            });
        });
        self.bell.send_replace(());
    }

    /// The feed says that something happened to a request, or to the project.
    pub(crate) fn rings(&self, approval_id: Option<ApprovalId>) {
        self.feeds("something.happened", "something happened", approval_id, Vec::new());
    }

    fn up(&self) -> Result<(), Problem> {
        self.with(|known| {
            known.calls += 1;
            match &mut known.down {
                Some((problem, left)) if *left > 0 => {
                    *left = if *left == u32::MAX { *left } else { *left - 1 };
                    Err(problem.clone())
                }
                _ => Ok(()),
            }
        })
    }

    fn name(&self, by: &str) -> String {
        let names = self.with(|known| known.names);
        names(by)
    }

    fn find(&self, id: &str) -> Result<ApprovalView, Problem> {
        let known = self.known();
        let found = known.approvals.values().find(|view| view.approval_id.to_string() == id);
        found.cloned().ok_or_else(|| problem("not_found", 404))
    }
}

/// Why this person may not decide this so.
fn refused(view: &ApprovalView, request: &DecisionRequest, by: &String) -> Option<Problem> {
    let route = &view.route;
    let (code, status) = if view.decision.is_some() {
        ("already_decided", 409)
    } else if view.digest != request.digest {
        ("digest_mismatch", 409)
    } else if route.excluded.contains(by) {
        ("self_approval", 403)
    } else if !route.eligible.is_empty() && !route.eligible.contains(by) {
        ("not_eligible", 403)
    } else if route.votes.iter().any(|vote| vote.by == *by) {
        ("already_voted", 409)
    } else if request.verdict != Verdict::Approved && request.note.is_empty() {
        ("note_required", 422)
    } else {
        return None;
    };
    Some(problem(code, status))
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
        let owner = self.name(&new.owner);
        Ok(self.with(|known| {
            if !known.created.iter().any(|one| one.key.is_some() && one.key == new.key) {
                known.project.owner = owner;
                known.project.goal = new.goal.clone().unwrap_or_default();
                known.project.created_at = known.now;
                known.created.push(new);
            }
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
        self.up()?;
        Ok(self.with(|known| known.journal.clone()))
    }

    async fn diff(&self, _: &str, _: Option<&str>) -> Result<DiffView, Problem> {
        self.up()?;
        Ok(self.with(|known| known.diff.clone()))
    }

    async fn plan(&self, _: &str) -> Result<PlanView, Problem> {
        unused()
    }

    async fn edit_plan(&self, _: &str, request: EditPlanRequest) -> Result<ProjectView, Problem> {
        self.up()?;
        let takes = self.with(|known| known.edit_takes);
        tokio::time::sleep(takes).await;
        if let Some(problem) = self.with(|known| known.edit_fails.clone()) {
            return Err(problem);
        }
        let shown = self.with(|known| known.approvals.values().find(|view| view.digest == request.digest).cloned());
        let Some(mut before) = shown.filter(|view| view.decision.is_none()) else {
            return Err(problem("digest_mismatch", 409));
        };
        let mut after = before.clone();
        (after.approval_id, after.digest) = (ApprovalId::from_uuid(uuid::Uuid::from_u128(77)), "e".repeat(64));
        let after = self.with(|known| known.next.take()).unwrap_or(after);
        before.decision = Some(Decision {
            approval_id: before.approval_id,
            verdict: Verdict::Rejected,
            digest: before.digest.clone(),
            by: "orchestrator".to_owned(),
            channel: "void".to_owned(),
            rule: None,
            note: format!("{} proposes another plan", self.name(&request.by)),
            decided_at: self.with(|known| known.now),
        });
        self.with(|known| known.edits.push(request));
        self.asks(before);
        if !self.with(|known| known.is_auto) {
            self.asks(after);
        }
        Ok(self.with(|known| known.project.clone()))
    }

    async fn tell(&self, _: &str, request: TellRequest) -> Result<TellView, Problem> {
        self.up()?;
        let from = self.name(&request.by);
        self.with(|known| {
            let event = serde_json::json!({"fact": {"from": from, "text": request.text}});
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
        self.find(id)
    }

    async fn decide(&self, id: &str, request: DecisionRequest) -> Result<ApprovalView, Problem> {
        self.with(|known| known.tries += 1);
        self.up()?;
        if self.with(|known| known.away) {
            return Err(problem("away", 503));
        }
        let mut view = self.find(id)?;
        let by = self.name(&request.by);
        if let Some(problem) = refused(&view, &request, &by) {
            return Err(problem);
        }
        let (quorum, now, channel) = self.with(|known| (known.quorum, known.now, request.channel.clone()));
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
        let mut view = self.find(id)?;
        let at = self.with(|known| known.now);
        let (by, channel, question) = (self.name(&request.by), request.channel.clone(), request.question.clone());
        view.route.questions.push(AskedView { by, channel, question, at, answer: None });
        self.with(|known| known.asked.push(request));
        self.asks(view.clone());
        Ok(view)
    }

    async fn delegate(&self, id: &str, request: DelegateRequest) -> Result<ApprovalView, Problem> {
        self.up()?;
        let mut view = self.find(id)?;
        let (from, at) = (self.name(&request.by), self.with(|known| known.now));
        view.route.delegations.push(DelegationView { from, to: request.to.clone(), at });
        self.with(|known| known.delegated.push(request));
        self.asks(view.clone());
        Ok(view)
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
        let by = self.name(&request.by);
        self.with(|known| {
            let mut all = known.remembered.iter_mut();
            let one = all.find(|one| one.approval_id.to_string().starts_with(id));
            let one = one.ok_or_else(|| problem("not_found", 404))?;
            one.revoked_by = Some(by);
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
