//! Putting the orchestrator together, and taking it down.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use bus_schemas::nats::{BusOptions, ConnectError};

use super::orchestrator::Orchestrator;
use crate::{
    adapter::{
        bus::{self, Link},
        clock::{RandomIds, SystemClock},
        effects::Processes,
        shadow::{FolderLimits, ShadowRepos},
        shelf::Shelf,
        sqlite::{OpenError, Store},
    },
    driver::{self, FolderTurns, Tasks, Turns, World},
    effects::Effects,
    paths::Env,
    planfile::ModelConfig,
    policy::Rules,
    port::{
        Clock, Folder, Ids, Shadow,
        journal::{Journal as _, JournalError},
        skills::SkillShelf,
    },
};

/// What an orchestrator is made of.
pub struct OrchestratorOptions {
    /// Where the database and the shadow repositories are; made if need be, used by one process at a time.
    pub data_dir: PathBuf,
    /// The bus.
    pub bus: BusOptions,
    /// How much a folder may hold.
    pub folder_limits: FolderLimits,
    /// The person's home folder, for their skills.
    pub home: Option<PathBuf>,
    /// `$XDG_DATA_HOME`, for the skills they admitted.
    pub data_home: Option<PathBuf>,
    /// Which models are configured.
    pub models: ModelConfig,
    /// People, policies and presets.
    pub rules: Rules,
    /// The bundled skills' folder.
    pub bundled_skills: Option<PathBuf>,
    /// What may be done outside.
    pub effects: Effects,
    /// The environment whose variables effects may be given.
    pub env: Env,
    /// What must not be seen in what effects print.
    pub secrets: Vec<String>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

impl OrchestratorOptions {
    /// The usual options, with the machine's clock.
    #[must_use]
    pub fn new(data_dir: PathBuf, bus: BusOptions) -> Self {
        Self {
            data_dir,
            bus,
            folder_limits: FolderLimits::default(),
            home: None,
            data_home: None,
            models: ModelConfig::default(),
            rules: Rules::default(),
            bundled_skills: None,
            effects: Effects::default(),
            env: Env::new(),
            secrets: Vec::new(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
        }
    }
}

impl std::fmt::Debug for OrchestratorOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrchestratorOptions")
            .field("data_dir", &self.data_dir)
            .field("url", &self.bus.url)
            .finish_non_exhaustive()
    }
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The bus.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The journal.
    #[error("load the journal")]
    Journal(#[from] JournalError),
    /// The hosts.
    #[error("listen to hosts: {0}")]
    Listen(String),
}

/// What runs behind an [`Orchestrator`].
#[derive(Debug)]
pub struct Running {
    tasks: Tasks,
    link: Link,
}

impl Running {
    /// Lets the driver finish its turn and ends everything. What is not performed stays in the outbox for the next start;
    /// the data directory is free once the last [`Orchestrator`] is dropped, too.
    pub async fn stop(self) {
        self.tasks.stop().await;
        self.link.stop();
    }
}

/// Opens the journal, connects to the bus, loads what is open and goes on with it.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn start(options: OrchestratorOptions) -> Result<(Orchestrator, Running), StartError> {
    let store = Store::open(&options.data_dir, options.ids.next())?;
    let shadow = Arc::new(ShadowRepos::new(options.data_dir.join("shadow"), options.folder_limits));
    let bus = bus::connect(&options.bus, Arc::clone(&options.clock)).await?;
    if store.is_stale().await? {
        // Made by an earlier program, which derived other columns.
        let report = store.rebuild(driver::projector()).await?;
        tracing::info!(records = report.journal_entries, "projections are derived anew");
    }
    let shelf = Arc::new(Shelf {
        kept: options.data_dir.join("skills"),
        home: options.home,
        data_home: options.data_home,
        bundled: options.bundled_skills,
    });
    let models = Arc::new(options.models);
    let rules = Arc::new(options.rules);
    let clock = options.clock;
    let world = World {
        journal: store.clone(),
        bus: bus.clone(),
        shadow: Arc::clone(&shadow) as Arc<dyn Shadow>,
        folder: Arc::clone(&shadow) as Arc<dyn Folder>,
        clock: Arc::clone(&clock),
        ids: Arc::clone(&options.ids),
        shelf: Arc::clone(&shelf) as Arc<dyn SkillShelf>,
        models: Arc::clone(&models),
        rules: Arc::clone(&rules),
        effects: Arc::new(options.effects.with_secrets(options.secrets.clone())),
        runner: Arc::new(Processes::new(options.data_dir.join("effects"), options.env, options.secrets)),
        installation: store.installation(),
    };
    let (handle, wires, tasks) = driver::start(world).await?;
    let orchestrator = Orchestrator {
        store,
        handle,
        bus: bus.clone(),
        shadow,
        ids: Arc::clone(&options.ids),
        shelf,
        models,
        rules,
        data_dir: options.data_dir,
        clock: Arc::clone(&clock),
        applying: Arc::new(FolderTurns::default()),
        starting: Arc::new(Turns::default()),
        mail: Arc::new(OnceLock::new()),
    };
    let link = match Link::start(&bus, wires.inbound, wires.intake, orchestrator.clone(), clock, options.ids).await {
        Ok(link) => link,
        Err(detail) => {
            tasks.stop().await;
            return Err(StartError::Listen(detail));
        }
    };
    Ok((orchestrator, Running { tasks, link }))
}
