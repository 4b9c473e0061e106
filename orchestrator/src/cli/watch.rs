//! `baton watch`

use std::time::Duration;

use bus_schemas::v1::{
    api::{FeedEvent, ProjectView},
    project::ProjectState,
};
use futures::StreamExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::{
    CliError, Context, Exit, Ui, ids,
    live::{self, Live},
    render::{clock, next_lines, now, task_sign},
    status,
    style::{Paint, clean_line},
    tree::{self, View},
};
use crate::adapter::web::{Client, ClientError};

/// How often the live view is drawn.
const FRAME: Duration = Duration::from_millis(120);
/// How often the live view asks for what events do not carry: usage, and requests to people.
const REFRESH: Duration = Duration::from_secs(2);
/// Between two looks for an orchestrator that went away.
const RETRY: Duration = Duration::from_secs(1);
/// Looks before giving up: an orchestrator that was killed is back within seconds.
const RETRIES: u32 = 60;

/// What ends a watch, besides the project's end and Ctrl-C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Nothing.
    Final,
    /// A request that waits for a person.
    Asked,
}

pub(super) async fn watch(context: &Context, id: &str, until_asked: bool) -> Result<Exit, CliError> {
    let client = context.client()?;
    let project = client.project(ids::check("ps", id)?).await?;
    follow(context.ui, &client, project, if until_asked { Until::Asked } else { Until::Final }).await
}

/// Follows a project until it ends or Ctrl-C, or until somebody is asked.
pub(super) async fn follow(ui: Ui, client: &Client, project: ProjectView, until: Until) -> Result<Exit, CliError> {
    let id = project.project_id.to_string();
    let mut screen = Screen { ui, live: ui.interactive().then(Live::new), project, frame: 0, stale: None };
    let outcome = tokio::select! {
        result = events(client, &id, &mut screen, until) => Some(result),
        _ = tokio::signal::ctrl_c() => None,
    };
    if let Some(live) = &mut screen.live {
        live.clear();
    }
    let Some(result) = outcome else {
        ui.say(&format!(
            "\nstopped watching; the project goes on. `baton watch {0}` looks again, `baton cancel {0}` stops it",
            ids::alone(&id)
        ));
        return Ok(Exit::Interrupted);
    };
    result?;
    let project = client.project(&id).await?;
    if ui.json {
        ui.json_line(&project)?;
    } else if screen.live.is_some() {
        ui.data(&status::whole(ui.out, &project))?;
    } else {
        ui.say(next_lines(ui.err, &project).trim_end());
    }
    let asked = until == Until::Asked && !project.state.is_final();
    Ok(if asked || project.state == ProjectState::Completed { Exit::Ok } else { Exit::Negative })
}

/// Feeds the screen until the project is final (or somebody is asked), over any number of connections.
async fn events(client: &Client, id: &str, screen: &mut Screen, until: Until) -> Result<(), CliError> {
    let mut after = 0;
    let mut failures = 0;
    // The project was final before this connection: when it ends, everything was heard.
    let mut last = false;
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let mut feed = match client.feed(id, after).await {
            Ok(feed) => feed,
            Err(error) => {
                away(screen, error, &mut failures).await?;
                continue;
            }
        };
        loop {
            let event = tokio::select! {
                event = feed.next() => event,
                _ = frames.tick() => {
                    screen.refresh(client, id).await;
                    screen.draw();
                    continue;
                }
            };
            match event {
                Some(Ok(event)) => {
                    failures = 0;
                    after = after.max(event.sequence);
                    screen.event(&event)?;
                    let concerns_people = event.approval_id.is_some();
                    if until == Until::Asked && concerns_people && waits(client, id).await? {
                        return Ok(());
                    }
                }
                Some(Err(error)) => {
                    last = false;
                    away(screen, error, &mut failures).await?;
                    break;
                }
                None if last => return Ok(()),
                None => break,
            }
        }
        // The stream ends when there is nothing more to say, and when the orchestrator stops: ask which.
        match client.project(id).await {
            Ok(project) if project.state.is_final() => last = true,
            Ok(project) => {
                screen.project = project;
                sleep(RETRY).await;
            }
            Err(error) => away(screen, error, &mut failures).await?,
        }
    }
}

