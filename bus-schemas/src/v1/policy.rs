//! Approval policies, as a plan or `baton.toml` writes them: who is asked, under which conditions, for how long.

use serde::{Deserialize, Serialize};

use super::plan::Span;

/// How requests of one policy are decided. The first rule whose condition holds decides; without one, `decide` does.
///
/// ```yaml
/// policies:
///   careful:
///     rules:
///       - { name: docs, when: 'paths.all(p, p.startsWith("docs/")) && lines < 200', decide: auto }
///       - { name: costly, when: 'spend.usd > 5.0 || risk == "high"', decide: { quorum: { n: 2, of: leads } } }
///     decide: { any_of: [ { person: alice }, { after: { wait: 4h, who: { group: leads } } } ] }
///     deadline: 2d
///     reminder: 12h
///     no_self_approval: true
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Who decides if no rule matches: `auto`, `ask`, or who must agree.
    pub decide: Decide,
    /// Looked at in order before `decide`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// How long people may take. Without it: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// How long until those who can decide are reminded, and again each time that much later (20 times at most).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder: Option<Span>,
    /// What happens at the deadline. Default: `reject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_deadline: Option<AtDeadline>,
    /// Neither who started the project nor who edited what is asked about may approve it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_self_approval: bool,
    /// Only write down what the rules would have decided; `decide` decides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, for the audit log.
    pub name: String,
    /// A CEL expression over what is asked about (`docs/approvals.md` lists the variables). If it cannot be evaluated, a person
    /// is asked.
    pub when: String,
    /// Who decides then.
    pub decide: Decide,
    /// Only write down what this rule would have decided.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

/// Who decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Decide {
    /// `auto` or `ask`.
    Word(DecideWord),
    /// These people.
    Who(Box<Who>),
}

impl Decide {
    /// Nobody is asked.
    pub const AUTO: Self = Self::Word(DecideWord::Auto);
    /// Anybody who may decide at all.
    pub const ASK: Self = Self::Word(DecideWord::Ask);

    /// Whether a person is asked.
    #[must_use]
    pub const fn asks(&self) -> bool {
        !matches!(self, Self::Word(DecideWord::Auto))
    }
}

/// Who decides, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DecideWord {
    /// Nobody is asked; the decision is recorded with the policy's name.
    Auto,
    /// Any one member; without members in `baton.toml`, anybody who can reach a channel.
    Ask,
}

/// Who must agree: exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// One member, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Any one member of a group. `everyone` is the group of all members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// So many different members of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<Quorum>,
    /// One of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any_of: Option<Vec<Who>>,
    /// Each of these. One person can count in several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_of: Option<Vec<Who>>,
    /// These too, but only after some time without a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Box<After>>,
}

/// So many different members of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// How many, at least 1.
    pub n: u32,
    /// Of which group.
    pub of: String,
}

/// Somebody who may decide later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct After {
    /// How long after the request was asked.
    pub wait: Span,
    /// Who.
    pub who: Who,
}

/// What happens when nobody decided in time: `reject`, `approve` (only where the risk is low; else it rejects), or
/// `{ escalate: { to: …, for: … } }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AtDeadline {
    /// It counts as rejected.
    Reject,
    /// It counts as approved if the risk is low, else as rejected.
    Approve,
    /// Others may decide as well, for some more time; then it counts as rejected.
    Escalate(Escalation),
}

/// Others may decide as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    /// Who.
    pub to: Who,
    /// For how long.
    #[serde(rename = "for")]
    pub time: Span,
}
