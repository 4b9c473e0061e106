//! Starting the children in order, and stopping them in the other.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    Event, Kit, NatsError, Roster, Spec, find, keep,
    nats_server::{NatsServer, prepare},
    process::end,
};
use crate::{
    config::{Config, MAIL_VARIABLES, SLACK_VARIABLES},
    paths::{Env, Paths, PathsError, private_dir},
};

/// How glibc keeps the orchestrator's heap: one arena, and what is freed goes back soon. Checking a large plan allocates a
/// lot once; with an arena per thread most of that would stay resident.
pub const HEAP: [(&str, &str); 4] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
    ("MALLOC_TOP_PAD_", "65536"),
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
];

/// Children tell of themselves at most a few times a second.
const EVENTS: usize = 64;
/// The orchestrator lets requests under way finish.
const ORCHESTRATOR_GRACE: Duration = Duration::from_secs(10);
/// The host service ends its VMs.
const HOST_GRACE: Duration = Duration::from_secs(15);
/// What an earlier supervisor left gets this long.
const LEFTOVER_GRACE: Duration = Duration::from_secs(5);

/// `up` is not possible here.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The NATS server.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// A folder.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// A program that should be beside this one.
    #[error("the program {name} is neither beside {} nor in PATH", beside.display())]
    NoProgram {
        /// Its name.
        name: &'static str,
        /// The folder of this program.
        beside: PathBuf,
    },
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
}

/// What will run, in order.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The managed server, unless somebody else runs one.
    pub nats: Option<NatsServer>,
    /// Where NATS is.
    pub nats_url: String,
    /// Its health page.
    pub nats_health_url: Option<String>,
    /// The children.
    pub specs: Vec<Spec>,
}

/// Decides what to run and writes the files the children need.
///
/// # Errors
/// [`SuperviseError`]: a program or a folder is missing.
pub fn plan(
    config: &Config,
    paths: &Paths,
    env: &Env,
    launcher: &Path,
    config_flag: Option<&Path>,
    socket: &Path,
) -> Result<Plan, SuperviseError> {
    for dir in [&paths.state_dir, &paths.runtime_dir, &paths.log_dir(), &paths.pool_dir()] {
        private_dir(dir)?;
    }
    let host = vm_pool(launcher, env)?;
    let mut specs = Vec::new();
    let secrets: Vec<String> = SLACK_VARIABLES.iter().chain(&MAIL_VARIABLES).map(|name| (*name).to_owned()).collect();
    let lent: Vec<String> = config.secrets.values().filter_map(|secret| secret.env.clone()).collect();
    // What the orchestrator reads itself it goes on reading, even if a secret has the same source.
    let is_own = |name: &String| secrets.contains(name) || name.starts_with("BATON_");
    let keys: Vec<String> =
        key_variables(config).into_iter().chain(lent.iter().filter(|name| !is_own(name)).cloned()).collect();
    let (nats, url, credentials, health) = match &config.bus.url {
        Some(url) => (None, url.clone(), config.bus.credentials.clone(), None),
        None => {
            let server = find(config, paths, env)?;
            let managed = prepare(paths)?;
            let withheld = keys.iter().chain(&secrets).cloned().collect();
            specs.push(Spec { withheld, ..managed.spec(&server) });
            (Some(server), managed.url, Some(managed.credentials), Some(managed.health_url))
        }
    };
    let mut bus = vec!["--nats-url".into(), url.clone().into()];
    if let Some(credentials) = credentials {
        bus.extend(["--credentials".into(), credentials.into()]);
    }
    let mut args = vec!["serve".into(), "--socket".into(), socket.into()];
    if let Some(file) = config_flag {
        args.extend(["--config".into(), file.into()]);
    }
    args.extend(bus.iter().cloned());
    specs.push(Spec {
        name: "orchestrator",
        program: launcher.to_owned(),
        args,
        env: &HEAP,
        withheld: keys,
        grace: ORCHESTRATOR_GRACE,
        health_url: None,
    });
    let pool_file = pool_config(config, paths)?;
    let mut args = vec!["serve".into(), "--config".into(), pool_file.into()];
    args.extend(["--state-dir".into(), paths.pool_dir().into()]);
    args.extend(bus);
    // As flags too: the host service lets the environment win over its file, and here flags have won already.
    for (flag, value) in [("--slots", config.pool.slots), ("--spares", config.pool.spares)] {
        args.extend(value.into_iter().flat_map(|value| [flag.into(), value.to_string().into()]));
    }
    specs.push(Spec {
        name: "host",
        program: host,
        args,
        env: &[],
        withheld: secrets.into_iter().filter(|name| !lent.contains(name)).collect(),
        grace: HOST_GRACE,
        health_url: None,
    });
    Ok(Plan { nats, nats_url: url, nats_health_url: health, specs })
}

