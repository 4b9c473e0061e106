//! What a host is offered, and what it reports while it works.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    agent::{AgentWork, Report},
    handoff::{CheckEvidence, Handoff, Usage},
};
use crate::{
    envelope::Message,
    id::{AttemptRef, ClaimNonce, HostId},
    json::Json,
    time::UnixMs,
};

/// A task's state, in A2A's words where A2A has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Waits for the tasks it needs.
    Blocked,
    /// Waits for a free host (or for its backoff to pass).
    Ready,
    /// Offered to hosts, not yet claimed.
    Submitted,
    /// A host claimed it and works on it.
    Working,
    /// Waits for a person.
    InputRequired,
    /// Done, and its checks passed in a second VM.
    Completed,
    /// Handed off, but the plan gives no check that proves it.
    Unverified,
    /// Its attempts are used up, or it cannot go on.
    Failed,
    /// A person stopped it.
    Canceled,
    /// A person refused its handoff.
    Rejected,
    /// Not done: its `when` was false, or something it needs did not end well.
    Skipped,
    /// An effect outside may or may not have happened; a person must look.
    UnknownOutcome,
}

impl TaskState {
    /// Nothing further happens to a task in this state.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Completed
                | Self::Unverified
                | Self::Failed
                | Self::Canceled
                | Self::Rejected
                | Self::Skipped
                | Self::UnknownOutcome
        )
    }
}

/// An attempt, offered to every host of a pool; the first to claim it gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Offer {
    /// Which attempt.
    pub attempt: AttemptRef,
    /// The task's key in the plan.
    pub task_key: String,
    /// The task's title.
    pub title: String,
    /// The project's goal.
    #[serde(default)]
    pub goal: String,
    /// What to do.
    pub program: Program,
    /// Environment variables for the program and its checks.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The element this task was made for, if it came from `foreach`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Json>,
    /// The commit the attempt starts from (40 lower-case hex digits); its bundle is in the object store.
    pub base_commit: String,
    /// Globs of what is copied into the VM; empty means everything.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Globs of what may be changed; empty means anything.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// What proves the task done.
    #[serde(default)]
    pub checks: Vec<CheckSpec>,
    /// The handoffs of the tasks it needs, by their keys.
    #[serde(default)]
    pub needs: BTreeMap<String, NeedHandoff>,
    /// What people and earlier attempts have to say to this one.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// What it may reach: `host`, `host:port`, `*.domain`, `*.domain:port`; without a port 443 and 80. Empty: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<String>,
    /// The names of the secrets that the host's proxy uses on its behalf. Their values cross no bus.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Where each of them goes, as it was agreed to ([`SecretBrief::terms`](crate::secrets::SecretBrief::terms)), by name. A
    /// host on which one is defined otherwise, and one that is told nothing, does not use it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_terms: BTreeMap<String, String>,
    /// The computer it needs.
    pub machine: Machine,
    /// Its limits.
    pub limits: Limits,
}

/// What an attempt does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Program {
    /// Runs a script.
    Script {
        /// What runs it.
        interpreter: Interpreter,
        /// The script itself.
        text: String,
    },
    /// Lets an agent work.
    Agent(AgentWork),
}

/// What runs a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Interpreter {
    /// `bash -euo pipefail`
    Bash,
    /// `python3`
    Python,
}

/// A check as a host runs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckSpec {
    /// What it proves.
    pub name: String,
    /// A bash command line; exit code 0 passes.
    pub run: String,
    /// The longest it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// What a task gets of one it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NeedHandoff {
    /// How the needed task ended.
    pub state: TaskState,
    /// What it did.
    pub summary: String,
    /// Its typed result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    /// The paths it changed.
    #[serde(default)]
    pub changed_paths: Vec<String>,
    /// For a `foreach` task: the results of its children, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<Json>,
    /// What its agent reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

/// Something said to an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Note {
    /// Who said it: a person's name, or `attempt 2`.
    pub from: String,
    /// What was said.
    pub text: String,
    /// Tells it from every other note, so that it is heard once; absent in old ones.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
}

/// The computer an attempt needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Machine {
    /// Processors.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Scratch disk in MiB.
    pub disk_mib: u32,
    /// The guest image's flavour.
    pub image: String,
}

/// An attempt's limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limits {
    /// From the claim to the handoff, checks included, in milliseconds.
    pub start_to_close_ms: u64,
    /// Output kept per attempt, in bytes; more is counted but dropped.
    pub output_bytes: u64,
    /// Changed data taken out of the VM, in bytes.
    pub changes_bytes: u64,
}

/// A host takes an attempt. Published with expected-last-subject-sequence 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Claimed {
    /// Which attempt.
    pub attempt: AttemptRef,
    /// Which host.
    pub host_id: HostId,
    /// Tells this claim from any other; every later message about the attempt repeats it.
    pub nonce: ClaimNonce,
}

