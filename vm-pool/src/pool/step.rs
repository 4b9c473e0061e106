//! The pure function: the facts first, then what follows from them.

use super::{
    command::{Command, Refusal},
    event::{Event, Fact},
    state::{BACKOFF_MS, Health, MAX_BACKOFF_MS, STARTING_MS, Shape, State, Tier, VmId, VmRecord},
};

/// An event that does not fit the state: a stale fact, to be logged and forgotten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The VM is not known (any more), or not where the event claims it to be.
    #[error("{fact} of vm {vm}, which is {found:?}")]
    Vm {
        /// What was said about it.
        fact: &'static str,
        /// Which.
        vm: VmId,
        /// Where it is; `None` if it is gone.
        found: Option<Tier>,
    },
    /// The lease is in use or waited for already.
    #[error("a lease was asked for twice")]
    LeaseTwice,
}

/// Applies one event and says what to do.
///
/// # Errors
/// [`Rejected`] if the event does not fit; the state is as before.
pub fn step(state: &State, event: &Event) -> Result<(State, Vec<Command>), Rejected> {
    let mut next = state.clone();
    let mut commands = Vec::new();
    apply(&mut next, event, &mut commands)?;
    settle(&mut next, event.at_ms, &mut commands);
    Ok((next, commands))
}

fn apply(state: &mut State, event: &Event, commands: &mut Vec<Command>) -> Result<(), Rejected> {
    match &event.fact {
        Fact::LeaseAsked { lease, shape } => {
            let held = state.vms.values().any(|vm| vm.tier == Tier::Leased(*lease));
            if held || state.waiting.iter().any(|(waiting, _)| waiting == lease) {
                return Err(Rejected::LeaseTwice);
            }
            state.waiting.push_back((*lease, shape.clone()));
        }
        Fact::LeaseStarted { lease } => {
            state.starting.remove(lease);
        }
        Fact::LeaseReleased { lease } => {
            state.starting.remove(lease);
            state.waiting.retain(|(waiting, _)| waiting != lease);
            let held = state.vms.iter().find(|(_, vm)| vm.tier == Tier::Leased(*lease)).map(|(&id, _)| id);
            if let Some(vm) = held {
                state.vms.remove(&vm);
                commands.push(Command::Kill { vm });
            }
        }
        Fact::Booted { vm } => {
            let record = expect(state, *vm, "boot", |tier| tier == Tier::Booting)?;
            record.tier = Tier::Spare;
            state.health = Health::Well;
        }
        Fact::BootFailed { vm, detail, exhausted } => {
            expect(state, *vm, "failed boot", |tier| tier == Tier::Booting)?;
            state.vms.remove(vm);
            state.health = worse(&state.health, event.at_ms, detail, *exhausted);
        }
        Fact::Died { vm } => {
            expect(state, *vm, "death", |tier| tier != Tier::Booting)?;
            state.vms.remove(vm);
            commands.push(Command::Kill { vm: *vm });
        }
        Fact::Tick => {}
        Fact::Drained => {
            state.draining = true;
            let idle: Vec<VmId> =
                state.vms.iter().filter(|(_, vm)| !matches!(vm.tier, Tier::Leased(_))).map(|(&id, _)| id).collect();
            kill(state, &idle, commands);
        }
    }
    Ok(())
}

fn expect<'a>(
    state: &'a mut State,
    vm: VmId,
    fact: &'static str,
    fits: impl Fn(Tier) -> bool,
) -> Result<&'a mut VmRecord, Rejected> {
    match state.vms.get_mut(&vm) {
        Some(record) if fits(record.tier) => Ok(record),
        other => Err(Rejected::Vm { fact, vm, found: other.map(|record| record.tier) }),
    }
}

fn worse(health: &Health, at_ms: u64, detail: &str, exhausted: bool) -> Health {
    let failures = match health {
        Health::Well => 1,
        Health::Failing { failures, .. } => failures.saturating_add(1),
    };
    let delay = BACKOFF_MS.saturating_mul(1 << (failures - 1).min(16)).min(MAX_BACKOFF_MS);
    Health::Failing { failures, retry_at_ms: at_ms.saturating_add(delay), detail: detail.to_owned(), exhausted }
}

/// What follows from the state as it is now.
fn settle(state: &mut State, now_ms: u64, commands: &mut Vec<Command>) {
    grant(state, now_ms, commands);
    refuse(state, commands);
    if state.draining {
        return;
    }
    trim(state, commands);
    state.starting.retain(|_, until_ms| *until_ms > now_ms);
    match state.health {
        Health::Failing { retry_at_ms, .. } if retry_at_ms > now_ms => {
            commands.push(Command::WakeAt { at_ms: retry_at_ms });
        }
        // One boot at a time until one works again.
        Health::Failing { .. } => {
            boot(state, 1, commands);
            // Nothing is left to try: the spares that are there came up.
            if state.booting() == 0 && state.waiting.is_empty() && state.spares() >= state.limits.spares.max(1) {
                state.health = Health::Well;
            }
        }
        Health::Well => {
            boot(state, state.limits.boots.max(1), commands);
            if let Some(&at_ms) = state.starting.values().min() {
                commands.push(Command::WakeAt { at_ms });
            }
        }
    }
}