/// The variables that hold keys of model providers.
fn key_variables(config: &Config) -> Vec<String> {
    let setup = config.model_setup();
    setup.provider_names().iter().filter_map(|name| setup.provider(name)?.key_env).collect()
}

/// The host service's sections with all layers merged, in a file of its own.
fn pool_config(config: &Config, paths: &Paths) -> Result<PathBuf, SuperviseError> {
    let path = paths.runtime_dir.join("pool.toml");
    let written = |source| SuperviseError::Io { operation: "write", path: path.clone(), source };
    let mut whole = toml::Table::try_from(config).map_err(|error| written(io::Error::other(error)))?;
    whole.retain(|section, _| ["pool", "models", "providers", "secrets"].contains(&section));
    fs::write(&path, whole.to_string()).map_err(written)?;
    Ok(path)
}

/// The host service's program.
///
/// # Errors
/// [`SuperviseError::NoProgram`].
pub fn vm_pool(launcher: &Path, env: &Env) -> Result<PathBuf, SuperviseError> {
    beside(launcher, "baton-vm-pool", env)
}

/// A program of this installation: beside this one, else in `PATH`.
fn beside(launcher: &Path, name: &'static str, env: &Env) -> Result<PathBuf, SuperviseError> {
    let dir = launcher.parent().unwrap_or_else(|| Path::new("/"));
    let path = env.get(OsStr::new("PATH")).map(std::env::split_paths);
    std::iter::once(dir.to_owned())
        .chain(path.into_iter().flatten())
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| SuperviseError::NoProgram { name, beside: dir.to_owned() })
}

/// Where the roster is.
#[must_use]
pub fn roster_path(paths: &Paths) -> PathBuf {
    paths.runtime_dir.join("children.json")
}

/// Ends what an earlier supervisor left behind. Returns the names.
pub async fn end_leftovers(paths: &Paths) -> Vec<String> {
    let mut ended = Vec::new();
    for (name, entry) in Roster::read(&roster_path(paths)) {
        if let (Some(pid), Some(started)) = (entry.pid, entry.started)
            && end(pid, Some(started), LEFTOVER_GRACE).await
        {
            ended.push(name);
        }
    }
    // The roster tells of processes that are gone now; none is better than a stale one.
    let _ = fs::remove_file(roster_path(paths));
    ended
}

/// The running children.
#[derive(Debug)]
pub struct Supervisor {
    kit: Kit,
    kept: Vec<(CancellationToken, JoinHandle<()>)>,
}

impl Supervisor {
    /// Nothing runs yet. Events come out of the second value.
    #[must_use]
    pub fn new(paths: &Paths, launcher: PathBuf) -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(EVENTS);
        let roster = Arc::new(Roster::new(roster_path(paths)));
        (Self { kit: Kit { launcher, log_dir: paths.log_dir(), roster, events }, kept: Vec::new() }, receiver)
    }

    /// Starts a child and keeps it running. Must be called on a thread that lives as long as the process: the kernel
    /// ends the child when that thread ends.
    pub fn start(&mut self, spec: Spec) {
        let stop = CancellationToken::new();
        self.kept.push((stop.clone(), tokio::spawn(keep(spec, self.kit.clone(), stop))));
    }

    /// Ends the children, last started first.
    pub async fn stop(mut self) {
        while let Some((stop, task)) = self.kept.pop() {
            stop.cancel();
            // A keeper that panicked has dropped its child, which kills it.
            let _ = task.await;
        }
    }
}
