//! Who may decide: quorums, nobody their own work, several alike in one card.

use bus_schemas::v1::approval::Verdict;
use harness::wait;

use super::rig::{Office, PATIENCE, says};

const TWO_LEADS: &str = "
version: 1
title: careful
policies:
  two: { decide: { quorum: { n: 2, of: leads } } }
tasks:
  - { id: one, run: 'true', checks: ['true'], approval: two }
";

#[tokio::test]
async fn a_quorum_takes_two_members_over_any_channels_and_one_counts_once() {
    let office = Office::open("").await;
    let project = office.project(TWO_LEADS).await;
    let approval = office.asked().await;
    let card = office.card(&approval).await;
    says(&card.shown(), &["leads"]);
    let ann = office.slack.person("U0ANN");
    ann.clicks(&card, "baton.approve").acked().await;
    let first = office.slack.wait_until("ann's vote on the card", &card, |p| p.shown().contains("ann")).await;
    assert!(first.offers("baton.approve"), "one more is needed: {}", first.shown());
    assert_eq!(office.request(&approval).await.decision, None);
    // The same person again, on the newest card: heard, and not counted.
    office.told("U0ANN", 0).await;
    ann.clicks(&first, "baton.approve").acked().await;
    says(&office.told("U0ANN", 1).await.shown(), &["twice"]);
    // Nor over another channel.
    let again = bus_schemas::v1::api::DecisionRequest {
        verdict: Verdict::Approved,
        digest: approval.digest.clone(),
        by: "ann".to_owned(),
        channel: "cli".to_owned(),
        note: String::new(),
        remember: None,
    };
    let refused = office.client().decide(&approval.approval_id.to_string(), &again).await;
    assert!(format!("{refused:?}").contains("already_voted"), "{refused:?}");
    // Who is no lead has no say.
    office.slack.person("U0EVE").clicks(&first, "baton.approve").acked().await;
    says(&office.told("U0EVE", 0).await.shown(), &["no say"]);
    assert_eq!(office.request(&approval).await.decision, None);
    office.decides("bob", &approval, Verdict::Approved, "").await;
    let decision = office.decided(&approval).await;
    assert!(decision.by.contains("ann") && decision.by.contains("bob"), "{decision:?}");
    for card in office.closed_cards(&approval).await {
        says(&card.shown(), &["approved", "ann", "bob"]);
    }
    office.completed(&project).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn nobody_approves_what_they_started() {
    let office = Office::open("").await;
    let plan = "
version: 1
title: mine
policies:
  others: { decide: ask, no_self_approval: true }
tasks:
  - { id: one, run: 'true', checks: ['true'], approval: others }
";
    // Started on the command line by ann, who presses in Slack: it is the same person.
    let project = office.project_of("ann", plan).await;
    let approval = office.asked().await;
    let card = office.card(&approval).await;
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    says(&office.told("U0ANN", 0).await.shown(), &["started", "yourself"]);
    assert_eq!(office.request(&approval).await.decision, None);
    office.slack.person("U0BOB").clicks(&card, "baton.approve").acked().await;
    assert_eq!(office.decided(&approval).await.by, "bob");
    office.completed(&project).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn equal_requests_share_a_card_and_each_is_decided() {
    let office = Office::open("").await;
    let plan = "
version: 1
title: fan
tasks:
  - { id: scan, run: 'true', checks: ['true'], approval: auto }
  - { id: each, needs: [scan], foreach: { list: [a, b, c] }, run: 'true', checks: ['true'], approval: ask }
";
    let project = office.project(plan).await;
    let asked = wait::until("three requests", PATIENCE, || async {
        let asked = office.client().approvals(false).await.ok()?;
        (asked.len() == 3).then_some(asked)
    })
    .await;
    // With two slots they may not all come within the time in which equal ones are gathered: what is left has cards of its own.
    wait::until("every request to be on a card", PATIENCE, || async {
        let ann = office.slack.person("U0ANN");
        for card in office.slack.posts().iter().filter(|post| post.is_ours()) {
            for action in ["baton.batch.approve", "baton.approve"] {
                if office.slack.post(card).offers(action) {
                    ann.clicks(&office.slack.post(card), action).acked().await;
                }
            }
        }
        office.client().approvals(false).await.ok()?.is_empty().then_some(())
    })
    .await;
    for approval in &asked {
        let decision = office.decided(approval).await;
        assert_eq!((decision.verdict, decision.by.as_str()), (Verdict::Approved, "ann"));
    }
    office.completed(&project).await;
    wait::until("no card to offer anything", PATIENCE, || async {
        let open = |post: &harness::slack::Post| post.offers("baton.approve") || post.offers("baton.batch.approve");
        (!office.slack.posts().iter().any(open)).then_some(())
    })
    .await;
    office.slack.no_violations();
}

#[tokio::test]
async fn who_hands_their_say_on_has_none_and_the_other_one_does() {
    let office = Office::open("").await;
    let plan = "
version: 1
title: hers
policies:
  ann: { decide: { person: ann } }
tasks:
  - { id: one, run: 'true', checks: ['true'], approval: ann }
";
    let project = office.project(plan).await;
    let approval = office.asked().await;
    let card = office.card(&approval).await;
    let ann = office.slack.person("U0ANN");
    ann.clicks(&card, "baton.delegate").acked().await;
    let view = office.slack.wait_for_view("U0ANN").await;
    ann.submits(&view, &[("person", "U0BOB")]).acked().await;
    wait::until("the delegation", PATIENCE, || async {
        (!office.request(&approval).await.route.delegations.is_empty()).then_some(())
    })
    .await;
    let told = office.slack.ephemerals_to("U0ANN").len();
    ann.clicks(&card, "baton.approve").acked().await;
    let words = wait::until("ann to be told", PATIENCE, || async {
        office.slack.ephemerals_to("U0ANN").into_iter().skip(told).find(|e| e.shown().contains("handed"))
    })
    .await;
    says(&words.shown(), &["handed"]);
    office.slack.person("U0BOB").clicks(&card, "baton.approve").acked().await;
    assert_eq!(office.decided(&approval).await.by, "bob");
    office.completed(&project).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn a_deadline_that_passes_closes_the_card_and_a_late_click_is_told() {
    let office = Office::open("").await;
    let plan = "
version: 1
title: hasty
policies:
  hasty: { decide: ask, deadline: 5s }
tasks:
  - { id: one, run: 'true', checks: ['true'], approval: hasty }
";
    let project = office.project(plan).await;
    let approval = office.asked().await;
    let card = office.card(&approval).await;
    let decision = office.decided(&approval).await;
    assert_eq!(decision.verdict, Verdict::Expired);
    office.closed_cards(&approval).await;
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    says(&office.told("U0ANN", 0).await.shown(), &["too late"]);
    assert!(office.finished(&project).await.state.is_final());
    office.slack.no_violations();
}
