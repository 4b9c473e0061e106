//! Decisions: by who was asked, about what they were shown, once.

use super::*;
use bus_schemas::v1::approval::Verdict as Said;

use crate::port::fake::problem;

fn decided(rig: &Rig) -> Vec<(Said, String, String)> {
    rig.service.with(|known| {
        known.decided.iter().map(|one| (one.verdict, format!("{} {}", one.by, one.channel), one.note.clone())).collect()
    })
}

#[tokio::test(start_paused = true)]
async fn a_reply_decides_what_its_mail_showed() {
    for (text, verdict, note) in [
        ("Approved, thanks!", Said::Approved, ""),
        ("changes: use tabs\r\nand test it\r\n\r\n> approve", Said::ChangesRequested, "use tabs\nand test it"),
        ("Abgelehnt: falscher Zweig", Said::Rejected, "falscher Zweig"),
    ] {
        let rig = Rig::new();
        let out = rig.asked("ann", &samples::request()).await;
        let done = rig.comes(&answer(ANN, &out, text)).await;
        assert_eq!(decided(&rig), [(verdict, format!("{ANN} email"), note.to_owned())], "{text}");
        assert_eq!(rig.service.with(|known| known.decided[0].digest.clone()), out.digest);
        assert!(done.verdict.trusted && done.verdict.project_id == Some(samples::project_id()));
        let said = rig.outlet.last();
        assert_eq!((said.to.address.as_str(), said.name), (ANN, format!("answer:{}", done.id)));
        assert_eq!(said.in_reply_to, done.verdict.message_id);
        assert!(rig.outlet.words().starts_with("Done: the plan in “Blue page” is"), "{}", rig.outlet.words());
    }
}

