//! What counts as a mail that came back.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_bounce_counts_only_for_a_mail_of_ours_and_its_recipient() {
    let rig = Rig::running();
    rig.service.asks(request(&["carl"]));
    let mail = rig.there_are(1, "request:").await.remove(0);
    let strange = OutMail { message_id: "somebody@else.example".to_owned(), ..mail.clone() };
    for (report, said) in [
        (bounce(&strange, "carl@our.example", Action::Failed), "no mail of ours"),
        (bounce(&mail, "carl@our.example", Action::Delayed), "is late"),
        (bounce(&mail, "Carl@our.example", Action::Delivered), "arrived"),
    ] {
        let answer = rig.bridge.bounced(&report).await.unwrap();
        assert!(answer.contains(said), "{answer}");
        assert_eq!(states(&rig.named("request:").await), [OutState::Sent]);
    }
    let token = crate::mail::token::plus(&[7; 32], mail.id);
    let by_token = Bounce { about: Vec::new(), tokens: vec![token], ..bounce(&mail, "", Action::Failed) };
    rig.bridge.bounced(&by_token).await.unwrap();
    assert_eq!(states(&rig.named("request:").await), [OutState::Bounced]);
    let answer = rig.bridge.bounced(&by_token).await.unwrap();
    assert!(answer.contains("bounced before"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_bounce_may_name_its_recipient_as_servers_do() {
    for address in ["ANN@Our.Example", "ann.smith@exchange.our.example", "", "ann@xn--bcher-kva.example"] {
        let rig = Rig::running();
        rig.service.asks(request(&["ann"]));
        let mail = rig.there_are(1, "request:").await.remove(0);
        let token = crate::mail::token::plus(&[7; 32], mail.id);
        let report = Bounce { about: Vec::new(), tokens: vec![token], ..bounce(&mail, address, Action::Failed) };
        rig.bridge.bounced(&report).await.unwrap();
        rig.to_be("request:", &["ann@home.example", "ann@our.example"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_forged_bounce_does_nothing_whomever_it_names() {
    let rig = Rig::running();
    rig.service.asks(request(&["ann"]));
    let mail = rig.there_are(1, "request:").await.remove(0);
    let strange = crate::mail::token::plus(&[8; 32], mail.id);
    let forged = Bounce {
        about: vec![format!("{}@our.example", mail.id.simple())],
        tokens: vec![strange, "a".repeat(40)],
        ..bounce(&mail, "ann@our.example", Action::Failed)
    };
    let said = rig.bridge.bounced(&forged).await.unwrap();
    assert!(said.contains("no mail of ours"), "{said}");
    assert_eq!(states(&rig.named("request:").await), [OutState::Sent]);
}

#[tokio::test(start_paused = true)]
async fn of_an_address_that_stands_for_several_people_one_is_enough() {
    let rig = Rig::running();
    rig.service.asks(request(&["carl"]));
    let mail = rig.there_are(1, "request:").await.remove(0);
    let with = |second: Action| {
        let mut report = bounce(&mail, "phone@their.example", Action::Failed);
        report.recipients.extend(bounce(&mail, "home@their.example", second).recipients);
        report
    };
    for (second, said) in [(Action::Delivered, "arrived"), (Action::Delayed, "is late")] {
        let answer = rig.bridge.bounced(&with(second)).await.unwrap();
        assert!(answer.contains(said), "{answer}");
    }
    let answer = rig.bridge.bounced(&with(Action::Failed)).await.unwrap();
    assert!(answer.contains("came back") && answer.contains("as phone@their.example"), "{answer}");
}
