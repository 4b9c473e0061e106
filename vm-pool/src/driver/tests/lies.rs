//! Guests that lie: they hurt themselves, and nobody else.

use bus_schemas::v1::{
    call::GuestCall,
    guest::{DataHeader, FromGuest, Service},
    handoff::Usage,
    task::LogSource,
};

use super::{agent::Act, agents::generous, *};

fn raw(header: DataHeader, bytes: usize, close: bool) -> Act {
    Act::Raw(header, bytes, close)
}

fn checkpoint(turn: u32, transcript_bytes: u64, with_changes: bool) -> DataHeader {
    DataHeader::Checkpoint { turn, transcript_bytes, with_changes }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_protocol_ends_the_attempt_and_nothing_else() {
    let world = World::new().await;
    let host = world.host(1, 2).await;
    let gave_up = FromGuest::GaveUp { reason: FailureReason::Canceled, detail: String::new(), usage: Usage::default() };
    let call = |id| {
        let call = GuestCall::CheckPlan { text: "x".repeat(1_000) };
        Act::Tell(Box::new(FromGuest::Call { id, call }))
    };
    // Nobody answers calls.
    let flood: Vec<Act> = (0..100).map(call).collect();
    let cases: [&[Act]; 6] = [
        &[Act::Garbage],
        &[raw(DataHeader::Output { source: LogSource::Agent }, 1, false)],
        &[raw(DataHeader::Output { source: LogSource::Stdout }, 1, false)],
        &[raw(DataHeader::Skills, 1, false)],
        &[Act::Tell(Box::new(gave_up))],
        &flood,
    ];
    for (task, acts) in (1..).zip(cases) {
        world.offer(world.agent(task, 1, acts)).await;
        let failed: AttemptFailed = world.ended(task, 1, EventKind::Failed).await;
        assert_eq!(failed.reason, FailureReason::GuestLost, "{acts:?}: {failed:?}");
        assert!(failed.detail.contains("protocol"), "{failed:?}");
    }
    // A script has no turns to save and nobody to ask.
    let call = FromGuest::Call { id: 1, call: GuestCall::CheckPlan { text: String::new() } };
    let asks = Play { says: Some(call), hang: true, ..Play::default() };
    let saves = Play { opens: Some(checkpoint(1, 0, false)), hang: true, ..Play::default() };
    for (task, play) in [(10, asks), (11, saves)] {
        world.offer(world.offer_of(task, &play)).await;
        let failed = world.failed(task).await;
        assert!(failed.reason == FailureReason::GuestLost && failed.detail.contains("protocol"), "{failed:?}");
    }
    world.offer(world.agent(20, 1, &[Act::HandOff(true)])).await;
    world.ended::<HandoffReady>(20, 1, EventKind::Handoff).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_that_are_none_are_refused_and_the_last_good_one_stays() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    let acts = [
        Act::Save(1, "one ".into(), files(&[("new", "x")])),
        raw(checkpoint(7, 1, false), 1, true),
        raw(checkpoint(2, u64::MAX, false), 10, true),
        raw(checkpoint(2, 100, false), 10, true),
        raw(checkpoint(2, 1, true), 1, true),
        raw(checkpoint(2, 1, true), 2_000, true),
        Act::Save(2, "two".into(), files(&[])),
        raw(checkpoint(3, 1_000, false), 10, false),
        Act::Crash,
    ];
    world.offer(world.agent(1, 1, &acts)).await;
    world.ended::<AttemptFailed>(1, 1, EventKind::Failed).await;
    world.offer(world.agent(1, 2, &[Act::HandOff(true)])).await;
    world.ended::<HandoffReady>(1, 2, EventKind::Handoff).await;
    let seen = world.seen_by_guests();
    let refused: Vec<&String> = seen.iter().filter(|line| line.starts_with("raw: Some(Failed")).collect();
    assert_eq!(refused.len(), 5, "{seen:?}");
    assert!(refused[0].contains("turn 7 is beyond the last one"), "{seen:?}");
    for line in ["saved 1", "saved 2", "transcript: one two", "restored: new"] {
        assert!(seen.iter().any(|seen| seen == line), "no {line:?} in {seen:?}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_is_too_large_to_save_is_refused() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    // More than the limit of 1,000 bytes and what a tar has around it.
    let acts = [raw(checkpoint(1, 0, true), 70 << 20, true), Act::HandOff(true)];
    world.offer(world.agent(1, 1, &acts)).await;
    world.ended::<HandoffReady>(1, 1, EventKind::Handoff).await;
    let seen = world.seen_by_guests();
    assert!(seen.iter().any(|line| line.starts_with("raw: Some(Failed")), "{seen:?}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_just_end() {
    let world = World::new().await;
    let _orchestrator = world.orchestrator(generous).await;
    let host = world.host(1, 1).await;
    let acts = [Act::Hold(70), Act::HandOff(true)];
    world.offer(world.agent(1, 1, &acts)).await;
    world.ended::<HandoffReady>(1, 1, EventKind::Handoff).await;
    assert!(world.seen_by_guests().contains(&"held 64, refused 6".to_owned()), "{:?}", world.seen_by_guests());
    // Nobody is held up by what those hold.
    world.offer(world.agent(2, 1, &[Act::Connect(Service::Models, "hi".into()), Act::HandOff(true)])).await;
    world.ended::<HandoffReady>(2, 1, EventKind::Handoff).await;
    host.stop().await;
}
