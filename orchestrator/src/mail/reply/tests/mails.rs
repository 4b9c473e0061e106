//! Whole mails.

use crate::mail::reply::{Kind, of_text};

/// The mails of a file: name, mail, what is new in it.
pub(super) fn cases(text: &str) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for case in text.split("%%% ").filter(|case| !case.trim().is_empty()) {
        let Some((mail, expected)) = case.split_once("%%%=") else { panic!("no expectation: {case}") };
        let (name, mail) = mail.split_once('\n').expect("a name");
        all.push((name.to_owned(), mail.to_owned(), expected.trim_matches(['\n', ' ']).to_owned()));
    }
    all
}

#[test]
fn whole_mails() {
    let mut wrong = Vec::new();
    let all =
        [include_str!("fixtures/mails.txt"), include_str!("fixtures/clients.txt"), include_str!("fixtures/lists.txt")];
    for (name, mail, expected) in all.into_iter().flat_map(cases) {
        for (mail, ends) in [(mail.clone(), "\\n"), (mail.replace('\n', "\r\n"), "\\r\\n")] {
            let reply = of_text(&mail);
            if reply.text().trim() != expected {
                wrong.push(format!("--- {name} ({ends})\n{:#?}", reply.fragments));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn fragments_are_in_order_and_leave_no_gap() {
    for (name, mail, _) in cases(include_str!("fixtures/mails.txt")) {
        let mut next = 0;
        for part in of_text(&mail).fragments {
            assert_eq!(part.lines.start, next, "{name}");
            assert!(part.lines.end > next, "{name}");
            next = part.lines.end;
        }
    }
}

#[test]
fn what_was_passed_on_is_kept() {
    let reply = of_text(
        "See below.\n\n---------- Forwarded message ---------\nFrom: Lea <lea@works.example>\nSubject: Row 7\n\nIt stops.\n",
    );
    assert_eq!(reply.text(), "See below.");
    assert!(reply.forwarded().ends_with("It stops."));
    assert!(reply.of(Kind::Quoted).next().is_none());
}
