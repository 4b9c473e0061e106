//! Handing mails on: pauses, giving up, order, the cap.

use bus_schemas::v1::project::ProjectState;

use super::{
    super::{Auto, Recipient, Say},
    *,
};
use crate::adapter::mail::{OutKind, Story};

fn note(name: &str) -> Say {
    Say {
        name: name.to_owned(),
        to: Recipient { person: "ann".to_owned(), address: "ann@our.example".to_owned() },
        project_id: Some(project_id()),
        approval_id: None,
        digest: String::new(),
        kind: OutKind::Project,
        in_reply_to: Some("theirs@their.example".to_owned()),
        auto: Auto::Replied,
        story: Story::Done { said: "It is done.".to_owned() },
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_server_is_away_a_mail_is_tried_with_pauses_and_arrives_once_as_it_was() {
    let rig = Rig::running();
    rig.server.says("ann@our.example", TransportError::Later("connection refused".to_owned()));
    rig.bridge.say(note("answer:1")).await.unwrap();
    let first = rig.there_are(1, "answer:").await.remove(0);
    let text = rig.store.out_text(first.id).await.unwrap().unwrap();
    assert_eq!((rig.server.tries(), first.tries, first.error.as_deref()), (1, 1, Some("connection refused")));
    rig.pass(Duration::from_secs(29)).await;
    assert_eq!(rig.server.tries(), 1, "a pause is a pause");
    rig.pass(Duration::from_secs(8)).await;
    assert_eq!(rig.server.tries(), 2);
    rig.server.says("ann@our.example", TransportError::Unknown("no answer".to_owned()));
    rig.pass(Duration::from_secs(145)).await;
    assert_eq!(rig.server.tries(), 3);
    let rig = rig.restarted().await;
    rig.settle().await;
    assert_eq!(rig.server.tries(), 3, "a restart does not make it impatient");
    rig.server.is_back();
    rig.pass(Duration::from_secs(780)).await;
    let took = rig.server.took("ann@our.example");
    assert_eq!((took.len(), took[0].as_bytes()), (1, text.as_ref()));
    assert_eq!(states(&rig.named("answer:").await), [OutState::Sent]);
    assert_eq!(rig.named("answer:").await[0].error, None);
}

#[tokio::test(start_paused = true)]
async fn after_a_day_of_tries_it_is_given_up_and_somebody_else_is_asked() {
    let rig = Rig::running();
    rig.server.says("carl@our.example", TransportError::Later("451 try later".to_owned()));
    rig.service.asks(request(&["carl", "bob"]));
    rig.settle().await;
    let mut hours = 0;
    while rig.named("request:").await.len() == 1 {
        assert!(hours < 48, "it is tried for ever");
        rig.pass(Duration::from_secs(3600 * 6 / 5)).await;
        hours += 1;
    }
    assert!(hours > 20, "{hours}");
    let mails = rig.named("request:").await;
    let given_up = mails.iter().find(|mail| mail.person == "carl").unwrap();
    assert_eq!(given_up.state, OutState::Failed);
    let said = given_up.error.as_ref().unwrap();
    assert!(said.contains("451 try later") && said.contains("instead: bob"), "{given_up:?}");
    rig.to_be("request:", &["bob@our.example", "carl@our.example"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_night_in_which_nothing_ran_is_no_try() {
    for before in [false, true] {
        let rig = Rig::quiet(settings());
        rig.server.says("ann@our.example", TransportError::Later("connection refused".to_owned()));
        rig.bridge.say(note("answer:1")).await.unwrap();
        if before {
            rig.bridge.run();
            rig.there_are(1, "answer:").await;
            rig.bridge.stop().await;
        }
        // Days later, the network is up a moment after the program.
        tokio::time::advance(Duration::from_secs(3 * 24 * 3600)).await;
        let rig = rig.restarted().await;
        rig.settle().await;
        let mail = rig.there_are(1, "answer:").await.remove(0);
        assert_eq!((mail.state, rig.server.tries()), (OutState::Queued, 1 + u32::from(before)), "{mail:?}");
        rig.server.is_back();
        rig.pass(Duration::from_secs(150)).await;
        assert_eq!(states(&rig.named("answer:").await), [OutState::Sent]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_may_be_there_goes_out_once_more_and_the_outbox_says_so_all_the_while() {
    let rig = Rig::running();
    let at = "ann@our.example";
    rig.server.says(at, TransportError::Unknown("no answer".to_owned()));
    rig.bridge.say(note("answer:1")).await.unwrap();
    let first = rig.there_are(1, "answer:").await.remove(0);
    assert_eq!((first.state, first.error.as_deref()), (OutState::Queued, Some("perhaps handed over: no answer")));
    rig.server.says(at, TransportError::Later("connection refused".to_owned()));
    rig.pass(Duration::from_secs(37)).await;
    let second = rig.named("answer:").await.remove(0);
    assert_eq!(second.error.as_deref(), Some("perhaps handed over before; since then: connection refused"));
    rig.server.says(at, TransportError::Unknown("no answer again".to_owned()));
    rig.pass(Duration::from_secs(150)).await;
    let third = rig.named("answer:").await.remove(0);
    let said = (third.state, third.tries, third.error.as_deref());
    assert_eq!(said, (OutState::Sent, 3, Some("perhaps handed over: no answer again")));
    rig.pass(Duration::from_secs(2 * 24 * 3600)).await;
    assert_eq!(rig.server.tries(), 3, "a third copy helps nobody");
}

#[tokio::test(start_paused = true)]
async fn one_recipients_mails_keep_their_order() {
    let rig = Rig::quiet(settings());
    for number in 0..12 {
        rig.bridge.say(note(&format!("answer:{number:02}"))).await.unwrap();
    }
    rig.bridge.run();
    let sent = rig.there_are(12, "answer:").await;
    let ids: Vec<String> = sent.iter().map(|mail| format!("<{}>", mail.message_id)).collect();
    let took = rig.server.took("ann@our.example");
    assert_eq!(took.iter().map(|raw| header(raw, "Message-ID")).collect::<Vec<_>>(), ids);
}

#[tokio::test(start_paused = true)]
async fn above_the_cap_only_what_somebody_waits_for_goes_out() {
    let rig = Rig::with(Settings { per_thread: 3, ..settings() });
    for number in 0..5 {
        rig.bridge.say(note(&format!("answer:{number}"))).await.unwrap();
    }
    let answers = rig.there_are(5, "answer:").await;
    let unsent: Vec<&OutMail> = answers.iter().filter(|mail| mail.state == OutState::Failed).collect();
    assert_eq!((unsent.len(), rig.server.took("ann@our.example").len()), (2, 3));
    let why = "not sent: more than 3 mails to ann about one project within an hour (`per_thread` in [mail])";
    assert!(unsent.iter().all(|mail| mail.error.as_deref() == Some(why) && mail.tries == 0), "{unsent:?}");
    rig.service.asks(request(&["ann"]));
    rig.there_are(1, "request:").await;
    // Nobody is unreached: there were too many, and none was lost.
    assert!(rig.named("unreached:").await.is_empty());
    rig.began_by_mail("ann").await;
    rig.service.with(|known| known.project.state = ProjectState::Failed);
    rig.service.feeds("attempt.failed", "it failed", None, Vec::new());
    rig.there_are(1, "result:").await;
    rig.pass(Duration::from_secs(3601)).await;
    rig.bridge.say(note("answer:later")).await.unwrap();
    rig.there_are(6, "answer:").await;
    assert_eq!(rig.named("answer:").await[5].state, OutState::Sent);
}

#[tokio::test(start_paused = true)]
async fn a_thread_remembers_its_beginning_and_its_newest_mails() {
    let rig = Rig::with(Settings { per_thread: 100, ..settings() });
    rig.began_by_mail("ann").await;
    for number in 0..40 {
        rig.bridge.say(note(&format!("answer:{number:02}"))).await.unwrap();
    }
    let mails = rig.there_are(40, "answer:").await;
    let thread = rig.store.thread(project_id(), "ann").await.unwrap().unwrap();
    assert_eq!(thread.references.len(), 20);
    assert_eq!(thread.references.first().map(String::as_str), Some("first@their.example"));
    assert_eq!(thread.references.last(), Some(&mails[39].message_id));
    assert!(thread.is_start && thread.subject == "Fix the docs");
}
