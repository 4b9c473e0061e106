//! Kills, wipes, duplicates and rubbish.

use std::{path::Path, time::Duration};

use bus_schemas::{
    id::{AttemptRef, ClaimNonce, HostId, TaskId},
    subject::{self, EventKind},
    v1::api::NewProject,
};
use harness::{hostsim::HostSim, nats::NatsServer, wait};
use orchestrator::{
    adapter::web::{Listeners, serve},
    port::Service as _,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::rig::{PATIENCE, Rig, assert_sound, chain};

#[tokio::test]
async fn a_killed_orchestrator_goes_on_where_it_was() {
    let nats = NatsServer::start().await;
    let mut rig = Rig::new(&nats).await;
    let _host = HostSim::start(&nats.bus().await, 2).await;
    let project = rig.project(&chain(60)).await;
    for done in [5, 20, 40] {
        rig.done(&project, done).await;
        rig.kill();
        rig.start(&nats).await;
    }
    let view = rig.finished(&project).await;
    assert_sound(&rig, &view).await;
}

#[tokio::test]
async fn what_starts_a_project_starts_one_whatever_happens_between() {
    let nats = NatsServer::start().await;
    let mut rig = Rig::new(&nats).await;
    let _host = HostSim::start(&nats.bus().await, 2).await;
    let new = |title: &str, key: &str| {
        let plan = format!(
            "version: 1\ntitle: {title}\napproval: auto\ntasks:\n  - {{ id: a, run: 'true', checks: ['true'] }}\n"
        );
        NewProject { key: Some(key.to_owned()), ..rig.new_project(&plan) }
    };
    let mail = NewProject { channel: "email".to_owned(), ..new("first", "email:1") };
    let other = new("other", "cli:1");
    let foreign = new("foreign", "slack:1");
    // Twice at the same time, as after an answer that was lost.
    let service = rig.service();
    let (one, two) = tokio::join!(service.create_project(mail.clone()), service.create_project(mail.clone()));
    let (one, two) = (one.expect("a project"), two.expect("the same project"));
    assert_eq!(one.project_id, two.project_id);
    let view = rig.finished(&one).await;
    assert_sound(&rig, &view).await;
    rig.kill();
    rig.start(&nats).await;
    // `assert_sound` derived everything anew, and the program was ended since.
    let mut again = mail;
    again.plan.text = again.plan.text.replace("first", "second");
    let again = rig.service().create_project(again).await.expect("the same project");
    assert_eq!((again.project_id, again.title.as_str()), (one.project_id, "first"));
    let other = rig.service().create_project(other).await.expect("another project");
    assert_ne!(other.project_id, one.project_id);
    let refused = rig.service().create_project(foreign).await.expect_err("a key of another channel");
    assert_eq!(refused.code, "bad_key");
    assert_eq!(rig.service().projects().await.expect("the projects").len(), 2);
}

#[tokio::test]
async fn whoever_goes_away_while_a_project_is_started_finds_it_and_says_yes_to_it_later() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let _host = HostSim::start(&nats.bus().await, 2).await;
    let plan = "version: 1\ntitle: t\ntasks:\n  - { id: a, run: 'true', checks: ['true'] }\n";
    let new = NewProject { key: Some("cli:1".to_owned()), ..rig.new_project(plan) };
    {
        let mut start = std::pin::pin!(rig.service().create_project(new.clone()));
        assert!(futures::poll!(&mut start).is_pending());
        // The connection breaks.
    }
    let begun =
        wait::until("the project", PATIENCE, || async { rig.service().projects().await.expect("projects").pop() });
    let project_id = begun.await.project_id;
    let (found, is_new) = rig.service().start_project(new.clone()).await.expect("the same project");
    assert_eq!((found.project_id, is_new, found.pending_approvals.len()), (project_id, false, 1));
    let yes = NewProject { approve_plan: true, ..new.clone() };
    let (found, is_new) = rig.service().start_project(yes.clone()).await.expect("the same project");
    assert_eq!((found.project_id, is_new), (project_id, false));
    let view = rig.finished(&found).await;
    assert_sound(&rig, &view).await;
    rig.service().start_project(yes).await.expect("to say it once more changes nothing");
    // Over HTTP: 201 for what is new, 200 for what was there.
    let (socket, shutdown) = (rig.home().with_extension("sock"), CancellationToken::new());
    let listeners = Listeners::bind(&socket, None).await.expect("a socket");
    let server = tokio::spawn(serve(listeners, rig.service().clone(), None, shutdown.clone()));
    assert!(posted(&socket, &new).await.starts_with("HTTP/1.1 200 "));
    let other = NewProject { key: Some("cli:2".to_owned()), ..new.clone() };
    assert!(posted(&socket, &other).await.starts_with("HTTP/1.1 201 "));
    assert!(posted(&socket, &other).await.starts_with("HTTP/1.1 200 "));
    shutdown.cancel();
    server.await.expect("no panic").expect("served");
}

