//! One turn of the driver: everything that was waiting, decided and put into one transaction. Nothing here waits for
//! anything: it is the plain function inside the loop.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use bus_schemas::{
    id::{ApprovalId, AttemptRef, MessageId, ProjectId, TaskId},
    stream::EVENTS,
    time::UnixMs,
    v1::host::Beat,
};
use tokio::sync::oneshot;

use super::{
    desk::Desk,
    detail::Detail,
    hosts::Hosts,
    inbound,
    input::{Answer, Refusal},
    room::{NotTaken, Room},
    work::{Act, Lane, Work, is_work},
};
use crate::{
    digest,
    effects::Effects,
    plan::{
        self,
        event::{Event, Fact, Limit},
        task::TaskState,
    },
    port::{
        Ids,
        bus::Delivery,
        journal::{Batch, Change, Cursor, DeadLetter, JournalError, OutboxRow, Record},
    },
};

/// What the driver knows.
pub(super) struct State {
    pub(super) rooms: HashMap<ProjectId, Room>,
    pub(super) hosts: Hosts,
    pub(super) last_seq: u64,
    pub(super) ids: Arc<dyn Ids>,
    /// What may be done outside.
    pub(super) effects: Arc<Effects>,
    /// Who is asked.
    pub(super) desk: Desk,
    /// The intake has delivered all that waited for it: deadlines may be judged, attempts offered.
    pub(super) caught_up: bool,
    /// The run of the intake that is listened to.
    pub(super) run: u64,
    /// Facts that came too late; for the log.
    pub(super) stale: u64,
}

/// Whom to tell what: the position of their record, or why it is refused.
pub(super) type Reply = (oneshot::Sender<Result<u64, Refusal>>, Result<u64, Refusal>);

/// What a turn has gathered.
pub(super) struct Turn {
    pub(super) at: UnixMs,
    pub(super) now: Instant,
    pub(super) batch: Batch,
    /// Whom to answer once the turn is durable: with the position of their record, or with a refusal, which may rest on what
    /// happened earlier in the turn.
    pub(super) replies: Vec<Reply>,
    /// Answers of the outbox runner, to be heard again if the commit fails.
    pub(super) answers: Vec<Answer>,
    /// Rooms that moved.
    pub(super) touched: BTreeSet<ProjectId>,
    /// Work that is not in the outbox.
    pub(super) aside: Vec<Work>,
    /// The offers that nobody took are in `aside`.
    pub(super) offered_again: bool,
}

impl Turn {
    pub(super) fn new(at: UnixMs, now: Instant) -> Self {
        Self {
            at,
            now,
            batch: Batch::default(),
            replies: Vec::new(),
            answers: Vec::new(),
            touched: BTreeSet::new(),
            aside: Vec::new(),
            offered_again: false,
        }
    }
}

/// What is looked at after the batch has gone to the journal.
pub(super) struct Heads {
    pub(super) last_seq: Option<u64>,
    pub(super) moved: Vec<(ProjectId, TaskId)>,
}

impl Heads {
    pub(super) fn of(batch: &Batch) -> Self {
        let moved = batch.changes.iter().filter_map(|change| match change {
            Change::TaskMoved(project_id, task_id, _) => Some((*project_id, *task_id)),
            _ => None,
        });
        Self { last_seq: batch.records.last().map(|record| record.seq), moved: moved.collect() }
    }
}

