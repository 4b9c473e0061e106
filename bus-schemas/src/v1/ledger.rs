//! What the HTTP API says about the approval ledger: who may decide, who did, what is remembered, what was recorded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    api::{EstimateView, OverBudgetView, QuestionView, SkillProposal},
    approval::{ApprovalSubject, Decision, Verdict},
    call::PlanPatch,
    handoff::Handoff,
    plan::Plan,
    skill::SkillReview,
};
use crate::{
    id::{ApprovalId, ProjectId},
    secrets::SecretBrief,
    time::UnixMs,
};

/// A request to people, with what they need to decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApprovalView {
    /// Its id.
    pub approval_id: ApprovalId,
    /// Its project.
    pub project_id: ProjectId,
    /// The project's title.
    pub project_title: String,
    /// What it is about.
    pub subject: ApprovalSubject,
    /// The task's key, for a handoff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_key: Option<String>,
    /// The digest a decision must name.
    pub digest: String,
    /// The policy that asked.
    pub policy: String,
    /// When it was asked.
    pub asked_at: UnixMs,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMs>,
    /// The decision, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// The plan, if that is what is asked about; the plan as it would be, for a change of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// The SHA-256 of every script file the plan runs, by path, if that is what is asked about.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scripts: BTreeMap<String, String>,
    /// The handoff, if that is what is asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<Handoff>,
    /// The SHA-256 of every skill its agents may use, by name, if a plan is asked about.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<String, String>,
    /// Those of them that no person admitted as they are now, if a plan is asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skill_reviews: Vec<SkillReview>,
    /// What the plan may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<EstimateView>,
    /// The question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<QuestionView>,
    /// The limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_budget: Option<OverBudgetView>,
    /// The change of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<PlanPatch>,
    /// The skill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill: Option<SkillProposal>,
    /// What the agent asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<CapabilityView>,
    /// The result, if that is to be put into the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<ApplyOffer>,
    /// How it is decided, and how far that is.
    #[serde(default)]
    pub route: RouteView,
}

/// A person decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DecisionRequest {
    /// What.
    pub verdict: Verdict,
    /// The digest of what was shown.
    pub digest: String,
    /// Who.
    pub by: String,
    /// Over which channel.
    pub channel: String,
    /// The reason or note.
    #[serde(default)]
    pub note: String,
    /// Let the decision count for later requests of the kind, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember: Option<Remember>,
}

/// How much can go wrong if a request is approved by mistake. Worked out by rules (`docs/approvals.md`), never by a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Small, proven, inside the folder.
    #[default]
    Low,
    /// Worth a look.
    Medium,
    /// Never decided by a remembered decision.
    High,
}

/// How a request is decided: what its policy said when it was asked, and how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RouteView {
    /// The rule of the policy that matched; empty if none did.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Who must agree, as a sentence: `two of leads (ann, bob, eve), or carl from 14:00 on`.
    pub needs: String,
    /// The people who can decide now, by name; empty if anybody can.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub eligible: Vec<String>,
    /// The people who must not approve it: they started or edited it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
    /// How much can go wrong, and why.
    pub risk: Risk,
    /// The reasons for the risk, for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub risk_reasons: Vec<String>,
    /// What rules that only watch would have decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shadow: Vec<String>,
    /// An error of the policy: therefore a person is asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub problem: String,
    /// What happens at the deadline, as a word: `reject`, `approve`, `escalate`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub at_deadline: String,
    /// Those who approved so far, where more than one must.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<VoteView>,
    /// Who handed their say to whom.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delegations: Vec<DelegationView>,
    /// Questions people put to the agent, with the answers so far.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<AskedView>,
    /// How often people were reminded.
    #[serde(skip_serializing_if = "is_zero")]
    pub reminders: u32,
    /// A decision about it can be remembered.
    pub can_remember: bool,
    /// Requests with the same key are alike and low in risk: they can be shown and decided together.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub batch: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// One person's approval, where more than one must agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VoteView {
    /// Who.
    pub by: String,
    /// Over which channel.
    pub channel: String,
    /// What they said with it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// When.
    pub at: UnixMs,
}

/// Somebody handed their say to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DelegationView {
    /// Who.
    pub from: String,
    /// To whom.
    pub to: String,
    /// When.
    pub at: UnixMs,
}

/// A question to the agent whose work is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AskedView {
    /// Who asked.
    pub by: String,
    /// Over which channel.
    pub channel: String,
    /// What.
    pub question: String,
    /// When.
    pub at: UnixMs,
    /// The answer, once there is one. Untrusted text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// Ask the agent about its work before deciding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AskRequest {
    /// The question.
    pub question: String,
    /// Who.
    pub by: String,
    /// Over which channel.
    pub channel: String,
}

/// Hand one's say about a request to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DelegateRequest {
    /// To whom: a member's name.
    pub to: String,
    /// Who.
    pub by: String,
    /// Over which channel.
    pub channel: String,
}

/// A request was shown to somebody: they opened its card, its mail, its page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ViewedRequest {
    /// Who.
    pub by: String,
    /// Over which channel.
    pub channel: String,
}

/// Several requests decided together; each is decided, and refused, by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BatchRequest {
    /// Which, each with the digest that was shown.
    pub requests: Vec<BatchItem>,
    /// What.
    pub verdict: Verdict,
    /// Who.
    pub by: String,
    /// Over which channel.
    pub channel: String,
    /// The reason or note.
    #[serde(default)]
    pub note: String,
}

/// One of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BatchItem {
    /// Which.
    pub approval_id: ApprovalId,
    /// The digest that was shown.
    pub digest: String,
}

