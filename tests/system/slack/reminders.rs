//! Requests that nobody decides: people are reminded, then others may decide, too.

use bus_schemas::v1::approval::Verdict;
use harness::slack::Post;

use super::rig::{Office, named, says};

#[tokio::test]
async fn who_may_decide_is_reminded_and_after_the_deadline_others_may_as_well() {
    let office = Office::open("").await;
    let plan = "
version: 1
title: slow
policies:
  slow:
    decide: { person: ann }
    reminder: 2s
    deadline: 5s
    at_deadline: { escalate: { to: { group: leads }, for: 10m } }
tasks:
  - { id: one, run: 'true', checks: ['true'], approval: slow }
";
    let project = office.project(plan).await;
    let approval = office.asked().await;
    let card = office.card(&approval).await;
    let root = card.thread_ts.clone().unwrap_or_else(|| card.ts.clone());
    let below = |post: &Post, kind: &str| named(post, kind) && post.thread_ts.as_ref() == Some(&root);
    let reminder = office.slack.wait_for_message("a reminder", |post| below(post, "reminder")).await;
    says(&reminder.shown(), &["still waits", "<@U0ANN>", "one"]);
    let wider = office.slack.wait_for_message("who may decide now", |post| below(post, "who")).await;
    says(&wider.shown(), &["may decide", "<@U0ANN>", "<@U0BOB>"]);
    let wanted = |post: &Post| post.shown().contains("bob") && post.offers("baton.approve");
    let card = office.slack.wait_until("bob's name on the card", &card, wanted).await;
    // Nobody else gained a say by it.
    office.slack.person("U0EVE").clicks(&card, "baton.approve").acked().await;
    says(&office.told("U0EVE", 0).await.shown(), &["no say"]);
    office.slack.person("U0BOB").clicks(&card, "baton.approve").acked().await;
    let decision = office.decided(&approval).await;
    assert_eq!((decision.verdict, decision.by.as_str()), (Verdict::Approved, "bob"));
    office.closed_cards(&approval).await;
    office.completed(&project).await;
    // Each was said once, whatever came between.
    let names: Vec<String> = office
        .slack
        .posts()
        .iter()
        .filter(|post| named(post, "reminder") || named(post, "who"))
        .map(|post| post.metadata.clone().unwrap_or_default().to_string())
        .collect();
    let mut once = names.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), names.len(), "{names:?}");
    office.slack.no_violations();
}

#[tokio::test]
async fn where_nobody_decides_even_then_it_counts_as_rejected() {
    let office = Office::open("").await;
    let plan = "
version: 1
title: nobody
policies:
  slow: { decide: { person: ann }, deadline: 2s, at_deadline: { escalate: { to: { group: leads }, for: 2s } } }
tasks:
  - { id: one, run: 'true', checks: ['true'], approval: slow }
";
    let project = office.project(plan).await;
    let approval = office.asked().await;
    assert_eq!(office.decided(&approval).await.verdict, Verdict::Expired);
    assert!(office.finished(&project).await.state.is_final());
    assert!(
        office.cards(&approval).iter().all(|card| !card.offers("baton.reject"))
            || !office.closed_cards(&approval).await.is_empty()
    );
    office.slack.no_violations();
}
