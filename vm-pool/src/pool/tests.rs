//! The core against a small model of the world: whatever happens in whatever order, the promises hold.

use std::collections::{BTreeMap, BTreeSet};

use bus_schemas::id::LeaseId;
use proptest::{
    prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest},
    test_runner::TestCaseError,
};
use uuid::Uuid;

use super::state::STARTING_MS;
use super::{BROKEN_AFTER, Command, Event, Fact, Health, Limits, Refusal, Shape, State, Tier, VmId, step};

fn shape(memory_mib: u32) -> Shape {
    Shape { cpus: 1, memory_mib, disk_mib: 100, image: "base".to_owned() }
}

fn limits() -> Limits {
    Limits { memory_mib: 2_000, boots: 2, spares: 1, spare_shape: shape(256) }
}

fn lease(n: u128) -> LeaseId {
    LeaseId::from_uuid(Uuid::from_u128(n))
}

/// The pool with a world around it that carries commands out and remembers.
struct World {
    state: State,
    now_ms: u64,
    booting: BTreeMap<VmId, Shape>,
    alive: BTreeMap<VmId, Shape>,
    leased: BTreeMap<LeaseId, VmId>,
    waiting: BTreeMap<LeaseId, Shape>,
    granted_ever: BTreeSet<VmId>,
    asked: u128,
    wake_at_ms: Option<u64>,
}

impl World {
    fn new(limits: Limits) -> Self {
        Self {
            state: State::new(limits),
            now_ms: 1_000,
            booting: BTreeMap::new(),
            alive: BTreeMap::new(),
            leased: BTreeMap::new(),
            waiting: BTreeMap::new(),
            granted_ever: BTreeSet::new(),
            asked: 0,
            wake_at_ms: None,
        }
    }

    fn tell(&mut self, fact: Fact) -> Result<Vec<Command>, TestCaseError> {
        let event = Event { at_ms: self.now_ms, fact };
        let Ok((state, commands)) = step(&self.state, &event) else {
            return Ok(Vec::new());
        };
        self.state = state;
        self.wake_at_ms = None;
        for command in &commands {
            self.perform(command)?;
        }
        self.check()?;
        Ok(commands)
    }

