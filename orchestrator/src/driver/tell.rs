//! Publishes the feed for bridges and audit. It trails the journal by a moment, so that what moves often is told once, and
//! never competes with offers: one message at a time, after a pause.

use std::time::Duration;

use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Bells, input::Input, work::derived_id};
use crate::port::{
    bus::{Bus, BusError},
    journal::Journal,
};

/// The name under which the position of the published feed is kept.
pub const FEED_CURSOR: &str = "feed";
/// How long changes gather before they are published.
const LINGER: Duration = Duration::from_millis(200);
/// The pause before something is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until the driver is gone.
pub(super) async fn run<J: Journal, B: Bus>(
    journal: J,
    bus: B,
    installation: Uuid,
    bells: Bells,
    inputs: mpsc::Sender<Input>,
) {
    let mut bell = bells.listen_all();
    let mut after = None;
    while !inputs.is_closed() {
        let position = match after {
            Some(seq) => Ok(seq),
            None => journal.cursor(FEED_CURSOR).await.map(|cursor| cursor.seq),
        };
        let page = match position {
            Ok(seq) => journal.tellings(seq).await.map(|(last, messages)| (seq, last, messages)),
            Err(error) => Err(error),
        };
        match page {
            Err(error) => {
                tracing::warn!(%error, "feed not read");
                tokio::time::sleep(PAUSE).await;
            }
            Ok((seq, last, _)) if seq == last => {
                after = Some(last);
                if bell.changed().await.is_err() {
                    return;
                }
                tokio::time::sleep(LINGER).await;
            }
            Ok((_, last, messages)) => {
                for (number, message) in (0..).zip(messages) {
                    let id = derived_id(installation, "feed", last, number);
                    while let Err(BusError::Unavailable { .. }) = bus.tell(id, message.clone()).await {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                after = Some(last);
                if inputs.send(Input::FeedPublished(last)).await.is_err() {
                    return;
                }
            }
        }
    }
}
