//! The HTTP+JSON API of `baton serve`, as data. The command line is its first client.
//!
//! | Method and path | Body → answer |
//! |---|---|
//! | `GET /v1/health` | → [`Health`] |
//! | `GET /v1/hosts` | → `Vec<`[`HostView`]`>` |
//! | `POST /v1/projects` | [`NewProject`] → [`ProjectView`] |
//! | `GET /v1/projects` | → `Vec<`[`ProjectView`]`>` (without tasks) |
//! | `GET /v1/projects/{id}` | → [`ProjectView`] |
//! | `GET /v1/projects/{id}/events?after=SEQ` | → server-sent [`FeedEvent`]s |
//! | `GET /v1/projects/{id}/logs?task=KEY&follow=BOOL` | → server-sent [`super::task::LogChunk`]s |
//! | `GET /v1/projects/{id}/journal` | → `Vec<`[`JournalEntry`]`>` |
//! | `GET /v1/projects/{id}/diff?task=KEY` | → [`DiffView`] |
//! | `GET /v1/projects/{id}/plan` | → [`PlanView`] |
//! | `POST /v1/projects/{id}/plan` | [`EditPlanRequest`] → [`ProjectView`] |
//! | `POST /v1/projects/{id}/tell` | [`TellRequest`] → [`TellView`] |
//! | `POST /v1/projects/{id}/budget` | [`BudgetRequest`] → [`ProjectView`] |
//! | `POST /v1/projects/{id}/cancel` | [`CancelRequest`] → [`ProjectView`] |
//! | `POST /v1/projects/{id}/apply` | [`ApplyRequest`] → [`ApplyView`] |
//! | `POST /v1/projects/{id}/undo` | [`UndoRequest`] → [`ApplyView`] |
//! | `GET /v1/approvals?all=BOOL` | → `Vec<`[`ApprovalView`]`>` |
//! | `GET /v1/approvals/{id}` | → [`ApprovalView`] |
//! | `POST /v1/approvals/{id}/decision` | [`DecisionRequest`] → [`ApprovalView`] |
//! | `POST /v1/approvals/{id}/ask` | [`AskRequest`] → [`ApprovalView`] |
//! | `POST /v1/approvals/{id}/delegate` | [`DelegateRequest`] → [`ApprovalView`] |
//! | `POST /v1/approvals/{id}/viewed` | [`ViewedRequest`] → nothing |
//! | `POST /v1/decisions` | [`BatchRequest`] → `Vec<`[`BatchOutcome`]`>` |
//! | `GET /v1/remembered` | → `Vec<`[`RememberedView`]`>` |
//! | `POST /v1/remembered/{id}/revoke` | [`RevokeRequest`] → [`RememberedView`] |
//! | `GET /v1/fatigue` | → [`FatigueView`] |
//! | `GET /v1/audit?after=NUMBER&project=ID` | → `Vec<`[`AuditEntry`]`>` (at most 1000) |
//! | `GET /v1/audit/verify?head=HASH` | → [`AuditReport`] |
//! | `POST /v1/plans/check` | [`PlanSource`] → [`PlanReport`] |
//! | `GET /v1/dead-letters` | → `Vec<`[`DeadLetterView`]`>` (newest first, the last 200) |
//! | `GET /v1/mail` | → [`MailView`] |
//! | `GET /v1/mail/letters?state=STATE&limit=NUMBER` | → `Vec<`[`LetterView`]`>` (newest first, at most 1000) |
//! | `GET /v1/mail/letters/{id}` | → [`LetterView`] |
//! | `GET /v1/mail/letters/{id}/text` | → the mail as it came (`message/rfc822`) |
//! | `POST /v1/mail/letters/{id}/release` | [`LetterRequest`] → [`LetterView`] |
//! | `POST /v1/mail/letters/{id}/drop` | [`LetterRequest`] → [`LetterView`] |
//! | `GET /v1/mail/outbox?limit=NUMBER` | → `Vec<`[`OutView`]`>` (newest first, at most 1000) |
//! | `POST /v1/rebuild` | → [`RebuildReport`] |
//!
//! `{id}` is a UUID or a unique prefix of one (hyphens may be left out). Errors are [`Problem`]s.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::apply::{ApplyRequest, ApplyView, Conflict, DiffView, UndoRequest};
pub use super::effect::{EffectBrief, EffectOrder, ParameterBrief};
pub use super::ledger::{
    ApplyOffer, ApprovalView, AskRequest, AskedView, AuditEntry, AuditFinding, AuditReport, BatchItem, BatchOutcome,
    BatchRequest, Capability, CapabilityView, DecisionRequest, DelegateRequest, DelegationView, FatigueView, Remember,
    RememberScope, RememberedView, RevokeRequest, Risk, RouteView, ViewedRequest, VoteView,
};
pub use super::mail::{
    LetterQuery, LetterRequest, LetterState, LetterView, MailView, MailboxState, MailboxView, OutKind, OutState,
    OutView,
};
pub use super::work::{
    BudgetRequest, EditPlanRequest, EstimateView, LimitView, OverBudgetView, PlanView, QuestionView, SkillProposal,
    SpendView, TellRequest, TellView,
};
use super::{
    handoff::{Handoff, Usage},
    host::Beat,
    plan::{Budget, Plan},
    project::ProjectState,
    task::{FailureReason, Stage, TaskState},
};
use crate::{
    id::{ApprovalId, HostId, ProjectId, TaskId},
    json::Json,
    time::UnixMs,
};