/// The attempt entered another stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Progress {
    /// Which attempt.
    pub attempt: AttemptRef,
    /// Which claim of it.
    pub nonce: ClaimNonce,
    /// Where it is.
    pub stage: Stage,
    /// When it got there.
    pub entered_at: UnixMs,
}

/// Where an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Waits for its VM.
    Booting,
    /// The workspace goes in.
    Preparing,
    /// The program runs.
    Running,
    /// The changes come out.
    Collecting,
    /// The checks run in a second VM.
    Checking,
}

/// The attempt ended in a handoff, checks included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HandoffReady {
    /// Which attempt.
    pub attempt: AttemptRef,
    /// Which claim of it.
    pub nonce: ClaimNonce,
    /// What it hands on.
    pub handoff: Handoff,
}

/// The attempt ended without a handoff.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AttemptFailed {
    /// Which attempt.
    pub attempt: AttemptRef,
    /// Which claim of it.
    pub nonce: ClaimNonce,
    /// Why.
    pub reason: FailureReason,
    /// One or two sentences for people: what happened and what to do.
    pub detail: String,
    /// The end of what it printed.
    #[serde(default)]
    pub output_tail: String,
    /// The checks that ran, if it came to that.
    #[serde(default)]
    pub evidence: Vec<CheckEvidence>,
    /// What it used.
    #[serde(default)]
    pub usage: Usage,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The script ended with another exit code than 0, or by a signal.
    ProgramFailed,
    /// A check did not pass in the second VM.
    CheckFailed,
    /// It took longer than its time limit.
    TimedOut,
    /// It changed a path that its `outputs` do not allow.
    OutputsViolated,
    /// The guest handed over a path or a file that is not allowed (`..`, absolute, control characters, devices …).
    UnsafeChanges,
    /// It changed more data than its limit.
    ChangesTooLarge,
    /// Its result was not valid JSON.
    BadResult,
    /// The guest stopped answering or broke the protocol.
    GuestLost,
    /// No VM could be started.
    NoMachine,
    /// The host ran out of disk or memory.
    HostExhausted,
    /// The base commit's bundle was not in the object store.
    MissingObject,
    /// The orchestrator withdrew it.
    Canceled,
    /// The host stopped.
    HostStopped,
    /// The host went silent (set by the orchestrator).
    HeartbeatMissed,
    /// No host took it in time (set by the orchestrator).
    NotStarted,
    /// What a host must be told of it is more than the bus takes in one message (set by the orchestrator).
    OfferTooLarge,
    /// The agent handed on without having done anything: no tool call, no change, no check that passed.
    NothingDone,
    /// No model of the agent can be used: refused keys, unknown models, answers that are none.
    ModelFailed,
    /// The agent used up its turns without handing on.
    OutOfTurns,
    /// It put a question to a needed task that it cannot put, or not again (set by the orchestrator).
    BounceRefused,
    /// Something on the host failed that no other word fits.
    HostError,
}

impl FailureReason {
    /// Whether another attempt can end differently without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        !matches!(self, Self::Canceled)
    }
}

/// The orchestrator withdraws an attempt: its VM must go, and nothing it says will be heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CancelAttempt {
    /// Which attempt.
    pub attempt: AttemptRef,
    /// Why, for the host's log.
    pub reason: String,
}

/// A piece of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogChunk {
    /// Which attempt.
    pub attempt: AttemptRef,
    /// Where it came from.
    pub source: LogSource,
    /// Counts the chunks of an attempt from 0; a gap means output was dropped.
    pub sequence: u64,
    /// When the host got it.
    pub received_at: UnixMs,
    /// The text; bytes that are not UTF-8 are replaced. At most 32 KiB.
    pub text: String,
}

/// Where output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// The program's standard output.
    Stdout,
    /// The program's standard error.
    Stderr,
    /// A check's output.
    Check,
    /// The host, about the attempt.
    Host,
    /// What an agent says.
    Agent,
    /// What an agent's tools print.
    Tool,
}

impl Message for Offer {
    const KIND: &'static str = "attempt.offered";
}
impl Message for Claimed {
    const KIND: &'static str = "attempt.claimed";
}
impl Message for Progress {
    const KIND: &'static str = "attempt.progress";
}
impl Message for HandoffReady {
    const KIND: &'static str = "attempt.handoff";
}
impl Message for AttemptFailed {
    const KIND: &'static str = "attempt.failed";
}
impl Message for CancelAttempt {
    const KIND: &'static str = "attempt.cancel";
}
impl Message for LogChunk {
    const KIND: &'static str = "attempt.log";
}
