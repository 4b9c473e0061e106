//! Name servers of strangers are not asked, and those that do not answer hold up nobody else.

use std::time::Duration;

use super::*;
use crate::adapter::mail::{
    Asks,
    auth::{
        MailAuth,
        testing::{Answer, Key, Zone, at},
    },
};

const COVERS: [&str; 5] = ["From", "To", "Subject", "Date", "Message-ID"];
const BORDER: &str =
    "Received: from m.evil.test (m.evil.test [192.0.2.66]) by mx.works.example (Postfix) with ESMTP id 1; x\r\n";

struct Post {
    zone: Zone,
    key: Key,
    desk: MemoryDesk,
    inward: Inward<FakeService, MemoryDesk, MailAuth, Recorder>,
}

impl Post {
    /// `evil.test` and `slow.big.co.test` never answer; `example.org` and `big.co.test` sign.
    async fn new(allow: &[&str]) -> Self {
        let key = Key::new();
        let zone = Zone::start(&[
            ("s1._domainkey.example.org", key.record()),
            ("s1._domainkey.big.co.test", key.record()),
            ("evil.test", Answer::Silence),
            ("slow.big.co.test", Answer::Silence),
        ])
        .await;
        let mut rig = Rig::new();
        rig.settings.allow = allow.iter().map(|rule| (*rule).to_owned()).collect();
        let border = ["mx.works.example".to_owned()];
        let auth = MailAuth::new(&[zone.address], &[], &border, OURS).unwrap().with_clock(at(samples::NOW.0));
        // Name servers are real here, and so is the time that checks take: none of it is waited out.
        let brief = Duration::from_millis(50);
        let patience = Patience { queued: brief, checked: brief };
        let inward = half_patient(auth, patience, &rig.service, &rig.desk, &rig.outlet, &rig.now, &rig.settings);
        Self { zone, key, desk: rig.desk, inward }
    }

    async fn kept(&self, raw: String) -> String {
        self.desk.keep(Bytes::from(raw), Delivery::default(), samples::NOW).await.unwrap().0.id
    }

    fn signed(&self, from: &str, domain: &str) -> String {
        self.key.sign(domain, &COVERS, &dated(from, "Make a page"))
    }

    async fn states(&self, ids: &[String], state: InState) -> usize {
        let mut count = 0;
        for id in ids {
            count += usize::from(self.desk.letter(id).await.unwrap().unwrap().verdict.state == state);
        }
        count
    }

