//! Cards and what is pressed on them.

use bus_schemas::v1::approval::Verdict;
use harness::{slack::TEAM_CHANNEL, wait};

use super::rig::{ONE, Office, PATIENCE, says};

#[tokio::test]
async fn a_handoff_is_approved_by_a_click_and_its_successors_go_on() {
    let office = Office::open("").await;
    let (project, approval, card) = office.waiting().await;
    for action in ["baton.approve", "baton.changes", "baton.reject", "baton.ask", "baton.open"] {
        assert!(card.offers(action), "{action} is not among {:?}", card.actions());
    }
    says(&card.shown(), &["simulated", "one", "true"]);
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    let decision = office.decided(&approval).await;
    assert_eq!(
        (decision.verdict, decision.by.as_str(), decision.channel.as_str()),
        (Verdict::Approved, "ann", "slack")
    );
    assert_eq!(office.completed(&project).await.tasks.len(), 2);
    for card in office.closed_cards(&approval).await {
        says(&card.shown(), &["approved", "ann"]);
    }
    office.slack.no_violations();
}

#[tokio::test]
async fn changes_reach_the_next_attempt_with_their_note() {
    let notes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = std::sync::Arc::clone(&notes);
    let player: harness::hostsim::Player = std::sync::Arc::new(move |played| {
        let texts: Vec<String> = played.offer.notes.iter().map(|note| note.text.clone()).collect();
        kept.lock().expect("no poison").extend(texts);
        Box::pin(async move { played.handoff() })
    });
    let office = Office::played("", player).await;
    let (project, approval, card) = office.waiting().await;
    let ann = office.slack.person("U0ANN");
    ann.clicks(&card, "baton.changes").acked().await;
    let view = office.slack.wait_for_view("U0ANN").await;
    assert_eq!(view.callback(), "baton.changes");
    ann.submits(&view, &[("note", "shorter, please")]).acked().await;
    office.slack.wait_for_no_view("U0ANN").await;
    let decision = office.decided(&approval).await;
    assert_eq!((decision.verdict, decision.note.as_str()), (Verdict::ChangesRequested, "shorter, please"));
    office.closed_cards(&approval).await;
    let second = office.asked().await;
    let card = office.card(&second).await;
    assert!(notes.lock().expect("no poison").iter().any(|note| note.contains("shorter, please")));
    ann.clicks(&card, "baton.approve").acked().await;
    let view = office.completed(&project).await;
    assert_eq!(view.tasks[0].attempt, 2);
    office.slack.no_violations();
}

#[tokio::test]
async fn a_rejection_has_a_reason_that_everybody_sees() {
    let office = Office::open("").await;
    let (project, approval, card) = office.waiting().await;
    let bob = office.slack.person("U0BOB");
    bob.clicks(&card, "baton.reject").acked().await;
    let view = office.slack.wait_for_view("U0BOB").await;
    // Blanks are no reason; the modal says so and stays.
    bob.submits(&view, &[("note", "   ")]).acked().await;
    let view = office.slack.view_of("U0BOB").expect("the modal stays");
    assert!(!view.errors.is_empty());
    assert_eq!(office.request(&approval).await.decision, None);
    bob.submits(&view, &[("note", "not what was asked for")]).acked().await;
    let decision = office.decided(&approval).await;
    assert_eq!((decision.verdict, decision.by.as_str()), (Verdict::Rejected, "bob"));
    for card in office.closed_cards(&approval).await {
        says(&card.shown(), &["rejected", "bob", "not what was asked for"]);
    }
    assert!(office.finished(&project).await.state.is_final());
    office.slack.no_violations();
}

#[tokio::test]
async fn a_decision_elsewhere_closes_the_card_in_slack() {
    let office = Office::open("").await;
    let (project, approval, card) = office.waiting().await;
    office.decides("bob", &approval, Verdict::Approved, "seen on the command line").await;
    for card in office.closed_cards(&approval).await {
        says(&card.shown(), &["approved", "bob"]);
    }
    // Somebody whose window was not refreshed presses anyway.
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    says(&office.told("U0ANN", 0).await.shown(), &["too late", "bob"]);
    office.completed(&project).await;
    assert_eq!(office.decisions(&approval).await, 1);
    office.slack.no_violations();
}

#[tokio::test]
async fn a_strangers_click_decides_nothing_and_is_answered() {
    let office = Office::open("").await;
    let (_, approval, card) = office.waiting().await;
    for (number, action) in ["baton.approve", "baton.reject"].into_iter().enumerate() {
        office.slack.person("U0STRANGER").clicks(&card, action).acked().await;
        says(&office.told("U0STRANGER", number).await.shown(), &["member"]);
        assert_eq!(office.slack.view_of("U0STRANGER"), None);
    }
    assert_eq!(office.request(&approval).await.decision, None);
    assert!(office.slack.post(&card).offers("baton.approve"));
    office.slack.no_violations();
}

