use bus_schemas::v1::api::CapabilityView;
use proptest::prelude::*;

use super::*;

/// Says what of a text Slack would still obey: anything in angle brackets but a date token, a bare ampersand.
fn obeyed(text: &str) -> Option<String> {
    let mut rest = text.to_owned();
    while let Some(at) = rest.find("<!date^") {
        let end = rest[at..].find('>').map(|end| at + end)?;
        let inner = &rest[at + 7..end];
        let (seconds, shape) = inner.split_once('^')?;
        let sound = seconds.parse::<u64>().is_ok() && !shape.contains(['<', '&']);
        if !sound {
            return Some(inner.to_owned());
        }
        rest.replace_range(at..=end, "");
    }
    if rest.contains(['<', '>']) {
        return Some(rest);
    }
    let bare = rest
        .match_indices('&')
        .any(|(at, _)| !["&amp;", "&lt;", "&gt;"].iter().any(|entity| rest[at..].starts_with(entity)));
    bare.then_some(rest)
}

#[test]
fn nobody_is_mentioned() {
    assert_eq!(
        line("<!channel> & <@U123> <#C1|x> <!subteam^S1>", 200),
        "&lt;!channel&gt; &amp; &lt;@\u{2060}U123&gt; &lt;#C1|x&gt; &lt;!subteam^S1&gt;"
    );
    assert_eq!(line("hello @here and @ann, mail a@b.c", 200), "hello @\u{2060}here and @\u{2060}ann, mail a@b.c");
    assert_eq!(plain("@everyone", 200), "@\u{2060}everyone");
    assert_eq!(code("npm i @scope/pkg @Channel", 200), "`npm i @scope/pkg @\u{2060}Channel`");
    assert_eq!(fence("@here", 200), "```\n@\u{2060}here\n```");
}

#[test]
fn nothing_links_or_formats() {
    assert_eq!(line("see https://evil.example/?a=1&b=2 now", 200), "see `https://evil.example/?a=1&amp;b=2` now");
    assert_eq!(line("<https://evil.example|our site>", 200), "`&lt;https://evil.example|our` site&gt;");
    assert_eq!(line("www.evil.example (mailto:x@y.z)", 200), "`www.evil.example` `(mailto:x@y.z)`");
    assert_eq!(line("*bold* _it_ ~gone~ snake_case a*b", 200), "∗bold∗ ˍitˍ ∼gone∼ snake_case a∗b");
    assert_eq!(line("run `cargo *test*` and `<b>`", 200), "run `cargo *test*` and `&lt;b&gt;`");
    assert_eq!(line("an odd ` backtick", 200), "an odd ' backtick");
    assert_eq!(line("- an item", 200), "• an item");
}

#[test]
fn nothing_is_hidden_or_turned_round() {
    assert_eq!(line("a\u{202e}b\u{200b}c\u{0007}d\u{1b}[31m\u{e0041}\re", 200), "abcd[31me");
    assert_eq!(line("two\nlines\tand\u{2028}three", 200), "two lines and three");
    assert_eq!(line("👩‍👩‍👧 שלום", 200), "👩‍👩‍👧 שלום", "emoji and other scripts stay");
    // A key cannot be hidden from the search by letters that are not seen.
    assert_eq!(line("xoxb-23456\u{200b}78901-abcdefGHIJ", 200), "[withheld]");
}

#[test]
fn code_cannot_be_left() {
    assert_eq!(code("a`b", 200), "`a'b`");
    assert_eq!(code("", 200), "`?`");
    assert_eq!(fence("x\n```\n*bold*\n", 200), "```\nx\n'''\n*bold*\n```");
}

#[test]
fn every_line_of_a_quotation_is_marked() {
    let text = quote("Done.\n\n*✅ Approved by ann*\n```sh\nrm -rf <x>\n```\nEnd", 500);
    assert_eq!(text, "&gt; Done.\n&gt; \n&gt; ∗✅ Approved by ann∗\n&gt; `rm -rf &lt;x&gt;`\n&gt; End");
}

