//! Servers that go away at every step: nothing is lost, and nothing is done or sent twice.

use std::collections::BTreeSet;

use harness::{
    mail::{ANN, BATON, BOB, Mail},
    wait,
};

use super::{
    rig::{Office, PATIENCE},
    written::Written,
};

/// No two of these mails say the same thing to the same person.
fn all_different(mails: &[Mail]) {
    let subjects: BTreeSet<String> = mails.iter().map(|mail| format!("{}\n{}", mail.subject(), mail.text())).collect();
    assert_eq!(subjects.len(), mails.len(), "a mail came twice: {mails:?}");
}

#[tokio::test]
async fn mail_servers_may_restart_at_every_step() {
    let office = Office::open().await;
    // Before it arrives: it waits in Postfix's queue.
    office.mail.stop_dovecot();
    let written = Written::new(ANN, BATON, "Through thick and thin", "Keep going.\n");
    office.sends(&written);
    office.mail.kill_postfix();
    office.mail.start_postfix();
    // Nothing of ours goes out for now.
    [ANN, BOB].into_iter().for_each(|person| office.mail.on_recipient(person, "450 4.3.2 not now"));
    office.mail.start_dovecot();
    let project = office.only_project().await;

    // Before the request has gone out.
    let approval = office.asked().await;
    wait::until("a try to send the request", PATIENCE, || async {
        let is_tried = |out: &serde_json::Value| out["tries"].as_u64() > Some(0) && out["state"] == "queued";
        office.outbox().iter().any(is_tried).then_some(())
    })
    .await;
    office.mail.stop_postfix();
    office.mail.is_well();
    office.mail.start_postfix();
    let request = office.request(ANN, 0).await;

    // While the reply is on its way.
    office.mail.kill_dovecot();
    office.replies(ANN, &request, "approve");
    office.mail.start_dovecot();
    assert_eq!(office.decided(&approval).await.by, "ann");
    office.completed(&project).await;

    // Afterwards: every mail has another number, and all are known.
    office.mail.renumber(BATON);
    office.mail.restart();
    let again = Written::new(BOB, BATON, "A second one", "Go on.\n");
    office.sends(&again);
    assert_eq!(office.outcome(&again).await["state"], "done");
    assert_eq!((office.projects().await, office.decisions(&approval).await), (2, 1));
    office.told(ANN, &["completed", "Through thick and thin"], 0).await;
    all_different(&office.mail.mails(ANN));
}

#[tokio::test]
async fn a_server_that_stops_answering_is_left_and_found_again() {
    let office = Office::open().await;
    let first = Written::new(ANN, BATON, "Before", "Do it before.\n");
    office.sends(&first);
    office.outcome(&first).await;
    // Connections stay open and nobody says a word, then everything is gone.
    office.mail.freeze_dovecot(true);
    office.mail.kill_dovecot();
    office.mail.start_dovecot();
    let second = Written::new(ANN, BATON, "After", "Do it after.\n");
    office.sends(&second);
    assert_eq!(office.outcome(&second).await["state"], "done");
    assert_eq!(office.projects().await, 2);
}

#[tokio::test]
async fn a_password_that_is_refused_for_a_while_loses_nothing() {
    let office = Office::open().await;
    office.mail.password(BATON, "another one");
    office.mail.stop_dovecot();
    office.mail.start_dovecot();
    let written = Written::new(ANN, BATON, "Locked out", "Do it all the same.\n");
    office.sends(&written);
    office.mail.wait_for_mail(BATON, |mail| mail.subject() == "Locked out").await;
    let client = office.client();
    let trouble = || async { client.mail().await.expect("how mail is").mailbox.expect("a mailbox").trouble };
    let why = wait::until("what keeps the mailbox from being read", PATIENCE, &trouble).await;
    assert!(why.contains("LOGIN") || why.contains("refused"), "{why}");
    let log = office.serve.baton(&["mail", "log"]);
    let said = String::from_utf8_lossy(&log.stderr).into_owned();
    assert!(said.contains("the mailbox of baton@orch.test is not read now"), "{said}");
    assert_eq!(office.projects().await, 0);
    office.mail.add_user(BATON);
    assert!(office.only_project().await.goal.contains("all the same"));
    wait::until("the mailbox to be read", PATIENCE, || async { trouble().await.is_none().then_some(()) }).await;
    assert_eq!(office.outcome(&written).await["state"], "done");
}

#[tokio::test]
async fn the_orchestrator_may_be_killed_at_every_step() {
    let mut office = Office::open().await;
    let written = Written::new(ANN, BATON, "Killed and alive", "Keep going.\n");
    office.sends(&written);
    office.serve.kill();
    office.serve.start().await;
    let project = office.only_project().await;
    office.serve.kill();
    office.serve.start().await;
    let approval = office.asked().await;
    office.serve.kill();
    office.serve.start().await;
    let request = office.request(ANN, 0).await;
    office.serve.kill();
    office.replies(ANN, &request, "approve");
    office.mail.wait_for_mail(BATON, |mail| mail.subject().starts_with("Re: ")).await;
    office.serve.start().await;
    assert_eq!(office.decided(&approval).await.by, "ann");
    office.serve.kill();
    office.serve.start().await;
    office.completed(&project).await;
    office.told(ANN, &["completed"], 0).await;
    assert_eq!((office.projects().await, office.decisions(&approval).await), (1, 1));
    for person in [ANN, BOB] {
        // A mail whose answer was lost with the connection may come twice, under the same Message-ID: programs show one.
        let mut seen = BTreeSet::new();
        let mails = office.mail.mails(person);
        let shown: Vec<Mail> = mails.into_iter().filter(|mail| seen.insert(mail.header("Message-ID"))).collect();
        all_different(&shown);
    }
}
