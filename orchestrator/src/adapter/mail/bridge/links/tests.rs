//! Links, pressed by people and by scanners.

mod edits;

use std::{collections::BTreeMap, sync::Arc};

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
    v1::handoff::Usage,
};
use futures::future::join_all;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{
    adapter::{
        clock::RandomIds,
        mail::{
            Authentic, Thread, TransportError,
            bridge::{Settings, World, memory::MemoryDesk},
        },
    },
    config::Audience,
    mail::letter::Letter,
    people::{Member, People},
    port::{
        Clock,
        fake::{FakeService, down},
    },
};

const NOW: UnixMs = UnixMs(1_795_381_500_000);
const DIGEST: &str = "5f1d0c0ffee";
const KEY: [u8; 32] = [7; 32];
const ANN: &str = "ann@example.org";

fn project_id() -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(1))
}

fn approval_id() -> ApprovalId {
    ApprovalId::from_uuid(Uuid::from_u128(2))
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> UnixMs {
        NOW
    }
}

#[derive(Clone)]
struct Nobody;

impl Verifier for Nobody {
    async fn verify(&self, _: &[u8], _: &Letter, _: &Delivery) -> Authentic {
        unreachable!("no link asks this")
    }
}

impl Transport for Nobody {
    async fn send(&self, _: &str, _: &str, _: &[u8]) -> Result<(), TransportError> {
        unreachable!("no link asks this")
    }
}

struct Rig {
    service: FakeService,
    desk: MemoryDesk,
    bridge: Bridge<FakeService, MemoryDesk, Nobody, Nobody>,
    link: String,
    quiet: String,
}

/// An orchestrator with one request.
fn orchestrator() -> FakeService {
    let project = json!({
        "project_id": project_id(), "title": "Docs", "goal": "Tidy up", "folder": "/docs", "owner": "bob",
        "state": "awaiting_approval", "created_at": NOW, "changed_at": NOW, "counts": {}, "usage": Usage::default(),
        "base_commit": "a",
    });
    let approval = json!({
        "approval_id": approval_id(), "project_id": project_id(), "project_title": "Docs", "subject": { "kind": "plan" },
        "digest": DIGEST, "policy": "ask", "asked_at": NOW,
        "plan": { "version": 1, "title": "Docs", "tasks": [{ "id": "a", "run": "make" }] },
    });
    let service = FakeService::new(serde_json::from_value(project).unwrap(), NOW);
    service.asks(serde_json::from_value(approval).unwrap());
    service
}

fn rig() -> Rig {
    let (service, desk) = (orchestrator(), MemoryDesk::default());
    let mail = OutMail {
        id: Uuid::from_u128(9),
        to: ANN.to_owned(),
        person: "ann".to_owned(),
        project_id: Some(project_id()),
        approval_id: Some(approval_id()),
        digest: DIGEST.to_owned(),
        ..OutMail::default()
    };
    desk.lock().outs.push(mail);
    let ann = Member { email: vec![ANN.to_owned()], ..Member::default() };
    let settings = Settings {
        address: "baton@example.com".to_owned(),
        name: "Baton".to_owned(),
        public_url: Some("https://baton.example.com".to_owned()),
        allow: Vec::new(),
        requests: Audience::Everyone,
        has_slack: false,
        news: None,
        folders: Vec::new(),
        refuse_types: Vec::new(),
        allow_packed: Vec::new(),
        per_sender: 1,
        per_hour: 1,
        per_thread: 1,
        presets: Vec::new(),
        secrets: Vec::new(),
        key: KEY,
    };
    let bridge = Bridge::new(World {
        service: service.clone(),
        desk: desk.clone(),
        verifier: Nobody,
        transport: Nobody,
        people: Arc::new(People::new(BTreeMap::from([("ann".to_owned(), ann)])).unwrap()),
        clock: Arc::new(StoppedClock),
        ids: Arc::new(RandomIds),
        settings,
    });
    let (link, quiet) = (token::link(&KEY, Uuid::from_u128(9)), token::quiet(&KEY, Uuid::from_u128(9)));
    Rig { service, desk, bridge, link, quiet }
}

fn filled(verdict: &str, note: &str) -> Filled {
    Filled { verdict: verdict.to_owned(), note: note.to_owned(), digest: DIGEST.to_owned(), ..Filled::default() }
}

impl Rig {
    fn used(&self) -> Option<String> {
        self.desk.lock().outs[0].used.clone()
    }

    fn decided(&self) -> usize {
        self.service.known().decided.len()
    }
}

#[tokio::test]
async fn a_storm_of_scanners_changes_nothing() {
    let rig = rig();
    let pages = join_all((0..100).map(|_| rig.bridge.show(&rig.link))).await;
    for page in pages {
        assert_eq!(page.answer, Answer::Ok);
        assert!(page.html.contains("method=\"post\"") && page.html.contains(DIGEST));
    }
    let known = rig.service.known();
    assert_eq!((known.decided.len(), known.viewed.len(), known.asked.len()), (0, 0, 0));
    drop(known);
    assert_eq!(rig.used(), None);
}

