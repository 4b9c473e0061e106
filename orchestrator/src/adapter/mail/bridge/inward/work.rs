//! What is kept, taken one by one: one sender's mails in their order, several senders' side by side, again after trouble.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bus_schemas::{id::ProjectId, v1::api::Problem};
use bytes::Bytes;
use futures::FutureExt as _;
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    super::core::Settings,
    Outlet, answers,
    check::{Gate, Patience, Proof},
    open::Open,
};
use crate::{
    adapter::{
        lanes::Lanes,
        mail::{Authentic, Desk, InMail, InState, LetterFilter, Verdict, Verifier},
    },
    mail::{address, allow::Allow, letter},
    people::People,
    port::{Clock, Service, journal::JournalError},
};

/// The first wait before something is tried again in its lane, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often something is tried that others than the orchestrator stand in the way of.
const TRIES: u32 = 6;
/// How long a mail waits whose sender cannot be checked now: at first, and at most.
const UNSURE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(300));
/// How long it is tried to check it: after that it is put aside. Only pauses between tries count: while nothing ran, nothing was
/// tried.
const UNSURE_IN_ALL: Duration = Duration::from_secs(3600);
/// Mails that are read from the list at once.
const BATCH: u32 = 500;
/// How long to wait when the store cannot say what is kept.
const UNREAD: Duration = Duration::from_secs(2);
/// How much mail is looked at at the same time, in MiB: a mail that is taken apart is in memory several times.
const ROOM_MIB: u32 = 128;
/// The same of mails whose senders may not write, or did not: what becomes of those is soon known.
const STRANGERS_MIB: u32 = 64;
/// The most of a mail in which its sender is looked for, in bytes, to put it into their lane.
const HEADERS: usize = 64 << 10;

/// What was done, for the mail's record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// What, for people.
    pub(super) outcome: String,
    /// About which project.
    pub(super) project_id: Option<ProjectId>,
}

impl Done {
    pub(super) fn new(outcome: impl Into<String>, project_id: Option<ProjectId>) -> Self {
        Self { outcome: outcome.into(), project_id }
    }
}

/// It cannot be done now; nothing is wrong with it.
#[derive(Debug)]
pub(super) enum Later {
    /// The orchestrator cannot do it.
    Problem(Problem),
    /// The store does not answer.
    Store(JournalError),
    /// Whether its sender is genuine cannot be known now.
    Unsure(String),
    /// Whether its sender is genuine was not looked at: its beginning did not say that they may write.
    Unproven,
}

impl From<JournalError> for Later {
    fn from(error: JournalError) -> Self {
        Self::Store(error)
    }
}

/// What came of it.
pub(super) type Outcome = Result<Done, Later>;

/// A mail, and what is known of its way so far.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) mail: InMail,
    /// It was begun before: some of it may be done.
    pub(super) again: bool,
    /// Whose mails it waits for.
    pub(super) lane: String,
    pub(super) proof: Option<Proof>,
}

impl Job {
    /// Its sender is proven.
    pub(super) fn is_genuine(&self) -> bool {
        self.proof.as_ref().is_some_and(|proof| matches!(proof.authentic, Authentic::Yes(_)))
    }
}

pub(super) struct Inner<S, D, V, O> {
    pub(super) service: S,
    pub(super) desk: D,
    pub(super) verifier: V,
    pub(super) outlet: O,
    pub(super) people: Arc<People>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
    pub(super) allow: Allow,
    /// Those who may write, each in their own lane.
    lanes: Lanes<Job>,
    /// All others.
    strangers: Lanes<Job>,
    pub(super) gate: Gate,
    open: Mutex<Open>,
    room: Semaphore,
    strangers_room: Semaphore,
    /// A lane has put something back: look again.
    put_back: Notify,
    stop: CancellationToken,
}

/// The inward half of the bridge. Cheap to clone.
pub(in super::super) struct Inward<S, D, V, O>(pub(super) Arc<Inner<S, D, V, O>>);

