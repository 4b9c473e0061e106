//! `baton logs`

use std::collections::BTreeMap;

use bus_schemas::{
    id::TaskId,
    v1::task::{LogChunk, LogSource},
};
use futures::StreamExt as _;

use super::{
    CliError, Context, Exit, Ui,
    args::LogsArgs,
    ids,
    style::{Paint, clean_line, clean_output},
};

pub(super) async fn logs(context: &Context, args: &LogsArgs) -> Result<Exit, CliError> {
    let ui = context.ui;
    let client = context.client()?;
    let project = client.project(ids::check("ps", &args.project)?).await?;
    let id = project.project_id.to_string();
    let mut keys: BTreeMap<TaskId, String> =
        project.tasks.iter().map(|task| (task.task_id, task.key.clone())).collect();
    let mut printer = Printer { ui, label: args.task.is_none(), place: None, missing: 0, open: None };
    let mut chunks = client.logs(&id, args.task.as_deref(), args.follow).await?;
    loop {
        let chunk = tokio::select! {
            chunk = chunks.next() => chunk,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
        };
        let Some(chunk) = chunk.transpose()? else { return Ok(Exit::Ok) };
        if !keys.contains_key(&chunk.attempt.task_id) {
            // A task that `foreach` made meanwhile.
            let tasks = client.project(&id).await?.tasks;
            keys.extend(tasks.into_iter().map(|task| (task.task_id, task.key)));
        }
        let key = keys.get(&chunk.attempt.task_id).map_or("?", String::as_str);
        printer.print(key, &chunk)?;
    }
}

struct Printer {
    ui: Ui,
    /// Say whose output it is: there may be several.
    label: bool,
    /// The task, attempt and sequence of the last chunk.
    place: Option<(TaskId, u32, u64)>,
    missing: u64,
    /// Whose line was left unfinished.
    open: Option<LogSource>,
}

impl Printer {
    fn print(&mut self, key: &str, chunk: &LogChunk) -> Result<(), CliError> {
        if self.ui.json {
            return self.ui.json_line(chunk);
        }
        let attempt = chunk.attempt;
        let style = self.ui.out;
        if let Some((task, number, sequence)) = self.place
            && (task, number) == (attempt.task_id, attempt.number)
            && chunk.sequence > sequence + 1
        {
            self.missing += chunk.sequence - sequence - 1;
            self.ui.say(&format!("({} pieces of output of {key} were dropped)", chunk.sequence - sequence - 1));
        }
        let fresh = self.place.is_none_or(|(task, number, _)| (task, number) != (attempt.task_id, attempt.number));
        self.place = Some((attempt.task_id, attempt.number, chunk.sequence));
        let mut text = String::new();
        if self.label && fresh {
            let title = format!("── {} · attempt {} ", clean_line(key), attempt.number);
            text.push_str(&format!("{}\n", style.paint(Paint::Dim, title)));
        }
        let output = clean_output(&chunk.text);
        match chunk.source {
            LogSource::Stdout => text.push_str(&output),
            LogSource::Stderr => text.push_str(&style.paint(Paint::Yellow, &output)),
            LogSource::Check => text.push_str(&format!("{}{output}", style.paint(Paint::Cyan, "check │ "))),
            LogSource::Agent => self.labelled(&mut text, style.paint(Paint::Green, "agent │ "), chunk.source, &output),
            LogSource::Tool => self.labelled(&mut text, style.paint(Paint::Dim, " tool │ "), chunk.source, &output),
            LogSource::Host => text.push_str(&format!("{}{output}", style.paint(Paint::Blue, "host │ "))),
        }
        self.ui.data(&text)
    }

    /// Every line with a label in front: agents and their tools take turns. A piece may end within a line, and goes on
    /// there unless somebody else speaks first.
    fn labelled(&mut self, text: &mut String, label: String, source: LogSource, output: &str) {
        let mut goes_on = self.open == Some(source);
        if self.open.is_some() && !goes_on {
            text.push('\n');
        }
        for line in output.split_inclusive('\n') {
            if !std::mem::take(&mut goes_on) {
                text.push_str(&label);
            }
            text.push_str(line);
            self.open = (!line.ends_with('\n')).then_some(source);
        }
    }
}