/// What a server answers to `POST /v1/projects`.
async fn posted(socket: &Path, new: &NewProject) -> String {
    let body = serde_json::to_string(new).expect("JSON");
    let head = "POST /v1/projects HTTP/1.1\r\nHost: baton\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let mut stream = UnixStream::connect(socket).await.expect("a server");
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test]
async fn a_killed_nats_server_costs_nothing() {
    let mut nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let _host = HostSim::start(&nats.bus().await, 2).await;
    let project = rig.project(&chain(60)).await;
    for done in [5, 30] {
        rig.done(&project, done).await;
        nats.restart().await;
    }
    let view = rig.finished(&project).await;
    assert_sound(&rig, &view).await;
}

#[tokio::test]
async fn a_bus_that_lost_its_store_is_filled_again() {
    let mut nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    // Nobody takes the first offer, so it is in the store when that goes.
    let beats = beat_for_ever(&nats).await;
    let project = rig.project(&chain(3)).await;
    wait::until("the first attempt to be offered", PATIENCE, || async {
        let view = rig.service().project(&project.project_id.to_string()).await.expect("the project");
        (view.counts.get("submitted") == Some(&1)).then_some(())
    })
    .await;
    beats.abort();
    nats.kill();
    std::fs::remove_dir_all(nats.store().join("store")).expect("wipe the store");
    nats.restart().await;
    // The orchestrator makes the streams anew and offers again.
    let bus = nats.bus().await;
    let _host = HostSim::start(&bus, 2).await;
    let view = rig.finished(&project).await;
    assert_sound(&rig, &view).await;
}

#[tokio::test]
async fn rubbish_is_set_aside_and_foreign_facts_change_nothing() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let bus = nats.bus().await;
    let project = rig.project(&chain(1)).await;
    let task_id = project.tasks[0].task_id;
    let attempt = AttemptRef { project_id: project.project_id, task_id, number: 1 };
    let other = AttemptRef { task_id: TaskId::from_uuid(Uuid::now_v7()), ..attempt };
    let claim = |attempt| {
        let body = bus_schemas::v1::task::Claimed {
            attempt,
            host_id: HostId::from_uuid(Uuid::now_v7()),
            nonce: ClaimNonce::from_uuid(Uuid::now_v7()),
        };
        let id = bus_schemas::id::MessageId::from_uuid(Uuid::now_v7());
        serde_json::to_vec(&bus_schemas::envelope::Envelope::new(id, harness::hostsim::now(), body)).expect("json")
    };
    let subject = subject::event(&attempt, EventKind::Claimed);
    for payload in [b"not json".to_vec(), claim(other), claim(attempt)] {
        let ack = bus.jetstream().publish(subject.clone(), payload.into()).await.expect("publish");
        ack.await.expect("stored");
    }
    wait::until("two messages to be set aside", PATIENCE, || async {
        (rig.service().health().await.expect("health").dead_letters == 2).then_some(())
    })
    .await;
    // The claim of an attempt that was never offered is stale.
    let view = rig.service().project(&project.project_id.to_string()).await.expect("the project");
    assert_eq!(view.tasks[0].attempt, 0);
    assert!(view.tasks[0].host_id.is_none());
}

/// A host that only beats: its slots are offered to and never used.
async fn beat_for_ever(nats: &NatsServer) -> tokio::task::JoinHandle<()> {
    use bus_schemas::v1::{handoff::Isolation, host::Beat};
    let bus = nats.bus().await;
    let host_id = HostId::from_uuid(Uuid::now_v7());
    let body = Beat {
        host_id,
        name: "idle".to_owned(),
        pool: "default".to_owned(),
        slots: 1,
        attempts: Vec::new(),
        spares: 0,
        accelerator: "none".to_owned(),
        accelerator_note: String::new(),
        isolation: Isolation::Emulated,
        problems: Vec::new(),
    };
    let id = bus_schemas::id::MessageId::from_uuid(Uuid::now_v7());
    let envelope = bus_schemas::envelope::Envelope::new(id, harness::hostsim::now(), body);
    let payload = serde_json::to_vec(&envelope).expect("json");
    tokio::spawn(async move {
        loop {
            let _ = bus.client().publish(subject::beat(host_id), payload.clone().into()).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
}
