//! Every mail and page as it is, and what holds for all of them.

mod pages;

use std::collections::BTreeMap;

use bus_schemas::v1::{
    api::{DiffView, LimitView, ProjectView, SpendView},
    approval::{ApprovalSubject, Verdict},
    handoff::ChangeKind,
    project::ProjectState,
    task::TaskState,
};
use proptest::prelude::*;

use self::pages::{forms, hold_page};
use super::*;
use crate::{
    adapter::mail::story::News,
    words::samples::{self, NOW, saying},
};

const KEY: &str = "canary-7f3a91";

pub(in crate::adapter::mail) fn frame() -> Frame {
    Frame {
        address: "baton@example.org".to_owned(),
        link: Some("https://baton.example.org/r/abcdefghijklmnop".to_owned()),
        quiet_link: None,
        can_reply: true,
        now: NOW,
        secrets: vec![KEY.to_owned()],
        person: "ann".to_owned(),
    }
}

fn diff() -> DiffView {
    DiffView {
        base_commit: "a".repeat(40),
        commit: "b".repeat(40),
        changed: vec![
            samples::path("report.md", ChangeKind::Added, 4_096),
            samples::path("src/lib.rs", ChangeKind::Modified, 812),
        ],
        text: format!(
            "diff --git a/src/lib.rs b/src/lib.rs\n--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -1,3 +1,3 @@\n \
             fn main() {{\n-    old(\"<{KEY}>\");\n+    new(\"https://example.com\");\n }}\n"
        ),
        truncated: false,
    }
}

fn ended(state: ProjectState) -> ProjectView {
    let mut project = samples::project();
    project.state = state;
    project.pending_approvals.clear();
    project.result_commit = (state == ProjectState::Completed).then(|| "b".repeat(40));
    project.counts = BTreeMap::from([("completed".to_owned(), 4), ("failed".to_owned(), 1)]);
    for task in &mut project.tasks {
        task.state = TaskState::Completed;
        task.handoff = samples::handoff().handoff;
    }
    if state == ProjectState::Failed {
        let task = &mut project.tasks[2];
        task.state = TaskState::Failed;
        task.reason = "three attempts failed: the licence of vendor/ is unknown".to_owned();
    }
    project
}

fn news() -> Vec<News> {
    let at = |minutes: i64| UnixMs(NOW.0 - 60_000 * minutes);
    let one = |minutes, project: &str, said: &str| News {
        at: at(minutes),
        project: project.to_owned(),
        said: said.to_owned(),
    };
    vec![
        one(55, "Audit of <repo> & friends", "`scan` completed."),
        one(40, "Release notes", "The project started."),
        one(31, "Audit of <repo> & friends", "80 % of the budget is used: see https://evil.example"),
        one(2, "Release notes", "`draft` completed; `review` works on it."),
    ]
}

