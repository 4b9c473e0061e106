//! Performs commands: those of one lane one after the other, those of different lanes side by side. What fails for want
//! of the bus or of the disk is tried again for as long as it takes; what can never work is answered as a fact.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bus_schemas::id::ProjectId;
use futures::FutureExt as _;
use tokio::{
    sync::{Semaphore, mpsc},
    task::{JoinError, JoinSet},
};

use super::{
    folders::FolderTurns,
    handle::World,
    input::{Answer, Input},
    perform,
    work::{Lane, Work},
};
use crate::{
    effects::Effects,
    planfile::ModelConfig,
    policy::Rules,
    port::{Folder, Ids, Shadow, bus::Bus, effect::EffectRunner, journal::Journal, skills::SkillShelf},
};

/// Work on its way from the driver to the runner; the runner takes it at once, so this is only slack.
pub(super) const QUEUE: usize = 1024;
/// Commands performed at the same time: enough to hide the bus's latency, few enough for one machine.
const ACTIVE: usize = 64;
/// Effects at the same time, beside these: one may run for a day, and nothing else waits for it.
const EFFECTS: usize = 64;
/// Git processes at the same time.
const GITS: usize = 2;
/// Commits remembered as being in the object store or in the shadow repository; forgotten all at once when full.
const REMEMBERED: usize = 65_536;
/// The first and the longest pause before something is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How often a command that panics is tried again.
const PANICS: u32 = 4;

/// What the driver tells the runner.
#[derive(Debug)]
pub(super) enum Order {
    /// Perform this.
    Perform(Box<Work>),
    /// The object store may be another one: what is in it is not known any more.
    ForgetObjects,
}

/// Everything performing needs.
pub(super) struct Hands<J, B> {
    pub(super) journal: J,
    pub(super) bus: B,
    pub(super) shadow: Arc<dyn Shadow>,
    pub(super) folder: Arc<dyn Folder>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) shelf: Arc<dyn SkillShelf>,
    pub(super) models: Arc<ModelConfig>,
    pub(super) rules: Arc<Rules>,
    pub(super) effects: Arc<Effects>,
    pub(super) runner: Arc<dyn EffectRunner>,
    /// Commits (and objects of skills) that are in the object store, parents included.
    pub(super) stored: Remembered<String>,
    /// Commits that are in the shadow repositories.
    pub(super) kept: Remembered<(ProjectId, String)>,
    pub(super) gits: Semaphore,
    /// Who writes to which folder.
    pub(super) folders: FolderTurns,
    /// Records whose writing of a folder an undo withdrew.
    pub(super) withdrawn: Remembered<u64>,
}

impl<J: Journal, B: Bus> Hands<J, B> {
    pub(super) fn new(world: &World<J, B>) -> Self {
        Self {
            journal: world.journal.clone(),
            bus: world.bus.clone(),
            shadow: Arc::clone(&world.shadow),
            folder: Arc::clone(&world.folder),
            ids: Arc::clone(&world.ids),
            shelf: Arc::clone(&world.shelf),
            models: Arc::clone(&world.models),
            rules: Arc::clone(&world.rules),
            effects: Arc::clone(&world.effects),
            runner: Arc::clone(&world.runner),
            stored: Remembered::default(),
            kept: Remembered::default(),
            gits: Semaphore::new(GITS),
            folders: FolderTurns::default(),
            withdrawn: Remembered::default(),
        }
    }
}

/// A bounded set of what was seen.
#[derive(Debug)]
pub(super) struct Remembered<T>(Mutex<HashSet<T>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::new(HashSet::new()))
    }
}

impl<T: std::hash::Hash + Eq> Remembered<T> {
    pub(super) fn has(&self, what: &T) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(what)
    }

    pub(super) fn add(&self, what: T) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        seen.insert(what);
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Runs until the driver is gone.
pub(super) async fn run<J: Journal, B: Bus>(
    hands: Arc<Hands<J, B>>,
    mut orders: mpsc::Receiver<Order>,
    inputs: mpsc::Sender<Input>,
) {
    let mut lanes = Lanes::new();
    let (mut work, mut effects) = (Crew::new(ACTIVE), Crew::new(EFFECTS));
    loop {
        for crew in [&mut work, &mut effects] {
            while let Some(next) = crew.next(&mut lanes) {
                crew.active.spawn(perform_one(Arc::clone(&hands), next, inputs.clone()));
            }
        }
        tokio::select! {
            order = orders.recv() => match order {
                None => return,
                Some(Order::ForgetObjects) => hands.stored.forget(),
                Some(Order::Perform(next)) => match lanes.get_mut(&next.lane) {
                    Some(queue) => queue.push_back(next),
                    None => {
                        let crew = if matches!(next.lane, Lane::Effect(_)) { &mut effects } else { &mut work };
                        crew.waiting.push_back(next.lane.clone());
                        lanes.insert(next.lane.clone(), VecDeque::from([next]));
                    }
                },
            },
            Some(done) = work.active.join_next() => work.over(done, &mut lanes),
            Some(done) = effects.active.join_next() => effects.over(done, &mut lanes),
        }
    }
}

/// What waits in each lane, also in those where something is performed.
type Lanes = HashMap<Lane, VecDeque<Box<Work>>>;

/// What is performed within one limit.
struct Crew {
    /// Lanes in which something waits and nothing is performed.
    waiting: VecDeque<Lane>,
    active: JoinSet<Lane>,
    most: usize,
}

impl Crew {
    fn new(most: usize) -> Self {
        Self { waiting: VecDeque::new(), active: JoinSet::new(), most }
    }

    /// What to begin now.
    fn next(&mut self, lanes: &mut Lanes) -> Option<Box<Work>> {
        while self.active.len() < self.most {
            let lane = self.waiting.pop_front()?;
            if let Some(work) = lanes.get_mut(&lane).and_then(VecDeque::pop_front) {
                return Some(work);
            }
        }
        None
    }

    fn over(&mut self, done: Result<Lane, JoinError>, lanes: &mut Lanes) {
        // Only a stopping runtime cancels them; a panic is caught where the command is performed.
        let Ok(lane) = done else { return };
        if lanes.get(&lane).is_some_and(VecDeque::is_empty) {
            lanes.remove(&lane);
        } else {
            self.waiting.push_back(lane);
        }
    }
}

async fn perform_one<J: Journal, B: Bus>(
    hands: Arc<Hands<J, B>>,
    work: Box<Work>,
    inputs: mpsc::Sender<Input>,
) -> Lane {
    let Work { key, id, project_id, lane, act } = *work;
    let mut pause = PAUSE.0;
    let (mut tries, mut panics) = (0, 0);
    let fact = loop {
        tries += 1;
        // A bug in one command must not keep the rest of its lane from being performed.
        match AssertUnwindSafe(perform::act(&hands, project_id, id, &act, tries)).catch_unwind().await {
            Ok(Ok(fact)) => break fact,
            Ok(Err(again)) => {
                tracing::warn!(project.id = %project_id, error = %again, tries, "command not performed, trying again");
            }
            Err(_) if panics < PANICS => {
                panics += 1;
                tracing::error!(project.id = %project_id, ?lane, panics, "command panicked, trying again");
            }
            Err(_) => {
                // Nothing is answered: its row stays in the outbox, and the next start tries again.
                tracing::error!(project.id = %project_id, ?lane, "command panicked again and is left undone");
                return lane;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    };
    let fact = fact.map(|(fact, detail)| (Box::new(fact), detail.map(Box::new)));
    // The driver may be gone; then the row stays in the outbox.
    drop(inputs.send(Input::Answer(Answer { key, project_id, fact })).await);
    lane
}
