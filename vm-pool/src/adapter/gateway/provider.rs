//! Who serves models: the configuration, made ready for use.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use bus_schemas::{
    prices::{self, Priced},
    settings::{ModelSettings, ModelSetup, Provider as Settings, ProviderKind},
    v1::agent::{ModelBrief, Role},
};
use reqwest::{Certificate, Client, redirect::Policy};

use super::{
    brief::brief,
    secret::{self, Secret},
};
use crate::adapter::governor::{Governor, Governors};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a provider may be silent: before its answer (models think) and within it.
const SILENCE: Duration = Duration::from_secs(600);
/// The least likeness (0 to 1, Jaro-Winkler) of a name that is suggested.
const ALIKE: f64 = 0.75;

/// The configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[providers.{provider}] {detail}")]
pub struct GatewayError {
    /// Whose section of `baton.toml`.
    pub provider: String,
    /// What is wrong, and the way out.
    pub detail: String,
}

/// The model gateway. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    setup: ModelSetup,
    providers: BTreeMap<String, Arc<Provider>>,
}

/// One server of models.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) name: String,
    pub(super) kind: ProviderKind,
    /// Without a slash at its end.
    pub(super) base_url: String,
    pub(super) key: Option<Secret>,
    /// The variable that should hold the key and does not.
    missing_key: Option<String>,
    pub(super) client: Client,
    pub(super) governor: Governor,
    settings: Settings,
}

/// A model at its provider.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) provider: Arc<Provider>,
    /// Its name there.
    pub(super) model: String,
    pub(super) priced: Priced,
    pub(super) max_output: u64,
}

impl Gateway {
    /// Reads keys and certificates, once. `env` looks environment variables up.
    ///
    /// # Errors
    /// [`GatewayError`] for what is configured and cannot be used. A key that is only missing is an error when it is needed:
    /// another host may have it.
    pub fn new(
        setup: &ModelSetup,
        env: impl Fn(&str) -> Option<String>,
        governors: &Governors,
    ) -> Result<Self, GatewayError> {
        // Somebody else in this process may have installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        for (name, provider) in &setup.providers {
            let fail = |detail: &str| Err(GatewayError { provider: name.clone(), detail: detail.to_owned() });
            if name.is_empty() || name.contains('/') {
                return fail("a provider's name has no slash: models are named `provider/model`");
            }
            if setup.provider(name).is_none() {
                return fail("base_url is missing: the URL of an OpenAI-compatible server, up to and with `/v1`");
            }
            if provider.key_env.is_some() && provider.key_file.is_some() {
                return fail("key_env and key_file are both set: one key is enough");
            }
            if let Some(model) = provider.models.iter().find(|(_, model)| !has_sound_prices(model)) {
                return fail(&format!("models.{}: a price is not negative", model.0));
            }
        }
        let mut providers = BTreeMap::new();
        for name in setup.provider_names() {
            let Some(settings) = setup.provider(&name) else { continue };
            let provider = open(&name, settings, &env, governors)
                .map_err(|detail| GatewayError { provider: name.clone(), detail })?;
            providers.insert(name, Arc::new(provider));
        }
        Ok(Self { inner: Arc::new(Inner { setup: setup.clone(), providers }) })
    }

    /// The models of an agent, the preferred one first: `models`, or, if there are none, the role's. What this host has no
    /// key for is left out, as long as something is left.
    ///
    /// # Errors
    /// What is missing in the configuration, for people.
    pub fn briefs(&self, role: Role, models: &[String]) -> Result<Vec<ModelBrief>, String> {
        let setup = &self.inner.setup;
        let names: Vec<String> = match models {
            [] => setup.models.of(role),
            named => named.iter().map(|name| setup.models.full_name(name)).collect(),
        };
        if names.is_empty() {
            let word = format!("{role:?}").to_lowercase();
            return Err(format!(
                "no model for a {word}: set models.default (or models.{word}) in baton.toml, with models.endpoint for a \
                 server of your own, or with a vendor's key in the environment of baton-vm-pool"
            ));
        }
        let mut briefs = Vec::new();
        let mut missing = Vec::new();
        for name in names {
            let (provider, model) = self.find(&name)?;
            match provider.usable() {
                Ok(()) => briefs.push(brief(&name, model, provider.kind, provider.settings.models.get(model))),
                Err(why) => missing.push(format!("{name}: {why}")),
            }
        }
        if briefs.is_empty() {
            return Err(missing.join("; "));
        }
        for why in missing {
            tracing::warn!(%why, "a model is left out");
        }
        Ok(briefs)
    }

    /// The provider of `provider/model`, and the model's name there.
    fn find<'a>(&self, full_name: &'a str) -> Result<(&Arc<Provider>, &'a str), String> {
        let known = || self.inner.providers.keys().cloned().collect::<Vec<_>>().join(", ");
        let Some((name, model)) = full_name.split_once('/').filter(|(_, model)| !model.is_empty()) else {
            return Err(format!(
                "model {full_name:?} names no provider: write `provider/model`, with one of {}, or set models.endpoint",
                known()
            ));
        };
        if let Some(provider) = self.inner.providers.get(name) {
            return Ok((provider, model));
        }
        let alike = self.inner.providers.keys().map(|known| (strsim::jaro_winkler(name, known), known));
        let nearest = alike.filter(|(likeness, _)| *likeness >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
        let way_out = match nearest {
            Some((_, known)) => format!("did you mean `{known}/{model}`?"),
            None if self.inner.setup.models.endpoint.is_some() => {
                format!("if it is the endpoint's, write `endpoint/{full_name}`; else add a section [providers.{name}]")
            }
            None => format!("add a section [providers.{name}] with its base_url to baton.toml; there are {}", known()),
        };
        Err(format!("model {full_name:?}: unknown provider `{name}`; {way_out}"))
    }

    /// The model that a request asks for, among those allowed.
    pub(super) fn target(&self, asked: &str, allowed: &[String]) -> Option<Target> {
        let mut bare = allowed.iter().filter(|full| full.split_once('/').is_some_and(|(_, model)| model == asked));
        let full = allowed.iter().find(|full| *full == asked).or_else(|| {
            let only = bare.next();
            only.filter(|_| bare.next().is_none())
        })?;
        let (provider, model) = self.find(full).ok()?;
        let settings = provider.settings.models.get(model);
        let max_output = u64::from(brief(full, model, provider.kind, settings).max_output_tokens);
        let priced = prices::price_of(provider.kind, &provider.base_url, model, settings);
        Some(Target { provider: provider.clone(), model: model.to_owned(), priced, max_output })
    }
}

