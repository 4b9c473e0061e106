//! The managed NATS server: which program, which ports, which configuration.

use std::{
    ffi::OsStr,
    fs, io,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::Spec;
use crate::{
    config::Config,
    paths::{Env, Paths, PathsError, private_dir},
};

/// The oldest server that is good enough. Older ones lack `sync_interval` or fail to create key-value buckets.
pub const OLDEST: (u32, u32) = (2, 12);
/// The server drains and syncs within this after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// The configuration that `baton up` writes, with `{{…}}` for what differs.
const TEMPLATE: &str = include_str!("../../../deploy/nats/managed.conf");

/// The managed server could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// No program.
    #[error("no nats-server {}.{} or later was found: {looked}", OLDEST.0, OLDEST.1)]
    NotFound {
        /// Where it was looked for, and what was wrong there.
        looked: String,
    },
    /// A folder.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// A file.
    #[error("{operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The path cannot be written into the server's configuration.
    #[error("folder {} has a character that NATS configuration cannot hold: set BATON_HOME to another", path.display())]
    BadPath {
        /// The path.
        path: PathBuf,
    },
}

/// A server program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsServer {
    /// Where it is.
    pub program: PathBuf,
    /// What it says it is, such as `2.15.1`.
    pub version: String,
}

/// Where the managed server listens, and what opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Managed {
    /// For clients.
    pub url: String,
    /// A JSON file with user and password.
    pub credentials: PathBuf,
    /// How it is run.
    pub health_url: String,
    /// Its configuration file.
    pub config: PathBuf,
}

/// Ports, kept from one start to the next.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Ports {
    client: u16,
    monitor: u16,
}

#[derive(Serialize, Deserialize)]
struct Credentials {
    user: String,
    password: String,
}

/// Finds a server that is new enough: configuration (or `BATON_NATS_SERVER`), cache, `PATH`. One that was named is the
/// only one looked at.
///
/// # Errors
/// [`NatsError::NotFound`] with what was looked at.
pub fn find(config: &Config, paths: &Paths, env: &Env) -> Result<NatsServer, NatsError> {
    let candidates = match &config.bus.nats_server {
        Some(program) => vec![program.clone()],
        None => cached(paths).into_iter().chain(in_path(env)).collect(),
    };
    let mut looked = Vec::new();
    for program in candidates {
        match version_of(&program) {
            Ok(version) if new_enough(&version) => return Ok(NatsServer { program, version }),
            Ok(version) => looked.push(format!("{} is {version}", program.display())),
            Err(why) => looked.push(format!("{}: {why}", program.display())),
        }
    }
    if looked.is_empty() {
        looked.push(format!("none in {}/nats-server or PATH", paths.cache_dir.display()));
    }
    Err(NatsError::NotFound { looked: looked.join("; ") })
}

/// Servers that setup unpacked, newest name first.
fn cached(paths: &Paths) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(paths.cache_dir.join("nats-server"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("nats-server"))
        .filter(|program| program.is_file())
        .collect();
    found.sort();
    found.reverse();
    found
}

fn in_path(env: &Env) -> Option<PathBuf> {
    let path = env.get(OsStr::new("PATH"))?;
    std::env::split_paths(path).map(|dir| dir.join("nats-server")).find(|program| program.is_file())
}

fn version_of(program: &Path) -> Result<String, String> {
    let output = Command::new(program).arg("--version").output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    // "nats-server: v2.15.1"
    let numbered = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let version = text.split_whitespace().filter_map(|word| word.strip_prefix('v')).find(numbered).map(str::to_owned);
    version.ok_or_else(|| "does not say its version".to_owned())
}

fn new_enough(version: &str) -> bool {
    let mut parts = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST
}

/// Makes the server's folder, ports, credentials and configuration; what is there is kept.
///
/// # Errors
/// [`NatsError`].
pub fn prepare(paths: &Paths) -> Result<Managed, NatsError> {
    let dir = paths.nats_dir();
    private_dir(&dir)?;
    let ports = ports(&dir.join("ports.json"))?;
    let credentials = dir.join("credentials.json");
    let secret = credentials_file(&credentials)?;
    let store = dir.join("store");
    let store_text = store.to_str().filter(|text| !text.contains(['"', '\\', '$', '\n']));
    let text = TEMPLATE
        .replace("{{client_port}}", &ports.client.to_string())
        .replace("{{monitor_port}}", &ports.monitor.to_string())
        .replace("{{store_dir}}", store_text.ok_or_else(|| NatsError::BadPath { path: store.clone() })?)
        .replace("{{user}}", &secret.user)
        .replace("{{password}}", &secret.password);
    let config = dir.join("nats-server.conf");
    write_private(&config, text.as_bytes())?;
    Ok(Managed {
        url: format!("nats://127.0.0.1:{}", ports.client),
        credentials,
        health_url: format!("http://127.0.0.1:{}/healthz", ports.monitor),
        config,
    })
}

impl Managed {
    /// How the server is run.
    #[must_use]
    pub fn spec(&self, server: &NatsServer) -> Spec {
        Spec {
            name: "nats",
            program: server.program.clone(),
            args: vec!["-c".into(), self.config.clone().into()],
            env: &[],
            withheld: Vec::new(),
            grace: GRACE,
            health_url: Some(self.health_url.clone()),
        }
    }
}

/// The ports of the last time if they are free, else two that are.
fn ports(path: &Path) -> Result<Ports, NatsError> {
    let kept = fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Ports>(&bytes).ok());
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if let Some(ports) = kept
        && free(ports.client).is_ok()
        && free(ports.monitor).is_ok()
    {
        return Ok(ports);
    }
    let choose = || -> io::Result<Ports> {
        // Both are held until both are chosen, so that they differ.
        let (client, monitor) = (free(0)?, free(0)?);
        Ok(Ports { client: client.local_addr()?.port(), monitor: monitor.local_addr()?.port() })
    };
    let ports = choose().map_err(|source| NatsError::Io {
        operation: "find a free port for",
        path: "127.0.0.1".into(),
        source,
    })?;
    let bytes = serde_json::to_vec(&ports).unwrap_or_default();
    write_private(path, &bytes)?;
    Ok(ports)
}

/// The credentials, made at the first start.
fn credentials_file(path: &Path) -> Result<Credentials, NatsError> {
    let kept = fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Credentials>(&bytes).ok());
    if let Some(kept) = kept.filter(|kept| is_hex(&kept.password) && is_hex_or_name(&kept.user)) {
        return Ok(kept);
    }
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|error| NatsError::Io {
        operation: "make a password for",
        path: path.to_owned(),
        source: io::Error::other(error.to_string()),
    })?;
    let password = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let made = Credentials { user: "baton".to_owned(), password };
    write_private(path, &serde_json::to_vec(&made).unwrap_or_default())?;
    Ok(made)
}

fn is_hex(text: &str) -> bool {
    text.len() >= 32 && text.chars().all(|c| c.is_ascii_hexdigit())
}

fn is_hex_or_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Writes a file only its owner can read, whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), NatsError> {
    let write = || -> io::Result<()> {
        let draft = path.with_extension("new");
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        fs::rename(draft, path)
    };
    write().map_err(|source| NatsError::Io { operation: "write", path: path.to_owned(), source })
}

#[cfg(test)]
#[path = "nats_server_tests.rs"]
mod tests;
