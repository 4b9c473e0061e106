//! What first lines decide.

use crate::mail::reply::{Deciding, of_text};

fn short(decision: &Deciding) -> String {
    match decision {
        Deciding::Approve => "approve".to_owned(),
        Deciding::Reject(reason) => format!("reject:{reason}"),
        Deciding::Changes(note) => format!("changes:{note}"),
        Deciding::None => "none".to_owned(),
        Deciding::Ambiguous(_) => "ambiguous".to_owned(),
    }
}

#[test]
fn deciding_words_and_what_takes_them_back() {
    let mut wrong = Vec::new();
    let quote =
        "\n\nOn Tue, Mar 3, 2026 at 9:12 AM Baton <baton@works.example> wrote:\n> approve or reject?\n> reject: no\n";
    for case in include_str!("fixtures/decisions.txt").lines() {
        let (line, expected) = case.rsplit_once(" = ").expect("a case");
        for mail in [line.to_owned(), format!("\n{line}{quote}"), format!("{line}\n\nSent from my iPhone{quote}")] {
            let read = of_text(&mail).decision();
            if short(&read) != expected {
                wrong.push(format!("{line}: {read:?}"));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn only_the_first_new_line_decides() {
    let of = |mail: &str| short(&of_text(mail).decision());
    assert_eq!(of("I looked at it.\n\napprove\n"), "none");
    assert_eq!(of("Hi Baton,\n\napproved\n"), "ambiguous");
    assert_eq!(of("> approve\n"), "none");
    assert_eq!(of("> Will you?\n\napprove\n"), "approve");
    assert_eq!(of("\n\n\u{200b}\n  approve  \n"), "approve");
    assert_eq!(
        of("On Tue, Mar 3, 2026 at 9:12 AM Baton <b@works.example> wrote:\napprove\n"),
        "ambiguous",
        "quoted or below the quote?"
    );
    assert_eq!(of(""), "none");
}

#[test]
fn a_deciding_word_behind_a_dash_is_no_name() {
    let of = |mail: &str| short(&of_text(mail).decision());
    for (word, expected) in
        [("Approve", "ambiguous"), ("Reject", "ambiguous"), ("Genehmigt", "ambiguous"), ("Tom", "none")]
    {
        for dash in ["- ", "-", "— ", "//"] {
            assert_eq!(of(&format!("Hello Baton,\n\n{dash}{word}\n")), expected, "{dash}{word}");
        }
    }
    assert_eq!(of("> Will you?\n\n-Approve\n"), "approve");
    assert_eq!(of_text("It is fine.\n\n- Rejected\n").text(), "It is fine.\n\n- Rejected");
    assert_eq!(of_text("It is fine.\n\n-Tom Ford\n").text(), "It is fine.");
}

#[test]
fn lines_below_explain_or_limit() {
    let of = |mail: &str| short(&of_text(mail).decision());
    assert_eq!(of("reject\n\nThe branch is wrong.\n"), "reject:The branch is wrong.");
    assert_eq!(of("reject: wrong branch\nUse main.\n"), "reject:wrong branch\nUse main.");
    assert_eq!(of("changes:\n- rename the file\n- add a test\n"), "changes:- rename the file\n- add a test");
    assert_eq!(of("approve\n\nBut only if the tests pass.\n"), "ambiguous");
    assert_eq!(of("approve\n\nThe tests are nice.\n"), "approve");
    assert_eq!(of("reject: x\n\n-- \nTom\n"), "reject:x");
}

#[test]
fn what_may_be_the_quote_decides_nothing() {
    let reply = of_text(
        "On Tue, Mar 3, 2026 at 9:12 AM Baton <baton@works.example> wrote:\n\napprove\n\nThanks for the plan.\n",
    );
    assert!(reply.unsure && reply.text().starts_with("approve"), "{reply:?}");
    assert!(matches!(reply.decision(), Deciding::Ambiguous(_)), "{:?}", reply.decision());
}

#[test]
fn a_word_that_may_have_lost_its_mark_decides_nothing() {
    let squeezed = of_text(
        "> You can answer this mail with one word, and the words that I know for it are\napprove\n> or reject, and nothing else.\n",
    );
    assert_eq!(squeezed.text(), "approve", "it is shown");
    assert!(matches!(squeezed.decision(), Deciding::Ambiguous(_)), "{:?}", squeezed.decision());
    let plain =
        of_text("> Will you have a look at the plan and tell me what you think of it, please?\napprove\n> Baton\n");
    assert_eq!(plain.decision(), Deciding::Approve);
    let apart = of_text(
        "> You can answer this mail with one word, and the words that I know for it are\n\napprove\n\n> or reject.\n",
    );
    assert_eq!(apart.decision(), Deciding::Approve);
}

#[test]
fn what_memos_and_forums_quote_decides_nothing() {
    for heading in [
        "Anna Berg@WORKS\n03/03/2026 09:12 AM\n\nTo: Tom Ford/Works@WORKS\ncc:\nSubject: Plan\n",
        ">>> Anna Berg 03/03/26 09:12AM >>>\n",
        "Sent from Samsung Mobile\n\nAnna Berg wrote:\n",
    ] {
        let reply = of_text(&format!("Not yet, I read it first.\n\n{heading}\napprove\n"));
        assert_eq!(reply.text(), "Not yet, I read it first.", "{heading}");
        assert_eq!(reply.decision(), Deciding::None, "{heading}");
    }
    // A deciding word is no name, and no opening of a heading.
    for below in [
        "03/03/2026 09:12 AM\nTo: Tom Ford/Works@WORKS\ncc:\nSubject: Plan\n\nreject\n",
        "On Tue, Mar 3, 2026 at 9:12 AM Baton <baton@works.example> wrote:\n> reject\n",
    ] {
        assert_eq!(of_text(&format!("Approve\n{below}")).decision(), Deciding::Approve, "{below}");
        assert_eq!(of_text(&format!("No\n{below}")).text(), "No", "{below}");
    }
}

#[test]
fn a_greeting_above_a_heading_and_words_below_it_decide_nothing() {
    let reply = of_text("Hi Baton,\n\nOn Tue, Mar 3, 2026 at 9:12 AM Baton <b@works.example> wrote:\n\napprove\n");
    assert!(reply.unsure && reply.text().ends_with("approve"), "{reply:?}");
    assert!(!matches!(reply.decision(), Deciding::Approve), "{:?}", reply.decision());
}

#[test]
fn a_signed_word_decides() {
    let signed = |words: &str| {
        format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{words}\n-----BEGIN PGP SIGNATURE-----\n\n\
             iQEzBAEBCAAdFiEE\nno/if+but=\n-----END PGP SIGNATURE-----\n"
        )
    };
    assert_eq!(of_text(&signed("approve")).decision(), Deciding::Approve);
    assert!(matches!(of_text(&signed("approve\nbut only if it is green")).decision(), Deciding::Ambiguous(_)));
}

#[test]
fn no_piece_of_a_quote_decides() {
    let quote = "> You can answer this mail with one word, and the words that I know for it are\n";
    let mail = format!("{quote}approve\n{quote}reject, and there is nothing else that I understand in it.\n{quote}");
    let reply = of_text(&mail);
    assert!(!matches!(reply.decision(), Deciding::Approve | Deciding::Reject(_)), "{reply:?}");
}
