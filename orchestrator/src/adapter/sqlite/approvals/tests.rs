//! The list of requests as JSON is what the views are as JSON.

use bus_schemas::{
    id::{ApprovalId, ProjectId, TaskId},
    time::UnixMs,
    v1::{
        api::{ApprovalView, Risk, RouteView, VoteView},
        approval::{ApprovalSubject, Decision, Verdict},
        project::ProjectState,
        task::TaskState,
    },
};
use uuid::Uuid;

use crate::{
    adapter::sqlite::{Store, tests::reopen},
    port::journal::{ApprovalRow, Batch, Change, Journal as _, Progress, ProjectRow, TaskRow},
    port::waiting::Waiting,
};

/// Text that JSON must quote.
const ODD: &str = "a \"quoted\" \\ path\nwith \u{1}, ü and \u{2028}";

fn project_id() -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(1))
}

fn approval_id(number: u128) -> ApprovalId {
    ApprovalId::from_uuid(Uuid::from_u128(number))
}

fn task_id() -> TaskId {
    TaskId::from_uuid(Uuid::from_u128(9))
}

fn project() -> Change {
    Change::ProjectAdded(ProjectRow {
        project_id: project_id(),
        title: ODD.to_owned(),
        goal: String::new(),
        folder: "/f".to_owned(),
        owner: "ann".to_owned(),
        state: ProjectState::Working,
        created_at: UnixMs(1),
        base_commit: "0".repeat(40),
        key: None,
    })
}

fn task() -> Change {
    let progress = Progress {
        state: TaskState::Working,
        reason: String::new(),
        attempt: 1,
        stage: None,
        host_id: None,
        claimed_at: None,
        ended_at: None,
        max_attempts: 3,
        spend: Box::default(),
    };
    Change::TaskAdded(TaskRow {
        task_id: task_id(),
        project_id: project_id(),
        position: 0,
        key: "each[\"x\"]".to_owned(),
        title: "t".to_owned(),
        needs: Vec::new(),
        progress,
    })
}

/// A request of other people.
fn asked_of(number: u128, subject: ApprovalSubject, eligible: &[&str], excluded: &[&str]) -> Change {
    let Change::Asked(mut row) = asked(number, subject, None) else { unreachable!() };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    (row.route.eligible, row.route.excluded) = (names(eligible), names(excluded));
    Change::Asked(row)
}

fn asked(number: u128, subject: ApprovalSubject, expires_at: Option<UnixMs>) -> Change {
    let votes = vec![VoteView { by: "bob".to_owned(), channel: "cli".to_owned(), note: ODD.to_owned(), at: UnixMs(4) }];
    let needs = "two of leads".to_owned();
    Change::Asked(ApprovalRow {
        approval_id: approval_id(number),
        project_id: project_id(),
        subject,
        digest: "d".to_owned(),
        policy: "ask".to_owned(),
        // The later request has the smaller id: the order is that of the instants.
        asked_at: UnixMs(100 - i64::try_from(number).unwrap()),
        expires_at,
        about: None,
        route: Box::new(RouteView { needs, risk: Risk::High, votes, ..RouteView::default() }),
        prompts: true,
    })
}

async fn filled(store: &Store) {
    let decision = Decision {
        approval_id: approval_id(13),
        verdict: Verdict::Rejected,
        digest: "d".to_owned(),
        by: "ann".to_owned(),
        channel: "cli".to_owned(),
        rule: Some("big".to_owned()),
        note: ODD.to_owned(),
        decided_at: UnixMs(-5),
    };
    let changes = vec![
        project(),
        task(),
        asked(11, ApprovalSubject::Plan, None),
        asked(12, ApprovalSubject::Handoff { task_id: task_id(), attempt: 2 }, Some(UnixMs(7_000_000_000_000))),
        asked(13, ApprovalSubject::Apply, None),
        Change::Decided { approval_id: approval_id(13), decision: Some(decision) },
    ];
    store.commit(Batch { changes, ..Batch::default() }).await.unwrap();
}

