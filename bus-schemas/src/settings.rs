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

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    prices::{Priced, price_of},
    v1::agent::{Role, Structured, Wire},
};

/// The keys of `[models]`.
pub const MODELS_KEYS: [&str; 6] = ["endpoint", "endpoint_key_env", "default", "worker", "planner", "judge"];
/// The keys of `[providers.NAME]`.
pub const PROVIDER_KEYS: [&str; 8] =
    ["kind", "base_url", "key_env", "key_file", "ca_file", "max_concurrent", "server_tools", "models"];
/// The keys of `[providers.NAME.models.MODEL]`.
pub const MODEL_KEYS: [&str; 9] = [
    "context_tokens",
    "max_output_tokens",
    "wire",
    "structured",
    "usd_per_million_input",
    "usd_per_million_output",
    "usd_per_million_cache_write_5m",
    "usd_per_million_cache_write_1h",
    "usd_per_million_cache_read",
];

/// What a variable `BATON_PROVIDERS_<tail>` sets: the provider's name, of those `configured` the one it means, and the key.
/// `tail` is in lower case. `None` if no key is at its end.
#[must_use]
pub fn provider_variable<'a>(
    tail: &str,
    configured: impl IntoIterator<Item = &'a str>,
) -> Option<(String, &'static str)> {
    // A provider's models are tables: too much for a variable.
    let keys = PROVIDER_KEYS.into_iter().filter(|key| *key != "models");
    let fits = |key: &&'static str| tail.strip_suffix(key).is_some_and(|name| name.len() > 1 && name.ends_with('_'));
    let key = keys.filter(fits).max_by_key(|key| key.len())?;
    let name = tail.strip_suffix(key)?.strip_suffix('_')?;
    let meant = configured.into_iter().find(|known| known.to_lowercase().replace(['-', '.'], "_") == name);
    Some((meant.unwrap_or(name).to_owned(), key))
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Names;
    impl<'de> de::Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the name of a model, or a list of names")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut names: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some(name) = names.next_element()? {
                found.push(name);
            }
            Ok(found)
        }
    }
    deserializer.deserialize_any(Names)
}

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
    /// For tasks, the preferred one first. A text is a list with commas, here and below.
    #[serde(deserialize_with = "one_or_many")]
    pub worker: Vec<String>,
    /// For planning.
    #[serde(deserialize_with = "one_or_many")]
    pub planner: Vec<String>,
    /// For comparing candidates.
    #[serde(deserialize_with = "one_or_many")]
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
    /// Agents may let the provider itself reach out: search the web, run code there, call other servers. Default: no.
    pub server_tools: Option<bool>,
    /// What is known of its models, by their names there.
    pub models: BTreeMap<String, ModelSettings>,
}

/// `[models]` and `[providers.*]` together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelSetup {
    /// Which models do what.
    pub models: Models,
    /// Who serves them.
    pub providers: BTreeMap<String, Provider>,
}

