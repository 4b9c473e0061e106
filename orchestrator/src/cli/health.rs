//! Waiting until what `baton up` starts is well.

use std::time::Duration;

use bus_schemas::v1::api::Health;
use tokio::time::{Instant, sleep};

use super::render::count;
use crate::adapter::web::{Client, get_status};

/// How long everything may take to become healthy: a host service on a new machine first probes what runs its VMs.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(200);
const PAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// A host has shown itself.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) health: Health,
    /// Why it takes no attempts, if it does not.
    pub(super) trouble: Option<String>,
}

impl Ready {
    pub(super) fn fact(&self) -> String {
        format!("{}, {}", count(self.health.hosts as usize, "host"), count(self.health.slots as usize, "slot"))
    }
}

/// Waits until a page answers 200; returns its address. Without a page there is nothing to wait for.
pub(super) async fn page(url: Option<&str>) -> Result<String, String> {
    let Some(url) = url else { return Ok(String::new()) };
    let deadline = Instant::now() + PATIENCE;
    loop {
        match get_status(url, PAGE_TIMEOUT).await {
            Ok((200, _)) => return Ok(url.to_owned()),
            Ok((status, body)) if Instant::now() >= deadline => return Err(format!("{status}: {body}")),
            Err(why) if Instant::now() >= deadline => return Err(why),
            _ => sleep(LOOK).await,
        }
    }
}

/// Waits until the API answers.
pub(super) async fn answers(client: &Client) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = client.health().await {
        if Instant::now() >= deadline {
            return Err(error.to_string());
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Waits until a host takes attempts, or says why it cannot.
pub(super) async fn host(client: &Client) -> Result<Ready, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let why = match client.health().await {
            Ok(health) if health.bus_connected && health.slots > 0 => return Ok(Ready { health, trouble: None }),
            Ok(health) if health.bus_connected && health.hosts > 0 => {
                if let Some(trouble) = trouble(client).await {
                    return Ok(Ready { health, trouble: Some(trouble) });
                }
                "the host has no free slot".to_owned()
            }
            Ok(health) if health.bus_connected => "no host has shown itself".to_owned(),
            Ok(_) => "the orchestrator has no connection to NATS".to_owned(),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            return Err(why);
        }
        sleep(LOOK).await;
    }
}

async fn trouble(client: &Client) -> Option<String> {
    let hosts = client.hosts().await.ok()?;
    hosts.into_iter().filter(|host| !host.lost).find_map(|host| host.beat.problems.into_iter().next())
}
