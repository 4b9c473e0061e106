//! The outward half between an orchestrator that says what it is told to, the real store in a folder of its own, and a server that
//! takes or refuses mails by script. Time is paused and passes only when a test says so.

mod asking;
mod bouncing;
mod results;
mod sending;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, mpsc},
    time::Duration,
};

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
    v1::api::{ApprovalView, ProjectView},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    adapter::{
        clock::RandomIds,
        mail::{
            Authentic, Desk as _, OutMail, OutState, Thread, Transport, TransportError, Verifier,
            bridge::{Bridge, Settings, World},
        },
        sqlite::MailStore,
    },
    config::Audience,
    mail::{
        bounce::{self, Action, Bounce},
        letter::{self, Delivery, Letter},
    },
    people::{Member, People},
    port::{Clock, fake::FakeService},
};

/// Now, at the start of every test.
const START: i64 = 1_795_381_500_000;
/// How many moments something may take that must come, on a machine that does much else.
const PATIENCE: u32 = 5_000;
const OURS: &str = "baton@our.example";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

fn project_id() -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(1))
}

fn approval_id() -> ApprovalId {
    ApprovalId::from_uuid(Uuid::from_u128(2))
}

/// A clock that goes with the paused time.
#[derive(Debug)]
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> UnixMs {
        UnixMs(START + i64::try_from(self.0.elapsed().as_millis()).unwrap())
    }
}

/// A server that takes everything, but what a script says about an address.
#[derive(Clone, Debug, Default)]
struct Server {
    said: Arc<Mutex<BTreeMap<String, TransportError>>>,
    took: Arc<Mutex<Vec<(String, String)>>>,
    tries: Arc<Mutex<u32>>,
}

impl Server {
    fn says(&self, to: &str, error: TransportError) {
        lock(&self.said).insert(to.to_owned(), error);
    }

    fn is_back(&self) {
        lock(&self.said).clear();
    }

    fn tries(&self) -> u32 {
        *lock(&self.tries)
    }

    /// The mails it took for an address.
    fn took(&self, to: &str) -> Vec<String> {
        lock(&self.took).iter().filter(|(known, _)| known == to).map(|(_, raw)| raw.clone()).collect()
    }
}

impl Transport for Server {
    async fn send(&self, mail_from: &str, to: &str, raw: &[u8]) -> Result<(), TransportError> {
        let path = mail_from.strip_prefix("baton+").and_then(|rest| rest.strip_suffix("@our.example"));
        let id = path.and_then(|token| crate::mail::token::read_plus(&[7; 32], token)).expect("a token of its own");
        let message_id = header(&String::from_utf8_lossy(raw), "Message-ID");
        assert!(message_id.contains(&id.simple().to_string()) || id == Uuid::from_u128(50), "{message_id}");
        *lock(&self.tries) += 1;
        if let Some(error) = lock(&self.said).get(to) {
            return Err(error.clone());
        }
        lock(&self.took).push((to.to_owned(), String::from_utf8(raw.to_vec()).unwrap()));
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Believing;

impl Verifier for Believing {
    async fn verify(&self, _: &[u8], _: &Letter, _: &Delivery) -> Authentic {
        Authentic::Yes("it is a test".to_owned())
    }
}

type TestBridge = Bridge<FakeService, MailStore, Believing, Server>;

/// Everything around a bridge.
struct Rig {
    service: FakeService,
    server: Server,
    store: MailStore,
    bridge: TestBridge,
    settings: Settings,
    clock: Arc<PausedClock>,
    dir: TempDir,
    /// While this is there, time does not pass by itself, however long the disk takes.
    _holds_time: mpsc::Sender<()>,
}

fn settings() -> Settings {
    Settings {
        address: OURS.to_owned(),
        name: "Baton".to_owned(),
        public_url: Some("https://baton.our.example".to_owned()),
        allow: Vec::new(),
        requests: Audience::WithoutSlack,
        has_slack: true,
        news: Some(Duration::from_secs(3600)),
        folders: Vec::new(),
        refuse_types: Vec::new(),
        allow_packed: Vec::new(),
        per_sender: 60,
        per_hour: 600,
        per_thread: 30,
        presets: Vec::new(),
        secrets: Vec::new(),
        key: [7; 32],
    }
}

/// Ann has two addresses, bob one and Slack, carl one and looks after the installation, dora has only Slack.
fn people() -> People {
    let member = |emails: &[&str], slack: Option<&str>| Member {
        email: emails.iter().map(|text| (*text).to_owned()).collect(),
        slack: slack.map(str::to_owned),
        ..Member::default()
    };
    let carl = Member { admin: true, ..member(&["carl@our.example"], None) };
    People::new(BTreeMap::from([
        ("ann".to_owned(), member(&["ann@our.example", "ann@home.example"], None)),
        ("bob".to_owned(), member(&["bob@our.example"], Some("UBOB"))),
        ("carl".to_owned(), carl),
        ("dora".to_owned(), member(&[], Some("UDORA"))),
    ]))
    .unwrap()
}

impl Rig {
    fn running() -> Self {
        Self::with(settings())
    }

    fn with(settings: Settings) -> Self {
        let rig = Self::quiet(settings);
        rig.bridge.run();
        rig
    }

    fn quiet(settings: Settings) -> Self {
        let (holds_time, held) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || held.recv());
        let dir = tempfile::tempdir().unwrap();
        let store = MailStore::open(dir.path()).unwrap();
        let (service, server) = (FakeService::new(project(), UnixMs(START)), Server::default());
        let clock = Arc::new(PausedClock(Instant::now()));
        let bridge = Self::bridge(&service, &store, &server, &clock, &settings);
        Self { service, server, store, bridge, settings, clock, dir, _holds_time: holds_time }
    }

    fn bridge(
        service: &FakeService,
        store: &MailStore,
        server: &Server,
        clock: &Arc<PausedClock>,
        settings: &Settings,
    ) -> TestBridge {
        Bridge::new(World {
            service: service.clone(),
            desk: store.clone(),
            verifier: Believing,
            transport: server.clone(),
            people: Arc::new(people()),
            clock: Arc::clone(clock) as Arc<dyn Clock>,
            ids: Arc::new(RandomIds),
            settings: settings.clone(),
        })
    }

    /// The program ends, and is started again over what it wrote down.
    async fn restarted(mut self) -> Self {
        self.bridge.stop().await;
        drop(self.store);
        self.store = MailStore::open(self.dir.path()).unwrap();
        self.bridge = Self::bridge(&self.service, &self.store, &self.server, &self.clock, &self.settings);
        self.bridge.run();
        self
    }

    /// Time passes.
    async fn pass(&self, time: Duration) {
        self.settle().await;
        tokio::time::advance(time).await;
        self.settle().await;
    }

    /// Until nothing changes any more: everything waits for time to pass. What must have come is waited for by itself.
    async fn settle(&self) {
        let mut calm = 0;
        let mut before = self.trace().await;
        while calm < 20 {
            self.moment().await;
            let now = self.trace().await;
            calm = if now == before { calm + 1 } else { 0 };
            before = now;
        }
    }

    /// The disk gets a moment; the paused time does not pass.
    #[expect(clippy::disallowed_methods, reason = "tokio's time is paused here, and the disk's is not")]
    async fn moment(&self) {
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(3))).await.unwrap();
    }

    /// Until there are so many mails of a name, and each was tried.
    async fn there_are(&self, count: usize, prefix: &str) -> Vec<OutMail> {
        for _ in 0..PATIENCE {
            let found = self.store.out_named(prefix).await.unwrap();
            if found.len() >= count && found.iter().all(|mail| mail.tries > 0 || mail.state != OutState::Queued) {
                break;
            }
            self.moment().await;
        }
        let found = self.named(prefix).await;
        assert_eq!(found.len(), count, "{prefix} {found:?}");
        found
    }

    /// Until mails of a name went to these addresses.
    async fn to_be(&self, prefix: &str, addresses: &[&str]) {
        let found = self.there_are(addresses.len(), prefix).await;
        let mut to: Vec<&str> = found.iter().map(|mail| mail.to.as_str()).collect();
        to.sort_unstable();
        assert_eq!(to, addresses);
    }

    /// What can be seen of what goes on.
    async fn trace(&self) -> (Vec<OutMail>, u32, u32, u64) {
        let outbox = self.store.outbox(1000).await.unwrap();
        (outbox, self.server.tries(), self.service.with(|known| known.calls), self.store.feed_position().await.unwrap())
    }

    /// The mails of ours whose name begins so, with their recipients.
    async fn named(&self, prefix: &str) -> Vec<OutMail> {
        self.settle().await;
        self.store.out_named(prefix).await.unwrap()
    }

    /// The project began with a mail of this person.
    async fn began_by_mail(&self, person: &str) {
        let thread = Thread {
            subject: "Fix the docs".to_owned(),
            references: vec!["first@their.example".to_owned()],
            is_quiet: false,
            is_start: true,
        };
        self.store.set_thread(project_id(), person, thread).await.unwrap();
    }
}