/// An error, after RFC 9457 (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// A stable word for programs, such as `plan_invalid` or `not_found`.
    pub code: String,
    /// The HTTP status.
    pub status: u16,
    /// One sentence: what failed, on what.
    pub detail: String,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where, for a plan: every finding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// Something a person should know about a place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// A stable word, such as `cycle` or `unknown_need`.
    pub code: String,
    /// The file's name as the person gave it.
    pub file: String,
    /// The line, from 1; 0 if the finding is about the whole file.
    pub line: u32,
    /// The column, from 1; 0 as above.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; the plan runs.
    Warning,
    /// The plan does not run.
    Error,
}

/// A plan as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanSource {
    /// The file's name, for findings.
    pub file: String,
    /// The YAML (or JSON) text.
    pub text: String,
    /// Texts of the files that `run: { file: … }` names, by that name.
    #[serde(default)]
    pub scripts: BTreeMap<String, String>,
    /// The project's folder, in which skills are looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

/// What checking a plan found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanReport {
    /// The findings, worst first, then by place.
    pub findings: Vec<Finding>,
    /// The plan, if no finding is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// Task ids by layer: everything in a layer can run in parallel.
    #[serde(default)]
    pub layers: Vec<Vec<String>>,
}

/// A new project: with a plan, or with a goal of which an agent makes one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NewProject {
    /// The plan; empty if there is a goal.
    #[serde(default)]
    pub plan: PlanSource,
    /// What is to be achieved; an agent works out the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// Limits of the whole project; those the plan itself names count as well: the smaller one.
    #[serde(default)]
    pub budget: Budget,
    /// Who approves the plan, where it does not say: a policy of `baton.toml`, `ask` or `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The folder to work on: an absolute path on the orchestrator's machine. Empty: the preset's, or a new one.
    pub folder: String,
    /// Who starts it.
    pub owner: String,
    /// Approve the plan with the same breath (recorded as the owner's decision).
    #[serde(default)]
    pub approve_plan: bool,
    /// The channel it is started over: `cli`, `slack`, `email`.
    #[serde(default = "cli", skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// Files it starts with beside those of the folder: they lie in `inputs/` of every task's folder and never get into the
    /// person's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// Who approves that the result is put into the folder, where the plan does not say: a policy name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<String>,
    /// A preset of `baton.toml`, which fills in what is not said here. With a plan of its own, the goal is only shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// What it is started by, as its channel names it: `slack:…`, `email:…`. Asked for once more under the same key, it is the
    /// same project, whatever else is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

pub(super) fn cli() -> String {
    "cli".to_owned()
}

