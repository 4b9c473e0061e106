//! What the orchestrator needs of the world, as traits.

pub mod bus;
pub mod effect;
#[cfg(test)]
pub(crate) mod fake;
pub mod journal;
pub mod mail;
mod rows;
pub mod skills;
pub mod waiting;

use bus_schemas::{
    id::ProjectId,
    v1::{
        api::{
            ApplyRequest, ApplyView, ApprovalView, AskRequest, AuditEntry, AuditReport, BatchOutcome, BatchRequest,
            BudgetRequest, CancelRequest, DeadLetterView, DecisionRequest, DelegateRequest, DiffView, EditPlanRequest,
            FatigueView, FeedEvent, Health, HostView, JournalEntry, LetterQuery, LetterRequest, LetterView, MailView,
            NewProject, OutView, PlanReport, PlanSource, PlanView, Problem, ProjectView, RebuildReport, RememberedView,
            RevokeRequest, TellRequest, TellView, UndoRequest, ViewedRequest,
        },
        handoff::ChangedPath,
        task::LogChunk,
    },
};
use bytes::Bytes;
use futures::{
    Stream,
    future::{Future, ready},
};

use mail::mail_off;
use waiting::{Waiting, Waits};

/// Everything the HTTP API (and with it the command line, a board, a bridge) can ask of a running orchestrator.
/// One method per row of the table in [`bus_schemas::v1::api`]; ids are given as the person wrote them
/// (a UUID or a unique prefix) and resolved here.
pub trait Service: Clone + Send + Sync + 'static {
    /// How the orchestrator is.
    fn health(&self) -> impl Future<Output = Result<Health, Problem>> + Send;
    /// The hosts it knows.
    fn hosts(&self) -> impl Future<Output = Result<Vec<HostView>, Problem>> + Send;
    /// Starts a project.
    fn create_project(&self, new: NewProject) -> impl Future<Output = Result<ProjectView, Problem>> + Send;
    /// Starts a project, or finds the one that its key started: whether it is new.
    fn start_project(&self, new: NewProject) -> impl Future<Output = Result<(ProjectView, bool), Problem>> + Send {
        async move { self.create_project(new).await.map(|view| (view, true)) }
    }
    /// Every project, newest first, without tasks.
    fn projects(&self) -> impl Future<Output = Result<Vec<ProjectView>, Problem>> + Send;
    /// One project, with tasks.
    fn project(&self, id: &str) -> impl Future<Output = Result<ProjectView, Problem>> + Send;
    /// What happens in a project from `after` (a journal sequence) on; ends when the project is final and has nothing left to say.
    fn feed(
        &self,
        id: &str,
        after: u64,
    ) -> impl Future<Output = Result<impl Stream<Item = FeedEvent> + Send + 'static, Problem>> + Send;
    /// Output of a project's attempts, oldest first; with `follow` it goes on until the project (or the task) is final.
    fn logs(
        &self,
        id: &str,
        task: Option<&str>,
        follow: bool,
    ) -> impl Future<Output = Result<impl Stream<Item = LogChunk> + Send + 'static, Problem>> + Send;
    /// The project's journal.
    fn journal(&self, id: &str) -> impl Future<Output = Result<Vec<JournalEntry>, Problem>> + Send;
    /// What a project (or one task's handoff) changes.
    fn diff(&self, id: &str, task: Option<&str>) -> impl Future<Output = Result<DiffView, Problem>> + Send;
    /// The plan a project works on.
    fn plan(&self, id: &str) -> impl Future<Output = Result<PlanView, Problem>> + Send;
    /// Puts another plan in the place of the one that waits for approval.
    fn edit_plan(
        &self,
        id: &str,
        request: EditPlanRequest,
    ) -> impl Future<Output = Result<ProjectView, Problem>> + Send;
    /// Says something to agents.
    fn tell(&self, id: &str, request: TellRequest) -> impl Future<Output = Result<TellView, Problem>> + Send;
    /// Sets limits.
    fn budget(&self, id: &str, request: BudgetRequest) -> impl Future<Output = Result<ProjectView, Problem>> + Send;
    /// Stops a project or a task.
    fn cancel(&self, id: &str, request: CancelRequest) -> impl Future<Output = Result<ProjectView, Problem>> + Send;
    /// Writes a project's result into its folder.
    fn apply(&self, id: &str, request: ApplyRequest) -> impl Future<Output = Result<ApplyView, Problem>> + Send;
    /// Takes the last apply back.
    fn undo(&self, id: &str, request: UndoRequest) -> impl Future<Output = Result<ApplyView, Problem>> + Send;
    /// Requests to people: the pending ones, or all.
    fn approvals(&self, all: bool) -> impl Future<Output = Result<Vec<ApprovalView>, Problem>> + Send;
    /// The same as JSON: what the API answers. There may be thousands, and most of each is kept as JSON.
    fn approvals_json(&self, all: bool) -> impl Future<Output = Result<Vec<u8>, Problem>> + Send {
        async move {
            let list = self.approvals(all).await?;
            serde_json::to_vec(&list).map_err(|error| Problem {
                code: "internal".to_owned(),
                status: 500,
                detail: format!("write the list of requests: {error}"),
                hint: None,
                findings: Vec::new(),
            })
        }
    }
    /// The first of some of the requests that wait, oldest first. Not in the HTTP API: for bridges in this process.
    fn waiting(&self, which: Waiting, limit: usize) -> impl Future<Output = Result<Waits, Problem>> + Send {
        async move { Ok(which.of(self.approvals(false).await?, limit)) }
    }
    /// One request.
    fn approval(&self, id: &str) -> impl Future<Output = Result<ApprovalView, Problem>> + Send;
    /// Decides a request.
    fn decide(&self, id: &str, request: DecisionRequest) -> impl Future<Output = Result<ApprovalView, Problem>> + Send;
    /// Decides several requests with one breath; each is decided, and refused, by itself.
    fn decide_batch(&self, request: BatchRequest) -> impl Future<Output = Result<Vec<BatchOutcome>, Problem>> + Send;
    /// Asks the agent about what a request is about.
    fn ask_agent(&self, id: &str, request: AskRequest) -> impl Future<Output = Result<ApprovalView, Problem>> + Send;
    /// Hands somebody's say about a request to somebody else.
    fn delegate(
        &self,
        id: &str,
        request: DelegateRequest,
    ) -> impl Future<Output = Result<ApprovalView, Problem>> + Send;
    /// Records that a request was shown to somebody.
    fn viewed(&self, id: &str, request: ViewedRequest) -> impl Future<Output = Result<(), Problem>> + Send;
    /// Remembered decisions, those that are over included.
    fn remembered(&self) -> impl Future<Output = Result<Vec<RememberedView>, Problem>> + Send;
    /// Takes a remembered decision back.
    fn revoke(&self, id: &str, request: RevokeRequest) -> impl Future<Output = Result<RememberedView, Problem>> + Send;
    /// How often people are asked.
    fn fatigue(&self) -> impl Future<Output = Result<FatigueView, Problem>> + Send;
    /// The audit log after an entry, a thousand entries at most; of one project, or of all.
    fn audit(&self, after: u64, project: Option<&str>)
    -> impl Future<Output = Result<Vec<AuditEntry>, Problem>> + Send;
    /// Checks the audit log; `head` is the hash of an entry somebody remembered.
    fn verify_audit(&self, head: Option<String>) -> impl Future<Output = Result<AuditReport, Problem>> + Send;
    /// What happens in every project from `after` (a journal sequence) on, in the journal's order. Not in the HTTP API: for
    /// bridges in this process.
    fn all_feed(
        &self,
        after: u64,
    ) -> impl Future<Output = Result<impl Stream<Item = FeedEvent> + Send + 'static, Problem>> + Send;
    /// What a project can be started with by name. Not in the HTTP API: for bridges in this process.
    fn presets(&self) -> impl Future<Output = Result<Vec<Preset>, Problem>> + Send;
    /// Whether people are who they say they are. If not, the API takes a person of channel `cli` from the socket's peer.
    fn trusts_names(&self) -> bool;
    /// Validates a plan.
    fn check_plan(&self, source: PlanSource) -> impl Future<Output = Result<PlanReport, Problem>> + Send;
    /// The messages that were set aside last, the newest first.
    fn dead_letters(&self) -> impl Future<Output = Result<Vec<DeadLetterView>, Problem>> + Send;
    /// Rebuilds the projections from the journal and says whether they differed.
    fn rebuild(&self) -> impl Future<Output = Result<RebuildReport, Problem>> + Send;
    /// Mails that came in, the newest first. This and what follows answers `mail_off` where there is no mail.
    fn letters(&self, _query: LetterQuery) -> impl Future<Output = Result<Vec<LetterView>, Problem>> + Send {
        ready(Err(mail_off()))
    }
    /// One of them.
    fn letter(&self, _id: &str) -> impl Future<Output = Result<LetterView, Problem>> + Send {
        ready(Err(mail_off()))
    }
    /// Its text as it came.
    fn letter_text(&self, _id: &str) -> impl Future<Output = Result<Bytes, Problem>> + Send {
        ready(Err(mail_off()))
    }
    /// Lets a mail that was put aside pass.
    fn release_letter(
        &self,
        _id: &str,
        _request: LetterRequest,
    ) -> impl Future<Output = Result<LetterView, Problem>> + Send {
        ready(Err(mail_off()))
    }
    /// Throws a mail away that was put aside.
    fn drop_letter(
        &self,
        _id: &str,
        _request: LetterRequest,
    ) -> impl Future<Output = Result<LetterView, Problem>> + Send {
        ready(Err(mail_off()))
    }
    /// How mail is now.
    fn mail(&self) -> impl Future<Output = Result<MailView, Problem>> + Send {
        ready(Err(mail_off()))
    }
    /// Mails of ours, the newest first.
    fn mail_outbox(&self, _limit: u32) -> impl Future<Output = Result<Vec<OutView>, Problem>> + Send {
        ready(Err(mail_off()))
    }
}

