use super::*;
use crate::adapter::slack::{
    SlackWeb as _,
    view::{OfBatch, action, read},
    web::Message,
};
use bus_schemas::{
    id::ApprovalId,
    v1::{
        api::{ApprovalView, Risk},
        approval::Verdict,
    },
};

fn batched(number: u128) -> ApprovalView {
    let mut view = samples::proven();
    view.approval_id = samples::approval_id(number);
    view.digest = format!("{number:064x}");
    view.route.batch = "docs".to_owned();
    view.route.risk = Risk::Low;
    view.route.eligible = Vec::new();
    view
}

#[tokio::test(start_paused = true)]
async fn a_request_has_one_card_which_shows_the_decision_wherever_it_is_made() {
    let rig = Rig::running();
    let view = fresh();
    rig.service.asks(view.clone());
    rig.calm().await;
    rig.service.rings(Some(view.approval_id));
    rig.calm().await;
    let cards = rig.slack.posted("card:");
    let in_channel: Vec<_> = cards.iter().filter(|(place, _)| place.channel == CHANNEL).collect();
    assert_eq!(in_channel.len(), 1, "the same event twice posts nothing twice");
    let before = rig.slack.with(|said| said.updates.len());
    rig.service.asks(samples::decided(view, Verdict::Approved, "bob", "cli"));
    rig.calm().await;
    let updates = rig.slack.with(|said| said.updates.split_off(before));
    assert_eq!(updates.len(), cards.len(), "every copy is brought up to date");
    assert!(rig.desk.with(|memory| memory.postings.values().filter(|p| p.name.starts_with("card:")).all(|p| p.closed)));
}

#[tokio::test(start_paused = true)]
async fn a_card_whose_posting_had_an_unknown_outcome_is_found_and_not_posted_again() {
    let rig = Rig::running();
    rig.service.rings(None);
    rig.calm().await;
    rig.slack.with(|said| said.lost = 1);
    let mut view = fresh();
    view.route.eligible = Vec::new();
    rig.service.asks(view);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rig.slack.posted("card:").len(), 1);
    assert!(rig.desk.with(|memory| memory.postings.values().any(|p| p.name.starts_with("card:") && p.place.is_some())));
}

#[tokio::test(start_paused = true)]
async fn it_is_found_behind_everything_that_was_said_since_and_nothing_older_is_looked_at() {
    let rig = Rig::running();
    let mut view = fresh();
    view.route.eligible = Vec::new();
    rig.service.rings(None);
    rig.calm().await;
    rig.slack.with(|said| said.lost = 1);
    rig.service.asks(view);
    rig.calm().await;
    // A busy channel: more than a page of other people's words before the next look.
    for number in 0..500 {
        let words = Message { channel: CHANNEL.to_owned(), text: format!("{number}"), ..Message::default() };
        rig.slack.post(&words).await.ok();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rig.slack.posted("card:").len(), 1, "found, and not posted again");
    let searches = rig.slack.with(|said| said.searches.clone());
    let since = searches[0].oldest.clone().unwrap();
    let seconds: i64 = since.split('.').next().unwrap().parse().unwrap();
    let margin = samples::NOW.0 / 1000 - seconds;
    assert!((1..=3600).contains(&margin), "from shortly before the intention: {since}");
}

