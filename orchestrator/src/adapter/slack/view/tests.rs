//! Every card as it is sent, and what holds for all of them.

use std::collections::BTreeMap;

use bus_schemas::v1::{
    api::{ApprovalView, ProjectView, Risk, VoteView},
    approval::Verdict,
    handoff::ChangeKind,
    project::ProjectState,
    task::TaskState,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    home::{Home, is_for},
    modal::{About, Choice, Origin, Prefill},
    samples,
    summary::Outcome,
    *,
};
use crate::words::draft::Draft;

fn snapshot(name: &str, value: &impl Serialize) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_json_snapshot!(name, value));
}

fn sent(name: &str, card: &Card) {
    assert_eq!(card.check(), Ok(()), "{name}");
    inert(&json!(card.blocks));
    inert(&json!({"text": card.text}));
    snapshot(name, &json!({"text": card.text, "blocks": card.blocks}));
}

/// No text that Slack reads has markup in angle brackets but our own dates; none that people see is unmarked by us.
pub(super) fn inert(value: &Value) {
    match value {
        Value::Array(items) => items.iter().for_each(inert),
        Value::Object(fields) => {
            if let Some(text) = fields.get("text").and_then(Value::as_str) {
                assert_eq!(without_dates(text).find(['<', '>']), None, "{text}");
                assert!(!text.contains("<@") && !text.contains("<#") && !text.contains("@here"), "{text}");
                for (at, _) in text.match_indices('&') {
                    let sound = ["&amp;", "&lt;", "&gt;"].iter().any(|entity| text[at..].starts_with(entity));
                    assert!(sound, "{text}");
                }
            }
            if fields.get("type") == Some(&json!("mrkdwn")) {
                assert_eq!(fields.get("verbatim"), Some(&json!(true)), "Slack would look for links: {value}");
            }
            fields.values().for_each(inert);
        }
        _ => {}
    }
}

fn without_dates(text: &str) -> String {
    let mut rest = text.to_owned();
    while let Some(at) = rest.find("<!date^") {
        let end = rest[at..].find('>').expect("a date ends");
        let inner = &rest[at + 7..at + end];
        let (seconds, shape) = inner.split_once('^').expect("a date has a shape");
        assert!(seconds.parse::<u64>().is_ok(), "{inner}");
        assert!(shape.starts_with("{date_short_pretty} at {time}|") || shape.starts_with("{ago}|"), "{inner}");
        rest.replace_range(at..=at + end, "");
    }
    rest
}

fn ids(blocks: &[Value]) -> Vec<String> {
    let elements = blocks.iter().filter_map(|block| block.get("elements").and_then(Value::as_array)).flatten();
    elements.filter_map(|element| element.get("action_id").and_then(Value::as_str)).map(str::to_owned).collect()
}

