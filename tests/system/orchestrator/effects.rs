//! Effects: asked for by an agent (a simulated host plays it), decided by a person, run by `baton serve`, which is killed
//! before, while and after it does so.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc};

use bus_schemas::v1::{
    agent::Pause,
    api::{ApprovalView, Capability, DecisionRequest, NewProject, PlanSource, ProjectView, Risk},
    approval::Verdict,
    project::ProjectState,
};
use futures::StreamExt as _;
use harness::{
    hostsim::{Ending, HostSim, Played},
    nats::NatsServer,
    serve::Serve,
    wait,
};

use super::{agents::player, rig::PATIENCE};

const PLAN: &str = "version: 1\ntitle: effects\napproval: auto\ntasks:\n  - { id: one, agent: { instructions: do it }, checks: ['true'] }\n";

/// What the agent asks for in its attempts, one after the other; then it hands off.
struct World {
    serve: Serve,
    _host: HostSim,
    _nats: NatsServer,
    /// Where the effect runs.
    work: tempfile::TempDir,
}

impl World {
    /// The notes of every attempt go into `told`.
    async fn new(asks: &'static [&'static str], told: &Arc<std::sync::Mutex<Vec<String>>>) -> Self {
        let nats = NatsServer::start().await;
        let work = tempfile::tempdir().expect("a folder");
        // It counts, and goes on when it may.
        let script = "#!/bin/sh\necho run >> runs\nwhile [ ! -e go ]; do sleep 0.05; done\nprintf 'counted <%s> for %s\\n' \"$1\" \"$WHO\"\n";
        let file = work.path().join("count.sh");
        fs::write(&file, script).expect("a script");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("make it a program");
        let serve = Serve::new(&nats.url(), &config(&work, "1h"));
        let told = Arc::clone(told);
        let play = player(move |played: Played| {
            let notes = played.offer.notes.last().map(|note| note.text.clone()).unwrap_or_default();
            told.lock().expect("no panic").push(notes);
            let effects = played.work().map(|work| work.effects.clone()).unwrap_or_default();
            async move {
                assert_eq!(effects.iter().map(|effect| effect.name.as_str()).collect::<Vec<_>>(), ["count"]);
                let number = played.offer.attempt.number as usize;
                asks.get(number - 1).map_or_else(|| played.handoff(), |word| Ending::Paused(asks_for(word)))
            }
        });
        let host = HostSim::playing(&nats.bus().await, 1, play).await;
        let mut world = Self { serve, _host: host, _nats: nats, work };
        world.serve.start().await;
        world
    }

    async fn project(&self) -> ProjectView {
        let plan = PlanSource { file: "plan.yaml".to_owned(), text: PLAN.to_owned(), ..PlanSource::default() };
        let folder = self.serve.folder().display().to_string();
        let new = NewProject { plan, folder, owner: "tester".to_owned(), ..NewProject::default() };
        self.serve.client().create_project(&new).await.expect("a project")
    }

    /// The request that waits.
    async fn asked(&self) -> ApprovalView {
        let listed = wait::until("somebody to be asked", PATIENCE, || async {
            self.serve.client().approvals(false).await.ok()?.pop()
        });
        let id = listed.await.approval_id.to_string();
        self.serve.client().approval(&id).await.expect("the request")
    }

    async fn decide(&self, view: &ApprovalView, verdict: Verdict, note: &str) {
        let request = DecisionRequest {
            verdict,
            digest: view.digest.clone(),
            by: "ann".to_owned(),
            channel: "cli".to_owned(),
            note: note.to_owned(),
            remember: None,
        };
        self.serve.client().decide(&view.approval_id.to_string(), &request).await.expect("a decision");
    }

    /// How often it ran.
    fn runs(&self) -> usize {
        fs::read_to_string(self.work.path().join("runs")).unwrap_or_default().lines().count()
    }

    async fn killed(&mut self) {
        self.serve.kill();
        self.serve.start().await;
    }

    async fn finished(&self, project: &ProjectView) -> Vec<String> {
        let id = project.project_id.to_string();
        let view = wait::until("the project to be final", PATIENCE, || async {
            self.serve.client().project(&id).await.ok().filter(|view| view.state.is_final())
        });
        let view = view.await;
        assert_eq!(view.state, ProjectState::Completed, "{view:?}");
        let report = self.serve.client().rebuild().await.expect("a rebuild");
        assert_eq!(report.differences, 0, "the live projections are the rebuilt ones");
        let feed: Vec<_> = self.serve.client().feed(&id, 0).await.expect("a feed").collect().await;
        let events = feed.into_iter().map(|event| event.expect("an event"));
        events.filter(|event| event.kind.starts_with("effect.")).map(|event| event.text).collect()
    }
}

