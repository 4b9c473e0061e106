//! One task of a plan: where it is, why, and what it has so far.

use std::{collections::BTreeMap, fmt, mem::Discriminant};

use bus_schemas::{
    id::{ApprovalId, ClaimNonce, HostId, MessageId},
    time::UnixMs,
};

use super::{
    budget::{Call, Ledger},
    event::{CommitId, PauseSpec, TaskSpec},
};

/// Where a task is. The arrows between the states are drawn and explained in [the step module](mod@super::step).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskState {
    /// Waits for the plan's approval, for what it needs, or for its preparation.
    Blocked,
    /// Waits for a free host (or for its backoff to pass).
    Ready,
    /// Its attempt is offered to hosts and not yet claimed.
    Submitted,
    /// A host works on its attempt; for a `foreach` task: its children are worked on.
    Working,
    /// Its handoff, its question or a limit of its budget waits for a person.
    InputRequired,
    /// Done, and proven by checks.
    Completed,
    /// Done, and no check says so.
    Unverified,
    /// It cannot go on.
    Failed,
    /// Somebody stopped it.
    Canceled,
    /// Somebody refused its handoff.
    Rejected,
    /// Not done: its `when` was false, or something it needs did not end well.
    Skipped,
}

impl TaskState {
    /// Nothing further happens to a task in this state.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Blocked | Self::Ready | Self::Submitted | Self::Working | Self::InputRequired)
    }

    /// Its handoff is there for its successors.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Completed | Self::Unverified)
    }

    /// The glossary's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Ready => "ready",
            Self::Submitted => "submitted",
            Self::Working => "working",
            Self::InputRequired => "input_required",
            Self::Completed => "completed",
            Self::Unverified => "unverified",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Rejected => "rejected",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A task of a plan. Read it through [`super::Plan`]; only [`super::step()`] changes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// What the plan says about it.
    pub spec: TaskSpec,
    /// Where it is.
    pub state: TaskState,
    /// Why, where there is something to say; else empty.
    pub reason: String,
    /// When its state last changed.
    pub changed_at: UnixMs,
    /// When it became final.
    pub ended_at: Option<UnixMs>,
    /// Its current (or last) attempt, 0 before the first.
    pub attempt: u32,
    /// Attempts it gets at most: the plan's number, and one more for each that did not count (see [the step module](mod@super::step)).
    pub max_attempts: u32,
    /// Attempts that failed.
    pub failures: u32,
    /// The instant it may be offered from; set while it is ready.
    pub ready_at: UnixMs,
    /// When its current attempt was offered.
    pub offered_at: Option<UnixMs>,
    /// When its first attempt was offered: its schedule-to-close limit counts from here.
    pub first_offered_at: Option<UnixMs>,
    /// How long it waited for people, providers and other agents, in milliseconds: not counted by its schedule-to-close limit.
    pub waited_ms: u64,
    /// Who holds (or held) its current attempt.
    pub claim: Option<Claim>,
    /// The commit it starts from, once it is prepared.
    pub base_commit: Option<CommitId>,
    /// The handoff of its current attempt, accepted or waiting for a person.
    pub handoff: Option<Handed>,
    /// What its successors start from: set when it is done.
    pub commit: Option<CommitId>,
    /// Its last failed attempt.
    pub failure: Option<Failure>,
    /// What the next attempt shall know.
    pub notes: Vec<Note>,
    /// The pending request about its handoff, its question, its budget, or (a planner's) its plan. Tasks that wait for the
    /// same limit share one.
    pub approval_id: Option<ApprovalId>,
    /// Why its last attempt paused, until the next one is offered.
    pub pause: Option<PauseSpec>,
    /// An agent's next attempt goes on from the saved state of this attempt, or of an earlier one; 0: afresh.
    pub resume_from: u32,
    /// What this attempt and earlier ones saved led nowhere: it is never gone on from. 0: no such attempt.
    pub afresh_after: u32,
    /// Its budget and what is used of it.
    pub ledger: Ledger,
    /// Every model call of its attempts.
    pub calls: BTreeMap<MessageId, Call>,
    /// Hosts beyond its plan's that people let it reach.
    pub granted: Vec<String>,
    /// Secrets beyond its plan's that people let be used on its behalf, by name, with where each went when they did.
    pub granted_secrets: BTreeMap<String, String>,
    /// A change of the plan dropped it.
    pub dropped: bool,
    /// It was skipped because its own `when` was false: what needs it goes on without it.
    pub when_was_false: bool,

    /// Needs that are not final yet.
    pub(super) waiting_for: usize,
    /// What was asked for and not yet answered.
    pub(super) asked: Option<Asked>,
    /// The `foreach` task it was made by.
    pub(super) parent: Option<usize>,
    /// The children a `foreach` task was expanded into, in order.
    pub(super) children: Vec<usize>,
    /// Children that are not final yet.
    pub(super) open_children: usize,
    /// Since when it waits without an attempt, for people or for a clarifier.
    pub(super) paused_at: Option<UnixMs>,
    /// VM time of its current attempt, as far as it was told.
    pub(super) attempt_vm_ms: u64,
    /// The last saved turn of its last pause.
    pub(super) saved_turn: u32,
    /// The kind of its last pause.
    pub(super) last_pause: Option<Discriminant<PauseSpec>>,
    /// Pauses in a row, of the kind of the last one, that came no further than the one before.
    pub(super) stuck_pauses: u32,
    /// The needed tasks whose handoffs it bounced.
    pub(super) bounced: Vec<usize>,
    /// The clarifier it waits for.
    pub(super) clarifier: Option<usize>,
    /// For a clarifier: the task that asked.
    pub(super) asker: Option<usize>,
    /// For a clarifier: the request about which a person asked.
    pub(super) asked_for: Option<ApprovalId>,
    /// Hosts it asked for and does not get.
    pub(super) denied: Vec<String>,
    /// Secrets it asked for and does not get.
    pub(super) denied_secrets: Vec<String>,
    /// Plans of it that could not be used.
    pub(super) unusable: u32,
}

