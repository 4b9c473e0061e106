//! The bridge itself: what it is made of.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
};
use tokio::sync::{Mutex, Notify};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    adapter::{
        mail::{Desk, Transport, Verifier},
        marks::Marks,
    },
    config::Audience,
    people::People,
    port::{Clock, Ids, Service},
};

/// How the bridge behaves.
#[derive(Clone)]
pub struct Settings {
    /// Our address, lower case.
    pub address: String,
    /// The name beside it.
    pub name: String,
    /// How the pages behind links are reached; without it, mails have no links.
    pub public_url: Option<String>,
    /// Who may write beside the members: addresses, and domains as `@example.org`, lower case.
    pub allow: Vec<String>,
    /// Which requests are sent by mail.
    pub requests: Audience,
    /// There is Slack, too.
    pub has_slack: bool,
    /// What people hear between start and end; `None` for nothing, zero for each event at once.
    pub news: Option<Duration>,
    /// Where people may start projects by writing a path.
    pub folders: Vec<PathBuf>,
    /// Endings of attachments that are not taken.
    pub refuse_types: Vec<String>,
    /// Archives that are taken though they cannot be looked into, by their endings.
    pub allow_packed: Vec<String>,
    /// Mails of one sender within an hour.
    pub per_sender: u32,
    /// Mails of all senders within an hour.
    pub per_hour: u32,
    /// Mails of ours to one person about one project within an hour.
    pub per_thread: u32,
    /// The presets and policies of `baton.toml`, by name.
    pub presets: Vec<String>,
    /// What must never be seen in a mail: passwords, keys, canaries.
    pub secrets: Vec<String>,
    /// The key tokens are signed with.
    pub key: [u8; 32],
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What the bridge stands between.
pub struct World<S, D, V, T> {
    /// The orchestrator.
    pub service: S,
    /// What is remembered.
    pub desk: D,
    /// Who says whether mails are genuine.
    pub verifier: V,
    /// Who hands our mails on.
    pub transport: T,
    /// Who is who.
    pub people: Arc<People>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// How it behaves.
    pub settings: Settings,
}

impl<S, D, V, T> std::fmt::Debug for World<S, D, V, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What all parts of the bridge share.
pub(super) struct Core<S, D, V, T> {
    pub(super) world: World<S, D, V, T>,
    /// Something came in or was released: look at what is unfinished.
    pub(super) inward: Notify,
    /// Something is to be sent: look at what is due.
    pub(super) outward: Notify,
    /// Requests that have to be looked at.
    pub(super) requests: Marks<ApprovalId>,
    /// Projects that have to be looked at.
    pub(super) projects: Marks<ProjectId>,
    /// Held while a thread is changed.
    pub(super) threads: Mutex<()>,
    /// Held while news are kept, or told.
    pub(super) gathering: Mutex<()>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// The bridge. Cheap to clone.
pub struct Bridge<S, D, V, T>(pub(super) Arc<Core<S, D, V, T>>);

impl<S, D, V, T> Clone for Bridge<S, D, V, T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, D, V, T> std::fmt::Debug for Bridge<S, D, V, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bridge").field("settings", &self.0.world.settings).finish_non_exhaustive()
    }
}

impl<S, D, V, T> Bridge<S, D, V, T> {
    /// A bridge; it does nothing before it runs.
    #[must_use]
    pub fn new(world: World<S, D, V, T>) -> Self {
        Self(Arc::new(Core {
            world,
            inward: Notify::new(),
            outward: Notify::new(),
            requests: Marks::new(),
            projects: Marks::new(),
            threads: Mutex::new(()),
            gathering: Mutex::new(()),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }))
    }

    /// Our address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.world.settings.address
    }

    /// Something came in, or was released.
    pub fn ring(&self) {
        self.0.inward.notify_one();
    }

    /// Ends everything and waits for it. What is not finished is kept for the next start.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    pub(super) fn now(&self) -> UnixMs {
        self.0.world.clock.now()
    }
}

impl<S: Service, D: Desk, V: Verifier, T: Transport> Bridge<S, D, V, T> {
    /// Does what comes in, brings people what they are to hear, and goes on until [`stop`](Self::stop).
    pub fn run(&self) {
        self.background(self.clone().keep_inward());
        self.0.tasks.spawn(self.clone().keep_outbox());
        let bridge = self.clone();
        self.background(async move {
            bridge.reconcile().await;
            bridge.background(bridge.clone().keep_requests());
            bridge.background(bridge.clone().keep_projects());
            bridge.background(bridge.clone().keep_news());
            bridge.background(bridge.clone().keep_tidy());
            bridge.follow().await;
        });
    }

    /// Runs something until the bridge stops.
    pub(super) fn background(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = stop.cancelled() => {}
            }
        });
    }
}