#[tokio::test(start_paused = true)]
async fn a_thread_names_the_request_where_the_address_does_not() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    let raw = mail(ANN, OURS, &format!("References: <old@x> <{}>\r\n", out.message_id), "approve");
    rig.comes(&raw).await;
    assert_eq!(decided(&rig).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_token_put_into_a_genuine_mail_changes_nothing() {
    // A genuine mail is sent once more, with another token wherever a signature does not reach: the first decides what it was
    // written for.
    for to in ["token", "thread"] {
        for place in ["Cc", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To"] {
            let rig = Rig::new();
            let one = rig.asked("ann", &samples::request()).await;
            let mut other = samples::request();
            other.approval_id = ApprovalId::from_uuid(Uuid::from_u128(6));
            other.digest = "f".repeat(64);
            let two = rig.asked("ann", &other).await;
            let foreign = tokened(&two);
            let (to, thread) = match to {
                "token" => (tokened(&one), String::new()),
                // A Cc with a token would have to be covered, see the tests of the verifier.
                _ if place == "Cc" => continue,
                _ => (OURS.to_owned(), format!("In-Reply-To: <{}>\r\n", one.message_id)),
            };
            let raw = mail(ANN, &to, &format!("{thread}{place}: {foreign}\r\n"), "approve");
            let delivery = Delivery { rcpt_to: vec![foreign], ..Delivery::default() };
            let id = rig.kept(&raw, delivery).await;
            rig.calm().await;
            assert_eq!(rig.mail(&id).await.verdict.state, InState::Done);
            let digests: Vec<String> =
                rig.service.with(|known| known.decided.iter().map(|one| one.digest.clone()).collect());
            assert_eq!(digests, std::slice::from_ref(&one.digest), "{to} {place}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn beside_a_token_the_thread_says_nothing() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    let old = token::plus(&[9; 32], out.id);
    let thread = format!("In-Reply-To: <{}>\r\n", out.message_id);
    rig.comes(&mail(ANN, &format!("baton+{old}@works.example"), &thread, "approve")).await;
    assert_eq!(decided(&rig).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_decides_with_anothers_mail() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    for (from, text) in [(BOB, "approve"), (CARL, "approve"), (BOB, "reject: no"), (BOB, "delegate: bob"), (BOB, "ok")]
    {
        let done = rig.comes(&answer(from, &out, text)).await;
        is(&done, InState::Done, "sent to somebody else");
        assert!(rig.outlet.words().contains("asks somebody else"), "{}", rig.outlet.words());
        assert!(!rig.outlet.words().contains(ANN), "nobody learns who was asked");
    }
    rig.comes(&mail(BOB, OURS, &format!("In-Reply-To: <{}>\r\n", out.message_id), "approve")).await;
    assert_eq!((decided(&rig).len(), rig.service.with(|known| known.delegated.len())), (0, 0));
    // Answering to all, bob decides by his own mail, though ann's address is there, too.
    let own = rig.asked("bob", &samples::request()).await;
    rig.comes(&mail(BOB, &format!("{}, {}", tokened(&out), tokened(&own)), "", "approve")).await;
    assert_eq!(decided(&rig).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_ours_decides_nothing_and_starts_nothing() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    let forged = token::plus(&[9; 32], out.id);
    let done = rig.comes(&mail(ANN, &format!("baton+{forged}@works.example"), "", "approve")).await;
    is(&done, InState::Done, "a token that is not ours");
    assert!(rig.outlet.words().contains("a mark that is not one of mine"));
    assert_eq!((decided(&rig).len(), rig.service.with(|known| known.created.len())), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn answers_to_several_mails_decide_nothing() {
    let rig = Rig::new();
    let one = rig.asked("ann", &samples::request()).await;
    let mut other = samples::request();
    other.approval_id = ApprovalId::from_uuid(Uuid::from_u128(6));
    let two = rig.asked("ann", &other).await;
    let done = rig.comes(&mail(ANN, &format!("{}, {}", tokened(&one), tokened(&two)), "", "approve")).await;
    is(&done, InState::Done, "several");
    assert_eq!(decided(&rig).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_clear_is_asked_back_and_that_mail_can_decide() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    for text in ["ok", "approve?", "Looks good to me", "I would approve it tomorrow", "Hello Baton,\r\napprove"] {
        rig.comes(&answer(ANN, &out, text)).await;
        assert!(rig.outlet.words().starts_with("ask back"), "{text}: {}", rig.outlet.words());
    }
    assert_eq!(decided(&rig).len(), 0);
    let back = rig.outlet.last();
    assert_eq!(
        (back.kind, back.approval_id, back.digest.as_str()),
        (OutKind::Request, out.approval_id, out.digest.as_str())
    );
    is(&rig.comes(&answer(ANN, &out, "> approve")).await, InState::Done, "no new text");
    is(&rig.comes(&answer(ANN, &out, "reject")).await, InState::Done, "a reason is needed");
    assert_eq!(decided(&rig).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_mail_again_changes_nothing() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    let raw = answer(ANN, &out, "approve");
    rig.comes(&raw).await;
    rig.comes(&raw).await;
    // Replayed over another way: other headers, the same id.
    is(&rig.comes(&format!("Received: from elsewhere\r\n{raw}")).await, InState::Done, "the same mail came before");
    assert_eq!((decided(&rig).len(), rig.outlet.said().len()), (1, 1));
    // Said once more, it hears what came of it.
    rig.comes(&answer(ANN, &out, "approve\r\nplease")).await;
    assert_eq!((decided(&rig).len(), rig.outlet.words()), (1, "outcome Some(Approved)".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_it_is_written_down_decides_once() {
    for (quorum, wanted) in [(1, "Done: the plan"), (2, "is counted")] {
        let mut rig = Rig::new();
        rig.service.with(|known| known.quorum = quorum);
        let out = rig.asked("ann", &samples::request()).await;
        rig.desk.with(|memory| memory.crashes = 1);
        let raw = answer(ANN, &out, "approve");
        let kept = rig.comes(&raw).await;
        assert_eq!((kept.verdict.state, decided(&rig).len()), (InState::Kept, 1));
        // What was said is lost, too: the program ended before it was written down.
        rig.outlet.with(|recorded| recorded.said.clear());
        rig.restarted().await;
        is(&rig.mail(&kept.id).await, InState::Done, "before");
        assert_eq!(decided(&rig).len(), 1);
        assert!(rig.outlet.words().contains(wanted), "{}", rig.outlet.words());
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_otherwise_is_said() {
    let rig = Rig::new();
    let (ann, bob) = (rig.asked("ann", &samples::request()).await, rig.asked("bob", &samples::request()).await);
    rig.comes(&answer(BOB, &bob, "reject: not now")).await;
    rig.comes(&answer(ANN, &ann, "approve")).await;
    assert_eq!((decided(&rig).len(), rig.outlet.words()), (1, "outcome Some(Rejected)".to_owned()));
    rig.comes(&answer(ANN, &ann, "ok?")).await;
    assert_eq!(rig.outlet.words(), "outcome Some(Rejected)", "nothing is asked back about what is decided");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_is_said_with_the_way_out() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    let mut changed = samples::request();
    changed.digest = "f".repeat(64);
    rig.service.asks(changed);
    rig.comes(&answer(ANN, &out, "approve")).await;
    assert!(rig.outlet.words().contains("nobody approves what they did not see"), "{}", rig.outlet.words());
    let mut others = samples::request();
    others.route.eligible = vec!["bob".to_owned()];
    rig.service.asks(others.clone());
    rig.comes(&answer(ANN, &out, "approve!")).await;
    assert!(rig.outlet.words().contains("no say") && rig.outlet.words().contains("who may: bob"));
    others.route.excluded = vec!["ann".to_owned()];
    rig.service.asks(others);
    rig.comes(&answer(ANN, &out, "Approve.")).await;
    assert!(rig.outlet.words().contains("cannot approve it yourself"));
    rig.service.with(|known| known.approvals.clear());
    is(&rig.comes(&answer(ANN, &out, "APPROVE")).await, InState::Done, "not_found");
    assert_eq!(decided(&rig).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::question(&["The blue one", "Reject"])).await;
    rig.comes(&answer(ANN, &out, "the blue one")).await;
    assert_eq!(decided(&rig), [(Said::Approved, format!("{ANN} email"), "The blue one".to_owned())]);
    assert!(rig.outlet.words().contains("The agent gets your answer."));
}

#[tokio::test(start_paused = true)]
async fn files_that_come_with_a_decision_are_not_lost_in_silence() {
    let rig = Rig::new();
    let with_file = |to: &str, text: &str| {
        let heads = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n";
        let part = "Content-Type: text/csv; name=a.csv\r\nContent-Disposition: attachment\r\n\r\n1,2";
        mail(ANN, to, heads, &format!("--b\r\n\r\n{text}\r\n--b\r\n{part}\r\n--b--\r\n"))
    };
    let out = rig.asked("ann", &samples::question(&[])).await;
    let nothing = rig.comes(&with_file(&tokened(&out), "")).await;
    is(&nothing, InState::Done, "no new text");
    assert!(rig.outlet.words().contains("its files were not taken: a.csv"), "{}", rig.outlet.words());
    assert!(decided(&rig).is_empty());
    rig.comes(&with_file(&tokened(&out), "The numbers are attached.")).await;
    assert_eq!(decided(&rig).len(), 1);
    assert!(rig.outlet.words().contains("Its files were not taken (a.csv)"), "{}", rig.outlet.words());
}

#[tokio::test(start_paused = true)]
async fn the_agent_is_asked_and_a_say_handed_on_once() {
    let mut rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    rig.desk.with(|memory| memory.crashes = 2);
    let asks = rig.comes(&answer(ANN, &out, "ask: why two files?")).await;
    let hands = rig.comes(&answer(ANN, &out, "delegate: bob@example.org")).await;
    assert_eq!((asks.verdict.state, hands.verdict.state), (InState::Kept, InState::Kept));
    rig.restarted().await;
    rig.service.with(|known| {
        assert_eq!((known.asked.len(), known.asked[0].question.as_str()), (1, "why two files?"));
        assert_eq!((known.delegated.len(), known.delegated[0].to.as_str()), (1, "bob"));
    });
    is(&rig.mail(&asks.id).await, InState::Done, "asked");
    rig.comes(&answer(ANN, &out, "delegate: eve")).await;
    assert!(rig.outlet.words().contains("eve is no member") && rig.outlet.words().contains("ann, bob"));
}

#[tokio::test(start_paused = true)]
async fn trouble_of_the_orchestrator_waits_and_then_it_is_done() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    rig.service.with(|known| known.down = Some((problem("shutting_down", 503), 20)));
    is(&rig.comes(&answer(ANN, &out, "approve")).await, InState::Done, "approved");
    assert_eq!(decided(&rig).len(), 1);
    // Others' trouble is waited for a while only, and then said.
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    rig.service.with(|known| known.down = Some((problem("bus_down", 503), u32::MAX)));
    is(&rig.comes(&answer(ANN, &out, "approve")).await, InState::Done, "given up");
    assert!(rig.outlet.words().contains("tried several times"), "{}", rig.outlet.words());
}

#[tokio::test(start_paused = true)]
async fn one_senders_mails_are_done_in_their_order() {
    let rig = Rig::new();
    let out = rig.asked("ann", &samples::request()).await;
    rig.service.with(|known| known.down = Some((problem("storage", 500), 3)));
    let first = rig.kept(&answer(ANN, &out, "reject: not yet"), Delivery::default()).await;
    let second = rig.kept(&answer(ANN, &out, "approve"), Delivery::default()).await;
    rig.calm().await;
    is(&rig.mail(&first).await, InState::Done, "rejected");
    is(&rig.mail(&second).await, InState::Done, "already_decided");
    assert_eq!(decided(&rig).len(), 1);
}
