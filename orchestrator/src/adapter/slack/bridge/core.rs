//! The bridge itself: what it is made of, how it starts and stops.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
    time::Duration,
};

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
};
use tokio::{
    sync::{Mutex as AsyncMutex, OnceCell},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{crew::Crew, desk::Desk, work::Job};
use crate::{
    adapter::{
        lanes::Lanes,
        marks::Marks,
        slack::{SlackError, SlackWeb, view::modal::Choice, web::Auth},
    },
    people::People,
    port::{Clock, Service},
};

/// How long what was left over from the last run may take before requests are put up: the projects it starts get their
/// threads first.
const LEFT_OVER: Duration = Duration::from_secs(10);

/// How the bridge behaves.
#[derive(Clone)]
pub struct Settings {
    /// Where cards go whose project has no thread.
    pub channel: Option<String>,
    /// The most of a diff that is put into Slack, in bytes.
    pub max_snippet_bytes: usize,
    /// The least time between two changes of one status message.
    pub status_every: Duration,
    /// Everybody in the workspace may start projects, and decide where a policy names nobody.
    pub allow_everyone: bool,
    /// Where people may start projects by writing a path.
    pub folders: Vec<PathBuf>,
    /// Equal requests of low risk are put into one card.
    pub batch: bool,
    /// The policies of `baton.toml` a person can choose from.
    pub policies: Vec<Choice>,
    /// What must never be seen in Slack, by heart: tokens, keys, canaries.
    pub secrets: Vec<String>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            channel: None,
            max_snippet_bytes: 20_000,
            status_every: Duration::from_secs(3),
            allow_everyone: false,
            folders: Vec::new(),
            batch: true,
            policies: Vec::new(),
            secrets: Vec::new(),
        }
    }
}

/// What the bridge stands between.
pub struct World<S, W, D> {
    /// The orchestrator.
    pub service: S,
    /// Slack.
    pub web: W,
    /// What is remembered.
    pub desk: D,
    /// Who is who.
    pub people: Arc<People>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// How it behaves.
    pub settings: Settings,
}

impl<S, W, D> std::fmt::Debug for World<S, W, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Equal requests that came within a moment.
#[derive(Debug)]
pub(super) struct Gathering {
    /// No more are waited for.
    pub(super) until: Instant,
    /// They.
    pub(super) ids: Vec<ApprovalId>,
}

/// What all parts of the bridge share.
pub(super) struct Core<S, W, D> {
    pub(super) service: S,
    pub(super) web: W,
    pub(super) desk: D,
    pub(super) crew: Crew,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
    pub(super) lanes: Lanes<Job>,
    /// Requests whose cards have to be looked at.
    pub(super) cards: Marks<ApprovalId>,
    /// Projects whose status message has to be looked at.
    pub(super) projects: Marks<ProjectId>,
    /// People who look at their Home tab.
    pub(super) viewers: Mutex<HashMap<String, Instant>>,
    pub(super) homes: Marks<()>,
    /// Cards of several requests: which request is in which.
    pub(super) batched: Mutex<HashMap<ApprovalId, String>>,
    /// Equal requests that wait for more of their kind, by what makes them equal.
    pub(super) gathering: Mutex<HashMap<String, Gathering>>,
    /// Requests that are not put into a card with others any more.
    pub(super) alone: Mutex<HashSet<ApprovalId>>,
    /// Projects that are being started and have no thread yet.
    pub(super) starting: AtomicUsize,
    /// What this run kept before it looked for what an earlier one left over: it is worked on already.
    pub(super) kept_early: AsyncMutex<Option<HashSet<String>>>,
    /// Whose token it is.
    pub(super) own: OnceCell<Auth>,
    /// People who are no members: whether they are of the app's workspace, and when Slack said so.
    pub(super) colleagues: Mutex<HashMap<String, (bool, Instant)>>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// The bridge. Cheap to clone.
pub struct Bridge<S, W, D>(pub(super) Arc<Core<S, W, D>>);

impl<S, W, D> Clone for Bridge<S, W, D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, W, D> std::fmt::Debug for Bridge<S, W, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bridge").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// A bridge that takes what comes in; [`run`](Self::run) makes it speak, too.
    #[must_use]
    pub fn new(world: World<S, W, D>) -> Self {
        let World { service, web, desk, people, clock, settings } = world;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        Self(Arc::new(Core {
            service,
            web,
            desk,
            crew: Crew::new(people, settings.allow_everyone),
            clock,
            settings,
            lanes: Lanes::new(tasks.clone(), stop.clone()),
            cards: Marks::new(),
            projects: Marks::new(),
            viewers: Mutex::default(),
            homes: Marks::new(),
            batched: Mutex::default(),
            gathering: Mutex::default(),
            alone: Mutex::default(),
            starting: AtomicUsize::new(0),
            kept_early: AsyncMutex::new(Some(HashSet::new())),
            own: OnceCell::new(),
            colleagues: Mutex::default(),
            tasks,
            stop,
        }))
    }

    /// Finishes what was left over, brings Slack to what is, and goes on until [`stop`](Self::stop).
    pub fn run(&self) {
        let bridge = self.clone();
        self.background(async move {
            let left = bridge.resume().await;
            let waited = tokio::time::timeout(LEFT_OVER, left).await;
            if waited.is_err() {
                tracing::info!(
                    "Slack: clicks from before the start are not all done yet; they go on beside everything else"
                );
            }
            bridge.reconcile().await;
            bridge.background(bridge.clone().keep_cards());
            bridge.background(bridge.clone().keep_status());
            bridge.background(bridge.clone().keep_homes());
            bridge.background(bridge.clone().keep_tidy());
            bridge.follow().await;
        });
    }

    /// Ends everything and waits for it. What is not finished is kept for the next start.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
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

    pub(super) fn lock_batched(&self) -> MutexGuard<'_, HashMap<ApprovalId, String>> {
        self.0.batched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_viewers(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_alone(&self) -> MutexGuard<'_, HashSet<ApprovalId>> {
        self.0.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_gathering(&self) -> MutexGuard<'_, HashMap<String, Gathering>> {
        self.0.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_colleagues(&self) -> MutexGuard<'_, HashMap<String, (bool, Instant)>> {
        self.0.colleagues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> UnixMs {
        self.0.clock.now()
    }

    /// The app's own user, once Slack said it.
    pub(super) async fn own_user(&self) -> Option<String> {
        self.own().await.ok().map(|own| own.bot_user_id.clone())
    }

    /// Whose token it is, once Slack said it.
    pub(super) async fn own(&self) -> Result<&Auth, SlackError> {
        self.0.own.get_or_try_init(|| self.0.web.auth()).await
    }
}
