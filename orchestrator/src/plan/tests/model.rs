//! A small model of the world around the core: an outbox that performs commands in any order and some twice, hosts that
//! claim, fail, go silent and lie, a bus that doubles, reorders and loses messages, people, a clock. Whatever it does, the
//! invariants hold; and once it behaves, every project comes to its end.

use std::collections::BTreeMap;

use bus_schemas::{
    id::{ApprovalId, ClaimNonce, TaskId},
    time::UnixMs,
};
use proptest::{collection::vec, prelude::*};

use super::{
    invariants::{Ledger, check_end, check_step},
    support::{BASE, START, approval, created, host, nonce, policy, spec},
};
use crate::plan::{
    Command, Event, Plan, ProjectState, Subject, due,
    event::{Fact, Limit, TaskSpec, Verdict},
    next_deadline, next_ready_at, pick, step,
};

/// Slots of all hosts together.
const SLOTS: u32 = 3;
/// More rounds than a project of this size can need once the world behaves.
const PATIENCE: usize = 20_000;

#[derive(Debug)]
struct Model {
    plan: Plan,
    now: UnixMs,
    ledger: Ledger,
    /// Events that were taken: the journal.
    taken: Vec<Event>,
    outbox: Vec<Command>,
    offers: Vec<(TaskId, u32)>,
    /// Claims as the bus decided them: the first publish on the attempt's subject wins.
    claims: BTreeMap<(TaskId, u32), ClaimNonce>,
    /// On their way to the orchestrator.
    messages: Vec<Fact>,
    /// Delivered before, may come again.
    old: Vec<Fact>,
    serial: u128,
}

impl Model {
    fn new(tasks: Vec<TaskSpec>, asks: bool) -> Self {
        let first = created(tasks, asks);
        let (plan, outcome) = Plan::create(&first).unwrap();
        Self {
            plan,
            now: START,
            ledger: Ledger::default(),
            taken: vec![first],
            outbox: outcome.commands,
            offers: Vec::new(),
            claims: BTreeMap::new(),
            messages: Vec::new(),
            old: Vec::new(),
            serial: 10_000,
        }
    }

    fn serial(&mut self) -> u128 {
        self.serial += 1;
        self.serial
    }

    fn tell(&mut self, fact: Fact) {
        let event = Event { at: self.now, fact };
        let before = self.plan.clone();
        let result = step(&mut self.plan, &event);
        check_step(&mut self.ledger, &before, &event, &result, &self.plan);
        assert!(self.plan.outstanding() <= SLOTS, "more outstanding than slots");
        if let Ok(outcome) = result {
            self.taken.push(event);
            self.outbox.extend(outcome.commands);
        }
    }

    /// One thing happens in a world where anything may.
    fn anything(&mut self, what: u8, which: usize) {
        match what % 20 {
            0..=4 => self.perform(which, which.is_multiple_of(5), which % 3),
            5..=8 => self.deliver(which, which.is_multiple_of(4)),
            9..=11 => self.dispatch(),
            12..=14 => self.work(which, which % 6),
            15 => self.repeat(which),
            16 => self.pass(u64::try_from(which % 7_000).unwrap()),
            17 => self.decide(which, which % 5),
            18 => self.forge(which),
            _ if which.is_multiple_of(3) => self.lose_heartbeat(which),
            _ if which.is_multiple_of(20) => self.cancel(which),
            _ => self.lose(which),
        }
    }

    /// One thing happens in a world that behaves; returns whether there was anything to do.
    fn well(&mut self) -> bool {
        if !self.outbox.is_empty() {
            self.perform(0, false, 1);
        } else if !self.messages.is_empty() {
            self.deliver(0, false);
        } else if !self.offers.is_empty() {
            self.work(0, 1);
        } else if self.plan.pending_approvals().next().is_some() {
            self.decide(0, 1);
        } else if !pick([&self.plan].into_iter(), SLOTS - self.plan.outstanding(), self.now).is_empty() {
            self.dispatch();
        } else {
            let next = [next_deadline(&self.plan), next_ready_at(&self.plan, self.now)].into_iter().flatten().min();
            let Some(next) = next else { return false };
            self.now = self.now.max(next);
            self.expire();
        }
        true
    }

    fn take_at<T>(list: &mut Vec<T>, which: usize) -> Option<T> {
        if list.is_empty() { None } else { Some(list.remove(which % list.len())) }
    }

