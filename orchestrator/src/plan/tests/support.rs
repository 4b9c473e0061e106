//! A plan under test, driven by hand.

use bus_schemas::{
    id::{ApprovalId, ClaimNonce, HostId, ProjectId, TaskId},
    time::UnixMs,
};
use uuid::Uuid;

use crate::{
    ledger::{Route, Ruling, Who},
    plan::{
        BudgetSpec, Command, Event, Outcome, Plan, Rejected, Task, TaskState,
        event::{Fact, Limit, LimitSpec, PolicySpec, ProjectCreated, TaskKind, TaskSpec, Verdict},
        step,
    },
};

pub(super) const BASE: &str = "base";
pub(super) const START: UnixMs = UnixMs(1_000_000);
pub(super) const PLAN_APPROVAL: u128 = 900;

pub(super) fn task(n: u128) -> TaskId {
    TaskId::from_uuid(Uuid::from_u128(n))
}

pub(super) fn nonce(n: u128) -> ClaimNonce {
    ClaimNonce::from_uuid(Uuid::from_u128(n))
}

pub(super) fn host(n: u128) -> HostId {
    HostId::from_uuid(Uuid::from_u128(n))
}

pub(super) fn approval(n: u128) -> ApprovalId {
    ApprovalId::from_uuid(Uuid::from_u128(n))
}

pub(super) fn policy(asks: bool) -> PolicySpec {
    let name = if asks { "ask" } else { "auto" };
    PolicySpec { name: name.to_owned(), asks, deadline_ms: asks.then_some(60_000) }
}

/// So many of three people.
pub(super) fn leads(n: u32) -> Who {
    Who::Some { n, group: "leads".to_owned(), of: ["ann", "bob", "carl"].map(str::to_owned).to_vec() }
}

/// A task `n` with key `tn`.
pub(super) fn spec(n: u128, needs: &[u128]) -> TaskSpec {
    TaskSpec {
        task_id: task(n),
        key: format!("t{n}"),
        needs: needs.iter().copied().map(task).collect(),
        max_attempts: 2,
        backoff_ms: 1_000,
        max_backoff_ms: 8_000,
        limits: LimitSpec {
            schedule_to_start_ms: 5_000,
            start_to_close_ms: 20_000,
            heartbeat_ms: 3_000,
            schedule_to_close_ms: 100_000,
        },
        policy: policy(false),
        has_when: false,
        is_foreach: false,
        kind: TaskKind::Script,
        budget: BudgetSpec::default(),
    }
}

pub(super) fn asking(n: u128, needs: &[u128]) -> TaskSpec {
    TaskSpec { policy: policy(true), ..spec(n, needs) }
}

pub(super) fn created(tasks: Vec<TaskSpec>, asks: bool) -> Event {
    let created = ProjectCreated {
        project_id: ProjectId::from_uuid(Uuid::from_u128(1)),
        tasks,
        base_commit: BASE.to_owned(),
        plan_digest: "plan".to_owned(),
        plan_policy: policy(asks),
        approval_id: approval(PLAN_APPROVAL),
        budget: BudgetSpec::default(),
        planning: None,
        replan_policy: None,
        route: None,
        offers_result: false,
    };
    Event { at: START, fact: Fact::ProjectCreated(created) }
}

/// A plan, the clock and what was taken so far.
#[derive(Debug)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) now: UnixMs,
    pub(super) created: Outcome,
    next_approval: u128,
}

impl World {
    pub(super) fn new(tasks: Vec<TaskSpec>) -> Self {
        Self::with(&created(tasks, false))
    }

    pub(super) fn asked(tasks: Vec<TaskSpec>) -> Self {
        Self::with(&created(tasks, true))
    }

    pub(super) fn with(event: &Event) -> Self {
        let (plan, created) = Plan::create(event).unwrap();
        Self { plan, now: START, created, next_approval: 1000 }
    }

    /// An id that no request has yet.
    pub(super) fn fresh(&mut self) -> ApprovalId {
        self.next_approval += 1;
        approval(self.next_approval)
    }

    /// Steps; a rejection must leave the plan as it was.
    pub(super) fn step(&mut self, fact: Fact) -> Result<Outcome, Rejected> {
        let before = self.plan.clone();
        let outcome = step(&mut self.plan, &Event { at: self.now, fact });
        if outcome.is_err() {
            assert_eq!(before, self.plan);
        }
        outcome
    }

    pub(super) fn task(&self, n: u128) -> &Task {
        self.plan.task(task(n)).unwrap()
    }

    pub(super) fn state(&self, n: u128) -> TaskState {
        self.task(n).state
    }

