//! Replies: who may decide with which token, what is not clear, what is a machine's.

use bus_schemas::v1::approval::Verdict;
use harness::mail::{ANN, BATON, BOB, EVE};

use super::{
    rig::{Office, SENDERS},
    written::{Written, answer_address},
};

#[tokio::test]
async fn a_token_decides_for_the_one_it_was_sent_to_and_once() {
    let office = Office::open().await;
    let (project, approval, mail) = office.waiting().await;
    // Bob got hers forwarded, and answers to it.
    office.replies(BOB, &mail, "approve");
    office.judged(1).await;
    assert_eq!(office.request_now(&approval).await.decision, None);
    let refused = office.told(BOB, &[], 0).await;
    assert!(refused.header("In-Reply-To").ends_with("@team.test>"), "{refused:?}");
    // Eve stole it.
    let stolen = Written::reply(EVE, &mail, "approve");
    office.sends(&stolen);
    office.put_aside(&stolen, &[EVE]).await;
    assert_eq!(office.request_now(&approval).await.decision, None);

    office.replies(ANN, &mail, "reject: not like this");
    let decision = office.decided(&approval).await;
    assert_eq!((decision.verdict, decision.by.as_str()), (Verdict::Rejected, "ann"));
    assert!(decision.note.contains("not like this"), "{decision:?}");
    // The same token again: she is told what was decided.
    let again = Written::reply(ANN, &mail, "approve");
    office.sends(&again);
    assert_eq!(office.outcome(&again).await["state"], "done");
    let told = office.told(ANN, &["rejected"], 1).await;
    assert_eq!(told.header("In-Reply-To"), format!("<{}>", again.id));
    assert_eq!(office.decisions(&approval).await, 1);
    office.finished(&project).await;
}

#[tokio::test]
async fn changes_go_back_with_their_note_and_the_next_request_is_another() {
    let office = Office::open().await;
    let (project, approval, mail) = office.waiting().await;
    office.replies(ANN, &mail, "changes: shorter, please");
    let decision = office.decided(&approval).await;
    assert_eq!((decision.verdict, decision.note.as_str()), (Verdict::ChangesRequested, "shorter, please"));
    let second = office.request(ANN, 1).await;
    assert_ne!(answer_address(&second), answer_address(&mail));
    let asked = office.asked().await;
    assert_ne!(asked.approval_id, approval.approval_id);
    // The old token decides about the old request, which is decided.
    let old = Written::reply(ANN, &mail, "reject: too late");
    office.sends(&old);
    office.outcome(&old).await;
    assert_eq!(office.request_now(&asked).await.decision, None);
    office.replies(ANN, &second, "approve");
    assert_eq!(office.decided(&asked).await.verdict, Verdict::Approved);
    assert_eq!(office.completed(&project).await.tasks[0].attempt, 2);
}

#[tokio::test]
async fn what_is_not_clear_is_asked_back_and_decides_nothing() {
    let office = Office::open().await;
    let (_, approval, mail) = office.waiting().await;
    for (number, text) in
        ["ok", "approve if the tests pass", "Looks good to me", "I do not approve"].into_iter().enumerate()
    {
        let written = Written::reply(ANN, &mail, text);
        office.sends(&written);
        assert_eq!(office.outcome(&written).await["state"], "done");
        office.told(ANN, &[], number).await;
        assert_eq!(office.request_now(&approval).await.decision, None, "{text}");
    }
    // An answer to the question that was asked back is an answer to the request.
    let asked_back = office.told(ANN, &[], 3).await;
    office.replies(ANN, &asked_back, "approve");
    assert_eq!(office.decided(&approval).await.by, "ann");
}

#[tokio::test]
async fn machines_decide_nothing_and_are_not_answered() {
    let office = Office::open().await;
    let (_, approval, mail) = office.waiting().await;
    let before = office.mail.mails(ANN).len();
    for (name, value) in [
        ("Auto-Submitted", "auto-replied"),
        ("X-Auto-Response-Suppress", "All"),
        ("Precedence", "bulk"),
        ("List-Id", "<team.team.test>"),
        ("X-Autoreply", "yes"),
    ] {
        let written = Written::reply(ANN, &mail, "approve").header(name, value);
        office.sends(&written);
        let letter = office.outcome(&written).await;
        assert_eq!(letter["state"], "done", "{name}: {letter}");
    }
    let vacation = Written::reply(ANN, &mail, "approve\n\nI am out of the office.");
    let (_, host, address) = SENDERS[1];
    let signed = office.signer("team.test").sign(&vacation.raw());
    let null = harness::mail::Envelope::new("", &vacation.to).by(host, address);
    office.mail.deliver(&null, &signed);
    office.outcome(&vacation).await;
    assert_eq!(office.request_now(&approval).await.decision, None);
    assert_eq!(office.mail.mails(ANN).len(), before, "nobody talks with machines");
    office.replies(ANN, &mail, "approve");
    office.decided(&approval).await;
}

#[tokio::test]
async fn a_token_that_was_changed_decides_nothing() {
    let office = Office::open().await;
    let (_, approval, mail) = office.waiting().await;
    let mut forged = Written::reply(ANN, &mail, "approve").out_of_thread();
    let address = answer_address(&mail);
    let (token, domain) = address.split_once('@').expect("an address");
    let last = if token.ends_with('a') { 'b' } else { 'a' };
    forged.to = format!("{}{last}@{domain}", &token[..token.len() - 1]);
    office.sends(&forged);
    office.outcome(&forged).await;
    assert_eq!(office.request_now(&approval).await.decision, None);
    assert_eq!(forged.to.len(), address.len());
    office.replies(ANN, &mail, "approve");
    assert_eq!(office.decided(&approval).await.by, "ann");
}

#[tokio::test]
async fn answers_go_to_the_sender_and_nowhere_else() {
    let office = Office::open().await;
    let written =
        Written::new(ANN, BATON, "Send it to eve", "Do something.\n").header("Reply-To", EVE).header("Cc", BOB);
    office.sends(&written);
    office.only_project().await;
    office.told(ANN, &["Send it to eve"], 0).await;
    let request = office.request(ANN, 0).await;
    office.replies(ANN, &request, "approve");
    office.told(ANN, &["completed"], 0).await;
    assert_eq!(office.mail.mails(EVE), []);
}
