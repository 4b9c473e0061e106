//! `exec`: a command line, to its end or in the background.

use std::{
    fmt::Write as _,
    io,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use serde_json::json;
use tokio::{io::AsyncReadExt, net::unix::pipe, sync::oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    background,
    bench::{Reply, Shop},
    call::ToolSpec,
    files::{look, trouble},
    input::Input,
    spill::{Capture, SHOWN_BYTES},
};
use crate::adapter::{
    console::Console,
    environment,
    process::{self, Ended, Launch, Running},
};

pub(super) const NAME: &str = "exec";
/// The time limit of a command that gives none, in seconds.
const TIMEOUT_S: u64 = 120;
const MAX_TIMEOUT_S: u64 = 3600;
/// Read from a pipe at once, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// After a command ended, what it printed last may take so long to be read (the host may lag).
const DRAIN_WAIT: Duration = Duration::from_secs(10);
/// The longest command line, in bytes: the kernel takes no longer argument.
const COMMAND_BYTES: usize = 120 * 1024;

pub(super) fn spec(shop: &Shop) -> ToolSpec {
    let assignment = &shop.bench.assignment;
    let network = match (assignment.network.is_empty(), assignment.secrets.is_empty()) {
        (true, true) => "There is no network.".to_string(),
        (true, false) => {
            "The network is reached through the proxy in HTTP_PROXY only, and only the hosts of your secrets."
                .to_string()
        }
        (false, _) => format!(
            "The network is reached through the proxy in HTTP_PROXY/HTTPS_PROXY only, and only: {}.",
            assignment.network.join(", ")
        ),
    };
    ToolSpec {
        name: NAME,
        description: format!(
            "Run a command line with bash, by default in the workspace, each time in a new shell. Standard output and standard error come \
             together; the first and last {} KiB are shown, the rest is in a file that is named. A command ends with all it started; \
             for servers and watchers set `background` and use `exec_output`, `exec_input`, `exec_stop`. There is no terminal and nothing \
             to read, so give options that answer questions (`-y`). {network}",
            SHOWN_BYTES / 2048
        ),
        input_schema: json!({
            "type": "object",
            "properties": {
                "command": {"type": "string", "description": "The command line."},
                "folder": {"type": "string", "description": "Where to run it. Default: the workspace."},
                "timeout_s": {"type": "integer", "minimum": 1, "maximum": MAX_TIMEOUT_S,
                    "description": "Stop it after so many seconds. Default 120; in the background: none."},
                "background": {"type": "boolean", "description": "Return at once with an id. Default false."}
            },
            "required": ["command"],
            "additionalProperties": false
        }),
    }
}

pub(super) async fn call(shop: &Arc<Shop>, mut input: Input, stop: &CancellationToken) -> Result<Reply, String> {
    let command = input.text("command")?;
    let folder = input.optional_text("folder")?.filter(|text| !text.is_empty());
    let timeout_s = input.number("timeout_s", 1..=MAX_TIMEOUT_S, 0)?;
    let in_background = input.flag("background")?;
    input.finish()?;
    if command.contains('\0') {
        return Err("`command` has a zero byte in it".into());
    }
    if command.len() > COMMAND_BYTES {
        return Err(format!(
            "`command` has {} bytes, at most {COMMAND_BYTES} are taken: `write` a script",
            command.len()
        ));
    }
    let shown = folder.as_deref().unwrap_or("the workspace");
    let at = folder.as_deref().map_or_else(|| Ok(shop.workspace().to_path_buf()), |folder| shop.path(folder))?;
    if !look(&at, shown)?.is_dir() {
        return Err(format!("{shown} is not a folder"));
    }
    let wall = Duration::from_secs(if timeout_s == 0 { TIMEOUT_S } else { timeout_s });
    if in_background {
        let wall = if timeout_s == 0 { Duration::MAX } else { wall };
        return background::start(shop, &command, &at, wall, stop).await;
    }
    let number = shop.commands.fetch_add(1, Ordering::Relaxed) + 1;
    let started = start(shop, &command, &at, wall, false, number).await;
    let (running, pipe) = started.map_err(|error| could_not(&error, shown))?;
    let capture = Capture::new(Arc::clone(&shop.spills), format!("exec-{number}"));
    // A task of its own: if nobody waits for the call any more, the command ends, and the end of the attempt waits for that.
    let until = stop.child_token();
    let _ends = until.clone().drop_guard();
    let (done, ended) = oneshot::channel();
    let console = shop.bench.console.clone();
    shop.background.spawn(async move {
        let capture = Mutex::new(capture);
        let ended = both(running, drain(pipe, &capture, &console, || {}), &until).await;
        let _ = done.send((ended, capture.into_inner().unwrap_or_else(PoisonError::into_inner)));
    });
    let (ended, capture) = ended.await.map_err(|_| "the command was lost")?;
    let (ended, ()) = ended.map_err(|error| format!("the command was lost: {error}"))?;
    let output = capture.render();
    let mut text = how_it_ended(&ended, stop.is_cancelled());
    if ended.timed_out {
        let _ = write!(
            text,
            " at its time limit of {} s; for what runs longer set `timeout_s` or `background`",
            wall.as_secs()
        );
    }
    let _ = write!(text, "\n{output}");
    Ok(Reply { is_error: ended.timed_out, ..Reply::changed(text) })
}

pub(super) fn could_not(error: &io::Error, shown: &str) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => trouble(shown, error),
        _ => format!("the command could not be started: {error}"),
    }
}

