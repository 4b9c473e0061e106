//! Views to draw: a project and one request of every kind.

use std::collections::BTreeMap;

use bus_schemas::{
    id::{ApprovalId, LeaseId, ProjectId, TaskId},
    time::UnixMs,
    v1::{
        agent::{Choice, EgressRecord, Report, Resource, Spend, Tokens},
        api::{
            ApplyOffer, ApprovalView, AskedView, Capability, CapabilityView, DelegationView, EstimateView, LimitView,
            OverBudgetView, ProjectView, QuestionView, Risk, RouteView, SkillProposal, SpendView, TaskView, VoteView,
        },
        approval::{ApprovalSubject, Decision, Verdict},
        call::PlanPatch,
        handoff::{ChangeKind, ChangedPath, CheckEvidence, Handoff, Isolation, Usage},
        plan::Plan,
        project::ProjectState,
        skill::{SkillReview, SkillStatus},
        task::TaskState,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

mod effects;
mod secrets;
pub(crate) use effects::{effect, unknown};
pub(crate) use secrets::secret;

/// 2026-11-22 21:05 UTC.
pub(crate) const NOW: UnixMs = UnixMs(1_795_381_500_000);

pub(crate) fn approval_id(number: u128) -> ApprovalId {
    ApprovalId::from_uuid(Uuid::from_u128((0x0193_abcd_0000_7000_8000 << 48) | number))
}

pub(crate) fn project_id() -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(0x0193_abcd_0001_7000_8000 << 48))
}

fn task_id() -> TaskId {
    TaskId::from_uuid(Uuid::from_u128(0x0193_abcd_0002_7000_8000 << 48))
}

pub(crate) fn task(key: &str, title: &str, needs: &[&str], state: TaskState) -> TaskView {
    TaskView {
        task_id: task_id(),
        key: key.to_owned(),
        title: title.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        state,
        reason: String::new(),
        attempt: 1,
        max_attempts: 3,
        stage: None,
        host_id: None,
        claimed_at: Some(UnixMs(NOW.0 - 240_000)),
        ended_at: state.is_final().then_some(UnixMs(NOW.0 - 60_000)),
        failure: None,
        handoff: None,
        spend: SpendView::default(),
    }
}

pub(crate) fn project() -> ProjectView {
    let mut report = task("report", "Write the report", &["scan"], TaskState::InputRequired);
    report.attempt = 2;
    ProjectView {
        project_id: project_id(),
        title: "Audit of <repo> & friends".to_owned(),
        goal: "Find out what is odd".to_owned(),
        folder: "/srv/repo".to_owned(),
        owner: "carl".to_owned(),
        state: ProjectState::Working,
        created_at: UnixMs(NOW.0 - 600_000),
        changed_at: NOW,
        counts: BTreeMap::from([
            ("completed".to_owned(), 1),
            ("input_required".to_owned(), 1),
            ("working".to_owned(), 1),
            ("blocked".to_owned(), 2),
        ]),
        usage: Usage::default(),
        spend: SpendView {
            calls: 12,
            tokens: 41_000,
            usd_nanos: 312_300_000,
            vm_ms: 185_000,
            limits: vec![LimitView { resource: Resource::Usd, used: 312_300_000, limit: 2_000_000_000, warned: 0 }],
            ..SpendView::default()
        },
        base_commit: "a".repeat(40),
        result_commit: None,
        applied_at: None,
        pending_approvals: vec![approval_id(1)],
        tasks: vec![
            task("scan", "Look through the files", &[], TaskState::Completed),
            report,
            task("licences", "licences", &[], TaskState::Working),
            task("publish", "Publish it", &["report"], TaskState::Blocked),
            task("archive", "Keep a copy", &["report", "licences"], TaskState::Blocked),
        ],
    }
}

