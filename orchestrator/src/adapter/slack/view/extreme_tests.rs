//! Whatever agents say and however much: every message keeps within Slack's limits, and nothing in it is markup.

use bus_schemas::{
    time::UnixMs,
    v1::{
        agent::{Choice, EgressRecord},
        api::{AskedView, ProjectView, VoteView},
        approval::Verdict,
        handoff::ChangeKind,
        task::TaskState,
    },
};
use proptest::prelude::*;
use serde_json::json;

use super::{
    modal::About,
    samples::{self, saying},
    summary::Outcome,
    tests::inert,
    *,
};

fn hold(approval: &ApprovalView, project: &ProjectView) {
    let settings = CardSettings::default();
    let decided = samples::decided(approval.clone(), Verdict::Approved, &approval.project_title, "slack");
    let cards = [
        card(approval, project, &settings),
        decided_card(&decided, project, &settings),
        void_card(approval, project, &settings, &approval.project_title),
        batch_card(&[approval.clone(), approval.clone()]),
        status(project, std::slice::from_ref(approval)),
        summary(project, None),
    ];
    for card in &cards {
        assert_eq!(card.check(), Ok(()));
        inert(&json!(card.blocks));
        inert(&json!({"text": card.text}));
    }
    let about = About::of(approval, "C0123", "1.2");
    let links = std::collections::BTreeMap::new();
    let views = [
        modal::reject_modal(approval, &about),
        modal::answer_modal(approval, &about),
        home(&home::Home {
            waiting: 1,
            me: &project.owner,
            approvals: std::slice::from_ref(approval),
            projects: std::slice::from_ref(project),
            links: &links,
        }),
    ];
    for view in &views {
        assert_eq!(limits::check_view(view), Ok(()));
        inert(view);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn whatever_is_said_every_card_holds(pieces in proptest::collection::vec(prop_oneof![
        any::<String>(),
        "[ -~]{0,40}",
        Just("<!channel> <@U1> <https://x|y> @here".to_owned()),
        Just("```\n*x*\n".to_owned()),
        Just("<!date^1^{ago}|x>".to_owned()),
    ], 1..8)) {
        let words = pieces.concat();
        for (_, approval) in samples::every() {
            hold(&saying(&approval, &words), &saying(&samples::project(), &words));
        }
    }
}

#[test]
fn very_long_texts_hold() {
    let long = ["&<>*` ".repeat(800), "👩‍👩‍👧 שלום עולם\n".repeat(400)];
    for words in &long {
        for (_, approval) in samples::every() {
            hold(&saying(&approval, words), &saying(&samples::project(), words));
        }
    }
    let mut megabyte = samples::handoff();
    megabyte.handoff.as_mut().unwrap().summary = "a `b` <c> & ".repeat(90_000);
    hold(&megabyte, &samples::project());
}

#[test]
fn empty_texts_hold() {
    for (_, approval) in samples::every() {
        hold(&saying(&approval, ""), &saying(&samples::project(), ""));
    }
}

#[test]
fn very_many_things_hold() {
    let mut approval = samples::handoff();
    let handoff = approval.handoff.as_mut().unwrap();
    handoff.changed_paths =
        (0..10_000).map(|n| samples::path(&format!("{}/{n}", "deep/".repeat(60)), ChangeKind::Added, n)).collect();
    handoff.evidence =
        (0..1_000).map(|n| samples::check(&format!("check {n} {}", "x".repeat(300)), n % 2 == 0)).collect();
    handoff.open_questions = vec!["why? ".repeat(100); 1_000];
    let report = handoff.report.as_mut().unwrap();
    report.decisions = vec![Choice { what: "w".repeat(1_000), why: "y".repeat(1_000) }; 500];
    report.must_know = vec!["k".repeat(1_000); 500];
    handoff.egress = (0..200)
        .map(|n| EgressRecord {
            target: format!("{n}.{}", "x".repeat(300)),
            rule: "r".repeat(300),
            allowed: n % 3 == 0,
            at: UnixMs(n),
            sent_bytes: 0,
            received_bytes: 0,
        })
        .collect();
    let names: Vec<String> = (0..500).map(|n| format!("member-with-a-long-name-{n}")).collect();
    approval.route.eligible.clone_from(&names);
    approval.route.excluded.clone_from(&names);
    approval.route.risk_reasons = vec!["r".repeat(400); 300];
    approval.route.shadow = vec!["s".repeat(400); 300];
    approval.route.votes = names
        .iter()
        .map(|by| VoteView { by: by.clone(), channel: "slack".to_owned(), note: "n".repeat(500), at: samples::NOW })
        .collect();
    let asked = AskedView {
        by: "ann".to_owned(),
        channel: "slack".to_owned(),
        question: "q".repeat(3_000),
        at: samples::NOW,
        answer: Some("a\n".repeat(3_000)),
    };
    approval.route.questions = vec![asked; 100];
    let mut project = samples::project();
    project.tasks = (0..500)
        .map(|n| {
            samples::task(&format!("task-{n}-{}", "k".repeat(60)), &"t".repeat(500), &["report"], TaskState::Blocked)
        })
        .collect();
    project.tasks.push(samples::task("report", "report", &[], TaskState::InputRequired));
    hold(&approval, &project);
    let outcome = Outcome {
        changed: approval.handoff.as_ref().unwrap().changed_paths.clone(),
        lines_added: u64::MAX,
        lines_removed: u64::MAX,
        attached: true,
    };
    assert_eq!(summary(&project, Some(&outcome)).check(), Ok(()));
    let card = card(&approval, &project, &CardSettings::default());
    let json = json!(card.blocks).to_string();
    assert!(json.contains("10000 files") && json.contains("*Network*"), "{json}");

    let mut plan = samples::plan();
    let one = samples::the_plan().tasks.remove(0);
    plan.plan.as_mut().unwrap().tasks = (0..2_000)
        .map(|n| bus_schemas::v1::plan::Task {
            id: format!("t{n}"),
            needs: if n == 0 { Vec::new() } else { vec![format!("t{}", n - 1)] },
            ..one.clone()
        })
        .collect();
    plan.scripts = (0..500).map(|n| (format!("s{n}"), "c".repeat(64))).collect();
    plan.skills = plan.scripts.clone();
    hold(&plan, &project);
    let mut question = samples::question();
    question.question.as_mut().unwrap().options = vec!["o".repeat(500); 50];
    hold(&question, &project);
    let mut skill = samples::skill();
    skill.skill.as_mut().unwrap().files = (0..500).map(|n| (format!("f{n}"), "x\n".repeat(9_000))).collect();
    hold(&skill, &project);
}