    pub(super) fn wait(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    pub(super) fn offer(&mut self, n: u128, number: u32) -> Result<Outcome, Rejected> {
        self.step(Fact::AttemptOffered { task_id: task(n), number })
    }

    pub(super) fn claim(&mut self, n: u128, number: u32, by: u128) -> Result<Outcome, Rejected> {
        self.step(Fact::AttemptClaimed { task_id: task(n), number, nonce: nonce(by), host_id: host(by) })
    }

    pub(super) fn stage(&mut self, n: u128, number: u32, by: u128, stage: &str) -> Result<Outcome, Rejected> {
        self.step(Fact::AttemptStaged { task_id: task(n), number, nonce: nonce(by), stage: stage.to_owned() })
    }

    pub(super) fn hand(&mut self, n: u128, number: u32, by: u128, commit: &str) -> Result<Outcome, Rejected> {
        self.hand_with(n, number, by, commit, true)
    }

    /// A handoff whose request is decided by so many of three people.
    pub(super) fn hand_to(&mut self, n: u128, number: u32, by: u128, route: Route) -> Result<Outcome, Rejected> {
        self.next_approval += 1;
        self.step(Fact::HandoffReceived {
            task_id: task(n),
            number,
            nonce: nonce(by),
            commit: format!("c{n}"),
            proven: true,
            digest: format!("digest of c{n}"),
            approval_id: approval(self.next_approval),
            vm_ms: 0,
            answer: None,
            route: Some(Box::new(route)),
        })
    }

    pub(super) fn hand_with(
        &mut self,
        n: u128,
        number: u32,
        by: u128,
        commit: &str,
        proven: bool,
    ) -> Result<Outcome, Rejected> {
        self.next_approval += 1;
        self.step(Fact::HandoffReceived {
            task_id: task(n),
            number,
            nonce: nonce(by),
            commit: commit.to_owned(),
            proven,
            digest: format!("digest of {commit}"),
            approval_id: approval(self.next_approval),
            vm_ms: 0,
            answer: None,
            route: None,
        })
    }

    pub(super) fn fail(&mut self, n: u128, number: u32, by: u128, retryable: bool) -> Result<Outcome, Rejected> {
        self.step(Fact::AttemptFailed {
            task_id: task(n),
            number,
            nonce: nonce(by),
            reason: "program_failed".to_owned(),
            detail: "exit code 3".to_owned(),
            retryable,
            vm_ms: 0,
        })
    }

    pub(super) fn limit(&mut self, n: u128, number: u32, limit: Limit) -> Result<Outcome, Rejected> {
        self.step(Fact::LimitReached { task_id: task(n), number, limit })
    }

    pub(super) fn prepared(&mut self, n: u128, base: &str, when: bool) -> Result<Outcome, Rejected> {
        self.step(Fact::TaskPrepared { task_id: task(n), base_commit: base.to_owned(), when })
    }

    pub(super) fn expanded(&mut self, n: u128, children: Vec<TaskSpec>) -> Result<Outcome, Rejected> {
        self.step(Fact::TaskExpanded { task_id: task(n), base_commit: BASE.to_owned(), children })
    }

    pub(super) fn cancel(&mut self, n: Option<u128>) -> Result<Outcome, Rejected> {
        self.step(Fact::CancelRequested {
            task_id: n.map(task),
            by: "ann".to_owned(),
            channel: String::new(),
            reason: "enough".to_owned(),
        })
    }

    /// Decides the pending request about a task.
    pub(super) fn decide(&mut self, n: u128, verdict: Verdict, note: &str) -> Result<Outcome, Rejected> {
        let approval_id = self.task(n).approval_id.unwrap();
        let digest = self.plan.approval(approval_id).unwrap().digest.clone();
        self.decide_as(approval_id, &digest, verdict, note)
    }

    /// Somebody says something about the pending request about a task.
    pub(super) fn says(&mut self, n: u128, by: &str, verdict: Verdict, note: &str) -> Result<Outcome, Rejected> {
        let approval_id = self.task(n).approval_id.unwrap();
        let digest = self.plan.approval(approval_id).unwrap().digest.clone();
        self.say_as(approval_id, &digest, by, (verdict, note))
    }

    pub(super) fn decide_as(
        &mut self,
        approval_id: ApprovalId,
        digest: &str,
        verdict: Verdict,
        note: &str,
    ) -> Result<Outcome, Rejected> {
        self.say_as(approval_id, digest, "ann", (verdict, note))
    }

    pub(super) fn say_as(
        &mut self,
        approval_id: ApprovalId,
        digest: &str,
        by: &str,
        (verdict, note): (Verdict, &str),
    ) -> Result<Outcome, Rejected> {
        self.step(Fact::ApprovalDecided {
            approval_id,
            verdict,
            digest: digest.to_owned(),
            by: by.to_owned(),
            channel: "cli".to_owned(),
            note: note.to_owned(),
            remember: None,
        })
    }

    /// Offers and claims the next attempt (by claim `by`).
    pub(super) fn work(&mut self, n: u128, by: u128) -> u32 {
        let number = self.task(n).attempt + 1;
        self.offer(n, number).unwrap();
        self.claim(n, number, by).unwrap();
        number
    }

    /// Takes a ready task to its handoff.
    pub(super) fn finish(&mut self, n: u128, commit: &str) -> Outcome {
        let number = self.work(n, n);
        self.hand(n, number, n, commit).unwrap()
    }
}

pub(super) fn route(who: Who) -> Route {
    Route { ruling: Ruling::Ask(who), ..Route::anyone("careful") }
}

/// The commands that are not for the feed.
pub(super) fn asked_for(outcome: &Outcome) -> Vec<Command> {
    let feed = |command: &&Command| !matches!(command, Command::TaskChanged { .. } | Command::ProjectChanged);
    outcome.commands.iter().filter(feed).cloned().collect()
}
