//! Work for an AI agent: what a host is offered, what the agent hands on, why it pauses, what it spends.

use serde::{Deserialize, Serialize};

use super::task::Note;
use crate::{
    envelope::Message,
    id::{AttemptRef, ClaimNonce},
    json::Json,
    secrets::SecretBrief,
    time::UnixMs,
};

/// What an agent is for; each role has its own models in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Does a task.
    #[default]
    Worker,
    /// Proposes a plan.
    Planner,
    /// Compares candidates.
    Judge,
}

/// An agent's work, as it is offered to hosts and handed to the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentWork {
    /// The program that is the agent's loop; `builtin`.
    pub harness: String,
    /// What it is for.
    #[serde(default)]
    pub role: Role,
    /// What to do.
    pub instructions: String,
    /// Models as `provider/model`, the preferred one first. Empty: the role's, by the host's configuration.
    #[serde(default)]
    pub models: Vec<String>,
    /// The skills it may use; their files are in the object store.
    #[serde(default)]
    pub skills: Vec<SkillRef>,
    /// The most turns of one attempt.
    pub max_turns: u32,
    /// Look for checkpoints of earlier attempts, from this one downwards, and go on from the newest. 0: start afresh.
    #[serde(default)]
    pub resume_from: u32,
    /// Never look at checkpoints of this attempt or earlier ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resume_after: u32,
    /// Go on from the checkpoints of another task: the question of a successor is put to the agent that did that task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_task: Option<AttemptRef>,
    /// It may propose changes of the plan.
    #[serde(default)]
    pub may_replan: bool,
    /// What it may ask to be done outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<super::effect::EffectBrief>,
    /// The secrets there are, for it to know what it has and what it can ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretBrief>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// One skill, by the digest of its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkillRef {
    /// Its name.
    pub name: String,
    /// What it is for, one paragraph.
    pub description: String,
    /// SHA-256 of its tar (see [`crate::stream::skill_object`]), lower-case hex.
    pub sha256: String,
    /// The tar's size.
    pub bytes: u64,
}

/// A model as the guest's agent needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelBrief {
    /// `provider/model`: what the agent puts into a request's `model`; the gateway translates it.
    pub name: String,
    /// The wire format the agent speaks to it.
    pub wire: Wire,
    /// Its context window, in tokens.
    pub context_tokens: u32,
    /// The most tokens of one answer.
    pub max_output_tokens: u32,
    /// How it is brought to answer in a given form.
    pub structured: Structured,
    /// It understands cache breakpoints.
    #[serde(default)]
    pub caching: bool,
}

/// A wire format of model calls; its path is below the gateway's loopback address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Anthropic Messages: `POST /v1/messages`.
    Messages,
    /// OpenAI chat completions: `POST /v1/chat/completions`.
    ChatCompletions,
    /// OpenAI responses: `POST /v1/responses`.
    Responses,
}

/// How a model is brought to act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Structured {
    /// It calls tools.
    #[default]
    Tools,
    /// It ignores tools but honours `response_format: json_schema`: the agent asks for an action by schema.
    JsonSchema,
    /// Neither: the agent asks for a JSON action in the text and repairs what comes.
    Text,
}

/// What an agent hands on, besides files: typed, checked before a successor spends a token. Untrusted text throughout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The goal as the agent understood it.
    pub goal: String,
    /// What was done.
    pub done: String,
    /// What was decided, and why.
    #[serde(default)]
    pub decisions: Vec<Choice>,
    /// Paths worth looking at, relative to the workspace.
    #[serde(default)]
    pub artifacts: Vec<String>,
    /// What could not be decided.
    #[serde(default)]
    pub open_questions: Vec<String>,
    /// What the next one must know.
    #[serde(default)]
    pub must_know: Vec<String>,
    /// The typed result for successors' `when` and `foreach`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
}

/// Something an agent decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Tokens of model calls, as the provider counted them. `input` excludes what the cache served or took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tokens {
    /// Read at full price.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Put into a cache for 5 minutes.
    #[serde(default)]
    pub cache_write_5m: u64,
    /// Put into a cache for an hour.
    #[serde(default)]
    pub cache_write_1h: u64,
    /// Served by a cache.
    #[serde(default)]
    pub cache_read: u64,
}