impl State {
    /// Takes a fact into its project. Returns the record's position, 0 if nothing changed.
    fn take(
        &mut self,
        turn: &mut Turn,
        project_id: ProjectId,
        mut fact: Fact,
        detail: Option<&Detail>,
    ) -> Result<u64, Refusal> {
        self.desk.route(project_id, &mut fact, self.rooms.get(&project_id), detail, turn.at);
        let seq = self.last_seq + 1 + turn.batch.records.len() as u64;
        let mut record = Record { seq, project_id, version: 1, event: Event { at: turn.at, fact }, detail: None };
        let not_taken = |error: NotTaken| match error {
            NotTaken::Rejected(rejected) => Refusal::Rejected(rejected),
            NotTaken::NoDetail { .. } => Refusal::Journal(JournalError::Malformed {
                operation: "take an event",
                what: format!("record {seq}"),
                detail: error.to_string(),
            }),
        };
        let taken = match self.rooms.get_mut(&project_id) {
            Some(room) => {
                record.version = room.version + 1;
                room.take(&record, detail).map_err(not_taken)?
            }
            None if matches!(record.event.fact, Fact::ProjectCreated(_)) => {
                let (room, taken) = Room::create(&record, detail).map_err(not_taken)?;
                self.rooms.insert(project_id, room);
                taken
            }
            None => return Err(Refusal::NoProject(project_id)),
        };
        if taken.changes.is_empty() {
            return Ok(0);
        }
        // Details are plain data: writing them as JSON does not fail.
        record.detail = detail.and_then(|detail| serde_json::to_string(detail).ok());
        turn.touched.insert(project_id);
        turn.batch.records.push(record);
        turn.batch.changes.extend(taken.changes);
        let rows = taken.commands.into_iter().filter(is_work).zip(0..);
        turn.batch.outbox.extend(rows.map(|(command, number)| OutboxRow { seq, number, project_id, command }));
        Ok(seq)
    }

    /// A person does something.
    pub(super) fn asked(
        &mut self,
        turn: &mut Turn,
        project_id: ProjectId,
        fact: Fact,
        detail: Option<&Detail>,
        reply: oneshot::Sender<Result<u64, Refusal>>,
    ) {
        let said = self.take(turn, project_id, fact, detail);
        turn.replies.push((reply, said));
    }

    /// The runner performed a command.
    pub(super) fn answered(&mut self, turn: &mut Turn, answer: Answer) {
        if let Some((fact, detail)) = &answer.fact {
            let taken = self.take(turn, answer.project_id, Fact::clone(fact), detail.as_deref());
            if let Err(refusal) = taken {
                tracing::debug!(project.id = %answer.project_id, %refusal, "answer of a command came too late");
            }
        }
        turn.batch.performed.extend(answer.key);
        turn.answers.push(answer);
    }

    /// The stream delivered something.
    pub(super) fn delivered(&mut self, turn: &mut Turn, delivery: Delivery) {
        let Delivery { seq, stream_created, run, subject, payload, observation } = delivery;
        if run != self.run {
            return;
        }
        let read = observation.and_then(|observation| {
            let room = self.rooms.get(&observation.project_id());
            inbound::fact_of(observation, room, self.ids.as_ref(), &self.effects, &self.desk.rules.secrets)
        });
        match read {
            Err(reason) => {
                tracing::warn!(msg.subject = %subject, stream.seq = seq, reason, "message set aside");
                turn.batch.dead_letters.push(DeadLetter {
                    stream: EVENTS.name.to_owned(),
                    stream_seq: seq,
                    subject,
                    reason,
                    payload: payload.to_vec(),
                    received_at: turn.at,
                });
            }
            Ok((project_id, fact, detail)) => {
                if let Err(refusal) = self.take(turn, project_id, fact, detail.as_ref()) {
                    self.stale += 1;
                    tracing::debug!(project.id = %project_id, %refusal, stale = self.stale, "fact came too late");
                }
            }
        }
        turn.batch.cursors = vec![(EVENTS.name, Cursor { seq, stream_created })];
    }

    /// A host beat: what it holds that it should not is withdrawn. `closed` are projects that are put away.
    pub(super) fn beat(&mut self, turn: &mut Turn, beat: Beat, closed: &BTreeSet<ProjectId>) {
        for held in &beat.attempts {
            if closed.contains(&held.attempt.project_id) || self.is_superseded(held.attempt, held.nonce) {
                let reason = "the orchestrator goes on without this attempt".to_owned();
                turn.aside.push(Work {
                    key: None,
                    id: MessageId::from_uuid(self.ids.next()),
                    project_id: held.attempt.project_id,
                    lane: Lane::Task(held.attempt.task_id),
                    act: Act::Cancel { attempt: held.attempt, reason },
                });
            }
        }
        self.hosts.beat(beat, turn.now, turn.at);
    }

    /// Whether nothing about this claim will ever be heard again. A claim whose message is still on its way is not.
    fn is_superseded(&self, attempt: AttemptRef, nonce: bus_schemas::id::ClaimNonce) -> bool {
        // A project that is not open here is put away, or not ours.
        let Some(task) = self.rooms.get(&attempt.project_id).and_then(|room| room.plan.task(attempt.task_id)) else {
            return false;
        };
        if task.attempt > attempt.number || task.state.is_final() {
            return true;
        }
        let other_claim = task.claim.as_ref().is_some_and(|claim| claim.nonce != nonce);
        task.attempt == attempt.number && (other_claim || !task.is_outstanding())
    }

