//! What can be configured.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf};

use bus_schemas::{
    secrets::Secrets,
    settings::{ModelSetup, Models, Provider},
    v1::policy::Policy,
};
use serde::{Deserialize, Serialize};

use super::{Mail, Slack};
use crate::{
    effects::{Effect, EffectError, Effects},
    people::Member,
    policy::{Approvals, Preset, Rules, RulesError},
    words::secrets::SHORTEST,
};

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// `baton serve`.
    pub orchestrator: Orchestrator,
    /// NATS.
    pub bus: Bus,
    /// The host service on this machine.
    pub pool: Pool,
    /// What a project's folder may hold.
    pub folder: Folder,
    /// Which models do what. The host service calls them; here they are named and priced.
    pub models: Models,
    /// Who serves them.
    pub providers: BTreeMap<String, Provider>,
    /// The people who may decide.
    pub members: BTreeMap<String, Member>,
    /// Approval policies that plans may name.
    pub policies: BTreeMap<String, Policy>,
    /// Which of them count where a plan names none.
    pub approvals: Approvals,
    /// Ways to start a project with one word.
    pub presets: BTreeMap<String, Preset>,
    /// What may be done outside for agents, each time people allow it.
    pub effects: BTreeMap<String, Effect>,
    /// Secrets that hosts use on guests' behalf. The host service reads their values; here they are named.
    pub secrets: Secrets,
    /// Slack.
    pub slack: Slack,
    /// Mail.
    pub mail: Mail,
}

impl Config {
    /// The models and who serves them.
    #[must_use]
    pub fn model_setup(&self) -> ModelSetup {
        ModelSetup { models: self.models.clone(), providers: self.providers.clone() }
    }

    /// What may be done outside.
    ///
    /// # Errors
    /// [`EffectError`]; a loaded configuration has none.
    pub fn effects(&self) -> Result<Effects, EffectError> {
        Effects::new(self.effects.clone())
    }

    /// People, policies, presets and secrets.
    ///
    /// # Errors
    /// [`RulesError`]; a loaded configuration has none.
    pub fn rules(&self) -> Result<Rules, RulesError> {
        Rules::new(self.members.clone(), self.policies.clone(), self.approvals.clone(), self.presets.clone())
            .map(|rules| rules.with_secrets(self.secrets.clone()))
    }
}

/// `baton serve`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Orchestrator {
    /// The API's Unix socket. Default: `baton.sock` in the runtime folder.
    pub socket: Option<PathBuf>,
    /// A TCP address the API also listens on. Default: none.
    pub listen: Option<SocketAddr>,
    /// What a TCP client must send as `Authorization: Bearer …`. Required unless `listen` is a loopback address.
    pub token: Option<Secret>,
    /// What is logged, in the syntax of `tracing-subscriber`'s `EnvFilter`.
    pub log: String,
}

impl Default for Orchestrator {
    fn default() -> Self {
        Self { socket: None, listen: None, token: None, log: "info".to_owned() }
    }
}

/// NATS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bus {
    /// A NATS server that somebody else runs. Without it `baton up` runs one of its own.
    pub url: Option<String>,
    /// A file with its user and password (see `deploy/config/baton.toml`).
    pub credentials: Option<PathBuf>,
    /// The `nats-server` program (2.12 or later) that `baton up` runs. Default: the cache, then `PATH`.
    pub nats_server: Option<PathBuf>,
}

/// The host service. It reads its section itself; here the keys and their types are checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pool {
    /// The pool whose offers this host takes.
    pub name: Option<String>,
    /// Attempts at the same time.
    pub slots: Option<u32>,
    /// Booted, frozen VMs kept ready.
    pub spares: Option<u32>,
    /// Processors of a VM.
    pub cpus: Option<u32>,
    /// Memory of a VM, in MiB.
    pub memory_mib: Option<u32>,
    /// Scratch disk of a VM, in MiB.
    pub disk_mib: Option<u32>,
    /// The guest image's flavour.
    pub image: Option<String>,
    /// The static worker program that is put into guest images.
    pub worker: Option<PathBuf>,
    /// Memory for all VMs together, in MiB.
    pub max_memory_mib: Option<u32>,
    /// `host` or `host:port` on somebody's own network that tasks may reach if their allow-list names it, too.
    pub private_hosts: Vec<String>,
}

/// What a project's folder may hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Folder {
    /// The largest file, in MiB.
    pub max_file_mib: u64,
    /// All files together, in MiB.
    pub max_total_mib: u64,
    /// How many files.
    pub max_files: u64,
}

impl Default for Folder {
    fn default() -> Self {
        Self { max_file_mib: 100, max_total_mib: 2048, max_files: 200_000 }
    }
}

/// Text that is not shown in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is wrong with texts that are never to go out: one that is too short would be let through.
    pub(super) fn unusable(never: &[Self]) -> Option<String> {
        let place = never.iter().position(|text| text.expose().trim().len() < SHORTEST)?;
        Some(format!(
            "text {} has fewer than {SHORTEST} characters and would not be withheld, since it may be a part of ordinary words: \
             write a longer one, or leave it out",
            place + 1
        ))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
