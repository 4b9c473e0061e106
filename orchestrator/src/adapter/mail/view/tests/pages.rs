//! Every page as it is.

use bus_schemas::v1::api::{Finding, Severity};

use super::{
    super::page::{Editing, Forms},
    *,
};

/// What holds for every page.
pub(super) fn hold_page(html: &str) {
    assert!(!html.contains("style=\"") && !html.contains("<script") && !html.contains("cannot be shown: "), "{html}");
    // But in a difference, which is shown as it is.
    let (before, rest) = html.split_once("<pre class=\"pre diff\">").unwrap_or((html, ""));
    let after = rest.split_once("</pre>").map_or("", |(_, after)| after);
    assert!(!format!("{before}{after}").replace("&#x2f;", "/").contains("://"), "a page has an address: {html}");
    assert!(!html.contains(KEY), "a page shows a secret");
    balanced(html);
    let style = html.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).unwrap();
    use base64::Engine as _;
    use sha2::Digest as _;
    let digest = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(style.as_bytes()));
    assert!(page::policy().contains(&format!("style-src 'sha256-{digest}'")), "{}", page::policy());
}

pub(super) fn forms() -> Forms<'static> {
    Forms { action: "/r/abc", ..Forms::default() }
}

/// The page of a plan, and how it is edited on it.
fn page_of_plan(editing: Editing) -> String {
    let html = page::request(&samples::plan(), &samples::project(), None, &Forms { editing, ..forms() }, &frame());
    hold_page(&html);
    html
}

#[test]
fn a_plan_is_edited_on_its_page_as_it_is_written() {
    let yaml = "\nversion: 1\ntitle: 'a </textarea><script> & \"b\"'\n\n  x: |\n    y\n";
    let editing = |is_tried, findings| Editing::Here { text: yaml.to_owned(), findings, is_tried };
    let offered = page_of_plan(editing(false, Vec::new()));
    assert!(!offered.contains("<details open>") && offered.matches("name=\"verdict\"").count() == 5, "{offered}");
    let inside = |html: &str| {
        let (_, rest) = html.split_once("id=\"plan\"").unwrap();
        let (text, _) = rest.split_once("</textarea>").unwrap();
        // The first line break after the tag is not of the text.
        let text = text.split_once(">\n").unwrap().1;
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")]
            .iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    assert_eq!(inside(&offered), yaml, "to the blank");
    let finding = |severity, line, hint: Option<&str>| Finding {
        severity,
        code: "unknown_need".to_owned(),
        file: "plan".to_owned(),
        line,
        column: 9,
        message: "task `b` needs `<a>`".to_owned(),
        hint: hint.map(str::to_owned),
    };
    let found = vec![finding(Severity::Error, 3, Some("did you mean `a`?")), finding(Severity::Warning, 0, None)];
    let tried = page_of_plan(editing(true, found));
    assert!(tried.contains("<details open>") && tried.contains("Line 3: task "), "{tried}");
    assert_eq!(inside(&tried), yaml, "what was written stays");
    snapshot("page-plan-tried", &tried.replace(&*draw::PAGE_STYLE, "…"));
    for kept in [page::unsaved("Void", "It is <b>over</b>.", yaml), page::edited_late(&samples::plan(), yaml, &frame())]
    {
        hold_page(&kept);
        assert_eq!(inside(&kept), yaml, "what was written is not lost");
        assert!(!kept.contains("<form") && kept.contains(" readonly>") && !kept.contains("<b>"), "{kept}");
    }
    let again = page::unsaved_yet("Not now", "Later.", "", "5f1d", yaml);
    hold_page(&again);
    assert!(inside(&again) == yaml && again.contains("name=\"digest\" value=\"5f1d\""), "{again}");
}

#[test]
fn where_a_plan_is_not_edited_it_is_said_where_it_is() {
    let elsewhere = page_of_plan(Editing::Elsewhere("This plan is too long.".to_owned()));
    assert!(elsewhere.contains("baton plan edit ") && !elsewhere.contains("<textarea id=\"plan\""), "{elsewhere}");
    assert!(!page_of_plan(Editing::No).contains("Edit the plan"));
}

#[test]
fn after_an_edit_it_is_said_what_is_asked_now() {
    let frame = frame();
    let mine = page::edited(&samples::plan(), Some("abcd"), "You may approve it:", &frame);
    hold_page(&mine);
    assert!(mine.contains("<a href=\"abcd\" class=\"press\">") && !mine.contains("<form"), "{mine}");
    snapshot("page-plan-edited", &mine.replace(&*draw::PAGE_STYLE, "…"));
    let theirs = page::edited(&samples::plan(), None, "Others must approve it.", &frame);
    assert!(!theirs.contains("<a ") && theirs.contains("Others must approve it."), "{theirs}");
}

#[test]
fn every_page_is_whole() {
    let frame = frame();
    snapshot("page-style", &draw::PAGE_STYLE.replace('}', "}\n"));
    let decided = samples::decided(samples::handoff(), Verdict::Approved, "ann", "email");
    let pages = [
        ("request", page::request(&samples::handoff(), &samples::project(), Some(&diff()), &forms(), &frame)),
        (
            "question",
            page::request(
                &samples::question(),
                &samples::project(),
                None,
                &Forms { trouble: Some("Say what."), ..forms() },
                &frame,
            ),
        ),
        ("outcome", page::outcome(&decided, &frame)),
        ("gone", page::gone()),
        ("quiet", page::quiet("/q/abc", false, &frame)),
        ("quieted", page::quiet("/q/abc", true, &frame)),
    ];
    for (name, html) in pages {
        hold_page(&html);
        snapshot(&format!("page-{name}"), &html.replace(&*draw::PAGE_STYLE, "…"));
    }
    for (name, approval) in samples::every() {
        let html = page::request(
            &approval,
            &samples::project(),
            None,
            &Forms { action: "/r/abc\"><script>", ..forms() },
            &frame,
        );
        hold_page(&html);
        assert!(html.contains(&format!("name=\"digest\" value=\"{}\"", approval.digest)), "{name}");
        let keys = html.matches("name=\"verdict\"").count();
        assert!((2..=4).contains(&keys), "{name}");
    }
    let closed = page::request(&decided, &samples::project(), None, &forms(), &frame);
    assert!(
        !closed.contains("<form") && closed.contains("Approved by ann, ") && closed.contains("by email."),
        "{closed}"
    );
}