/// What came of one of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BatchOutcome {
    /// Which.
    pub approval_id: ApprovalId,
    /// Why it was not decided; absent if it was (or the vote was taken).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<super::api::Problem>,
}

/// How a decision is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Remember {
    /// For what.
    pub scope: RememberScope,
    /// For how long, in milliseconds: at most 30 days.
    pub for_ms: u64,
}

/// For which later requests a decision counts, too. Always only those of the same kind and policy, of the same thing (the task
/// for a handoff, the host or the secret for a capability), and of no higher risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RememberScope {
    /// Of the same project.
    Project,
    /// Of every project of the same folder.
    Folder,
}

/// A remembered decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RememberedView {
    /// The request whose decision is remembered: its id names this, too.
    pub approval_id: ApprovalId,
    /// Its project.
    pub project_id: ProjectId,
    /// Whose decision.
    pub by: String,
    /// The kind of request, as a word.
    pub kind: String,
    /// The policy.
    pub policy: String,
    /// The thing: a task's key without its index, a host, `secret NAME`; empty for the whole project.
    pub subject: String,
    /// The folder.
    pub folder: String,
    /// For what.
    pub scope: RememberScope,
    /// Up to which risk.
    pub risk: Risk,
    /// Since when.
    pub since: UnixMs,
    /// Until when.
    pub until: UnixMs,
    /// How many requests it was used for.
    pub used: u64,
    /// Who took it back, if somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<String>,
}

/// Take a remembered decision back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RevokeRequest {
    /// Who.
    pub by: String,
    /// Over which channel.
    pub channel: String,
}

/// One record of the audit log. Its hash covers everything in it and the hash of the record before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// Its position, from 1, without gaps.
    pub number: u64,
    /// The journal record it is about.
    pub sequence: u64,
    /// When.
    pub at: UnixMs,
    /// `noun.verb`: `request.asked`, `request.viewed`, `vote.taken`, `decision.made`, `budget.raised` …
    pub kind: String,
    /// The project.
    pub project_id: ProjectId,
    /// The request; the nil UUID if it is about none.
    pub approval_id: ApprovalId,
    /// What it is about, in a word.
    pub subject: String,
    /// The digest of what was shown.
    pub digest: String,
    /// Who: a member's name, `channel:id`, `policy:name`.
    pub actor: String,
    /// Over which channel.
    pub channel: String,
    /// The verdict, the rule, the note: what belongs to the kind, as JSON.
    pub detail: crate::json::Json,
    /// SHA-256 over the canonical JSON of the list of all that is stored of the journal record (sequence, project, version,
    /// time, event and detail, the last two as text), lower-case hex.
    pub event_sha256: String,
    /// The hash of the record before; 64 zeros for the first.
    pub previous: String,
    /// SHA-256 over the canonical JSON of all the other fields, lower-case hex.
    pub hash: String,
}

/// What checking the audit log found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditReport {
    /// Records read.
    pub entries: u64,
    /// The journal record from which on there are entries: more than 1 if the database is older than the log.
    #[serde(default)]
    pub starts_at: u64,
    /// The hash of the last one: keep it elsewhere, and a later check tells whether the log still contains it.
    pub head: String,
    /// What is wrong, in order; empty if the log is whole.
    pub findings: Vec<AuditFinding>,
}

/// Something that is wrong with the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditFinding {
    /// The record's position; 0 if it is about the whole log.
    pub number: u64,
    /// What.
    pub problem: String,
}

/// How often people are asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FatigueView {
    /// Projects that are finished.
    pub finished_projects: u64,
    /// Requests in them that a person was asked about.
    pub prompts: u64,
    /// Requests in them that nobody was asked about: a rule or a remembered decision decided.
    pub automatic: u64,
    /// Prompts per finished project, in the middle and at worst.
    pub prompts_median: u64,
    /// See [`Self::prompts_median`].
    pub prompts_most: u64,
    /// How long people took, in the middle, in milliseconds.
    pub answered_median_ms: u64,
    /// Prompts that expired without anybody.
    pub expired: u64,
    /// Requests people approved, of those they decided, in thousandths: near 1000 they may have stopped reading.
    pub approved_permille: u64,
}

/// What a capability is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Capability {
    /// A host its VM may reach: as in a task's `network`.
    Host {
        /// `host` or `host:port`.
        host: String,
    },
    /// Something that is done outside, once, as the configuration of the orchestrator defines it.
    Effect {
        /// Its name.
        name: String,
        /// What is said with it, by parameter.
        #[serde(default)]
        arguments: BTreeMap<String, String>,
    },
    /// A secret that the host's proxy uses on its behalf: as in a task's `secrets`.
    Secret {
        /// Its name in `baton.toml`.
        name: String,
    },
}

/// An agent asks for something beyond its task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CapabilityView {
    /// What.
    pub capability: Capability,
    /// Why. Untrusted text.
    pub reason: String,
    /// What exactly would be run, for an effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<super::effect::EffectOrder>,
    /// What `baton.toml` said of the secret when it was asked for, if that is what the agent asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretBrief>,
}

/// The result of a project, before it is put into the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApplyOffer {
    /// The folder.
    pub folder: String,
    /// The commit the project began with.
    pub base_commit: String,
    /// The commit that holds the result.
    pub result_commit: String,
    /// What changes.
    pub changed_paths: Vec<super::handoff::ChangedPath>,
    /// Lines that come.
    pub lines_added: u64,
    /// Lines that go.
    pub lines_removed: u64,
}
