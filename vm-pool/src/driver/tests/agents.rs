//! Agents: what they reach, ask and hear, and how they end.

use bus_schemas::v1::{
    agent::{AgentWork, AttemptPaused, Pause, Resource, Role, TellAttempt},
    call::{Answer, Call, GuestAnswer, GuestCall, HostAnswer, HostCall},
    guest::Service,
    task::{LogSource, Note},
};

use super::{agent::Act, *};

/// An orchestrator that answers calls; drop it and nobody does.
pub(super) struct Orchestrator {
    task: JoinHandle<()>,
    heard: Arc<std::sync::Mutex<Vec<HostCall>>>,
}

impl Drop for Orchestrator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Orchestrator {
    pub(super) fn heard(&self) -> Vec<HostCall> {
        self.heard.lock().unwrap().clone()
    }
}

impl World {
    /// Answers calls; `None` says nothing at all.
    pub(super) async fn orchestrator(
        &self,
        mut answer: impl FnMut(&Call) -> Option<Answer> + Send + 'static,
    ) -> Orchestrator {
        let client = self.bus.client().clone();
        let mut calls = client.subscribe(subject::CALLS).await.unwrap();
        client.flush().await.unwrap();
        let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
        let list = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Some(raw) = calls.next().await {
                let call = decode::<HostCall>(&raw.payload).unwrap().body;
                list.lock().unwrap().push(call.clone());
                if let (Some(reply), Some(answer)) = (raw.reply, answer(&call.call)) {
                    let answer = Envelope::new(fresh_id(), now(), HostAnswer { answer });
                    client.publish(reply, serde_json::to_vec(&answer).unwrap().into()).await.unwrap();
                }
            }
        });
        Orchestrator { task, heard }
    }

    pub(super) fn agent(&self, task: u128, number: u32, acts: &[Act]) -> Offer {
        let work = AgentWork {
            harness: "builtin".into(),
            instructions: serde_json::to_string(acts).unwrap(),
            max_turns: 5,
            resume_from: number - 1,
            ..AgentWork::default()
        };
        let attempt = AttemptRef { number, ..attempt(task) };
        Offer { attempt, program: Program::Agent(work), ..self.offer_of(task, &Play::default()) }
    }

    pub(super) async fn ended<T: Message>(&self, task: u128, number: u32, kind: EventKind) -> T {
        let attempt = AttemptRef { number, ..attempt(task) };
        self.seen(&EVENTS, subject::event(&attempt, kind), |_| true).await
    }

    pub(super) fn seen_by_guests(&self) -> Vec<String> {
        self.hypervisor.seen.all()
    }
}

/// Grants and settles everything.
pub(super) fn generous(call: &Call) -> Option<Answer> {
    Some(match call {
        Call::Reserve { .. } => Answer::Granted,
        Call::Settle { .. } => Answer::Settled,
        Call::Guest(_) => Answer::Guest(GuestAnswer::Sound { findings: vec![] }),
    })
}

fn work_of(offer: &mut Offer) -> &mut AgentWork {
    let Program::Agent(work) = &mut offer.program else { panic!("no agent") };
    work
}

fn hello() -> Act {
    Act::Connect(Service::Models, "hello".into())
}