fn all_text(card: &Card) -> String {
    card.blocks
        .iter()
        .filter_map(|block| block.pointer("/text/text").and_then(Value::as_str))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn every_kind_has_its_card() {
    for (name, approval) in samples::every() {
        let settings = CardSettings { adds: (name == "budget").then_some(2_000_000_000), ..CardSettings::default() };
        sent(&format!("card-{name}"), &card(&approval, &samples::project(), &settings));
    }
}

#[test]
fn a_decided_card_says_who_and_has_nothing_to_press() {
    let cases = [
        ("approved", samples::decided(samples::handoff(), Verdict::Approved, "ann, bob", "slack")),
        ("changes", samples::decided(samples::handoff(), Verdict::ChangesRequested, "ann", "cli")),
        ("rejected", samples::decided(samples::capability(), Verdict::Rejected, "ann", "email")),
        ("expired", samples::decided(samples::plan(), Verdict::Expired, "", "deadline")),
        ("rule", samples::decided(samples::proven(), Verdict::Approved, "policy:leads", "policy")),
        ("remembered", samples::decided(samples::proven(), Verdict::Approved, "ann", "remembered")),
        ("void", samples::decided(samples::plan(), Verdict::Rejected, "carl", "void")),
        ("cancel", samples::decided(samples::question(), Verdict::Rejected, "carl", "cancel")),
    ];
    for (name, approval) in cases {
        let card = decided_card(&approval, &samples::project(), &CardSettings::default());
        assert_eq!(ids(&card.blocks), Vec::<String>::new(), "{name}");
        assert!(!all_text(&card).contains("When approved"), "{name}");
        assert_eq!(card.check(), Ok(()), "{name}");
        inert(&json!(card.blocks));
        // What it is about is under test with the other cards; here the head is.
        let head: Vec<&Value> = card.blocks.iter().take(3).collect();
        snapshot(&format!("decided-{name}"), &json!({"text": card.text, "head": head}));
    }
    let why = "the handoff was replaced by attempt 3";
    let card = void_card(&samples::handoff(), &samples::project(), &CardSettings::default(), why);
    assert!(ids(&card.blocks).is_empty() && all_text(&card).contains(why));
    sent("void", &card);
}

#[test]
fn buttons_carry_the_digest_that_was_shown() {
    for (name, approval) in samples::every() {
        let card = card(&approval, &samples::project(), &CardSettings::default());
        let elements = card
            .blocks
            .iter()
            .filter(|block| block["type"] == "actions")
            .flat_map(|block| block["elements"].as_array().unwrap());
        for element in elements {
            let options = element["options"].as_array().cloned().unwrap_or_default();
            let values = options.iter().map(|option| &option["value"]).chain(element.get("value"));
            for value in values {
                let pressed: Pressed = read(value.as_str().unwrap()).unwrap();
                assert_eq!((pressed.approval_id, &pressed.digest), (approval.approval_id, &approval.digest), "{name}");
            }
        }
    }
}

#[test]
fn what_can_be_pressed_follows_the_kind() {
    let of = |approval: &ApprovalView| ids(&card(approval, &samples::project(), &CardSettings::default()).blocks);
    assert_eq!(
        of(&samples::question()),
        ["baton.answer.0", "baton.answer.1", "baton.answer", "baton.reject", "baton.delegate"]
    );
    assert_eq!(of(&samples::budget()), ["baton.approve", "baton.reject", "baton.delegate"]);
    assert_eq!(of(&samples::capability()), ["baton.approve", "baton.reject", "baton.delegate", "baton.remember"]);
    let handoff = ["baton.approve", "baton.changes", "baton.reject", "baton.ask", "baton.open", "baton.delegate"];
    assert_eq!(of(&samples::handoff()), handoff);
    let mut risky = samples::handoff();
    risky.route.can_remember = true;
    assert_eq!(of(&risky), handoff, "a high risk is never remembered");
    let bare = CardSettings { ask: false, delegate: false, ..CardSettings::default() };
    let card = card(&samples::handoff(), &samples::project(), &bare);
    assert_eq!(ids(&card.blocks), ["baton.approve", "baton.changes", "baton.reject", "baton.open"]);
}

#[test]
fn what_is_remembered_comes_back_with_the_click() {
    let card = card(&samples::proven(), &samples::project(), &CardSettings::default());
    let menu = card.blocks.iter().flat_map(|block| block["elements"].as_array().cloned().unwrap_or_default());
    let menu = menu.into_iter().find(|element| element["action_id"] == action::REMEMBER).unwrap();
    let chosen: Vec<_> = menu["options"]
        .as_array()
        .unwrap()
        .iter()
        .map(|option| {
            let pressed: Pressed = read(option["value"].as_str().unwrap()).unwrap();
            let remember = pressed.remembered().unwrap();
            (remember.scope, remember.for_ms / 3_600_000)
        })
        .collect();
    use bus_schemas::v1::api::RememberScope::{Folder, Project};
    assert_eq!(chosen, [(Project, 8), (Project, 168), (Folder, 8), (Folder, 168)]);
    assert_eq!(Pressed::on(&samples::proven()).remembered(), None);
}

#[test]
fn only_a_high_risk_is_asked_about_twice() {
    let asks = |approval: &ApprovalView| {
        let card = card(approval, &samples::project(), &CardSettings::default());
        serde_json::to_string(&card.blocks).unwrap().contains("\"confirm\"")
    };
    assert!(asks(&samples::handoff()) && !asks(&samples::proven()) && !asks(&samples::plan()));
}

#[test]
fn the_card_says_which_tasks_start_and_which_wait_on() {
    let said = all_text(&card(&samples::handoff(), &samples::project(), &CardSettings::default()));
    assert!(said.contains("*When approved*: `publish` starts.\n• `archive` still waits for `licences`."), "{said}");
    let mut project = samples::project();
    project.tasks = vec![
        samples::task("each", "each", &[], TaskState::Completed),
        samples::task("each[0]", "each", &[], TaskState::InputRequired),
        samples::task("each[1]", "each", &[], TaskState::Working),
        samples::task("last", "last", &["each"], TaskState::Blocked),
    ];
    let mut child = samples::handoff();
    child.task_key = Some("each[0]".to_owned());
    let said = all_text(&card(&child, &project, &CardSettings::default()));
    assert!(said.contains("`last` still waits for `each`."), "{said}");
    project.tasks[2].state = TaskState::Completed;
    let said = all_text(&card(&child, &project, &CardSettings::default()));
    assert!(said.contains("*When approved*: `last` starts."), "{said}");
    project.tasks.truncate(2);
    let said = all_text(&card(&child, &project, &CardSettings::default()));
    assert!(said.contains("Nothing waits for it; the project's result is put together."), "{said}");
}

#[test]
fn nothing_proves_a_handoff_without_checks() {
    let mut approval = samples::proven();
    approval.handoff.as_mut().unwrap().evidence.clear();
    let said = all_text(&card(&approval, &samples::project(), &CardSettings::default()));
    assert!(said.contains("No check proves this handoff"), "{said}");
}

#[test]
fn a_skills_text_is_a_files_content_and_is_shown_as_far_as_the_settings_say() {
    let (_, mut approval) = samples::every().into_iter().find(|(name, _)| *name == "skill").unwrap();
    let text = format!("the first words\n{}", "and many more\n".repeat(30));
    approval.skill.as_mut().unwrap().files.insert("SKILL.md".to_owned(), text);
    let shown =
        |excerpt| all_text(&card(&approval, &samples::project(), &CardSettings { excerpt, ..CardSettings::default() }));
    assert_eq!(shown(20_000).matches("and many more").count(), 19);
    assert_eq!(shown(120).matches("and many more").count(), 7);
    assert!(!shown(0).contains("the first words") && shown(0).contains("`baton approvals`"), "{}", shown(0));
}

#[test]
fn alike_requests_share_a_card() {
    let mut many: Vec<ApprovalView> = (1..=3)
        .map(|number| ApprovalView {
            approval_id: samples::approval_id(number),
            task_key: Some(format!("each[{number}]")),
            ..samples::proven()
        })
        .collect();
    assert!(batch::can_batch(&many));
    sent("batch", &batch_card(&many));
    let before = batch::digest(&many);
    many[1].digest = "f".repeat(64);
    assert_ne!(batch::digest(&many), before, "a change is seen");
    many[1].route.risk = Risk::Medium;
    assert!(!batch::can_batch(&many) && !batch::can_batch(&many[..1]) && !batch::can_batch(&[]));
    let long = batch::name(&"k".repeat(5_000));
    assert_eq!((long.len(), batch::name("short")), (64, "short".to_owned()));
    let hundreds: Vec<ApprovalView> = (0..500).map(|_| samples::proven()).collect();
    assert_eq!(batch_card(&hundreds).check(), Ok(()));
}

#[test]
fn a_project_has_one_live_message() {
    sent("status", &status(&samples::project(), &[samples::handoff()]));
    let planning =
        ProjectView { tasks: Vec::new(), counts: BTreeMap::new(), state: ProjectState::Planning, ..samples::project() };
    sent("status-planning", &status(&planning, &[]));
}

#[test]
fn a_live_message_with_500_tasks_shows_what_matters() {
    let mut project = samples::project();
    project.tasks = (0..500)
        .map(|n| samples::task(&format!("task-{n}"), &"long title ".repeat(20), &[], TaskState::Completed))
        .collect();
    project.tasks[321].state = TaskState::Failed;
    project.tasks[499].state = TaskState::InputRequired;
    let card = status(&project, &[]);
    assert_eq!(card.check(), Ok(()));
    let said = all_text(&card);
    assert!(said.contains("`task-321`") && said.contains("done"), "{said}");
    assert!(said.contains("and ✅ 470 done") || said.contains("more"), "{said}");
}

#[test]
fn the_last_message_says_what_came_of_it() {
    let mut project = ProjectView {
        state: ProjectState::Completed,
        result_commit: Some("b".repeat(40)),
        pending_approvals: Vec::new(),
        ..samples::project()
    };
    for task in &mut project.tasks {
        task.state = TaskState::Completed;
    }
    project.tasks[3].handoff = samples::proven().handoff;
    let outcome = Outcome {
        changed: vec![samples::path("report.md", ChangeKind::Added, 4_096)],
        lines_added: 420,
        lines_removed: 0,
        attached: true,
    };
    sent("summary", &summary(&project, Some(&outcome)));
    project.applied_at = Some(samples::NOW);
    assert!(ids(&summary(&project, None).blocks).is_empty(), "it is in the folder");
    project.state = ProjectState::Failed;
    project.applied_at = None;
    project.tasks[2].state = TaskState::Failed;
    sent("summary-failed", &summary(&project, None));
}

#[test]
fn the_home_tab_shows_what_is_mine() {
    let approvals =
        [samples::handoff(), samples::plan(), samples::decided(samples::plan(), Verdict::Approved, "ann", "cli")];
    let projects = [samples::project(), ProjectView { owner: "ann".to_owned(), ..samples::project() }];
    let links = BTreeMap::from([(samples::approval_id(1), "https://x.slack.com/archives/C1/p1".to_owned())]);
    let none = BTreeMap::new();
    for (name, me, links) in [("home", "bob", &links), ("home-ann", "ann", &none)] {
        let waiting = approvals.iter().filter(|one| is_for(one, me)).count();
        let view = home(&Home { me, approvals: &approvals, waiting, projects: &projects, links });
        assert_eq!(limits::check_view(&view), Ok(()), "{name}");
        inert(&view);
        snapshot(name, &view);
    }
    let mut voted = samples::plan();
    assert!(is_for(&voted, "ann") && !is_for(&voted, "carl") && !is_for(&voted, "zoe"));
    voted.route.votes =
        vec![VoteView { by: "ann".to_owned(), channel: "cli".to_owned(), note: String::new(), at: samples::NOW }];
    assert!(!is_for(&voted, "ann"), "she has agreed already");
    let crowd: Vec<ApprovalView> = (0..300).map(|_| samples::plan()).collect();
    let many: Vec<ProjectView> =
        (0..300).map(|_| ProjectView { owner: "bob".to_owned(), ..samples::project() }).collect();
    let view = home(&Home { me: "bob", approvals: &crowd, waiting: crowd.len(), projects: &many, links: &none });
    assert_eq!(limits::check_view(&view), Ok(()));
}

#[test]
fn people_write_in_modals() {
    let approval = samples::handoff();
    let about = About::of(&approval, "C0123", "1795381500.000100");
    let presets = [Choice { name: "website".to_owned(), description: "The <public> site".to_owned() }];
    let prefill = Prefill {
        goal: "Fix the @here page".to_owned(),
        preset: Some("website".to_owned()),
        files: 2,
        ..Prefill::default()
    };
    let origin = Origin { channel: "C0123".to_owned(), thread_ts: Some("1.2".to_owned()), message: None };
    let text = Draft::Text("version: 1\ntitle: t\ntasks:\n  - id: a\n    run: make\n".to_owned());
    let views = [
        ("modal-goal", modal::goal_modal(&presets, &[], &prefill, &origin)),
        ("modal-changes", modal::changes_modal(&approval, &about)),
        ("modal-edit", modal::edit_modal(&samples::plan(), &text, &about)),
        ("modal-edit-long", modal::edit_modal(&samples::plan(), &Draft::TooLong(3_017), &about)),
        ("modal-reject", modal::reject_modal(&approval, &about)),
        ("modal-ask", modal::ask_modal(&approval, &about)),
        ("modal-answer", modal::answer_modal(&samples::question(), &about)),
        ("modal-delegate", modal::delegate_modal(&approval, &about)),
    ];
    for (name, view) in &views {
        assert_eq!(limits::check_view(view), Ok(()), "{name}");
        inert(view);
        snapshot(name, view);
    }
    let kept: About = read(views[1].1["private_metadata"].as_str().unwrap()).unwrap();
    assert_eq!(kept, about);
    let many: Vec<Choice> =
        (0..300).map(|n| Choice { name: format!("p{n}{}", "x".repeat(n)), description: "d".repeat(500) }).collect();
    let long = Prefill { goal: "g".repeat(50_000), folder: "/x".repeat(5_000), ..Prefill::default() };
    assert_eq!(limits::check_view(&modal::goal_modal(&many, &many, &long, &origin)), Ok(()));
}
