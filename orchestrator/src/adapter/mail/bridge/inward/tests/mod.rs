//! The inward half between an orchestrator, a memory, a verifier and a way out that are all in this process.

mod broken;
mod checking;
mod deciding;
mod desk;
mod judging;
mod outlet;
mod samples;
mod starting;
mod steering;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
    v1::api::ApprovalView,
};
use bytes::Bytes;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use self::{desk::MemoryDesk, outlet::Recorder};
use super::{super::core::Settings, Inward, check::Patience, work::Around};
use crate::{
    adapter::mail::{Authentic, Desk as _, InMail, InState, OutKind, OutMail, Standing, Verdict, Verifier},
    mail::{
        letter::{Delivery, Letter, Source},
        token,
    },
    people::{Member, People},
    port::{Clock, fake::FakeService},
};

const OURS: &str = "baton@works.example";
/// Ann looks after everything, bob is a member, carl may write and is none.
const ANN: &str = "ann@example.org";
const BOB: &str = "bob@example.org";
const CARL: &str = "carl@partner.example";
const KEY: [u8; 32] = [3; 32];

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// An orchestrator that knows the members by their addresses.
fn orchestrator() -> FakeService {
    let service = FakeService::new(samples::project(), samples::NOW);
    service.known().names = |by| match by {
        ANN => "ann".to_owned(),
        BOB => "bob".to_owned(),
        other => format!("email:{other}"),
    };
    service
}

/// A clock that stands where it is put.
#[derive(Clone, Debug)]
struct HandClock(Arc<Mutex<UnixMs>>);

impl Clock for HandClock {
    fn now(&self) -> UnixMs {
        *lock(&self.0)
    }
}

/// Says what it was told to say, of everybody.
#[derive(Clone, Debug)]
struct Scripted(Arc<Mutex<Authentic>>);

impl Verifier for Scripted {
    async fn verify(&self, _: &[u8], letter: &Letter, _: &Delivery) -> Authentic {
        assert!(!letter.subject.contains("stumble"), "this mail makes it stumble");
        lock(&self.0).clone()
    }
}

type Half = Inward<FakeService, MemoryDesk, Scripted, Recorder>;

/// Everything around the inward half.
#[derive(Clone)]
struct Rig {
    service: FakeService,
    desk: MemoryDesk,
    outlet: Recorder,
    says: Arc<Mutex<Authentic>>,
    now: Arc<Mutex<UnixMs>>,
    settings: Settings,
    inward: Half,
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            address: OURS.to_owned(),
            name: "Baton".to_owned(),
            public_url: None,
            allow: vec!["@partner.example".to_owned()],
            requests: crate::config::Audience::default(),
            has_slack: false,
            news: None,
            folders: Vec::new(),
            refuse_types: vec!["exe".to_owned()],
            allow_packed: Vec::new(),
            per_sender: 60,
            per_hour: 600,
            per_thread: 30,
            presets: vec!["website".to_owned()],
            secrets: Vec::new(),
            key: KEY,
        };
        change(&mut settings);
        let (service, desk, outlet) = (orchestrator(), MemoryDesk::default(), Recorder::default());
        let says = Arc::new(Mutex::new(Authentic::Yes("DMARC pass".to_owned())));
        let now = Arc::new(Mutex::new(samples::NOW));
        let inward = half(&service, &desk, &outlet, &says, &now, &settings);
        Self { service, desk, outlet, says, now, settings, inward }
    }

    /// The program ends and is started again; what is not finished is done then.
    async fn restarted(&mut self) {
        self.inward = half(&self.service, &self.desk, &self.outlet, &self.says, &self.now, &self.settings);
        self.inward.line_up(true).await.unwrap();
        self.inward.idle().await;
    }

    /// What is kept is looked at, until nothing is in work.
    async fn calm(&self) {
        self.inward.line_up(false).await.unwrap();
        self.inward.idle().await;
    }

    /// A mail is kept, and everything is done about it.
    async fn comes(&self, raw: &str) -> InMail {
        let id = self.kept(raw, Delivery::default()).await;
        self.calm().await;
        self.mail(&id).await
    }

    async fn mail(&self, id: &str) -> InMail {
        self.desk.letter(id).await.unwrap().unwrap()
    }

    async fn kept(&self, raw: &str, delivery: Delivery) -> String {
        let raw = Bytes::from(raw.to_owned());
        let now = *lock(&self.now);
        self.desk.keep(raw, delivery, now).await.unwrap().0.id
    }

    /// A mail of ours that asks a person for a decision about a request.
    async fn asked(&self, person: &str, view: &ApprovalView) -> OutMail {
        self.service.asks(view.clone());
        self.sent(person, OutKind::Request, Some(view.project_id), Some(view.approval_id), &view.digest).await
    }

    /// A mail of ours about the project.
    async fn told(&self, person: &str) -> OutMail {
        self.sent(person, OutKind::Project, Some(samples::project_id()), None, "").await
    }

    async fn sent(
        &self,
        person: &str,
        kind: OutKind,
        project_id: Option<ProjectId>,
        approval_id: Option<ApprovalId>,
        digest: &str,
    ) -> OutMail {
        let id = Uuid::from_u128(1 + self.desk.with(|memory| memory.outs.len() as u128));
        let mail = OutMail {
            id,
            name: format!("request:{id}"),
            to: format!("{person}@example.org"),
            person: person.to_owned(),
            kind,
            project_id,
            approval_id,
            digest: digest.to_owned(),
            message_id: format!("{}@baton.works.example", id.simple()),
            ..OutMail::default()
        };
        self.desk.intend(mail.clone(), Bytes::new()).await.unwrap();
        mail
    }

    fn says(&self, said: Authentic) {
        *lock(&self.says) = said;
    }
}

