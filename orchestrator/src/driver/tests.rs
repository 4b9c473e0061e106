//! The driver with a real store and a bus that only takes notes: what happens when the disk is full.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use bus_schemas::{
    id::{ApprovalId, AttemptRef, ClaimNonce, HostId, MessageId, ProjectId, TaskId},
    v1::{
        agent::TellAttempt,
        handoff::{Handoff, Isolation, Usage},
        host::Beat,
        plan,
        task::{CancelAttempt, Claimed, HandoffReady, Offer},
    },
};
use uuid::Uuid;

use super::{Detail, Handle, ProjectDetail, Refusal, Tasks, Wires, World, start};
use crate::{
    adapter::{
        clock::{RandomIds, SystemClock},
        shelf::Shelf,
        sqlite::Store,
    },
    plan::event::{Fact, ProjectCreated},
    planfile::lower::lower,
    policy::Rules,
    port::{
        Bundle,
        bus::{Bus, BusError, Delivery, FeedMessage, Inbound, Observation},
        journal::{Journal, JournalError},
    },
};

mod agents;
mod audit;
mod effects;
mod interleaving;
mod repository;
mod results;
mod secrets;

/// Takes notes of offers, cancellations, and the state that folders were brought to.
#[derive(Clone, Debug, Default)]
struct Notes {
    offers: Arc<Mutex<Vec<(MessageId, Offer)>>>,
    cancels: Arc<Mutex<Vec<CancelAttempt>>>,
    tells: Arc<Mutex<Vec<TellAttempt>>>,
    written: Arc<Mutex<Vec<String>>>,
    /// How many offers panic from now on.
    panics: Arc<AtomicU32>,
    looked: Arc<AtomicU32>,
    outside: effects::Outside,
    rules: Arc<Rules>,
}

