//! What attempts work with, and what is seen of one while it is worked on.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bus_schemas::{
    id::{ClaimNonce, LeaseId},
    v1::{
        agent::Pause,
        handoff::{Handoff, Isolation, Usage},
        task::{Note, Offer, Stage},
    },
};
use tokio::{sync::mpsc, time::Instant};

use super::output::Tail;
use crate::adapter::{
    bus::HostBus,
    outside::{Outside, Reach},
    workspace::{Snapshots, Store},
};

/// What every attempt of a host works with.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The bus.
    pub bus: HostBus,
    /// The bare repositories.
    pub store: Store,
    /// The tars of trees.
    pub snapshots: Snapshots,
    /// What guests can reach.
    pub outside: Arc<dyn Outside>,
    /// A folder for files that live as long as an attempt.
    pub scratch: PathBuf,
    /// How strongly VMs are isolated here.
    pub isolation: Isolation,
}

/// One attempt that is to be worked on.
#[derive(Debug)]
pub struct Job<'a> {
    /// What is asked for.
    pub offer: &'a Offer,
    /// The claim under which it is worked on.
    pub nonce: ClaimNonce,
    /// When the caller will drop the work.
    pub closes_at: Instant,
    /// Where each stage is announced.
    pub stages: &'a mpsc::Sender<Stage>,
    /// What is seen of it.
    pub trace: &'a Trace,
    /// What people say to it meanwhile.
    pub tells: &'a mut mpsc::Receiver<Note>,
}

/// How an attempt ended that did not fail.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It hands on.
    Handoff(Box<Handoff>),
    /// It waits for something that takes longer than a VM is kept.
    Paused {
        /// For what.
        pause: Pause,
        /// The last turn that is saved.
        saved_turn: u32,
    },
}

/// What is seen of an attempt while it is worked on: what a failure still reports.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The end of the output.
    pub tail: Tail,
    books: Arc<Mutex<Books>>,
}

#[derive(Debug, Default)]
struct Books {
    usage: Usage,
    asked: Vec<LeaseId>,
    running: BTreeMap<LeaseId, Instant>,
    reach: Option<Arc<dyn Reach>>,
}

impl Trace {
    /// Everything it used up to now: VMs it still has, and model calls, count.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.with(|books| Usage {
            vm_ms: books.vm_ms(),
            spend: books.reach.as_ref().map(|reach| reach.spent()).unwrap_or_default(),
            ..books.usage.clone()
        })
    }

    /// Says how long it has had VMs up to now, in milliseconds. Keeps nothing of it alive.
    pub(super) fn vm_clock(&self) -> impl Fn() -> u64 + Send + Sync + use<> {
        let books = Arc::downgrade(&self.books);
        move || books.upgrade().map_or(0, |books| books.lock().unwrap_or_else(PoisonError::into_inner).vm_ms())
    }

    /// Every lease it asked for; the second time, none.
    #[must_use]
    pub fn take_leases(&self) -> Vec<LeaseId> {
        self.with(|books| std::mem::take(&mut books.asked))
    }

    pub(super) fn used(&self, add: impl FnOnce(&mut Usage)) {
        self.with(|books| add(&mut books.usage));
    }

    pub(super) fn asked(&self, lease: LeaseId) {
        self.with(|books| books.asked.push(lease));
    }

    pub(super) fn leased(&self, lease: LeaseId, since: Instant) {
        self.with(|books| books.running.extend([(lease, since)]));
    }

    pub(super) fn released(&self, lease: LeaseId) {
        self.with(|books| {
            if let Some(since) = books.running.remove(&lease) {
                books.usage.vm_ms += millis(since.elapsed());
            }
        });
    }

    pub(super) fn reaches(&self, reach: Arc<dyn Reach>) {
        self.with(|books| books.reach = Some(reach));
    }

    fn with<T>(&self, look: impl FnOnce(&mut Books) -> T) -> T {
        look(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Books {
    fn vm_ms(&self) -> u64 {
        self.running.values().map(|since| millis(since.elapsed())).fold(self.usage.vm_ms, u64::saturating_add)
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
