//! `baton down`

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{CliError, Context, Exit};
use crate::supervise::{end, end_leftovers, holder, terminate};

/// A supervisor ends its children one after the other; their graces together, and some more.
const PATIENCE: Duration = Duration::from_secs(45);
const LOOK: Duration = Duration::from_millis(100);

/// Reads no configuration: it must work when that is broken.
pub(super) async fn down(context: &Context) -> Result<Exit, CliError> {
    let paths = context.paths()?;
    let running = holder(&paths);
    let mut forced = false;
    if let Some(pid) = running {
        context.ui.say("stopping …");
        terminate(pid);
        let deadline = Instant::now() + PATIENCE;
        while holder(&paths).is_some() {
            if Instant::now() >= deadline {
                end(pid, None, Duration::ZERO).await;
                forced = true;
                break;
            }
            sleep(LOOK).await;
        }
    }
    let leftovers = end_leftovers(&paths).await;
    if context.ui.json {
        context
            .ui
            .json_line(&json!({ "kind": "up.stopped", "pid": running, "forced": forced, "leftovers": leftovers }))?;
    } else if running.is_none() && leftovers.is_empty() {
        context.ui.say("nothing was running");
    } else if leftovers.is_empty() {
        context.ui.say(if forced { "stopped by force" } else { "stopped" });
    } else {
        context.ui.say(&format!("stopped; ended what was left over: {}", leftovers.join(", ")));
    }
    Ok(Exit::Ok)
}
