//! The sections of `baton.toml` that more than one service reads: who serves models, and what they cost.
//!
//! ```toml
//! [models]                                # two lines are enough:
//! endpoint = "http://127.0.0.1:8080/v1"   #   any OpenAI-compatible server …
//! default = "qwen2.5-coder"               #   … and its model
//!
//! [models]                                # or, with ANTHROPIC_API_KEY in the environment:
//! default = "anthropic/claude-sonnet-4-5"
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::v1::agent::{Role, Structured, Wire};

/// The provider that `models.endpoint` makes.
pub const ENDPOINT_PROVIDER: &str = "endpoint";

/// `[models]`: which models do what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Models {
    /// The base URL (with `/v1`) of an OpenAI-compatible server: makes a provider named [`ENDPOINT_PROVIDER`].
    pub endpoint: Option<String>,
    /// The environment variable of `vm-pool` that holds the endpoint's key.
    pub endpoint_key_env: Option<String>,
    /// The model of every role that names none. Without a provider (`name` alone) it is the endpoint's.
    pub default: Option<String>,
    /// For tasks, the preferred one first.
    pub worker: Vec<String>,
    /// For planning.
    pub planner: Vec<String>,
    /// For comparing candidates.
    pub judge: Vec<String>,
}

impl Models {
    /// The models of a role as `provider/model`, the preferred one first; empty if none is configured.
    #[must_use]
    pub fn of(&self, role: Role) -> Vec<String> {
        let named = match role {
            Role::Worker => &self.worker,
            Role::Planner => &self.planner,
            Role::Judge => &self.judge,
        };
        let chosen = if named.is_empty() { self.default.as_slice() } else { named.as_slice() };
        chosen.iter().map(|name| self.full_name(name)).collect()
    }

    /// `name` with the endpoint's provider in front, if it has none.
    #[must_use]
    pub fn full_name(&self, name: &str) -> String {
        if self.endpoint.is_some() && !name.starts_with("endpoint/") && !name.contains("//") {
            let known = ["anthropic/", "openai/"].iter().any(|prefix| name.starts_with(prefix));
            if !known && !name.contains('/') {
                return format!("{ENDPOINT_PROVIDER}/{name}");
            }
        }
        name.to_owned()
    }
}

/// `[providers.NAME]`: a server of models. `anthropic` and `openai` exist without being configured, with their keys in
/// `ANTHROPIC_API_KEY` and `OPENAI_API_KEY`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provider {
    /// `anthropic`, `openai` or `openai_compatible`. Default: by the name, else `openai_compatible`.
    pub kind: Option<ProviderKind>,
    /// The base URL, up to and with `/v1`. Default: the vendor's.
    pub base_url: Option<String>,
    /// The environment variable of `vm-pool` that holds the key.
    pub key_env: Option<String>,
    /// A file, readable by its owner alone, that holds the key.
    pub key_file: Option<String>,
    /// A PEM file with further certificate authorities.
    pub ca_file: Option<String>,
    /// The most calls at once from one host. Default 16.
    pub max_concurrent: Option<u32>,
    /// What is known of its models, by their names there.
    pub models: BTreeMap<String, ModelSettings>,
}

/// What a server of models speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Anthropic's Messages API; the key goes into `x-api-key`.
    Anthropic,
    /// OpenAI's API; the key goes into `Authorization: Bearer`.
    Openai,
    /// Anything that speaks OpenAI's chat completions: Ollama, llama.cpp, vLLM, OpenRouter …
    OpenaiCompatible,
}

/// `[providers.NAME.models.MODEL]`: what is known of a model; everything has a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelSettings {
    /// Its context window, in tokens.
    pub context_tokens: Option<u32>,
    /// The most tokens of one answer.
    pub max_output_tokens: Option<u32>,
    /// The wire format the built-in agent speaks to it.
    pub wire: Option<Wire>,
    /// How it is brought to act. Default: tools.
    pub structured: Option<Structured>,
    /// US dollars per million input tokens; with it, the four others default to the usual multiples.
    pub usd_per_million_input: Option<f64>,
    /// US dollars per million output tokens.
    pub usd_per_million_output: Option<f64>,
    /// US dollars per million tokens put into a cache for 5 minutes. Default 1.25 × input.
    pub usd_per_million_cache_write_5m: Option<f64>,
    /// US dollars per million tokens put into a cache for an hour. Default 2 × input.
    pub usd_per_million_cache_write_1h: Option<f64>,
    /// US dollars per million tokens served by a cache. Default 0.1 × input.
    pub usd_per_million_cache_read: Option<f64>,
}

// A float in the settings is what a person wrote; it is never the outcome of a computation.
impl Eq for ModelSettings {}