impl<S, D, V, O> Clone for Inward<S, D, V, O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What the inward half stands between.
pub(in super::super) struct Around<S, D, V, O> {
    pub(in super::super) service: S,
    pub(in super::super) desk: D,
    pub(in super::super) verifier: V,
    pub(in super::super) outlet: O,
    pub(in super::super) people: Arc<People>,
    pub(in super::super) clock: Arc<dyn Clock>,
    pub(in super::super) settings: Settings,
}

impl<S: Service, D: Desk, V: Verifier, O: Outlet> Inward<S, D, V, O> {
    pub(in super::super) fn new(around: Around<S, D, V, O>, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self::patient(around, Patience::default(), tasks, stop)
    }

    /// One that waits so long for what is being checked.
    pub(super) fn patient(
        around: Around<S, D, V, O>,
        patience: Patience,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let Around { service, desk, verifier, outlet, people, clock, settings } = around;
        let allow = {
            let addresses = |name| people.emails_of(name).iter().map(move |address| (address.as_str(), name));
            Allow::new(&settings.allow, people.names().flat_map(addresses))
        };
        Self(Arc::new(Inner {
            service,
            desk,
            verifier,
            outlet,
            people,
            clock,
            settings,
            allow,
            lanes: Lanes::new(tasks.clone(), stop.clone()),
            strangers: Lanes::new(tasks.clone(), stop.clone()),
            gate: Gate::new(patience, &tasks, &stop),
            open: Mutex::default(),
            room: Semaphore::new(ROOM_MIB as usize),
            strangers_room: Semaphore::new(STRANGERS_MIB as usize),
            put_back: Notify::new(),
            stop,
        }))
    }