#[tokio::test]
async fn two_clicks_at_once_are_one_decision_and_both_are_answered() {
    let office = Office::open("").await;
    let (project, approval, card) = office.waiting().await;
    let (ann, bob) = (office.slack.person("U0ANN"), office.slack.person("U0BOB"));
    let (first, second) = (ann.clicks(&card, "baton.approve"), bob.clicks(&card, "baton.approve"));
    first.acked().await;
    second.acked().await;
    let decision = office.decided(&approval).await;
    let loser = if decision.by == "ann" { "U0BOB" } else { "U0ANN" };
    says(&office.told(loser, 0).await.shown(), &["too late", &decision.by]);
    office.completed(&project).await;
    assert_eq!(office.decisions(&approval).await, 1);
    office.slack.no_violations();
}

#[tokio::test]
async fn an_envelope_that_comes_twice_counts_once() {
    let office = Office::open("").await;
    let (project, approval, card) = office.waiting().await;
    let click = office.slack.person("U0ANN").clicks(&card, "baton.approve");
    let again = office.slack.sends_again(&click);
    click.acked().await;
    again.acked().await;
    office.decided(&approval).await;
    office.completed(&project).await;
    assert_eq!(office.decisions(&approval).await, 1);
    // The one who clicked once is told once at most.
    office.closed_cards(&approval).await;
    let told = office.slack.ephemerals_to("U0ANN");
    assert!(told.len() <= 1, "{told:?}");
    office.slack.no_violations();
}

#[tokio::test]
async fn of_two_cards_in_a_thread_the_one_that_is_clicked_is_decided() {
    let office = Office::open("[approvals]\nbatch = false\n").await;
    let plan = "
version: 1
title: pair
tasks:
  - { id: left, run: 'true', checks: ['true'], approval: ask }
  - { id: right, run: 'true', checks: ['true'], approval: ask }
";
    let project = office.project(plan).await;
    let both = wait::until("two requests", PATIENCE, || async {
        let asked = office.client().approvals(false).await.ok()?;
        (asked.len() == 2).then_some(asked)
    })
    .await;
    let right = both.iter().find(|a| a.task_key.as_deref() == Some("right")).expect("right");
    let left = both.iter().find(|a| a.task_key.as_deref() == Some("left")).expect("left");
    let (left_card, right_card) = (office.card(left).await, office.card(right).await);
    office.slack.person("U0ANN").clicks(&right_card, "baton.approve").acked().await;
    assert_eq!(office.decided(right).await.verdict, Verdict::Approved);
    office.closed_cards(right).await;
    assert_eq!(office.request(left).await.decision, None);
    assert!(office.slack.post(&left_card).offers("baton.approve"));
    office.slack.person("U0ANN").clicks(&left_card, "baton.approve").acked().await;
    office.completed(&project).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn a_button_of_another_digest_decides_nothing() {
    let office = Office::open("").await;
    let (_, approval, card) = office.waiting().await;
    let mut forged = office.slack.person("U0ANN").click(&card, "baton.approve", |_| true);
    let value = forged["actions"][0]["value"].as_str().expect("a value").replace(&approval.digest, &"0".repeat(64));
    forged["actions"][0]["value"] = value.into();
    office.slack.sends("interactive", forged).acked().await;
    says(&office.told("U0ANN", 0).await.shown(), &["nothing was decided"]);
    assert_eq!(office.request(&approval).await.decision, None);
    // Nor one that is none of ours.
    let mut forged = office.slack.person("U0ANN").click(&card, "baton.approve", |_| true);
    forged["actions"][0]["value"] = "yes".into();
    office.slack.sends("interactive", forged).acked().await;
    says(&office.told("U0ANN", 1).await.shown(), &["nothing was done"]);
    assert_eq!(office.request(&approval).await.decision, None);
    office.slack.no_violations();
}

#[tokio::test]
async fn the_plan_is_asked_about_in_slack_too() {
    let office = Office::open("").await;
    let new = bus_schemas::v1::api::NewProject {
        plan: bus_schemas::v1::api::PlanSource {
            file: "plan.yaml".to_owned(),
            text: ONE.replace("approval: ask", "approval: auto"),
            ..Default::default()
        },
        folder: office.serve.folder().display().to_string(),
        owner: "eve".to_owned(),
        channel: "cli".to_owned(),
        ..Default::default()
    };
    let project = office.client().create_project(&new).await.expect("a project");
    let approval = office.asked().await;
    let card = office.card(&approval).await;
    assert_eq!(card.channel, TEAM_CHANNEL);
    says(&card.shown(), &["plan", "two"]);
    office.slack.person("U0BOB").clicks(&card, "baton.approve").acked().await;
    office.completed(&project).await;
    office.closed_cards(&approval).await;
    office.slack.no_violations();
}
