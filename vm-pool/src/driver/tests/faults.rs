//! What must not cost a slot, an attempt or a host: messages that are too large, crashes between two steps, a wiped server.

use async_nats::jetstream::stream::Config;
use bus_schemas::{
    stream::{CONTROL, OFFERS},
    v1::{
        handoff::{ChangeKind, ChangedPath, Handoff, Isolation, Usage},
        task::CancelAttempt,
    },
};

use super::*;
use crate::adapter::{bus::wrap, claims::Ending};

/// Asks again until it holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let held = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, held).await.unwrap_or_else(|_| panic!("{what}"));
}

impl World {
    async fn cancel(&self, task: u128) {
        let cancel = CancelAttempt { attempt: attempt(task), reason: "not wanted".into() };
        self.publish(subject::cancel(&attempt(task)), cancel).await;
    }

    async fn no_offer_is_left(&self) {
        until("every offer is settled", async || {
            let mut stream = self.bus.jetstream().get_stream(OFFERS.name).await.unwrap();
            stream.info().await.unwrap().state.messages == 0
        })
        .await;
    }

    fn journal(&self, host: u128) -> PathBuf {
        self.state_dir(host).join("claims.jsonl")
    }
}

fn hanging() -> Play {
    Play { hang: true, ..Play::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_powers_off_before_it_says_hello_costs_no_attempt() {
    let world = World::new().await;
    world.hypervisor.stillborn.store(2, std::sync::atomic::Ordering::SeqCst);
    let host = world.host(1, 1).await;
    world.offer(world.offer_of(1, &Play::default())).await;
    let handoff = world.handoff(1).await;
    assert_eq!(handoff.attempt.number, 1);
    assert!(world.hypervisor.started.load(std::sync::atomic::Ordering::SeqCst) >= 3, "others were booted");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handoff_that_fits_no_message_fails_and_frees_its_slot() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    let files = (0..20_000).map(|n| (format!("cache/{n:012}"), String::new())).collect();
    world.offer(world.offer_of(1, &Play { files, ..Play::default() })).await;
    let failed = world.failed(1).await;
    assert_eq!(failed.reason, FailureReason::ChangesTooLarge, "{}", failed.detail);
    assert!(failed.detail.contains("20000 changed paths") && failed.detail.contains(".gitignore"), "{}", failed.detail);
    world.offer(world.offer_of(2, &Play::default())).await;
    world.handoff(2).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journaled_ending_that_fits_no_message_is_published_short() {
    let world = World::new().await;
    let nonce = ClaimNonce::from_uuid(Uuid::from_u128(9));
    let change = |n| ChangedPath { path: format!("{n:060}"), kind: ChangeKind::Added, bytes: 0 };
    let handoff = Handoff {
        summary: String::new(),
        commit: world.base.clone(),
        base_commit: world.base.clone(),
        changed_paths: (0..20_000).map(change).collect(),
        lines_added: 0,
        lines_removed: 0,
        artifacts: vec![],
        result: None,
        open_questions: vec![],
        report: None,
        egress: vec![],
        evidence: vec![],
        usage: Usage::default(),
        isolation: Isolation::Emulated,
    };
    let body = HandoffReady { attempt: attempt(1), nonce, handoff };
    let ending = Ending::Handoff(Box::new(wrap(EventKind::Handoff, 0, attempt(1), nonce, now(), body)));
    let (claims, _) = Claims::open(&world.journal(1)).unwrap();
    claims.claiming(attempt(1), nonce).unwrap();
    claims.ended(attempt(1), nonce, &ending).unwrap();
    let host = world.host(1, 1).await;
    let failed = world.failed(1).await;
    assert_eq!((failed.reason, failed.nonce), (FailureReason::ChangesTooLarge, nonce));
    until("the journal is settled", async || {
        std::fs::read_to_string(world.journal(1)).unwrap().contains("\"kind\":\"settled\"")
    })
    .await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_frees_the_slot_of_an_ending_that_nobody_takes() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    let mut offer = world.offer_of(1, &hanging());
    offer.limits.start_to_close_ms = 1_500;
    world.offer(offer).await;
    world.claimed(1).await;
    // From now on the server answers every event with a refusal, and the stream cannot be made again.
    let streams = world.bus.jetstream();
    streams.delete_stream(EVENTS.name).await.unwrap();
    let subjects = EVENTS.subjects.iter().map(|&s| s.to_owned()).collect();
    let wall = Config { name: "WALL".into(), subjects, max_message_size: 1, ..Default::default() };
    streams.create_stream(wall).await.unwrap();
    until("the ending is journaled", async || {
        std::fs::read_to_string(world.journal(1)).unwrap().contains("\"kind\":\"ended\"")
    })
    .await;
    world.cancel(1).await;
    world.beat(|beat| beat.attempts.is_empty()).await;
    host.stop().await;
    streams.delete_stream("WALL").await.unwrap();
    let host = world.host(1, 1).await;
    assert_eq!(world.failed(1).await.reason, FailureReason::TimedOut, "the journal had it");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_whose_claim_was_only_announced_is_claimed_after_a_restart() {
    let world = World::new().await;
    let nonce = ClaimNonce::from_uuid(Uuid::from_u128(9));
    let (claims, _) = Claims::open(&world.journal(1)).unwrap();
    claims.claiming(attempt(1), nonce).unwrap();
    world.offer(world.offer_of(1, &Play::default())).await;
    let host = world.host(1, 1).await;
    let ready = world.handoff(1).await;
    assert_ne!(ready.nonce, nonce, "it is a claim of its own");
    assert_eq!(world.claimed(1).await.nonce, ready.nonce);
    world.no_offer_is_left().await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_works_on_after_the_server_lost_everything() {
    let mut world = World::new().await;
    let host = world.host(1, 2).await;
    for task in 101..105 {
        world.cancel(task).await;
    }
    world.offer(world.offer_of(1, &Play::default())).await;
    world.handoff(1).await;
    let nats = std::mem::replace(&mut world.nats, Nats::start().await);
    let store = nats.store();
    world.nats = nats.restart(async { std::fs::remove_dir_all(store).unwrap() }).await;
    world.bus = Bus::connect(&BusOptions { url: world.nats.url.clone(), ..Default::default() }).await.unwrap();
    // The host makes the streams, nobody else.
    for stream in [OFFERS.name, EVENTS.name, CONTROL.name] {
        until("the streams are back", async || world.bus.jetstream().get_stream(stream).await.is_ok()).await;
    }
    let play = Play { files: files(&[("new", "x")]), ..Play::default() };
    world.offer(world.offer_of(2, &play)).await;
    let commit = world.handoff(2).await.handoff.commit;
    let fetched = world.dir.path().join("fetched");
    let found = world.host_bus().await.fetch_object(&format!("commit/{commit}"), &fetched).await.unwrap();
    assert_eq!(found.as_deref(), Some(world.base.as_str()));
    // Its first cancellation has a lower number than the last one before.
    world.offer(world.offer_of(3, &hanging())).await;
    world.claimed(3).await;
    world.cancel(3).await;
    assert_eq!(world.failed(3).await.reason, FailureReason::Canceled);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_offer_of_a_held_attempt_is_settled_at_once() {
    let world = World::new().await;
    let host = world.host(1, 2).await;
    world.offer(world.offer_of(1, &hanging())).await;
    world.beat(|beat| beat.attempts.len() == 1).await;
    world.offer(world.offer_of(1, &hanging())).await;
    world.no_offer_is_left().await;
    world.beat(|beat| beat.attempts.len() == 1).await;
    host.stop().await;
    assert_eq!(world.events(&subject::event(&attempt(1), EventKind::Claimed)).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_was_withdrawn_while_no_host_was_there_is_not_claimed() {
    let world = World::new().await;
    world.offer(world.offer_of(1, &Play::default())).await;
    world.cancel(1).await;
    let host = world.host(1, 1).await;
    world.no_offer_is_left().await;
    host.stop().await;
    assert_eq!(world.events(&subject::event(&attempt(1), EventKind::Claimed)).await, 0);
}