    async fn until_done(&self, id: &str) -> InMail {
        loop {
            let mail = self.desk.letter(id).await.unwrap().unwrap();
            if mail.verdict.state != InState::Kept {
                return mail;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn dated(from: &str, text: &str) -> String {
    let date = jiff::Timestamp::from_millisecond(samples::NOW.0).unwrap().strftime("%a, %d %b %Y %H:%M:%S +0000");
    mail(from, OURS, &format!("Date: {date}\r\n"), text)
}

#[tokio::test]
async fn strangers_cost_no_question() {
    let post = Post::new(&[]).await;
    let mut ids = Vec::new();
    for number in 0..20 {
        let raw = dated(&format!("eve{number}@evil.test"), "Make a page");
        let signed = post.key.sign("evil.test", &COVERS, &raw);
        ids.push(post.kept(format!("Return-Path: <eve@evil.test>\r\n{BORDER}{signed}")).await);
    }
    post.inward.line_up(false).await.unwrap();
    post.inward.idle().await;
    assert_eq!((post.states(&ids, InState::Quarantined).await, post.zone.asked()), (20, 0));
}

#[tokio::test]
async fn a_return_path_that_cannot_speak_for_the_sender_is_not_asked_about() {
    let post = Post::new(&[]).await;
    let mut ids = Vec::new();
    for number in 0..200 {
        let raw = dated(ANN, &format!("Make page {number}"));
        ids.push(post.kept(format!("Return-Path: <eve@evil.test>\r\n{BORDER}{raw}")).await);
    }
    let genuine = post.kept(post.signed(ANN, "example.org")).await;
    post.inward.line_up(false).await.unwrap();
    is(&post.until_done(&genuine).await, InState::Done, "started");
    post.inward.idle().await;
    assert_eq!((post.states(&ids, InState::Quarantined).await, post.zone.asked_about("evil.test")), (200, 0));
}

#[tokio::test]
async fn name_servers_that_never_answer_hold_up_only_who_named_them() {
    let post = Post::new(&["@evil.test", "@big.co.test"]).await;
    let mut ids = Vec::new();
    for number in 0..200 {
        // From an allowed domain whose name servers are gone, each with another selector and another name.
        let raw = dated(&format!("eve{number}@evil.test"), "Make a page");
        let signed = post.key.sign("evil.test", &COVERS, &raw).replace("s=s1;", &format!("s=k{number};"));
        ids.push(post.kept(signed).await);
        // As somebody who may write, with the signature of a part of it whose name servers never answer.
        ids.push(
            post.kept(post.key.sign("slow.big.co.test", &COVERS, &dated("kim@big.co.test", &number.to_string()))).await,
        );
    }
    let member = post.kept(post.signed(ANN, "example.org")).await;
    let partner = post.kept(post.signed("kim@big.co.test", "big.co.test")).await;
    post.inward.line_up(false).await.unwrap();
    is(&post.until_done(&member).await, InState::Done, "started");
    // Its own domain answered; those in its sender's name, which came before it, are waited for no longer than that.
    is(&post.until_done(&partner).await, InState::Done, "started");
    assert_eq!(post.states(&ids, InState::Kept).await, 400, "they wait for their own name servers, meanwhile");
    assert!(post.zone.asked_about("evil.test") > 0 && post.zone.asked_about("slow.big.co.test") > 0);
}

/// Takes so many seconds for a mail that says so; each such check waits for itself.
#[derive(Clone, Debug)]
struct Slow;

impl Verifier for Slow {
    fn asks(&self, head: &[u8], _: &Delivery) -> Asks {
        let evidence = if String::from_utf8_lossy(head).contains("Subject: takes") { "x" } else { "y" };
        Asks { domains: vec!["example.org".to_owned()], is_own: true, evidence: evidence.to_owned() }
    }

    async fn verify(&self, _: &[u8], letter: &Letter, _: &Delivery) -> Authentic {
        let seconds = letter.subject.strip_prefix("takes ").map_or(0, |seconds| seconds.parse().unwrap());
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Authentic::Yes("DKIM".to_owned())
    }
}

/// What is decided, with its note, when ann asks for a change and then approves: the check of her first mail takes so many seconds,
/// and before it so many others of bob's are checked in the same lane, each for 25 seconds.
async fn notes_of(seconds: u32, before: u32) -> (Vec<String>, InState) {
    let rig = Rig::new();
    let inward = half_with(Slow, &rig.service, &rig.desk, &rig.outlet, &rig.now, &rig.settings);
    let out = rig.asked("ann", &samples::request()).await;
    for number in 0..before {
        rig.kept(&mail(BOB, OURS, "Subject: takes 25\r\n", &format!("Page {number}")), Delivery::default()).await;
    }
    let changes = mail(ANN, &tokened(&out), &format!("Subject: takes {seconds}\r\n"), "changes: use tabs");
    let changes = rig.kept(&changes, Delivery::default()).await;
    let approves = rig.kept(&answer(ANN, &out, "approve"), Delivery::default()).await;
    inward.line_up(false).await.unwrap();
    while rig.mail(&approves).await.verdict.state == InState::Kept {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let notes = rig.service.with(|known| known.decided.iter().map(|one| one.note.clone()).collect());
    (notes, rig.mail(&changes).await.verdict.state)
}

#[tokio::test(start_paused = true)]
async fn an_approval_does_not_overtake_the_change_that_was_written_before_it() {
    assert_eq!(notes_of(20, 0).await, (vec!["use tabs".to_owned()], InState::Done));
}

#[tokio::test(start_paused = true)]
async fn nor_the_one_whose_check_has_to_wait_for_others() {
    assert_eq!(notes_of(20, 3).await, (vec!["use tabs".to_owned()], InState::Done));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_check_holds_up_others_for_two_minutes_at_most() {
    let begun = tokio::time::Instant::now();
    assert_eq!(notes_of(20, 40).await, (vec![String::new()], InState::Kept));
    assert!((120..125).contains(&begun.elapsed().as_secs()), "the clock of this test is its own");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_a_check_may_take() {
    let begun = tokio::time::Instant::now();
    assert_eq!(notes_of(3_000, 0).await, (vec![String::new()], InState::Kept));
    assert!(begun.elapsed() < Duration::from_secs(40), "the clock of this test is its own");
}
