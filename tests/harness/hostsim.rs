//! A host without VMs that speaks the real bus: it takes offers, claims them, and hands off at once. It keeps the
//! instants at which it claimed and handed off, so that a benchmark can subtract. With a player it acts as agents do:
//! it asks before it spends, pauses, proposes.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_nats::jetstream::{AckKind, consumer::pull, object_store::ObjectMetadata};
use bus_schemas::{
    envelope::{Envelope, Message},
    id::{AttemptRef, ClaimNonce, HostId, LeaseId, MessageId, ProjectId, TaskId},
    nats::{self, Bus, Expect},
    stream,
    subject::{self, EventKind, PoolName},
    time::UnixMs,
    v1::{
        agent::{AgentWork, AttemptPaused, Pause},
        call::{Answer, Call, HostAnswer, HostCall},
        handoff::{CheckEvidence, Handoff, Isolation, Usage},
        host::{Beat, HeldAttempt},
        task::{Claimed, HandoffReady, Offer, Program},
    },
};
use futures::{StreamExt as _, future::BoxFuture};
use orchestrator::{
    adapter::shadow::{FolderLimits, ShadowRepos},
    port::Shadow as _,
};
use uuid::Uuid;

/// When something happened to an attempt, by the simulator's own clock.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The offer came in.
    pub offered: Instant,
    /// The claim was stored.
    pub claimed: Instant,
    /// The handoff was about to be published.
    pub handing_off: Instant,
}

/// How an attempt ends.
#[derive(Clone, Debug)]
pub enum Ending {
    /// In a handoff.
    Handoff(Box<Handoff>),
    /// In a pause.
    Paused(Pause),
}

/// Plays the attempts of a host.
pub type Player = Arc<dyn Fn(Played) -> BoxFuture<'static, Ending> + Send + Sync>;

/// An attempt that is played.
#[derive(Clone, Debug)]
pub struct Played {
    /// What was offered.
    pub offer: Offer,
    /// The claim.
    pub nonce: ClaimNonce,
    bus: Bus,
}

impl Played {
    /// What the agent is to do; `None` for a script.
    #[must_use]
    pub const fn work(&self) -> Option<&AgentWork> {
        match &self.offer.program {
            Program::Agent(work) => Some(work),
            Program::Script { .. } => None,
        }
    }

    /// Calls the orchestrator until it answers.
    ///
    /// # Panics
    /// If a call cannot be written.
    pub async fn call(&self, call: Call) -> Answer {
        let call = envelope(HostCall { attempt: self.offer.attempt, nonce: self.nonce, call });
        let payload = bytes::Bytes::from(serde_json::to_vec(&call).expect("encode a call"));
        loop {
            let Ok(reply) = self.bus.client().request(subject::CALLS, payload.clone()).await else {
                tokio::task::yield_now().await;
                continue;
            };
            match nats::decode::<HostAnswer>(&reply.payload) {
                Ok(answer) if !matches!(answer.body.answer, Answer::Busy { .. }) => return answer.body.answer,
                _ => tokio::task::yield_now().await,
            }
        }
    }

    /// Makes the content of a folder the commit that can be handed off.
    ///
    /// # Panics
    /// If it cannot be stored.
    pub async fn commit(&self, folder: &Path) -> String {
        store(&self.bus, self.offer.attempt.project_id, folder).await
    }

    /// A handoff that changes nothing and whose checks all passed.
    #[must_use]
    pub fn handoff(&self) -> Ending {
        Ending::Handoff(Box::new(handoff_of(&self.offer)))
    }

    /// The same, with what `change` makes of it.
    #[must_use]
    pub fn handoff_with(&self, change: impl FnOnce(&mut Handoff)) -> Ending {
        let mut handoff = handoff_of(&self.offer);
        change(&mut handoff);
        Ending::Handoff(Box::new(handoff))
    }
}

#[derive(Debug, Default)]
struct Shared {
    held: HashMap<AttemptRef, ClaimNonce>,
    times: BTreeMap<TaskId, Times>,
}

/// The simulated host. Dropping it stops it.
#[derive(Debug)]
pub struct HostSim {
    shared: Arc<Mutex<Shared>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// Puts a folder's content into the object store as a commit, as a host does.
///
/// # Panics
/// If it cannot be stored.
pub async fn store(bus: &Bus, project_id: ProjectId, folder: &Path) -> String {
    let home = tempfile::tempdir().expect("a temporary folder");
    let repos = ShadowRepos::new(home.path().to_path_buf(), FolderLimits::default());
    let commit = repos.import(project_id, folder).expect("an import").commit;
    let bundle = repos.bundle(project_id, &commit).expect("a bundle");
    let meta = ObjectMetadata {
        name: format!("commit/{commit}"),
        description: Some(bundle.parents.join(" ")),
        ..Default::default()
    };
    bus.objects().await.expect("the bucket").put(meta, &mut bundle.bytes.as_slice()).await.expect("stored");
    commit
}

/// This moment on the wire.
#[must_use]
pub fn now() -> UnixMs {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl HostSim {
    /// Starts a host with this many slots.
    ///
    /// # Panics
    /// If the bus refuses the consumer.
    pub async fn start(bus: &Bus, slots: u32) -> Self {
        Self::playing(bus, slots, Arc::new(|played: Played| Box::pin(async move { played.handoff() }))).await
    }

    /// Starts a host whose attempts a player plays.
    ///
    /// # Panics
    /// If the bus refuses the consumer.
    pub async fn playing(bus: &Bus, slots: u32, player: Player) -> Self {
        let host_id = HostId::from_uuid(Uuid::now_v7());
        let shared = Arc::new(Mutex::new(Shared::default()));
        let pool = PoolName::default();
        let offers = bus.jetstream().get_stream(stream::OFFERS.name).await.expect("the offers stream");
        let config = pull::Config {
            durable_name: Some(format!("hosts-{}", pool.as_str())),
            filter_subject: subject::offers_of(&pool),
            ack_wait: Duration::from_millis(stream::OFFER_ACK_WAIT_MS),
            max_ack_pending: 10_000,
            ..pull::Config::default()
        };
        let consumer =
            offers.get_or_create_consumer(&format!("hosts-{}", pool.as_str()), config).await.expect("the consumer");
        let mut tasks = vec![tokio::spawn(beat(bus.clone(), host_id, slots, shared.clone()))];
        for _ in 0..slots {
            tasks.push(tokio::spawn(slot(bus.clone(), host_id, consumer.clone(), shared.clone(), player.clone())));
        }
        Self { shared, tasks }
    }

    /// What happened so far, by task.
    #[must_use]
    pub fn times(&self) -> BTreeMap<TaskId, Times> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).times.clone()
    }
}

