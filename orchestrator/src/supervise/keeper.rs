//! One child process, kept running.

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{log_file::LogFile, process::terminate, roster::Roster};
use crate::adapter::web::get_status;

/// The delay before a child is started again: doubled each time from the first to the longest.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// A child that lived so long did not fail for the reason it failed for before.
const SETTLED: Duration = Duration::from_secs(30);
/// A child's health is asked this often, …
const HEALTH_EVERY: Duration = Duration::from_secs(2);
/// … an answer may take this long, …
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// … and so many bad answers in a row end it. Together under 20 s, the longest a frozen server may go unnoticed.
const HEALTH_FAILURES: u32 = 4;

/// What to run.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its name: of its log, in the roster, for people.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// What it gets beside this process's environment.
    pub env: &'static [(&'static str, &'static str)],
    /// Variables of this process's environment that it does not get: keys of model providers are for the host service alone,
    /// Slack's tokens and mail's passwords for the orchestrator.
    pub withheld: Vec<String>,
    /// How long it may take to end after SIGTERM.
    pub grace: Duration,
    /// A page that answers 200 while it is well.
    pub health_url: Option<String>,
}

/// What keepers share.
#[derive(Clone, Debug)]
pub struct Kit {
    /// The `baton` program, whose hidden command `child` ties a process's life to this one.
    pub launcher: PathBuf,
    /// Where logs go.
    pub log_dir: PathBuf,
    /// Who runs.
    pub roster: Arc<Roster>,
    /// Who is told. Bounded: a slow reader slows restarts down, it does not fill memory.
    pub events: mpsc::Sender<Event>,
}

/// Something happened to a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which.
    pub name: &'static str,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It runs.
    Started {
        /// Its process id.
        pid: u32,
    },
    /// It ended, not because it was asked to.
    Ended {
        /// How.
        how: String,
        /// When it is started again.
        again_in: Duration,
    },
    /// It was asked to end, and did.
    Stopped,
}

/// Keeps a child running until `stop`, then ends it.
pub async fn keep(spec: Spec, kit: Kit, stop: CancellationToken) {
    let mut backoff = FIRST_BACKOFF;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let how = match start(&spec, &kit) {
            Ok(child) => attend(&spec, &kit, child, &stop).await,
            Err(error) => format!("could not be started: {error}"),
        };
        let stopping = stop.is_cancelled();
        kit.roster.ended(spec.name, &how, !stopping);
        if stopping {
            break;
        }
        if began.elapsed() >= SETTLED {
            backoff = FIRST_BACKOFF;
        }
        tell(&kit, &spec, Happening::Ended { how, again_in: backoff }).await;
        tokio::select! {
            () = sleep(backoff) => {}
            () = stop.cancelled() => break,
        }
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
    tell(&kit, &spec, Happening::Stopped).await;
}

async fn tell(kit: &Kit, spec: &Spec, what: Happening) {
    // Nobody listening any more means the supervisor is on its way out.
    let _ = kit.events.send(Event { name: spec.name, what }).await;
}

fn start(spec: &Spec, kit: &Kit) -> io::Result<Child> {
    let log = Arc::new(Mutex::new(LogFile::open(&kit.log_dir.join(format!("{}.log", spec.name)))?));
    let mut command = Command::new(&kit.launcher);
    for name in &spec.withheld {
        command.env_remove(name);
    }
    let mut child = command
        .args(["child", "--parent"])
        .arg(std::process::id().to_string())
        .arg("--")
        .arg(&spec.program)
        .args(&spec.args)
        // Its output goes to a file.
        .env("NO_COLOR", "1")
        .envs(spec.env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Its own group: Ctrl-C at the terminal is for the supervisor, which ends the children in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(pump(stdout, Arc::clone(&log)));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(pump(stderr, log));
    }
    Ok(child)
}

/// Copies a child's output into its log. A log that cannot be written must not stop the child: the output is dropped.
async fn pump(mut from: impl AsyncRead + Unpin, log: Arc<Mutex<LogFile>>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = log.write(buffer.get(..length).unwrap_or_default());
    }
}

/// Waits until a child ends, is not well, or must stop. Says how it ended.
async fn attend(spec: &Spec, kit: &Kit, mut child: Child, stop: &CancellationToken) -> String {
    if let Some(pid) = child.id() {
        kit.roster.started(spec.name, pid);
        tell(kit, spec, Happening::Started { pid }).await;
    }
    tokio::select! {
        status = child.wait() => ended(status),
        why = unwell(spec.health_url.as_deref()) => {
            let _ = child.kill().await;
            format!("did not answer any more ({why}) and was killed")
        }
        () = stop.cancelled() => {
            if let Some(pid) = child.id() {
                terminate(pid);
            }
            if let Ok(status) = timeout(spec.grace, child.wait()).await {
                ended(status)
            } else {
                let _ = child.kill().await;
                format!("did not end within {} s and was killed", spec.grace.as_secs())
            }
        }
    }
}

fn ended(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| format!("is lost: {error}"), |status| format!("ended ({status})"))
}

/// Returns when the health page was bad for too long; never if there is none.
async fn unwell(url: Option<&str>) -> String {
    let Some(url) = url else { return std::future::pending().await };
    let mut failures = 0;
    loop {
        sleep(HEALTH_EVERY).await;
        let why = match get_status(url, HEALTH_TIMEOUT).await {
            Ok((200, _)) => {
                failures = 0;
                continue;
            }
            Ok((status, body)) => format!("{status}: {}", body.trim()),
            Err(why) => why,
        };
        failures += 1;
        if failures >= HEALTH_FAILURES {
            return why;
        }
    }
}