#[tokio::test(start_paused = true)]
async fn while_slack_is_away_nothing_is_lost_and_nothing_spins() {
    let rig = Rig::running();
    rig.slack.with(|said| said.down = 3);
    let mut view = fresh();
    view.route.eligible = Vec::new();
    rig.service.asks(view);
    rig.calm().await;
    assert_eq!(rig.slack.with(|said| said.down), 2, "one try, then a pause");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(rig.slack.posted("card:").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_closed_to_the_app_is_replaced_by_the_owner() {
    let rig = Rig::running();
    rig.slack.with(|said| said.closed.push(CHANNEL.to_owned()));
    rig.service.with(|known| known.project.owner = "ann".to_owned());
    let mut view = fresh();
    view.route.eligible = Vec::new();
    rig.service.asks(view);
    rig.calm().await;
    let cards = rig.slack.posted("card:");
    // Its project's thread is in the conversation with the owner, too.
    let status = rig.slack.posted("status:");
    assert_eq!((status.len(), status[0].1.channel.as_str()), (1, ANN));
    assert_eq!((cards.len(), &cards[0].0.channel), (1, &status[0].0.channel));
    assert_eq!(cards[0].1.thread_ts.as_ref(), Some(&status[0].0.ts));
}

#[tokio::test(start_paused = true)]
async fn people_whom_a_request_names_get_a_card_of_their_own() {
    let rig = Rig::running();
    let mut view = fresh();
    view.route.eligible = vec!["bob".to_owned()];
    rig.service.asks(view);
    rig.calm().await;
    let mut targets: Vec<String> = rig.slack.posted("card:").into_iter().map(|(_, message)| message.channel).collect();
    targets.sort();
    assert_eq!(targets, [CHANNEL, BOB]);
}

#[tokio::test(start_paused = true)]
async fn each_reminder_is_said_once_below_the_card() {
    let rig = Rig::running();
    let mut view = fresh();
    view.route.eligible = vec!["ann".to_owned(), "bob".to_owned()];
    rig.service.asks(view.clone());
    rig.calm().await;
    view.route.reminders = 1;
    rig.service.asks(view.clone());
    rig.calm().await;
    rig.service.rings(Some(view.approval_id));
    rig.calm().await;
    let reminders = rig.slack.posted("reminder:");
    assert_eq!(reminders.len(), 1);
    assert!(reminders[0].1.text.contains("<@UANN>, <@UBOB>") && reminders[0].1.thread_ts.is_some());
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_what_is_pending_has_a_card_and_what_was_decided_shows_it() {
    let rig = Rig::running();
    let first = fresh();
    rig.service.asks(first.clone());
    rig.calm().await;
    rig.bridge.stop().await;
    rig.service.asks(samples::decided(first, Verdict::Rejected, "ann", "cli"));
    let mut second = fresh();
    second.approval_id = samples::approval_id(77);
    rig.service.asks(second);
    let rig = rig.restarted().await;
    rig.calm().await;
    assert_eq!(
        rig.slack
            .posted(&format!("card:{}", samples::approval_id(77)))
            .iter()
            .filter(|(p, _)| p.channel == CHANNEL)
            .count(),
        1
    );
    assert!(rig.slack.with(|said| !said.updates.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn equal_requests_share_a_card_and_are_decided_one_by_one() {
    let rig = Rig::running();
    for number in 1..=3 {
        rig.service.asks(batched(number));
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(rig.slack.posted("card:").is_empty());
    let cards = rig.slack.posted("batch:");
    assert_eq!(cards.len(), 1);
    let (place, message) = &cards[0];
    let value = message.blocks.iter().find_map(|block| block["elements"][0]["value"].as_str()).unwrap().to_owned();
    assert!(read::<OfBatch>(&value).is_ok());
    let press = |user: &str, at: &str| {
        let mut payload = click(user, action::BATCH_APPROVE, &value, at);
        payload["message"]["ts"] = place.ts.clone().into();
        payload
    };
    rig.comes(Kind::Interaction, press(ANN, "1")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(rig.slack.last_whisper().1.contains("3 of 3"), "{:?}", rig.slack.last_whisper());
    assert_eq!(rig.service.with(|known| known.decided.len()), 3);
    let decided: Vec<ApprovalId> = rig
        .service
        .with(|known| known.approvals.values().filter(|v| v.decision.is_some()).map(|v| v.approval_id).collect());
    assert_eq!(decided.len(), 3);
    rig.comes(Kind::Interaction, press(BOB, "2")).await;
    rig.calm().await;
    assert!(rig.slack.last_whisper().1.contains("Nothing was decided"), "{:?}", rig.slack.last_whisper());
}

#[tokio::test(start_paused = true)]
async fn a_request_alone_of_its_kind_gets_an_ordinary_card() {
    let rig = Rig::running();
    rig.service.asks(batched(1));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!((rig.slack.posted("card:").len(), rig.slack.posted("batch:").len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_remembered_no_more() {
    let rig = Rig::running();
    let views: Vec<ApprovalView> = (1..=3).map(batched).collect();
    views.iter().for_each(|view| rig.service.asks(view.clone()));
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (place, message) = rig.slack.posted("batch:").remove(0);
    let mut show = message.blocks.iter().flat_map(|block| block["elements"].as_array().cloned().unwrap_or_default());
    let show = show.find(|element| element["action_id"] == action::BATCH_SHOW).unwrap();
    let mut payload = click(ANN, action::BATCH_SHOW, show["value"].as_str().unwrap(), "1");
    payload["message"]["ts"] = place.ts.into();
    assert_eq!(rig.bridge.lock_batched().len(), 3);
    rig.comes(Kind::Interaction, payload).await;
    rig.calm().await;
    assert_eq!((rig.bridge.lock_batched().len(), rig.bridge.lock_alone().len()), (0, 3), "each has its own card");
    for view in views {
        rig.service.asks(samples::decided(view, Verdict::Approved, "ann", "cli"));
    }
    rig.calm().await;
    assert_eq!(rig.bridge.lock_alone().len(), 0);
    // A card of several is over when all of them are.
    let views: Vec<ApprovalView> = (4..=5).map(batched).collect();
    views.iter().for_each(|view| rig.service.asks(view.clone()));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!((rig.bridge.lock_batched().len(), rig.desk.with(|memory| memory.batches.len())), (2, 1));
    for view in views {
        rig.service.asks(samples::decided(view, Verdict::Approved, "ann", "cli"));
    }
    rig.calm().await;
    assert_eq!((rig.bridge.lock_batched().len(), rig.desk.with(|memory| memory.batches.len())), (0, 0));
    assert!(rig.desk.with(|memory| memory.postings.values().all(|p| p.closed || p.name.starts_with("status:"))));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_decided_while_others_like_it_are_waited_for_shares_no_card() {
    let rig = Rig::running();
    rig.service.asks(batched(1));
    rig.calm().await;
    rig.service.asks(samples::decided(batched(1), Verdict::Approved, "ann", "cli"));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(rig.bridge.lock_gathering().is_empty());
    rig.service.asks(batched(2));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!((rig.slack.posted("card:").len(), rig.slack.posted("batch:").len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_sends_again_is_forgotten_at_the_start_and_every_day() {
    let rig = Rig::running();
    rig.calm().await;
    assert_eq!(rig.desk.with(|memory| memory.tidied.len()), 1);
    tokio::time::sleep(Duration::from_secs(3 * 24 * 3600)).await;
    assert_eq!(rig.desk.with(|memory| memory.tidied.len()), 4);
}