impl Tokens {
    /// All kinds together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input
            .saturating_add(self.output)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
            .saturating_add(self.cache_read)
    }

    /// Both together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_write_5m: self.cache_write_5m.saturating_add(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            cache_read: self.cache_read.saturating_add(other.cache_read),
        }
    }
}

/// What model calls cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Spend {
    /// Model calls.
    pub calls: u64,
    /// Their tokens.
    #[serde(default)]
    pub tokens: Tokens,
    /// Their price in billionths of a US dollar.
    #[serde(default)]
    pub usd_nanos: u64,
    /// A price was not known and the dearest known one was taken.
    #[serde(default)]
    pub price_assumed: bool,
}

impl Spend {
    /// Both together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            tokens: self.tokens.plus(&other.tokens),
            usd_nanos: self.usd_nanos.saturating_add(other.usd_nanos),
            price_assumed: self.price_assumed || other.price_assumed,
        }
    }
}

/// What a budget limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// US dollars, in billionths.
    Usd,
    /// Model tokens, all kinds together.
    Tokens,
    /// VM time, in milliseconds.
    VmMs,
    /// Time since the start, in milliseconds.
    WallMs,
    /// Model calls.
    Turns,
}

/// Why an attempt pauses. The VM goes; the checkpoint stays; the next attempt goes on from it and costs no retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Pause {
    /// The agent asks a person.
    Question {
        /// What. Untrusted text.
        question: String,
        /// Answers it suggests.
        #[serde(default)]
        options: Vec<String>,
        /// The worker asks in its stead: it repeats itself, or its answers make no sense.
        #[serde(default)]
        stuck: bool,
    },
    /// The agent asks for something beyond its task.
    Capability {
        /// What.
        capability: super::ledger::Capability,
        /// Why. Untrusted text.
        reason: String,
    },
    /// A limit of the budget is reached.
    Budget {
        /// Whose limit: the task's key, or empty for the project's.
        #[serde(default)]
        task_key: String,
        /// Which.
        resource: Resource,
        /// Used and reserved so far, in the resource's unit.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// The provider lets nobody through for long.
    RateLimited {
        /// The provider's name in the configuration.
        provider: String,
        /// When to try again.
        resume_at: UnixMs,
    },
    /// The handoff of a needed task goes back with a question.
    Bounce {
        /// The needed task's key.
        need: String,
        /// The question. Untrusted text.
        question: String,
    },
}

/// An attempt paused. Published on the stream of observations, like a handoff or a failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AttemptPaused {
    /// Which attempt.
    pub attempt: AttemptRef,
    /// Which claim of it.
    pub nonce: ClaimNonce,
    /// Why.
    pub pause: Pause,
    /// The last turn that is saved; 0 if none is.
    pub saved_turn: u32,
    /// What it used.
    #[serde(default)]
    pub usage: super::handoff::Usage,
}

/// Somebody has something to say to the attempt that runs now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TellAttempt {
    /// Which attempt.
    pub attempt: AttemptRef,
    /// What; it has an id.
    pub note: Note,
}

/// One connection that a guest asked for, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EgressRecord {
    /// `host:port` as asked for.
    pub target: String,
    /// The rule that decided: an entry of the task's `network`, or `secret NAME`, `default deny`, `private address`, `bad request` …
    pub rule: String,
    /// It was let through.
    pub allowed: bool,
    /// When.
    pub at: UnixMs,
    /// Bytes to the target.
    #[serde(default)]
    pub sent_bytes: u64,
    /// Bytes from the target.
    #[serde(default)]
    pub received_bytes: u64,
}

/// Where an attempt's saved state is: the object [`crate::stream::checkpoint_object`]. What is in the parts is the guest's
/// own business; hosts only keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Checkpoint {
    /// The last turn in it.
    pub turn: u32,
    /// SHA-256 of the transcript's parts, in order, each an object [`crate::stream::blob_object`].
    pub transcript: Vec<Part>,
    /// The tar of changes from the base commit, if anything changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Part>,
    /// The commit that `changes` counts from.
    pub base_commit: String,
}

/// A stored piece of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Part {
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

impl Message for AttemptPaused {
    const KIND: &'static str = "attempt.paused";
}
impl Message for TellAttempt {
    const KIND: &'static str = "attempt.tell";
}
