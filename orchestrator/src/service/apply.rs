//! Putting a result into the folder, and taking it back.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bus_schemas::{
    id::ProjectId,
    v1::{
        api::{ApplyRequest, ApplyView, ApprovalView, Problem, ProjectView, UndoRequest},
        approval::Verdict as WireVerdict,
    },
};

use super::{
    create::{blocking, unimportable},
    orchestrator::Orchestrator,
    problem::{hinted, of_journal, of_refusal, problem},
};
use crate::{
    adapter::{
        shadow::ApplyError,
        sqlite::{ApplyStage, LastApply},
    },
    plan::event::{Fact, Verdict},
};

/// How long somebody waits for the folder to be written before they are told that it goes on without them.
const PATIENCE: Duration = Duration::from_secs(120);

impl Orchestrator {
    pub(super) async fn apply_result(&self, view: ProjectView, request: ApplyRequest) -> Result<ApplyView, Problem> {
        let project_id = view.project_id;
        let Some(result) = view.result_commit.clone() else {
            let state = view.counts.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>();
            let detail = format!("project {project_id} has no result to apply (tasks: {})", state.join(", "));
            return Err(problem("no_result", 409, detail));
        };
        let mut by = String::new();
        if !request.dry_run {
            by = self.insider(project_id, &request.channel, &request.by).await?;
            match self.read(self.store.apply_request(project_id).await)? {
                Some(asked) => {
                    if let Some(view) = self.by_vote(&view, asked, &request).await? {
                        return Ok(view);
                    }
                }
                // Where nobody has to approve it, this is refused, and nothing is lost by that.
                None => {
                    let wanted = Fact::ApplyWanted { by: by.clone() };
                    if self.handle.ask(project_id, wanted, None).await.is_ok() {
                        let detail = "those who approve it are being asked: they could not be before";
                        return Err(hinted("waits_for_others", 409, detail, "`baton approvals` shows the request"));
                    }
                }
            }
        }
        let _turn = self.applying.turn(&view.folder).await;
        if !request.dry_run
            && let Some(last) = self.last_apply(project_id).await?
        {
            match last.stage {
                ApplyStage::Finished => {
                    let detail = format!("the result of project {project_id} is in the folder already");
                    return Err(hinted("already_applied", 409, detail, "`baton undo` takes it back"));
                }
                ApplyStage::Started | ApplyStage::Stalled { .. } => {
                    return self.go_on(&view, last, by, request.channel).await;
                }
                ApplyStage::Stopped { .. } | ApplyStage::Undone { .. } => {}
            }
        }
        let plan = self.worked_out(&view, &result).await?;
        let folder = PathBuf::from(&view.folder);
        let Some(after_commit) = plan.after_commit.clone().filter(|_| !request.dry_run) else {
            return Ok(plan.view(&folder, true));
        };
        let (channel, before_commit) = (request.channel, plan.before_commit.clone());
        let fact = Fact::ApplyStarted { by, channel, before_commit, after_commit };
        self.handle.ask(project_id, fact, None).await.map_err(|e| of_refusal(&e))?;
        self.written(project_id).await?;
        Ok(plan.view(&folder, false))
    }

    /// Where a policy says who approves an apply, asking for it is a vote. `None` if there is nothing to decide (any more) and it
    /// can be applied.
    async fn by_vote(
        &self,
        project: &ProjectView,
        asked: ApprovalView,
        request: &ApplyRequest,
    ) -> Result<Option<ApplyView>, Problem> {
        let project_id = project.project_id;
        if let Some(decision) = &asked.decision {
            if decision.verdict == WireVerdict::Approved {
                return Ok(None);
            }
            let detail = format!("the result of project {project_id} may not be applied: {} decided so", decision.by);
            return Err(hinted(
                "apply_rejected",
                409,
                detail,
                "`baton diff` shows it; another project can do it otherwise",
            ));
        }
        let fact = Fact::ApprovalDecided {
            approval_id: asked.approval_id,
            verdict: Verdict::Approved,
            digest: asked.digest,
            by: self.person(&request.channel, &request.by),
            channel: request.channel.clone(),
            note: String::new(),
            remember: None,
        };
        let seq = self.handle.ask(project_id, fact, None).await.map_err(|e| of_refusal(&e))?;
        let after = self.approval_view(&asked.approval_id.to_string()).await?;
        if after.decision.is_none() {
            let detail = format!("your approval counts, and others must agree: {}", after.route.needs);
            let hint = "it is put into the folder once they did; `baton approvals` shows it";
            return Err(hinted("waits_for_others", 409, detail, hint));
        }
        self.applied_after(project_id, seq).await?;
        let last = self.last_apply(project_id).await?;
        let Some(last) = last else { return Err(problem("internal", 500, "an apply left no trace")) };
        self.changed_by(project, &last).await.map(Some)
    }

