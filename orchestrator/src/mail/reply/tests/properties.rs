//! What holds for every input.

use crate::mail::reply::{Kind, meter, mime, of_html, of_text, parse};
use proptest::prelude::*;

/// Pieces from which mails are thrown together.
const PIECES: &[&str] = &[
    "On Tue, Mar 3, 2026 at 9:12 AM Baton <b@works.example> wrote:",
    "wrote:",
    "<b@works.example>",
    "On Tue, Mar 3, 2026",
    "> quoted",
    ">> deeper",
    "> ",
    ">",
    "",
    "-- ",
    "--",
    "________________________________",
    "From: Anna <anna@works.example>",
    "Sent: Tuesday, March 3, 2026",
    "To: Tom",
    "Subject: Plan",
    "-----Original Message-----",
    "Begin forwarded message:",
    "Sent from my iPhone",
    "Best regards,",
    "Tom Ford",
    "own words here",
    "Another line, with a comma.",
    "2026年3月3日(火) 9:12 Anna <anna@works.example>:",
    "\u{202b}",
    "\u{200b}",
    "\u{feff}",
    "Von:",
    "To unsubscribe from this list",
    "This message is confidential and intended only for the recipient.",
    "\r",
    "\0",
    "approve",
    "https://works.example/a?b=c",
    "İ",
    "ß",
    "Anna Berg@WORKS",
    "03/03/2026 09:12 AM",
    "To: Tom/Works@WORKS",
    "cc:",
    ">>> Anna 03/03/26 09:12AM >>>",
    "> wrote:",
    "Anna Berg wrote",
    "AB> words",
    ": words",
    "-Anna Berg",
    "> a quoted line that is long enough to be wrapped by some program on its way here and",
];

fn thrown() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![4 => prop::sample::select(PIECES).prop_map(str::to_owned), 1 => "\\PC{0,40}"],
        0..24,
    )
    .prop_map(|lines| lines.join("\n"))
}

/// Paragraphs that nothing could take for a mark.
fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(
        "(the|old|name|file|row|blue|test|two|step|begin) (is|was|goes|stays) (fine|late|red|here|long)[.,]?",
        1..8,
    )
    .prop_map(|lines| lines.join("\n"))
}

