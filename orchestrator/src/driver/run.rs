//! The one loop: input | delivery | timer | shutdown → events → step → one transaction → answers and commands.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use bus_schemas::{id::ProjectId, stream::EVENTS, v1::api::RebuildReport};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use super::{
    bell::Bells,
    desk::{self, Desk},
    hosts::{Held, Hosts},
    input::{Answer, Input},
    outbox::Order,
    room::{Refold, Room, parse_detail},
    turn::{Heads, State, Turn},
    work,
};
use crate::{
    effects::Effects,
    plan::event::Fact,
    policy::Rules,
    port::{
        Clock, Ids,
        bus::{Inbound, IntakeStart},
        journal::{Batch, Cursor, Journal, JournalError, OutboxKey, OutboxRow},
    },
};

/// Inputs that may wait for the driver: people, and answers of the outbox runner.
pub(super) const INPUTS: usize = 1024;
/// What the bus says and the driver has not heard yet: bounds memory while the journal is slow.
pub(super) const INBOUND: usize = 1024;
/// What one transaction takes in at most, so that the first of it does not wait for ever.
const BATCH: usize = 256;
/// How long performed commands may wait for a transaction to ride along with.
const LAZY: Duration = Duration::from_millis(500);
/// How often leases are looked at.
const LEASES: Duration = Duration::from_secs(1);
/// The pause after a transaction that failed.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
/// The shortest sleep: an instant that passed but may not be acted on must not spin.
const NAP: Duration = Duration::from_millis(20);

/// What the driver is made of.
pub(super) struct Parts<J> {
    pub(super) journal: J,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) rules: Arc<Rules>,
    pub(super) effects: Arc<Effects>,
    pub(super) installation: Uuid,
    pub(super) inputs: mpsc::Receiver<Input>,
    pub(super) inbound: mpsc::Receiver<Inbound>,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) intake: watch::Sender<IntakeStart>,
    pub(super) bells: Bells,
}

/// The driver.
pub(super) struct Driver<J> {
    pub(super) parts: Parts<J>,
    pub(super) state: State,
    pub(super) cursor: Cursor,
    /// Performed commands that are not struck off yet.
    pub(super) performed: Vec<OutboxKey>,
    pub(super) performed_since: Option<Instant>,
    /// How far the feed was published; rides along.
    pub(super) feed_published: Option<u64>,
    /// Rooms that must be loaded again before anything else.
    pub(super) broken: BTreeSet<ProjectId>,
    /// Answers of a transaction that failed.
    pub(super) again: Vec<Answer>,
    pub(super) resting_until: Option<Instant>,
    /// Offers may be lost, by a crash or with the streams: those that nobody took go out again once all is heard. Stands
    /// until a turn that did so is durable.
    pub(super) offers_due: bool,
}

/// Anything that wakes the driver.
enum Woken {
    Input(Input),
    Inbound(Inbound),
    Timer,
    Gone,
}

impl<J: Journal> Driver<J> {
    /// Loads what is open and hands the undone commands to the runner.
    pub(super) async fn load(parts: Parts<J>) -> Result<Self, JournalError> {
        let cursor = parts.journal.cursor(EVENTS.name).await?;
        let state = State {
            rooms: HashMap::new(),
            hosts: Hosts::new(),
            last_seq: parts.journal.last_seq().await?,
            ids: Arc::clone(&parts.ids),
            effects: Arc::clone(&parts.effects),
            desk: Desk::new(Arc::clone(&parts.rules), parts.journal.remembered().await?),
            caught_up: false,
            run: 1,
            stale: 0,
        };
        let mut driver = Self {
            parts,
            state,
            cursor,
            performed: Vec::new(),
            performed_since: None,
            feed_published: None,
            broken: BTreeSet::new(),
            again: Vec::new(),
            resting_until: None,
            offers_due: true,
        };
        for project_id in driver.parts.journal.unsettled().await? {
            driver.load_room(project_id).await?;
        }
        let undone = driver.parts.journal.outbox().await?;
        for row in &undone {
            if let Some(room) = driver.state.rooms.get_mut(&row.project_id) {
                room.pending += 1;
            }
        }
        driver.order(&undone, true).await;
        driver.parts.intake.send_replace(IntakeStart { run: 1, cursor: driver.cursor.clone() });
        tracing::info!(projects = driver.state.rooms.len(), undone = undone.len(), "driver loaded");
        Ok(driver)
    }

    /// Runs until told to stop.
    pub(super) async fn run(mut self) {
        loop {
            let woken = self.wait().await;
            let mut inputs = Vec::new();
            let mut inbound = Vec::new();
            let mut stop = false;
            match woken {
                Woken::Input(Input::Shutdown) | Woken::Gone => stop = true,
                Woken::Input(input) => inputs.push(input),
                Woken::Inbound(one) => inbound.push(one),
                Woken::Timer => {}
            }
            while !stop
                && inputs.len() < BATCH
                && let Ok(input) = self.parts.inputs.try_recv()
            {
                match input {
                    Input::Shutdown => stop = true,
                    input => inputs.push(input),
                }
            }
            while inputs.len() + inbound.len() < BATCH
                && let Ok(one) = self.parts.inbound.try_recv()
            {
                inbound.push(one);
            }
            self.turn(inputs, inbound, stop).await;
            if stop {
                return;
            }
        }
    }