#[tokio::test]
async fn a_form_decides_once_as_the_person_of_the_mail() {
    let rig = rig();
    let page = rig.bridge.decide(&rig.link, filled("reject", "wrong branch")).await;
    assert_eq!(page.answer, Answer::Ok);
    {
        let known = rig.service.known();
        let request = &known.decided[0];
        assert_eq!((request.by.as_str(), request.channel.as_str()), (ANN, "email"));
        assert_eq!((request.verdict, request.note.as_str()), (Verdict::Rejected, "wrong branch"));
        assert_eq!((known.viewed[0].by.as_str(), known.viewed.len()), (ANN, 1));
    }
    assert_eq!(rig.used().as_deref(), Some("You rejected."));
    // Whoever finds the link later sees what came of it, and cannot change it.
    for page in [rig.bridge.show(&rig.link).await, rig.bridge.decide(&rig.link, filled("approve", "")).await] {
        assert!(!page.html.contains("method=\"post\""), "{}", page.html);
        assert!(page.html.contains("wrong branch"), "{}", page.html);
    }
    assert_eq!(rig.decided(), 1);
}

#[tokio::test]
async fn pressed_twice_at_once_it_decides_once() {
    let rig = rig();
    let pages = join_all((0..20).map(|_| rig.bridge.decide(&rig.link, filled("approve", "")))).await;
    assert_eq!(pages.iter().filter(|page| page.answer == Answer::Ok).count(), 1);
    assert_eq!(rig.decided(), 1);
}

#[tokio::test]
async fn one_say_of_two_is_recorded_and_the_request_waits() {
    let rig = rig();
    rig.service.known().quorum = 2;
    rig.service.known().only().route.needs = "two of leads".to_owned();
    let page = rig.bridge.decide(&rig.link, filled("approve", "")).await;
    assert!(page.html.contains("You approved.") && page.html.contains("two of leads"), "{}", page.html);
    let again = rig.bridge.show(&rig.link).await;
    assert!(again.html.contains("You approved.") && !again.html.contains("method=\"post\""), "{}", again.html);
    // A reminder's link is another one: the ledger knows that it is the same person.
    let mut reminder = rig.desk.lock().outs[0].clone();
    (reminder.id, reminder.used) = (Uuid::from_u128(10), None);
    rig.desk.lock().outs.push(reminder);
    let other = rig.bridge.decide(&token::link(&KEY, Uuid::from_u128(10)), filled("approve", "")).await;
    assert_eq!(other.answer, Answer::Closed);
    assert_eq!(rig.decided(), 1);
}

#[tokio::test]
async fn what_the_mail_did_not_show_is_not_decided() {
    let rig = rig();
    let other = Filled { digest: "other".to_owned(), ..filled("approve", "") };
    assert_eq!(rig.bridge.decide(&rig.link, other).await.answer, Answer::Closed);
    rig.service.known().only().digest = "changed".to_owned();
    let shown = rig.bridge.show(&rig.link).await;
    assert!(shown.html.contains("This is void") && !shown.html.contains("method=\"post\""), "{}", shown.html);
    let changed = Filled { digest: "changed".to_owned(), ..filled("approve", "") };
    assert_eq!(rig.bridge.decide(&rig.link, changed).await.answer, Answer::Closed, "an old mail's link is no way in");
    assert_eq!((rig.decided(), rig.used()), (0, None));
}

#[tokio::test]
async fn who_may_not_decide_is_told_so() {
    let rig = rig();
    rig.service.known().only().route.excluded = vec![ANN.to_owned()];
    let page = rig.bridge.decide(&rig.link, filled("approve", "")).await;
    assert_eq!((page.answer, rig.decided(), rig.used()), (Answer::Forbidden, 0, None));
    assert!(page.html.contains("self_approval"), "{}", page.html);
    // The address is another member's by now.
    rig.desk.lock().outs[0].person = "bob".to_owned();
    let page = rig.bridge.decide(&rig.link, filled("approve", "")).await;
    assert_eq!(page.answer, Answer::Closed);
    assert!(page.html.contains("belongs to somebody else"), "{}", page.html);
}

#[tokio::test]
async fn a_form_that_is_not_filled_in_comes_back() {
    let rig = rig();
    for (verdict, note, why) in [
        ("reject", "", "note_required"),
        ("", "x", "Nothing was chosen"),
        ("ask", "", "your question"),
        ("answer", "", "your answer"),
    ] {
        let page = rig.bridge.decide(&rig.link, filled(verdict, note)).await;
        assert_eq!(page.answer, Answer::Incomplete, "{verdict}");
        assert!(page.html.contains(why) && page.html.contains("method=\"post\""), "{verdict}: {}", page.html);
    }
    assert_eq!((rig.decided(), rig.used()), (0, None));
    let page = rig.bridge.decide(&rig.link, filled("ask", "why?")).await;
    assert_eq!((page.answer, rig.used()), (Answer::Ok, None), "asking decides nothing");
    assert_eq!(rig.service.known().asked[0].question, "why?");
    assert_eq!(rig.bridge.decide(&rig.link, filled("approve", "")).await.answer, Answer::Ok);
}