impl Drop for HostSim {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

async fn beat(bus: Bus, host_id: HostId, slots: u32, shared: Arc<Mutex<Shared>>) {
    let mut asked = bus.client().subscribe(subject::REPORT).await.expect("subscribe");
    loop {
        let held = shared.lock().unwrap_or_else(PoisonError::into_inner).held.clone();
        let attempts = held.into_iter().map(|(attempt, nonce)| HeldAttempt { attempt, nonce }).collect();
        let body = Beat {
            host_id,
            name: "simulator".to_owned(),
            pool: "default".to_owned(),
            slots,
            attempts,
            spares: 0,
            accelerator: "none".to_owned(),
            accelerator_note: String::new(),
            isolation: Isolation::Emulated,
            problems: Vec::new(),
        };
        let payload = serde_json::to_vec(&envelope(body)).expect("encode a beat");
        let _ = bus.client().publish(subject::beat(host_id), payload.into()).await;
        let _ = tokio::time::timeout(Duration::from_secs(1), asked.next()).await;
    }
}

fn envelope<T: Message>(body: T) -> Envelope<T> {
    Envelope::new(MessageId::from_uuid(Uuid::now_v7()), now(), body)
}

/// One slot: takes an offer, claims it, hands off, takes the next.
async fn slot(
    bus: Bus,
    host_id: HostId,
    consumer: async_nats::jetstream::consumer::Consumer<pull::Config>,
    shared: Arc<Mutex<Shared>>,
    player: Player,
) {
    loop {
        let Ok(mut batch) = consumer.batch().max_messages(1).expires(Duration::from_secs(2)).messages().await else {
            continue;
        };
        let Some(Ok(delivery)) = batch.next().await else { continue };
        let offered = Instant::now();
        let Ok(offer) = nats::decode::<Offer>(&delivery.payload) else {
            let _ = delivery.ack_with(AckKind::Term).await;
            continue;
        };
        let attempt = offer.body.attempt;
        let nonce = ClaimNonce::from_uuid(Uuid::now_v7());
        let claim = envelope(Claimed { attempt, host_id, nonce });
        let won =
            nats::publish(&bus, subject::event(&attempt, EventKind::Claimed), &claim, Expect::FirstOnSubject).await;
        let claimed = Instant::now();
        let _ = delivery.ack().await;
        if won.is_err() {
            continue;
        }
        shared.lock().unwrap_or_else(PoisonError::into_inner).held.insert(attempt, nonce);
        let ending = player(Played { offer: offer.body, nonce, bus: bus.clone() }).await;
        let handing_off = Instant::now();
        {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.times.insert(attempt.task_id, Times { offered, claimed, handing_off });
        }
        match ending {
            Ending::Handoff(handoff) => {
                let body = HandoffReady { attempt, nonce, handoff: *handoff };
                end(&bus, &attempt, EventKind::Handoff, body).await;
            }
            Ending::Paused(pause) => {
                let body = AttemptPaused { attempt, nonce, pause, saved_turn: 1, usage: Usage::default() };
                end(&bus, &attempt, EventKind::Paused, body).await;
            }
        }
        shared.lock().unwrap_or_else(PoisonError::into_inner).held.remove(&attempt);
    }
}

async fn end<T: Message>(bus: &Bus, attempt: &AttemptRef, kind: EventKind, body: T) {
    let ending = envelope(body);
    while nats::publish(bus, subject::event(attempt, kind), &ending, Expect::Any).await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// A handoff that changes nothing and whose checks all passed.
fn handoff_of(offer: &Offer) -> Handoff {
    let lease_id = LeaseId::from_uuid(Uuid::now_v7());
    let evidence = offer.checks.iter().map(|check| CheckEvidence {
        name: check.name.clone(),
        run: check.run.clone(),
        passed: true,
        exit_code: Some(0),
        timed_out: false,
        wall_ms: 0,
        output_tail: String::new(),
        lease_id,
    });
    Handoff {
        summary: "simulated".to_owned(),
        commit: offer.base_commit.clone(),
        base_commit: offer.base_commit.clone(),
        changed_paths: Vec::new(),
        lines_added: 0,
        lines_removed: 0,
        artifacts: Vec::new(),
        result: None,
        open_questions: Vec::new(),
        report: None,
        egress: Vec::new(),
        evidence: evidence.collect(),
        usage: Usage::default(),
        isolation: Isolation::Emulated,
    }
}