/// A command whose answer a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// [`super::Command::Prepare`].
    Prepare,
    /// [`super::Command::MergeChildren`].
    Merge,
    /// [`super::Command::AdoptPlan`].
    Adopt,
    /// [`super::Command::StartEffect`], or [`super::Command::RunEffect`].
    Effect,
}

/// Who holds an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The claim: every message about the attempt must carry it.
    pub nonce: ClaimNonce,
    /// The host; not known while a later message of the attempt was seen but not yet the claim itself.
    pub host_id: Option<HostId>,
    /// When it was heard of: the start-to-close limit counts from here.
    pub claimed_at: UnixMs,
    /// The stage it is in, as a word; empty before the first.
    pub stage: String,
}

/// What an attempt hands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// The attempt.
    pub number: u32,
    /// The commit.
    pub commit: CommitId,
    /// There is evidence, and all of it passed.
    pub proven: bool,
    /// The digest over it.
    pub digest: String,
    /// The request (or the policy's decision) about it.
    pub approval_id: ApprovalId,
    /// When it was received.
    pub received_at: UnixMs,
    /// What a clarifier answers.
    pub answer: Option<String>,
}

/// How an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The attempt.
    pub number: u32,
    /// Why, as a word.
    pub reason: String,
    /// More, for people (at most [`super::policy::NOTE_BYTES`]).
    pub detail: String,
    /// Another attempt may end differently.
    pub retryable: bool,
    /// When.
    pub failed_at: UnixMs,
}

/// Something said to the next attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Tells it from every other note of the task, so that an agent hears it once.
    pub id: String,
    /// Who said it: a person's name, or `attempt 2`.
    pub from: String,
    /// What.
    pub text: String,
}

impl Task {
    pub(super) fn new(spec: TaskSpec, waiting_for: usize, at: UnixMs) -> Self {
        Self {
            state: TaskState::Blocked,
            reason: String::new(),
            changed_at: at,
            ended_at: None,
            attempt: 0,
            max_attempts: spec.max_attempts.max(1),
            failures: 0,
            ready_at: at,
            offered_at: None,
            first_offered_at: None,
            waited_ms: 0,
            claim: None,
            base_commit: None,
            handoff: None,
            commit: None,
            failure: None,
            notes: Vec::new(),
            approval_id: None,
            when_was_false: false,
            waiting_for,
            asked: None,
            parent: None,
            children: Vec::new(),
            open_children: 0,
            pause: None,
            resume_from: 0,
            afresh_after: 0,
            ledger: Ledger::new(spec.budget),
            calls: BTreeMap::new(),
            granted: Vec::new(),
            granted_secrets: BTreeMap::new(),
            dropped: false,
            paused_at: None,
            attempt_vm_ms: 0,
            saved_turn: 0,
            last_pause: None,
            stuck_pauses: 0,
            bounced: Vec::new(),
            clarifier: None,
            asker: None,
            asked_for: None,
            denied: Vec::new(),
            denied_secrets: Vec::new(),
            unusable: 0,
            spec,
        }
    }

    /// The task it works for, whose budget it uses, too.
    pub(super) fn payer(&self) -> Option<usize> {
        self.parent.or(self.asker)
    }

    /// Its wall time: from its first offer (a `foreach`: from its expansion), without what it waited for people and others.
    #[must_use]
    pub fn wall_ms(&self, at: UnixMs) -> u64 {
        let end = self.ended_at.unwrap_or(at);
        let start = if self.spec.is_foreach && self.base_commit.is_some() {
            Some(self.changed_at)
        } else {
            self.first_offered_at
        };
        let waiting_ms = self.paused_at.map_or(0, |paused_at| end.since(paused_at));
        start.map_or(0, |start| end.since(start)).saturating_sub(self.waited_ms).saturating_sub(waiting_ms)
    }

    /// A host holds it, or may: it takes one of the free slots.
    #[must_use]
    pub fn is_outstanding(&self) -> bool {
        match self.state {
            TaskState::Submitted => true,
            TaskState::Working => !self.spec.is_foreach,
            _ => false,
        }
    }

    /// What needs it can go on: it is done, or skipped by its own `when`; or dropped, and nothing needs it any more.
    #[must_use]
    pub fn ended_well(&self) -> bool {
        self.state.is_done() || (self.state == TaskState::Skipped && (self.when_was_false || self.dropped))
    }

    /// It is final and what needs it cannot go on.
    #[must_use]
    pub fn ended_badly(&self) -> bool {
        self.state.is_final() && !self.ended_well()
    }
}
