//! Commands that run on: `exec_output`, `exec_input`, `exec_stop`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use serde_json::json;
use tokio::{io::AsyncWriteExt, process::ChildStdin, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    bench::{Reply, Shop},
    call::ToolSpec,
    exec::{both, could_not, drain, how_it_ended, start as start_command},
    input::Input,
    spill::Capture,
};

pub(super) const OUTPUT: &str = "exec_output";
pub(super) const INPUT: &str = "exec_input";
pub(super) const STOP: &str = "exec_stop";

/// Commands that run at once.
const MAX_RUNNING: usize = 16;
/// A command that fails at once is seen to fail.
const FIRST_LOOK: Duration = Duration::from_millis(300);
/// The longest wait for output, in seconds.
const MAX_WAIT_S: u64 = 300;
/// The longest input of one call, in bytes.
const INPUT_BYTES: usize = 1024 * 1024;
/// A command that does not read for so long does not want it.
const INPUT_WAIT: Duration = Duration::from_secs(10);

/// All commands of an attempt that ran or run in the background.
#[derive(Default)]
pub(super) struct Background {
    commands: Mutex<BTreeMap<String, Arc<Command>>>,
    /// Those in the foreground, too. Dropping it kills what runs.
    tasks: Mutex<JoinSet<()>>,
}

struct Command {
    line: String,
    output: Mutex<Capture>,
    input: tokio::sync::Mutex<Option<ChildStdin>>,
    stop: CancellationToken,
    /// How it ended, once it did; every change is news.
    news: watch::Sender<Option<String>>,
}

impl Background {
    fn find(&self, id: &str) -> Result<Arc<Command>, String> {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.get(id).cloned().ok_or_else(|| {
            let ids: Vec<_> = commands.keys().map(String::as_str).collect();
            let known =
                if ids.is_empty() { "none was started".into() } else { format!("there are: {}", ids.join(", ")) };
            format!("no background command has the id `{}`; {known}", id.chars().take(40).collect::<String>())
        })
    }

    fn running(&self) -> usize {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.values().filter(|command| command.news.borrow().is_none()).count()
    }

    /// Lets a command be waited for, whoever else stops waiting.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Something runs.
    pub(super) fn is_busy(&self) -> bool {
        self.running() > 0
    }

    /// Ends everything and waits until it is gone.
    pub(super) async fn close(&self) {
        for command in self.commands.lock().unwrap_or_else(PoisonError::into_inner).values() {
            command.stop.cancel();
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}

/// Starts a command that runs on.
pub(super) async fn start(
    shop: &Arc<Shop>,
    command: &str,
    folder: &Path,
    wall: Duration,
    stop: &CancellationToken,
) -> Result<Reply, String> {
    if shop.background.running() >= MAX_RUNNING {
        return Err(format!("{MAX_RUNNING} commands run in the background already: stop one with `{STOP}`"));
    }
    let number = shop.commands.fetch_add(1, Ordering::Relaxed) + 1;
    let (mut running, pipe) = start_command(shop, command, folder, wall, true, number)
        .await
        .map_err(|error| could_not(&error, &folder.display().to_string()))?;
    let id = format!("bg{number}");
    let entry = Arc::new(Command {
        line: command.lines().next().unwrap_or_default().chars().take(80).collect(),
        output: Mutex::new(Capture::new(Arc::clone(&shop.spills), format!("exec-{number}"))),
        input: tokio::sync::Mutex::new(running.take_input()),
        // Not the call's own: the command outlives it.
        stop: CancellationToken::new(),
        news: watch::Sender::new(None),
    });
    shop.background.commands.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), Arc::clone(&entry));
    let (watched, console) = (Arc::clone(&entry), shop.bench.console.clone());
    let task = async move {
        let news = || watched.news.send_modify(|_| {});
        let done = both(running, drain(pipe, &watched.output, &console, news), &watched.stop).await;
        let end = match done {
            Ok((ended, ())) => how_it_ended(&ended, watched.stop.is_cancelled()),
            Err(error) => format!("lost: {error}"),
        };
        drop(watched.input.lock().await.take());
        watched.news.send_replace(Some(end));
    };
    shop.background.spawn(task);
    let mut news = entry.news.subscribe();
    tokio::select! {
        _ = tokio::time::timeout(FIRST_LOOK, news.wait_for(Option::is_some)) => {}
        () = stop.cancelled() => {}
    }
    Ok(Reply::changed(entry.report(&id)))
}

