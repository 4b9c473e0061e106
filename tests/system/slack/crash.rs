//! The orchestrator goes down and comes back: nothing is lost, nothing is said twice.

use std::sync::Arc;

use bus_schemas::v1::{api::ProjectView, approval::Verdict};
use harness::{
    hostsim::{Played, Player},
    slack::{Ack, Fault, Post, TEAM_CHANNEL},
    wait,
};
use tokio::sync::Semaphore;

use super::rig::{ONE, Office, PATIENCE, named, says};

#[tokio::test]
async fn a_click_after_a_restart_counts() {
    let mut office = Office::open("").await;
    let (project, approval, card) = office.waiting().await;
    office.kill().await;
    office.restart().await;
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    assert_eq!(office.decided(&approval).await.by, "ann");
    office.completed(&project).await;
    office.closed_cards(&approval).await;
    let copies = office.cards(&approval);
    assert_eq!(copies.iter().filter(|post| post.channel == card.channel).count(), 1, "one card: {copies:#?}");
    office.slack.no_violations();
}

#[tokio::test]
async fn a_card_whose_answer_was_lost_is_found_again_after_a_kill() {
    let mut office = Office::open("").await;
    // The message gets there; neither the answer nor the process survives.
    office.slack.fails("chat.postMessage", 1_000, Fault::LostAnswer);
    let project = office.project(ONE).await;
    let approval = office.asked().await;
    wait::until("a card that nobody here knows of", PATIENCE, || async {
        (!office.cards(&approval).is_empty()).then_some(())
    })
    .await;
    office.kill().await;
    office.slack.is_well();
    office.restart().await;
    let card = office.card(&approval).await;
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    office.decided(&approval).await;
    office.completed(&project).await;
    for card in office.closed_cards(&approval).await {
        let same = |other: &&Post| other.channel == card.channel;
        assert_eq!(office.cards(&approval).iter().filter(same).count(), 1, "one card in each channel");
    }
    office.slack.no_violations();
}