impl Provider {
    /// Whether it may reach out by itself when a guest asks for that.
    pub(super) fn may_reach_out(&self) -> bool {
        self.settings.server_tools.unwrap_or(false)
    }

    /// Whether it can be called at all.
    pub(super) fn usable(&self) -> Result<(), String> {
        match &self.missing_key {
            None => Ok(()),
            Some(variable) => Err(format!(
                "no key: set {variable} in the environment of baton-vm-pool, or providers.{}.key_file in baton.toml",
                self.name
            )),
        }
    }
}

fn has_sound_prices(model: &ModelSettings) -> bool {
    let prices = [
        model.usd_per_million_input,
        model.usd_per_million_output,
        model.usd_per_million_cache_write_5m,
        model.usd_per_million_cache_write_1h,
        model.usd_per_million_cache_read,
    ];
    prices.into_iter().flatten().all(|price| price.is_finite() && price >= 0.0)
}

fn open(
    name: &str,
    settings: Settings,
    env: &impl Fn(&str) -> Option<String>,
    governors: &Governors,
) -> Result<Provider, String> {
    let kind = settings.kind.unwrap_or(ProviderKind::OpenaiCompatible);
    let base_url = settings.base_url.clone().unwrap_or_default();
    let base_url = base_url.trim_end_matches('/').to_owned();
    check_url(&base_url)?;
    let key = match (&settings.key_file, &settings.key_env) {
        (Some(file), _) => Some(Secret::from_file("key_file", Path::new(file))?),
        (None, Some(variable)) => env(variable).as_deref().and_then(Secret::new),
        (None, None) => None,
    };
    let missing_key = settings.key_env.clone().filter(|_| key.is_none());
    let print = match &key {
        Some(key) => key.fingerprint(&base_url),
        None => secret::fingerprint(&base_url, ""),
    };
    let mut tuning = governors.tuning();
    tuning.max_concurrent = settings.max_concurrent.unwrap_or(tuning.max_concurrent).max(1);
    // A server on this very machine is another one on every host.
    let own = prices::host_of(&base_url).is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "::1"));
    let governor = governors.govern(name, &print, tuning, !own);
    // What cannot be called needs no certificates: a machine may have none.
    let secure = missing_key.is_none() && base_url.starts_with("https:");
    let client = client(&base_url, settings.ca_file.as_deref(), secure)?;
    Ok(Provider { name: name.to_owned(), kind, base_url, key, missing_key, client, governor, settings })
}

fn check_url(url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).map_err(|error| format!("base_url: {error}"))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err("base_url: an http or https URL is wanted".to_owned());
    }
    if !parsed.username().is_empty() || parsed.password().is_some() || parsed.query().is_some() {
        return Err("base_url: no user, password or query in it; a key belongs into key_env or key_file".to_owned());
    }
    Ok(())
}

/// A client that goes straight to the server: no proxy of the environment, no redirect, no retry of its own.
fn client(base_url: &str, ca_file: Option<&str>, secure: bool) -> Result<Client, String> {
    let mut builder = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(SILENCE)
        .tcp_nodelay(true)
        .http1_only();
    if let Some(file) = ca_file {
        let pem = fs::read(file).map_err(|error| format!("ca_file {file}: {error}"))?;
        let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| format!("ca_file {file}: {error}"))?;
        if authorities.is_empty() {
            return Err(format!("ca_file {file}: no certificate in it"));
        }
        builder = builder.tls_certs_merge(authorities);
    } else if !secure {
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| format!("prepare calls to {base_url}: {error}"))
}
