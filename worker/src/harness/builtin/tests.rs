//! The whole loop, with a host in memory: a model server behind it, its output read, its turns kept.

mod host;

use std::time::Duration;

use bus_schemas::v1::{
    agent::{Pause, Resource, Structured, Wire},
    guest::FromGuest,
    task::{FailureReason, Note},
};
use serde_json::json;

use self::host::{Reply, Rig, brief, call, hand_off, text};

/// Longer than any of these takes, shorter than a person waits.
const WAIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_agent_works_and_hands_off() {
    let mut rig = Rig::new(vec![brief("lab/one", Wire::Messages, Structured::Tools)]);
    rig.reply(call("I write it.", "write", json!({"path": "a.txt", "content": "hello"})));
    rig.reply(call("I look.\n", "exec", json!({"command": "echo from the tool; cat a.txt"})));
    rig.reply(hand_off(json!({"goal": "g", "done": "It is written.", "open_questions": ["why?"], "result": {"n": 1}})));
    let FromGuest::Finished(finished) = rig.run(None).await else { panic!("{:?}", rig.last) };
    assert_eq!((finished.exit_code, finished.summary.as_str(), finished.used_tools), (Some(0), "It is written.", true));
    assert_eq!(
        (finished.result_text.as_deref(), finished.open_questions),
        (Some("{\"n\":1}"), vec!["why?".to_owned()])
    );
    assert_eq!(finished.report.map(|report| report.goal).as_deref(), Some("g"));
    assert_eq!(std::fs::read_to_string(rig.workspace().join("a.txt")).unwrap(), "hello");
    let host = rig.host();
    assert!(host.agent.contains("I write it.\n▸ write: a.txt\nI look.\n▸ exec: echo from the tool"), "{}", host.agent);
    assert!(host.tool.contains("from the tool\nhello"), "{}", host.tool);
    assert_eq!(host.ended, 2, "both streams have ended before the last word");
    assert_eq!(
        host.order,
        ["model", "save 1", "model", "save 2", "model", "save 3"],
        "a turn is saved before the next"
    );
    assert!(host.changes >= 1, "with the file that was written");
    assert!(host.requests[2].to_string().contains("from the tool"), "the model sees the result");
    assert_eq!(host.requests[0]["model"], "lab/one");
}

#[tokio::test]
async fn a_bad_provider_costs_nothing_but_time() {
    let mut rig = Rig::new(vec![
        brief("lab/one", Wire::ChatCompletions, Structured::Tools),
        brief("lab/two", Wire::Messages, Structured::Tools),
    ]);
    rig.wire = Wire::ChatCompletions;
    rig.reply(Reply::cut(&call("half", "write", json!({"path": "a"}))));
    rig.reply(Reply::status(529, json!({"error": {"message": "overloaded"}})));
    rig.reply(call("", "write", json!({"path": "a", "content": "x"})));
    rig.reply(Reply::status(200, json!({"error": {"message": "internal"}})));
    rig.reply(Reply::status(401, json!({"error": {"message": "bad key"}, "baton": {"code": "provider_refused", "provider": "lab", "status": 401}})));
    rig.wire = Wire::Messages;
    rig.reply(Reply::sse("data: {nonsense\n\n".into()));
    rig.reply(text("Done, I think."));
    rig.reply(text(""));
    rig.reply(hand_off(json!({"goal": "g", "done": "d"})));
    assert!(matches!(rig.run(None).await, FromGuest::Finished(_)), "{:?}", rig.last);
    let models: Vec<String> = rig.host().requests.iter().map(|request| request["model"].to_string()).collect();
    assert_eq!(models.iter().filter(|model| model.contains("one")).count(), 5);
    assert_eq!(models.iter().filter(|model| model.contains("two")).count(), 4);
    assert!(rig.host().agent.contains("(model call: the answer broke off"), "{}", rig.host().agent);
    assert!(rig.host().agent.contains("(no tool call: reminded)"));
}

#[tokio::test]
async fn a_spent_budget_pauses_and_the_next_attempt_goes_on_with_the_answer() {
    let mut rig = Rig::new(vec![brief("lab/one", Wire::Messages, Structured::Tools)]);
    rig.reply(call("", "exec", json!({"command": "echo one"})));
    let budget = json!({"code": "budget", "task_key": "build", "resource": "usd", "used": 7, "limit": 5});
    rig.reply(Reply::status(402, json!({"error": {"message": "no money"}, "baton": budget})));
    let FromGuest::Paused { pause, usage } = rig.run(None).await else { panic!("{:?}", rig.last) };
    assert_eq!(pause, Pause::Budget { task_key: "build".into(), resource: Resource::Usd, used: 7, limit: 5 });
    assert_eq!(usage.tool_calls, 1);
    let transcript = rig.host().transcript.clone();
    let mut next = Rig::new(vec![brief("lab/one", Wire::Messages, Structured::Tools)]);
    next.notes = vec![Note { from: "ada".into(), text: "Have some more.".into(), id: "n1".into() }];
    next.reply(call("", "ask_person", json!({"question": "Red or blue?", "options": ["red", "blue"]})));
    let FromGuest::Paused { pause: Pause::Question { question, options, stuck: false }, .. } =
        next.run(Some(transcript)).await
    else {
        panic!("{:?}", next.last)
    };
    assert_eq!((question.as_str(), options.len()), ("Red or blue?", 2));
    let request = next.host().requests[0].to_string();
    assert!(
        request.contains("echo one")
            && request.contains("Have some more.")
            && request.contains("You go on in another computer")
    );
}