pub(crate) fn request(subject: ApprovalSubject) -> ApprovalView {
    ApprovalView {
        approval_id: approval_id(1),
        project_id: project_id(),
        project_title: "Audit of <repo> & friends".to_owned(),
        subject,
        task_key: (!matches!(subject, ApprovalSubject::Plan | ApprovalSubject::Apply)).then(|| "report".to_owned()),
        digest: "0123456789abcdef".repeat(4),
        policy: "leads".to_owned(),
        asked_at: UnixMs(NOW.0 - 60_000),
        expires_at: Some(UnixMs(NOW.0 + 7_200_000)),
        decision: None,
        plan: None,
        scripts: BTreeMap::new(),
        handoff: None,
        skills: BTreeMap::new(),
        skill_reviews: Vec::new(),
        estimate: None,
        question: None,
        over_budget: None,
        patch: None,
        skill: None,
        capability: None,
        apply: None,
        route: RouteView {
            rule: "touches-ci".to_owned(),
            needs: "two of leads (ann, bob, eve)".to_owned(),
            eligible: vec!["ann".to_owned(), "bob".to_owned()],
            excluded: vec!["carl".to_owned()],
            risk: Risk::Medium,
            risk_reasons: vec!["450 lines changed".to_owned()],
            at_deadline: "reject".to_owned(),
            ..RouteView::default()
        },
    }
}

fn attempt() -> (TaskId, u32) {
    (task_id(), 2)
}

pub(crate) fn check(name: &str, passed: bool) -> CheckEvidence {
    CheckEvidence {
        name: name.to_owned(),
        run: "cargo test".to_owned(),
        passed,
        exit_code: Some(i32::from(!passed)),
        timed_out: false,
        wall_ms: 12_300,
        output_tail: "\u{1b}[31merror\u{1b}[0m: expected 3, got 4\n  at src/lib.rs:12\n".to_owned(),
        lease_id: LeaseId::from_uuid(Uuid::from_u128(7)),
    }
}

pub(crate) fn path(path: &str, kind: ChangeKind, bytes: u64) -> ChangedPath {
    ChangedPath { path: path.to_owned(), kind, bytes }
}

pub(crate) fn handoff() -> ApprovalView {
    let (task_id, attempt) = attempt();
    let mut view = request(ApprovalSubject::Handoff { task_id, attempt });
    view.handoff = Some(Handoff {
        summary: "Wrote `report.md` from the scan.\n- 3 findings\nSee https://example.com <!channel>".to_owned(),
        commit: "b".repeat(40),
        base_commit: "a".repeat(40),
        changed_paths: vec![
            path("report.md", ChangeKind::Added, 4_096),
            path(".github/workflows/ci.yml", ChangeKind::Modified, 812),
            path("old.txt", ChangeKind::Deleted, 0),
        ],
        lines_added: 420,
        lines_removed: 30,
        artifacts: Vec::new(),
        result: None,
        open_questions: vec!["Is the licence of vendor/ known?".to_owned()],
        report: Some(Report {
            decisions: vec![Choice { what: "kept the old format".to_owned(), why: "others read it".to_owned() }],
            must_know: vec!["the scan skips binaries".to_owned()],
            ..Report::default()
        }),
        egress: vec![
            EgressRecord {
                target: "crates.io:443".to_owned(),
                rule: "crates.io".to_owned(),
                allowed: true,
                at: NOW,
                sent_bytes: 10,
                received_bytes: 10,
            },
            EgressRecord {
                target: "evil.example:443".to_owned(),
                rule: "default deny".to_owned(),
                allowed: false,
                at: NOW,
                sent_bytes: 0,
                received_bytes: 0,
            },
        ],
        evidence: vec![check("it builds", true), check("tests pass", false)],
        usage: Usage {
            vm_ms: 65_000,
            spend: Spend {
                calls: 7,
                tokens: Tokens { input: 20_000, output: 3_000, ..Tokens::default() },
                usd_nanos: 120_000_000,
                price_assumed: false,
            },
            ..Usage::default()
        },
        isolation: Isolation::Hardware,
    });
    view.route.risk = Risk::High;
    view.route.risk_reasons = vec!["a check failed".to_owned(), "changes .github/workflows/ci.yml".to_owned()];
    view.route.votes = vec![VoteView {
        by: "ann".to_owned(),
        channel: "slack".to_owned(),
        note: "looks right".to_owned(),
        at: UnixMs(NOW.0 - 30_000),
    }];
    view.route.delegations = vec![DelegationView { from: "eve".to_owned(), to: "dan".to_owned(), at: NOW }];
    view.route.questions = vec![
        AskedView {
            by: "bob".to_owned(),
            channel: "slack".to_owned(),
            question: "Why is ci.yml touched?".to_owned(),
            at: NOW,
            answer: Some("Because it *must* run the scan.\n@here".to_owned()),
        },
        AskedView {
            by: "ann".to_owned(),
            channel: "cli".to_owned(),
            question: "And the test?".to_owned(),
            at: NOW,
            answer: None,
        },
    ];
    view
}