/// Gives spares to those who wait, in their order.
fn grant(state: &mut State, now_ms: u64, commands: &mut Vec<Command>) {
    let waiting = std::mem::take(&mut state.waiting);
    for (lease, shape) in waiting {
        let spare = state.vms.iter_mut().find(|(_, vm)| vm.tier == Tier::Spare && vm.shape == shape);
        match spare {
            Some((&vm, record)) if !state.draining => {
                record.tier = Tier::Leased(lease);
                state.starting.insert(lease, now_ms.saturating_add(STARTING_MS));
                commands.push(Command::Grant { lease, vm });
            }
            _ => state.waiting.push_back((lease, shape)),
        }
    }
}

/// Kills spares that nobody keeps or waits for (a wait that was given up, a shape that is not the spares').
fn trim(state: &mut State, commands: &mut Vec<Command>) {
    let mut keep = state.limits.spares;
    let mut surplus = Vec::new();
    for (&id, vm) in state.vms.iter().filter(|(_, vm)| vm.tier == Tier::Spare) {
        if vm.shape == state.limits.spare_shape && keep > 0 {
            keep -= 1;
        } else {
            surplus.push(id);
        }
    }
    kill(state, &surplus, commands);
}

/// Tells those who wait in vain.
fn refuse(state: &mut State, commands: &mut Vec<Command>) {
    let waiting = std::mem::take(&mut state.waiting);
    for (lease, shape) in waiting {
        let needs_mib = shape.footprint_mib();
        let limit_mib = state.limits.memory_mib;
        let refusal = match &state.health {
            _ if state.draining => Some(Refusal::Draining),
            _ if needs_mib > limit_mib => Some(Refusal::TooLarge { needs_mib, limit_mib }),
            Health::Failing { detail, exhausted, .. } if state.health.is_broken() => {
                Some(Refusal::Broken { detail: detail.clone(), exhausted: *exhausted })
            }
            _ => None,
        };
        match refusal {
            Some(refusal) => commands.push(Command::Refuse { lease, refusal }),
            None => state.waiting.push_back((lease, shape)),
        }
    }
}

/// Boots what is missing: first for those who wait, then spares.
fn boot(state: &mut State, at_once: usize, commands: &mut Vec<Command>) {
    let mut wanted: Vec<Shape> = Vec::new();
    for (_, shape) in &state.waiting {
        let asked = wanted.iter().filter(|other| *other == shape).count();
        if asked < waiting_for(state, shape).saturating_sub(state.count(Tier::Booting, shape)) {
            wanted.push(shape.clone());
        }
    }
    for shape in wanted {
        if state.booting() >= at_once || !make_room(state, &shape, commands) {
            // First come, first served: whoever comes later does not overtake.
            return;
        }
        start(state, shape, commands);
    }
    // A boot takes processors: it would slow down whoever just got a VM.
    if !state.starting.is_empty() && state.health == Health::Well {
        return;
    }
    // A broken pool keeps trying even if it should hold no spares: else nothing would ever show that it is well again.
    let target = state.limits.spares.max(usize::from(state.health != Health::Well));
    let shape = state.limits.spare_shape.clone();
    loop {
        let coming = state.count(Tier::Booting, &shape).saturating_sub(waiting_for(state, &shape));
        let have = state.count(Tier::Spare, &shape) + coming;
        let fits = state.used_mib() + shape.footprint_mib() <= state.limits.memory_mib;
        if have >= target || state.booting() >= at_once || !fits || !state.waiting.is_empty() && short(state) {
            return;
        }
        start(state, shape.clone(), commands);
    }
}

/// Somebody waits for whom no boot is under way: spares must not take what they wait for.
fn short(state: &State) -> bool {
    state.waiting.iter().any(|(_, shape)| waiting_for(state, shape) > state.count(Tier::Booting, shape))
}

fn waiting_for(state: &State, shape: &Shape) -> usize {
    state.waiting.iter().filter(|(_, other)| other == shape).count()
}

fn start(state: &mut State, shape: Shape, commands: &mut Vec<Command>) {
    let vm = state.next_vm;
    state.next_vm += 1;
    commands.push(Command::Boot { vm, shape: shape.clone() });
    state.vms.insert(vm, VmRecord { shape, tier: Tier::Booting });
}

/// Pushes out spares of other shapes until `shape` fits; youngest first. Says whether it fits.
fn make_room(state: &mut State, shape: &Shape, commands: &mut Vec<Command>) -> bool {
    let needs = shape.footprint_mib();
    let mut used = state.used_mib();
    let mut out = Vec::new();
    for (&id, vm) in state.vms.iter().rev() {
        if used + needs <= state.limits.memory_mib {
            break;
        }
        if vm.tier == Tier::Spare && vm.shape != *shape {
            used -= vm.shape.footprint_mib();
            out.push(id);
        }
    }
    let fits = used + needs <= state.limits.memory_mib;
    if fits {
        kill(state, &out, commands);
    }
    fits
}

fn kill(state: &mut State, vms: &[VmId], commands: &mut Vec<Command>) {
    for &vm in vms {
        state.vms.remove(&vm);
        commands.push(Command::Kill { vm });
    }
}