fn subsequence(new: &str, all: &str) -> bool {
    let mut rest = all.split(['\n', '\r']).map(str::trim_end);
    new.lines()
        .filter(|line| !line.is_empty())
        .all(|line| rest.any(|other| other.trim_end_matches('\0').trim_end() == line.trim_end()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn nothing_panics(raw in prop::collection::vec(any::<u8>(), 0..400), text in "\\PC{0,200}", html in "[<>a-z/!=\"' &;#-]{0,200}") {
        let _ = (parse(&raw).decision(), of_text(&text).decision(), of_html(&html).first_line(), of_html(&text));
    }

    #[test]
    fn what_is_new_was_there(text in thrown()) {
        let reply = of_text(&text);
        prop_assert!(subsequence(&reply.text(), &text), "{:?}", reply);
        let mut next = 0;
        for part in &reply.fragments {
            prop_assert_eq!(part.lines.start, next);
            next = part.lines.end;
        }
    }

    #[test]
    fn markup_of_any_kind_is_read(text in thrown()) {
        let _ = of_html(&text.replace('\n', "<br>"));
        let _ = of_html(&format!("<div class=\"gmail_quote\">{text}</blockquote></div><div>x"));
    }

    #[test]
    fn quoting_a_text_leaves_the_reply(own in words(), old in thrown(), blank in any::<bool>()) {
        let quoted: String = old.lines().map(|line| format!("> {}\n", line.replace('\r', ""))).collect();
        let gap = if blank { "\n" } else { "" };
        let heading = "On Tue, Mar 3, 2026 at 9:12 AM Baton <b@works.example> wrote:";
        let top = format!("{own}\n\n{heading}\n{gap}{quoted}");
        prop_assert_eq!(of_text(&top).text(), own.as_str());
        if !quoted.is_empty() {
            let bottom = format!("{heading}\n{quoted}\n{own}\n");
            prop_assert_eq!(of_text(&bottom).text(), own);
        }
    }

    #[test]
    fn nothing_under_a_clear_mark_is_new(own in words(), old in words()) {
        let mail = format!("{own}\n\n-----Original Message-----\nFrom: Anna\nSent: today\nTo: Tom\nSubject: x\n\n{old}\n");
        prop_assert_eq!(of_text(&mail).text(), own);
    }

    #[test]
    fn plain_words_are_all_new(own in words()) {
        prop_assert_eq!(of_text(&own).text(), own);
    }

    #[test]
    fn unwrapping_loses_no_word(text in "[a-z> \n-]{0,300}", delete in any::<bool>()) {
        let letters = |text: &str| text.chars().filter(char::is_ascii_lowercase).collect::<String>();
        prop_assert_eq!(letters(&mime::unwrapped(&text, delete)), letters(&text));
    }
}

/// The steps for an input, and for one four times as long.
fn grows(piece: &str, html: bool) -> (usize, usize) {
    let count = |times: usize| {
        let input = piece.repeat(times);
        meter::taken();
        if html {
            of_html(&input)
        } else {
            of_text(&input)
        };
        meter::taken()
    };
    let times = 6_000 / piece.len().max(1) + 1;
    (count(times), count(times * 4))
}

#[test]
fn work_grows_with_the_size_only() {
    let texts = [
        ">",
        "> ",
        ">\n",
        ":\n",
        "a\n",
        "\n",
        "-- \n",
        "--\n",
        "On ",
        "On Tue, Mar 3, 2026\n",
        "wrote:",
        "wrote:\n",
        "On Mar 3, 2026 at 9:12 b@works.example wrote: ",
        "From: ",
        "From: a@b\n",
        "To: a,\n b,\n",
        "From: a@b.example\n\n",
        "Best regards,\n",
        "Sent from my iPhone\n",
        "________________________________\n",
        "confidential message recipient\n\n",
        "-----Original Message-----\n",
        "x",
        "<a@b.example>\n",
        "> x\n\n",
        "a\n> x\n",
        "To unsubscribe\n",
        "2026-03-03 9:12 <a@b.example>\n",
        "Begin forwarded message:\n\n",
        "Anna Berg\n03/03/2026 09:12 AM\nTo: a@b,\n",
        "Anna Berg\n\n",
        "   x   To: a@b\n",
        "To: a@b\ncc:\n",
        ": x\n",
        "AB> x\n",
        ">>> A 03/03/26 >>>\n",
        "> x\nwrote:\n",
        "> a line of words that is long enough to be wrapped by some program on its way, and\nwords\nwords\n",
        "On Tue, Mar 3, 2026 <\n",
        "*A* | *B*\n\n[image: x]\n\n",
        "-Anna\n\n",
        "Sent from my iPhone\nAnna wrote:\n",
    ];
    let markup = [
        "<",
        "<a",
        "<div>",
        "<div class=\"gmail_quote\">",
        "<blockquote>",
        "</div>",
        "<!--",
        "<style>",
        "<a b=\"",
        "&",
        "&#",
        "&amp;",
        "<br>",
        "<p>",
        "<div></blockquote>",
        "<blockquote>x</div>",
        "<div class=\"gmail_quote\">x</div>",
        "<pre>\n",
        "<script></",
        "<div style=\"display:none\">x",
        "<hr>",
        "<hr><b>From: a@b</b>",
        "<div class=\"gmail_quote\">a<br><blockquote>b</blockquote></div>",
    ];
    for (pieces, html) in [(&texts[..], false), (&markup[..], true)] {
        for piece in pieces {
            let (one, four) = grows(piece, html);
            assert!(four <= one * 5 + 1000, "{piece:?}: {one} steps, then {four}");
        }
    }
}

#[test]
fn megabytes_are_read() {
    let line = "This is a line of words that goes on for a while, then ends.\n";
    let own = line.repeat(1024 * 1024 / line.len());
    meter::taken();
    let reply = of_text(&format!("{own}\nOn Tue, Mar 3, 2026 at 9:12 AM Baton <b@works.example> wrote:\n> x\n"));
    let steps = meter::taken();
    assert!(steps < 20 * own.len(), "{steps}");
    assert_eq!(reply.of(Kind::New).next().map(str::len), Some(own.len() - 1));
    let long = "x".repeat(10 * 1024 * 1024);
    assert_eq!(of_text(&long).text().len(), long.len());
}