#[tokio::test]
async fn what_is_told_to_a_running_agent_is_in_its_next_turn() {
    let mut rig = Rig::new(vec![brief("lab/one", Wire::Messages, Structured::Tools)]);
    rig.told.send(Note { from: "ada".into(), text: "Use tabs.".into(), id: "n1".into() }).unwrap();
    rig.reply(call("", "exec", json!({"command": "echo one"})));
    rig.reply(hand_off(json!({"goal": "g", "done": "d"})));
    assert!(matches!(rig.run(None).await, FromGuest::Finished(_)), "{:?}", rig.last);
    let heard = rig.host().requests.iter().filter(|request| request.to_string().contains("Use tabs.")).count();
    assert!(heard >= 1 && rig.host().requests[1].to_string().matches("Use tabs.").count() == 1);
}

#[tokio::test]
async fn a_model_without_tools_acts_by_schema() {
    let mut rig = Rig::new(vec![brief("lab/small", Wire::ChatCompletions, Structured::JsonSchema)]);
    rig.wire = Wire::ChatCompletions;
    rig.reply(text(r#"{"thought":"I look.","tool":"exec","input":{"command":"echo seen"}}"#));
    rig.reply(text(r#"{"thought":"","tool":"hand_off","input":{"goal":"g","done":"d"}}"#));
    assert!(matches!(rig.run(None).await, FromGuest::Finished(_)), "{:?}", rig.last);
    let host = rig.host();
    assert!(host.agent.starts_with("I look.\n▸ exec: echo seen\n"), "{}", host.agent);
    assert!(host.requests[0]["response_format"]["json_schema"]["schema"]["anyOf"].is_array());
    assert!(host.requests[1].to_string().contains("exec is done"), "{}", host.requests[1]);
}

#[tokio::test]
async fn what_is_stopped_ends_soon_and_what_no_model_serves_is_given_up() {
    let mut rig = Rig::new(vec![brief("lab/one", Wire::Messages, Structured::Tools)]);
    rig.reply(call("", "exec", json!({"command": "sleep 1000"})));
    let stop = rig.stop.clone();
    let running = rig.run(None);
    let last = tokio::time::timeout(WAIT, async {
        tokio::pin!(running);
        tokio::select! {
            last = &mut running => last,
            () = stop_when_running(&stop) => running.await,
        }
    });
    let FromGuest::Finished(finished) = last.await.expect("it ends") else { panic!("{:?}", rig.last) };
    assert_eq!((finished.exit_code, finished.signal), (None, Some(9)));
    let mut rig = Rig::new(Vec::new());
    assert!(matches!(rig.run(None).await, FromGuest::GaveUp { reason: FailureReason::ModelFailed, .. }));
}

async fn stop_when_running(stop: &tokio_util::sync::CancellationToken) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.cancel();
    std::future::pending::<()>().await;
}

/// Wherever the host is lost, the next attempt has all turns but at most one.
#[tokio::test]
async fn an_agent_that_is_killed_at_any_turn_goes_on_from_the_last_one() {
    for killed_after in 0..5 {
        let mut rig = Rig::new(vec![brief("lab/one", Wire::Messages, Structured::Tools)]);
        for step in 0..killed_after {
            rig.reply(call("", "exec", json!({"command": format!("echo step {step}")})));
        }
        // The host is gone: no answer ever comes.
        rig.reply(Reply::Silence);
        rig.run_until_silence().await;
        let transcript = rig.host().transcript.clone();
        let mut next = Rig::new(vec![brief("lab/one", Wire::Messages, Structured::Tools)]);
        if killed_after == 0 {
            next.reply(call("", "exec", json!({"command": "echo step"})));
        }
        next.reply(hand_off(json!({"goal": "g", "done": "d"})));
        assert!(matches!(next.run(Some(transcript)).await, FromGuest::Finished(_)), "{killed_after}: {:?}", next.last);
        let request = next.host().requests[0].to_string();
        for step in 0..killed_after {
            assert!(request.contains(&format!("echo step {step}")), "{killed_after}: {request}");
        }
    }
}
