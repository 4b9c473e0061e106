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
        (bounce(&mail, "eve@their.example", Action::Failed), "it was not sent to"),
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
