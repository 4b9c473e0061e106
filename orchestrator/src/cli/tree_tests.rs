use std::collections::BTreeMap;

use bus_schemas::{
    id::{ProjectId, TaskId},
    v1::project::ProjectState,
};
use uuid::Uuid;

use super::*;

const PLAIN: Style = Style { colour: false };

fn task(key: &str, state: TaskState) -> TaskView {
    TaskView {
        task_id: TaskId::from_uuid(Uuid::nil()),
        key: key.to_owned(),
        title: key.to_owned(),
        needs: Vec::new(),
        state,
        reason: String::new(),
        attempt: 0,
        max_attempts: 2,
        stage: None,
        host_id: None,
        claimed_at: None,
        ended_at: None,
        failure: None,
        handoff: None,
        spend: bus_schemas::v1::api::SpendView::default(),
    }
}

fn project(tasks: Vec<TaskView>) -> ProjectView {
    let mut counts = BTreeMap::new();
    for task in &tasks {
        *counts.entry(word(&task.state).replace(' ', "_")).or_insert(0) += 1;
    }
    ProjectView {
        project_id: ProjectId::from_uuid(Uuid::from_u128(0x0193_abcd_4f21_7000_8000_0000_0000_0001)),
        title: "Audit".to_owned(),
        goal: String::new(),
        folder: "/f".to_owned(),
        owner: "ada".to_owned(),
        state: ProjectState::Working,
        created_at: UnixMs(0),
        changed_at: UnixMs(0),
        counts,
        usage: bus_schemas::v1::handoff::Usage { vm_ms: 5_500, ..Default::default() },
        spend: bus_schemas::v1::api::SpendView::default(),
        base_commit: String::new(),
        result_commit: None,
        applied_at: None,
        pending_approvals: Vec::new(),
        tasks,
    }
}

const fn view(max_tasks: usize, frame: Option<usize>) -> View {
    View { style: PLAIN, frame, max_tasks, now: UnixMs(65_000) }
}

#[test]
fn children_stand_below_their_parent() {
    let done = TaskState::Completed;
    let project = project(vec![
        task("a", done),
        task("each", done),
        task("z", done),
        task("each[0]", done),
        task("each[1]", done),
    ]);
    let lines: Vec<String> =
        tasks(&project, view(10, None)).iter().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let order: Vec<&str> =
        lines.iter().map(|l| l.trim_start_matches("✓ ").split(" completed").next().unwrap_or_default()).collect();
    assert_eq!(order, ["a", "each", "└ [0]", "└ [1]", "z"]);
}

#[test]
fn a_tree_reads_like_this() {
    let mut working = task("scan", TaskState::Working);
    working.stage = Some(Stage::Checking);
    working.claimed_at = Some(UnixMs(60_000));
    working.attempt = 2;
    let mut report = task("report", TaskState::Blocked);
    report.title = "Write the report".to_owned();
    report.needs = vec!["scan".to_owned(), "each".to_owned()];
    let mut parts = vec![task("each", TaskState::Working)];
    parts.push(task("each[0]", TaskState::Completed));
    parts.extend([working, report]);
    let project = project(parts);
    let mut lines = head(&project, view(99, None));
    lines.extend(tasks(&project, view(99, None)));
    assert_eq!(
        lines,
        [
            "Audit  0193abcd-4f21",
            "working · 1 of 4 tasks done · 1m 05s elapsed · 5.5s VM time",
            "  ▶ each                      working",
            "  ✓ └ [0]                     completed",
            "  ▶ scan                      checking  5.0s  attempt 2/2",
            "  · report  Write the report  blocked  after scan, each",
        ]
    );
}

#[test]
fn a_live_view_spins() {
    let project = project(vec![task("a", TaskState::Working)]);
    assert_ne!(tasks(&project, view(9, Some(0))), tasks(&project, view(9, Some(1))));
}

#[test]
fn a_large_project_shows_what_matters_in_plan_order() {
    let mut all: Vec<TaskView> = (0..50).map(|n| task(&format!("done{n}"), TaskState::Completed)).collect();
    all.insert(40, task("bad", TaskState::Failed));
    all.insert(45, task("now", TaskState::Working));
    let lines = tasks(&project(all), view(3, None));
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().any(|line| line.contains("bad")) && lines.iter().any(|line| line.contains("now")));
    assert_eq!(lines.last().map(String::as_str), Some("    … and 49 more"));
}

#[test]
fn text_from_outside_stays_on_its_line() {
    let mut evil = task("a", TaskState::Failed);
    evil.reason = "x\n\u{1b}[2Jy".to_owned();
    evil.title = "long ".repeat(30);
    let lines = tasks(&project(vec![evil]), view(9, None));
    assert_eq!(lines.len(), 1);
    assert!(lines.iter().all(|line| !line.contains('\u{1b}') && line.contains('…')));
}
