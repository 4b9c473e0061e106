//! Starting the driver, talking to it, stopping it.

use std::sync::Arc;

use bus_schemas::{
    id::ProjectId,
    v1::api::{HostView, RebuildReport},
};
use tokio::{
    sync::{OwnedMutexGuard, mpsc, oneshot, watch},
    task::JoinHandle,
};
use uuid::Uuid;

use super::{
    Bells, Detail,
    input::{Input, Refusal, Seen},
    outbox::{self, Hands},
    perform, run,
    run::{Driver, Parts},
    tell,
};
use crate::{
    effects::Effects,
    plan::event::Fact,
    planfile::ModelConfig,
    policy::Rules,
    port::{
        Clock, Folder, Ids, Shadow,
        bus::{Bus, Inbound, IntakeStart},
        effect::EffectRunner,
        journal::{Journal, JournalError},
        skills::SkillShelf,
    },
};

/// What the driver works with.
pub struct World<J, B> {
    /// Truth.
    pub journal: J,
    /// The bus, outwards.
    pub bus: B,
    /// The shadow repositories.
    pub shadow: Arc<dyn Shadow>,
    /// People's folders.
    pub folder: Arc<dyn Folder>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// Skills.
    pub shelf: Arc<dyn SkillShelf>,
    /// Which models are configured.
    pub models: Arc<ModelConfig>,
    /// People and policies.
    pub rules: Arc<Rules>,
    /// What may be done outside.
    pub effects: Arc<Effects>,
    /// Who does it.
    pub runner: Arc<dyn EffectRunner>,
    /// The installation's id: what ids on the bus are derived from.
    pub installation: Uuid,
}

impl<J, B> std::fmt::Debug for World<J, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("installation", &self.installation).finish_non_exhaustive()
    }
}

/// The way to a running driver. Cheap to clone.
pub struct Handle<J, B> {
    inputs: mpsc::Sender<Input>,
    bells: Bells,
    hands: Arc<Hands<J, B>>,
}

impl<J, B> Clone for Handle<J, B> {
    fn clone(&self) -> Self {
        Self { inputs: self.inputs.clone(), bells: self.bells.clone(), hands: Arc::clone(&self.hands) }
    }
}

impl<J, B> std::fmt::Debug for Handle<J, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("stopped", &self.inputs.is_closed()).finish_non_exhaustive()
    }
}

/// What the intake needs: where to begin, and whom to tell.
#[derive(Debug)]
pub struct Wires {
    /// What the bus says goes here.
    pub inbound: mpsc::Sender<Inbound>,
    /// Where to begin; changes when it must begin again.
    pub intake: watch::Receiver<IntakeStart>,
}

/// The running tasks.
#[derive(Debug)]
pub struct Tasks {
    inputs: mpsc::Sender<Input>,
    driver: JoinHandle<()>,
    helpers: Vec<JoinHandle<()>>,
}

impl Tasks {
    /// Lets the driver finish its turn, then ends the others. What they had not performed stays in the outbox.
    pub async fn stop(self) {
        // It may have ended already.
        drop(self.inputs.send(Input::Shutdown).await);
        drop(self.driver.await);
        self.helpers.iter().for_each(JoinHandle::abort);
    }
}

/// Loads what is open and starts the driver, the outbox runner and the publisher of the feed.
///
/// # Errors
/// [`JournalError`] if the journal cannot be read.
pub async fn start<J: Journal, B: Bus>(world: World<J, B>) -> Result<(Handle<J, B>, Wires, Tasks), JournalError> {
    let (inputs, waiting) = mpsc::channel(run::INPUTS);
    let (inbound, heard) = mpsc::channel(run::INBOUND);
    let (orders, taken) = mpsc::channel(outbox::QUEUE);
    let (begin, intake) = watch::channel(IntakeStart::default());
    let bells = Bells::default();
    let hands = Arc::new(Hands::new(&world));
    let World { journal, bus, clock, ids, rules, effects, installation, .. } = world;
    // The runner first: loading hands it more than its queue may hold.
    let runner = tokio::spawn(outbox::run(Arc::clone(&hands), taken, inputs.clone()));
    let parts = Parts {
        journal: journal.clone(),
        clock,
        ids,
        rules,
        effects,
        installation,
        inputs: waiting,
        inbound: heard,
        orders,
        intake: begin,
        bells: bells.clone(),
    };
    let driver = match Driver::load(parts).await {
        Ok(driver) => tokio::spawn(driver.run()),
        Err(error) => {
            runner.abort();
            return Err(error);
        }
    };
    let teller = tokio::spawn(tell::run(journal, bus, installation, bells.clone(), inputs.clone()));
    let tasks = Tasks { inputs: inputs.clone(), driver, helpers: vec![runner, teller] };
    Ok((Handle { inputs, bells, hands }, Wires { inbound, intake }, tasks))
}

impl<J: Journal, B: Bus> Handle<J, B> {
    /// Takes a fact into its project and waits until it is durable; returns its record's position, 0 if nothing changed.
    ///
    /// # Errors
    /// [`Refusal`]: it did not happen.
    pub async fn ask(&self, project_id: ProjectId, fact: Fact, detail: Option<Detail>) -> Result<u64, Refusal> {
        let (reply, answer) = oneshot::channel();
        let input = Input::Ask { project_id, fact: Box::new(fact), detail: detail.map(Box::new), reply };
        self.inputs.send(input).await.map_err(|_| Refusal::Stopped)?;
        answer.await.map_err(|_| Refusal::Stopped)?
    }

    /// A project as it is now; `None` if there is none.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn look(&self, project_id: ProjectId) -> Result<Option<Seen>, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.inputs.send(Input::Look { project_id, reply }).await.map_err(|_| Refusal::Stopped)?;
        answer.await.map_err(|_| Refusal::Stopped)?
    }

    /// The hosts that are known.
    ///
    /// # Errors
    /// [`Refusal::Stopped`].
    pub async fn hosts(&self) -> Result<Vec<HostView>, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.inputs.send(Input::Hosts(reply)).await.map_err(|_| Refusal::Stopped)?;
        answer.await.map_err(|_| Refusal::Stopped)
    }

    /// Derives the projections anew; nothing else moves meanwhile.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn rebuild(&self) -> Result<RebuildReport, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.inputs.send(Input::Rebuild(reply)).await.map_err(|_| Refusal::Stopped)?;
        Ok(answer.await.map_err(|_| Refusal::Stopped)??)
    }

    /// Sees to it that a commit is in the shadow repository.
    ///
    /// # Errors
    /// A sentence, if it cannot be brought there now.
    pub async fn keep(&self, project_id: ProjectId, commit: &str) -> Result<(), String> {
        perform::keep(&self.hands, project_id, commit).await.map_err(|e| e.to_string())
    }

    /// Holds the folder: nothing is written into it by the driver until the guard is dropped.
    pub async fn hold_folder(&self, folder: &str) -> OwnedMutexGuard<()> {
        self.hands.folders.turn(folder).await
    }

    /// Withdraws the writing that a record asked for. Only while its folder is held: then it has happened, or it never will.
    pub fn withdraw(&self, seq: u64) {
        self.hands.withdrawn.add(seq);
    }

    /// The bells of feed readers.
    #[must_use]
    pub const fn bells(&self) -> &Bells {
        &self.bells
    }
}
