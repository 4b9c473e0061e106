//! An orchestrator with its own data directory and folder, that can be taken down hard and started again.

use std::{fs, path::PathBuf, time::Duration};

use bus_schemas::v1::{
    api::{FeedEvent, NewProject, PlanSource, ProjectView},
    project::ProjectState,
};
use futures::StreamExt as _;
use harness::{nats::NatsServer, wait};
use orchestrator::{
    policy::Rules,
    port::Service as _,
    service::{Orchestrator, OrchestratorOptions, start},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Long enough for a busy machine; only a broken test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Rig {
    home: TempDir,
    rules: Rules,
    /// The orchestrator's own runtime: dropping it is the nearest thing to a kill that a test can do within a process.
    running: Option<(Runtime, Orchestrator)>,
}

impl Rig {
    pub(crate) async fn new(nats: &NatsServer) -> Self {
        Self::under(nats, Rules::default()).await
    }

    /// With these people and policies.
    pub(crate) async fn under(nats: &NatsServer, rules: Rules) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(home.path().join("folder")).expect("the project's folder");
        fs::write(home.path().join("folder/hello.txt"), "hello\n").expect("a file");
        let mut rig = Self { home, rules, running: None };
        rig.start(nats).await;
        rig
    }

    pub(crate) fn service(&self) -> &Orchestrator {
        &self.running.as_ref().expect("a running orchestrator").1
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().join("folder")
    }

    /// The person's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().join("home")
    }

    /// Starts it; the data directory may still be held by the one before for a moment.
    pub(crate) async fn start(&mut self, nats: &NatsServer) {
        let data = self.home.path().join("data");
        let home = self.home();
        let (options, rules) = (nats.options(), self.rules.clone());
        let running = wait::until("the data directory to be free", PATIENCE, || {
            let (data, options, home, rules) = (data.clone(), options.clone(), home.clone(), rules.clone());
            async move {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .expect("a runtime");
                let mut options = OrchestratorOptions::new(data, options);
                options.models.models.default = Some("anthropic/claude-sonnet-4-5".to_owned());
                options.home = Some(home.clone());
                options.rules = rules;
                let started = runtime.spawn(start(options)).await.expect("no panic");
                match started {
                    Ok((service, running)) => {
                        // Never stopped in order: the tests take it down hard.
                        drop(running);
                        Some((runtime, service))
                    }
                    Err(orchestrator::service::StartError::Open(_)) => {
                        runtime.shutdown_background();
                        None
                    }
                    Err(error) => panic!("the orchestrator does not start: {error:?}"),
                }
            }
        })
        .await;
        self.running = Some(running);
    }

    /// Takes it down without letting it finish anything.
    pub(crate) fn kill(&mut self) {
        if let Some((runtime, service)) = self.running.take() {
            runtime.shutdown_background();
            drop(service);
        }
    }

    /// Starts a project whose plan needs nobody.
    pub(crate) async fn project(&self, plan: &str) -> ProjectView {
        self.service().create_project(self.new_project(plan)).await.expect("a project")
    }

    pub(crate) fn new_project(&self, plan: &str) -> NewProject {
        NewProject {
            plan: PlanSource {
                file: "plan.yaml".to_owned(),
                text: plan.to_owned(),
                scripts: std::collections::BTreeMap::new(),
                folder: None,
            },
            folder: self.folder().display().to_string(),
            owner: "tester".to_owned(),
            approve_plan: false,
            ..NewProject::default()
        }
    }

    /// Waits until the project is final.
    pub(crate) async fn finished(&self, project: &ProjectView) -> ProjectView {
        let id = project.project_id.to_string();
        wait::until("the project to be final", PATIENCE, || async {
            let view = self.service().project(&id).await.expect("the project");
            view.state.is_final().then_some(view)
        })
        .await
    }

    /// Waits until so many tasks are done.
    pub(crate) async fn done(&self, project: &ProjectView, count: u32) {
        let id = project.project_id.to_string();
        wait::until("tasks to be done", PATIENCE, || async {
            let view = self.service().project(&id).await.expect("the project");
            (view.counts.get("completed").copied().unwrap_or(0) >= count).then_some(())
        })
        .await;
    }

    /// The whole feed of a final project.
    pub(crate) async fn feed(&self, project: &ProjectView) -> Vec<FeedEvent> {
        self.service().feed(&project.project_id.to_string(), 0).await.expect("a feed").collect().await
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A chain of tasks, each with a check.
pub(crate) fn chain(length: usize) -> String {
    let mut plan = "version: 1\ntitle: chain\napproval: auto\ntasks:\n".to_owned();
    for number in 0..length {
        let needs = number.checked_sub(1).map(|before| format!(" needs: [t{before}],")).unwrap_or_default();
        plan.push_str(&format!("  - {{ id: t{number},{needs} run: 'true', checks: ['true'] }}\n"));
    }
    plan
}

/// Checks what must hold of every finished project.
pub(crate) async fn assert_sound(rig: &Rig, view: &ProjectView) {
    assert_eq!(view.state, ProjectState::Completed, "{view:?}");
    let feed = rig.feed(view).await;
    assert!(feed.windows(2).all(|pair| matches!(pair, [a, b] if a.sequence < b.sequence)), "the feed is in order");
    let journal = rig.service().journal(&view.project_id.to_string()).await.expect("the journal");
    assert_eq!(feed.len(), journal.len(), "one feed event per record");
    let versions: Vec<u64> = journal.iter().map(|entry| entry.version).collect();
    assert_eq!(versions, (1..=journal.len() as u64).collect::<Vec<_>>(), "no record is missing");
    let handoffs = journal.iter().filter(|entry| entry.kind == "handoff_received").count();
    assert_eq!(handoffs, view.tasks.len(), "one accepted handoff per task");
    let report = rig.service().rebuild().await.expect("a rebuild");
    assert_eq!(report.differences, 0, "the live projections are the rebuilt ones");
    assert!(report.journal_entries >= journal.len() as u64 && report.rows > report.journal_entries);
}
