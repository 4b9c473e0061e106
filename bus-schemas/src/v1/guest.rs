//! The channel between a host and the worker in its VM.
//!
//! Two virtio-serial ports, named [`CONTROL_PORT`] and [`DATA_PORT`].
//! *Control*: frames of [`crate::frame`], each the JSON of a [`ToGuest`] or a [`FromGuest`].
//! *Data*: yamux (the host is the client, the guest the server). Whoever opens a stream first writes one frame of
//! [`crate::frame`] with a [`DataHeader`], then raw bytes.
//!
//! ```text
//! host                                 guest
//!  ├─ Hello{nonce} ─────────────────────►│ frozen: answers Hello and Ping, refuses everything else
//!  │◄──────────────── Hello{nonce,…} ────┤ (repeat Hello until the nonce comes back: early bytes are dropped by the port)
//!  ├─ Rejuvenate{entropy, clock, …} ────►│
//!  │◄─────────────────── Rejuvenated ────┤ serving
//!  ├─ data stream workspace ── tar ─────►│
//!  │◄──────────────── WorkspaceReady ────┤ (or Refused)
//!  ├─ Assign{assignment} ───────────────►│
//!  │◄── data streams output: bytes ──────┤ stdout, stderr, as they come
//!  │◄─ data streams connect, checkpoint ─┤ an agent's model calls and saved turns
//!  │◄──────────────────── Finished ──────┤ (or Paused, GaveUp)
//!  ├─ data stream changes ──────────────►│ (attempts, not checks)
//!  │◄──────────────────── tar ───────────┤ then the host kills the VM
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    agent::{ModelBrief, Pause, Report},
    call::{GuestAnswer, GuestCall},
    handoff::Usage,
    task::{CheckSpec, NeedHandoff, Note, Program},
};
use crate::json::Json;

/// The control port's name (`/dev/virtio-ports/<name>` in the guest).
pub const CONTROL_PORT: &str = "baton.control";
/// The data port's name.
pub const DATA_PORT: &str = "baton.data";
/// The version of this channel.
pub const CHANNEL_VERSION: u32 = 2;
/// Where the model gateway listens in the guest (loopback). Its base URL is `http://127.0.0.1:4100`.
pub const MODELS_PORT: u16 = 4100;
/// Where the HTTP proxy listens in the guest (loopback).
pub const PROXY_PORT: u16 = 4128;
/// Where skills are in the guest, one folder each, read-only.
pub const SKILLS: &str = "/run/skills";
/// Bytes of entropy in [`Rejuvenate`].
pub const ENTROPY_BYTES: usize = 64;
/// Where the workspace is in the guest.
pub const WORKSPACE: &str = "/workspace";
/// The folder with what the host tells the program: `needs.json`, `item.json`, `notes.md`; the program may write `result.json` and `summary.md` here.
pub const EXCHANGE: &str = "/run/baton";
/// In the tar of changes, a deleted path is an empty entry with this PAX record set to `1`, or, without PAX, listed in this file (one JSON array of strings), which comes first.
pub const DELETIONS_ENTRY: &str = ".baton-deleted.json";

/// Host to guest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "one at a time, and not for long")]
pub enum ToGuest {
    /// Are you there?
    Hello {
        /// Comes back in the answer.
        nonce: String,
        /// [`CHANNEL_VERSION`] of the host.
        version: u32,
    },
    /// Go once, with fixed data of the guest's own, through everything a lease goes through, so that the first real time is a
    /// fast one. Only for a frozen guest; it carries nothing and leaves nothing behind. Sent to spares before they are stopped.
    Rehearse,
    /// Become a machine of its own. Sent for every lease.
    Rejuvenate(Rejuvenate),
    /// Work.
    Assign(Assignment),
    /// Somebody has something to say to the agent: heard at its next turn.
    Tell {
        /// What.
        note: Note,
    },
    /// The answer to [`FromGuest::Call`].
    Answer {
        /// Which call.
        id: u64,
        /// It.
        answer: GuestAnswer,
    },
    /// Stop the work and everything it started.
    Stop {
        /// Why.
        reason: String,
    },
    /// A sign of life, please.
    Ping {
        /// Comes back in the answer.
        sequence: u64,
    },
}

