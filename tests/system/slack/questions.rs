//! Agents ask people, people ask agents.

use std::sync::Arc;

use bus_schemas::v1::{agent::Pause, approval::Verdict, task::Program};
use harness::{
    hostsim::{Ending, Played, Player},
    wait,
};

use super::rig::{Office, PATIENCE, says};

const AGENT: &str = "
version: 1
title: asks
tasks:
  - { id: a, agent: { instructions: work }, checks: ['true'], approval: APPROVAL }
";

fn playing<F>(play: impl Fn(Played) -> F + Send + Sync + 'static) -> Player
where
    F: Future<Output = Ending> + Send + 'static,
{
    Arc::new(move |played| Box::pin(play(played)))
}

/// Asks once, then hands off what it was told.
fn curious() -> Player {
    playing(|played| async move {
        if played.offer.attempt.number > 1 {
            let heard: Vec<String> = played.offer.notes.iter().map(|note| note.text.clone()).collect();
            return played.handoff_with(|handoff| handoff.summary = format!("heard: {}", heard.join(" ")));
        }
        let options = vec!["tabs".to_owned(), "spaces".to_owned()];
        Ending::Paused(Pause::Question { question: "Tabs or spaces?".to_owned(), options, stuck: false })
    })
}

#[tokio::test]
async fn a_question_is_answered_with_a_button_of_its_card() {
    let office = Office::played("", curious()).await;
    let project = office.project(&AGENT.replace("APPROVAL", "auto")).await;
    let approval = office.asked().await;
    let card = office.card(&approval).await;
    says(&card.shown(), &["Tabs or spaces?"]);
    let spaces =
        |button: &serde_json::Value| button["text"]["text"].as_str().is_some_and(|text| text.contains("spaces"));
    let action = card.actions().into_iter().find(|a| a == "baton.answer.1").expect("the second suggestion");
    office.slack.person("U0ANN").clicks_where(&card, &action, spaces).acked().await;
    let decision = office.decided(&approval).await;
    assert_eq!((decision.verdict, decision.note.as_str(), decision.by.as_str()), (Verdict::Approved, "spaces", "ann"));
    let view = office.completed(&project).await;
    says(&view.tasks[0].handoff.as_ref().expect("a handoff").summary, &["spaces"]);
    office.slack.no_violations();
}

#[tokio::test]
async fn a_question_is_answered_in_words() {
    let office = Office::played("", curious()).await;
    let project = office.project(&AGENT.replace("APPROVAL", "auto")).await;
    let approval = office.asked().await;
    let card = office.card(&approval).await;
    let bob = office.slack.person("U0BOB");
    bob.clicks(&card, "baton.answer").acked().await;
    let view = office.slack.wait_for_view("U0BOB").await;
    bob.submits(&view, &[("note", "three spaces, always")]).acked().await;
    assert_eq!(office.decided(&approval).await.note, "three spaces, always");
    let view = office.completed(&project).await;
    says(&view.tasks[0].handoff.as_ref().expect("a handoff").summary, &["three spaces, always"]);
    office.slack.no_violations();
}

#[tokio::test]
async fn a_person_asks_the_agent_and_the_answer_comes_to_the_thread_and_decides_nothing() {
    // The clarifier is an agent's attempt, too: it answers with its report.
    let player = playing(|played| async move {
        let asked = match &played.offer.program {
            Program::Agent(work) => format!("{} {:?}", work.instructions, played.offer.notes),
            Program::Script { .. } => String::new(),
        };
        let answer = if asked.contains("Why so long") { "Because it was thorough." } else { "done" };
        played.handoff_with(|handoff| {
            handoff.summary = answer.to_owned();
            handoff.result = serde_json::from_value(serde_json::json!({ "answer": answer })).ok();
        })
    });
    // The answer comes because its event says what it is about, not because the project is looked at now and then.
    let office = Office::played("status_every = \"1h\"\n", player).await;
    let project = office.project(&AGENT.replace("APPROVAL", "ask")).await;
    let approval = office.asked().await;
    let card = office.card(&approval).await;
    let ann = office.slack.person("U0ANN");
    ann.clicks(&card, "baton.ask").acked().await;
    let view = office.slack.wait_for_view("U0ANN").await;
    assert_eq!(view.callback(), "baton.ask");
    ann.submits(&view, &[("note", "Why so long?")]).acked().await;
    let request = wait::until("the answer", PATIENCE, || async {
        let request = office.request(&approval).await;
        request.route.questions.iter().any(|asked| asked.answer.is_some()).then_some(request)
    })
    .await;
    assert_eq!(request.decision, None, "an answer decides nothing");
    let root = card.thread_ts.clone().unwrap_or_else(|| card.ts.clone());
    wait::until("the answer in the thread", PATIENCE, || async {
        let thread = office.slack.thread(&card.channel, &root);
        thread.iter().any(|post| post.shown().contains("Because it was thorough")).then_some(())
    })
    .await;
    let card = office.slack.post(&card);
    ann.clicks(&card, "baton.approve").acked().await;
    assert_eq!(office.decided(&approval).await.verdict, Verdict::Approved);
    office.completed(&project).await;
    office.slack.no_violations();
}