impl Command {
    /// How it stands, and what it printed since the last time.
    fn report(&self, id: &str) -> String {
        let end = self.news.borrow().clone();
        let capture = {
            let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = output.fresh();
            std::mem::replace(&mut *output, fresh)
        };
        let mut text = match &end {
            None => format!("{id} runs: {}", self.line),
            Some(end) => format!("{id} is over, {end}: {}", self.line),
        };
        let _ = write!(text, "\n{}", if capture.total() == 0 { "(no new output)".into() } else { capture.render() });
        text
    }

    fn has_news(&self) -> bool {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).total() > 0
    }
}

pub(super) fn output_spec() -> ToolSpec {
    ToolSpec {
        name: OUTPUT,
        description: "What a background command printed since the last time, and whether it still runs.".into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "id": {"type": "string", "description": "The id that `exec` returned."},
                "wait_s": {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_S,
                    "description": "Wait so long for output or for the end. Default 0."}
            },
            "required": ["id"],
            "additionalProperties": false
        }),
    }
}

pub(super) async fn output(shop: &Arc<Shop>, mut input: Input, stop: &CancellationToken) -> Result<Reply, String> {
    let id = input.text("id")?;
    let wait = Duration::from_secs(input.number("wait_s", 0..=MAX_WAIT_S, 0)?);
    input.finish()?;
    let command = shop.background.find(&id)?;
    let mut news = command.news.subscribe();
    let waiting = async {
        // Looked at first: what is there already is no news to a new subscriber.
        while !command.has_news() && command.news.borrow().is_none() {
            if news.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = tokio::time::timeout(wait, waiting) => {}
        () = stop.cancelled() => {}
    }
    Ok(Reply::changed(command.report(&id)))
}

pub(super) fn input_spec() -> ToolSpec {
    ToolSpec {
        name: INPUT,
        description: "Write to the standard input of a background command. A line needs its `\\n`.".into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "id": {"type": "string", "description": "The id that `exec` returned."},
                "text": {"type": "string", "description": "What to write."},
                "close": {"type": "boolean", "description": "End the input afterwards. Default false."}
            },
            "required": ["id", "text"],
            "additionalProperties": false
        }),
    }
}

pub(super) async fn input(shop: &Arc<Shop>, mut input: Input, stop: &CancellationToken) -> Result<Reply, String> {
    let id = input.text("id")?;
    let text = input.any_text("text")?;
    let close = input.flag("close")?;
    input.finish()?;
    if text.len() > INPUT_BYTES {
        return Err(format!("`text` has {} bytes, at most {INPUT_BYTES} are taken", text.len()));
    }
    let command = shop.background.find(&id)?;
    let over = || {
        let end = command.news.borrow().clone();
        end.map_or_else(|| format!("the input of {id} was closed"), |end| format!("{id} is over, {end}"))
    };
    let writing = async {
        let mut pipe = command.input.lock().await;
        let Some(open) = pipe.as_mut() else { return Err(over()) };
        let written = async {
            open.write_all(text.as_bytes()).await?;
            open.flush().await
        };
        if let Err(error) = written.await {
            *pipe = None;
            return Err(format!("{id} does not read any more ({error})"));
        }
        if close {
            *pipe = None;
        }
        Ok(())
    };
    tokio::select! {
        written = tokio::time::timeout(INPUT_WAIT, writing) => match written {
            Ok(written) => written?,
            Err(_) => return Err(format!("{id} has not read its input for {} s; a part of it may be written", INPUT_WAIT.as_secs())),
        },
        () = stop.cancelled() => return Err("stopped".into()),
    }
    let closed = if close { ", and its input is closed" } else { "" };
    Ok(Reply::changed(format!("{} bytes written to {id}{closed}", text.len())))
}

pub(super) fn stop_spec() -> ToolSpec {
    ToolSpec {
        name: STOP,
        description: "Stop a background command and all it started; shows its last output.".into(),
        input_schema: json!({
            "type": "object",
            "properties": {"id": {"type": "string", "description": "The id that `exec` returned."}},
            "required": ["id"],
            "additionalProperties": false
        }),
    }
}

pub(super) async fn stop(shop: &Arc<Shop>, mut input: Input, stop: &CancellationToken) -> Result<Reply, String> {
    let id = input.text("id")?;
    input.finish()?;
    let command = shop.background.find(&id)?;
    command.stop.cancel();
    let mut news = command.news.subscribe();
    tokio::select! {
        _ = news.wait_for(Option::is_some) => {}
        () = stop.cancelled() => {}
    }
    Ok(Reply::changed(command.report(&id)))
}
