//! A result that changes the folder: kept in the shadow repository, shown, applied, taken back.

use std::{fs, path::Path, time::Duration};

use async_nats::jetstream::consumer::pull;
use bus_schemas::{
    envelope::{Envelope, Message},
    id::{ClaimNonce, HostId, MessageId},
    nats::{self, Bus, Expect},
    stream,
    subject::{self, EventKind, PoolName},
    v1::{
        api::{ApplyRequest, Problem, UndoRequest},
        handoff::{Handoff, Isolation, Usage},
        host::Beat,
        project::ProjectState,
        task::{Claimed, HandoffReady, Offer},
    },
};
use futures::StreamExt as _;
use harness::{hostsim, nats::NatsServer, wait};
use orchestrator::{cli::Exit, port::Service as _};
use uuid::Uuid;

use super::rig::{PATIENCE, Rig, chain};

fn envelope<T: Message>(body: T) -> Envelope<T> {
    Envelope::new(MessageId::from_uuid(Uuid::now_v7()), hostsim::now(), body)
}

fn request(dry_run: bool) -> ApplyRequest {
    ApplyRequest { by: "ann".to_owned(), channel: "cli".to_owned(), dry_run }
}

/// Takes one offer and hands on the content of `changed` as a commit.
async fn work_once(bus: &Bus, changed: &Path) {
    let host_id = HostId::from_uuid(Uuid::now_v7());
    let beat = Beat {
        host_id,
        name: "hand".to_owned(),
        pool: "default".to_owned(),
        slots: 1,
        attempts: Vec::new(),
        spares: 0,
        accelerator: "none".to_owned(),
        accelerator_note: String::new(),
        isolation: Isolation::Emulated,
        problems: Vec::new(),
    };
    let payload = serde_json::to_vec(&envelope(beat)).expect("json");
    let stream = bus.jetstream().get_stream(stream::OFFERS.name).await.expect("offers");
    let config = pull::Config { filter_subject: subject::offers_of(&PoolName::default()), ..Default::default() };
    let consumer = stream.create_consumer(config).await.expect("a consumer");
    let delivery = wait::until("an offer", PATIENCE, || async {
        bus.client().publish(subject::beat(host_id), payload.clone().into()).await.expect("beat");
        let expires = Duration::from_secs(1);
        let mut batch = consumer.batch().max_messages(1).expires(expires).messages().await.expect("a batch");
        batch.next().await.and_then(Result::ok)
    })
    .await;
    let offer = nats::decode::<Offer>(&delivery.payload).expect("an offer").body;
    delivery.double_ack().await.expect("ack");
    // The stream allows one such consumer at a time.
    stream.delete_consumer(&consumer.cached_info().name).await.expect("the consumer is gone");
    let attempt = offer.attempt;
    let commit = hostsim::store(bus, attempt.project_id, changed).await;
    let nonce = ClaimNonce::from_uuid(Uuid::now_v7());
    let claim = envelope(Claimed { attempt, host_id, nonce });
    nats::publish(bus, subject::event(&attempt, EventKind::Claimed), &claim, Expect::FirstOnSubject)
        .await
        .expect("a claim");
    let handoff = Handoff {
        summary: "changed".to_owned(),
        commit,
        base_commit: offer.base_commit,
        changed_paths: Vec::new(),
        lines_added: 0,
        lines_removed: 0,
        artifacts: Vec::new(),
        result: None,
        open_questions: Vec::new(),
        report: None,
        egress: Vec::new(),
        evidence: Vec::new(),
        usage: Usage::default(),
        isolation: Isolation::Emulated,
    };
    let ready = envelope(HandoffReady { attempt, nonce, handoff });
    nats::publish(bus, subject::event(&attempt, EventKind::Handoff), &ready, Expect::Any).await.expect("a handoff");
}

