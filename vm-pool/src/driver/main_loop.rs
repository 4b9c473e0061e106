//! The loop.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bus_schemas::{
    id::{AttemptRef, ClaimNonce, HostId, LeaseId},
    stream::BEAT_INTERVAL_MS,
    time::UnixMs,
    v1::{
        host::{Beat, HeldAttempt},
        task::{FailureReason, Note},
    },
};
use futures::StreamExt;
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    intake::{Intake, take_offers},
    notice::Notice,
    runner::{Line, Runner, Stop, line},
};
use crate::{
    adapter::{
        bus::{self, BusError, HostBus},
        claims::{Claims, OpenClaim},
        controls::Control,
        outside::Outside,
        workspace::{Snapshots, Store},
    },
    attempt::Desk,
    lease::{self, Grant, Leases, Order},
    pool::{Command, Event, Fact, Health, Limits, State, VmId, step},
    port::{Accelerator, Hypervisor},
};

/// Notices on their way to the loop. It never waits for those who send them, so a short queue suffices.
const NOTICES: usize = 64;
/// Cancellations of attempts that are not here are remembered for so many attempts: the offer may still come.
const REMEMBERED_CANCELS: usize = 1_024;
/// A stopping host gives its attempts this long to publish that they stopped; the journal has what is left.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// This instant, by the host's clock.
#[must_use]
pub fn now() -> UnixMs {
    UnixMs(jiff::Timestamp::now().as_millisecond())
}

/// What a host is.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Its id, the same after every restart.
    pub host_id: HostId,
    /// Its name for people.
    pub name: String,
    /// Its pool.
    pub pool: String,
    /// Attempts at once.
    pub slots: u32,
    /// What its VMs may use.
    pub limits: Limits,
    /// Where its files are: `claims.jsonl`, `dead-letters.jsonl`, `scratch/`.
    pub state_dir: PathBuf,
}