/// A file a project starts with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Input {
    /// Its name, without a folder.
    pub name: String,
    /// Its content, in base64.
    pub base64: String,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProjectView {
    /// Its id.
    pub project_id: ProjectId,
    /// Its title.
    pub title: String,
    /// Its goal.
    #[serde(default)]
    pub goal: String,
    /// Its folder.
    pub folder: String,
    /// Who started it.
    pub owner: String,
    /// Its state.
    pub state: ProjectState,
    /// When it was created.
    pub created_at: UnixMs,
    /// When its state last changed.
    pub changed_at: UnixMs,
    /// How many tasks are in each state.
    pub counts: BTreeMap<String, u32>,
    /// What its attempts used.
    pub usage: Usage,
    /// What it spent so far, running attempts included, and its limits.
    #[serde(default, skip_serializing_if = "SpendView::is_nothing")]
    pub spend: SpendView,
    /// The commit its folder was copied into.
    pub base_commit: String,
    /// The commit that holds its result, once it is completed and merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_commit: Option<String>,
    /// When the result was applied to the folder and not undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<UnixMs>,
    /// Requests that wait for a person.
    #[serde(default)]
    pub pending_approvals: Vec<ApprovalId>,
    /// Its tasks in plan order; left out of listings.
    #[serde(default)]
    pub tasks: Vec<TaskView>,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskView {
    /// Its id.
    pub task_id: TaskId,
    /// Its key in the plan; children of `foreach` are `key[0]`, `key[1]` …
    pub key: String,
    /// Its title.
    pub title: String,
    /// Keys of the tasks it needs.
    pub needs: Vec<String>,
    /// Its state.
    pub state: TaskState,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Its current attempt, 0 before the first.
    pub attempt: u32,
    /// The most attempts it gets.
    pub max_attempts: u32,
    /// Where the attempt is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Who works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_id: Option<HostId>,
    /// When the current attempt was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_at: Option<UnixMs>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<UnixMs>,
    /// Its last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    /// Its handoff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<Handoff>,
    /// What it spent so far, all attempts, and its limits.
    #[serde(default, skip_serializing_if = "SpendView::is_nothing")]
    pub spend: SpendView,
}

/// How an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FailureView {
    /// Which attempt.
    pub attempt: u32,
    /// Why.
    pub reason: FailureReason,
    /// More, for people.
    pub detail: String,
    /// The end of its output.
    #[serde(default)]
    pub output_tail: String,
}

/// Stop a project, or one task of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CancelRequest {
    /// The task's key; without it the whole project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Who asks.
    pub by: String,
    /// Over which channel.
    #[serde(default = "cli")]
    pub channel: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Something happened in a project; `watch` and `events` render these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FeedEvent {
    /// The journal position; events come in this order, without gaps within a project.
    pub sequence: u64,
    /// `noun.verb`.
    pub kind: String,
    /// When.
    pub at: UnixMs,
    /// The project.
    pub project_id: ProjectId,
    /// The task, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_key: Option<String>,
    /// The project's state afterwards.
    pub project_state: ProjectState,
    /// One line for people.
    pub text: String,
    /// The tasks that changed, as they are now (their handoffs left out).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskView>,
    /// A request that was asked or decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<ApprovalId>,
}

/// One record of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JournalEntry {
    /// Its position over all projects.
    pub sequence: u64,
    /// Its position in the project.
    pub version: u64,
    /// When.
    pub at: UnixMs,
    /// The event's kind.
    pub kind: String,
    /// The event.
    pub event: Json,
}

/// A host, with what the orchestrator knows about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostView {
    /// What it last said.
    pub beat: Beat,
    /// When it said so.
    pub seen_at: UnixMs,
    /// It has been silent for too long.
    pub lost: bool,
}

/// How the orchestrator is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Health {
    /// The program's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// It can talk to NATS.
    pub bus_connected: bool,
    /// The NATS server's version, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus_version: Option<String>,
    /// Hosts that are alive.
    pub hosts: u32,
    /// Slots over all live hosts.
    pub slots: u32,
    /// Projects that are not final.
    pub open_projects: u32,
    /// Commands not yet performed.
    pub outbox: u64,
    /// Messages set aside because they could not be read.
    pub dead_letters: u64,
}

/// A message that was set aside because it could not be read or taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterView {
    /// Its stream.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// When it was set aside.
    pub at: UnixMs,
    /// What is wrong with it.
    pub reason: String,
    /// How long it is, in bytes.
    pub payload_bytes: u64,
    /// How it begins (at most 2 KiB), with what is no UTF-8 replaced.
    pub payload: String,
}

/// What rebuilding the projections found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RebuildReport {
    /// Records read.
    pub journal_entries: u64,
    /// Rows written.
    pub rows: u64,
    /// Rows that differed from the live ones before; not 0 means a bug.
    pub differences: u64,
}
