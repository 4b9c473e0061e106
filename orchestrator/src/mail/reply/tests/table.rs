//! Every form of heading, header block and ending, in mails built around it.

use crate::mail::reply::{Deciding, Kind, of_text};

/// Blocks of lines with a blank line between them.
fn blocks(text: &str) -> Vec<&str> {
    text.split("\n\n").map(|block| block.trim_matches('\n')).filter(|block| !block.is_empty()).collect()
}

const OWN: &str = "Please keep the old names.\n\nThe second step can wait until Friday, Lea is away.";

/// Mails around one heading: what stands above and below it in each, and what is new in each. A dot alone on a line of the heading is a
/// blank line.
fn around(heading: &str, marks: bool) -> Vec<(String, &'static str)> {
    let heading = &heading.replace("\n.\n", "\n\n");
    let mut mails = vec![
        (format!("{OWN}\n\n{heading}\n\nShall I begin?\nIt takes an hour.\n\nThe plan is attached.\n"), OWN),
        (format!("{OWN}\r\n\r\n{}\r\n\r\nShall I begin?\r\n", heading.replace('\n', "\r\n")), OWN),
        (format!("{OWN}\n\n\n{heading}\nShall I begin?"), OWN),
        (format!("{OWN}\n\n{heading}\n> Shall I begin?\n>\n> > It takes an hour.\n> No.\n"), OWN),
    ];
    if marks {
        mails.push((format!("{heading}\n\n> Shall I begin?\n> It takes an hour.\n\n{OWN}\n"), OWN));
        mails.push((
            format!("{heading}\n> Shall I begin?\n\nPlease keep the old names.\n\n> Now?\n\nThe second step can wait until Friday, Lea is away.\n"),
            OWN,
        ));
        mails.push((format!("{OWN}\n{heading}\n> Shall I begin?\n"), OWN));
    }
    mails
}

#[test]
fn attributions_in_every_language() {
    let all = blocks(include_str!("fixtures/attributions.txt"));
    assert!(all.len() >= 60, "{} attributions", all.len());
    let mut wrong = Vec::new();
    for heading in all {
        for (mail, own) in around(heading, true) {
            let read = of_text(&mail).text();
            if read != own {
                wrong.push(format!("--- mail\n{mail}\n--- read\n{read}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn blocks_of_headers_in_every_language() {
    let all = blocks(include_str!("fixtures/headers.txt"));
    assert!(all.len() >= 45, "{} blocks", all.len());
    let mut wrong = Vec::new();
    for heading in all {
        for (mail, own) in around(heading, false) {
            let read = of_text(&mail).text();
            if read != own {
                wrong.push(format!("--- mail\n{mail}\n--- read\n{read}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn endings_in_every_language() {
    let all: Vec<&str> = blocks(include_str!("fixtures/endings.txt"));
    assert!(all.len() >= 55, "{} endings", all.len());
    let quote = "On Tue, Mar 3, 2026 at 9:12 AM Baton <baton@works.example> wrote:\n> Shall I begin?\n";
    let mut wrong = Vec::new();
    for ending in all {
        for mail in [
            format!("{OWN}\n\n{ending}\n\n{quote}"),
            format!("{OWN}\n\n{ending}\n"),
            format!("{quote}\n{OWN}\n\n{ending}\n"),
        ] {
            let reply = of_text(&mail);
            if reply.text() != OWN
                || !reply.fragments.iter().any(|part| matches!(part.kind, Kind::Signature | Kind::Footer))
            {
                wrong.push(format!("--- mail\n{mail}\n--- read\n{}", reply.text()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn attributions_wrapped_as_programs_wrap_them() {
    let all = blocks(include_str!("fixtures/attributions.txt"));
    let mut wrong = Vec::new();
    let mut count = 0;
    for heading in all.into_iter().filter(|heading| !heading.contains('\n') && !heading.starts_with(">>>")) {
        let wide = |at: &usize| heading[..*at].chars().count() >= 30;
        let mut forms: Vec<String> = heading
            .match_indices(' ')
            .map(|(at, _)| at)
            .filter(wide)
            .map(|at| format!("{}\n{}", &heading[..at], &heading[at + 1..]))
            .collect();
        // Addresses are wrapped behind their first mark, and before their last one.
        if heading.contains(" <") {
            forms.push(heading.replacen('<', "<\n", 1));
        }
        if heading.ends_with(">:") {
            forms.push(heading.replace(">:", "\n>:"));
        }
        for form in forms {
            for quote in ["\n> Shall I begin?\n", "\n\n> Shall I begin?\n", "\n\nShall I begin?\n"] {
                count += 1;
                let read = of_text(&format!("{OWN}\n\n{form}{quote}")).text();
                if read != OWN {
                    wrong.push(format!("--- heading\n{form}{quote}--- read\n{read}"));
                }
            }
        }
    }
    assert!(count > 700, "{count}");
    assert!(wrong.is_empty(), "{} of {count} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_heading_makes_or_unmakes_a_decision() {
    let all = [include_str!("fixtures/attributions.txt"), include_str!("fixtures/headers.txt")];
    let quotes = ["\n\nreject\n", "\n> reject\n", "\n\n> reject\n> approve\n"];
    let mut wrong = Vec::new();
    for heading in all.into_iter().flat_map(blocks).map(|heading| heading.replace("\n.\n", "\n\n")) {
        for quote in quotes {
            for gap in ["\n", "\n\n"] {
                let mail = format!("approve{gap}{heading}{quote}");
                if of_text(&mail).decision() != Deciding::Approve {
                    wrong.push(mail);
                }
            }
            for above in ["", "What is it?\n\n"] {
                let mail = format!("{above}{heading}{quote}");
                if matches!(of_text(&mail).decision(), Deciding::Approve | Deciding::Reject(_) | Deciding::Changes(_)) {
                    wrong.push(mail);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n---\n"));
}
