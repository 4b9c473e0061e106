//! Effects: what the orchestrator's machine does in the outside world for an agent, once people allowed exactly that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An effect as an agent is told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EffectBrief {
    /// Its name: what an agent asks for.
    pub name: String,
    /// What it does, for people and agents.
    #[serde(default)]
    pub about: String,
    /// What must be said with it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, ParameterBrief>,
}

/// A parameter of an effect. Exactly one of `one_of` and `pattern` is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ParameterBrief {
    /// What it is for.
    #[serde(default)]
    pub about: String,
    /// The values there are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
    /// The regular expression a whole value must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// An effect with its arguments put in: what people are shown, and what is run, to the letter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EffectOrder {
    /// Its name.
    pub name: String,
    /// What it does, as the configuration says.
    #[serde(default)]
    pub about: String,
    /// The program and its arguments. No shell reads them.
    pub argv: Vec<String>,
    /// Where it runs, an absolute path; `None`: in a new, empty folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The environment variables that are passed on to it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// How long it may run, in milliseconds.
    pub timeout_ms: u64,
    /// SHA-256 over the canonical JSON of its definition in the configuration, lower-case hex: if that changes, an approval
    /// is void.
    pub definition: String,
}