    /// Waits until what was approved is in the folder, or is not going to be.
    async fn applied_after(&self, project_id: ProjectId, seq: u64) -> Result<(), Problem> {
        let mut bell = self.handle.bells().listen(project_id);
        let begun = async {
            loop {
                bell.borrow_and_update();
                if let Some(detail) = self.read(self.store.apply_refused(project_id, seq).await)? {
                    let detail = format!("the result is approved, but not applied; nothing was written: {detail}");
                    return Err(hinted("not_applied", 409, detail, "clear that away and apply again"));
                }
                if self.last_apply(project_id).await?.is_some_and(|last| last.asked_seq > seq) {
                    return Ok(());
                }
                if bell.changed().await.is_err() {
                    return Err(problem("shutting_down", 503, "the orchestrator is shutting down"));
                }
            }
        };
        match tokio::time::timeout(PATIENCE, begun).await {
            Ok(begun) => begun?,
            Err(_) => return Err(unfinished()),
        }
        self.written(project_id).await
    }

    /// Lets an unfinished apply go on, as it was worked out when it began.
    async fn go_on(
        &self,
        view: &ProjectView,
        last: LastApply,
        by: String,
        channel: String,
    ) -> Result<ApplyView, Problem> {
        let project_id = view.project_id;
        if matches!(last.stage, ApplyStage::Stalled { .. }) {
            let resumed = self.handle.ask(project_id, Fact::ApplyResumed { by, channel }, None).await;
            resumed.map_err(|e| of_refusal(&e))?;
        }
        self.written(project_id).await?;
        self.changed_by(view, &last).await
    }

    /// What an apply changed in the folder.
    async fn changed_by(&self, view: &ProjectView, last: &LastApply) -> Result<ApplyView, Problem> {
        let (project_id, shadow) = (view.project_id, Arc::clone(&self.shadow));
        let (before, after) = (last.before_commit.clone(), last.after_commit.clone());
        let diff = blocking(move || shadow.diff(project_id, &before, &after)).await?;
        let diff = diff.map_err(|e| problem("repository", 500, e.to_string()))?;
        Ok(ApplyView {
            folder: view.folder.clone(),
            dry_run: false,
            changed: diff.changed,
            merged_with_yours: Vec::new(),
            conflicts: Vec::new(),
        })
    }

    async fn worked_out(&self, view: &ProjectView, result: &str) -> Result<crate::adapter::shadow::ApplyPlan, Problem> {
        let project_id = view.project_id;
        self.kept(project_id, result).await?;
        let shadow = Arc::clone(&self.shadow);
        let (base, result, folder) = (view.base_commit.clone(), result.to_owned(), PathBuf::from(&view.folder));
        blocking(move || shadow.plan_apply(project_id, &base, &result, &folder)).await?.map_err(|e| inapplicable(&e))
    }

    /// Waits until the apply under way has ended, one way or another.
    async fn written(&self, project_id: ProjectId) -> Result<(), Problem> {
        let mut bell = self.handle.bells().listen(project_id);
        let done = async {
            loop {
                bell.borrow_and_update();
                let Some(last) = self.last_apply(project_id).await? else { return Ok(()) };
                if let Some(ended) = ended(last.stage) {
                    return ended;
                }
                if bell.changed().await.is_err() {
                    return Err(problem("shutting_down", 503, "the orchestrator is shutting down"));
                }
            }
        };
        match tokio::time::timeout(PATIENCE, done).await {
            Ok(done) => done,
            Err(_) => Err(unfinished()),
        }
    }

    pub(super) async fn undo_apply(&self, view: ProjectView, mut request: UndoRequest) -> Result<ApplyView, Problem> {
        request.by = self.insider(view.project_id, &request.channel, &request.by).await?;
        let this = self.clone();
        // Its own task: once begun, it goes on even if nobody waits for the answer any more.
        let undone = tokio::spawn(async move { this.take_back(view, request).await }).await;
        undone.map_err(|e| problem("internal", 500, e.to_string()))?
    }