/// A host cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The bus cannot be used.
    #[error("use the bus")]
    Bus(#[from] BusError),
    /// A file in the state folder cannot be used.
    #[error("use {path}")]
    State {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A host: what the loop owns.
#[derive(Debug)]
pub struct Host<H: Hypervisor> {
    options: HostOptions,
    hypervisor: Arc<H>,
    desk: Desk,
    claims: Claims,
    state: State,
    notices: mpsc::Sender<Notice<H::Vm>>,
    inbox: mpsc::Receiver<Notice<H::Vm>>,
    keepers: JoinSet<()>,
    runners: JoinSet<()>,
    helpers: JoinSet<()>,
    orders: BTreeMap<VmId, oneshot::Sender<Order<H::Vm>>>,
    asked: BTreeMap<LeaseId, oneshot::Sender<Grant<H::Vm>>>,
    lines: BTreeMap<AttemptRef, Line>,
    held: BTreeMap<AttemptRef, ClaimNonce>,
    canceled: BTreeSet<AttemptRef>,
    canceled_order: VecDeque<AttemptRef>,
    malformed: u64,
    taking: watch::Sender<bool>,
    started: Instant,
    wake_at: Option<Instant>,
    stopping: bool,
    problem_seen: bool,
}

impl<H: Hypervisor> Host<H> {
    /// Opens the journal and starts the helpers; takes no offer before [`Self::run`].
    ///
    /// # Errors
    /// [`DriverError`].
    pub async fn start(
        options: HostOptions,
        hypervisor: Arc<H>,
        bus: HostBus,
        store: Store,
        snapshots: Snapshots,
        outside: Arc<dyn Outside>,
    ) -> Result<Self, DriverError> {
        let path = options.state_dir.join("claims.jsonl");
        let (claims, left) = Claims::open(&path).map_err(|source| DriverError::State { path: path.clone(), source })?;
        let scratch = options.state_dir.join("scratch");
        // What an earlier process was working with is of no use to anybody.
        let _ = std::fs::remove_dir_all(&scratch);
        std::fs::create_dir_all(&scratch).map_err(|source| DriverError::State { path: scratch.clone(), source })?;
        let (notices, inbox) = mpsc::channel(NOTICES);
        let isolation = hypervisor.accelerator().isolation;
        let desk = Desk { bus, store, snapshots, outside, scratch, isolation };
        let state = State::new(options.limits.clone());
        let mut host = Self {
            options,
            hypervisor,
            desk,
            claims,
            state,
            notices,
            inbox,
            keepers: JoinSet::new(),
            runners: JoinSet::new(),
            helpers: JoinSet::new(),
            orders: BTreeMap::new(),
            asked: BTreeMap::new(),
            lines: BTreeMap::new(),
            held: BTreeMap::new(),
            canceled: BTreeSet::new(),
            canceled_order: VecDeque::new(),
            malformed: 0,
            taking: watch::Sender::new(true),
            started: Instant::now(),
            wake_at: None,
            stopping: false,
            problem_seen: false,
        };
        host.start_helpers(left).await?;
        Ok(host)
    }

    async fn start_helpers(&mut self, left: Vec<OpenClaim>) -> Result<(), DriverError> {
        match self.hypervisor.sweep().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed what an earlier process left behind"),
            Err(error) => tracing::warn!(%error, "sweep"),
        }
        for claim in left {
            self.helpers.spawn(self.runner().recover(claim));
        }
        let bus = self.desk.bus.clone();
        // Before the first offer is taken: it may have been withdrawn while no host was here.
        match Box::pin(bus.past_cancellations()).await {
            Ok(past) => past.into_iter().for_each(|(attempt, reason)| self.cancel(attempt, reason)),
            Err(error) => tracing::warn!(%error, "read earlier cancellations"),
        }
        let notices = self.notices.clone();
        let controls = bus.controls();
        self.helpers.spawn(async move {
            let mut controls = std::pin::pin!(controls);
            while let Some(control) = controls.next().await {
                let notice = match control {
                    Control::Cancel { attempt, reason } => Notice::Canceled { attempt, reason },
                    Control::Tell { attempt, note } => Notice::Told { attempt, note },
                };
                if notices.send(notice).await.is_err() {
                    return;
                }
            }
        });
        let mut requests = bus.report_requests().await?;
        let notices = self.notices.clone();
        self.helpers.spawn(async move {
            while requests.next().await.is_some() && notices.send(Notice::ReportAsked).await.is_ok() {}
        });
        let slots = Arc::new(Semaphore::new(self.options.slots as usize));
        let dead_letters = self.options.state_dir.join("dead-letters.jsonl");
        self.helpers.spawn(take_offers(bus, slots, self.taking.subscribe(), dead_letters, self.notices.clone()));
        Ok(())
    }

    /// Runs until `stop` is over, then lets go of everything.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut beats = tokio::time::interval(Duration::from_millis(BEAT_INTERVAL_MS));
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.tell(Fact::Tick);
        loop {
            let wake = async {
                match self.wake_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut stop => break,
                Some(notice) = self.inbox.recv() => {
                    if self.hear(notice) {
                        self.beat().await;
                    }
                }
                _ = beats.tick() => self.beat().await,
                () = wake => {
                    self.wake_at = None;
                    self.tell(Fact::Tick);
                }
            }
            while self.keepers.try_join_next().is_some() || self.runners.try_join_next().is_some() {}
        }
        self.shut_down().await;
    }

    /// Takes one notice in; says whether the host looks different to others now.
    fn hear(&mut self, notice: Notice<H::Vm>) -> bool {
        match notice {
            Notice::LeaseAsked { lease, shape, reply } => {
                self.asked.insert(lease, reply);
                self.tell(Fact::LeaseAsked { lease, shape });
            }
            Notice::LeaseStarted { lease } => self.tell(Fact::LeaseStarted { lease }),
            Notice::LeaseReleased { lease } => {
                self.asked.remove(&lease);
                self.tell(Fact::LeaseReleased { lease });
            }
            Notice::Booted { vm, heard } => {
                self.tell(Fact::Booted { vm });
                drop(heard);
            }
            Notice::BootFailed { vm, detail, exhausted } => {
                self.orders.remove(&vm);
                self.tell(Fact::BootFailed { vm, detail, exhausted });
            }
            Notice::Died { vm } => self.tell(Fact::Died { vm }),
            Notice::Offered(intake) => self.offered(intake),
            Notice::Malformed => {
                self.malformed += 1;
                return true;
            }
            Notice::Held { attempt, nonce } => {
                self.held.insert(attempt, nonce);
                return true;
            }
            Notice::Over { attempt } => {
                self.lines.remove(&attempt);
                return self.held.remove(&attempt).is_some();
            }
            Notice::Canceled { attempt, reason } => self.cancel(attempt, reason),
            Notice::Told { attempt, note } => self.told(attempt, note),
            Notice::ReportAsked => return true,
        }
        let broken = self.state.health().is_broken();
        std::mem::replace(&mut self.problem_seen, broken) != broken
    }

    fn offered(&mut self, intake: Box<Intake>) {
        let attempt = intake.offer.attempt;
        if self.canceled.contains(&attempt) || self.held.contains_key(&attempt) {
            // Withdrawn, or a repetition of what is being worked on: the claim is what counts.
            self.runners.spawn(intake.taken.ack());
            return;
        }
        if self.stopping {
            // Nobody is left to work, and nothing more is taken here: another host may have it at once.
            self.runners.spawn(intake.taken.give_back());
            return;
        }
        if self.lines.contains_key(&attempt) {
            // It is being claimed: if that is lost, or the host dies of it, somebody needs the offer.
            self.runners.spawn(intake.taken.give_back_later());
            return;
        }
        let (line, ends) = line();
        self.lines.insert(attempt, line);
        self.runners.spawn(self.runner().run(intake, ends));
    }

    fn cancel(&mut self, attempt: AttemptRef, reason: String) {
        if self.canceled.insert(attempt) {
            self.canceled_order.push_back(attempt);
            if self.canceled_order.len() > REMEMBERED_CANCELS
                && let Some(oldest) = self.canceled_order.pop_front()
            {
                self.canceled.remove(&oldest);
            }
        }
        if let Some(line) = self.lines.remove(&attempt) {
            tracing::info!(%attempt, %reason, "attempt canceled");
            let _ = line.stop.send(Stop { reason: FailureReason::Canceled, detail: reason });
        }
    }

    /// Notes for attempts that are not here are for others, or for nobody any more: a task keeps its notes.
    fn told(&self, attempt: AttemptRef, note: Note) {
        if let Some(line) = self.lines.get(&attempt)
            && line.tells.try_send(note).is_err()
        {
            tracing::warn!(%attempt, "a note could not be passed on");
        }
    }

    fn runner(&self) -> Runner<H::Vm> {
        Runner {
            host_id: self.options.host_id,
            desk: self.desk.clone(),
            claims: self.claims.clone(),
            leases: Leases::new(self.notices.clone()),
            notices: self.notices.clone(),
        }
    }

    /// Steps the core and carries its commands out.
    fn tell(&mut self, fact: Fact) {
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match step(&self.state, &Event { at_ms, fact }) {
            Err(rejected) => tracing::debug!(%rejected, "stale fact"),
            Ok((state, commands)) => {
                self.state = state;
                for command in commands {
                    self.perform(command);
                }
            }
        }
        let open = !self.stopping && !self.state.health().is_broken();
        self.taking.send_if_modified(|taking| std::mem::replace(taking, open) != open);
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Boot { vm, shape } => {
                let (order, ordered) = oneshot::channel();
                self.orders.insert(vm, order);
                let hypervisor = Arc::clone(&self.hypervisor);
                self.keepers.spawn(lease::keep(hypervisor, vm, shape, ordered, self.notices.clone()));
            }
            Command::Grant { lease, vm } => {
                if let (Some(order), Some(reply)) = (self.orders.remove(&vm), self.asked.remove(&lease)) {
                    // If the keeper is gone, the reply goes with the order and whoever asked sees it closed.
                    let _ = order.send(reply);
                }
            }
            Command::Refuse { lease, refusal } => {
                if let Some(reply) = self.asked.remove(&lease) {
                    let _ = reply.send(Err(refusal));
                }
            }
            Command::Kill { vm } => drop(self.orders.remove(&vm)),
            Command::WakeAt { at_ms } => self.wake_at = Some(self.started + Duration::from_millis(at_ms)),
        }
    }

    async fn beat(&self) {
        let beat = self.describe();
        self.desk.bus.beat(beat, bus::fresh_id(), now()).await;
    }

    fn describe(&self) -> Beat {
        let Accelerator { name, note, isolation } = self.hypervisor.accelerator();
        let mut problems = Vec::new();
        if let Health::Failing { detail, failures, .. } = self.state.health() {
            problems.push(format!("{failures} VMs in a row did not boot: {detail}"));
        }
        if self.malformed > 0 {
            let path = self.options.state_dir.join("dead-letters.jsonl");
            problems.push(format!("{} malformed offers are kept in {}", self.malformed, path.display()));
        }
        problems.extend(self.desk.outside.problems());
        let works = !self.stopping && !self.state.health().is_broken();
        Beat {
            host_id: self.options.host_id,
            name: self.options.name.clone(),
            pool: self.options.pool.clone(),
            slots: if works { self.options.slots } else { 0 },
            attempts: self.held.iter().map(|(&attempt, &nonce)| HeldAttempt { attempt, nonce }).collect(),
            spares: u32::try_from(self.state.spares()).unwrap_or(u32::MAX),
            accelerator: (*name).to_owned(),
            accelerator_note: note.clone(),
            isolation: *isolation,
            problems,
        }
    }

    /// Stops taking, stops what runs, kills every VM, and says so.
    async fn shut_down(mut self) {
        self.stopping = true;
        self.tell(Fact::Drained);
        self.beat().await;
        for (_, line) in std::mem::take(&mut self.lines) {
            let _ = line.stop.send(Stop { reason: FailureReason::HostStopped, detail: "the host was stopped".into() });
        }
        let deadline = Instant::now() + STOP_WAIT;
        loop {
            tokio::select! {
                Some(notice) = self.inbox.recv() => drop(self.hear(notice)),
                Some(_) = self.runners.join_next() => {}
                Some(_) = self.keepers.join_next() => {}
                () = tokio::time::sleep_until(deadline) => {
                    tracing::warn!("not everything ended in time; the claims journal has what is left");
                    break;
                }
            }
            if self.runners.is_empty() && self.keepers.is_empty() {
                break;
            }
        }
        self.runners.shutdown().await;
        self.keepers.shutdown().await;
        self.helpers.shutdown().await;
        self.held.clear();
        self.beat().await;
        self.desk.bus.flush().await;
    }
}
