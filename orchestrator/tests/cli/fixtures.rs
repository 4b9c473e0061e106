//! What the fake orchestrator knows at first.

use std::collections::BTreeMap;

use bus_schemas::{
    id::{AttemptRef, LeaseId},
    time::UnixMs,
    v1::{
        agent::Resource,
        api::{
            ApprovalView, AuditEntry, Finding, LimitView, ProjectView, RememberScope, RememberedView, Risk, Severity,
            SpendView, TaskView,
        },
        approval::ApprovalSubject,
        handoff::{ChangeKind, ChangedPath, CheckEvidence, Handoff, Isolation, Usage},
        project::ProjectState,
        task::{LogChunk, LogSource, TaskState},
    },
};
use uuid::Uuid;

use super::fake::{DIGEST, approval_id, project_id, task_id};

/// The one project.
pub fn project() -> ProjectView {
    let task = TaskView {
        task_id: task_id(),
        key: "scan".to_owned(),
        title: "Look at everything".to_owned(),
        needs: Vec::new(),
        state: TaskState::Working,
        reason: String::new(),
        attempt: 1,
        max_attempts: 2,
        stage: None,
        host_id: None,
        claimed_at: Some(UnixMs(0)),
        ended_at: None,
        failure: None,
        handoff: None,
        spend: SpendView { calls: 3, tokens: 41_000, usd_nanos: 12_300_000, ..SpendView::default() },
    };
    ProjectView {
        project_id: project_id(),
        title: "Audit".to_owned(),
        goal: String::new(),
        folder: "/f".to_owned(),
        owner: "ada".to_owned(),
        state: ProjectState::Working,
        created_at: UnixMs(0),
        changed_at: UnixMs(0),
        counts: BTreeMap::from([("working".to_owned(), 1)]),
        usage: Usage::default(),
        spend: SpendView {
            calls: 3,
            tokens: 41_000,
            usd_nanos: 12_300_000,
            limits: vec![LimitView { resource: Resource::Usd, used: 12_300_000, limit: 2_000_000_000, warned: 0 }],
            ..SpendView::default()
        },
        base_commit: "a".repeat(40),
        result_commit: Some("b".repeat(40)),
        applied_at: None,
        pending_approvals: vec![approval_id()],
        tasks: vec![task],
    }
}

/// The one request.
pub fn approval() -> ApprovalView {
    let evidence = CheckEvidence {
        name: "report is there".to_owned(),
        run: "test -s report.md".to_owned(),
        passed: true,
        exit_code: Some(0),
        timed_out: false,
        wall_ms: 1200,
        output_tail: String::new(),
        lease_id: LeaseId::from_uuid(Uuid::from_u128(9)),
    };
    let handoff = Handoff {
        summary: "wrote \u{1b}[2Jthe report".to_owned(),
        commit: "b".repeat(40),
        base_commit: "a".repeat(40),
        changed_paths: vec![changed("report.md")],
        lines_added: 0,
        lines_removed: 0,
        artifacts: Vec::new(),
        result: None,
        open_questions: vec!["keep the old one?".to_owned()],
        report: None,
        egress: Vec::new(),
        evidence: vec![evidence],
        usage: Usage::default(),
        isolation: Isolation::Emulated,
    };
    ApprovalView {
        capability: None,
        apply: None,
        route: bus_schemas::v1::api::RouteView::default(),
        approval_id: approval_id(),
        project_id: project_id(),
        project_title: "Audit".to_owned(),
        subject: ApprovalSubject::Handoff { task_id: task_id(), attempt: 1 },
        task_key: Some("scan".to_owned()),
        digest: DIGEST.to_owned(),
        policy: "ask".to_owned(),
        asked_at: UnixMs(0),
        expires_at: None,
        decision: None,
        plan: None,
        scripts: BTreeMap::new(),
        handoff: Some(handoff),
        skills: BTreeMap::new(),
        skill_reviews: Vec::new(),
        estimate: None,
        question: None,
        over_budget: None,
        patch: None,
        skill: None,
    }
}

/// The one remembered decision.
pub fn remembered() -> RememberedView {
    RememberedView {
        approval_id: approval_id(),
        project_id: project_id(),
        by: "ann".to_owned(),
        kind: "handoff".to_owned(),
        policy: "careful".to_owned(),
        subject: "scan".to_owned(),
        folder: "/f".to_owned(),
        scope: RememberScope::Folder,
        risk: Risk::Low,
        since: UnixMs(0),
        until: UnixMs(i64::MAX),
        used: 4,
        revoked_by: None,
    }
}

/// The audit log: three entries.
pub fn audited() -> Vec<AuditEntry> {
    let entry = |number: u64, kind: &str, actor: &str| AuditEntry {
        number,
        sequence: number + 10,
        at: UnixMs(1_700_000_000_000),
        kind: kind.to_owned(),
        project_id: project_id(),
        approval_id: approval_id(),
        subject: "handoff".to_owned(),
        digest: DIGEST.to_owned(),
        actor: actor.to_owned(),
        channel: "cli".to_owned(),
        detail: bus_schemas::json::Json::Null,
        event_sha256: "e".repeat(64),
        previous: format!("{:064}", number - 1),
        hash: format!("{number:064}"),
    };
    vec![
        entry(1, "request.asked", "policy:careful"),
        entry(2, "request.viewed", "ann"),
        entry(3, "decision.made", "ann\u{1b}[2J"),
    ]
}

/// A piece of output of the one task.
pub fn chunk(sequence: u64, source: LogSource, text: &str) -> LogChunk {
    LogChunk {
        attempt: AttemptRef { project_id: project_id(), task_id: task_id(), number: 1 },
        source,
        sequence,
        received_at: UnixMs(0),
        text: text.to_owned(),
    }
}

/// A changed path.
pub fn changed(path: &str) -> ChangedPath {
    ChangedPath { path: path.to_owned(), kind: ChangeKind::Added, bytes: 2048 }
}

/// A mistake in a plan's file.
pub fn finding(file: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        code: "cycle".to_owned(),
        file: file.to_owned(),
        line: 3,
        column: 5,
        message: "a needs b needs a".to_owned(),
        hint: Some("take one of them out".to_owned()),
    }
}
