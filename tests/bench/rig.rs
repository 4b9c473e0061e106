//! An orchestrator in this process, on a real nats-server, with a folder to work on.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use bus_schemas::v1::{
    api::{FeedEvent, NewProject, PlanSource, ProjectView},
    project::ProjectState,
};
use futures::{Stream, StreamExt as _};
use harness::nats::NatsServer;
use orchestrator::{
    port::Service as _,
    service::{Orchestrator, OrchestratorOptions, Running, start},
};
use tempfile::TempDir;

/// Far longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked whether everything is done.
const LOOK: Duration = Duration::from_millis(20);

/// The orchestrator, its bus and its folders.
pub struct Rig {
    pub service: Orchestrator,
    pub nats: NatsServer,
    running: Running,
    home: TempDir,
}

impl Rig {
    /// Everything new.
    pub async fn start() -> Result<Self> {
        let nats = NatsServer::start().await;
        let home = tempfile::tempdir()?;
        fs::create_dir_all(home.path().join("folder"))?;
        fs::write(home.path().join("folder/hello.txt"), "hello\n")?;
        let options = OrchestratorOptions::new(home.path().join("data"), nats.options());
        let (service, running) = start(options).await?;
        Ok(Self { service, nats, running, home })
    }

    /// Starts a project.
    pub async fn project(&self, plan: String) -> Result<ProjectView> {
        let new = NewProject {
            plan: PlanSource { file: "plan.yaml".to_owned(), text: plan, scripts: BTreeMap::new(), folder: None },
            folder: self.home.path().join("folder").display().to_string(),
            owner: "bench".to_owned(),
            approve_plan: false,
            ..NewProject::default()
        };
        match self.service.create_project(new).await {
            Ok(view) => Ok(view),
            Err(problem) => bail!("start a project: {problem:?}"),
        }
    }

    /// The project's feed, from its beginning.
    pub async fn feed(&self, project: &ProjectView) -> Result<impl Stream<Item = FeedEvent> + Send + use<>> {
        let id = project.project_id.to_string();
        match self.service.feed(&id, 0).await {
            Ok(feed) => Ok(feed.boxed()),
            Err(problem) => bail!("read the feed: {problem:?}"),
        }
    }

    /// How many records the project's journal has.
    pub async fn records(&self, project: &ProjectView) -> Result<usize> {
        match self.service.journal(&project.project_id.to_string()).await {
            Ok(records) => Ok(records.len()),
            Err(problem) => bail!("read the journal: {problem:?}"),
        }
    }

    /// Waits for the project's end, which must be a good one.
    pub async fn finished(&self, project: &ProjectView) -> Result<()> {
        let feed = self.feed(project).await?;
        let last = tokio::time::timeout(PATIENCE, feed.fold(None, |_, event| async { Some(event) })).await?;
        let last = last.context("an empty feed")?;
        ensure!(last.project_state == ProjectState::Completed, "the project ended badly: {last:?}");
        Ok(())
    }

    /// Waits until no project is open; looked at now and then, so that looking costs little.
    pub async fn all_finished(&self) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.service.health().await {
                Ok(health) if health.open_projects == 0 => return Ok(()),
                Ok(_) => tokio::time::sleep(LOOK).await,
                Err(problem) => bail!("ask for the health: {problem:?}"),
            }
        }
        bail!("projects are still open")
    }

    /// A place for the API's socket.
    pub fn socket(&self) -> PathBuf {
        self.home.path().join("run/baton.sock")
    }

    /// Ends the orchestrator, then its bus.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}
