//! The command line of `baton-vm-pool`: putting the parts together.

mod models;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use bus_schemas::{
    id::HostId,
    nats::{BusOptions, ConnectError},
    stream::BEAT_INTERVAL_MS,
    v1::{handoff::Isolation, host::Beat},
};
use clap::{Args, Parser, Subcommand};
use tokio::{signal::unix::SignalKind, sync::watch};
use uuid::Uuid;
use vm_pool::{
    adapter::{
        bus::{self, HostBus},
        egress::{Rules, Secrets},
        gateway::Gateway,
        governor::Governors,
        outside::HostOutside,
        qemu::{QemuHypervisor, QemuOptions},
        workspace::{Snapshots, Store},
    },
    config::{PoolConfig, load_models, load_secrets},
    driver::{Host, HostOptions, now},
    port::{Hypervisor as _, StartError},
};

/// What may still be going on when the process wants to end.
pub(crate) const LEFTOVERS_WAIT: Duration = Duration::from_secs(2);
/// Tars of trees kept on disk.
const SNAPSHOT_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// A bus that is not there yet is asked again after this.
const CONNECT_AGAIN: Duration = Duration::from_millis(300);
/// A machine that cannot run VMs is tried again after this.
const OPEN_AGAIN: Duration = Duration::from_secs(30);

/// The host service: takes attempts off the bus and works on each in a VM of its own.
#[derive(Debug, Parser)]
#[command(name = "baton-vm-pool", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve until SIGTERM or SIGINT.
    Serve(Serve),
    /// Print as JSON what would run VMs here.
    Probe(Shared),
    /// Models: try them out, or play a scripted one.
    Models(models::Models),
}

#[derive(Debug, Args)]
struct Shared {
    /// TOML file with a section [pool].
    #[arg(long)]
    config: Option<PathBuf>,
    /// Folder for this host's state. Default: $XDG_STATE_HOME/baton/pool
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// Folder for what can be made again, guest images above all. Default: $XDG_CACHE_HOME/baton
    #[arg(long)]
    cache_dir: Option<PathBuf>,
    /// The static worker program.
    #[arg(long)]
    worker: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    shared: Shared,
    /// The NATS server.
    #[arg(long, default_value = "nats://127.0.0.1:4222")]
    nats_url: String,
    /// JSON file with its user and password.
    #[arg(long)]
    credentials: Option<PathBuf>,
    /// The pool whose offers to take (pool.name).
    #[arg(long)]
    pool: Option<String>,
    /// Attempts at the same time (pool.slots).
    #[arg(long)]
    slots: Option<u32>,
    /// Booted spare VMs (pool.spares).
    #[arg(long)]
    spares: Option<u32>,
}

/// Logs go to standard error; `BATON_LOG` filters them.
pub(crate) fn init_tracing() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("BATON_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,async_nats=warn"));
    // A supervisor that was killed leaves a closed pipe behind: complaining about it there would panic.
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false).init();
}

/// Says what went wrong, and gives the exit code for it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "baton-vm-pool: {error:#}");
    ExitCode::FAILURE
}

/// Runs a command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Verb::Serve(serve_arguments) => serve(serve_arguments).await,
        Verb::Probe(shared) => probe(&shared).await,
        Verb::Models(models) => models.run().await,
    }
}

async fn probe(shared: &Shared) -> anyhow::Result<()> {
    let config = config_of(shared)?;
    let hypervisor = QemuHypervisor::open(qemu_options(shared, &config)?).await?;
    let found = hypervisor.accelerator();
    let shown = serde_json::json!({ "accelerator": found.name, "note": found.note, "isolation": found.isolation });
    writeln!(std::io::stdout(), "{shown}").context("print")
}

async fn serve(arguments: Serve) -> anyhow::Result<()> {
    let mut config = config_of(&arguments.shared)?;
    config.name = arguments.pool.clone().or(config.name);
    config.slots = arguments.slots.or(config.slots);
    config.spares = arguments.spares.or(config.spares);
    let pool = config.pool_name()?;
    let private = Rules::private(&config.private_hosts).map_err(anyhow::Error::msg)?;
    let models = load_models(arguments.shared.config.as_deref(), std::env::vars_os())?;
    let secrets = load_secrets(arguments.shared.config.as_deref())?;
    let secrets = Secrets::new(&secrets, |name| std::env::var(name).ok()).map_err(anyhow::Error::msg)?;
    for why in secrets.problems() {
        tracing::warn!("{why}");
    }
    let state_dir = state_dir(&arguments.shared)?;
    let _lock = lock(&state_dir)?;
    let host_id = host_id(&state_dir)?;
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let stop = stop_signals()?;
    let client = format!("baton-vm-pool {name}");
    let options = BusOptions::with_credentials_file(&arguments.nats_url, arguments.credentials.as_deref(), &client)?;

    let connecting = async {
        loop {
            match HostBus::connect(&options, &pool).await {
                Err(ConnectError::Connect { url, source }) => {
                    tracing::warn!(%url, error = %source, "no bus yet; trying again");
                    tokio::time::sleep(CONNECT_AGAIN).await;
                }
                other => return other,
            }
        }
    };
    let mut stopped = stop.clone();
    let bus = tokio::select! {
        bus = connecting => bus?,
        _ = stopped.wait_for(|stop| *stop) => return Ok(()),
    };
    let governors = Governors::new(Some(bus.bus().clone()));
    let gateway = Gateway::new(&models, |name| std::env::var(name).ok(), &governors)?;
    let host = HostOptions {
        host_id,
        name,
        pool: pool.as_str().to_owned(),
        slots: config.slots(),
        limits: config.limits(),
        state_dir: state_dir.clone(),
    };
    let Some(hypervisor) = open_hypervisor(&arguments.shared, &config, &bus, &host, stop.clone()).await else {
        return Ok(());
    };
    let found = hypervisor.accelerator();
    tracing::info!(host.id = %host_id, accelerator = found.name, note = %found.note, slots = host.slots, "host is up");
    let store = Store::open(&state_dir.join("repos"))?;
    let snapshots = Snapshots::open(&state_dir.join("trees"), &state_dir.join("scratch"), SNAPSHOT_BYTES)?;
    let outside = Arc::new(HostOutside::new(gateway).with_private(private).with_secrets(secrets));
    let host = Host::start(host, Arc::new(hypervisor), bus, store, snapshots, outside).await?;
    let mut stopped = stop;
    host.run(async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    })
    .await;
    tracing::info!("host has stopped");
    Ok(())
}

