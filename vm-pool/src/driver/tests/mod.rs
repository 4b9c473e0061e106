//! A whole host over a real nats-server, with VMs that are tasks.

mod agent;
mod agents;
mod faults;
mod guest;
mod lies;
mod nats;
mod outside;
mod resuming;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use bus_schemas::{
    envelope::{Envelope, Message},
    id::{AttemptRef, ClaimNonce, HostId, ProjectId, TaskId},
    nats::{Bus, BusOptions, Expect, decode, publish},
    stream::{EVENTS, OBJECTS_BUCKET, StreamSpec},
    subject::{self, EventKind, PoolName},
    v1::{
        host::Beat,
        task::{
            AttemptFailed, CancelAttempt, CheckSpec, Claimed, FailureReason, HandoffReady, Interpreter, Limits,
            LogChunk, Machine, Offer, Program,
        },
    },
};
use futures::StreamExt as _;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use uuid::Uuid;

use self::{
    guest::{FakeHypervisor, Play, bundle_of},
    nats::Nats,
};
use super::{Host, HostOptions, now};
use crate::{
    adapter::{
        bus::{ClaimOutcome, HostBus, fresh_id},
        claims::Claims,
        outside::Outside,
        workspace::{Snapshots, Store},
    },
    pool,
};

/// Far beyond what anything takes; reached only by failure.
const SOON: Duration = Duration::from_secs(60);

struct World {
    nats: Nats,
    bus: Bus,
    dir: tempfile::TempDir,
    base: String,
    hypervisor: Arc<FakeHypervisor>,
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        let _ = self.stop.send(());
        timeout(SOON, self.task).await.expect("the host stops").unwrap();
    }
}

fn pool() -> PoolName {
    PoolName::default()
}

fn attempt(task: u128) -> AttemptRef {
    AttemptRef {
        project_id: ProjectId::from_uuid(Uuid::from_u128(1)),
        task_id: TaskId::from_uuid(Uuid::from_u128(task)),
        number: 1,
    }
}

fn host_id(n: u128) -> HostId {
    HostId::from_uuid(Uuid::from_u128(n))
}

impl World {
    async fn new() -> Self {
        let nats = Nats::start().await;
        let bus = Bus::connect(&BusOptions { url: nats.url.clone(), ..Default::default() }).await.unwrap();
        bus.ensure_streams().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (base, bundle) = bundle_of(dir.path(), &[("README.md", "hello\r\n"), ("old", "x")]);
        let objects = bus.jetstream().get_object_store(OBJECTS_BUCKET).await.unwrap();
        let name = format!("commit/{base}");
        objects.put(name.as_str(), &mut tokio::fs::File::open(bundle).await.unwrap()).await.unwrap();
        Self { nats, bus, dir, base, hypervisor: Arc::new(FakeHypervisor::new()) }
    }

    async fn host_bus(&self) -> HostBus {
        HostBus::connect(&BusOptions { url: self.nats.url.clone(), ..Default::default() }, &pool()).await.unwrap()
    }