#[tokio::test]
async fn trouble_decides_nothing_and_burns_no_link() {
    let rig = rig();
    rig.service.known().down = down();
    assert_eq!(rig.bridge.show(&rig.link).await.answer, Answer::Later);
    assert_eq!(rig.bridge.decide(&rig.link, filled("approve", "")).await.answer, Answer::Later);
    rig.service.known().down = None;
    rig.desk.lock().is_broken = true;
    assert_eq!(rig.bridge.decide(&rig.link, filled("approve", "")).await.answer, Answer::Later);
    assert_eq!(rig.bridge.quieten(&rig.quiet).await.answer, Answer::Later);
    rig.desk.lock().is_broken = false;
    assert_eq!(rig.bridge.decide(&rig.link, filled("approve", "")).await.answer, Answer::Ok);
    assert_eq!(rig.decided(), 1);
}

#[tokio::test]
async fn a_wrong_link_is_a_forgotten_link() {
    let rig = rig();
    let unknown = token::link(&KEY, Uuid::from_u128(8));
    let foreign = token::link(&[8; 32], Uuid::from_u128(9));
    let wrong = [unknown.as_str(), &foreign, &rig.quiet, "", "x", "../../etc", &"a".repeat(52)];
    for link in wrong {
        assert_eq!(rig.bridge.show(link).await, gone(), "{link}");
        assert_eq!(rig.bridge.decide(link, filled("approve", "")).await, gone(), "{link}");
    }
    for link in [&rig.link, &unknown, "x"] {
        assert_eq!(rig.bridge.show_quiet(link).await, gone(), "{link}");
        assert_eq!(rig.bridge.quieten(link).await, gone(), "{link}");
    }
    assert_eq!((rig.decided(), rig.service.known().calls), (0, 0));
}

#[tokio::test]
async fn news_end_with_a_form_and_not_with_a_look() {
    let rig = rig();
    let quiet = |rig: &Rig| {
        rig.desk
            .lock()
            .threads
            .get(&(project_id(), "ann".to_owned()))
            .cloned()
            .map(|thread| (thread.is_quiet, thread.subject))
    };
    let thread = Thread { subject: "Docs".to_owned(), ..Thread::default() };
    rig.desk.lock().threads.insert((project_id(), "ann".to_owned()), thread);
    assert!(rig.bridge.show_quiet(&rig.quiet).await.html.contains("method=\"post\""));
    assert_eq!(quiet(&rig), Some((false, "Docs".to_owned())));
    for _ in 0..2 {
        assert_eq!(rig.bridge.quieten(&rig.quiet).await.answer, Answer::Ok);
        assert_eq!(quiet(&rig), Some((true, "Docs".to_owned())), "and the thread is the same");
    }
}

#[tokio::test]
async fn the_news_of_several_projects_end_together() {
    let rig = rig();
    rig.desk.lock().outs[0].project_id = None;
    assert_eq!(rig.bridge.quieten(&rig.quiet).await.answer, Answer::Ok);
    assert!(rig.desk.lock().threads.is_empty(), "there is no thread that could be quiet");
    rig.desk.lock().threads.insert((project_id(), "ann".to_owned()), Thread::default());
    assert_eq!(rig.bridge.quieten(&rig.quiet).await.answer, Answer::Ok);
    assert!(rig.desk.lock().threads.values().all(|thread| thread.is_quiet));
}

#[tokio::test]
async fn nothing_in_a_page_is_more_than_text() {
    let rig = rig();
    {
        let mut known = rig.service.known();
        known.only().project_title = "<script>alert(1)</script>".to_owned();
        known.project.title = "<img src=x onerror=alert(1)>".to_owned();
        known.project.goal = "\"><form action=https://evil.example>".to_owned();
    }
    let waits = rig.bridge.show(&rig.link).await;
    let decided = rig.bridge.decide(&rig.link, filled("reject", "<b>no</b>")).await;
    for html in [waits.html, decided.html] {
        for bad in ["<script>", "<img", "<form action=https", "<b>no"] {
            assert!(!html.contains(bad), "{bad}: {html}");
        }
    }
}

#[tokio::test]
async fn a_mail_is_kept_and_the_bridge_hears_of_it_once() {
    let rig = rig();
    let heard = rig.bridge.0.inward.notified();
    for _ in 0..2 {
        Intake::keep(&rig.bridge, Bytes::from_static(b"From: a\r\n\r\n"), Delivery::default()).await.unwrap();
    }
    heard.await;
    assert_eq!(rig.desk.lock().letters.len(), 1);
    rig.desk.lock().is_broken = true;
    assert!(Intake::keep(&rig.bridge, Bytes::from_static(b"x"), Delivery::default()).await.is_err());
}
