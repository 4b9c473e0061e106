//! A small model of the world around the core: an outbox that performs commands in any order and some twice, hosts that
//! claim, fail, go silent and lie, a bus that doubles, reorders and loses messages, people, a clock. Whatever it does, the
//! invariants hold; and once it behaves, every project comes to its end.

use std::collections::BTreeMap;

use bus_schemas::{
    id::{ClaimNonce, TaskId},
    time::UnixMs,
};
use proptest::{collection::vec, prelude::*};

use super::{
    agents::{clarifier, created_with},
    invariants::{Known, check_end, check_step},
    model_agents::{call_of, shifted},
    model_effects::{Outside, effect_of},
    support::{BASE, START, approval, host, nonce, policy, spec},
};
use crate::plan::{
    BudgetSpec, Command, Event, Outcome, Plan, ProjectState, Rejected, due,
    event::{Fact, Limit, PauseSpec, TaskKind, TaskSpec},
    next_deadline, next_ready_at, pick, step,
};

/// Slots of all hosts together.
const SLOTS: u32 = 3;
/// More rounds than a project of this size can need once the world behaves.
const PATIENCE: usize = 20_000;

#[derive(Debug)]
pub(super) struct Model {
    pub(super) plan: Plan,
    pub(super) now: UnixMs,
    known: Known,
    /// What a planner proposes, if there is one.
    proposal: Vec<TaskSpec>,
    /// Events that were taken: the journal.
    taken: Vec<Event>,
    outbox: Vec<Command>,
    offers: Vec<(TaskId, u32)>,
    /// Claims as the bus decided them: the first publish on the attempt's subject wins.
    pub(super) claims: BTreeMap<(TaskId, u32), ClaimNonce>,
    /// On their way to the orchestrator.
    pub(super) messages: Vec<Fact>,
    /// Delivered before, may come again.
    pub(super) old: Vec<Fact>,
    /// What was done outside.
    pub(super) outside: Outside,
    serial: u128,
}

impl Model {
    fn new(World { tasks, budget, asks, planned, offers }: World) -> Self {
        let planner = TaskSpec { kind: TaskKind::Planner, max_attempts: 4, ..spec(1, &[]) };
        let own = if planned { vec![planner] } else { tasks.clone() };
        let first = created_with(own, asks, |created| {
            created.budget = budget;
            created.planning = planned.then(|| policy(asks));
            created.replan_policy = Some(policy(asks));
            created.offers_result = offers;
        });
        let (plan, outcome) = Plan::create(&first).unwrap();
        Self {
            plan,
            now: START,
            known: Known::default(),
            proposal: tasks,
            taken: vec![first],
            outbox: outcome.commands,
            offers: Vec::new(),
            claims: BTreeMap::new(),
            messages: Vec::new(),
            old: Vec::new(),
            outside: Outside::default(),
            serial: 10_000,
        }
    }

    pub(super) fn serial(&mut self) -> u128 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn tell(&mut self, fact: Fact) -> Result<(), Rejected> {
        let event = Event { at: self.now, fact };
        let before = self.plan.clone();
        let result = step(&mut self.plan, &event);
        check_step(&mut self.known, &before, &event, &result, &self.plan);
        assert!(self.plan.outstanding() <= SLOTS, "more outstanding than slots");
        let Outcome { commands, .. } = result?;
        self.taken.push(event);
        self.outbox.extend(commands);
        Ok(())
    }

    /// Tells something that may have been overtaken.
    pub(super) fn say(&mut self, fact: Fact) {
        drop(self.tell(fact));
    }