impl ModelSetup {
    /// A provider with its defaults: those that exist without being configured, and that of [`Models::endpoint`].
    /// What has no base URL even so is nobody.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<Provider> {
        let configured = self.providers.get(name);
        let mut provider = configured.cloned().unwrap_or_default();
        let (kind, base_url, key_env) = match name {
            "anthropic" => (ProviderKind::Anthropic, Some("https://api.anthropic.com/v1"), Some("ANTHROPIC_API_KEY")),
            "openai" => (ProviderKind::Openai, Some("https://api.openai.com/v1"), Some("OPENAI_API_KEY")),
            ENDPOINT_PROVIDER => {
                let models = &self.models;
                (ProviderKind::OpenaiCompatible, models.endpoint.as_deref(), models.endpoint_key_env.as_deref())
            }
            _ => (ProviderKind::OpenaiCompatible, None, None),
        };
        provider.kind = provider.kind.or(Some(kind));
        provider.base_url = provider.base_url.or_else(|| base_url.map(str::to_owned));
        if provider.key_file.is_none() {
            provider.key_env = provider.key_env.or_else(|| key_env.map(str::to_owned));
        }
        provider.base_url.is_some().then_some(provider)
    }

    /// The names of all providers there are.
    #[must_use]
    pub fn provider_names(&self) -> Vec<String> {
        let built_in = ["anthropic", "openai", ENDPOINT_PROVIDER].map(str::to_owned);
        let mut names: Vec<String> = built_in.into_iter().chain(self.providers.keys().cloned()).collect();
        names.retain(|name| self.provider(name).is_some());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The price of a model given as `provider/model`; `None` if there is no such provider.
    #[must_use]
    pub fn price(&self, full_name: &str) -> Option<Priced> {
        let (name, model) = full_name.split_once('/')?;
        let provider = self.provider(name)?;
        let kind = provider.kind.unwrap_or(ProviderKind::OpenaiCompatible);
        Some(price_of(kind, provider.base_url.as_deref()?, model, provider.models.get(model)))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lines_are_enough() {
        let models = Models {
            endpoint: Some("http://127.0.0.1:8080/v1".to_owned()),
            default: Some("qwen2.5-coder".to_owned()),
            ..Models::default()
        };
        assert_eq!(models.of(Role::Planner), ["endpoint/qwen2.5-coder"]);
        let setup = ModelSetup { models, ..ModelSetup::default() };
        assert_eq!(setup.provider_names(), ["anthropic", "endpoint", "openai"]);
        assert_eq!(setup.price("endpoint/qwen2.5-coder"), Some(Priced::default()));
        assert_eq!(setup.price("anthropic/claude-haiku-4-5").map(|p| p.price.input), Some(1_000));
        assert_eq!(setup.price("nobody/m"), None);
        assert_eq!(ModelSetup::default().provider("endpoint"), None);
    }

    #[test]
    fn a_variable_names_provider_and_key() {
        let configured = ["my-lab", "key"];
        let found = |tail| provider_variable(tail, configured).map(|(name, key)| format!("{name} {key}"));
        assert_eq!(found("my_lab_key_env").as_deref(), Some("my-lab key_env"));
        assert_eq!(found("openai_base_url").as_deref(), Some("openai base_url"));
        assert_eq!(found("key_key_file").as_deref(), Some("key key_file"));
        for none in ["key_env", "_key_env", "openai", "openai_models", "openai_key"] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn every_key_is_known_and_every_known_key_is_one() {
        fn keys(value: impl Serialize) -> Vec<String> {
            let serde_json::Value::Object(map) = serde_json::to_value(value).unwrap() else { unreachable!() };
            map.keys().cloned().collect()
        }
        let sorted = |known: &[&str]| {
            let mut known: Vec<String> = known.iter().map(|key| (*key).to_owned()).collect();
            known.sort_unstable();
            known
        };
        assert_eq!(keys(Models::default()), sorted(&MODELS_KEYS));
        assert_eq!(keys(Provider::default()), sorted(&PROVIDER_KEYS));
        assert_eq!(keys(ModelSettings::default()), sorted(&MODEL_KEYS));
    }

    #[test]
    fn one_model_or_several() {
        let read = |text| serde_json::from_str::<Models>(text).map(|models| models.worker);
        assert_eq!(read(r#"{"worker":"a/b, c"}"#).unwrap(), ["a/b", "c"]);
        assert_eq!(read(r#"{"worker":["a","b"]}"#).unwrap(), ["a", "b"]);
        assert!(read(r#"{"worker":7}"#).unwrap_err().to_string().contains("the name of a model, or a list"));
    }

    #[test]
    fn what_is_configured_wins_over_the_defaults() {
        let own = Provider { key_file: Some("/k".to_owned()), ..Provider::default() };
        let setup = ModelSetup { providers: BTreeMap::from([("anthropic".to_owned(), own)]), ..ModelSetup::default() };
        let found = setup.provider("anthropic").unwrap();
        assert_eq!((found.key_env, found.key_file.as_deref()), (None, Some("/k")));
        assert_eq!(found.base_url.as_deref(), Some("https://api.anthropic.com/v1"));
    }
}