fn config(work: &tempfile::TempDir, timeout: &str) -> String {
    let folder: PathBuf = work.path().to_owned();
    format!(
        "[models]\ndefault = \"anthropic/claude-sonnet-4-5\"\n[effects.count]\nabout = \"Counts.\"\nrun = [\"./count.sh\", \"{{word}}\"]\n\
         folder = {folder:?}\ntimeout = \"{timeout}\"\nparameters = {{ word = {{ about = \"What.\", pattern = '^.+$' }} }}\n"
    )
}

fn asks_for(word: &str) -> Pause {
    let arguments = BTreeMap::from([("word".to_owned(), word.to_owned())]);
    let capability = Capability::Effect { name: "count".to_owned(), arguments };
    Pause::Capability { capability, reason: "everything is ready".to_owned() }
}

#[tokio::test]
async fn an_approved_effect_runs_once_whenever_the_orchestrator_is_killed() {
    const WORD: &str = "$(id); rm -rf *";
    let told = Arc::default();
    let mut world = World::new(&[WORD, WORD], &told).await;
    let project = world.project().await;
    let asked = world.asked().await;
    assert_eq!(asked.route.risk, Risk::High);
    let shown = asked.capability.as_ref().and_then(|wanted| wanted.effect.clone()).expect("what would be run");
    assert_eq!(shown.argv, ["./count.sh", WORD]);

    // Before: what waits is still there, and nothing ran.
    world.killed().await;
    assert_eq!((world.asked().await.digest, world.runs()), (asked.digest.clone(), 0));
    world.decide(&asked, Verdict::Approved, "").await;
    wait::until("it to run", PATIENCE, || async { (world.runs() == 1).then_some(()) }).await;

    // While it runs: it is not run again, and a person is asked.
    world.killed().await;
    let question = world.asked().await;
    let text = question.question.clone().expect("a question");
    assert!(text.by_baton && text.question.contains("whether it happened is not known"), "{text:?}");
    assert!(text.question.contains("It ran: ./count.sh \"$(id); rm -rf *\"\n"), "{text:?}");
    fs::write(world.work.path().join("go"), "").expect("let it go on");
    world.decide(&question, Verdict::Approved, "It happened.").await;

    // The same is asked for again, and asked about again.
    let again = world.asked().await;
    assert_eq!(again.capability.as_ref().and_then(|wanted| wanted.effect.clone()), Some(shown));
    assert_eq!(world.runs(), 1);
    world.decide(&again, Verdict::Approved, "").await;
    let said = world.finished(&project).await;
    assert_eq!(
        said,
        [
            "the effect count for one is started",
            "the effect count for one was started and its end was not seen: it is not run again; a person is asked",
            "the effect count for one is started",
            "the effect count for one ended with exit code 0",
        ]
    );
    assert_eq!(world.runs(), 2, "once for each approval");

    // After: nothing is left to do.
    world.killed().await;
    assert_eq!((world.finished(&project).await.len(), world.runs()), (4, 2));
    let told = told.lock().expect("no panic").clone();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[1].ends_with("The answer: It happened."), "{told:?}");
    assert!(told[2].ends_with(&format!("\ncounted <{WORD}> for")), "{told:?}");
}

#[tokio::test]
async fn what_is_refused_changed_or_makes_no_sense_is_not_run() {
    let told = Arc::default();
    let mut world = World::new(&["-x", "no", "changed"], &told).await;
    let project = world.project().await;
    // Nobody is asked about the first one.
    let asked = world.asked().await;
    let shown = asked.capability.as_ref().and_then(|wanted| wanted.effect.clone()).expect("what would be run");
    assert_eq!(shown.argv, ["./count.sh", "no"]);
    world.decide(&asked, Verdict::Rejected, "not today").await;
    let asked = wait::until("the next one to be asked about", PATIENCE, || async {
        let next = world.asked().await;
        (next.approval_id != asked.approval_id).then_some(next)
    })
    .await;
    world.serve.stop().await;
    fs::write(world.serve.home().join("config/baton.toml"), config(&world.work, "2h")).expect("another definition");
    world.serve.start().await;
    world.decide(&asked, Verdict::Approved, "").await;
    let said = world.finished(&project).await;
    let wanted = "the effect count for one is not started, its approval is void: its definition was changed since people were asked; \
                  ask again if it is still needed";
    assert_eq!(said, [wanted]);
    let told = told.lock().expect("no panic").clone();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(
        told[1].contains("nobody was asked, and nothing was done: `word` is \"-x\": a value does not begin"),
        "{told:?}"
    );
    assert!(told[2].contains("not allowed, and nothing was done: not today"), "{told:?}");
    assert!(told[3].contains("the approval is void and nothing was done"), "{told:?}");
    assert_eq!(world.runs(), 0);
}