    fn state_dir(&self, id: u128) -> PathBuf {
        let dir = self.dir.path().join(format!("host-{id}"));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    async fn host(&self, id: u128, slots: u32) -> Running {
        self.host_with(id, slots, agent::FakeOutside).await
    }

    async fn host_with(&self, id: u128, slots: u32, outside: impl Outside + 'static) -> Running {
        let state_dir = self.state_dir(id);
        let shape = pool::Shape { cpus: 1, memory_mib: 128, disk_mib: 64, image: "base".into() };
        let limits = pool::Limits { memory_mib: 4_000, boots: 2, spares: 1, spare_shape: shape };
        let options = HostOptions {
            host_id: host_id(id),
            name: format!("host {id}"),
            pool: pool().as_str().to_owned(),
            slots,
            limits,
            state_dir: state_dir.clone(),
        };
        let store = Store::open(&state_dir.join("repos")).unwrap();
        let snapshots = Snapshots::open(&state_dir.join("trees"), &state_dir.join("scratch"), 1 << 30).unwrap();
        let bus = self.host_bus().await;
        let host =
            Host::start(options, Arc::clone(&self.hypervisor), bus, store, snapshots, Arc::new(outside)).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(host.run(async move {
            let _ = stopped.await;
        }));
        Running { stop, task }
    }

    fn offer_of(&self, task: u128, play: &Play) -> Offer {
        Offer {
            attempt: attempt(task),
            task_key: format!("t{task}"),
            title: "Title".into(),
            goal: String::new(),
            program: Program::Script { interpreter: Interpreter::Bash, text: serde_json::to_string(play).unwrap() },
            env: BTreeMap::new(),
            item: None,
            base_commit: self.base.clone(),
            inputs: vec![],
            outputs: vec![],
            checks: vec![],
            needs: BTreeMap::new(),
            notes: vec![],
            secrets: Vec::new(),
            secret_terms: BTreeMap::new(),
            network: vec![],
            machine: Machine { cpus: 1, memory_mib: 128, disk_mib: 64, image: "base".into() },
            limits: Limits { start_to_close_ms: 60_000, output_bytes: 100_000, changes_bytes: 1_000 },
        }
    }

    async fn publish<T: Message>(&self, subject: String, body: T) {
        let envelope = Envelope::new(fresh_id(), now(), body);
        publish(&self.bus, subject, &envelope, Expect::Any).await.unwrap();
    }

    async fn offer(&self, offer: Offer) {
        self.publish(subject::offer(&pool(), &offer.attempt), offer).await;
    }

    /// The first message on a subject that `fits`, from the beginning of the stream.
    async fn seen<T: Message>(&self, stream: &StreamSpec, subject: String, fits: impl Fn(&T) -> bool) -> T {
        let config = async_nats::jetstream::consumer::pull::OrderedConfig {
            filter_subject: subject.clone(),
            ..Default::default()
        };
        let stream = self.bus.jetstream().get_stream(stream.name).await.unwrap();
        let consumer = stream.create_consumer(config).await.unwrap();
        let mut messages = consumer.messages().await.unwrap();
        let found = async {
            loop {
                if let Some(Ok(raw)) = messages.next().await {
                    let body = decode::<T>(&raw.payload).unwrap().body;
                    if fits(&body) {
                        return body;
                    }
                }
            }
        };
        timeout(SOON, found).await.unwrap_or_else(|_| panic!("nothing on {subject}"))
    }

    async fn failed(&self, task: u128) -> AttemptFailed {
        self.seen(&EVENTS, subject::event(&attempt(task), EventKind::Failed), |_| true).await
    }

    async fn handoff(&self, task: u128) -> HandoffReady {
        self.seen(&EVENTS, subject::event(&attempt(task), EventKind::Handoff), |_| true).await
    }

    async fn claimed(&self, task: u128) -> Claimed {
        self.seen(&EVENTS, subject::event(&attempt(task), EventKind::Claimed), |_| true).await
    }

    async fn events(&self, subject: &str) -> u64 {
        let stream = self.bus.jetstream().get_stream(EVENTS.name).await.unwrap();
        let info = stream.info_with_subjects(subject).await.unwrap();
        info.map(|entry| entry.unwrap().1 as u64).collect::<Vec<_>>().await.into_iter().sum()
    }

    /// The next beat that `fits`.
    async fn beat(&self, fits: impl Fn(&Beat) -> bool) -> Beat {
        let mut beats = self.bus.client().subscribe(subject::BEATS).await.unwrap();
        self.bus.client().publish(subject::REPORT, "".into()).await.unwrap();
        let found = async {
            loop {
                let raw = beats.next().await.unwrap();
                let beat = decode::<Beat>(&raw.payload).unwrap().body;
                if fits(&beat) {
                    return beat;
                }
            }
        };
        timeout(SOON, found).await.expect("a beat that fits")
    }
}

fn files(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|&(path, body)| (path.to_owned(), body.to_owned())).collect()
}