    /// Does what is kept, and what comes with every ring of the bell, for ever.
    pub(in super::super) async fn keep<F>(&self, rung: impl Fn() -> F + Send + Sync)
    where
        F: Future<Output = ()> + Send,
    {
        // What was kept before this began may have been begun by an earlier run.
        let mut again = true;
        loop {
            let wake = match self.line_up(again).await {
                Ok(next) => {
                    again = false;
                    next
                }
                Err(error) => {
                    tracing::warn!(%error, "mail: what came in cannot be read; tried again");
                    Some(Instant::now() + UNREAD)
                }
            };
            let waited = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = rung() => {}
                () = self.0.put_back.notified() => {}
                () = waited => {}
            }
        }
    }

    /// Puts what is not finished and not worked on into the lanes; when the next one that waits is due.
    pub(super) async fn line_up(&self, again: bool) -> Result<Option<Instant>, JournalError> {
        let desk = &self.0.desk;
        let now = Instant::now();
        for mail in self.waited(now).await? {
            self.line_one_up(mail, now, true).await;
        }
        // One that an admin lets pass came before.
        let released = LetterFilter { state: Some(InState::Released), limit: 0 };
        for mail in desk.letters(released).await?.into_iter().rev() {
            self.line_one_up(mail, now, again).await;
        }
        loop {
            let behind = self.open().place();
            let mails = desk.unfinished(behind, BATCH).await?;
            let is_all = mails.len() < BATCH as usize;
            for mail in mails {
                let place = mail.place;
                self.line_one_up(mail, now, again).await;
                self.open().read_to(place);
            }
            if is_all {
                break;
            }
        }
        Ok(self.open().next())
    }

    /// Those that waited long enough, in the order in which they came.
    async fn waited(&self, now: Instant) -> Result<Vec<InMail>, JournalError> {
        let due = self.open().due(now);
        let mut mails = Vec::with_capacity(due.len());
        for id in due {
            match self.0.desk.letter(&id).await? {
                Some(mail) => mails.push(mail),
                None => self.open().end(&id),
            }
        }
        mails.sort_by_key(|mail| mail.place);
        Ok(mails)
    }

    async fn line_one_up(&self, mail: InMail, now: Instant, again: bool) {
        if !self.open().begin(&mail.id, now) {
            return;
        }
        // Trouble with its text is met again by who works on it.
        let head = self.0.desk.head(&mail.id, HEADERS).await.ok().flatten().unwrap_or_default();
        // Who cannot be read so simply waits for nobody.
        let lane = sender_of(&head).unwrap_or_else(|| mail.id.clone());
        let job = Job { mail, again, lane, proof: None };
        if self.is_candidate(&job.mail, &head) {
            self.check_in_turn(job, &head);
        } else {
            self.act_in_turn(job);
        }
    }

    /// Puts a mail behind the others of its sender: who may write, and who is let pass, does not wait for strangers.
    pub(super) fn act_in_turn(&self, job: Job) {
        let is_expected = job.proof.is_some() || job.mail.verdict.state == InState::Released;
        let lanes = if is_expected { &self.0.lanes } else { &self.0.strangers };
        let inward = self.clone();
        lanes.push(job.lane.clone(), job, move |job| {
            let inward = inward.clone();
            async move {
                let id = job.mail.id.clone();
                inward.guarded(&id, inward.work_out(job)).await;
            }
        });
    }

    /// Does something about a mail; if that stumbles, the mail is put aside, and nothing else is hurt.
    pub(super) async fn guarded<R>(&self, id: &str, work: impl Future<Output = R>) -> Option<R> {
        let looked = AssertUnwindSafe(work).catch_unwind().await;
        if looked.is_err() {
            tracing::error!(mail.id = %id, "mail: this one brought the program to a stumble; it is put aside");
            let why = "it could not be handled because of an error in Baton: look at it with `baton mail show`, and report it";
            self.finish(id, Verdict { state: InState::Quarantined, outcome: why.to_owned(), ..Verdict::default() })
                .await;
        }
        looked.ok()
    }

    /// It cannot be checked now: it waits outside of all lanes.
    pub(super) async fn put_back(&self, mail: &InMail, later: &Later) {
        let id = &mail.id;
        let wait = unsure_pause(mail.tries);
        match later {
            Later::Unsure(why) => {
                tracing::info!(mail.id = %id, why, wait_s = wait.as_secs(), "mail: its sender cannot be checked now");
                // If that cannot be written down, it is tried once more.
                let why = format!("it waits: who wrote it cannot be checked now ({why})");
                if let Err(error) = self.0.desk.set_tries(id, mail.tries.saturating_add(1), &why).await {
                    tracing::warn!(mail.id = %id, %error, "mail: it is not written down how often its sender was checked");
                }
            }
            // Nobody was asked.
            later => tracing::warn!(mail.id = %id, ?later, wait_s = wait.as_secs(), "mail: kept for later"),
        }
        self.open().wait(id, Instant::now() + wait);
        self.0.put_back.notify_one();
    }

    async fn work_out(&self, mut job: Job) {
        let (mut wait, mut failed) = (BACKOFF.0, 0);
        loop {
            let mail = &job.mail;
            let later = match self.look_again(&job).await {
                Ok(Some(verdict)) => return self.finish(&mail.id, verdict).await,
                Ok(None) => {
                    self.open().end(&mail.id);
                    return;
                }
                Err(later) => later,
            };
            failed += 1;
            match later {
                // Nobody who may write was found at its beginning, and yet it is from one.
                Later::Unproven => return self.check_in_turn(job, &[]),
                // Others need not wait for a name server that this one waits for.
                Later::Unsure(_) => return self.put_back(&job.mail, &later).await,
                Later::Problem(problem) if failed >= TRIES && !answers::is_ours(&problem) => {
                    tracing::warn!(mail.id = %mail.id, problem = %problem.detail, "mail: given up");
                    let verdict = self.give_up(mail, &problem, job.proof.as_ref()).await;
                    return self.finish(&mail.id, verdict).await;
                }
                Later::Problem(problem) => {
                    tracing::warn!(mail.id = %mail.id, problem = %problem.detail, wait_s = wait.as_secs(), "mail: kept for later");
                }
                Later::Store(error) => {
                    tracing::warn!(mail.id = %mail.id, %error, wait_s = wait.as_secs(), "mail: kept for later");
                }
            }
            job.again = true;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // Kept: the next start does it.
                () = self.0.stop.cancelled() => return,
            }
            wait = (wait * 2).min(BACKOFF.1);
        }
    }

    /// Looks at a mail if it still waits: it may have been finished while it was being lined up.
    async fn look_again(&self, job: &Job) -> Result<Option<Verdict>, Later> {
        let Some(mail) = self.0.desk.letter(&job.mail.id).await? else { return Ok(None) };
        match mail.verdict.state {
            InState::Kept | InState::Released => {
                let (room, most) = if job.is_genuine() || mail.verdict.state == InState::Released {
                    (&self.0.room, ROOM_MIB)
                } else {
                    (&self.0.strangers_room, STRANGERS_MIB)
                };
                let mib = u32::try_from(mail.size >> 20).unwrap_or(most).saturating_add(1).min(most);
                let _room = room.acquire_many(mib).await;
                self.look(&mail, job.again, job.proof.as_ref()).await.map(Some)
            }
            InState::Quarantined | InState::Done | InState::Dropped => Ok(None),
        }
    }

    /// It needs nothing more. If that cannot be written down, it is looked at again, which changes nothing.
    async fn finish(&self, id: &str, verdict: Verdict) {
        match verdict.state {
            InState::Quarantined => {
                tracing::warn!(mail.id = %id, from = %verdict.from, why = %verdict.outcome, "mail: put aside; `baton mail quarantine` lists it");
            }
            _ => tracing::info!(mail.id = %id, from = %verdict.from, outcome = %verdict.outcome, "mail: done"),
        }
        match self.0.desk.finish(id, verdict, self.0.clock.now()).await {
            Ok(()) => self.open().end(id),
            Err(error) => {
                tracing::warn!(mail.id = %id, %error, "mail: done, but not written down; looked at again");
                self.open().wait(id, Instant::now() + BACKOFF.1);
                self.0.put_back.notify_one();
            }
        }
    }

    /// Waits until nothing is in work.
    #[cfg(test)]
    pub(super) async fn idle(&self) {
        let inner = &*self.0;
        for _ in 0..2 {
            inner.strangers.idle().await;
            inner.gate.idle().await;
            inner.lanes.idle().await;
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a mail waits that could not be checked so often before.
fn unsure_pause(tries: u32) -> Duration {
    (UNSURE.0 * 2_u32.saturating_pow(tries.min(8))).min(UNSURE.1)
}

/// Whether the pauses there were before so many tries make up the time it is tried.
pub(super) fn is_tried_enough(tries: u32) -> bool {
    (0..tries).map(unsure_pause).sum::<Duration>() >= UNSURE_IN_ALL
}

/// Who a mail's first From line names, true or not.
pub(super) fn sender_of(head: &[u8]) -> Option<String> {
    // Long lines go on in the next one, behind a blank.
    let head = String::from_utf8_lossy(head).replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ");
    let from = head.lines().take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("from").then(|| address::parse(value)).flatten()
    });
    from.map(|from| from.address)
}

/// Takes a mail apart where that may take its time.
pub(super) async fn apart(raw: Bytes) -> Result<Arc<letter::Letter>, JournalError> {
    aside(move || Arc::new(letter::read(&raw))).await
}

/// Does what may take its time beside everything else. A stumble in it is one of the mail it is for.
pub(super) async fn aside<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, JournalError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(stumble) => std::panic::resume_unwind(stumble),
            Err(error) => Err(JournalError::Store { operation: "look at a mail", detail: error.to_string() }),
        },
    }
}