    async fn take_back(&self, view: ProjectView, request: UndoRequest) -> Result<ApplyView, Problem> {
        let project_id = view.project_id;
        let nothing =
            || problem("nothing_applied", 409, format!("project {project_id} has nothing applied to take back"));
        // While the folder is held, what is being written now has ended, and nothing more is.
        let _held = self.handle.hold_folder(&view.folder).await;
        let last = self.last_apply(project_id).await?.ok_or_else(nothing)?;
        if matches!(last.stage, ApplyStage::Undone { .. } | ApplyStage::Stopped { .. }) {
            return Err(nothing());
        }
        let shadow = Arc::clone(&self.shadow);
        let (before, after, folder) = (last.before_commit, last.after_commit, PathBuf::from(&view.folder));
        let undone = blocking(move || shadow.undo(project_id, &before, &after, &folder, request.force)).await?;
        let undone = undone.map_err(|e| not_undone(&e))?;
        // The folder first: if this is not recorded, undoing again finds nothing to do and records it.
        let fact = Fact::ApplyUndone { by: request.by, channel: request.channel };
        self.handle.ask(project_id, fact, None).await.map_err(|e| of_refusal(&e))?;
        self.handle.withdraw(last.asked_seq);
        Ok(undone)
    }

    async fn last_apply(&self, project_id: ProjectId) -> Result<Option<LastApply>, Problem> {
        self.store.last_apply(project_id).await.map_err(|e| of_journal(&e))
    }

    /// Sees to it that a commit is at hand.
    pub(super) async fn kept(&self, project_id: ProjectId, commit: &str) -> Result<(), Problem> {
        self.handle.keep(project_id, commit).await.map_err(|detail| problem("commit_missing", 503, detail))
    }
}

fn unfinished() -> Problem {
    let detail = "the result is not written to the folder yet; it is still being worked on";
    hinted("apply_unfinished", 409, detail, "`baton apply` waits again, `baton undo` takes it back")
}

/// What came of an apply; nothing while it is being written.
fn ended(stage: ApplyStage) -> Option<Result<(), Problem>> {
    Some(match stage {
        ApplyStage::Started => return None,
        ApplyStage::Finished => Ok(()),
        ApplyStage::Stopped { detail } => {
            let detail = format!("the result is not applied, nothing was written: {detail}");
            Err(hinted("not_applied", 409, detail, "clear that away and apply again"))
        }
        ApplyStage::Stalled { detail } => {
            let detail = format!("only some of the result is in the folder: {detail}");
            let hint = "clear that away and `baton apply` goes on; `baton undo` puts the folder back as it was";
            Err(hinted("apply_unfinished", 409, detail, hint))
        }
        ApplyStage::Undone { by } => {
            Err(problem("apply_undone", 409, format!("{by} took the apply back while it was written")))
        }
    })
}

fn inapplicable(error: &ApplyError) -> Problem {
    let detail = error.to_string();
    match error {
        ApplyError::Import(error) => unimportable(error),
        ApplyError::ChangedMeanwhile { .. } => {
            hinted("folder_changed", 409, detail, "apply again when nothing else writes to the folder")
        }
        ApplyError::Obstructed { .. } => {
            let detail = format!("{detail}; nothing was written");
            hinted("folder_obstructed", 409, detail, "move it out of the folder and apply again")
        }
        ApplyError::UnsafePath { .. } => {
            hinted("unsafe_path", 409, detail, "`baton diff` shows the result; it cannot be applied as it is")
        }
        ApplyError::DiskFull { .. } => problem("disk_full", 507, detail),
        ApplyError::Repository(_) | ApplyError::Io { .. } => problem("repository", 500, error.with_causes()),
    }
}

fn not_undone(error: &ApplyError) -> Problem {
    let detail = error.to_string();
    match error {
        ApplyError::ChangedMeanwhile { .. } => {
            let hint = "keep a copy of these files; --force puts back what was there before the apply";
            hinted("folder_changed", 409, detail, hint)
        }
        ApplyError::Obstructed { .. } => {
            hinted("folder_obstructed", 409, detail, "move it out of the folder and undo again")
        }
        ApplyError::Io { .. } => {
            let hint = "mend that and undo again: it goes on where it stopped";
            hinted("undo_unfinished", 409, error.with_causes(), hint)
        }
        _ => inapplicable(error),
    }
}
