//! Taking offers: one waiting pull, and only with a free slot in hand.

use std::{path::PathBuf, sync::Arc};

use bus_schemas::v1::task::Offer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::{Notice, now};
use crate::adapter::bus::{self, HostBus, Taken};

/// An offer that can be worked on, and the slot for it.
#[derive(Debug)]
pub struct Intake {
    /// The delivery, to be settled.
    pub taken: Taken,
    /// What is offered.
    pub offer: Offer,
    /// The slot; dropping it frees it.
    pub slot: OwnedSemaphorePermit,
}

/// Takes offers while `open` says so. Ends when nobody listens any more.
pub(super) async fn take_offers<V>(
    bus: HostBus,
    slots: Arc<Semaphore>,
    mut open: watch::Receiver<bool>,
    dead_letters: PathBuf,
    notices: mpsc::Sender<Notice<V>>,
) {
    let mut delay = bus::first_pause();
    loop {
        if open.wait_for(|open| *open).await.is_err() {
            return;
        }
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let taken = tokio::select! {
            taken = bus.next_offer() => taken,
            _ = open.wait_for(|open| !*open) => continue,
        };
        match taken {
            Ok(None) => delay = bus::first_pause(),
            Ok(Some(taken)) => {
                delay = bus::first_pause();
                if let Some(intake) = sort(taken, slot, &dead_letters, &notices).await
                    && notices.send(Notice::Offered(Box::new(intake))).await.is_err()
                {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "take offers");
                bus.mend().await;
                bus::pause(&mut delay).await;
            }
        }
    }
}

/// Puts aside what cannot be read.
async fn sort<V>(
    mut taken: Taken,
    slot: OwnedSemaphorePermit,
    dead_letters: &std::path::Path,
    notices: &mpsc::Sender<Notice<V>>,
) -> Option<Intake> {
    match std::mem::replace(&mut taken.offer, Err(String::new())) {
        Ok(envelope) => Some(Intake { taken, offer: envelope.body, slot }),
        Err(reason) => {
            tracing::warn!(%reason, "a malformed offer is put aside");
            if let Err(error) = taken.bury(&reason, now(), dead_letters).await {
                tracing::error!(%error, path = %dead_letters.display(), "a malformed offer could not be kept");
            }
            let _ = notices.send(Notice::Malformed).await;
            None
        }
    }
}