fn plan() -> GuestCall {
    GuestCall::CheckPlan { text: "tasks: []".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_served_and_hands_on() {
    let world = World::new().await;
    let orchestrator = world.orchestrator(generous).await;
    let host = world.host(1, 1).await;
    let acts = [
        Act::Say(LogSource::Agent, "I think\n".into()),
        Act::Say(LogSource::Tool, "$ make\n".into()),
        hello(),
        Act::Connect(Service::Proxy, "crates.example".into()),
        Act::Connect(Service::Proxy, "evil.example".into()),
        Act::Ask(plan()),
        Act::Save(1, "one\n".into(), files(&[("new", "x")])),
        Act::Hear,
        Act::HandOff(true),
    ];
    let mut offer = world.agent(1, 1, &acts);
    offer.network = vec!["crates.example".into()];
    offer.checks = vec![check("has new")];
    offer.notes = vec![Note { from: "p".into(), text: "known".into(), id: "n0".into() }];
    world.offer(offer).await;
    world.hypervisor.seen.wait("saved 1").await;
    // The first is known from the offer, the second is for another attempt.
    let tell = |id: &str, number| TellAttempt {
        attempt: AttemptRef { number, ..attempt(1) },
        note: Note { from: "p".into(), text: format!("note {id}"), id: id.into() },
    };
    for told in [tell("n0", 1), tell("n1", 2), tell("n2", 1)] {
        world.publish(subject::tell(&told.attempt), told).await;
    }
    let HandoffReady { nonce, handoff, .. } = world.ended(1, 1, EventKind::Handoff).await;
    let seen = world.seen_by_guests();
    let want = [
        "attempt 1 with fake/model",
        "Models: you said hello",
        "Proxy: connected",
        "Proxy: refused",
        "answer: Sound { findings: [] }",
        "saving 1",
        "saved 1",
        "heard note n2",
    ];
    assert_eq!(seen, want);
    assert!(handoff.is_proven(), "{handoff:?}");
    assert_eq!((handoff.summary.as_str(), handoff.report.unwrap().goal.as_str()), ("all of it", "g"));
    let egress: Vec<_> = handoff.egress.iter().map(|e| (e.target.as_str(), e.allowed)).collect();
    assert_eq!(egress, [("crates.example", true), ("evil.example", false)]);
    assert_eq!((handoff.usage.spend.usd_nanos, handoff.usage.spend.calls, handoff.usage.tool_calls), (7, 1, 1));
    let heard = orchestrator.heard();
    assert!(heard.iter().all(|call| call.attempt == attempt(1) && call.nonce == nonce));
    let Call::Reserve { call_id: reserved, .. } = heard[0].call else { panic!("{heard:?}") };
    let Call::Settle { call_id, actual, .. } = heard[1].call else { panic!("{heard:?}") };
    assert_eq!((call_id, actual.usd_nanos), (reserved, 7));
    for (source, text) in
        [(LogSource::Agent, "I think"), (LogSource::Tool, "$ make"), (LogSource::Host, "evil.example: default deny")]
    {
        let fits = |chunk: &LogChunk| chunk.source == source && chunk.text.contains(text);
        world.seen(&bus_schemas::stream::LOGS, subject::log(&attempt(1)), fits).await;
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_reaches_the_network_and_no_model() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    let play = Play { connect: Some("crates.example".into()), ..Play::default() };
    let offer = Offer { network: vec!["crates.example".into()], ..world.offer_of(1, &play) };
    world.offer(offer).await;
    let handoff = world.handoff(1).await.handoff;
    assert_eq!(handoff.egress.len(), 1);
    assert_eq!(world.seen_by_guests(), ["Proxy: connected"]);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_alone_are_no_work() {
    let world = World::new().await;
    let host = world.host(1, 2).await;
    world.offer(world.agent(1, 1, &[Act::HandOff(false)])).await;
    let failed: AttemptFailed = world.ended(1, 1, EventKind::Failed).await;
    assert_eq!(failed.reason, FailureReason::NothingDone);
    // A tool call, a change, a passing check, and roles whose work is words.
    let mut cases = vec![world.agent(2, 1, &[Act::HandOff(true)])];
    cases.push(world.agent(3, 1, &[Act::Save(1, "x".into(), files(&[("new", "x")])), Act::HandOff(false)]));
    cases.push(Offer { checks: vec![check("true")], ..world.agent(4, 1, &[Act::HandOff(false)]) });
    let mut planner = world.agent(5, 1, &[Act::HandOff(false)]);
    work_of(&mut planner).role = Role::Planner;
    let mut clarifier = world.agent(6, 1, &[Act::HandOff(false)]);
    work_of(&mut clarifier).resume_task = Some(attempt(1));
    cases.extend([planner, clarifier]);
    for offer in cases {
        world.offer(offer.clone()).await;
        let attempt = offer.attempt;
        let ready: HandoffReady = world.seen(&EVENTS, subject::event(&attempt, EventKind::Handoff), |_| true).await;
        assert_eq!(ready.handoff.summary, "all of it");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_long_pauses_and_what_is_hopeless_fails() {
    let world = World::new().await;
    let host = world.host(1, 2).await;
    let question = Pause::Question { question: "which?".into(), options: vec!["a".into()], stuck: false };
    world.offer(world.agent(1, 1, &[Act::Save(1, "x".into(), files(&[])), Act::Pause(question.clone())])).await;
    let paused: AttemptPaused = world.ended(1, 1, EventKind::Paused).await;
    assert_eq!((paused.pause, paused.saved_turn), (question, 1));
    assert_eq!((paused.usage.tool_calls, paused.usage.vm_ms < 60_000), (3, true), "its VM time is ours to count");

    let bounce = Pause::Bounce { need: "other".into(), question: "why?".into() };
    world.offer(world.agent(2, 1, &[Act::Pause(bounce)])).await;
    let failed: AttemptFailed = world.ended(2, 1, EventKind::Failed).await;
    assert!(failed.detail.contains("\"other\""), "{failed:?}");

    world.offer(world.agent(3, 1, &[Act::GiveUp(FailureReason::OutOfTurns)])).await;
    let failed: AttemptFailed = world.ended(3, 1, EventKind::Failed).await;
    assert_eq!((failed.reason, failed.detail.as_str()), (FailureReason::OutOfTurns, "no use"));

    let started = world.hypervisor.started.load(std::sync::atomic::Ordering::SeqCst);
    let mut offer = world.agent(4, 1, &[Act::HandOff(true)]);
    work_of(&mut offer).models = vec!["none/such".into()];
    world.offer(offer).await;
    let failed: AttemptFailed = world.ended(4, 1, EventKind::Failed).await;
    assert_eq!((failed.reason, failed.detail.as_str()), (FailureReason::ModelFailed, "no provider none"));
    assert_eq!(world.hypervisor.started.load(std::sync::atomic::Ordering::SeqCst), started, "no VM for nothing");
    world.beat(|beat| beat.attempts.is_empty()).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_told_and_a_stale_attempt_is_stopped() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    let denied = Answer::Denied { task_key: "t1".into(), resource: Resource::Usd, used: 9, limit: 5 };
    let orchestrator = world.orchestrator(move |_| Some(denied.clone())).await;
    world.offer(world.agent(1, 1, &[hello(), Act::HandOff(true)])).await;
    world.ended::<HandoffReady>(1, 1, EventKind::Handoff).await;
    assert!(world.seen_by_guests().contains(&"Models: denied Usd 5".to_owned()), "{:?}", world.seen_by_guests());
    drop(orchestrator);

    let _orchestrator = world.orchestrator(|_| Some(Answer::Stale)).await;
    // It would go on for ever.
    world.offer(world.agent(2, 1, &[Act::Ask(plan())])).await;
    let failed: AttemptFailed = world.ended(2, 1, EventKind::Failed).await;
    assert!(failed.reason.is_retryable() && failed.detail.contains("not the task's current one"), "{failed:?}");
    world.beat(|beat| beat.attempts.is_empty()).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_that_comes_too_late_stops_nobody() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    let settled = Arc::new(tokio::sync::Notify::new());
    let heard = Arc::clone(&settled);
    let _orchestrator = world
        .orchestrator(move |call| match call {
            Call::Settle { .. } => {
                heard.notify_one();
                Some(Answer::Stale)
            }
            call => generous(call),
        })
        .await;
    world.offer(world.agent(1, 1, &[hello(), Act::Ask(plan()), Act::Hear, Act::HandOff(true)])).await;
    settled.notified().await;
    world.hypervisor.seen.wait("answer: Sound { findings: [] }").await;
    let note = Note { from: "p".into(), text: "on".into(), id: "n1".into() };
    world.publish(subject::tell(&attempt(1)), TellAttempt { attempt: attempt(1), note }).await;
    world.ended::<HandoffReady>(1, 1, EventKind::Handoff).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_repeated_until_they_are_answered_and_nothing_that_was_spent_is_lost() {
    let world = World::new().await;
    let host = world.host(1, 1).await;
    // Nobody is there at first; then it is busy; then settling is not answered the first time.
    world.offer(world.agent(1, 1, &[hello(), Act::HandOff(true)])).await;
    world.hypervisor.seen.wait("attempt 1 with fake/model").await;
    let (mut reserved, mut settled) = (0, 0);
    let orchestrator = world
        .orchestrator(move |call| {
            let count = if matches!(call, Call::Reserve { .. }) { &mut reserved } else { &mut settled };
            *count += 1;
            match (call, *count) {
                (Call::Reserve { .. }, 1) => Some(Answer::Busy { detail: "starting".into() }),
                (Call::Settle { .. }, 1) => None,
                _ => generous(call),
            }
        })
        .await;
    world.ended::<HandoffReady>(1, 1, EventKind::Handoff).await;
    let heard = orchestrator.heard();
    let (reserves, settles): (Vec<_>, Vec<_>) =
        heard.iter().map(|heard| heard.call.clone()).partition(|call| matches!(call, Call::Reserve { .. }));
    assert_eq!((reserves.len(), settles.len()), (2, 2), "{heard:?}");
    assert_eq!((&reserves[0], &settles[0]), (&reserves[1], &settles[1]), "the same call again");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_survives_the_restart_of_its_host() {
    let world = World::new().await;
    let nonce = ClaimNonce::from_uuid(Uuid::from_u128(9));
    let pause = Pause::Budget { task_key: String::new(), resource: Resource::Turns, used: 5, limit: 5 };
    let body = AttemptPaused {
        attempt: attempt(1),
        nonce,
        pause,
        saved_turn: 4,
        usage: bus_schemas::v1::handoff::Usage::default(),
    };
    let ending = crate::adapter::claims::Ending::Paused(Box::new(crate::adapter::bus::wrap(
        EventKind::Paused,
        0,
        attempt(1),
        nonce,
        now(),
        body.clone(),
    )));
    let (claims, _) = Claims::open(&world.state_dir(1).join("claims.jsonl")).unwrap();
    claims.claiming(attempt(1), nonce).unwrap();
    claims.ended(attempt(1), nonce, &ending).unwrap();
    let host = world.host(1, 1).await;
    assert_eq!(world.ended::<AttemptPaused>(1, 1, EventKind::Paused).await, body);
    host.stop().await;
    assert_eq!(world.events(&subject::event(&attempt(1), EventKind::Failed)).await, 0);
}