/// What makes a guest unlike every other one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rejuvenate {
    /// [`ENTROPY_BYTES`] random bytes, base64.
    pub entropy: String,
    /// The time to set, nanoseconds since 1970.
    pub wall_ns: i64,
    /// The host name to set.
    pub hostname: String,
    /// The machine id to set, 32 lower-case hex digits.
    pub machine_id: String,
    /// Names the lease; repeated by the guest in everything that follows.
    pub lease_token: String,
}

/// What the guest is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "work", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "one at a time, and not for long")]
pub enum Assignment {
    /// Work on an attempt.
    Attempt(AttemptAssignment),
    /// Run checks on a handed-off tree, one after the other, all of them, as an ordinary user of the guest (an attempt's program is root there).
    Checks {
        /// The checks.
        checks: Vec<CheckSpec>,
        /// Environment variables.
        #[serde(default)]
        env: BTreeMap<String, String>,
        /// Output kept over all checks, in bytes.
        output_bytes: u64,
    },
}

/// An attempt as the guest sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AttemptAssignment {
    /// The task's key.
    pub task_key: String,
    /// The task's title.
    pub title: String,
    /// The project's goal.
    #[serde(default)]
    pub goal: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What to do.
    pub program: Program,
    /// Environment variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The `foreach` element.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Json>,
    /// What the needed tasks handed on.
    #[serde(default)]
    pub needs: BTreeMap<String, NeedHandoff>,
    /// What people and earlier attempts say.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// The models an agent may use, the preferred one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelBrief>,
    /// What will prove the task done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckSpec>,
    /// What the proxy lets through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<String>,
    /// The names of the secrets that the proxy uses on its behalf.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// The longest the program may run, in milliseconds.
    pub wall_ms: u64,
    /// Output sent to the host, in bytes; more is counted but dropped.
    pub output_bytes: u64,
    /// Most processes at once.
    pub max_processes: u32,
}

/// Guest to host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FromGuest {
    /// Here.
    Hello {
        /// The nonce of the question.
        nonce: String,
        /// [`CHANNEL_VERSION`] of the guest.
        version: u32,
        /// The worker's build, for people.
        worker: String,
        /// Nothing but Hello, Ping, Rehearse and Rejuvenate is served yet.
        frozen: bool,
    },
    /// The rehearsal is over; it never fails, it only helps less.
    Rehearsed,
    /// Entropy, clock, names and token are in force.
    Rejuvenated {
        /// The token of the lease.
        lease_token: String,
        /// The guest's clock afterwards, nanoseconds since 1970.
        wall_ns: i64,
    },
    /// The tree is in place.
    WorkspaceReady {
        /// Files and links unpacked.
        entries: u64,
        /// Bytes unpacked.
        bytes: u64,
    },
    /// An attempt's program ended.
    Finished(Finished),
    /// An agent paused: there is no handoff, and the last [`DataHeader::Checkpoint`] holds all it knows.
    Paused {
        /// Why.
        pause: Pause,
        /// What it used, as far as the guest knows.
        usage: Usage,
    },
    /// The agent has no use for going on: its attempt failed.
    GaveUp {
        /// Why: `model_failed`, `out_of_turns`, `nothing_done`.
        reason: super::task::FailureReason,
        /// More, for people.
        detail: String,
        /// What it used, as far as the guest knows.
        usage: Usage,
    },
    /// The agent asks the orchestrator something; answered by [`ToGuest::Answer`].
    Call {
        /// Counts the calls of an attempt.
        id: u64,
        /// What.
        call: GuestCall,
    },
    /// All checks ended.
    ChecksFinished {
        /// One per check, in order.
        results: Vec<CheckResult>,
    },
    /// Alive.
    Pong {
        /// The sequence of the question.
        sequence: u64,
    },
    /// The guest will not, or could not, do what it was told.
    Refused {
        /// Why.
        code: RefusalCode,
        /// More, for people.
        detail: String,
    },
}