    /// The outbox performs a command (and perhaps leaves it there, to be performed again).
    fn perform(&mut self, which: usize, again: bool, answer: usize) {
        let Some(command) = Self::take_at(&mut self.outbox, which) else { return };
        if again {
            self.outbox.push(command.clone());
        }
        match command {
            Command::Prepare { task_id, parents, evaluate_when, expand } => {
                let unique: std::collections::BTreeSet<_> = parents.iter().collect();
                assert!(!parents.is_empty() && unique.len() == parents.len(), "{parents:?}");
                self.prepare(task_id, parents.join("+"), evaluate_when, expand, answer);
            }
            Command::MergeChildren { task_id, parents } => {
                self.tell(Fact::ChildrenMerged { task_id, commit: parents.join("+") });
            }
            Command::MergeResult { .. } if answer == 0 => {
                self.tell(Fact::ResultMergeFailed { reason: "conflict".to_owned() });
            }
            Command::MergeResult { parents } => self.tell(Fact::ResultMerged { commit: parents.join("+") }),
            Command::Offer { task_id, number } => self.offers.push((task_id, number)),
            Command::CancelAttempt { task_id, number, .. } => self.offers.retain(|offer| *offer != (task_id, number)),
            Command::Ask { .. }
            | Command::Tell { .. }
            | Command::KeepCommit { .. }
            | Command::WriteFolder { .. }
            | Command::TellAttempt { .. }
            | Command::AdoptPlan { .. }
            | Command::PatchApplied { .. }
            | Command::AdmitSkill { .. }
            | Command::Warn { .. }
            | Command::TaskChanged { .. }
            | Command::ProjectChanged => {}
        }
    }

    fn prepare(&mut self, task_id: TaskId, base_commit: String, when: bool, expand: bool, answer: usize) {
        let spec = self.plan.task(task_id).unwrap().spec.clone();
        if when && answer == 0 {
            return self.tell(Fact::TaskPrepared { task_id, base_commit, when: false });
        }
        if answer == 2 && base_commit.len() > 12 {
            return self.tell(Fact::PrepareFailed { task_id, reason: "conflict".to_owned() });
        }
        if !expand {
            return self.tell(Fact::TaskPrepared { task_id, base_commit, when: true });
        }
        let children = (0..answer * 2).map(|place| {
            let task_id = TaskId::from_uuid(uuid::Uuid::from_u128(self.serial()));
            let key = format!("{}[{place}]", spec.key);
            let policy = policy(place == 1);
            TaskSpec { task_id, key, policy, has_when: place == 2, is_foreach: false, ..spec.clone() }
        });
        let children = children.collect();
        self.tell(Fact::TaskExpanded { task_id, base_commit, children });
    }

    fn deliver(&mut self, which: usize, again: bool) {
        let Some(fact) = Self::take_at(&mut self.messages, which) else { return };
        if again {
            self.messages.push(fact.clone());
        }
        self.old.push(fact.clone());
        self.tell(fact);
    }

    fn repeat(&mut self, which: usize) {
        if let Some(fact) = self.old.get(which % self.old.len().max(1)).cloned() {
            self.tell(fact);
        }
    }

    fn lose(&mut self, which: usize) {
        drop(Self::take_at(&mut self.messages, which));
    }

    fn dispatch(&mut self) {
        let free = SLOTS - self.plan.outstanding();
        let picks = pick([&self.plan].into_iter(), free, self.now);
        assert!(picks.len() <= free as usize, "more picked than slots");
        for (_, task_id, number) in picks {
            self.tell(Fact::AttemptOffered { task_id, number });
            assert_eq!(self.plan.task(task_id).unwrap().attempt, number, "a picked attempt must be taken");
        }
    }

    /// A host takes an offer and works it to some end; what it says goes onto the bus.
    fn work(&mut self, which: usize, end: usize) {
        let Some((task_id, number)) = Self::take_at(&mut self.offers, which) else { return };
        let serial = self.serial();
        if self.claims.contains_key(&(task_id, number)) {
            return;
        }
        let nonce = nonce(serial);
        self.claims.insert((task_id, number), nonce);
        self.messages.push(Fact::AttemptClaimed { task_id, number, nonce, host_id: host(serial) });
        self.messages.push(Fact::AttemptStaged { task_id, number, nonce, stage: "running".to_owned() });
        let commit = if end == 3 { BASE.to_owned() } else { format!("c{serial}") };
        match end {
            0 => self.messages.push(Fact::AttemptFailed {
                task_id,
                number,
                nonce,
                reason: "program_failed".to_owned(),
                detail: "exit code 1".to_owned(),
                retryable: !serial.is_multiple_of(4),
                vm_ms: 0,
            }),
            // It goes silent.
            2 => {}
            _ => self.messages.push(Fact::HandoffReceived {
                task_id,
                number,
                nonce,
                digest: format!("digest of {commit}"),
                commit,
                proven: end != 4,
                approval_id: approval(serial),
                vm_ms: 0,
                answer: None,
            }),
        }
    }

