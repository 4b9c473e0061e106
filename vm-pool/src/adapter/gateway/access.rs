//! Who calls: what one attempt may use, who pays for it, and what it has spent.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bus_schemas::{
    id::{AttemptRef, MessageId},
    v1::agent::Spend,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::port::Purse;

/// One attempt's access to models.
#[derive(Clone)]
pub struct Access {
    /// Whose.
    pub attempt: AttemptRef,
    /// The models it may call, as `provider/model`.
    pub models: Vec<String>,
    /// Who pays.
    pub purse: Arc<dyn Purse>,
    /// What it has spent.
    pub meter: Meter,
    /// Ends every connection.
    pub stop: CancellationToken,
    /// Lines for the host's log of the attempt.
    pub log: mpsc::Sender<String>,
    /// When the attempt's time is up: no call is held so long that it could not pause before.
    pub deadline: Option<Instant>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("attempt", &self.attempt).field("models", &self.models).finish_non_exhaustive()
    }
}

impl Access {
    /// Says something in the attempt's log; a full log misses it.
    pub(super) fn say(&self, line: String) {
        let _ = self.log.try_send(line);
    }
}

/// What an attempt has spent so far. Cheap to clone; all clones are one meter.
#[derive(Clone, Debug)]
pub struct Meter {
    spent: Arc<Mutex<Spend>>,
    /// Settlements on their way.
    pending: Arc<watch::Sender<usize>>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { spent: Arc::default(), pending: Arc::new(watch::Sender::new(0)) }
    }
}

impl Meter {
    /// All calls that have ended.
    #[must_use]
    pub fn spent(&self) -> Spend {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no settlement is on its way. To be awaited before an attempt's end is published.
    pub async fn settled(&self) {
        // The sender is in this very value: it cannot be gone.
        let _ = self.pending.subscribe().wait_for(|pending| *pending == 0).await;
    }

    fn add(&self, actual: &Spend) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        *spent = spent.plus(actual);
    }
}

/// A reservation, asked for or granted. It is settled exactly once, whatever happens: at the latest when it is dropped.
pub(super) struct Reservation {
    purse: Arc<dyn Purse>,
    meter: Meter,
    call_id: MessageId,
    /// What it is settled with if nobody says anything better.
    actual: Spend,
    denied: bool,
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("call_id", &self.call_id).finish_non_exhaustive()
    }
}

impl Reservation {
    /// Nothing is spent yet.
    pub(super) fn new(access: &Access, call_id: MessageId) -> Self {
        Self {
            purse: access.purse.clone(),
            meter: access.meter.clone(),
            call_id,
            actual: Spend::default(),
            denied: false,
        }
    }

    /// There is nothing to settle.
    pub(super) const fn was_denied(&mut self) {
        self.denied = true;
    }

    /// What the call has cost, as far as is known now.
    pub(super) const fn costs(&mut self, actual: Spend) {
        self.actual = actual;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.denied {
            return;
        }
        self.meter.add(&self.actual);
        let (purse, meter, call_id, actual) = (self.purse.clone(), self.meter.clone(), self.call_id, self.actual);
        // Without a runtime the process ends: a reservation that is never settled counts as spent.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let pending = Pending::new(meter);
        runtime.spawn(async move {
            purse.settle(call_id, actual).await;
            drop(pending);
        });
    }
}

/// Counts a settlement while it lives.
struct Pending(Meter);

impl Pending {
    fn new(meter: Meter) -> Self {
        meter.pending.send_modify(|pending| *pending += 1);
        Self(meter)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.send_modify(|pending| *pending = pending.saturating_sub(1));
    }
}