#[tokio::test]
async fn a_result_is_shown_applied_once_and_taken_back() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let changed = tempfile::tempdir().expect("a temporary folder");
    fs::write(changed.path().join("hello.txt"), "hello, world\n").expect("a file");
    fs::write(changed.path().join("new.txt"), "new\n").expect("a file");
    let project = rig.project(&chain(1)).await;
    work_once(&nats.bus().await, changed.path()).await;
    let view = rig.finished(&project).await;
    assert_eq!(view.state, ProjectState::Completed, "{view:?}");

    let service = rig.service();
    let id = project.project_id.to_string();
    let paths = |changed: &[bus_schemas::v1::handoff::ChangedPath]| {
        changed.iter().map(|change| change.path.clone()).collect::<Vec<_>>()
    };
    let diff = service.diff(&id, None).await.expect("a diff");
    assert_eq!(paths(&diff.changed), ["hello.txt", "new.txt"]);
    assert!(diff.text.contains("+hello, world"), "{}", diff.text);
    assert_eq!(service.diff(&id, Some("t0")).await.expect("a diff").commit, diff.commit);

    let read = |name: &str| fs::read_to_string(rig.folder().join(name)).ok();
    let dry = service.apply(&id, request(true)).await.expect("a dry run");
    assert!(dry.dry_run && paths(&dry.changed) == ["hello.txt", "new.txt"]);
    assert_eq!(read("new.txt"), None);
    let nothing =
        service.undo(&id, UndoRequest { by: "ann".to_owned(), channel: "cli".to_owned(), force: false }).await;
    assert_eq!(nothing.expect_err("nothing applied").code, "nothing_applied");

    fs::write(rig.folder().join("mine.txt"), "mine\n").expect("a file of the person's own");
    let applied = service.apply(&id, request(false)).await.expect("an apply");
    assert!(!applied.dry_run && applied.conflicts.is_empty());
    assert_eq!((read("hello.txt").as_deref(), read("new.txt").as_deref()), (Some("hello, world\n"), Some("new\n")));
    assert!(service.project(&id).await.expect("the project").applied_at.is_some());
    assert_eq!(service.apply(&id, request(false)).await.expect_err("once").code, "already_applied");

    service
        .undo(&id, UndoRequest { by: "ann".to_owned(), channel: "cli".to_owned(), force: false })
        .await
        .expect("an undo");
    assert_eq!((read("hello.txt").as_deref(), read("new.txt")), (Some("hello\n"), None));
    assert_eq!(read("mine.txt").as_deref(), Some("mine\n"));
    assert_eq!(service.project(&id).await.expect("the project").applied_at, None);
    // What was taken back can be applied again.
    service.apply(&id, request(false)).await.expect("another apply");
    assert_eq!(read("new.txt").as_deref(), Some("new\n"));
    assert_eq!(service.rebuild().await.expect("a rebuild").differences, 0);
}

#[tokio::test]
async fn a_conflict_is_shown_and_nothing_is_written() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let changed = tempfile::tempdir().expect("a temporary folder");
    fs::write(changed.path().join("hello.txt"), "theirs\n").expect("a file");
    let project = rig.project(&chain(1)).await;
    work_once(&nats.bus().await, changed.path()).await;
    rig.finished(&project).await;
    fs::write(rig.folder().join("hello.txt"), "mine\n").expect("a change of the person's own");
    let id = project.project_id.to_string();
    let refused = rig.service().apply(&id, request(false)).await.expect("a view");
    assert!(refused.conflicts.iter().any(|conflict| conflict.path == "hello.txt"), "{refused:?}");
    assert_eq!(fs::read_to_string(rig.folder().join("hello.txt")).expect("the file"), "mine\n");
    let kinds = rig.service().journal(&id).await.expect("the journal");
    assert!(kinds.iter().all(|entry| !entry.kind.starts_with("apply")));
}

/// The folders that take the names of the writer's temporary files for `aa.txt` and `zz.txt`: no look beforehand finds
/// them, so the writing itself fails at that path.
const OBSTACLES: (&str, &str) = (".baton-tmp-03d6124db8934cb5", ".baton-tmp-5b9d676be71ad21e");

fn refused(problem: &Problem, code: &str) {
    assert_eq!((problem.code.as_str(), Exit::of_problem(&problem.code, problem.status)), (code, Exit::Refused));
    assert!(problem.hint.is_some(), "{problem:?}");
}