/// Whether a request of the project waits for a person.
async fn waits(client: &Client, id: &str) -> Result<bool, CliError> {
    Ok(!client.project(id).await?.pending_approvals.is_empty())
}

/// The orchestrator is away: waits a little, or gives up.
async fn away(screen: &Screen, error: ClientError, failures: &mut u32) -> Result<(), CliError> {
    *failures += 1;
    if matches!(error, ClientError::Problem(_) | ClientError::Protocol { .. }) || *failures > RETRIES {
        return Err(error.into());
    }
    if *failures == 1 {
        screen.note("the orchestrator went away; waiting for it to come back");
    }
    sleep(RETRY).await;
    Ok(())
}

struct Screen {
    ui: Ui,
    live: Option<Live>,
    project: ProjectView,
    frame: usize,
    /// Since when the view lacks what events do not carry.
    stale: Option<Instant>,
}

impl Screen {
    /// Asks for the whole project some time after an event, once for many events.
    async fn refresh(&mut self, client: &Client, id: &str) {
        if self.live.is_none() || self.stale.is_none_or(|since| since.elapsed() < REFRESH) {
            return;
        }
        self.stale = None;
        // If it cannot be asked now, the stream says so soon.
        if let Ok(project) = client.project(id).await {
            self.project = project;
        }
    }

    fn draw(&mut self) {
        self.frame = self.frame.wrapping_add(1);
        let Some(live) = &mut self.live else { return };
        let style = self.ui.err;
        let max_tasks = live::height().saturating_sub(6);
        let view = View { style, frame: Some(self.frame), max_tasks, now: now() };
        let mut lines = tree::head(&self.project, view);
        lines.extend(tree::tasks(&self.project, view));
        lines.extend(next_lines(style, &self.project).lines().map(str::to_owned));
        live.draw(lines);
    }

    fn event(&mut self, event: &FeedEvent) -> Result<(), CliError> {
        self.take(event);
        if self.ui.json {
            return self.ui.json_line(event);
        }
        if self.live.is_none() {
            // Two for every model call: figures, not news.
            if event.kind.starts_with("spend.") {
                return Ok(());
            }
            let text = clean_line(&event.text);
            return self.ui.data(&format!("{}  {:24}  {text}", clock(event.at, false), event.kind));
        }
        if matches!(event.kind.as_str(), "budget.warned" | "attempt.paused" | "patch.proposed" | "skill.proposed") {
            self.note(&format!("{} {}", self.ui.err.paint(Paint::Yellow, "!"), clean_line(&event.text)));
        }
        for task in event.tasks.iter().filter(|task| task.state.is_final() && task.failure.is_some()) {
            let (sign, paint) = task_sign(task.state);
            self.note(&format!("{} {}", self.ui.err.paint(paint, sign), clean_line(&event.text)));
        }
        Ok(())
    }

    /// Brings the view up to an event.
    fn take(&mut self, event: &FeedEvent) {
        if self.live.is_none() {
            return;
        }
        let project = &mut self.project;
        project.state = event.project_state;
        project.changed_at = event.at;
        for task in &event.tasks {
            match project.tasks.iter_mut().find(|known| known.task_id == task.task_id) {
                Some(known) => *known = task.clone(),
                None => project.tasks.push(task.clone()),
            }
        }
        project.counts.clear();
        for task in &project.tasks {
            let name = serde_json::to_value(task.state).ok().and_then(|value| value.as_str().map(str::to_owned));
            *project.counts.entry(name.unwrap_or_default()).or_insert(0) += 1;
        }
        if let Some(approval) = event.approval_id
            && event.kind.starts_with("approval.")
        {
            project.pending_approvals.retain(|pending| *pending != approval);
        }
        self.stale.get_or_insert_with(Instant::now);
    }

    fn note(&self, text: &str) {
        match &self.live {
            Some(live) => live.above(&self.ui.err.paint(Paint::Dim, text)),
            None => self.ui.say(text),
        }
    }
}