impl Notes {
    fn offers(&self) -> Vec<(MessageId, Offer)> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn cancels(&self) -> Vec<CancelAttempt> {
        self.cancels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Bus for Notes {
    async fn offer(&self, id: MessageId, offer: Offer) -> Result<(), BusError> {
        let spent = self.panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(spent.is_err(), "a bug");
        self.offers.lock().unwrap_or_else(PoisonError::into_inner).push((id, offer));
        Ok(())
    }
    async fn cancel(&self, _: MessageId, cancel: CancelAttempt) -> Result<(), BusError> {
        self.cancels.lock().unwrap_or_else(PoisonError::into_inner).push(cancel);
        Ok(())
    }
    async fn tell(&self, _: MessageId, _: FeedMessage) -> Result<(), BusError> {
        Ok(())
    }
    async fn tell_attempt(&self, _: MessageId, tell: TellAttempt) -> Result<(), BusError> {
        self.tells.lock().unwrap_or_else(PoisonError::into_inner).push(tell);
        Ok(())
    }
    async fn has_object(&self, _: &str) -> Result<bool, BusError> {
        Ok(true)
    }
    async fn put_object(&self, _: &str, _: Vec<u8>) -> Result<(), BusError> {
        Ok(())
    }
    async fn ask_report(&self) -> Result<(), BusError> {
        Ok(())
    }
    async fn commit_parents(&self, _: &str) -> Result<Option<Vec<String>>, BusError> {
        self.looked.fetch_add(1, Ordering::SeqCst);
        Ok(Some(Vec::new()))
    }
    async fn get_commit(&self, _: &str) -> Result<Option<Bundle>, BusError> {
        Ok(None)
    }
    async fn put_commit(&self, _: &str, _: Bundle) -> Result<(), BusError> {
        Ok(())
    }
}

struct Rig {
    store: Store,
    notes: Notes,
    handle: Handle<Store, Notes>,
    wires: Wires,
    tasks: Tasks,
    delivered: u64,
}

impl Rig {
    async fn start(store: Store, notes: Notes) -> Self {
        let world = World {
            journal: store.clone(),
            bus: notes.clone(),
            shadow: Arc::new(repository::Everything),
            folder: Arc::new(notes.clone()),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            shelf: Arc::new(Shelf::default()),
            rules: Arc::clone(&notes.rules),
            effects: effects::configured(&notes.outside),
            runner: Arc::new(notes.outside.clone()),
            models: Arc::default(),
            installation: store.installation(),
        };
        let (handle, wires, tasks) = start(world).await.unwrap();
        let rig = Self { store, notes, handle, wires, tasks, delivered: 0 };
        rig.say(Inbound::Up).await;
        let run = rig.wires.intake.borrow().run;
        rig.say(Inbound::CaughtUp { run, fresh: false }).await;
        rig.say(Inbound::Beat(Box::new(beat(Vec::new())))).await;
        rig
    }

    async fn say(&self, inbound: Inbound) {
        self.wires.inbound.send(inbound).await.unwrap();
    }

    async fn deliver(&mut self, observation: Result<Observation, String>) {
        self.delivered += 1;
        let run = self.wires.intake.borrow().run;
        let delivery = Delivery {
            seq: self.delivered,
            stream_created: "then".to_owned(),
            run,
            subject: "subject".to_owned(),
            payload: bytes::Bytes::from_static(b"as it came"),
            observation,
        };
        self.say(Inbound::Delivery(delivery)).await;
    }

    /// A project of one task.
    async fn project(&self) -> Result<ProjectId, Refusal> {
        self.project_of(r#"{"version":1,"title":"t","tasks":[{"id":"one","run":"true"}]}"#).await
    }

    async fn project_of(&self, text: &str) -> Result<ProjectId, Refusal> {
        let mut plan: plan::Plan = serde_json::from_str(text).unwrap();
        plan.approval = Some("auto".to_owned());
        let mut ids = || TaskId::from_uuid(Uuid::now_v7());
        let lowered = lower(&plan, &mut ids, &std::collections::BTreeMap::new(), &Rules::default()).unwrap();
        let project_id = ProjectId::from_uuid(Uuid::now_v7());
        let created = ProjectCreated {
            project_id,
            tasks: lowered.tasks,
            base_commit: "0".repeat(40),
            plan_digest: "d".to_owned(),
            plan_policy: lowered.plan_policy,
            approval_id: ApprovalId::from_uuid(Uuid::now_v7()),
            budget: lowered.budget,
            planning: None,
            replan_policy: Some(lowered.replan_policy),
            route: None,
            offers_result: lowered.offers_result,
        };
        let folder = if plan.title == "gone" { "/gone" } else { "/f" };
        let detail = Some(Detail::Project(Box::new(ProjectDetail::new(folder, "o", plan))));
        self.handle.ask(project_id, Fact::ProjectCreated(created), detail).await.map(|_| project_id)
    }

    async fn offered(&self, count: usize) -> Offer {
        until(|| async { (self.notes.offers().len() >= count).then(|| self.notes.offers()) }).await[count - 1].1.clone()
    }

    async fn kinds(&self, project_id: ProjectId) -> Vec<&'static str> {
        self.store.records(project_id).await.unwrap().iter().map(|record| record.event.fact.kind()).collect()
    }
}

async fn until<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    for _ in 0..3_000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("waited in vain")
}

fn beat(attempts: Vec<bus_schemas::v1::host::HeldAttempt>) -> Beat {
    Beat {
        host_id: HostId::from_uuid(Uuid::from_u128(3)),
        name: "one".to_owned(),
        pool: "default".to_owned(),
        slots: 1,
        attempts,
        spares: 0,
        accelerator: "tcg".to_owned(),
        accelerator_note: String::new(),
        isolation: Isolation::Emulated,
        problems: Vec::new(),
    }
}

fn claim(attempt: AttemptRef, nonce: u128) -> Observation {
    Observation::Claimed(Claimed {
        attempt,
        host_id: HostId::from_uuid(Uuid::from_u128(3)),
        nonce: ClaimNonce::from_uuid(Uuid::from_u128(nonce)),
    })
}

fn handoff(attempt: AttemptRef, nonce: u128, summary: String) -> Observation {
    let handoff = Handoff {
        summary,
        commit: "0".repeat(40),
        base_commit: "0".repeat(40),
        changed_paths: Vec::new(),
        lines_added: 0,
        lines_removed: 0,
        artifacts: Vec::new(),
        result: None,
        open_questions: Vec::new(),
        report: None,
        egress: Vec::new(),
        evidence: Vec::new(),
        usage: Usage::default(),
        isolation: Isolation::Emulated,
    };
    let nonce = ClaimNonce::from_uuid(Uuid::from_u128(nonce));
    Observation::Handoff(Box::new(HandoffReady { attempt, nonce, handoff }))
}

fn store(dir: &std::path::Path) -> Store {
    Store::open(dir, Uuid::from_u128(42)).unwrap()
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_acknowledged_and_with_room_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), Notes::default()).await;
    let project_id = rig.project().await.unwrap();
    let attempt = rig.offered(1).await.attempt;
    rig.deliver(Ok(claim(attempt, 1))).await;
    until(|| async { (rig.store.cursor("BATON_EVENTS").await.unwrap().seq == 1).then_some(()) }).await;

    rig.store.limit_pages(1).await.unwrap();
    let run = rig.wires.intake.borrow().run;
    let large = "x".repeat(8 << 20);
    rig.deliver(Ok(handoff(attempt, 1, large.clone()))).await;
    // The intake is told to begin again behind the claim, and the handoff did not happen.
    let again = until(|| async {
        let start = rig.wires.intake.borrow().clone();
        (start.run > run).then_some(start)
    })
    .await;
    assert_eq!(again.cursor.seq, 1);
    assert!(!rig.kinds(project_id).await.contains(&"handoff_received"));

    rig.store.limit_pages(1_000_000).await.unwrap();
    rig.delivered = again.cursor.seq;
    rig.deliver(Ok(handoff(attempt, 1, large))).await;
    rig.say(Inbound::CaughtUp { run: again.run, fresh: false }).await;
    until(|| async { rig.kinds(project_id).await.contains(&"handoff_received").then_some(()) }).await;
    assert_eq!(rig.store.cursor("BATON_EVENTS").await.unwrap().seq, 2);
    let again = rig.project().await.unwrap();
    assert_eq!(rig.offered(2).await.attempt.project_id, again);
    assert_eq!(rig.handle.rebuild().await.unwrap().differences, 0);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn people_are_told_that_the_disk_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(store(dir.path()), Notes::default()).await;
    rig.project().await.unwrap();
    rig.store.limit_pages(1).await.unwrap();
    let mut refused = None;
    // A page may have room for a few more records.
    for _ in 0..200 {
        if let Err(refusal) = rig.project().await {
            refused = Some(refusal);
            break;
        }
    }
    assert!(matches!(refused, Some(Refusal::Journal(JournalError::Full { .. }))), "{refused:?}");
    rig.store.limit_pages(1_000_000).await.unwrap();
    rig.project().await.unwrap();
    assert_eq!(rig.handle.rebuild().await.unwrap().differences, 0);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_message_that_comes_twice_changes_nothing_the_second_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), Notes::default()).await;
    let project_id = rig.project().await.unwrap();
    let attempt = rig.offered(1).await.attempt;
    for observation in [claim(attempt, 1), claim(attempt, 1), claim(attempt, 2)] {
        rig.deliver(Ok(observation)).await;
    }
    for nonce in [2, 1, 1] {
        rig.deliver(Ok(handoff(attempt, nonce, String::new()))).await;
    }
    rig.deliver(Err("rubbish".to_owned())).await;
    // It can be read, but what it says cannot be taken.
    let Observation::Handoff(mut ready) = handoff(attempt, 1, String::new()) else { panic!("a handoff") };
    ready.handoff.commit = "HEAD".to_owned();
    rig.deliver(Ok(Observation::Handoff(ready))).await;
    until(|| async { (rig.store.cursor("BATON_EVENTS").await.unwrap().seq == 8).then_some(()) }).await;
    let kinds = rig.kinds(project_id).await;
    assert_eq!(kinds, ["project_created", "attempt_offered", "attempt_claimed", "handoff_received"]);
    assert_eq!(rig.store.backlog().await.unwrap().dead_letters, 2);
    let letters = rig.store.dead_letters().await.unwrap();
    let kept = letters.iter().map(|letter| (letter.sequence, letter.payload.as_str(), letter.payload_bytes));
    assert_eq!(kept.collect::<Vec<_>>(), [(8, "as it came", 10), (7, "as it came", 10)]);
    assert!(letters[0].reason.contains("not a commit id"), "{}", letters[0].reason);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn what_a_host_holds_against_the_journal_is_withdrawn() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), Notes::default()).await;
    rig.project().await.unwrap();
    let attempt = rig.offered(1).await.attempt;
    let held = |nonce: u128| {
        let nonce = ClaimNonce::from_uuid(Uuid::from_u128(nonce));
        Inbound::Beat(Box::new(beat(vec![bus_schemas::v1::host::HeldAttempt { attempt, nonce }])))
    };
    // A claim whose message is still on its way is not withdrawn; one that lost is.
    rig.say(held(2)).await;
    rig.deliver(Ok(claim(attempt, 1))).await;
    until(|| async { (rig.store.cursor("BATON_EVENTS").await.unwrap().seq == 1).then_some(()) }).await;
    assert_eq!(rig.notes.cancels(), []);
    rig.say(held(1)).await;
    rig.say(held(2)).await;
    let cancels = until(|| async { Some(rig.notes.cancels()).filter(|cancels| !cancels.is_empty()) }).await;
    assert_eq!(cancels.iter().map(|cancel| cancel.attempt).collect::<Vec<_>>(), [attempt]);
    // The project ends and is put away; a host that took its offer late is told all the same.
    rig.deliver(Ok(handoff(attempt, 1, String::new()))).await;
    until(|| async { rig.store.unsettled().await.unwrap().is_empty().then_some(()) }).await;
    rig.say(held(5)).await;
    until(|| async { (rig.notes.cancels().len() == 2).then_some(()) }).await;
    rig.tasks.stop().await;
}