/// Opens the hypervisor. While that fails the host shows itself without slots and with the reason; `None` if it is
/// stopped meanwhile.
async fn open_hypervisor(
    shared: &Shared,
    config: &PoolConfig,
    bus: &HostBus,
    host: &HostOptions,
    mut stop: watch::Receiver<bool>,
) -> Option<QemuHypervisor> {
    loop {
        let opened = async {
            let options = qemu_options(shared, config).map_err(|e| StartError {
                operation: "prepare VMs",
                detail: format!("{e:#}"),
                exhausted: false,
            })?;
            QemuHypervisor::open(options).await
        };
        let error = tokio::select! {
            opened = opened => match opened {
                Ok(hypervisor) => return Some(hypervisor),
                Err(error) => error,
            },
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        tracing::error!(%error, "this machine cannot run VMs");
        let again = tokio::time::Instant::now() + OPEN_AGAIN;
        while tokio::time::Instant::now() < again {
            bus.beat(unusable(host, &error), bus::fresh_id(), now()).await;
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(BEAT_INTERVAL_MS)) => {}
                _ = stop.wait_for(|stop| *stop) => return None,
            }
        }
    }
}

fn unusable(host: &HostOptions, error: &StartError) -> Beat {
    Beat {
        host_id: host.host_id,
        name: host.name.clone(),
        pool: host.pool.clone(),
        slots: 0,
        attempts: Vec::new(),
        spares: 0,
        accelerator: "none".to_owned(),
        accelerator_note: String::new(),
        isolation: Isolation::Emulated,
        problems: vec![error.to_string()],
    }
}

fn config_of(shared: &Shared) -> anyhow::Result<PoolConfig> {
    let mut config = PoolConfig::load(shared.config.as_deref(), std::env::vars_os())?;
    config.worker = shared.worker.clone().or(config.worker);
    Ok(config)
}

fn qemu_options(shared: &Shared, config: &PoolConfig) -> anyhow::Result<QemuOptions> {
    let own = std::env::current_exe().context("find this program")?;
    let worker = config.worker(std::env::var_os("BATON_WORKER").map(PathBuf::from), &own)?;
    let mut options = QemuOptions::new(&cache_dir(shared)?, &state_dir(shared)?, &worker);
    options.image = config.limits().spare_shape.image;
    Ok(options)
}

fn state_dir(shared: &Shared) -> anyhow::Result<PathBuf> {
    let dir = match (&shared.state_dir, std::env::var_os("BATON_HOME")) {
        (Some(dir), _) => dir.clone(),
        (None, Some(home)) => Path::new(&home).join("state/pool"),
        (None, None) => xdg("XDG_STATE_HOME", ".local/state")?.join("baton/pool"),
    };
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    dir.canonicalize().with_context(|| format!("find {}", dir.display()))
}

fn cache_dir(shared: &Shared) -> anyhow::Result<PathBuf> {
    match &shared.cache_dir {
        Some(dir) => Ok(dir.clone()),
        None => Ok(xdg("XDG_CACHE_HOME", ".cache")?.join("baton")),
    }
}

fn xdg(variable: &str, below_home: &str) -> anyhow::Result<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(below_home));
    named.or_else(home).with_context(|| format!("neither {variable} nor HOME is set"))
}

/// One host per state folder: two would sweep each other's VMs.
fn lock(state_dir: &Path) -> anyhow::Result<fs::File> {
    let path = state_dir.join("lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("open {}", path.display()))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .with_context(|| format!("{} is in use by another baton-vm-pool", state_dir.display()))?;
    Ok(file)
}

/// The host's id: made once, kept in the state folder.
fn host_id(state_dir: &Path) -> anyhow::Result<HostId> {
    let path = state_dir.join("host-id");
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().with_context(|| format!("{} holds no host id", path.display())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let id = HostId::from_uuid(Uuid::now_v7());
            fs::write(&path, format!("{id}\n")).with_context(|| format!("write {}", path.display()))?;
            Ok(id)
        }
        Err(e) => Err(e).with_context(|| format!("read {}", path.display())),
    }
}

/// Becomes true at the first SIGTERM or SIGINT.
fn stop_signals() -> anyhow::Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let mut terminate = tokio::signal::unix::signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = tokio::signal::unix::signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = stop.send(true);
    });
    Ok(stopped)
}
