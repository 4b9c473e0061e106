//! Putting a result into the folder, and taking it back.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bus_schemas::{
    id::ProjectId,
    v1::api::{ApplyRequest, ApplyView, Problem, ProjectView, UndoRequest},
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
    plan::event::Fact,
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
        match self.last_apply(project_id).await? {
            Some(LastApply { stage: ApplyStage::Finished, .. }) if !request.dry_run => {
                let detail = format!("the result of project {project_id} is in the folder already");
                return Err(hinted("already_applied", 409, detail, "`baton undo` takes it back"));
            }
            Some(LastApply { stage: ApplyStage::Started, .. }) if !request.dry_run => {
                self.written(project_id).await?;
                return self
                    .worked_out(&view, &result)
                    .await
                    .map(|plan| plan.view(&PathBuf::from(&view.folder), false));
            }
            _ => {}
        }
        let plan = self.worked_out(&view, &result).await?;
        let folder = PathBuf::from(&view.folder);
        let Some(after_commit) = plan.after_commit.clone().filter(|_| !request.dry_run) else {
            return Ok(plan.view(&folder, true));
        };
        let fact = Fact::ApplyStarted { by: request.by, before_commit: plan.before_commit.clone(), after_commit };
        self.handle.ask(project_id, fact, None).await.map_err(|e| of_refusal(&e))?;
        self.written(project_id).await?;
        Ok(plan.view(&folder, false))
    }

    async fn worked_out(&self, view: &ProjectView, result: &str) -> Result<crate::adapter::shadow::ApplyPlan, Problem> {
        let project_id = view.project_id;
        self.kept(project_id, result).await?;
        let shadow = Arc::clone(&self.shadow);
        let (base, result, folder) = (view.base_commit.clone(), result.to_owned(), PathBuf::from(&view.folder));
        blocking(move || shadow.plan_apply(project_id, &base, &result, &folder)).await?.map_err(|e| inapplicable(&e))
    }

    /// Waits until the apply under way is finished, or was taken back.
    async fn written(&self, project_id: ProjectId) -> Result<(), Problem> {
        let mut bell = self.handle.bells().listen(project_id);
        let done = async {
            loop {
                bell.borrow_and_update();
                match self.last_apply(project_id).await? {
                    Some(LastApply { stage: ApplyStage::Started, .. }) => {
                        if bell.changed().await.is_err() {
                            return Err(problem("shutting_down", 503, "the orchestrator is shutting down"));
                        }
                    }
                    Some(LastApply { stage: ApplyStage::Undone { by }, .. }) => {
                        let detail =
                            format!("the folder changed while the result was applied; nothing was written: {by}");
                        return Err(hinted("folder_changed", 409, detail, "apply again"));
                    }
                    Some(LastApply { stage: ApplyStage::Finished, .. }) | None => return Ok(()),
                }
            }
        };
        match tokio::time::timeout(PATIENCE, done).await {
            Ok(done) => done,
            Err(_) => {
                let hint = "the orchestrator's log says what is in the way; it goes on by itself once that is gone";
                Err(hinted("apply_unfinished", 503, "the result is not written to the folder yet", hint))
            }
        }
    }

    pub(super) async fn undo_apply(&self, view: ProjectView, request: UndoRequest) -> Result<ApplyView, Problem> {
        let project_id = view.project_id;
        let nothing =
            || problem("nothing_applied", 409, format!("project {project_id} has nothing applied to take back"));
        let last = self.last_apply(project_id).await?.ok_or_else(nothing)?;
        match last.stage {
            ApplyStage::Undone { .. } => return Err(nothing()),
            ApplyStage::Started => self.written(project_id).await?,
            ApplyStage::Finished => {}
        }
        let shadow = Arc::clone(&self.shadow);
        let (before, after, folder) = (last.before_commit, last.after_commit, PathBuf::from(&view.folder));
        let undone = blocking(move || shadow.undo(project_id, &before, &after, &folder, request.force)).await?;
        let undone = undone.map_err(|e| inapplicable(&e))?;
        // The folder first: if this is not recorded, undoing again finds nothing to do and records it.
        self.handle.ask(project_id, Fact::ApplyUndone { by: request.by }, None).await.map_err(|e| of_refusal(&e))?;
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

fn inapplicable(error: &ApplyError) -> Problem {
    let detail = error.to_string();
    match error {
        ApplyError::Import(error) => unimportable(error),
        ApplyError::ChangedMeanwhile { .. } => hinted(
            "folder_changed",
            409,
            detail,
            "keep a copy of these files; for an undo, --force puts back what was there before the apply",
        ),
        ApplyError::Obstructed { .. } => problem("folder_obstructed", 409, detail),
        ApplyError::DiskFull { .. } => problem("disk_full", 507, detail),
        ApplyError::UnsafePath { .. } => problem("unsafe_path", 422, detail),
        ApplyError::Repository(_) | ApplyError::Io { .. } => problem("repository", 500, chain(error)),
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