#[tokio::test]
async fn offers_that_nobody_took_go_out_again_after_a_restart_and_with_a_fresh_stream() {
    let dir = tempfile::tempdir().unwrap();
    let notes = Notes::default();
    let rig = Rig::start(store(dir.path()), notes.clone()).await;
    rig.project().await.unwrap();
    let attempt = rig.offered(1).await.attempt;
    let store = rig.store.clone();
    rig.tasks.stop().await;

    let mut rig = Rig::start(store, notes).await;
    assert_eq!(rig.offered(2).await.attempt, attempt);
    let run = rig.wires.intake.borrow().run;
    rig.say(Inbound::CaughtUp { run, fresh: true }).await;
    assert_eq!(rig.offered(3).await.attempt, attempt);
    let ids: std::collections::HashSet<_> = rig.notes.offers().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 3, "the bus would drop a known id as a duplicate");

    // What is claimed is not offered again: a withdrawal, which stands behind it in the task's lane, comes alone.
    rig.deliver(Ok(claim(attempt, 1))).await;
    rig.say(Inbound::CaughtUp { run, fresh: true }).await;
    let nonce = ClaimNonce::from_uuid(Uuid::from_u128(2));
    let held = vec![bus_schemas::v1::host::HeldAttempt { attempt, nonce }];
    rig.say(Inbound::Beat(Box::new(beat(held)))).await;
    until(|| async { (!rig.notes.cancels().is_empty()).then_some(()) }).await;
    assert_eq!(rig.notes.offers().len(), 3);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn news_of_the_connection_survives_a_turn_that_cannot_read_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), Notes::default()).await;
    let project_id = rig.project().await.unwrap();
    let attempt = rig.offered(1).await.attempt;
    for observation in [claim(attempt, 1), handoff(attempt, 1, String::new())] {
        rig.deliver(Ok(observation)).await;
    }
    until(|| async { rig.store.unsettled().await.unwrap().is_empty().then_some(()) }).await;
    until(|| async { rig.store.outbox().await.unwrap().is_empty().then_some(()) }).await;
    rig.store.spoil().await.unwrap();

    rig.say(Inbound::Down).await;
    // Two answers: the second one is of a later turn than the one that heard of it.
    rig.handle.hosts().await.unwrap();
    rig.handle.hosts().await.unwrap();
    let run = rig.wires.intake.borrow().run;
    let fact =
        Fact::CancelRequested { task_id: None, by: "o".to_owned(), channel: String::new(), reason: String::new() };
    // One after the other into the channels, before the driver runs: one turn takes both in.
    let (asked, ()) = tokio::join!(rig.handle.ask(project_id, fact, None), rig.say(Inbound::Up));
    assert!(matches!(asked, Err(Refusal::Journal(_))), "{asked:?}");
    let again = until(|| async { Some(rig.wires.intake.borrow().run).filter(|now| *now > run) }).await;
    rig.say(Inbound::CaughtUp { run: again, fresh: false }).await;
    rig.project().await.unwrap();
    rig.offered(2).await;
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_command_that_panics_is_tried_again_and_then_left_without_blocking_its_lane() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(store(dir.path()), Notes::default()).await;
    rig.notes.panics.store(2, Ordering::SeqCst);
    let project_id = rig.project().await.unwrap();
    rig.offered(1).await;
    let cancel =
        || Fact::CancelRequested { task_id: None, by: "o".to_owned(), channel: String::new(), reason: String::new() };
    rig.handle.ask(project_id, cancel(), None).await.unwrap();
    until(|| async { rig.store.outbox().await.unwrap().is_empty().then_some(()) }).await;

    rig.notes.panics.store(u32::MAX, Ordering::SeqCst);
    let project_id = rig.project().await.unwrap();
    until(|| async { (!rig.store.outbox().await.unwrap().is_empty()).then_some(()) }).await;
    rig.handle.ask(project_id, cancel(), None).await.unwrap();
    until(|| async { (rig.notes.cancels().len() == 2).then_some(()) }).await;
    let undone = until(|| async { Some(rig.store.outbox().await.unwrap()).filter(|rows| rows.len() == 1) }).await;
    assert!(matches!(undone[0].command, crate::plan::Command::Offer { .. }), "it stays for the next start");
    assert_eq!(rig.notes.offers().len(), 1);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_folder_is_written_unless_an_undo_was_faster_and_every_outcome_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), Notes::default()).await;
    let project_id = rig.project().await.unwrap();
    let attempt = rig.offered(1).await.attempt;
    rig.deliver(Ok(handoff(attempt, 1, String::new()))).await;
    until(|| async { rig.store.unsettled().await.unwrap().is_empty().then_some(()) }).await;
    let begin = |after: &str| {
        let by = "ann".to_owned();
        let fact = Fact::ApplyStarted {
            by,
            channel: String::new(),
            before_commit: "before".to_owned(),
            after_commit: after.to_owned(),
        };
        rig.handle.ask(project_id, fact, None)
    };
    let ask = |fact| rig.handle.ask(project_id, fact, None);
    let last =
        async |kind: &str| until(|| async { (rig.kinds(project_id).await.last() == Some(&kind)).then_some(()) }).await;

    // While somebody holds the folder nothing is written, and what they withdraw never is.
    let held = rig.handle.hold_folder("/f").await;
    let seq = begin("withdrawn").await.unwrap();
    ask(Fact::ApplyUndone { by: "ann".to_owned(), channel: String::new() }).await.unwrap();
    rig.handle.withdraw(seq);
    drop(held);

    begin("nothing").await.unwrap();
    last("apply_stopped").await;
    begin("half").await.unwrap();
    last("apply_stalled").await;
    ask(Fact::ApplyResumed { by: "ann".to_owned(), channel: String::new() }).await.unwrap();
    last("apply_stalled").await;
    ask(Fact::ApplyUndone { by: "ann".to_owned(), channel: String::new() }).await.unwrap();
    begin("all").await.unwrap();
    last("apply_finished").await;
    let written = rig.notes.written.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(written, ["nothing", "half", "half", "all"]);
    until(|| async { (rig.store.backlog().await.unwrap().outbox == 0).then_some(()) }).await;
    assert_eq!(rig.handle.rebuild().await.unwrap().differences, 0);
    rig.tasks.stop().await;
}