/// The project everything is about.
fn project() -> ProjectView {
    let view = json!({
        "project_id": project_id(), "title": "Docs", "folder": "/work/docs", "owner": "erna", "state": "working",
        "created_at": START, "changed_at": START, "counts": {}, "base_commit": "a".repeat(40),
        "usage": {"vm_ms": 0, "program_wall_ms": 0, "program_cpu_ms": 0, "program_peak_kib": 0, "output_bytes": 0},
    });
    serde_json::from_value(view).unwrap()
}

/// A request to these people.
fn request(eligible: &[&str]) -> ApprovalView {
    let view = json!({
        "approval_id": approval_id(), "project_id": project_id(), "project_title": "Docs",
        "subject": {"kind": "plan"}, "digest": "d".repeat(64), "policy": "careful", "asked_at": START,
        "route": {"eligible": eligible, "needs": "one of them"},
    });
    serde_json::from_value(view).unwrap()
}

/// The same, decided by somebody.
fn decided(view: &ApprovalView, by: &str, channel: &str) -> ApprovalView {
    let decision: Value = json!({
        "approval_id": view.approval_id, "verdict": "approved", "digest": view.digest, "by": by, "channel": channel,
        "decided_at": START,
    });
    ApprovalView { decision: Some(serde_json::from_value(decision).unwrap()), ..view.clone() }
}

/// A header as it is meant, whole.
fn header(raw: &str, name: &str) -> String {
    let letter = letter::read(raw.as_bytes());
    let name = name.to_lowercase();
    let value = letter.header(&name).next().map(str::to_owned);
    value.unwrap_or_else(|| panic!("no {name} in {raw}"))
}

/// What a mail says, on one line.
fn text(raw: &str) -> String {
    letter::read(raw.as_bytes()).text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn states(mails: &[OutMail]) -> Vec<OutState> {
    mails.iter().map(|mail| mail.state).collect()
}

/// A server's report about a mail, and somebody.
fn bounce(about: &OutMail, address: &str, action: Action) -> Bounce {
    let recipient = bounce::Recipient {
        address: address.to_owned(),
        action,
        status: "5.1.1".to_owned(),
        diagnostic: "nobody of that name".to_owned(),
    };
    Bounce { recipients: vec![recipient], about: vec![about.message_id.clone()], tokens: Vec::new() }
}