#[tokio::test]
async fn what_stands_in_the_way_is_said_at_once_and_wedges_nothing() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    fs::write(rig.folder().join(".gitignore"), "out\n").expect("ignore rules");
    let changed = tempfile::tempdir().expect("a temporary folder");
    fs::write(changed.path().join("hello.txt"), "hello\n").expect("a file");
    fs::write(changed.path().join("out"), "a file\n").expect("a file");
    let project = rig.project(&chain(1)).await;
    work_once(&nats.bus().await, changed.path()).await;
    rig.finished(&project).await;
    let (service, id) = (rig.service(), project.project_id.to_string());
    fs::create_dir(rig.folder().join("out")).expect("a folder");
    fs::write(rig.folder().join("out/keep"), "precious\n").expect("a file");
    for dry_run in [true, false] {
        let problem = service.apply(&id, request(dry_run)).await.expect_err("in the way");
        refused(&problem, "folder_obstructed");
        assert!(problem.detail.contains("in the folder: out"), "{problem:?}");
    }
    assert!(rig.folder().join(".gitignore").exists(), "nothing was written");
    fs::remove_dir_all(rig.folder().join("out")).expect("room");

    let applied = service.apply(&id, request(false)).await.expect("an apply");
    assert_eq!(applied.changed.len(), 2);
    assert_eq!(fs::read_to_string(rig.folder().join("out")).expect("the file"), "a file\n");
}

#[tokio::test]
async fn an_apply_that_stops_is_tried_again_goes_on_or_is_taken_back() {
    let nats = NatsServer::start().await;
    let mut rig = Rig::new(&nats).await;
    let changed = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in [("aa.txt", "a\n"), ("hello.txt", "hello, world\n"), ("zz.txt", "z\n")] {
        fs::write(changed.path().join(name), text).expect("a file");
    }
    let project = rig.project(&chain(1)).await;
    work_once(&nats.bus().await, changed.path()).await;
    rig.finished(&project).await;
    let id = project.project_id.to_string();
    let folder = rig.folder();
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let undo = || UndoRequest { by: "ann".to_owned(), channel: "cli".to_owned(), force: false };
    let untouched = || {
        assert_eq!((read("hello.txt").as_deref(), read("aa.txt"), read("zz.txt")), (Some("hello\n"), None, None));
    };

    // At the first path: not applied, nothing to take back.
    let obstacle = folder.join(OBSTACLES.0);
    fs::create_dir(&obstacle).expect("an obstacle");
    refused(&rig.service().apply(&id, request(false)).await.expect_err("in the way"), "not_applied");
    untouched();
    assert_eq!(rig.service().undo(&id, undo()).await.expect_err("nothing").code, "nothing_applied");
    fs::remove_dir(&obstacle).expect("room");

    // At the last path: half-written, and it stays so over a restart.
    let obstacle = folder.join(OBSTACLES.1);
    fs::create_dir(&obstacle).expect("an obstacle");
    let problem = rig.service().apply(&id, request(false)).await.expect_err("in the way");
    refused(&problem, "apply_unfinished");
    assert!(problem.detail.contains("zz.txt"), "{problem:?}");
    assert_eq!((read("hello.txt").as_deref(), read("zz.txt")), (Some("hello, world\n"), None));
    rig.kill();
    rig.start(&nats).await;
    refused(&rig.service().apply(&id, request(false)).await.expect_err("still"), "apply_unfinished");
    assert_eq!(rig.service().project(&id).await.expect("the project").applied_at, None);
    rig.service().undo(&id, undo()).await.expect("a half-written folder is put back");
    untouched();

    refused(&rig.service().apply(&id, request(false)).await.expect_err("again"), "apply_unfinished");
    fs::remove_dir(&obstacle).expect("room");
    let applied = rig.service().apply(&id, request(false)).await.expect("it goes on");
    assert_eq!((applied.changed.len(), read("zz.txt").as_deref()), (3, Some("z\n")));
    rig.service().undo(&id, undo()).await.expect("an undo");
    untouched();
    assert_eq!(rig.service().rebuild().await.expect("a rebuild").differences, 0);
}

#[tokio::test]
async fn two_projects_apply_to_one_folder_one_after_the_other() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let mut ids = Vec::new();
    for name in ["one.txt", "two.txt"] {
        let changed = tempfile::tempdir().expect("a temporary folder");
        fs::write(changed.path().join("hello.txt"), "hello\n").expect("a file");
        fs::write(changed.path().join(name), "new\n").expect("a file");
        let project = rig.project(&chain(1)).await;
        work_once(&nats.bus().await, changed.path()).await;
        rig.finished(&project).await;
        ids.push(project.project_id.to_string());
    }
    let service = rig.service();
    let (one, two) = tokio::join!(service.apply(&ids[0], request(false)), service.apply(&ids[1], request(false)));
    assert_eq!((one.expect("an apply").changed.len(), two.expect("an apply").changed.len()), (1, 1));
    assert!(rig.folder().join("one.txt").exists() && rig.folder().join("two.txt").exists());
}