pub(crate) fn proven() -> ApprovalView {
    let mut view = handoff();
    if let Some(handoff) = &mut view.handoff {
        handoff.evidence = vec![check("it builds", true)];
        handoff.egress.clear();
        handoff.report = None;
        handoff.open_questions.clear();
    }
    view.route = RouteView {
        needs: "anybody".to_owned(),
        can_remember: true,
        batch: "p:handoff:leads:r:report".to_owned(),
        ..RouteView::default()
    };
    view
}

pub(crate) fn the_plan() -> Plan {
    serde_json::from_value(json!({
        "version": 1,
        "title": "Audit",
        "goal": "Find out what is odd",
        "tasks": [
            {"id": "scan", "title": "Look through the files", "run": "ls", "checks": ["test -s x"]},
            {"id": "licences", "run": "ls", "foreach": {"list": ["a", "b"]}},
            {"id": "report", "title": "Write the report", "needs": ["scan"], "approval": "leads",
             "network": ["crates.io"], "agent": {"instructions": "write"}},
            {"id": "archive", "needs": ["report", "licences"], "run": "tar"},
        ],
    }))
    .expect("a sound plan")
}

pub(crate) fn plan() -> ApprovalView {
    let mut view = request(ApprovalSubject::Plan);
    view.plan = Some(the_plan());
    view.scripts = BTreeMap::from([("scripts/scan.sh".to_owned(), "c".repeat(64))]);
    view.skills = BTreeMap::from([("review".to_owned(), "d".repeat(64)), ("writing".to_owned(), "e".repeat(64))]);
    view.skill_reviews = vec![SkillReview {
        name: "writing".to_owned(),
        description: "How to write".to_owned(),
        source: "project".to_owned(),
        sha256: "e".repeat(64),
        bytes: 4_096,
        status: SkillStatus::Changed,
        changed: vec!["SKILL.md".to_owned()],
        new_scripts: vec!["run.sh".to_owned()],
        findings: Vec::new(),
        admitted: None,
    }];
    view.estimate = Some(EstimateView {
        agent_tasks: 1,
        tokens_low: 20_000,
        tokens_high: 400_000,
        usd_nanos_low: 100_000_000,
        usd_nanos_high: 2_000_000_000,
        priced: true,
        wall_ms_low: 60_000,
        wall_ms_high: 600_000,
    });
    view
}

pub(crate) fn question() -> ApprovalView {
    let (task_id, attempt) = attempt();
    let mut view = request(ApprovalSubject::Question { task_id, attempt });
    let options = vec!["Markdown".to_owned(), "HTML & CSS".to_owned()];
    view.question = Some(QuestionView { question: "Which format?".to_owned(), options, stuck: false, by_baton: false });
    view
}

pub(crate) fn budget() -> ApprovalView {
    let (task_id, attempt) = attempt();
    let mut view = request(ApprovalSubject::Budget { task_id, attempt });
    view.over_budget = Some(OverBudgetView {
        task_key: String::new(),
        resource: Resource::Usd,
        used: 2_000_000_000,
        limit: 2_000_000_000,
    });
    view
}

pub(crate) fn capability() -> ApprovalView {
    let (task_id, attempt) = attempt();
    let mut view = request(ApprovalSubject::Capability { task_id, attempt });
    view.capability = Some(CapabilityView {
        capability: Capability::Host { host: "pypi.org:443".to_owned() },
        reason: "The tests need `requests`.".to_owned(),
        effect: None,
        secret: None,
    });
    view.route.can_remember = true;
    view.route.risk = Risk::Low;
    view
}