    fn perform(&mut self, command: &Command) -> Result<(), TestCaseError> {
        match command {
            Command::Boot { vm, shape } => {
                prop_assert!(!self.granted_ever.contains(vm) && !self.alive.contains_key(vm), "a name is used twice");
                prop_assert_eq!(self.booting.insert(*vm, shape.clone()), None);
            }
            Command::Grant { lease, vm } => {
                prop_assert!(self.granted_ever.insert(*vm), "vm {} is leased twice", vm);
                let wanted = self.waiting.remove(lease);
                prop_assert!(wanted.is_some(), "a grant nobody waits for");
                prop_assert_eq!(self.alive.get(vm), wanted.as_ref(), "another shape than asked for, or not up");
                self.leased.insert(*lease, *vm);
            }
            Command::Refuse { lease, .. } => prop_assert!(self.waiting.remove(lease).is_some()),
            Command::Kill { vm } => {
                self.booting.remove(vm);
                self.alive.remove(vm);
                self.leased.retain(|_, held| held != vm);
            }
            Command::WakeAt { at_ms } => {
                prop_assert!(*at_ms > self.now_ms);
                self.wake_at_ms = Some(*at_ms);
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let limits = &self.state.limits;
        prop_assert!(self.state.used_mib() <= limits.memory_mib, "more memory than there is");
        prop_assert!(self.booting.len() <= limits.boots.max(1), "too many boots at once");
        prop_assert_eq!(self.state.vms().len(), self.booting.len() + self.alive.len(), "the pool forgot a vm");
        prop_assert_eq!(self.state.waiting(), self.waiting.len());
        // Somebody waits only while something is under way that will end the waiting.
        let hope = !self.booting.is_empty() || self.wake_at_ms.is_some() || !self.leased.is_empty();
        prop_assert!(self.waiting.is_empty() || hope, "a lease waits for nothing: {:?}", self.state);
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Move {
    Ask(u32),
    Start(usize),
    Release(usize),
    Forget(usize),
    BootEnds(usize, bool),
    Dies(usize),
    Passes(u64),
    Stale(VmId),
    Drain,
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => prop_oneof![Just(256_u32), Just(512), Just(900), Just(1_700), Just(4_000)].prop_map(Move::Ask),
        2 => (0..4_usize).prop_map(Move::Start),
        3 => (0..4_usize).prop_map(Move::Release),
        1 => (0..4_usize).prop_map(Move::Forget),
        6 => (0..4_usize, proptest::bool::weighted(0.7)).prop_map(|(n, ok)| Move::BootEnds(n, ok)),
        1 => (0..4_usize).prop_map(Move::Dies),
        2 => (0..70_000_u64).prop_map(Move::Passes),
        1 => (0..20_u64).prop_map(Move::Stale),
    ]
}

fn nth<K: Clone, V>(map: &BTreeMap<K, V>, n: usize) -> Option<K> {
    map.keys().nth(n % map.len().max(1)).cloned()
}

fn play(world: &mut World, next: &Move) -> Result<(), TestCaseError> {
    match next {
        Move::Ask(memory_mib) => {
            world.asked += 1;
            let lease = lease(world.asked);
            world.waiting.insert(lease, shape(*memory_mib));
            world.tell(Fact::LeaseAsked { lease, shape: shape(*memory_mib) })?;
        }
        Move::Start(n) => {
            if let Some(lease) = nth(&world.leased, *n) {
                world.tell(Fact::LeaseStarted { lease })?;
            }
        }
        Move::Release(n) => {
            if let Some(lease) = nth(&world.leased, *n) {
                world.tell(Fact::LeaseReleased { lease })?;
            }
        }
        Move::Forget(n) => {
            if let Some(lease) = nth(&world.waiting, *n) {
                world.waiting.remove(&lease);
                world.tell(Fact::LeaseReleased { lease })?;
            }
        }
        Move::BootEnds(n, ok) => {
            let Some(vm) = nth(&world.booting, *n) else { return Ok(()) };
            let shape = world.booting.remove(&vm);
            if *ok {
                world.alive.extend(shape.map(|shape| (vm, shape)));
                world.tell(Fact::Booted { vm })?;
            } else {
                world.tell(Fact::BootFailed { vm, detail: "no hello".to_owned(), exhausted: false })?;
            }
        }
        Move::Dies(n) => {
            if let Some(vm) = nth(&world.alive, *n) {
                world.tell(Fact::Died { vm })?;
            }
        }
        Move::Passes(ms) => {
            world.now_ms += ms;
            if world.wake_at_ms.is_some_and(|at| at <= world.now_ms) {
                world.tell(Fact::Tick)?;
            }
        }
        Move::Stale(vm) => {
            if !world.booting.contains_key(vm) {
                let event = Event { at_ms: world.now_ms, fact: Fact::Booted { vm: *vm } };
                prop_assert!(step(&world.state, &event).is_err(), "a stale boot was believed");
            }
        }
        Move::Drain => {
            world.tell(Fact::Drained)?;
        }
    }
    Ok(())
}

proptest! {
    /// No VM is leased twice, no memory is given twice, nobody waits for nothing, whatever the order of things.
    #[test]
    fn the_promises_hold(script in proptest::collection::vec(moves(), 0..120)) {
        let mut world = World::new(limits());
        for next in &script {
            play(&mut world, next)?;
        }
        // When boots work again and leases end, everybody who waits is served and the spare is there.
        for _ in 0..400 {
            if let Some(at_ms) = world.wake_at_ms {
                world.now_ms = world.now_ms.max(at_ms);
                world.tell(Fact::Tick)?;
            }
            play(&mut world, &Move::BootEnds(0, true))?;
            play(&mut world, &Move::Release(0))?;
            world.tell(Fact::Tick)?;
        }
        prop_assert!(world.waiting.is_empty());
        prop_assert_eq!(world.state.spares(), 1);
        prop_assert_eq!(world.state.health(), &Health::Well);
    }

    /// A draining pool boots nothing, grants nothing, and ends with nothing.
    #[test]
    fn draining_ends_with_nothing(script in proptest::collection::vec(moves(), 0..60), after in proptest::collection::vec(moves(), 0..30)) {
        let mut world = World::new(limits());
        for next in &script {
            play(&mut world, next)?;
        }
        play(&mut world, &Move::Drain)?;
        prop_assert!(world.booting.is_empty() && world.waiting.is_empty());
        for next in &after {
            play(&mut world, next)?;
            prop_assert!(world.booting.is_empty() && world.waiting.is_empty());
        }
        while let Some(lease) = nth(&world.leased, 0) {
            world.tell(Fact::LeaseReleased { lease })?;
        }
        prop_assert!(world.state.vms().is_empty());
    }
}

#[test]
fn a_booted_spare_is_granted_at_once_and_replaced_once_the_start_is_over() -> Result<(), TestCaseError> {
    let mut world = World::new(limits());
    world.tell(Fact::Tick)?;
    play(&mut world, &Move::BootEnds(0, true))?;
    assert_eq!(world.state.spares(), 1);
    world.waiting.insert(lease(1), shape(256));
    let commands = world.tell(Fact::LeaseAsked { lease: lease(1), shape: shape(256) })?;
    let until = world.now_ms + STARTING_MS;
    assert_eq!(commands, [Command::Grant { lease: lease(1), vm: 1 }, Command::WakeAt { at_ms: until }]);
    assert_eq!(world.state.vms()[&1].tier, Tier::Leased(lease(1)));
    let mut patient = world.state.clone();
    let commands = world.tell(Fact::LeaseStarted { lease: lease(1) })?;
    assert_eq!(commands, [Command::Boot { vm: 2, shape: shape(256) }]);
    // A start that takes too long is not waited for.
    let (after, commands) = step(&patient, &Event { at_ms: until, fact: Fact::Tick }).unwrap();
    assert_eq!(commands, [Command::Boot { vm: 2, shape: shape(256) }]);
    // Nor is one by somebody who needs a VM now.
    patient = after;
    let asked = Fact::LeaseAsked { lease: lease(2), shape: shape(512) };
    let (_, commands) = step(&patient, &Event { at_ms: until, fact: asked }).unwrap();
    assert_eq!(commands, [Command::Boot { vm: 3, shape: shape(512) }]);
    Ok(())
}

#[test]
fn boots_that_fail_back_off_and_then_refuse() -> Result<(), TestCaseError> {
    let mut world = World::new(limits());
    world.waiting.insert(lease(1), shape(512));
    world.tell(Fact::LeaseAsked { lease: lease(1), shape: shape(512) })?;
    let mut delays = Vec::new();
    for _ in 0..BROKEN_AFTER {
        while world.booting.len() > 1 {
            play(&mut world, &Move::BootEnds(1, false))?;
        }
        play(&mut world, &Move::BootEnds(0, false))?;
        let Some(at_ms) = world.wake_at_ms else { continue };
        delays.push(at_ms - world.now_ms);
        world.now_ms = at_ms;
        world.tell(Fact::Tick)?;
    }
    assert!(world.state.health().is_broken());
    assert!(delays.is_sorted() && delays.len() >= 2, "{delays:?}");
    assert!(world.waiting.is_empty(), "whoever waits is told");
    let asked = Fact::LeaseAsked { lease: lease(2), shape: shape(512) };
    world.waiting.insert(lease(2), shape(512));
    let commands = world.tell(asked)?;
    let refusal = Refusal::Broken { detail: "no hello".to_owned(), exhausted: false };
    assert!(commands.contains(&Command::Refuse { lease: lease(2), refusal }));
    Ok(())
}

#[test]
fn a_vm_that_can_never_fit_is_refused_and_a_spare_makes_room() -> Result<(), TestCaseError> {
    let mut world = World::new(limits());
    world.tell(Fact::Tick)?;
    play(&mut world, &Move::BootEnds(0, true))?;
    world.waiting.insert(lease(1), shape(4_000));
    let commands = world.tell(Fact::LeaseAsked { lease: lease(1), shape: shape(4_000) })?;
    let refusal = Refusal::TooLarge { needs_mib: 4_160, limit_mib: 2_000 };
    assert_eq!(commands, [Command::Refuse { lease: lease(1), refusal }]);
    world.waiting.insert(lease(2), shape(1_700));
    let commands = world.tell(Fact::LeaseAsked { lease: lease(2), shape: shape(1_700) })?;
    assert_eq!(commands, [Command::Kill { vm: 1 }, Command::Boot { vm: 2, shape: shape(1_700) }]);
    Ok(())
}