/// One of every story, with a name.
pub(in crate::adapter::mail) fn stories() -> Vec<(String, Story)> {
    let project = || Box::new(samples::project());
    let mut all: Vec<(String, Story)> = samples::every()
        .into_iter()
        .map(|(name, approval)| {
            let diffs = matches!(approval.subject, ApprovalSubject::Handoff { .. } | ApprovalSubject::Apply);
            let diff = diffs.then(|| Box::new(diff()));
            let reminder = u32::from(name == "budget");
            let story = Story::Request { approval: Box::new(approval), project: project(), diff, reminder };
            (format!("request-{name}"), story)
        })
        .collect();
    let mut fresh = samples::project();
    fresh.state = ProjectState::Planning;
    fresh.spend = SpendView {
        limits: vec![LimitView {
            resource: bus_schemas::v1::agent::Resource::Usd,
            used: 0,
            limit: 2_000_000_000,
            warned: 0,
        }],
        ..SpendView::default()
    };
    let left_out = vec!["big.iso: files that end with .iso are not taken".to_owned()];
    all.push(("started".to_owned(), Story::Started { project: Box::new(fresh), left_out }));
    let outcomes = [
        ("approved", samples::decided(samples::handoff(), Verdict::Approved, "ann, bob", "slack")),
        ("changes", samples::decided(samples::handoff(), Verdict::ChangesRequested, "ann", "email")),
        ("rejected", samples::decided(samples::capability(), Verdict::Rejected, "bob", "cli")),
        ("expired", samples::decided(samples::plan(), Verdict::Expired, "", "deadline")),
        ("rule", samples::decided(samples::proven(), Verdict::Approved, "policy:leads", "policy")),
        ("remembered", samples::decided(samples::proven(), Verdict::Approved, "ann", "remembered")),
        ("void", samples::decided(samples::plan(), Verdict::Rejected, "carl", "void")),
        ("cancel", samples::decided(samples::question(), Verdict::Rejected, "carl", "cancel")),
    ];
    for (name, approval) in outcomes {
        all.push((format!("outcome-{name}"), Story::Outcome { approval: Box::new(approval) }));
    }
    let why = "“ok” sounds like an answer, but not surely one to this.".to_owned();
    let approval = Some(Box::new(samples::handoff()));
    let plain = |name: &str, story| (name.to_owned(), story);
    all.extend([
        plain("ask-back", Story::AskBack { approval, why: why.clone() }),
        plain("ask-back-question", Story::AskBack { approval: Some(Box::new(samples::question())), why: why.clone() }),
        plain("ask-back-nothing", Story::AskBack { approval: None, why }),
        plain(
            "refused",
            Story::Refused {
                what: "The handoff of report was not approved".to_owned(),
                why: "Your answer was to a mail that was sent to bob.".to_owned(),
                hint: Some("Answer the mail that was sent to you.".to_owned()),
            },
        ),
        plain("done", Story::Done { said: "The handoff of `report` is approved.".to_owned() }),
        plain("status", Story::Status { project: project() }),
        plain(
            "result-completed",
            Story::Result { project: Box::new(ended(ProjectState::Completed)), diff: Some(Box::new(diff())) },
        ),
        plain("result-failed", Story::Result { project: Box::new(ended(ProjectState::Failed)), diff: None }),
        plain("digest", Story::Digest { news: news() }),
    ]);
    all
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// What holds for every mail, whatever it says.
fn hold(content: &Content, frame: &Frame) {
    let text = &content.text;
    let html = &content.html;
    assert!(
        content.subject.chars().count() <= SUBJECT && !content.subject.contains(['\n', '\r']),
        "{}",
        content.subject
    );
    assert!(html.len() < 100_000, "programs cut mails of more than 102 KB: {}", html.len());
    assert!(!text.contains("cannot be shown: ") && !html.contains("cannot be shown: "), "{text}");
    for (name, part) in [("text", text), ("html", html)] {
        assert!(!part.contains(KEY), "{name} shows a secret");
        assert!(part.chars().all(|c| c == '\n' || !c.is_control()), "{name} steers");
        assert!(!part.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}']), "{name} hides something");
        // The only addresses that can be followed are ours.
        let ours: Vec<&str> = frame.link.iter().chain(&frame.quiet_link).map(String::as_str).collect();
        let rest = ours.iter().fold(part.replace("&#x2f;", "/"), |rest, link| rest.replace(link, ""));
        assert!(!rest.contains("://"), "{name} has an address: {rest}");
    }
    let banned = ["<script", "<img", "<link", "<iframe", "<object", "<form", "<input"];
    let nowhere = ["javascript:", "url(", "@import"];
    for tag in html.split('<').skip(1) {
        let tag = format!("<{}", tag.split('>').next().unwrap_or_default()).to_lowercase();
        assert!(!banned.iter().any(|banned| tag.starts_with(banned)), "{tag}");
        assert!(!nowhere.iter().any(|banned| tag.contains(banned)), "{tag}");
        assert!(!tag.contains(" onclick") && !tag.contains(" onload") && !tag.contains(" onerror"), "{tag}");
        assert!(!tag.contains(" src="), "{tag}");
        if tag.contains("href=") {
            assert!(tag.starts_with("<a href=\"http"), "{tag}");
        }
    }
    balanced(html);
}

/// Every tag that is opened is closed, in order: nothing that was said has broken out.
fn balanced(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = &comment[comment.find("-->").expect("a comment ends")..];
            continue;
        }
        let end = rest.find('>').expect("a tag ends");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap_or_default();
        match name {
            "!DOCTYPE" | "meta" | "br" | "wbr" | "input" => {}
            name if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "{tag}"),
            name => {
                assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{tag}");
                open.push(name);
            }
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn every_story_has_its_mail() {
    for (name, story) in stories() {
        let content = render(&story, &frame());
        hold(&content, &frame());
        let files: Vec<&str> = content.attachments.iter().map(|(name, ..)| name.as_str()).collect();
        let text = format!("Subject: {}\nFiles: {}\n\n{}", content.subject, files.join(", "), content.text);
        snapshot(&format!("{name}.text"), &text);
        snapshot(&format!("{name}.html"), &content.html);
    }
}

#[test]
fn a_mail_says_only_what_can_be_done() {
    let frame = Frame { link: None, can_reply: false, ..frame() };
    for (name, story) in stories() {
        let content = render(&story, &frame);
        hold(&content, &frame);
        assert!(!content.text.contains("https://") && !content.html.contains("<a "), "{name} has a link");
        assert!(!content.text.contains("your reply") || name.starts_with("ask-back"), "{name}: {}", content.text);
    }
    let quiet = Frame { quiet_link: Some("https://baton.example.org/q/xyz".to_owned()), ..frame };
    let content = render(&Story::Digest { news: news() }, &quiet);
    hold(&content, &quiet);
    assert!(content.text.contains("https://baton.example.org/q/xyz"), "{}", content.text);
    assert!(content.html.contains("No more news"), "{}", content.html);
}

#[test]
fn secrets_are_withheld_in_files_too() {
    let key = concat!("ghp_", "0123456789abcdefghijABCDEFGHIJ");
    let mut view = diff();
    view.text.push_str(&format!("+token = \"{key}\"\n"));
    let story = Story::Result { project: Box::new(ended(ProjectState::Completed)), diff: Some(Box::new(view)) };
    let content = render(&story, &frame());
    let [(name, media_type, bytes)] = &content.attachments[..] else { panic!("one file") };
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert_eq!((name.as_str(), media_type.as_str()), ("changes.patch", "text/x-diff; charset=utf-8"));
    assert!(!text.contains(KEY) && !text.contains(key) && text.contains("+token = \"[withheld]\""), "{text}");
    // What is a link in the code stays what it is: the file is data.
    assert!(text.contains("https://example.com"), "{text}");
}

#[test]
fn a_difference_that_is_too_large_is_cut_at_a_line() {
    let mut view = diff();
    view.text = "+ü line of a file\n".repeat(200_000);
    let story = Story::Result { project: Box::new(ended(ProjectState::Completed)), diff: Some(Box::new(view)) };
    let content = render(&story, &frame());
    let text = String::from_utf8(content.attachments[0].2.clone()).unwrap();
    assert!(text.len() < 2_200_000, "{}", text.len());
    assert!(text.ends_with("a file\n… cut here: `baton diff` on the orchestrator's machine shows all of it\n"));
    assert!(content.html.contains("it is cut: "), "{}", content.text);
}

#[test]
fn risk_and_evidence_are_said_whatever_else_there_is() {
    let mut approval = samples::handoff();
    let handoff = approval.handoff.as_mut().unwrap();
    handoff.summary = "word ".repeat(10_000);
    handoff.changed_paths =
        (0..5_000).map(|n| samples::path(&format!("{}{n}.rs", "deep/".repeat(60)), ChangeKind::Added, n)).collect();
    handoff.open_questions = vec!["why? ".repeat(400); 50];
    handoff.evidence =
        (0..500).map(|n| samples::check(&format!("check {n} {}", "x".repeat(300)), n % 2 == 0)).collect();
    let report = handoff.report.as_mut().unwrap();
    report.must_know = vec!["k".repeat(500); 20];
    let asked = approval.route.questions[0].clone();
    approval.route.questions =
        vec![
            bus_schemas::v1::api::AskedView { answer: Some("a ".repeat(900)), question: "q ".repeat(900), ..asked };
            9
        ];
    approval.route.risk_reasons = vec!["r".repeat(1_000); 40];
    let mut project = samples::project();
    project.tasks = (0..500)
        .map(|n| {
            samples::task(&format!("task-{n}-{}", "k".repeat(60)), &"t".repeat(500), &["report"], TaskState::Blocked)
        })
        .collect();
    let story = Story::Request {
        approval: Box::new(approval),
        project: Box::new(project),
        diff: Some(Box::new(diff())),
        reminder: 2,
    };
    let content = render(&story, &frame());
    hold(&content, &frame());
    for said in [
        "High risk",
        "250 of 500 checks passed",
        "5000 files (5000 new)",
        "Who decides",
        "When approved",
        "… and 488 more",
        "There is more than a mail holds",
        "changes.patch",
        "reminder 2",
        "How to answer",
    ] {
        assert!(content.text.contains(said), "{said}: {}", content.text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn whatever_is_said_every_mail_holds(pieces in proptest::collection::vec(prop_oneof![
        any::<String>(),
        "[ -~]{0,40}",
        Just("</td></table><script>alert(1)</script><a href=\"https://evil.example\">".to_owned()),
        Just("\" onclick=\"x\" {{ sheet }} {% raw %} ` https://a.example `".to_owned()),
        Just("\r\nBcc: x@y.z\r\n\r\n--\u{202e}\u{200b}\u{1b}[31m".to_owned()),
        Just(format!("{KEY} www.evil.example javascript:x")),
    ], 1..8)) {
        let words = pieces.concat();
        for (_, story) in stories() {
            let story = all_saying(&story, &words);
            hold(&render(&story, &frame()), &frame());
        }
    }
}

#[test]
fn very_long_and_empty_texts_hold() {
    for words in ["&<>.a@b/c` ".repeat(800), "👩‍👩‍👧 שלום עולם\n".repeat(400), "a.".repeat(9_000), String::new()]
    {
        for (_, story) in stories() {
            hold(&render(&all_saying(&story, &words), &frame()), &frame());
        }
    }
}

/// The story with these words in all places that are free text.
pub(in crate::adapter::mail) fn all_saying(story: &Story, words: &str) -> Story {
    let said = |_: &String| words.to_owned();
    match story {
        Story::Started { project, left_out } => {
            Story::Started { project: saying(project, words), left_out: left_out.iter().map(said).collect() }
        }
        Story::Request { approval, project, diff, reminder } => Story::Request {
            approval: saying(approval, words),
            project: saying(project, words),
            diff: diff.as_ref().map(|diff| Box::new(DiffView { text: words.to_owned(), ..saying(diff, words) })),
            reminder: *reminder,
        },
        Story::Outcome { approval } => Story::Outcome { approval: saying(approval, words) },
        Story::AskBack { approval, .. } => Story::AskBack { approval: saying(approval, words), why: words.to_owned() },
        Story::Refused { hint, .. } => {
            Story::Refused { what: words.to_owned(), why: words.to_owned(), hint: hint.as_ref().map(said) }
        }
        Story::Done { .. } => Story::Done { said: words.to_owned() },
        Story::Status { project } => Story::Status { project: saying(project, words) },
        Story::Result { project, diff } => Story::Result { project: saying(project, words), diff: saying(diff, words) },
        Story::Digest { news } => Story::Digest {
            news: news
                .iter()
                .map(|one| News { at: one.at, project: words.to_owned(), said: words.to_owned() })
                .collect(),
        },
    }
}

#[test]
fn a_key_that_goes_over_many_lines_is_withheld_whole() {
    let key = ["-----BEGIN RSA PRIVATE", " KEY-----"].concat();
    let lines = (0..20).map(|n| format!("+MIIEogIBAAKCAQEA{n}\n")).collect::<String>();
    let block = format!("+{key}\n{lines}+{}\n", key.replace("BEGIN", "END"));
    let mut view = diff();
    view.text.push_str(&block);
    let page = page::request(&samples::handoff(), &samples::project(), Some(&view), &forms(), &frame());
    hold_page(&page);
    assert!(page.contains("[withheld]") && !page.contains("MIIEogIBAAKCAQEA"), "{page}");
    let mut approval = samples::handoff();
    for check in &mut approval.handoff.as_mut().unwrap().evidence {
        check.output_tail.clone_from(&block);
    }
    let story = Story::Request {
        approval: Box::new(approval),
        project: Box::new(samples::project()),
        diff: Some(Box::new(view)),
        reminder: 0,
    };
    let content = render(&story, &frame());
    let file = String::from_utf8_lossy(&content.attachments[0].2);
    for part in [&content.text, &content.html, file.as_ref()] {
        assert!(part.contains("[withheld]") && !part.contains("MIIEogIBAAKCAQEA"), "{part}");
    }
}

#[test]
fn colours_can_be_read() {
    for (name, light, dark) in draw::looks() {
        for (mode, style) in [("light", light.clone()), ("dark", format!("{light}{dark}"))] {
            let of = |key: &str| {
                let value =
                    style.split(';').filter_map(|rule| rule.trim().strip_prefix(key)?.strip_prefix(':')).next_back();
                value.map(str::to_owned)
            };
            let Some(front) = of("color") else { continue };
            let ground = if mode == "light" { "#ffffff" } else { "#161b22" };
            let back = of("background-color").unwrap_or_else(|| ground.to_owned());
            let ratio = contrast(&front, &back);
            assert!(ratio >= 4.5, "{name} where it is {mode}: {front} on {back} is {ratio:.1}");
        }
    }
}

/// The contrast of two colours, as the WCAG works it out.
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |colour: &str| {
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.039_28 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}