/// A way to start a project, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preset {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
}

/// What time it is.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> bus_schemas::time::UnixMs;
}

/// New ids.
pub trait Ids: Send + Sync + 'static {
    /// A new UUID of version 7.
    fn next(&self) -> uuid::Uuid;
}

/// What the driver needs of a project's shadow repository. Methods block: call them off the async threads.
pub trait Shadow: Send + Sync + 'static {
    /// Merges commits one after the other (three-way); a single commit is returned as it is.
    ///
    /// # Errors
    /// [`ShadowError::Conflict`] with the paths, or [`ShadowError::Git`].
    fn merge(&self, project_id: ProjectId, commits: &[String]) -> Result<String, ShadowError>;
    /// Whether the repository has this commit.
    fn has(&self, project_id: ProjectId, commit: &str) -> bool;
    /// A git bundle that holds `commit` as `refs/baton/<commit>` and not what its parents hold, with the parents' ids.
    ///
    /// # Errors
    /// [`ShadowError::Git`].
    fn bundle(&self, project_id: ProjectId, commit: &str) -> Result<Bundle, ShadowError>;
    /// Takes a bundle in (its parents must be there already).
    ///
    /// # Errors
    /// [`ShadowError::Git`].
    fn absorb(&self, project_id: ProjectId, commit: &str, bundle: &[u8]) -> Result<(), ShadowError>;
    /// What differs between two commits.
    ///
    /// # Errors
    /// [`ShadowError::Git`].
    fn changes(&self, project_id: ProjectId, base: &str, commit: &str) -> Result<Changes, ShadowError>;
}