#[tokio::test]
async fn the_list_as_json_is_the_views_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let store = reopen(dir.path()).await;
    assert_eq!(store.approvals_json(true).await.unwrap(), b"[]");
    filled(&store).await;
    for (all, count) in [(false, 2), (true, 3)] {
        let views = store.approvals(all).await.unwrap();
        assert_eq!(views.len(), count);
        let json = String::from_utf8(store.approvals_json(all).await.unwrap()).unwrap();
        assert_eq!(json, serde_json::to_string(&views).unwrap());
        assert_eq!(serde_json::from_str::<Vec<ApprovalView>>(&json).unwrap(), views);
    }
    let views = store.approvals(true).await.unwrap();
    assert_eq!(views.iter().map(|view| view.approval_id).collect::<Vec<_>>(), [13, 12, 11].map(approval_id));
    assert!(views[0].decision.is_some() && views[1].task_key.is_some() && views[2].task_key.is_none());
}

#[tokio::test]
async fn what_waits_for_somebody_is_what_the_views_say() {
    let dir = tempfile::tempdir().unwrap();
    let store = reopen(dir.path()).await;
    filled(&store).await;
    let question = || ApprovalSubject::Question { task_id: task_id(), attempt: 1 };
    let changes = vec![
        asked_of(21, question(), &["ann", "eve"], &[]),
        asked_of(22, question(), &["ann", "bob"], &[]),
        asked_of(23, ApprovalSubject::Plan, &["eve"], &["ann"]),
        asked_of(24, ApprovalSubject::Apply, &[], &["eve"]),
        asked_of(25, ApprovalSubject::Apply, &["a\"nn"], &[]),
    ];
    store.commit(Batch { changes, ..Batch::default() }).await.unwrap();
    let pending = store.approvals(false).await.unwrap();
    let nobody = ProjectId::from_uuid(Uuid::from_u128(2));
    let people = ["ann", "bob", "eve", "zoe", "a\"nn", "%"].map(|person| Waiting::For(person.to_owned()));
    let mut counts = Vec::new();
    for which in people.into_iter().chain([Waiting::Questions(project_id()), Waiting::Questions(nobody)]) {
        for limit in [0, 1, 100] {
            let found = store.waiting(which.clone(), limit).await.unwrap();
            assert_eq!(found, which.of(pending.clone(), limit), "{which:?}");
        }
        counts.push(store.waiting(which, 0).await.unwrap().count);
    }
    // All five have bob's vote; nobody else is left out of those that name nobody.
    assert_eq!(counts, [5, 0, 4, 3, 4, 3, 2, 0]);
}

#[tokio::test]
async fn a_request_that_was_changed_by_hand_is_left_out_and_the_others_stay() {
    for change in [
        "route = '{\"needs\":'",
        "route = 'null'",
        "route = 7",
        "route = x'00ff'",
        "subject = '{}}'",
        "subject = '{}'",
        "subject = '{\"kind\":\"nothing\"}'",
        "route = '{\"needs\":7}'",
        "route = '{\"votes\":[{}]}'",
        "decision = '{}'",
        "decision = '{\"by\"'",
        "asked_at = 'now'",
        "digest = x'00'",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = reopen(dir.path()).await;
        filled(&store).await;
        let connection = rusqlite::Connection::open(dir.path().join("baton.db")).unwrap();
        let sql = format!("UPDATE approval SET {change} WHERE approval_id = ?1");
        assert_eq!(connection.execute(&sql, [approval_id(12).to_string()]).unwrap(), 1);
        let json = store.approvals_json(true).await.unwrap();
        let read: Vec<ApprovalView> = serde_json::from_slice(&json).unwrap();
        let mut left: Vec<ApprovalId> = read.iter().map(|view| view.approval_id).collect();
        left.sort();
        assert_eq!(left, [11, 13].map(approval_id), "{change}");
        assert_eq!(store.approvals(true).await.unwrap().len(), 2, "{change}");
        // The one before it in the list takes no place and is not counted.
        let zoe = store.waiting(Waiting::For("zoe".to_owned()), 1).await.unwrap();
        let shown: Vec<ApprovalId> = zoe.requests.iter().map(|view| view.approval_id).collect();
        assert_eq!((shown, zoe.count, zoe.all), (vec![approval_id(11)], 1, 1), "{change}");
    }
}