    async fn wait(&mut self) -> Woken {
        let sleep = tokio::time::sleep(self.nap());
        // After a failed transaction the stream waits in its channel; people are told at once.
        let rests = self.resting_until.is_some_and(|until| Instant::now() < until);
        tokio::select! {
            input = self.parts.inputs.recv() => input.map_or(Woken::Gone, Woken::Input),
            Some(inbound) = self.parts.inbound.recv(), if !rests => Woken::Inbound(inbound),
            () = sleep => Woken::Timer,
        }
    }

    /// How long nothing is due.
    fn nap(&self) -> Duration {
        let now = Instant::now();
        let at = self.parts.clock.now();
        let due = self.state.next_due(at).map(|due| Duration::from_millis(due.since(at)));
        let leases = self.state.hosts.has_leases().then_some(LEASES);
        let lazy = self.performed_since.map(|since| (since + LAZY).saturating_duration_since(now));
        let rest = self.resting_until.map(|until| until.saturating_duration_since(now));
        let naps = [due, leases, lazy, rest].into_iter().flatten();
        naps.min().unwrap_or(Duration::from_secs(60)).max(NAP)
    }

    async fn turn(&mut self, inputs: Vec<Input>, inbound: Vec<Inbound>, stop: bool) {
        let mut turn = Turn::new(self.parts.clock.now(), Instant::now());
        if let Err(error) = self.prepare(&inputs).await {
            self.refuse(inputs, &error);
            for one in &inbound {
                self.hear_link(one, turn.now).await;
            }
            self.rest(turn.now);
            return;
        }
        self.resting_until = None;
        for answer in std::mem::take(&mut self.again) {
            self.state.answered(&mut turn, answer);
        }
        let (mut rebuilds, mut looks) = (Vec::new(), Vec::new());
        for input in inputs {
            match input {
                Input::Ask { project_id, fact, detail, reply } => {
                    self.state.asked(&mut turn, project_id, *fact, detail.as_deref(), reply);
                }
                Input::Answer(answer) => self.state.answered(&mut turn, answer),
                Input::Look { project_id, reply } => looks.push((project_id, reply)),
                Input::FeedPublished(seq) => self.feed_published = Some(seq),
                Input::Hosts(reply) => drop(reply.send(self.state.hosts.views(turn.now))),
                Input::Rebuild(reply) => rebuilds.push(reply),
                Input::Shutdown => {}
            }
        }
        for one in inbound {
            self.hear(&mut turn, one).await;
        }
        if self.offers_due && self.state.caught_up {
            self.offer_again(&mut turn);
        }
        self.state.timers(&mut turn);
        self.state.dispatch(&mut turn);
        self.finish(turn, stop).await;
        self.look(looks);
        self.rebuild(rebuilds).await;
    }

    /// Loads what the inputs are about.
    async fn prepare(&mut self, inputs: &[Input]) -> Result<(), JournalError> {
        for project_id in std::mem::take(&mut self.broken) {
            if let Err(error) = self.load_room(project_id).await {
                self.broken.insert(project_id);
                return Err(error);
            }
        }
        let wanted = inputs.iter().filter_map(|input| match input {
            Input::Ask { project_id, fact, .. } if !matches!(**fact, Fact::ProjectCreated(_)) => Some(*project_id),
            Input::Answer(answer) if answer.fact.is_some() => Some(answer.project_id),
            Input::Look { project_id, .. } => Some(*project_id),
            _ => None,
        });
        let again = self.again.iter().filter(|answer| answer.fact.is_some()).map(|answer| answer.project_id);
        let missing: BTreeSet<_> = wanted.chain(again).filter(|id| !self.state.rooms.contains_key(id)).collect();
        for project_id in missing {
            self.load_room(project_id).await?;
        }
        Ok(())
    }

    /// Folds a project's journal into a room; a project that does not exist gets none.
    pub(super) async fn load_room(&mut self, project_id: ProjectId) -> Result<(), JournalError> {
        let records = self.parts.journal.records(project_id).await?;
        let malformed = |seq: u64, detail: String| JournalError::Malformed {
            operation: "load a project",
            what: format!("journal record {seq}"),
            detail,
        };
        let mut room: Option<Room> = None;
        for record in &records {
            let detail = parse_detail(record).map_err(|e| malformed(record.seq, e))?;
            match &mut room {
                Some(room) => {
                    room.take(record, detail.as_ref()).map_err(|e| malformed(record.seq, e.to_string()))?;
                }
                None => {
                    let made =
                        Room::create(record, detail.as_ref()).map_err(|e| malformed(record.seq, e.to_string()))?;
                    room = Some(made.0);
                }
            }
        }
        let Some(room) = room else { return Ok(()) };
        let now = Instant::now();
        for task in room.plan.tasks() {
            self.state.hosts.hold(project_id, task.spec.task_id, Held::of(task), now);
        }
        self.state.rooms.insert(project_id, room);
        Ok(())
    }