    /// One thing happens in a world where anything may.
    fn anything(&mut self, what: u8, which: usize) {
        match what % 28 {
            24 => self.question(which),
            25 => self.delegate(which),
            26 => self.view(which),
            27 => self.apply_by_hand(which),
            20 => self.patch(which),
            21 => self.note(which),
            22 => self.raise(which),
            23 => self.edit_plan(which),
            0..=4 => self.perform(which, which.is_multiple_of(5), which % 3),
            5..=8 => self.deliver(which, which.is_multiple_of(4)),
            9..=11 => self.dispatch(),
            12..=14 => self.work(which, which % 13),
            15 => self.repeat(which),
            16 => self.pass(u64::try_from(which % 7_000).unwrap()),
            17 => self.decide(which, which % 7),
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
            let end = self.good_end();
            self.work(0, end);
        } else if self.agree() {
            return true;
        } else if !pick([&self.plan].into_iter(), SLOTS - self.plan.outstanding(), self.now).is_empty() {
            self.dispatch();
        } else {
            let next = [next_deadline(&self.plan), next_ready_at(&self.plan, self.now)].into_iter().flatten().min();
            let Some(next) = next else { return self.refuse() };
            self.now = self.now.max(next);
            self.expire();
        }
        true
    }

    /// How a host that behaves ends its next attempt: agents ask, wait and ask back first, and hand on then.
    fn good_end(&self) -> usize {
        let (task_id, number) = self.offers[0];
        let Some(task) = self.plan.task(task_id).filter(|task| task.spec.kind != TaskKind::Script) else { return 1 };
        let need = task.spec.needs.first().and_then(|need| self.plan.task(*need));
        let answers = need.is_some_and(|need| need.spec.kind == TaskKind::Agent && need.attempt > 0);
        match number {
            1 => 6,
            2 => 7,
            4 => 11,
            3 if answers && task.spec.kind == TaskKind::Agent => 8,
            _ => 1,
        }
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
                self.say(Fact::ChildrenMerged { task_id, commit: parents.join("+") });
            }
            Command::MergeResult { .. } if answer == 0 => {
                self.say(Fact::ResultMergeFailed { reason: "conflict".to_owned() });
            }
            Command::MergeResult { parents } => self.say(Fact::ResultMerged { commit: parents.join("+") }),
            Command::OfferResult => self.offer_result(answer),
            Command::ApplyResult { .. } => self.apply(answer),
            Command::StartEffect { approval_id } => self.start_effect(approval_id, answer),
            Command::RunEffect { approval_id } => self.run_effect(approval_id, answer),
            Command::WriteFolder { .. } => self.say(Fact::ApplyFinished),
            Command::Offer { task_id, number } => self.offers.push((task_id, number)),
            Command::CancelAttempt { task_id, number, .. } => self.offers.retain(|offer| *offer != (task_id, number)),
            Command::AdoptPlan { task_id } => self.adopt(task_id, answer),
            Command::Ask { .. }
            | Command::Tell { .. }
            | Command::Reshow { .. }
            | Command::Remind { .. }
            | Command::Widen { .. }
            | Command::KeepCommit { .. }
            | Command::TellAttempt { .. }
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
            return self.say(Fact::TaskPrepared { task_id, base_commit, when: false });
        }
        if answer == 2 && base_commit.len() > 12 {
            return self.say(Fact::PrepareFailed { task_id, reason: "conflict".to_owned() });
        }
        if !expand {
            return self.say(Fact::TaskPrepared { task_id, base_commit, when: true });
        }
        let children = (0..answer * 2).map(|place| {
            let task_id = TaskId::from_uuid(uuid::Uuid::from_u128(self.serial()));
            let key = format!("{}[{place}]", spec.key);
            let policy = policy(place == 1);
            TaskSpec { task_id, key, policy, has_when: place == 2, is_foreach: false, ..spec.clone() }
        });
        let children = children.collect();
        self.say(Fact::TaskExpanded { task_id, base_commit, children });
    }

    fn deliver(&mut self, which: usize, again: bool) {
        let Some(fact) = Self::take_at(&mut self.messages, which) else { return };
        if again {
            self.messages.push(fact.clone());
        }
        self.old.push(fact.clone());
        self.say(fact);
    }

    fn repeat(&mut self, which: usize) {
        if let Some(fact) = self.old.get(which % self.old.len().max(1)).cloned() {
            self.say(fact);
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
            match self.tell(Fact::AttemptOffered { task_id, number }) {
                Err(Rejected::OverBudget { .. }) => {
                    let approval_id = approval(self.serial());
                    let (digest, route) = ("limit".to_owned(), self.route());
                    let reached = Fact::BudgetReached { task_id, approval_id, digest, route };
                    self.tell(reached).unwrap();
                }
                taken => taken.expect("a picked attempt must be taken"),
            }
        }
    }

    /// Is it a plan?
    fn adopt(&mut self, task_id: TaskId, answer: usize) {
        if answer == 0 {
            return self.say(Fact::PlanUnusable { task_id, reason: "no plan".to_owned() });
        }
        self.propose(Some(task_id), true);
    }

    /// A plan is proposed: by the planner, or by a person.
    fn propose(&mut self, task_id: Option<TaskId>, asks: bool) {
        let serial = self.serial();
        let fact = Fact::PlanProposed {
            task_id,
            tasks: shifted(&self.proposal, serial * 1_000),
            plan_digest: format!("plan {serial}"),
            policy: policy(asks),
            approval_id: approval(serial),
            budget: BudgetSpec::default(),
            replan_policy: policy(asks),
            by: "ann".to_owned(),
            channel: String::new(),
            route: if asks { self.route() } else { None },
            offers_result: serial.is_multiple_of(2).then_some(true),
            instead_of: String::new(),
        };
        self.say(fact);
    }

    fn edit_plan(&mut self, which: usize) {
        if which.is_multiple_of(4) {
            self.propose(None, which.is_multiple_of(8));
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
        let kind = self.plan.task(task_id).unwrap().spec.kind;
        if kind != TaskKind::Script && !self.call_models(task_id, number, nonce) {
            return self.pause(task_id, number, nonce, PauseSpec::Budget);
        }
        let commit = if end == 3 { BASE.to_owned() } else { format!("c{serial}") };
        let resume_at = self.now.plus_ms(5_000);
        let route = if kind == TaskKind::Clarifier { None } else { self.route_of(task_id) };
        match end {
            6 => self.pause(task_id, number, nonce, PauseSpec::Question { question: "why?".to_owned() }),
            7 => self.pause(task_id, number, nonce, PauseSpec::RateLimited { resume_at }),
            8 if !self.plan.task(task_id).unwrap().spec.needs.is_empty() => {
                let needs = &self.plan.task(task_id).unwrap().spec.needs;
                let need = needs[which % needs.len()];
                let clarifier = Box::new(clarifier(serial));
                self.pause(task_id, number, nonce, PauseSpec::Bounce { need, clarifier });
            }
            9 => self.pause(task_id, number, nonce, PauseSpec::Budget),
            10 => {
                let name = format!("name-{}", serial % 3);
                let pause = match serial % 5 {
                    0 | 1 => PauseSpec::Capability { host: name },
                    2 | 3 => PauseSpec::Secret { name, terms: format!("to-{}", serial % 2), problem: None },
                    _ => PauseSpec::Secret {
                        name,
                        terms: String::new(),
                        problem: Some("there is none of that name".to_owned()),
                    },
                };
                self.pause(task_id, number, nonce, pause);
            }
            11 => self.pause(task_id, number, nonce, effect_of(serial)),
            0 => self.messages.push(Fact::AttemptFailed {
                task_id,
                number,
                nonce,
                reason: "program_failed".to_owned(),
                detail: "exit code 1".to_owned(),
                retryable: !serial.is_multiple_of(4),
                vm_ms: call_of(serial).tokens * 10,
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
                vm_ms: call_of(serial).tokens * 10,
                answer: (kind == TaskKind::Clarifier && end != 4).then(|| "this".to_owned()),
                route,
            }),
        }
    }

    fn lose_heartbeat(&mut self, which: usize) {
        let working = self.plan.tasks().iter().filter(|task| task.is_outstanding() && task.claim.is_some());
        let working: Vec<_> = working.map(|task| (task.spec.task_id, task.attempt)).collect();
        if let Some((task_id, number)) = working.get(which % working.len().max(1)).copied() {
            self.say(Fact::LimitReached { task_id, number, limit: Limit::Heartbeat });
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.expire();
    }

    fn expire(&mut self) {
        for event in due(&self.plan, self.now) {
            self.say(event.fact);
        }
        let left = next_deadline(&self.plan);
        assert!(left.is_none_or(|deadline| deadline > self.now), "a passed deadline must go: {left:?}");
    }

    fn cancel(&mut self, which: usize) {
        let task_id = self.plan.tasks().get(which % (self.plan.tasks().len() + 1)).map(|task| task.spec.task_id);
        self.say(Fact::CancelRequested {
            task_id,
            by: "ann".to_owned(),
            channel: String::new(),
            reason: String::new(),
        });
    }
}

/// What a model begins with.
#[derive(Clone, Debug)]
struct World {
    tasks: Vec<TaskSpec>,
    budget: BudgetSpec,
    asks: bool,
    planned: bool,
    offers: bool,
}

prop_compose! {
    /// Some limits, or none.
    fn budgets()(kind in any::<u8>(), limit in 0..200_u64) -> BudgetSpec {
        BudgetSpec {
            tokens: (kind & 7 == 1).then_some(limit),
            usd_nanos: (kind & 7 == 2).then_some(limit * 10),
            turns: (kind & 7 == 3).then_some(limit / 20),
            vm_ms: (kind & 15 == 4).then_some(limit * 10),
            wall_ms: (kind & 15 == 5).then_some(limit * 100),
        }
    }
}

prop_compose! {
    /// Up to ten tasks; each needs some of those before it.
    fn plans()(shapes in vec((any::<u16>(), any::<u16>(), any::<u16>(), budgets()), 1..10)) -> Vec<TaskSpec> {
        let shape = |(n, (some, other, kind, budget)): (usize, (u16, u16, u16, BudgetSpec))| {
            let needs = some & other;
            let needs: Vec<u128> = (0..n).filter(|need| needs >> need & 1 == 1).map(|need| need as u128 + 1).collect();
            TaskSpec {
                max_attempts: 1 + u32::from(kind >> 5 & 3),
                policy: policy(kind & 3 == 0),
                has_when: kind >> 2 & 3 == 0,
                is_foreach: kind & 15 == 6 || kind & 15 == 1,
                kind: if kind >> 8 & 1 == 0 { TaskKind::Agent } else { TaskKind::Script },
                budget,
                ..spec(n as u128 + 1, &needs)
            }
        };
        shapes.into_iter().enumerate().map(shape).collect()
    }
}

prop_compose! {
    fn worlds()(tasks in plans(), budget in budgets(), asks in any::<bool>(), kind in 0..8_u8) -> World {
        World { tasks, budget, asks, planned: kind & 3 == 0, offers: kind & 4 == 0 }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold_and_a_world_that_behaves_comes_to_the_end(
        world in worlds(),
        happenings in vec((any::<u8>(), any::<u16>()), 0..600),
    ) {
        let mut model = Model::new(world);
        for (what, which) in happenings {
            model.anything(what, usize::from(which));
        }
        for _ in 0..PATIENCE {
            if !model.well() {
                break;
            }
        }
        check_end(&model.plan, &model.taken);
        model.check_effects();
    }

    #[test]
    fn a_world_that_behaves_from_the_start_completes_every_plan(world in worlds()) {
        let mut model = Model::new(world);
        for _ in 0..PATIENCE {
            if !model.well() {
                break;
            }
        }
        check_end(&model.plan, &model.taken);
        model.check_effects();
        prop_assert_eq!(model.plan.state(), ProjectState::Completed);
    }
}