pub(super) fn how_it_ended(ended: &Ended, stopped: bool) -> String {
    let how = match (ended.timed_out, ended.status.code(), ended.signal()) {
        (true, ..) => "stopped".to_string(),
        (_, Some(code), _) => format!("exit code {code}"),
        (_, None, signal) if stopped => format!("stopped (signal {})", signal.unwrap_or(0)),
        (_, None, signal) => format!("ended by signal {}", signal.unwrap_or(0)),
    };
    let (seconds, millis) = (ended.wall_ms / 1000, ended.wall_ms % 1000);
    format!("{how} after {seconds}.{:02} s", millis / 10)
}

/// Starts a command, both outputs in one pipe so that their order is kept.
pub(super) async fn start(
    shop: &Shop,
    command: &str,
    folder: &Path,
    wall: Duration,
    input: bool,
    number: u64,
) -> io::Result<(Running, OwnedFd)> {
    let bench = &shop.bench;
    let (machine, label) = (Arc::clone(&bench.machine), format!("{}-exec-{number}", bench.label));
    let cage = tokio::task::spawn_blocking(move || machine.cage(&label)).await.map_err(io::Error::other)?;
    let cage = cage.map_err(|error| io::Error::new(error.source.kind(), error.to_string()))?;
    let (reader, stdout) = io::pipe()?;
    let stderr = stdout.try_clone()?;
    let launch = Launch {
        argv: ["bash", "-c", command].map(str::to_string).into(),
        env: environment::of_attempt(bench.machine.layout(), &bench.assignment, bench.proxy, []),
        folder: folder.to_path_buf(),
        // As a script: the VM is the agent's own computer.
        user: None,
        cage,
        max_processes: bench.assignment.max_processes,
        wall,
        input,
        stdout,
        stderr,
    };
    bench.console.print(format!("$ {command}\n").as_bytes()).await;
    Ok((process::start(launch).await?, reader.into()))
}

/// Waits for the end of a command while its output is read; what it left running is gone then, and its output has an end.
pub(super) async fn both<T: Default>(
    running: Running,
    reading: impl Future<Output = io::Result<T>>,
    stop: &CancellationToken,
) -> io::Result<(Ended, T)> {
    let ending = running.end(stop);
    tokio::pin!(ending, reading);
    let mut read = None;
    let ended = loop {
        tokio::select! {
            ended = &mut ending => break ended?,
            done = &mut reading, if read.is_none() => read = Some(done?),
        }
    };
    let read = match read {
        Some(read) => read,
        None => tokio::time::timeout(DRAIN_WAIT, reading).await.unwrap_or_else(|_| Ok(T::default()))?,
    };
    Ok((ended, read))
}

/// Reads a pipe to its end: into the capture, and to whoever watches.
pub(super) async fn drain(
    pipe: OwnedFd,
    capture: &Mutex<Capture>,
    console: &Console,
    news: impl Fn(),
) -> io::Result<()> {
    let mut pipe = pipe::Receiver::from_owned_fd(pipe)?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = pipe.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        capture.lock().unwrap_or_else(PoisonError::into_inner).push(&buffer[..count]);
        news();
        console.print(&buffer[..count]).await;
    }
}