    /// Somebody without a claim speaks.
    fn forge(&mut self, which: usize) {
        let number = u32::try_from(which % 4).unwrap();
        let Some(task_id) = self.plan.tasks().get(which % self.plan.tasks().len().max(1)).map(|t| t.spec.task_id)
        else {
            return;
        };
        let serial = self.serial();
        // Only the winner of a claim speaks, so a forger needs one that nobody is going to make any more.
        if !self.claims.contains_key(&(task_id, number)) || self.plan.task(task_id).unwrap().claim.is_none() {
            return;
        }
        self.tell(Fact::AttemptClaimed { task_id, number, nonce: nonce(serial), host_id: host(serial) });
        self.tell(Fact::HandoffReceived {
            task_id,
            number,
            nonce: nonce(serial),
            commit: "forged".to_owned(),
            proven: true,
            digest: String::new(),
            approval_id: approval(serial),
            vm_ms: 0,
            answer: None,
        });
        assert!(
            self.plan.tasks().iter().all(|task| task.commit.as_deref() != Some("forged")),
            "a forgery was accepted"
        );
    }

    fn lose_heartbeat(&mut self, which: usize) {
        let working = self.plan.tasks().iter().filter(|task| task.is_outstanding() && task.claim.is_some());
        let working: Vec<_> = working.map(|task| (task.spec.task_id, task.attempt)).collect();
        if let Some((task_id, number)) = working.get(which % working.len().max(1)).copied() {
            self.tell(Fact::LimitReached { task_id, number, limit: Limit::Heartbeat });
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.expire();
    }

    fn expire(&mut self) {
        for event in due(&self.plan, self.now) {
            self.tell(event.fact);
        }
        let left = next_deadline(&self.plan);
        assert!(left.is_none_or(|deadline| deadline > self.now), "a passed deadline must go: {left:?}");
    }

    fn decide(&mut self, which: usize, how: usize) {
        let pending: Vec<(ApprovalId, Subject, String)> =
            self.plan.pending_approvals().map(|r| (r.approval_id, r.subject, r.digest.clone())).collect();
        let Some((approval_id, subject, digest)) = pending.get(which % pending.len().max(1)).cloned() else { return };
        let verdict = match (how, subject) {
            (0, Subject::Handoff { .. }) => Verdict::ChangesRequested,
            (2, Subject::Handoff { .. }) => Verdict::Rejected,
            _ => Verdict::Approved,
        };
        let digest = if how == 3 { "another".to_owned() } else { digest };
        let (by, channel, note) = ("ann".to_owned(), "cli".to_owned(), "because".to_owned());
        self.tell(Fact::ApprovalDecided { approval_id, verdict, digest, by, channel, note });
    }

    fn cancel(&mut self, which: usize) {
        let task_id = self.plan.tasks().get(which % (self.plan.tasks().len() + 1)).map(|task| task.spec.task_id);
        self.tell(Fact::CancelRequested { task_id, by: "ann".to_owned(), reason: String::new() });
    }
}

prop_compose! {
    /// Up to ten tasks; each needs some of those before it.
    fn plans()(shapes in vec((any::<u16>(), any::<u16>(), any::<u8>()), 1..10)) -> Vec<TaskSpec> {
        let shape = |(n, (some, other, kind)): (usize, (u16, u16, u8))| {
            let needs = some & other;
            let needs: Vec<u128> = (0..n).filter(|need| needs >> need & 1 == 1).map(|need| need as u128 + 1).collect();
            TaskSpec {
                max_attempts: 1 + u32::from(kind >> 5 & 3),
                policy: policy(kind & 3 == 0),
                has_when: kind >> 2 & 3 == 0,
                is_foreach: kind & 15 == 6 || kind & 15 == 1,
                ..spec(n as u128 + 1, &needs)
            }
        };
        shapes.into_iter().enumerate().map(shape).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold_and_a_world_that_behaves_comes_to_the_end(
        tasks in plans(),
        asks in any::<bool>(),
        happenings in vec((any::<u8>(), any::<u16>()), 0..600),
    ) {
        let mut model = Model::new(tasks, asks);
        for (what, which) in happenings {
            model.anything(what, usize::from(which));
        }
        for _ in 0..PATIENCE {
            if model.plan.state().is_final() || !model.well() {
                break;
            }
        }
        check_end(&model.plan, &model.taken);
    }

    #[test]
    fn a_world_that_behaves_from_the_start_completes_every_plan(tasks in plans(), asks in any::<bool>()) {
        let mut model = Model::new(tasks, asks);
        for _ in 0..PATIENCE {
            if model.plan.state().is_final() || !model.well() {
                break;
            }
        }
        check_end(&model.plan, &model.taken);
        prop_assert_eq!(model.plan.state(), ProjectState::Completed);
    }
}
