//! `baton up`

use std::{
    env, io,
    path::{Path, PathBuf},
};

use serde_json::json;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use toml::Value;

use super::{
    CliError, Context, Exit, Ui,
    args::UpArgs,
    detach::detach,
    error::chain,
    health,
    style::{Paint, clean_output},
};
use crate::{
    adapter::web::{Client, Endpoint},
    config::{Config, Overrides},
    paths::{Paths, check_socket_path, private_dir},
    supervise::{Event, Happening, Lock, Plan, SuperviseError, Supervisor, end_leftovers, holder, plan, tail},
};

/// A child that was restarted so often while starting does not start.
const RESTARTS: u32 = 4;
/// Lines of a log that are shown.
const TAIL_LINES: usize = 8;

impl From<SuperviseError> for CliError {
    fn from(error: SuperviseError) -> Self {
        let hint = match &error {
            SuperviseError::Nats(_) => "`cargo xtask setup` installs nats-server; or name one with BATON_NATS_SERVER",
            SuperviseError::NoProgram { .. } => "build it: `cargo build --release`",
            SuperviseError::Paths(_) | SuperviseError::Io { .. } => "see `baton doctor`",
        };
        Self::new(Exit::Environment, "not_startable", chain(&error), Some(hint))
    }
}

pub(super) async fn up(context: &Context, args: &UpArgs) -> Result<Exit, CliError> {
    let (config, paths) = context.config(flags(args))?;
    let socket = context.socket(&config, &paths);
    check_socket_path(&socket)?;
    private_dir(&paths.state_dir)?;
    private_dir(&paths.runtime_dir)?;
    private_dir(&paths.log_dir())?;
    if let Some(pid) = holder(&paths) {
        return already(context.ui, pid);
    }
    if args.detach {
        return detach(context, args, &paths, &socket).await;
    }
    if args.background {
        // Its own session: the terminal it was started from may close.
        rustix::process::setsid().map_err(io::Error::from)?;
    }
    let locked =
        Lock::take(&paths).map_err(|error| environment(format!("lock {}: {error}", paths.runtime_dir.display())))?;
    let Some(lock) = locked else { return already(context.ui, holder(&paths).unwrap_or(0)) };
    let result = foreground(context, &config, &paths, &socket).await;
    drop(lock);
    result
}

fn flags(args: &UpArgs) -> Overrides {
    let slots = args.slots.map(|slots| ("pool.slots", Value::Integer(slots.into())));
    let spares = args.spares.map(|spares| ("pool.spares", Value::Integer(spares.into())));
    slots.into_iter().chain(spares).collect()
}

fn environment(detail: String) -> CliError {
    CliError::new(Exit::Environment, "not_startable", detail, Some("see `baton doctor`"))
}

fn already(ui: Ui, pid: u32) -> Result<Exit, CliError> {
    if ui.json {
        ui.json_line(&json!({ "kind": "up.already_running", "pid": pid }))?;
    } else {
        ui.say(&format!("already running (process {pid}); `baton down` stops it"));
    }
    Ok(Exit::Ok)
}

/// Runs everything here until SIGTERM, SIGINT or SIGHUP.
async fn foreground(context: &Context, config: &Config, paths: &Paths, socket: &Path) -> Result<Exit, CliError> {
    let ui = context.ui;
    let mut signals = Signals::new()?;
    for name in end_leftovers(paths).await {
        ui.say(&format!("ended what an earlier run left over: {name}"));
    }
    let launcher = launcher()?;
    let plan = plan(config, paths, &context.env, &launcher, context.global.config.as_deref(), socket)?;
    if !ui.json {
        let version = env!("CARGO_PKG_VERSION");
        ui.say(&format!(
            "{} {version}  {}",
            ui.err.paint(Paint::Bold, "baton"),
            ui.err.paint(Paint::Dim, paths.state_dir.display())
        ));
    }
    let client = Client::new(Endpoint::Unix(socket.to_owned()))?;
    let (mut supervisor, mut events) = Supervisor::new(paths, launcher);
    let started = tokio::select! {
        result = start(ui, &plan, &mut supervisor, &mut events, &client, paths) => Some(result),
        () = signals.next() => None,
    };
    let result = match started {
        Some(Ok(())) => {
            tokio::select! {
                result = report(ui, &mut events) => result,
                () = signals.next() => Ok(()),
            }
        }
        Some(Err(error)) => Err(error),
        None => Ok(()),
    };
    ui.say("stopping …");
    supervisor.stop().await;
    if ui.json {
        ui.json_line(&json!({ "kind": "up.stopped" }))?;
    }
    ui.say("stopped");
    result.map(|()| Exit::Ok)
}

/// The signals that end `up`.
struct Signals([tokio::signal::unix::Signal; 3]);

