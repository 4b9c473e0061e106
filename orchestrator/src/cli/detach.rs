//! `baton up --detach`: a supervisor in the background.

use std::{fs::OpenOptions, path::Path, process::Stdio};

use tokio::process::{Child, Command};

use super::{CliError, Context, Exit, args::UpArgs, health, style::clean_output, up::launcher};
use crate::{
    adapter::web::{Client, Endpoint},
    paths::Paths,
    supervise::{Roster, roster_path, tail, terminate},
};

/// Lines of the supervisor's log that are looked at.
const TAIL_LINES: usize = 20;

/// Starts one and returns when everything is healthy. If it does not become so, nothing is left running; except that a
/// host without working VMs is said and left, because everything else works.
pub(super) async fn detach(context: &Context, args: &UpArgs, paths: &Paths, socket: &Path) -> Result<Exit, CliError> {
    let log = paths.log_dir().join("supervisor.log");
    let mut child = spawn(context, args, socket, &log)?;
    let client = Client::new(Endpoint::Unix(socket.to_owned()))?;
    let outcome = tokio::select! {
        ready = health::host(&client) => ready.map_err(Some),
        _ = child.wait() => Err(None),
        _ = tokio::signal::ctrl_c() => Err(Some("interrupted".to_owned())),
    };
    let ready = match outcome {
        Ok(ready) => ready,
        Err(None) => return Err(ended(&log)),
        Err(Some(why)) => {
            if let Some(pid) = child.id() {
                terminate(pid);
            }
            // Whether it ended well does not matter any more.
            let _ = child.wait().await;
            let ends = Roster::read(&roster_path(paths)).into_iter();
            let ends = ends.filter_map(|(name, entry)| Some(format!("\n  │ {name}: {}", entry.last_end?)));
            return Err(environment(format!("not healthy: {why}{}", ends.collect::<String>()), "see `baton doctor`"));
        }
    };
    if context.ui.json {
        context.ui.json_line(&ready.health)?;
    }
    match &ready.trouble {
        None => {
            context.ui.say(&format!("up: {}; `baton down` stops it", ready.fact()));
            Ok(Exit::Ok)
        }
        Some(trouble) => {
            let detail = format!("up, but no attempt can be worked on: {}", clean_output(trouble).trim_end());
            Err(environment(detail, "`baton doctor` checks what is needed; `baton down` stops the rest"))
        }
    }
}

fn environment(detail: String, hint: &str) -> CliError {
    CliError::new(Exit::Environment, "not_healthy", detail, Some(hint))
}

fn spawn(context: &Context, args: &UpArgs, socket: &Path, log: &Path) -> Result<Child, CliError> {
    let failed = |detail: String| environment(detail, "see `baton doctor`");
    let open = || OpenOptions::new().create(true).write(true).truncate(true).open(log);
    let file = open().map_err(|error| failed(format!("open {}: {error}", log.display())))?;
    let mut command = Command::new(launcher()?);
    command.args(["up", "--background"]).arg("--socket").arg(socket);
    if let Some(file) = &context.global.config {
        command.arg("--config").arg(file);
    }
    for (flag, value) in [("--slots", args.slots), ("--spares", args.spares)] {
        command.args(value.map(|value| [flag.to_owned(), value.to_string()]).into_iter().flatten());
    }
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    command.spawn().map_err(|error| failed(format!("start the supervisor: {error}")))
}

/// The supervisor gave up: its own error and hint are the last things in its log.
fn ended(log: &Path) -> CliError {
    let text = tail(log, TAIL_LINES).join("\n");
    let said = text.rsplit_once("error: ").map_or(text.as_str(), |(_, rest)| rest);
    let (detail, hint) = said.split_once(" hint: ").unwrap_or((said, "see `baton doctor`"));
    environment(clean_output(detail).trim_end().to_owned(), hint.lines().next().unwrap_or_default())
}