    /// The bus can be heard and holds nothing unheard: what did not come, did not happen.
    const fn hears_all(&self) -> bool {
        self.caught_up && self.hosts.hearing()
    }

    /// Deadlines and leases that passed.
    pub(super) fn timers(&mut self, turn: &mut Turn) {
        if !self.hears_all() {
            return;
        }
        let late = |room: &&Room| plan::next_deadline(&room.plan).is_some_and(|deadline| deadline <= turn.at);
        let due: Vec<(ProjectId, Fact)> = self
            .rooms
            .values()
            .filter(late)
            .flat_map(|room| {
                plan::due(&room.plan, turn.at).into_iter().map(|event| (room.plan.project_id(), event.fact))
            })
            .collect();
        let silent = self.hosts.expired(turn.now).into_iter().map(|(project_id, task_id, number)| {
            (project_id, Fact::LimitReached { task_id, number, limit: Limit::Heartbeat })
        });
        for (project_id, fact) in due.into_iter().chain(silent.collect::<Vec<_>>()) {
            let kind = fact.kind();
            match self.take(turn, project_id, fact, None) {
                Ok(_) => tracing::info!(project.id = %project_id, kind, "limit reached"),
                Err(refusal) => tracing::debug!(project.id = %project_id, %refusal, "limit no longer counts"),
            }
        }
    }

    /// Offers attempts, never more than there are free slots.
    pub(super) fn dispatch(&mut self, turn: &mut Turn) {
        if !self.hears_all() {
            return;
        }
        let (slots, _) = self.hosts.slots(turn.now);
        let outstanding = self.rooms.values().fold(0_u32, |sum, room| sum.saturating_add(room.plan.outstanding()));
        let free = slots.saturating_sub(outstanding);
        let picked = plan::pick(self.rooms.values().map(|room| &room.plan), free, turn.at);
        for (project_id, task_id, number) in picked {
            match self.take(turn, project_id, Fact::AttemptOffered { task_id, number }, None) {
                Ok(_) => {}
                Err(Refusal::Rejected(plan::Rejected::OverBudget { task_id: owner, resource, used, limit })) => {
                    self.over_budget(turn, project_id, task_id, &(owner, resource, used, limit));
                }
                Err(refusal) => {
                    tracing::error!(project.id = %project_id, task.id = %task_id, %refusal, "picked attempt not offered");
                }
            }
        }
    }

    /// A ready task cannot be offered: people are asked for more.
    fn over_budget(
        &mut self,
        turn: &mut Turn,
        project_id: ProjectId,
        task_id: TaskId,
        reached: &(Option<TaskId>, plan::Resource, u64, u64),
    ) {
        let approval_id = ApprovalId::from_uuid(self.ids.next());
        // Ids and numbers: writing them as JSON does not fail.
        let digest = digest::of(reached).unwrap_or_default();
        let fact = Fact::BudgetReached { task_id, approval_id, digest, route: None };
        if let Err(refusal) = self.take(turn, project_id, fact, None) {
            tracing::error!(project.id = %project_id, task.id = %task_id, %refusal, "nobody asked about the budget");
        }
    }

    /// The earliest instant at which something is due by itself.
    pub(super) fn next_due(&self, at: UnixMs) -> Option<UnixMs> {
        if !self.hears_all() {
            return None;
        }
        let (slots, _) = self.hosts.slots(Instant::now());
        let instants = self.rooms.values().flat_map(|room| {
            let ready = (slots > 0).then(|| plan::next_ready_at(&room.plan, at)).flatten();
            plan::next_deadline(&room.plan).into_iter().chain(ready)
        });
        instants.min()
    }

    /// The tasks that wait for a host to claim them.
    pub(super) fn submitted(&self) -> impl Iterator<Item = (&Room, &plan::Task)> {
        self.rooms.values().flat_map(|room| {
            let submitted = room.plan.tasks().iter().filter(|task| task.state == TaskState::Submitted);
            submitted.map(move |task| (room, task))
        })
    }
}