fn half(
    service: &FakeService,
    desk: &MemoryDesk,
    outlet: &Recorder,
    says: &Arc<Mutex<Authentic>>,
    now: &Arc<Mutex<UnixMs>>,
    settings: &Settings,
) -> Half {
    half_with(Scripted(Arc::clone(says)), service, desk, outlet, now, settings)
}

fn half_with<V: Verifier>(
    verifier: V,
    service: &FakeService,
    desk: &MemoryDesk,
    outlet: &Recorder,
    now: &Arc<Mutex<UnixMs>>,
    settings: &Settings,
) -> Inward<FakeService, MemoryDesk, V, Recorder> {
    half_patient(verifier, Patience::default(), service, desk, outlet, now, settings)
}

fn half_patient<V: Verifier>(
    verifier: V,
    patience: Patience,
    service: &FakeService,
    desk: &MemoryDesk,
    outlet: &Recorder,
    now: &Arc<Mutex<UnixMs>>,
    settings: &Settings,
) -> Inward<FakeService, MemoryDesk, V, Recorder> {
    let member = |email: &str, admin| Member { email: vec![email.to_owned()], admin, ..Member::default() };
    let members = BTreeMap::from([("ann".to_owned(), member(ANN, true)), ("bob".to_owned(), member(BOB, false))]);
    let around = Around {
        service: service.clone(),
        desk: desk.clone(),
        verifier,
        outlet: outlet.clone(),
        people: Arc::new(People::new(members).unwrap()),
        clock: Arc::new(HandClock(Arc::clone(now))),
        settings: settings.clone(),
    };
    Inward::patient(around, patience, TaskTracker::new(), CancellationToken::new())
}

/// A mail; every text makes another Message-ID.
fn mail(from: &str, to: &str, headers: &str, text: &str) -> String {
    let id = crate::digest::of_bytes(format!("{from}{to}{headers}{text}").as_bytes());
    let subject = if headers.contains("Subject:") { "" } else { "Subject: Re: Plan\r\n" };
    format!("From: {from}\r\nTo: {to}\r\n{subject}Message-ID: <{id}@example.org>\r\n{headers}\r\n{text}\r\n")
}

/// A mail that answers one of ours by its token.
fn answer(from: &str, out: &OutMail, text: &str) -> String {
    mail(from, &tokened(out), "", text)
}

fn tokened(out: &OutMail) -> String {
    format!("baton+{}@works.example", token::plus(&KEY, out.id))
}

#[track_caller]
fn is(mail: &InMail, state: InState, outcome: &str) {
    let Verdict { state: found, outcome: said, .. } = &mail.verdict;
    assert!(*found == state && said.contains(outcome), "wanted {state:?} {outcome:?}, found {found:?} {said:?}");
}
