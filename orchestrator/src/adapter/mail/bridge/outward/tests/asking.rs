//! Who is asked, reminded, told what came of it; and what happens to those whom no mail reaches.

use super::{
    super::{Auto, Recipient, Say},
    *,
};
use crate::{
    adapter::mail::{OutKind, Story},
    port::fake::down,
};

#[tokio::test(start_paused = true)]
async fn those_without_slack_are_asked_by_mail_and_everybody_where_the_project_began_by_mail() {
    let rig = Rig::running();
    rig.service.asks(request(&["ann", "bob", "dora"]));
    rig.to_be("request:", &["ann@our.example"]).await;
    rig.began_by_mail("email:gast@their.example").await;
    rig.service.asks(request(&["ann", "bob", "dora"]));
    // Dora has no address.
    rig.to_be("request:", &["ann@our.example", "bob@our.example"]).await;
    rig.service.feeds("approval.viewed", "again", Some(approval_id()), Vec::new());
    // An event twice asks nobody twice.
    rig.there_are(2, "request:").await;
    assert_eq!(rig.server.took("bob@our.example").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_anybody_may_decide_those_are_asked_who_began_it() {
    let rig = Rig::running();
    rig.began_by_mail("email:gast@their.example").await;
    rig.service.with(|known| known.project.owner = "email:gast@their.example".to_owned());
    rig.service.asks(request(&[]));
    rig.to_be("request:", &["gast@their.example"]).await;
}

#[tokio::test(start_paused = true)]
async fn with_everyone_or_without_slack_all_get_a_mail() {
    for settings in
        [Settings { requests: Audience::Everyone, ..settings() }, Settings { has_slack: false, ..settings() }]
    {
        let rig = Rig::with(settings);
        rig.service.asks(request(&["ann", "bob"]));
        rig.to_be("request:", &["ann@our.example", "bob@our.example"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_carries_a_token_of_its_own_and_stands_in_the_thread() {
    let rig = Rig::running();
    rig.began_by_mail("ann").await;
    rig.service.asks(request(&["ann"]));
    let mails = rig.there_are(1, "request:").await;
    let raw = &rig.server.took("ann@our.example")[0];
    let plus = format!("baton+{}@our.example", crate::mail::token::plus(&[7; 32], mails[0].id));
    assert_eq!(header(raw, "Message-ID"), format!("<{}>", mails[0].message_id));
    assert!(header(raw, "Reply-To").contains(&plus), "{raw}");
    assert_eq!(header(raw, "In-Reply-To"), "<first@their.example>");
    assert_eq!(header(raw, "Subject"), "Re: Fix the docs");
    assert_eq!((mails[0].person.as_str(), mails[0].digest.as_str()), ("ann", "d".repeat(64).as_str()));
    rig.service.asks(ApprovalView { digest: "e".repeat(64), ..request(&["ann"]) });
    // What changed is asked anew.
    rig.there_are(2, "request:").await;
    let raw = &rig.server.took("ann@our.example")[1];
    let references = format!("<first@their.example> <{}>", mails[0].message_id);
    assert_eq!(header(raw, "References"), references);
}

#[tokio::test(start_paused = true)]
async fn reminders_go_to_those_who_did_not_answer_and_not_to_those_who_were_asked_with_them() {
    let rig = Rig::running();
    rig.service.asks(request(&["ann", "carl"]));
    rig.to_be("request:", &["ann@our.example", "carl@our.example"]).await;
    let mut view = request(&["ann", "carl", "email:late@their.example"]);
    view.route.reminders = 1;
    let vote = json!({"by": "carl", "channel": "cli", "at": START});
    view.route.votes = vec![serde_json::from_value(vote).unwrap()];
    rig.service.asks(view.clone());
    rig.service.asks(view.clone());
    rig.to_be("remind:", &["ann@our.example"]).await;
    rig.there_are(3, "request:").await;
    view.route.reminders = 2;
    rig.service.asks(view);
    rig.to_be("remind:", &["ann@our.example", "ann@our.example", "late@their.example"]).await;
}

#[tokio::test(start_paused = true)]
async fn those_who_were_asked_hear_what_came_of_it_and_who_decided_does_not() {
    let rig = Rig::running();
    let view = request(&["ann", "carl"]);
    rig.service.asks(view.clone());
    rig.there_are(2, "request:").await;
    rig.service.asks(decided(&view, "ann", "email"));
    rig.service.asks(decided(&view, "ann", "email"));
    rig.to_be("outcome:", &["carl@our.example"]).await;
    let raw = &rig.server.took("carl@our.example")[1];
    let asked = rig.there_are(2, "request:").await.into_iter().find(|mail| mail.person == "carl").unwrap();
    assert_eq!(header(raw, "In-Reply-To"), format!("<{}>", asked.message_id));
}

#[tokio::test(start_paused = true)]
async fn what_is_decided_before_it_was_sent_is_not_sent() {
    let rig = Rig::running();
    let view = request(&["carl"]);
    rig.server.says("carl@our.example", TransportError::Later("away".to_owned()));
    rig.service.asks(view.clone());
    let mails = rig.there_are(1, "request:").await;
    assert_eq!((states(&mails), mails[0].tries), (vec![OutState::Queued], 1));
    rig.service.asks(decided(&view, "ann", "cli"));
    rig.server.is_back();
    rig.there_are(1, "outcome:").await;
    rig.pass(Duration::from_secs(60)).await;
    let mails = rig.named("request:").await;
    assert_eq!(states(&mails), [OutState::Failed]);
    assert!(mails[0].error.as_ref().unwrap().contains("decided"), "{mails:?}");
    assert!(rig.named("unreached:").await.is_empty(), "nobody is unreached");
    assert_eq!(rig.server.took("carl@our.example").len(), 1, "it may have arrived: what came of it is told");
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_what_waits_is_asked_and_what_was_said_is_not_said_again() {
    let rig = Rig::running();
    rig.service.asks(request(&["ann"]));
    rig.there_are(1, "request:").await;
    rig.bridge.stop().await;
    let other = ApprovalView { approval_id: ApprovalId::from_uuid(Uuid::from_u128(77)), ..request(&["carl"]) };
    rig.service.with(|known| known.approvals.insert(other.approval_id, other.clone()));
    rig.service.with(|known| known.approvals.insert(approval_id(), decided(&request(&["ann"]), "carl", "cli")));
    rig.service.feeds("approval.decided", "approved", Some(approval_id()), Vec::new());
    let rig = rig.restarted().await;
    rig.to_be("request:", &["ann@our.example", "carl@our.example"]).await;
    rig.to_be("outcome:", &["ann@our.example"]).await;
    assert_eq!(rig.server.took("ann@our.example").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_orchestrator_that_cannot_answer_is_asked_again() {
    let rig = Rig::quiet(settings());
    rig.service.with(|known| known.down = down());
    rig.service.asks(request(&["ann"]));
    rig.bridge.run();
    rig.pass(Duration::from_secs(1)).await;
    assert!(rig.named("request:").await.is_empty());
    rig.service.with(|known| known.down = None);
    rig.pass(Duration::from_secs(60)).await;
    rig.to_be("request:", &["ann@our.example"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_address_is_followed_by_the_next_then_by_others_who_may_decide() {
    let rig = Rig::running();
    let never = TransportError::Never("550 nobody of that name".to_owned());
    rig.server.says("ann@our.example", never.clone());
    rig.service.asks(request(&["ann", "bob"]));
    rig.to_be("request:", &["ann@home.example", "ann@our.example"]).await;
    assert!(rig.named("unreached:").await.is_empty());
    let second = rig.there_are(2, "request:").await.into_iter().find(|mail| mail.state == OutState::Sent).unwrap();
    let said = rig.bridge.bounced(&bounce(&second, "ann@home.example", Action::Failed)).await.unwrap();
    assert!(said.contains("came back: 5.1.1 nobody of that name"), "{said}");
    rig.to_be("request:", &["ann@home.example", "ann@our.example", "bob@our.example"]).await;
    rig.to_be("unreached:", &["carl@our.example"]).await;
    let said = text(&rig.server.took("carl@our.example")[0]);
    assert!(said.contains("ann could not be reached at ann@our.example, ann@home.example"), "{said}");
    rig.service.asks(request(&["ann", "bob"]));
    let rig = rig.restarted().await;
    rig.settle().await;
    rig.there_are(3, "request:").await;
    rig.there_are(1, "unreached:").await;
}

#[tokio::test(start_paused = true)]
async fn a_reminder_that_comes_back_asks_at_the_next_address_then_others_and_the_outbox_says_so() {
    let rig = Rig::running();
    let mut view = request(&["ann", "bob"]);
    rig.service.asks(view.clone());
    rig.to_be("request:", &["ann@our.example"]).await;
    view.route.reminders = 1;
    rig.service.asks(view.clone());
    let reminder = rig.there_are(1, "remind:").await.remove(0);
    rig.bridge.bounced(&bounce(&reminder, "ann@our.example", Action::Failed)).await.unwrap();
    rig.to_be("request:", &["ann@home.example", "ann@our.example"]).await;
    assert!(rig.named("unreached:").await.is_empty(), "she has it at home");
    let said = rig.named("remind:").await[0].error.clone().unwrap();
    assert!(said.contains("came back: 5.1.1") && said.ends_with("instead: ann at ann@home.example"), "{said}");

    view.route.reminders = 2;
    rig.service.asks(view.clone());
    let reminders = rig.there_are(2, "remind:").await;
    let second = reminders.iter().find(|mail| mail.to == "ann@home.example").unwrap();
    rig.bridge.bounced(&bounce(second, "", Action::Failed)).await.unwrap();
    rig.to_be("request:", &["ann@home.example", "ann@our.example", "bob@our.example"]).await;
    rig.to_be("unreached:", &["carl@our.example"]).await;
    for mail in rig.named("remind:").await {
        assert!(mail.error.as_deref().unwrap().ends_with("instead: bob at bob@our.example"), "{mail:?}");
    }
    // Who was asked in her stead is reminded in her stead.
    view.route.reminders = 3;
    rig.service.asks(view);
    rig.to_be("remind:", &["ann@home.example", "ann@our.example", "bob@our.example"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_back_and_comes_back_is_asked_elsewhere() {
    let rig = Rig::running();
    rig.service.asks(request(&["ann"]));
    let asked = rig.there_are(1, "request:").await.remove(0);
    let back = Say {
        name: "answer:1".to_owned(),
        to: Recipient { person: "ann".to_owned(), address: "ann@our.example".to_owned() },
        project_id: Some(project_id()),
        approval_id: Some(approval_id()),
        digest: asked.digest.clone(),
        kind: OutKind::Request,
        in_reply_to: None,
        auto: Auto::Replied,
        story: Story::AskBack { approval: Some(Box::new(request(&["ann"]))), why: "it may mean two things".to_owned() },
    };
    rig.bridge.say(back).await.unwrap();
    let back = rig.there_are(1, "answer:").await.remove(0);
    rig.bridge.bounced(&bounce(&back, "ann@our.example", Action::Failed)).await.unwrap();
    rig.to_be("request:", &["ann@home.example", "ann@our.example"]).await;
    // What came of it is told where she is reached.
    rig.service.asks(decided(&request(&["ann"]), "carl", "cli"));
    rig.to_be("outcome:", &["ann@home.example"]).await;
}

#[tokio::test(start_paused = true)]
async fn who_may_decide_later_and_is_not_reached_is_followed_by_others_too() {
    let rig = Rig::running();
    rig.service.asks(request(&["ann"]));
    rig.there_are(1, "request:").await;
    rig.server.says("late@their.example", TransportError::Never("550 nobody of that name".to_owned()));
    // The policy lets more people decide now.
    let mut view = request(&["ann", "bob", "email:late@their.example"]);
    view.route.reminders = 1;
    rig.service.asks(view);
    rig.to_be("request:", &["ann@our.example", "bob@our.example", "late@their.example"]).await;
    rig.to_be("unreached:", &["carl@our.example"]).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_unreached_is_unreached_for_what_changed_too() {
    let rig = Rig::running();
    rig.server.says("carl@our.example", TransportError::Never("550 nobody of that name".to_owned()));
    rig.service.asks(request(&["carl", "bob"]));
    rig.to_be("request:", &["bob@our.example", "carl@our.example"]).await;
    rig.service.asks(ApprovalView { digest: "e".repeat(64), ..request(&["carl", "bob"]) });
    rig.to_be("request:", &["bob@our.example", "bob@our.example", "carl@our.example"]).await;
}

#[tokio::test(start_paused = true)]
async fn where_anybody_may_decide_and_nobody_is_reached_those_are_asked_who_look_after_things() {
    let rig = Rig::running();
    rig.began_by_mail("email:gast@their.example").await;
    rig.server.says("gast@their.example", TransportError::Never("550 nobody of that name".to_owned()));
    rig.service.with(|known| known.project.owner = "email:gast@their.example".to_owned());
    rig.service.asks(request(&[]));
    rig.to_be("request:", &["carl@our.example", "gast@their.example"]).await;
    rig.to_be("unreached:", &["carl@our.example"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_admin_who_cannot_be_told_either_is_followed_by_the_owner() {
    let rig = Rig::running();
    for address in ["ann@our.example", "ann@home.example", "carl@our.example"] {
        rig.server.says(address, TransportError::Never("550 nobody of that name".to_owned()));
    }
    rig.service.with(|known| known.project.owner = "bob".to_owned());
    rig.service.asks(request(&["ann"]));
    rig.to_be("unreached:", &["bob@our.example", "carl@our.example"]).await;
    let lost = rig.named("request:").await;
    let said = lost[0].error.as_deref().unwrap();
    assert!(said.contains("nobody is left who can be asked by mail: `baton approvals"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_arrive_is_told_at_the_next_address_else_to_the_admins() {
    let rig = Rig::running();
    let answer = |person: &str, address: &str| Say {
        name: "answer:1".to_owned(),
        to: Recipient { person: person.to_owned(), address: address.to_owned() },
        project_id: None,
        approval_id: None,
        digest: String::new(),
        kind: OutKind::Answer,
        in_reply_to: None,
        auto: Auto::Replied,
        story: Story::Refused { what: "Nothing was begun".to_owned(), why: "a key is wrong".to_owned(), hint: None },
    };
    rig.server.says("ann@our.example", TransportError::Never("552 her mailbox is full".to_owned()));
    rig.server.says("gast@their.example", TransportError::Never("550 nobody of that name".to_owned()));
    rig.bridge.say(answer("ann", "ann@our.example")).await.unwrap();
    rig.bridge.say(answer("email:gast@their.example", "gast@their.example")).await.unwrap();
    rig.to_be("lost:", &["ann@home.example", "carl@our.example"]).await;
    let said = text(&rig.server.took("ann@home.example")[0]);
    assert!(said.contains("Nothing was begun") && said.contains("her mailbox is full"), "{said}");
}