pub(crate) fn patch() -> ApprovalView {
    let (task_id, attempt) = attempt();
    let mut view = request(ApprovalSubject::Patch { task_id, attempt });
    let plan = the_plan();
    view.patch = Some(PlanPatch {
        reason: "The scan found a second repository.".to_owned(),
        add: plan.tasks.iter().filter(|task| task.id == "licences").cloned().collect(),
        drop: vec!["publish".to_owned()],
        needs: BTreeMap::from([("archive".to_owned(), vec!["report".to_owned(), "licences".to_owned()])]),
    });
    view.plan = Some(plan);
    view
}

pub(crate) fn skill() -> ApprovalView {
    let (task_id, attempt) = attempt();
    let mut view = request(ApprovalSubject::Skill { task_id, attempt });
    let text = "---\nname: audit\ndescription: How to audit\n---\n# Audit\n```sh\nls\n```\n";
    view.skill = Some(SkillProposal {
        name: "audit".to_owned(),
        files: BTreeMap::from([("SKILL.md".to_owned(), text.to_owned()), ("run.sh".to_owned(), "ls\n".to_owned())]),
        findings: Vec::new(),
    });
    view
}

pub(crate) fn apply() -> ApprovalView {
    let mut view = request(ApprovalSubject::Apply);
    view.apply = Some(ApplyOffer {
        folder: "/srv/repo".to_owned(),
        base_commit: "a".repeat(40),
        result_commit: "b".repeat(40),
        changed_paths: vec![path("report.md", ChangeKind::Added, 4_096)],
        lines_added: 420,
        lines_removed: 0,
    });
    view
}

/// One of every kind, with a name.
pub(crate) fn every() -> Vec<(&'static str, ApprovalView)> {
    vec![
        ("handoff", handoff()),
        ("proven", proven()),
        ("plan", plan()),
        ("question", question()),
        ("budget", budget()),
        ("unknown", unknown()),
        ("capability", capability()),
        ("effect", effect()),
        ("secret", secret()),
        ("patch", patch()),
        ("skill", skill()),
        ("apply", apply()),
    ]
}

pub(crate) fn decided(mut view: ApprovalView, verdict: Verdict, by: &str, channel: &str) -> ApprovalView {
    view.decision = Some(Decision {
        approval_id: view.approval_id,
        verdict,
        digest: view.digest.clone(),
        by: by.to_owned(),
        channel: channel.to_owned(),
        rule: Some("touches-ci".to_owned()),
        note: "use the other format\n<!here>".to_owned(),
        decided_at: NOW,
    });
    view
}

/// Replaces every free text of a view, whatever its field: what is an id, a digest, a word of the wire stays.
fn say_everywhere(value: &mut Value, words: &str) {
    const FREE: [&str; 33] = [
        "project_title",
        "task_key",
        "policy",
        "summary",
        "what",
        "why",
        "name",
        "output_tail",
        "target",
        "rule",
        "needs",
        "question",
        "answer",
        "by",
        "from",
        "to",
        "note",
        "reason",
        "title",
        "goal",
        "folder",
        "owner",
        "problem",
        "channel",
        "key",
        "detail",
        "path",
        "host",
        "instructions",
        "description",
        "message",
        "file",
        "batch",
    ];
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let lists = [
                    "open_questions",
                    "must_know",
                    "options",
                    "risk_reasons",
                    "eligible",
                    "excluded",
                    "shadow",
                    "needs",
                ];
                match field {
                    Value::String(text) if FREE.contains(&name.as_str()) => *text = words.to_owned(),
                    Value::Array(items) if lists.contains(&name.as_str()) && items.iter().all(Value::is_string) => {
                        *items = vec![json!(words); items.len().max(1)];
                    }
                    field => say_everywhere(field, words),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| say_everywhere(item, words)),
        _ => {}
    }
}

/// The same view, saying nothing but these words.
pub(crate) fn saying<T: Serialize + DeserializeOwned>(view: &T, words: &str) -> T {
    let mut json = serde_json::to_value(view).unwrap();
    say_everywhere(&mut json, words);
    serde_json::from_value(json).unwrap()
}
