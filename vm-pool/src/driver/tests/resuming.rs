//! What is saved is what the next attempt goes on from, wherever the last one was killed.

use bus_schemas::{
    stream::{blob_object, checkpoint_object, skill_object},
    v1::{
        agent::{AgentWork, Checkpoint, SkillRef},
        guest::DataHeader,
    },
};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

use super::{agent::Act, *};

fn save(turn: u32, text: &str, changed: &[(&str, &str)]) -> Act {
    Act::Save(turn, text.into(), files(changed))
}

impl World {
    async fn object(&self, name: &str) -> Vec<u8> {
        let objects = self.bus.jetstream().get_object_store(OBJECTS_BUCKET).await.unwrap();
        let mut body = Vec::new();
        objects.get(name).await.unwrap().read_to_end(&mut body).await.unwrap();
        body
    }

    async fn checkpoint(&self, task: u128, number: u32) -> Checkpoint {
        let attempt = AttemptRef { number, ..attempt(task) };
        serde_json::from_slice(&self.object(&checkpoint_object(&attempt)).await).unwrap()
    }

    /// What guests saw since `from` lines ago.
    fn since(&self, from: usize) -> Vec<String> {
        self.seen_by_guests().split_off(from)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_goes_on_from_its_last_turn_whenever_it_was_killed() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    let saves =
        || vec![save(1, "one\n", &[("a", "1")]), save(2, "two\n", &[]), save(3, "three\n", &[("a", "2"), ("b", "1")])];
    let cut = |bytes, with_changes| {
        Act::Raw(DataHeader::Checkpoint { turn: 4, transcript_bytes: 5, with_changes }, bytes, false)
    };
    // Before anything is saved, between turns, and with a turn half saved in each of its parts.
    let phases: [(Vec<Act>, &[&str]); 6] = [
        (vec![], &[]),
        (saves()[..1].to_vec(), &["transcript: one\n", "restored: a"]),
        (saves()[..2].to_vec(), &["transcript: one\ntwo\n", "restored: a"]),
        (saves(), &["transcript: one\ntwo\nthree\n", "restored: a b"]),
        ([saves(), vec![cut(3, false)]].concat(), &["transcript: one\ntwo\nthree\n", "restored: a b"]),
        ([saves(), vec![cut(9, true)]].concat(), &["transcript: one\ntwo\nthree\n", "restored: a b"]),
    ];
    for (task, (mut acts, want)) in (1..).zip(phases) {
        acts.push(Act::Crash);
        world.offer(world.agent(task, 1, &acts)).await;
        let failed: AttemptFailed = world.ended(task, 1, EventKind::Failed).await;
        assert_eq!(failed.reason, FailureReason::GuestLost);
        let before = world.seen_by_guests().len();
        // The second one dies before it saves anything: the third goes on from the first.
        world.offer(world.agent(task, 2, &[Act::Crash])).await;
        world.ended::<AttemptFailed>(task, 2, EventKind::Failed).await;
        world.offer(world.agent(task, 3, &[save(4, "four\n", &[]), Act::HandOff(true)])).await;
        world.ended::<HandoffReady>(task, 3, EventKind::Handoff).await;
        let twice = [want, &["attempt 2 with fake/model"], want, &["attempt 3 with fake/model", "saving 4", "saved 4"]]
            .concat();
        assert_eq!(world.since(before), twice);
    }
    let checkpoint = world.checkpoint(4, 3).await;
    assert_eq!((checkpoint.turn, checkpoint.base_commit.as_str()), (4, world.base.as_str()));
    assert_eq!(checkpoint.changes, world.checkpoint(4, 1).await.changes, "what it went on with");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_goes_on_where_a_killed_one_stopped() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    world.offer(world.agent(1, 1, &[save(1, "one", &[("a", "1")])])).await;
    world.hypervisor.seen.wait("saved 1").await;
    host.task.abort();
    let _ = host.task.await;
    let host = world.host(2, 1).await;
    world.offer(world.agent(1, 2, &[Act::HandOff(true)])).await;
    world.ended::<HandoffReady>(1, 2, EventKind::Handoff).await;
    let seen = world.seen_by_guests();
    assert!(
        seen.ends_with(&["transcript: one", "restored: a", "attempt 2 with fake/model"].map(str::to_owned)),
        "{seen:?}"
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_turns_make_few_parts() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    let acts: Vec<Act> =
        (1..=40).map(|turn| save(turn, &format!("{turn:03} "), &[])).chain([Act::HandOff(true)]).collect();
    let mut offer = world.agent(1, 1, &acts);
    let Program::Agent(AgentWork { max_turns, .. }) = &mut offer.program else { panic!("no agent") };
    *max_turns = 50;
    world.offer(offer).await;
    world.ended::<HandoffReady>(1, 1, EventKind::Handoff).await;
    let checkpoint = world.checkpoint(1, 1).await;
    assert_eq!(checkpoint.transcript.iter().map(|part| part.bytes).collect::<Vec<_>>(), [128, 32]);
    let mut whole = Vec::new();
    for part in &checkpoint.transcript {
        whole.extend(world.object(&blob_object(&part.sha256)).await);
    }
    let want: String = (1..=40).map(|turn| format!("{turn:03} ")).collect();
    assert_eq!(String::from_utf8(whole).unwrap(), want);
    // What was merged is gone, but for what the turn before the last needed.
    let objects = world.bus.jetstream().get_object_store(OBJECTS_BUCKET).await.unwrap();
    let kept: Vec<_> = objects.list().await.unwrap().map(|info| info.unwrap().name).collect().await;
    let blobs = kept.iter().filter(|name| **name != checkpoint_object(&attempt(1)) && !name.starts_with("commit/"));
    assert!(blobs.count() <= 6, "{kept:?}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_is_sent_again_is_saved_once() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    let acts = [
        save(1, "one ", &[]),
        save(2, "two ", &[]),
        // The guest did not hear the answer.
        save(2, "two ", &[("a", "1")]),
        save(2, "two and more ", &[]),
        save(3, "three ", &[]),
        Act::Crash,
    ];
    world.offer(world.agent(1, 1, &acts)).await;
    world.ended::<AttemptFailed>(1, 1, EventKind::Failed).await;
    world.offer(world.agent(1, 2, &[Act::HandOff(true)])).await;
    world.ended::<HandoffReady>(1, 2, EventKind::Handoff).await;
    let seen = world.seen_by_guests();
    assert!(seen.contains(&"transcript: one two and more three ".to_owned()), "{seen:?}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_passed_over_for_what_is_older() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    world.offer(world.agent(1, 1, &[save(1, "first", &[]), Act::Crash])).await;
    world.ended::<AttemptFailed>(1, 1, EventKind::Failed).await;
    world.offer(world.agent(1, 2, &[save(2, "second", &[]), Act::Crash])).await;
    world.ended::<AttemptFailed>(1, 2, EventKind::Failed).await;
    // The second's part is replaced by other bytes, later on removed.
    let objects = world.bus.jetstream().get_object_store(OBJECTS_BUCKET).await.unwrap();
    let parts = world.checkpoint(1, 2).await.transcript;
    let name = blob_object(&parts.last().unwrap().sha256);
    objects.put(name.as_str(), &mut &b"something else"[..]).await.unwrap();
    for number in 3..=4 {
        let before = world.seen_by_guests().len();
        world.offer(world.agent(1, number, &[Act::Crash])).await;
        world.ended::<AttemptFailed>(1, number, EventKind::Failed).await;
        assert_eq!(world.since(before)[0], "transcript: first");
        objects.delete(&name).await.unwrap();
    }
    let of_third = AttemptRef { number: 3, ..attempt(1) };
    let said = |chunk: &LogChunk| chunk.text.contains("attempt 2 cannot be used") && chunk.text.contains("damaged");
    world.seen(&bus_schemas::stream::LOGS, subject::log(&of_third), said).await;
    // And when nothing is left, afresh.
    for name in [checkpoint_object(&attempt(1)), checkpoint_object(&AttemptRef { number: 2, ..attempt(1) })] {
        objects.delete(&name).await.unwrap();
    }
    let before = world.seen_by_guests().len();
    world.offer(world.agent(1, 5, &[Act::HandOff(true)])).await;
    world.ended::<HandoffReady>(1, 5, EventKind::Handoff).await;
    assert_eq!(world.since(before), ["attempt 5 with fake/model"]);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_another_commit_are_not_put_over_this_one() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    world.offer(world.agent(1, 1, &[save(1, "said", &[("a", "1")]), Act::Crash])).await;
    world.ended::<AttemptFailed>(1, 1, EventKind::Failed).await;
    let mut checkpoint = world.checkpoint(1, 1).await;
    checkpoint.base_commit = "0".repeat(40);
    let objects = world.bus.jetstream().get_object_store(OBJECTS_BUCKET).await.unwrap();
    let body = serde_json::to_vec(&checkpoint).unwrap();
    objects.put(checkpoint_object(&attempt(1)).as_str(), &mut body.as_slice()).await.unwrap();
    let before = world.seen_by_guests().len();
    world.offer(world.agent(1, 2, &[Act::HandOff(true)])).await;
    world.ended::<HandoffReady>(1, 2, EventKind::Handoff).await;
    // Whoever is asked about its work gets what it said.
    let mut offer = world.agent(2, 1, &[Act::HandOff(true)]);
    let Program::Agent(work) = &mut offer.program else { panic!("no agent") };
    work.resume_task = Some(attempt(1));
    world.offer(offer).await;
    world.ended::<HandoffReady>(2, 1, EventKind::Handoff).await;
    let want = ["attempt 2 with fake/model", "transcript: said", "attempt 1 with fake/model"];
    assert_eq!(world.since(before), want);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_waits_for_a_bus_that_is_away() {
    let mut world = World::new().await;
    let host = world.host(1, 1).await;
    let acts =
        [save(1, "one ", &[]), Act::Await("the bus is away".into()), save(2, "two", &[("a", "1")]), Act::HandOff(true)];
    world.offer(world.agent(1, 1, &acts)).await;
    world.hypervisor.seen.wait("saved 1").await;
    let seen = world.hypervisor.seen.clone();
    let nats = std::mem::replace(&mut world.nats, Nats::start().await);
    world.nats = nats
        .restart(async {
            seen.add("the bus is away");
            seen.wait("saving 2").await;
        })
        .await;
    world.bus = Bus::connect(&BusOptions { url: world.nats.url.clone(), ..Default::default() }).await.unwrap();
    world.ended::<HandoffReady>(1, 1, EventKind::Handoff).await;
    let want = ["attempt 1 with fake/model", "saving 1", "saved 1", "the bus is away", "saving 2", "saved 2"];
    assert_eq!(seen.all(), want);
    assert_eq!(world.checkpoint(1, 1).await.turn, 2);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn skills_come_by_digest() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    let objects = world.bus.jetstream().get_object_store(OBJECTS_BUCKET).await.unwrap();
    let mut skills = Vec::new();
    for name in ["review", "triage"] {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(2);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{name}/SKILL.md"), &b"hi"[..]).unwrap();
        let tar = tar.into_inner().unwrap();
        let sha256: String = Sha256::digest(&tar).iter().map(|byte| format!("{byte:02x}")).collect();
        objects.put(skill_object(&sha256).as_str(), &mut tar.as_slice()).await.unwrap();
        skills.push(SkillRef { name: name.into(), description: String::new(), sha256, bytes: tar.len() as u64 });
    }
    let offer = |number, skills: Vec<SkillRef>| {
        let mut offer = world.agent(1, number, &[Act::HandOff(true)]);
        let Program::Agent(work) = &mut offer.program else { panic!("no agent") };
        work.skills = skills;
        offer
    };
    world.offer(offer(1, skills.clone())).await;
    world.ended::<HandoffReady>(1, 1, EventKind::Handoff).await;
    assert_eq!(world.seen_by_guests()[0], "skills: review/SKILL.md triage/SKILL.md");
    skills[1].bytes += 1;
    world.offer(offer(2, skills)).await;
    let failed: AttemptFailed = world.ended(1, 2, EventKind::Failed).await;
    assert_eq!(failed.reason, FailureReason::MissingObject);
    assert!(failed.detail.contains("triage"), "{failed:?}");
    host.stop().await;
}
