//! What the pool core knows.

use std::collections::{BTreeMap, VecDeque};

use bus_schemas::id::LeaseId;

/// So many boots must fail in a row before the pool calls itself broken.
pub const BROKEN_AFTER: u32 = 3;
/// The delay after the first failed boot, in milliseconds; doubles.
pub(super) const BACKOFF_MS: u64 = 500;
/// The longest delay between two boots while they fail, in milliseconds.
pub(super) const MAX_BACKOFF_MS: u64 = 60_000;
/// What a VM's process needs beside its guest's memory, in MiB: code cache and heap of the emulator.
pub(super) const OVERHEAD_MIB: u64 = 160;

/// Spares are not booted while a leased VM starts its work, because a boot takes the processors that the start needs; but
/// no longer than this after the grant, in milliseconds: a start that takes so long has a large tree to unpack.
pub(super) const STARTING_MS: u64 = 3_000;

/// A VM's name within this process; never used twice.
pub type VmId = u64;

/// What a VM must be like. Two VMs of equal shape are interchangeable until they are leased.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape {
    /// Processors.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Scratch disk in MiB.
    pub disk_mib: u32,
    /// The guest image's flavour.
    pub image: String,
}

impl Shape {
    /// What it takes of the host's memory, in MiB.
    #[must_use]
    pub fn footprint_mib(&self) -> u64 {
        u64::from(self.memory_mib) + OVERHEAD_MIB
    }
}

/// What the pool may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all VMs together, in MiB.
    pub memory_mib: u64,
    /// VMs that boot at the same time: more are not faster, they only boot later together.
    pub boots: usize,
    /// Spares kept ready.
    pub spares: usize,
    /// The spares' shape.
    pub spare_shape: Shape,
}

/// Where a VM is in its life. A VM that is gone is not in the state at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Its process runs, its guest has not said hello.
    Booting,
    /// Frozen and stopped, ready to be leased.
    Spare,
    /// In use, for the first and only time.
    Leased(LeaseId),
}

/// What is known of a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmRecord {
    /// Its shape.
    pub shape: Shape,
    /// Where it is in its life.
    pub tier: Tier,
}

/// Whether VMs boot here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The last boot worked, or none has been tried.
    Well,
    /// Boots fail; the next one waits.
    Failing {
        /// How many failed in a row.
        failures: u32,
        /// When the next may start, in milliseconds.
        retry_at_ms: u64,
        /// What the last one said.
        detail: String,
        /// The host ran out of disk or memory.
        exhausted: bool,
    },
}

impl Health {
    /// So many boots failed in a row that no lease can be promised.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        matches!(self, Self::Failing { failures, .. } if *failures >= BROKEN_AFTER)
    }
}

/// The pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub(super) limits: Limits,
    pub(super) vms: BTreeMap<VmId, VmRecord>,
    /// Who waits, first come first served.
    pub(super) waiting: VecDeque<(LeaseId, Shape)>,
    /// Leases that were granted and have not begun their work, and until when spares wait for each.
    pub(super) starting: BTreeMap<LeaseId, u64>,
    pub(super) next_vm: VmId,
    pub(super) health: Health,
    pub(super) draining: bool,
}

impl State {
    /// An empty pool.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            vms: BTreeMap::new(),
            waiting: VecDeque::new(),
            starting: BTreeMap::new(),
            next_vm: 1,
            health: Health::Well,
            draining: false,
        }
    }

    /// Every VM that is not gone.
    #[must_use]
    pub const fn vms(&self) -> &BTreeMap<VmId, VmRecord> {
        &self.vms
    }

    /// Whether VMs boot here.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// Leases that wait for a VM.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Spares that are ready.
    #[must_use]
    pub fn spares(&self) -> usize {
        self.vms.values().filter(|vm| vm.tier == Tier::Spare).count()
    }

    /// What all VMs take of the host's memory, in MiB.
    #[must_use]
    pub fn used_mib(&self) -> u64 {
        self.vms.values().map(|vm| vm.shape.footprint_mib()).sum()
    }

    pub(super) fn count(&self, tier: Tier, shape: &Shape) -> usize {
        self.vms.values().filter(|vm| vm.tier == tier && vm.shape == *shape).count()
    }

    pub(super) fn booting(&self) -> usize {
        self.vms.values().filter(|vm| vm.tier == Tier::Booting).count()
    }
}