#[tokio::test]
async fn kills_at_any_moment_leave_one_card() {
    let mut office = Office::open("").await;
    for round in 0..4_u64 {
        let project = office.project(ONE).await;
        let approval = office.asked().await;
        // Later and later in what happens after a request is asked.
        let posted = office.slack.calls("chat.postMessage").len();
        if round > 0 {
            let wanted = posted + usize::try_from(round).expect("small") - 1;
            wait::until("a message or the card", PATIENCE, || async {
                let seen = office.slack.calls("chat.postMessage").len() >= wanted;
                (seen || !office.cards(&approval).is_empty()).then_some(())
            })
            .await;
        }
        office.kill().await;
        office.restart().await;
        let card = office.card(&approval).await;
        office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
        office.decided(&approval).await;
        office.completed(&project).await;
        office.closed_cards(&approval).await;
        let copies = office.cards(&approval);
        assert_eq!(copies.iter().filter(|post| post.channel == TEAM_CHANNEL).count(), 1, "round {round}: {copies:#?}");
    }
    office.slack.no_violations();
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_done_after_it() {
    let mut office = Office::open("").await;
    let (project, approval, card) = office.waiting().await;
    let click = office.slack.person("U0ANN").clicks(&card, "baton.approve");
    click.acked().await;
    office.kill().await;
    office.restart().await;
    let decision = office.decided(&approval).await;
    assert_eq!(
        (decision.verdict, decision.by.as_str(), decision.channel.as_str()),
        (Verdict::Approved, "ann", "slack")
    );
    office.completed(&project).await;
    office.closed_cards(&approval).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn what_happens_while_it_is_down_is_made_good_at_the_start() {
    let mut office = Office::open("").await;
    let (project, approval, card) = office.waiting().await;
    office.kill().await;
    // A click nobody hears is lost, and the person sees so; a mention is delivered again.
    let lost = office.slack.person("U0ANN").clicks(&card, "baton.approve");
    assert_eq!(lost.outcome().await, Ack::Lost);
    let said = office.slack.person("U0BOB").mentions(TEAM_CHANNEL, "Do something else", &[]);
    for event in said.sent {
        assert_eq!(event.outcome().await, Ack::Lost);
    }
    office.restart().await;
    let other = wait::until("the project of the mention", PATIENCE, || async {
        let projects = office.client().projects().await.ok()?;
        projects.into_iter().find(|p| p.project_id != project.project_id)
    })
    .await;
    assert_eq!((other.goal.as_str(), other.owner.as_str()), ("Do something else", "bob"));
    // The request still waits, and its card still works.
    assert_eq!(office.request(&approval).await.decision, None);
    office.slack.person("U0ANN").clicks(&office.slack.post(&card), "baton.approve").acked().await;
    office.decided(&approval).await;
    office.completed(&project).await;
    office.closed_cards(&approval).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn a_request_that_was_asked_while_slack_was_away_gets_its_card_later() {
    let mut office = Office::open("").await;
    office.slack.fails("*", 10_000, Fault::Status(503));
    office.slack.cuts();
    let project = office.project(ONE).await;
    let approval = office.asked().await;
    office.decides("bob", &approval, Verdict::ChangesRequested, "again").await;
    let second = wait::until("the next request", PATIENCE, || async {
        let asked = office.client().approvals(false).await.ok()?;
        asked.into_iter().find(|a| a.approval_id != approval.approval_id)
    })
    .await;
    assert!(office.cards(&second).is_empty());
    office.kill().await;
    office.slack.is_well();
    office.restart().await;
    let card = office.card(&second).await;
    assert!(office.cards(&approval).iter().all(|card| !card.offers("baton.approve")), "what is decided offers nothing");
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    office.completed(&project).await;
    says(&office.closed_cards(&second).await[0].shown(), &["approved", "ann"]);
    office.slack.no_violations();
}

#[tokio::test]
async fn a_restart_in_the_middle_goes_on_with_the_same_status_message() {
    let gate = Arc::new(Semaphore::new(1));
    let held = Arc::clone(&gate);
    let player: Player = Arc::new(move |played: Played| {
        let held = Arc::clone(&held);
        Box::pin(async move {
            held.acquire().await.expect("the gate is never closed").forget();
            played.handoff()
        })
    });
    let plan = "
version: 1
title: long
tasks:
  - { id: one, run: 'true', checks: ['true'], approval: auto }
  - { id: two, needs: [one], run: 'true', checks: ['true'], approval: auto }
  - { id: three, needs: [two], run: 'true', checks: ['true'], approval: auto }
";
    let mut office = Office::closed("status_every = \"1s\"\n", Some(player)).await;
    // The status message gets there; that it did, nobody here hears before the first kill.
    office.slack.fails("chat.postMessage", 1_000, Fault::LostAnswer);
    office.serve.start().await;
    office.until_connected().await;
    let project = office.project(plan).await;
    let status = office.slack.wait_for_message("the status", |post| named(post, "status")).await;
    office.kill().await;
    office.slack.is_well();
    office.restart().await;
    let one_done = |post: &Post| post.shown().contains("1 of 3") && post.shown().contains("two");
    office.slack.wait_until("that one task of three is done", &status, one_done).await;
    // Killed while a task works; its handoff comes while nobody is there to take it.
    office.kill().await;
    gate.add_permits(1);
    office.restart().await;
    office.slack.wait_until("that two are done", &status, |post| post.shown().contains("2 of 3")).await;
    gate.add_permits(1);
    office.completed(&project).await;
    office.slack.wait_for_message("the summary", |post| named(post, "summary")).await;
    office.slack.wait_until("the last status", &status, |post| post.shown().contains("completed")).await;
    office.kill().await;
    office.restart().await;
    // When a later project is summed up, everything of the first one was looked at again.
    gate.add_permits(3);
    let later = office.project(plan).await;
    office.completed(&later).await;
    let is_of = |post: &Post, kind: &str, project: &ProjectView| {
        let id = project.project_id.to_string();
        named(post, kind) && post.metadata.as_ref().is_some_and(|metadata| metadata.to_string().contains(&id))
    };
    office.slack.wait_for_message("the later summary", |post| is_of(post, "summary", &later)).await;
    for kind in ["status", "summary"] {
        let all: Vec<Post> = office.slack.posts().into_iter().filter(|post| is_of(post, kind, &project)).collect();
        assert_eq!(all.len(), 1, "one {kind}: {all:#?}");
    }
    office.slack.no_violations();
}