fn check(run: &str) -> CheckSpec {
    CheckSpec { name: format!("check {run}"), run: run.into(), timeout_ms: 10_000 }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_becomes_a_proven_handoff() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    let play = Play {
        print: "working\n".into(),
        files: files(&[("out/report.md", "done\n"), ("README.md", "new\r\n")]),
        deleted: vec!["old".into()],
        result: Some("{\"n\": 1}".into()),
        ..Play::default()
    };
    let mut offer = world.offer_of(7, &play);
    offer.checks = vec![check("true"), check("has out/report.md"), check("has .git/HEAD")];
    world.offer(offer).await;
    let HandoffReady { nonce, handoff, .. } = world.handoff(7).await;
    let claimed = world.claimed(7).await;
    assert_eq!((claimed.nonce, claimed.host_id), (nonce, host_id(1)));
    assert!(handoff.is_proven(), "{handoff:?}");
    let paths: Vec<&str> = handoff.changed_paths.iter().map(|c| c.path.as_str()).collect();
    assert_eq!(paths, ["README.md", "old", "out/report.md"]);
    assert_eq!(handoff.result.unwrap().get("n"), Some(&bus_schemas::json::Json::Int(1)));
    assert_eq!(handoff.base_commit, world.base);

    // The commit is where any other host (and the orchestrator) finds it.
    let bus = world.host_bus().await;
    let store = Store::open(&world.dir.path().join("elsewhere")).unwrap();
    let file = world.dir.path().join("fetched");
    for commit in [&handoff.base_commit, &handoff.commit] {
        let parents = bus.fetch_object(&format!("commit/{commit}"), &file).await.unwrap().unwrap();
        assert_eq!(parents, if *commit == world.base { "" } else { world.base.as_str() });
        store.absorb(attempt(7).project_id, commit, &file).unwrap();
    }

    let log: LogChunk =
        world.seen(&bus_schemas::stream::LOGS, subject::log(&attempt(7)), |c: &LogChunk| c.text == "working\n").await;
    assert_eq!(log.sequence, 0);
    world.beat(|beat| beat.attempts.is_empty() && beat.slots == 1 && beat.spares == 1).await;
    host.stop().await;
    assert_eq!(world.hypervisor.alive.load(std::sync::atomic::Ordering::SeqCst), 0, "no vm is left");
    assert!(world.hypervisor.started.load(std::sync::atomic::Ordering::SeqCst) >= 3, "the checks had their own");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_fail_has_its_word() {
    let world = World::new().await;
    let host = world.host(1, 2).await;
    let play = |change: fn(&mut Play)| {
        let mut play = Play { print: "last words".into(), ..Play::default() };
        change(&mut play);
        play
    };
    let mut cases: Vec<(Offer, FailureReason, &str)> = Vec::new();
    let mut case = |play: Play, change: fn(&mut Offer), reason, detail| {
        let mut offer = world.offer_of(cases.len() as u128 + 1, &play);
        change(&mut offer);
        cases.push((offer, reason, detail));
    };
    case(play(|p| p.exit = 3), |_| {}, FailureReason::ProgramFailed, "exit code 3");
    case(play(|p| p.result = Some("{".into())), |_| {}, FailureReason::BadResult, "result.json");
    case(play(|p| p.files = files(&[("../up", "x")])), |_| {}, FailureReason::UnsafeChanges, "\"../up\"");
    case(play(|p| p.files = files(&[("a\nb", "x")])), |_| {}, FailureReason::UnsafeChanges, "\"a\\nb\"");
    let large = |p: &mut Play| drop(p.files.insert("big".into(), "x".repeat(1_001)));
    case(play(large), |_| {}, FailureReason::ChangesTooLarge, "1000 bytes");
    case(
        play(|p| p.files = files(&[("a", "x"), ("docs/b", "y")])),
        |o| o.outputs = vec!["docs".into()],
        FailureReason::OutputsViolated,
        "outputs: a",
    );
    case(play(|_| {}), |o| o.checks = vec![check("true"), check("false")], FailureReason::CheckFailed, "check false");
    case(play(|p| p.hang = true), |o| o.limits.start_to_close_ms = 1_500, FailureReason::TimedOut, "");
    case(play(|p| (p.hang, p.crash) = (true, true)), |_| {}, FailureReason::GuestLost, "played dead");
    case(play(|_| {}), |o| o.base_commit = "0".repeat(40), FailureReason::MissingObject, "object store");
    case(play(|_| {}), |o| o.machine.memory_mib = 60_000, FailureReason::NoMachine, "MiB");
    for (offer, _, _) in &cases {
        world.offer(offer.clone()).await;
    }
    for (offer, reason, detail) in &cases {
        let number = offer.attempt.task_id.as_uuid().as_u128();
        let failed = world.failed(number).await;
        assert_eq!(failed.reason, *reason, "{failed:?}");
        assert!(failed.detail.contains(detail), "{failed:?} lacks {detail:?}");
        if *reason == FailureReason::ProgramFailed {
            assert_eq!(failed.output_tail, "last words");
        }
        if *reason == FailureReason::CheckFailed {
            assert_eq!(failed.evidence.iter().map(|e| e.passed).collect::<Vec<_>>(), [true, false]);
        }
    }
    world.beat(|beat| beat.attempts.is_empty()).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_claim_wins_and_a_repeated_offer_runs_once() {
    let world = World::new().await;
    let bus = world.host_bus().await;
    let claim = |host, nonce| Claimed {
        attempt: attempt(5),
        host_id: host_id(host),
        nonce: ClaimNonce::from_uuid(Uuid::from_u128(nonce)),
    };
    let (first, second, again) = (claim(1, 10), claim(2, 20), claim(1, 30));
    assert_eq!(bus.claim(&first, now()).await, ClaimOutcome::Won);
    assert_eq!(bus.claim(&second, now()).await, ClaimOutcome::Lost);
    assert_eq!(bus.claim(&first, now()).await, ClaimOutcome::Won, "a retry of the winning claim");
    assert_eq!(bus.claim(&again, now()).await, ClaimOutcome::Lost, "the same host under another nonce");

    // Two hosts, the same offer published three times.
    let hosts = [world.host(1, 2).await, world.host(2, 2).await];
    for _ in 0..3 {
        world.offer(world.offer_of(6, &Play::default())).await;
    }
    world.handoff(6).await;
    world.offer(world.offer_of(8, &Play::default())).await;
    world.handoff(8).await;
    for kind in [EventKind::Claimed, EventKind::Handoff] {
        assert_eq!(world.events(&subject::event(&attempt(6), kind)).await, 1);
    }
    for host in hosts {
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_offer_is_kept_and_the_next_one_is_served() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    let place = subject::offer(&pool(), &attempt(1));
    world.bus.jetstream().publish(place, "{\"version\":9}".into()).await.unwrap().await.unwrap();
    world.offer(world.offer_of(2, &Play::default())).await;
    let handoff = world.handoff(2).await.handoff;
    assert_eq!(handoff.commit, world.base, "nothing changed");
    world.beat(|beat| beat.problems.iter().any(|p| p.contains("1 malformed"))).await;
    let kept = std::fs::read_to_string(world.state_dir(1).join("dead-letters.jsonl")).unwrap();
    assert!(kept.contains("{\\\"version\\\":9}") && kept.contains("reason"), "{kept}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_the_attempt_and_its_vm() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    world.offer(world.offer_of(1, &Play { hang: true, ..Play::default() })).await;
    world.beat(|beat| beat.attempts.len() == 1).await;
    let cancel = CancelAttempt { attempt: attempt(1), reason: "a person said so".into() };
    world.publish(subject::cancel(&attempt(1)), cancel).await;
    let failed = world.failed(1).await;
    assert_eq!((failed.reason, failed.detail.as_str()), (FailureReason::Canceled, "a person said so"));
    world.beat(|beat| beat.attempts.is_empty()).await;
    host.stop().await;
    assert_eq!(world.hypervisor.alive.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_host_says_so_and_a_killed_one_says_it_after_its_restart() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    world.offer(world.offer_of(1, &Play { hang: true, ..Play::default() })).await;
    world.beat(|beat| beat.attempts.len() == 1).await;
    host.stop().await;
    assert_eq!(world.failed(1).await.reason, FailureReason::HostStopped);

    let host = world.host(1, 1).await;
    world.offer(world.offer_of(2, &Play { hang: true, ..Play::default() })).await;
    world.beat(|beat| beat.attempts.len() == 1).await;
    host.task.abort();
    let _ = host.task.await;
    // A claim that was announced but never won says nothing.
    let (claims, left) = Claims::open(&world.state_dir(1).join("claims.jsonl")).unwrap();
    assert_eq!(left.len(), 1);
    claims.claiming(attempt(3), ClaimNonce::from_uuid(Uuid::from_u128(3))).unwrap();
    let host = world.host(1, 1).await;
    let failed = world.failed(2).await;
    assert_eq!(failed.reason, FailureReason::HostStopped);
    assert_eq!(failed.nonce, world.claimed(2).await.nonce);
    host.stop().await;
    assert_eq!(world.events(&subject::event(&attempt(3), EventKind::Failed)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_survives_a_bus_that_is_away() {
    let mut world = World::new().await;
    let host = world.host(1, 1).await;
    world.offer(world.offer_of(1, &Play { hang: true, ..Play::default() })).await;
    world.beat(|beat| beat.attempts.len() == 1).await;
    let stopping = host;
    let mut task = stopping.task;
    // The host must publish its ending while nobody listens, and get it through afterwards.
    let nats = std::mem::replace(&mut world.nats, Nats::start().await);
    world.nats = nats
        .restart(async {
            let _ = stopping.stop.send(());
        })
        .await;
    timeout(SOON, &mut task).await.expect("the host stops").unwrap();
    world.bus = Bus::connect(&BusOptions { url: world.nats.url.clone(), ..Default::default() }).await.unwrap();
    let host = world.host(1, 1).await;
    assert_eq!(world.failed(1).await.reason, FailureReason::HostStopped);
    host.stop().await;
    assert_eq!(world.events(&subject::event(&attempt(1), EventKind::Failed)).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_boot_shows_no_slots_until_it_can() {
    let world = World::new().await;
    world.hypervisor.broken.send_replace(true);
    let host = world.host(1, 1).await;
    let beat = world.beat(|beat| beat.slots == 0).await;
    assert!(beat.problems.iter().any(|p| p.contains("no kernel")), "{beat:?}");
    world.hypervisor.broken.send_replace(false);
    world.offer(world.offer_of(1, &Play::default())).await;
    world.handoff(1).await;
    world.beat(|beat| beat.slots == 1 && beat.problems.is_empty()).await;
    host.stop().await;
}