/// How an attempt's program ended, as the guest says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finished {
    /// The exit code; absent if a signal ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// It ran into its time limit.
    #[serde(default)]
    pub timed_out: bool,
    /// What it wrote to `summary.md` (at most 16 KiB).
    #[serde(default)]
    pub summary: String,
    /// What it wrote to `result.json`, verbatim (at most 1 MiB).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_text: Option<String>,
    /// Open questions, from `questions.json` (an array of strings).
    #[serde(default)]
    pub open_questions: Vec<String>,
    /// What an agent reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// Tool calls of an agent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub used_tools: bool,
    /// How long it ran, in milliseconds.
    pub wall_ms: u64,
    /// Processor time, in milliseconds.
    pub cpu_ms: u64,
    /// Peak memory, in KiB.
    pub peak_kib: u64,
    /// Bytes it printed, dropped ones included.
    pub output_bytes: u64,
}

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckResult {
    /// The exit code; absent if a signal ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// It ran into its time limit.
    #[serde(default)]
    pub timed_out: bool,
    /// How long it took, in milliseconds.
    pub wall_ms: u64,
    /// The end of what it printed (at most 4 KiB).
    pub output_tail: String,
}

/// Why a guest refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// It is still frozen.
    Frozen,
    /// It speaks another version of the channel.
    Version,
    /// It already has an assignment.
    Busy,
    /// The scratch disk is full.
    DiskFull,
    /// The changes are larger than the host's limit.
    ChangesTooLarge,
    /// The message made no sense.
    BadMessage,
    /// Something in the guest failed.
    GuestError,
}

/// The first frame of a data stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DataHeader {
    /// Host to guest: a tar of the tree (ustar or PAX), then end of stream. `.git` comes in it too.
    Workspace,
    /// Host to guest, no bytes; the guest answers on the same stream with a tar of what changed below the workspace
    /// (every `.git` left out), deletions first in [`DELETIONS_ENTRY`] (always there), the two empty blocks that end a tar,
    /// then end of stream. Files come whole, symbolic links as they are; folders do not come for themselves; sockets,
    /// pipes and devices are left out.
    Changes {
        /// When the tar would be larger than this, in bytes, the guest sends in its place one frame of [`crate::frame`] with
        /// [`FromGuest::Refused`] (a tar of changes cannot begin with a zero byte, such a frame always does).
        limit_bytes: u64,
    },
    /// Guest to host: output as it comes, until end of stream. A script's attempt opens exactly one for standard output and
    /// one for standard error, an agent's one for what it says and one for what its tools print, a set of checks exactly
    /// one for all, printed or not; they end before the control port says so.
    Output {
        /// Whose.
        source: super::task::LogSource,
    },
    /// Host to guest, before Assign: a tar of skills, one folder each by name; unpacked to [`SKILLS`]. Answered on the same
    /// stream by one frame with a [`StreamAnswer`].
    Skills,
    /// Host to guest, before Assign: an earlier attempt's transcript, as the guest wrote it. Answered like `Skills`.
    Transcript,
    /// Host to guest, after Workspace and before Assign: a tar as [`DataHeader::Changes`] has it, put over the workspace;
    /// what counts as changed is still counted from the workspace as it came. Answered like `Skills`.
    Restore,
    /// Guest to host: one connection of a program in the guest to the loopback address of a service; raw bytes both ways.
    Connect {
        /// Which service.
        service: Service,
    },
    /// Guest to host, after every turn of an agent: `transcript_bytes` bytes to append to the transcript, then, if
    /// `with_changes`, a tar as [`DataHeader::Changes`] has it, to the end of the stream. Answered like `Skills`; the agent
    /// goes on only after that.
    Checkpoint {
        /// The turn that is now saved.
        turn: u32,
        /// Bytes to append.
        transcript_bytes: u64,
        /// Files changed since the last checkpoint: a tar of all changes from the workspace as it came follows.
        with_changes: bool,
    },
}

/// What a guest can connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// The model gateway: HTTP/1.1, the routes of [`super::agent::Wire`].
    Models,
    /// The proxy to hosts on the allow-list: HTTP/1.1, `CONNECT host:port` or absolute `http://` URLs.
    Proxy,
}

/// How a [`StreamAnswer::Failed`] to a checkpoint begins if no further turn will ever be taken: the transcript has its
/// greatest length.
pub const TRANSCRIPT_FULL: &str = "the transcript is full";

/// How the receiver of a data stream answers it: one frame of [`crate::frame`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StreamAnswer {
    /// Taken; for a checkpoint: durable.
    Done,
    /// Not taken.
    Failed {
        /// Why.
        detail: String,
    },
}
