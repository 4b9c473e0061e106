//! What an agent reports and spent, on the card of its handoff. Its words are untrusted: cleaned, and said to be its own.

use bus_schemas::v1::agent::{EgressRecord, Report, Spend};

use super::{
    money,
    render::count,
    style::{Paint, Style, clean_line},
};

/// Connections named.
const NAMED: usize = 10;

/// Decisions, what the next one must know, and paths to look at. The summary has said what was done.
pub(super) fn report(style: Style, report: &Report) -> String {
    let decisions: Vec<String> = report
        .decisions
        .iter()
        .map(|made| format!("{} because {}", clean_line(&made.what), clean_line(&made.why)))
        .collect();
    let plain = |lines: &[String]| lines.iter().map(|line| clean_line(line)).collect::<Vec<_>>();
    let sections = [
        ("Decided (the agent's own words)", decisions),
        ("The next one must know", plain(&report.must_know)),
        ("Worth a look", plain(&report.artifacts)),
    ];
    let mut text = String::new();
    for (heading, lines) in sections {
        if lines.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{}\n", style.paint(Paint::Bold, heading)));
        text.extend(lines.iter().map(|line| format!("  - {line}\n")));
    }
    text
}

/// The connections it asked for, refused ones first.
pub(super) fn egress(style: Style, records: &[EgressRecord]) -> String {
    if records.is_empty() {
        return String::new();
    }
    let mut sorted: Vec<&EgressRecord> = records.iter().collect();
    sorted.sort_by_key(|record| record.allowed);
    let mut text = format!("\n{}\n", style.paint(Paint::Bold, "Connections (recorded by the host)"));
    for record in sorted.iter().take(NAMED) {
        let (sign, paint) = if record.allowed { ('✓', Paint::Green) } else { ('✗', Paint::Red) };
        let rule = style.paint(Paint::Dim, clean_line(&record.rule));
        text.push_str(&format!("  {} {}  {rule}\n", style.paint(paint, sign), clean_line(&record.target)));
    }
    if sorted.len() > NAMED {
        text.push_str(&format!("  … and {} more\n", sorted.len() - NAMED));
    }
    text
}

/// ` · $0.0123 · 41k tok · 12 calls`, or nothing.
pub(super) fn spent(spend: &Spend) -> String {
    if spend.calls == 0 {
        return String::new();
    }
    let assumed = if spend.price_assumed { "~" } else { "" };
    let tokens = money::amount(spend.tokens.total());
    let calls = count(usize::try_from(spend.calls).unwrap_or(usize::MAX), "model call");
    format!(" · {assumed}{} · {tokens} tok · {calls}", money::usd(spend.usd_nanos))
}

#[cfg(test)]
mod tests {
    use bus_schemas::{time::UnixMs, v1::agent::Choice};

    use super::*;

    #[test]
    fn a_report_is_cleaned_and_empty_parts_are_left_out() {
        let made = Choice { what: "kept\u{1b}[31m it".into(), why: "others read it".into() };
        let told = Report { decisions: vec![made], ..Report::default() };
        let text = report(Style { colour: false }, &told);
        assert!(text.contains("because others read it") && !text.contains('\u{1b}'), "{text}");
        assert!(!text.contains("must know"), "{text}");
    }

    #[test]
    fn refused_connections_come_first() {
        let record = |target: &str, allowed| EgressRecord {
            target: target.into(),
            rule: "default deny".into(),
            allowed,
            at: UnixMs(0),
            sent_bytes: 0,
            received_bytes: 0,
        };
        let text = egress(Style { colour: false }, &[record("good:443", true), record("bad:443", false)]);
        assert!(text.find("bad:443") < text.find("good:443"), "{text}");
        assert_eq!(egress(Style { colour: false }, &[]), "");
    }
}