/// What differs between two commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The paths, in order.
    pub paths: Vec<ChangedPath>,
    /// Lines that came, as git counts them; binary files count none.
    pub lines_added: u64,
    /// Lines that went.
    pub lines_removed: u64,
}

/// Writing into a person's folder. Blocks: call it off the async threads.
pub trait Folder: Send + Sync + 'static {
    /// Brings the folder from one commit of the project's shadow repository to another; the same call again goes on.
    /// An error says whether this call, or an earlier one, has written anything.
    ///
    /// # Errors
    /// [`FolderError`].
    fn write(&self, project_id: ProjectId, before: &str, after: &str, folder: &str) -> Result<(), FolderError>;
    /// Works out what the change from `base` to `result` makes of the folder as it is now, and writes nothing to it. Returns
    /// two commits: the folder as it is, and with the result in it.
    ///
    /// # Errors
    /// A sentence that says what is in the way.
    fn work_out(
        &self,
        project_id: ProjectId,
        base: &str,
        result: &str,
        folder: &str,
    ) -> Result<(String, String), String>;
}

/// Why a folder was not written, or not to the end.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder is as it was: nothing of the apply is in it. Says what is in the way.
    #[error("{0}")]
    Untouched(String),
    /// Some of the apply is in the folder. Says what is in the way of the rest.
    #[error("{0}")]
    HalfWritten(String),
}

/// A commit on its way between machines. In the object store it is the object `commit/<commit>` of bucket
/// [`bus_schemas::stream::OBJECTS_BUCKET`], whose description lists the parents, separated by blanks. An imported
/// folder's commit is bundled with its whole history and lists no parents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The commits whose objects the receiver must have first.
    pub parents: Vec<String>,
    /// The bundle file's content.
    pub bytes: Vec<u8>,
}

/// What can go wrong in a shadow repository.
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// Two commits change the same place.
    #[error("merge conflict in {}", paths.join(", "))]
    Conflict {
        /// The paths.
        paths: Vec<String>,
    },
    /// Git could not do it.
    #[error("git {operation}: {detail}")]
    Git {
        /// What was tried.
        operation: &'static str,
        /// What git said.
        detail: String,
    },
    /// Reading or writing failed.
    #[error("{operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