#[test]
fn what_is_too_long_is_cut_whole() {
    assert_eq!(plain("abcdef", 6), "abcdef");
    assert_eq!(plain("abcdefg", 6), "abcd…");
    assert_eq!(plain("a&b&c", 11), "a&amp;b…", "an entity is never cut");
    assert_eq!(line("`code that is long`", 10), "`code th…`");
    assert_eq!(length("👩"), 2, "as Slack's own clients count");
    let lines: Vec<String> = (0..10).map(|n| format!("line {n}")).collect();
    assert_eq!(list(&lines, 100, 40), "line 0\nline 1\nline 2\n… and 97 more");
    assert_eq!(list(&lines, 10, 1000).lines().count(), 10);
    assert_eq!(list(&lines, 12, 1000).lines().last(), Some("… and 2 more"));
}

#[test]
fn dates_are_the_readers_own() {
    assert_eq!(
        date(UnixMs(1_795_381_500_000)),
        "<!date^1795381500^{date_short_pretty} at {time}|2026-11-22 21:05 UTC>"
    );
    assert!(date(UnixMs(i64::MAX)).contains("an unknown time") && date(UnixMs(-5)).starts_with("<!date^0^"));
}

#[test]
fn only_ids_are_mentioned() {
    assert_eq!(mention("U0123ABC").as_deref(), Some("<@U0123ABC>"));
    for bad in ["", "channel", "!here", "U1>", "u1", "C1"] {
        assert_eq!(mention(bad), None, "{bad}");
    }
}

#[test]
fn known_secrets_are_taken_out_before_anything_is_cut() {
    let known = ["canary-1234".to_owned(), "abc".to_owned()];
    let wanted = CapabilityView {
        capability: bus_schemas::v1::api::Capability::Host { host: "abc.example".to_owned() },
        secret: None,
        reason: "because canary-1234&x".to_owned(),
        effect: None,
    };
    let hidden = hide(&wanted, &known).unwrap();
    assert_eq!(hidden.reason, "because [withheld]&x");
    assert_eq!(hidden.capability, wanted.capability, "too short to be a secret");
}

/// Text made of the pieces that are most likely to break something.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        Just("<!channel>".to_owned()),
        Just("<@U123>".to_owned()),
        Just("<!date^1^{x}|y>".to_owned()),
        Just("`".to_owned()),
        Just("```".to_owned()),
        Just("*_~".to_owned()),
        Just("&amp;".to_owned()),
        Just("&".to_owned()),
        Just("\n".to_owned()),
        Just("@here https://x.y/<z>".to_owned()),
        Just("👩‍👩‍👧".to_owned()),
        Just(" sk-abcdefghijklmnop0123".to_owned()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_is_said_is_data(text in hostile(), max in 12_usize..200) {
        for shown in [plain(&text, max), line(&text, max), code(&text, max), quote(&text, max), fence(&text, max)] {
            prop_assert!(!shown.contains("<!") && !shown.contains("<@"), "{shown:?}");
            prop_assert_eq!(obeyed(&shown), None);
            prop_assert!(length(&shown) <= max, "{} > {max}: {shown:?}", length(&shown));
            prop_assert!(!shown.contains("sk-abcdefghijklmnop0123"), "{shown:?}");
            prop_assert!(!shown.contains("@here"), "{shown:?}");
        }
        let fenced = fence(&text, max);
        prop_assert_eq!(fenced.matches("```").count(), 2);
        prop_assert_eq!(code(&text, max).matches('`').count(), 2);
        prop_assert_eq!(line(&text, max).matches('`').count() % 2, 0, "code that is opened is closed");
        for quoted in quote(&text, max).lines() {
            prop_assert!(quoted.starts_with("&gt; ") || quoted == "…", "{quoted:?}");
        }
    }

    #[test]
    fn lists_keep_within_their_room(lines in proptest::collection::vec("[a-z]{0,40}", 0..30), more in 0_usize..50, max in 60_usize..300) {
        let total = lines.len() + more;
        prop_assert!(length(&list(&lines, total, max)) <= max);
    }
}