    /// Commits the turn, then answers; or takes everything back.
    async fn finish(&mut self, mut turn: Turn, stop: bool) {
        let mut batch = std::mem::take(&mut turn.batch);
        let late = self.performed_since.is_some_and(|since| turn.now >= since + LAZY);
        let durable = !batch.records.is_empty() || !batch.cursors.is_empty() || !batch.dead_letters.is_empty();
        self.performed.append(&mut batch.performed);
        if durable || late || (stop && !self.performed.is_empty()) {
            batch.performed = std::mem::take(&mut self.performed);
            batch.cursors.extend(self.feed_published.take().map(|seq| (super::FEED_CURSOR, feed_cursor(seq))));
            if let Err(error) = self.commit(&mut turn, batch).await {
                self.take_back(turn, &error).await;
                return;
            }
            self.performed_since = None;
        } else if !self.performed.is_empty() {
            self.performed_since.get_or_insert(turn.now);
        }
        // What changed nothing needs no transaction, and is answered all the same.
        for (reply, said) in turn.replies.drain(..) {
            drop(reply.send(said));
        }
        self.release(&turn);
        self.offers_due &= !turn.offered_again;
        for work in turn.aside {
            drop(self.parts.orders.send(Order::Perform(Box::new(work))).await);
        }
    }

    /// Makes the batch durable, then lets its effects go.
    async fn commit(&mut self, turn: &mut Turn, batch: Batch) -> Result<(), JournalError> {
        let kept = Heads::of(&batch);
        let outbox = batch.outbox.clone();
        let cursors = batch.cursors.clone();
        let performed = batch.performed.clone();
        let decided = desk::lasting(&batch.changes);
        if let Err(error) = self.parts.journal.commit(batch).await {
            self.performed = performed;
            return Err(error);
        }
        self.state.last_seq = kept.last_seq.unwrap_or(self.state.last_seq);
        self.state.desk.learn(&decided, turn.at);
        if let Some((_, cursor)) = cursors.into_iter().find(|(stream, _)| *stream == EVENTS.name) {
            self.cursor = cursor;
        }
        for (project_id, task_id) in kept.moved {
            let task = self.state.rooms.get(&project_id).and_then(|room| room.plan.task(task_id));
            self.state.hosts.hold(project_id, task_id, task.and_then(Held::of), turn.now);
        }
        for (reply, said) in turn.replies.drain(..) {
            // Whoever asked may have gone; it happened all the same.
            drop(reply.send(said));
        }
        for row in &outbox {
            if let Some(room) = self.state.rooms.get_mut(&row.project_id) {
                room.pending += 1;
            }
        }
        self.order(&outbox, false).await;
        self.parts.bells.ring(turn.touched.iter().copied());
        Ok(())
    }

    /// Hands rows to the runner: each once; those that were `left` by an earlier process may have been performed.
    async fn order(&self, rows: &[OutboxRow], left: bool) {
        for row in rows {
            let Some(room) = self.state.rooms.get(&row.project_id) else { continue };
            let work = work::of_row(room, self.parts.installation, row, left);
            drop(self.parts.orders.send(Order::Perform(Box::new(work))).await);
        }
    }

    /// Counts performed commands and closes rooms in which nothing more happens by itself.
    fn release(&mut self, turn: &Turn) {
        let mut candidates = turn.touched.clone();
        for answer in turn.answers.iter().filter(|answer| answer.key.is_some()) {
            if let Some(room) = self.state.rooms.get_mut(&answer.project_id) {
                room.pending = room.pending.saturating_sub(1);
            }
            candidates.insert(answer.project_id);
        }
        for project_id in candidates {
            let closed = self.state.rooms.get(&project_id).is_some_and(|room| room.settled() && room.pending == 0);
            if closed && let Some(room) = self.state.rooms.remove(&project_id) {
                for task in room.plan.tasks() {
                    self.state.hosts.hold(project_id, task.spec.task_id, None, turn.now);
                }
            }
        }
    }

    async fn rebuild(&self, replies: Vec<oneshot::Sender<Result<RebuildReport, JournalError>>>) {
        if replies.is_empty() {
            return;
        }
        let report = self.parts.journal.rebuild(Box::new(Refold::default())).await;
        for reply in replies {
            drop(reply.send(report.clone()));
        }
    }
}

/// The feed's cursor in the shape of a stream's.
fn feed_cursor(seq: u64) -> Cursor {
    Cursor { seq, stream_created: String::new() }
}