impl Signals {
    fn new() -> Result<Self, CliError> {
        Ok(Self([signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?]))
    }

    async fn next(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// This program; while it is being replaced by a new build the kernel marks the old file.
pub(super) fn launcher() -> Result<PathBuf, CliError> {
    let path = env::current_exe().map_err(|error| environment(format!("find this program's own file: {error}")))?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map_or_else(|| path.clone(), PathBuf::from))
}

/// Starts the children in order, each when the one before is well.
async fn start(
    ui: Ui,
    plan: &Plan,
    supervisor: &mut Supervisor,
    events: &mut mpsc::Receiver<Event>,
    client: &Client,
    paths: &Paths,
) -> Result<(), CliError> {
    for spec in &plan.specs {
        let name = spec.name;
        supervisor.start(spec.clone());
        let ready = async {
            match name {
                "nats" => health::page(plan.nats_health_url.as_deref()).await.map(|url| (url, None)),
                "orchestrator" => health::answers(client).await.map(|()| (client.endpoint().to_string(), None)),
                _ => health::host(client).await.map(|ready| (ready.fact(), ready.trouble)),
            }
        };
        let ready = tokio::select! {
            ready = ready => ready,
            failed = failing(ui, name, events) => Err(failed),
        };
        let (fact, trouble) = ready.map_err(|why| broken(name, &why, paths))?;
        let fact = match (name, &plan.nats) {
            ("nats", Some(server)) => format!("nats-server {} at {}", server.version, plan.nats_url),
            _ => fact,
        };
        if ui.json {
            ui.json_line(&json!({ "kind": "child.ready", "name": name, "fact": fact, "trouble": trouble }))?;
        } else if let Some(trouble) = trouble {
            ui.say(&format!("  {} {name:13} {}", ui.err.paint(Paint::Yellow, '!'), clean_output(&trouble).trim_end()));
        } else {
            ui.say(&format!("  {} {name:13} {}", ui.err.paint(Paint::Green, '✓'), ui.err.paint(Paint::Dim, fact)));
        }
    }
    if ui.json {
        ui.json_line(&json!({ "kind": "up.ready" }))?;
    } else {
        ui.say("ready; Ctrl-C (or `baton down`) stops everything");
    }
    Ok(())
}

/// Shows events; returns when a child fails to start again and again.
async fn failing(ui: Ui, name: &str, events: &mut mpsc::Receiver<Event>) -> String {
    let mut ends = 0;
    while let Some(event) = events.recv().await {
        // Nobody reads stdout any more: `up` goes on all the same.
        let _ = show(ui, &event, false);
        if let (true, Happening::Ended { how, .. }) = (event.name == name, &event.what) {
            ends += 1;
            if ends >= RESTARTS {
                return how.clone();
            }
        }
    }
    std::future::pending().await
}

async fn report(ui: Ui, events: &mut mpsc::Receiver<Event>) -> Result<(), CliError> {
    while let Some(event) = events.recv().await {
        let _ = show(ui, &event, true);
    }
    Ok(())
}

/// One line per event; a first start is said when the child is ready, not before.
fn show(ui: Ui, event: &Event, up: bool) -> Result<(), CliError> {
    let name = event.name;
    match &event.what {
        _ if ui.json => {
            let value = match &event.what {
                Happening::Started { pid } => json!({ "kind": "child.started", "name": name, "pid": pid }),
                Happening::Ended { how, again_in } => {
                    let again_in_ms = u64::try_from(again_in.as_millis()).unwrap_or(u64::MAX);
                    json!({ "kind": "child.ended", "name": name, "how": how, "again_in_ms": again_in_ms })
                }
                Happening::Stopped => json!({ "kind": "child.stopped", "name": name }),
            };
            ui.json_line(&value)?;
        }
        Happening::Started { pid } if up => {
            ui.say(&format!("  {} {name:13} started again (process {pid})", ui.err.paint(Paint::Green, '✓')));
        }
        Happening::Ended { how, again_in } => {
            let again = format!("starts again in {:.1}s", again_in.as_secs_f32());
            ui.say(&format!("  {} {name:13} {how}; {again}", ui.err.paint(Paint::Yellow, '!')));
        }
        Happening::Started { .. } | Happening::Stopped => {}
    }
    Ok(())
}

/// A child does not start: why, and the end of its log.
fn broken(name: &str, why: &str, paths: &Paths) -> CliError {
    let log = paths.log_dir().join(format!("{name}.log"));
    let mut detail = format!("{name} does not start: {why}");
    for line in tail(&log, TAIL_LINES) {
        detail.push_str("\n  │ ");
        detail.push_str(clean_output(&line).trim_end());
    }
    let hint = format!("`baton doctor` checks what it needs; its log is {}", log.display());
    CliError::new(Exit::Environment, "not_started", detail, Some(&hint))
}
