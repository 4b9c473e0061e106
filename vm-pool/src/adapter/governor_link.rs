//! What a governor learned, shared by way of a key-value bucket: followed with a watch, written by compare and swap.
//! Whatever fails here costs the other hosts a hint, and nothing else.

use std::time::Duration;

use async_nats::jetstream::kv::{Config, Operation, Store};
use bus_schemas::{nats::Bus, stream::GOVERNOR_BUCKET};
use futures::StreamExt as _;
use tokio::sync::{mpsc, watch};

use super::governor::Ask;
use crate::governor::Shared;

/// A bucket that cannot be used is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// What is older is of no use to anybody.
const MAX_AGE: Duration = Duration::from_secs(2 * 60 * 60);
/// How often a write that lost against another host is tried.
const TRIES: usize = 4;

/// Keeps `told` and the bucket's `key` in step until the governor is gone.
pub(super) async fn keep(
    bus: Bus,
    key: String,
    mut told: watch::Receiver<Shared>,
    desk: mpsc::WeakUnboundedSender<Ask>,
) {
    while desk.upgrade().is_some() {
        if let Err(error) = follow(&bus, &key, &mut told, &desk).await {
            tracing::debug!(%error, %key, "rate limits are not shared for now");
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                // The governor is gone.
                Err(_) = ended(told.clone()) => return,
            }
        }
    }
}

/// Waits for the end of the governor.
async fn ended(mut told: watch::Receiver<Shared>) -> Result<(), watch::error::RecvError> {
    loop {
        told.changed().await?;
    }
}

async fn follow(
    bus: &Bus,
    key: &str,
    told: &mut watch::Receiver<Shared>,
    desk: &mpsc::WeakUnboundedSender<Ask>,
) -> Result<(), String> {
    let store = open(bus).await?;
    let mut news = store.watch_with_history(key).await.map_err(|e| e.to_string())?;
    // What was learned while there was no bus.
    let unsaid = *told.borrow_and_update();
    if unsaid != Shared::default() {
        write(&store, key, unsaid).await?;
    }
    loop {
        tokio::select! {
            entry = news.next() => {
                let entry = entry.ok_or("the watch ended")?.map_err(|e| e.to_string())?;
                let Some(desk) = desk.upgrade() else { return Ok(()) };
                if entry.operation == Operation::Put
                    && let Ok(shared) = serde_json::from_slice::<Shared>(&entry.value)
                {
                    let _ = desk.send(Ask::Heard(shared));
                }
            }
            changed = told.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let shared = *told.borrow_and_update();
                write(&store, key, shared).await?;
            }
        }
    }
}

async fn open(bus: &Bus) -> Result<Store, String> {
    if let Ok(store) = bus.jetstream().get_key_value(GOVERNOR_BUCKET).await {
        return Ok(store);
    }
    let config = Config {
        bucket: GOVERNOR_BUCKET.to_owned(),
        description: "what hosts know of providers' rate limits".to_owned(),
        history: 1,
        max_age: MAX_AGE,
        ..Config::default()
    };
    bus.jetstream().create_key_value(config).await.map_err(|e| e.to_string())
}

/// Writes what is newer than what is there; of two at once, both count.
async fn write(store: &Store, key: &str, mut shared: Shared) -> Result<(), String> {
    let mut failure = String::new();
    for _ in 0..TRIES {
        let there = store.entry(key).await.map_err(|e| e.to_string())?;
        let wrote = match &there {
            None => store.create(key, encode(&shared)?).await.map(drop).map_err(|e| e.to_string()),
            Some(entry) => {
                if let Ok(other) = serde_json::from_slice::<Shared>(&entry.value)
                    && entry.operation == Operation::Put
                    && other.at >= shared.at
                    && other != shared
                {
                    shared = merged(&shared, &other);
                }
                store.update(key, encode(&shared)?, entry.revision).await.map(drop).map_err(|e| e.to_string())
            }
        };
        match wrote {
            Ok(()) => return Ok(()),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// The more careful of both.
fn merged(one: &Shared, other: &Shared) -> Shared {
    Shared {
        blocked_until: one.blocked_until.max(other.blocked_until),
        strikes: one.strikes.max(other.strikes),
        rate: match (one.rate, other.rate) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        },
        at: other.at.plus_ms(1),
    }
}

fn encode(shared: &Shared) -> Result<bytes::Bytes, String> {
    serde_json::to_vec(shared).map(Into::into).map_err(|e| e.to_string())
}
