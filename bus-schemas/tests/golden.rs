//! Every message has a golden file, frozen once released: it must decode for ever, and what it decodes to must encode
//! to the same JSON. A new message gets its file by `BATON_BLESS=1 cargo test -p bus-schemas`; an existing one is
//! never rewritten.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use bus_schemas::{
    envelope::{Envelope, Message},
    id::{ApprovalId, AttemptRef, ClaimNonce, HostId, LeaseId, MessageId, ProjectId, TaskId},
    json::Json,
    time::UnixMs,
    v1::{
        approval::{ApprovalAsked, ApprovalSubject, Decision, Verdict},
        guest::{
            Assignment, AttemptAssignment, CheckResult, DataHeader, Finished, FromGuest, RefusalCode, Rejuvenate,
            ToGuest,
        },
        handoff::{Artifact, ChangeKind, ChangedPath, CheckEvidence, Handoff, Isolation, Usage},
        host::{Beat, HeldAttempt},
        project::{ProjectChanged, ProjectState, TaskChanged},
        task::{
            AttemptFailed, CancelAttempt, CheckSpec, Claimed, FailureReason, HandoffReady, Interpreter, Limits,
            LogChunk, LogSource, Machine, NeedHandoff, Note, Offer, Program, Progress, Stage, TaskState,
        },
    },
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

#[path = "golden/agents.rs"]
mod agents;
#[path = "golden/secrets.rs"]
mod secrets;

/// Golden files of agents' messages: offers, pauses, a tell, calls, answers, objects; and those of the guest channel.
const AGENTS: usize = (2 + 5 + 1 + 5 + 9 + 2) + 12;
/// Golden files of messages that name secrets.
const SECRETS: usize = 4;

const AT: UnixMs = UnixMs(1_795_000_000_000);

fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0193_abcd_4f21_7000_8000_0000_0000_0000 + n)
}

fn attempt() -> AttemptRef {
    AttemptRef { project_id: ProjectId::from_uuid(id(1)), task_id: TaskId::from_uuid(id(2)), number: 2 }
}

fn nonce() -> ClaimNonce {
    ClaimNonce::from_uuid(id(3))
}

fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}

fn usage() -> Usage {
    Usage {
        vm_ms: 9_000,
        program_wall_ms: 5_200,
        program_cpu_ms: 4_100,
        program_peak_kib: 40_960,
        output_bytes: 812,
        ..Usage::default()
    }
}

fn check() -> CheckSpec {
    CheckSpec { name: "the report is there".into(), run: "test -s report.md".into(), timeout_ms: 300_000 }
}

fn evidence() -> CheckEvidence {
    CheckEvidence {
        name: check().name,
        run: check().run,
        passed: true,
        exit_code: Some(0),
        timed_out: false,
        wall_ms: 120,
        output_tail: String::new(),
        lease_id: LeaseId::from_uuid(id(4)),
    }
}

fn result() -> Json {
    Json::Map(BTreeMap::from([
        ("files".into(), Json::List(vec![Json::Text("a.csv".into()), Json::Text("b.csv".into())])),
        ("rows".into(), Json::Int(-7)),
        ("share".into(), Json::Float(0.25)),
        ("whole".into(), Json::Bool(true)),
        ("left".into(), Json::Null),
    ]))
}

fn handoff() -> Handoff {
    Handoff {
        summary: "Counted 412 files.".into(),
        commit: commit('b'),
        base_commit: commit('a'),
        changed_paths: vec![ChangedPath { path: "report.md".into(), kind: ChangeKind::Added, bytes: 2_048 }],
        lines_added: 0,
        lines_removed: 0,
        artifacts: vec![Artifact { path: "report.md".into(), sha256: "0".repeat(64), bytes: 2_048 }],
        result: Some(result()),
        open_questions: vec!["Is vendor/ ours?".into()],
        report: None,
        egress: Vec::new(),
        evidence: vec![evidence()],
        usage: usage(),
        isolation: Isolation::Emulated,
    }
}

fn need() -> NeedHandoff {
    NeedHandoff {
        state: TaskState::Completed,
        summary: "Found two files.".into(),
        result: Some(result()),
        changed_paths: vec!["scan.json".into()],
        results: vec![Json::Int(1)],
        report: None,
    }
}

fn note() -> Note {
    Note { from: "ada".into(), text: "Leave vendor/ out, please.".into(), id: String::new() }
}

fn program() -> Program {
    Program::Script { interpreter: Interpreter::Python, text: "print('hello')\n".into() }
}

fn env() -> BTreeMap<String, String> {
    BTreeMap::from([("LANG".into(), "C.UTF-8".into())])
}

fn offer() -> Offer {
    Offer {
        attempt: attempt(),
        task_key: "inventory".into(),
        title: "Take stock".into(),
        goal: "Know this folder".into(),
        program: program(),
        env: env(),
        item: Some(Json::Text("a.csv".into())),
        base_commit: commit('a'),
        inputs: vec!["src/**".into()],
        outputs: vec!["report.md".into()],
        checks: vec![check()],
        needs: BTreeMap::from([("scan".into(), need())]),
        network: Vec::new(),
        secrets: Vec::new(),
        secret_terms: BTreeMap::new(),
        notes: vec![note()],
        machine: Machine { cpus: 1, memory_mib: 512, disk_mib: 2_048, image: "base".into() },
        limits: Limits { start_to_close_ms: 1_800_000, output_bytes: 8_388_608, changes_bytes: 536_870_912 },
    }
}

/// The golden file's path; with `BATON_BLESS` it is made from `sample` where it does not exist yet.
fn golden<T: Serialize>(name: &str, sample: &T) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(format!("{name}.json"));
    if std::env::var_os("BATON_BLESS").is_some() && !path.exists() {
        fs::write(&path, serde_json::to_string_pretty(sample).unwrap() + "\n").unwrap();
    }
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}; BATON_BLESS=1 makes it", path.display()))
}

fn holds<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, sample: &T) {
    let text = golden(name, sample);
    let decoded: T = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name} no longer decodes: {e}"));
    assert_eq!(&decoded, sample, "{name}: what the frozen file means has changed");
    let frozen: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(&decoded).unwrap(), frozen, "{name}: encoded otherwise than it was frozen");
}

fn message<T: Message + Clone + PartialEq + std::fmt::Debug>(body: T) {
    let envelope = Envelope::new(MessageId::from_uuid(id(9)), AT, body).correlated(attempt().project_id);
    holds(T::KIND, &envelope);
}

#[test]
fn messages_on_the_bus() {
    message(offer());
    message(Claimed { attempt: attempt(), host_id: HostId::from_uuid(id(5)), nonce: nonce() });
    message(Progress { attempt: attempt(), nonce: nonce(), stage: Stage::Checking, entered_at: AT });
    message(HandoffReady { attempt: attempt(), nonce: nonce(), handoff: handoff() });
    message(AttemptFailed {
        attempt: attempt(),
        nonce: nonce(),
        reason: FailureReason::CheckFailed,
        detail: "check \"the report is there\" exited 1".into(),
        output_tail: "no such file\n".into(),
        evidence: vec![CheckEvidence { passed: false, exit_code: Some(1), ..evidence() }],
        usage: usage(),
    });
    message(CancelAttempt { attempt: attempt(), reason: "superseded".into() });
    message(LogChunk {
        attempt: attempt(),
        source: LogSource::Stdout,
        sequence: 7,
        received_at: AT,
        text: "line\n".into(),
    });
    message(Beat {
        host_id: HostId::from_uuid(id(5)),
        name: "workshop".into(),
        pool: "default".into(),
        slots: 2,
        attempts: vec![HeldAttempt { attempt: attempt(), nonce: nonce() }],
        spares: 1,
        accelerator: "tcg".into(),
        accelerator_note: "kvm: no hello within 10 s".into(),
        isolation: Isolation::Emulated,
        problems: vec![],
    });
    message(ApprovalAsked {
        approval_id: ApprovalId::from_uuid(id(6)),
        project_id: attempt().project_id,
        subject: ApprovalSubject::Handoff { task_id: attempt().task_id, attempt: 2 },
        digest: "1".repeat(64),
        asked_at: AT,
        expires_at: Some(AT.plus_ms(3_600_000)),
    });
    message(Decision {
        rule: None,
        approval_id: ApprovalId::from_uuid(id(6)),
        verdict: Verdict::ChangesRequested,
        digest: "1".repeat(64),
        by: "ada".into(),
        channel: "cli".into(),
        note: note().text,
        decided_at: AT,
    });
    message(ProjectChanged {
        project_id: attempt().project_id,
        title: "Audit".into(),
        state: ProjectState::Working,
        changed_at: AT,
    });
    message(TaskChanged {
        project_id: attempt().project_id,
        task_id: attempt().task_id,
        task_key: "inventory".into(),
        state: TaskState::Failed,
        attempt: 2,
        reason: "check failed".into(),
        changed_at: AT,
    });
}

#[test]
fn messages_to_the_guest() {
    holds("guest.hello", &ToGuest::Hello { nonce: "n1".into(), version: 1 });
    holds(
        "guest.rejuvenate",
        &ToGuest::Rejuvenate(Rejuvenate {
            entropy: "AA==".into(),
            wall_ns: 1_795_000_000_000_000_000,
            hostname: "inventory".into(),
            machine_id: "0".repeat(32),
            lease_token: "t1".into(),
        }),
    );
    holds(
        "guest.assign-attempt",
        &ToGuest::Assign(Assignment::Attempt(AttemptAssignment {
            task_key: "inventory".into(),
            title: "Take stock".into(),
            goal: "Know this folder".into(),
            attempt: 2,
            program: program(),
            env: env(),
            item: Some(Json::Int(3)),
            needs: BTreeMap::from([("scan".into(), need())]),
            notes: vec![note()],
            models: Vec::new(),
            checks: Vec::new(),
            network: Vec::new(),
            secrets: Vec::new(),
            wall_ms: 1_800_000,
            output_bytes: 8_388_608,
            max_processes: 512,
        })),
    );
    holds(
        "guest.assign-checks",
        &ToGuest::Assign(Assignment::Checks { checks: vec![check()], env: env(), output_bytes: 65_536 }),
    );
    holds("guest.stop", &ToGuest::Stop { reason: "canceled".into() });
    holds("guest.ping", &ToGuest::Ping { sequence: 5 });
}

#[test]
fn messages_from_the_guest() {
    holds(
        "guest.hello-answer",
        &FromGuest::Hello { nonce: "n1".into(), version: 1, worker: "0.1.0".into(), frozen: true },
    );
    holds("guest.rejuvenated", &FromGuest::Rejuvenated { lease_token: "t1".into(), wall_ns: 1 });
    holds("guest.workspace-ready", &FromGuest::WorkspaceReady { entries: 12, bytes: 4_096 });
    holds(
        "guest.finished",
        &FromGuest::Finished(Finished {
            exit_code: Some(0),
            summary: "done".into(),
            result_text: Some("{}".into()),
            open_questions: vec!["why?".into()],
            report: None,
            used_tools: false,
            wall_ms: 10,
            cpu_ms: 9,
            peak_kib: 8,
            output_bytes: 7,
            ..Finished::default()
        }),
    );
    holds(
        "guest.checks-finished",
        &FromGuest::ChecksFinished {
            results: vec![CheckResult {
                exit_code: None, timed_out: true, wall_ms: 300_000, output_tail: "…".into()
            }],
        },
    );
    holds("guest.pong", &FromGuest::Pong { sequence: 5 });
    holds("guest.refused", &FromGuest::Refused { code: RefusalCode::Frozen, detail: "rejuvenate first".into() });
    holds("guest.data-workspace", &DataHeader::Workspace);
    holds("guest.data-changes", &DataHeader::Changes { limit_bytes: 1 });
    holds("guest.data-output", &DataHeader::Output { source: LogSource::Stderr });
}

#[test]
fn no_golden_file_is_left_without_a_message() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 12 + 6 + 10 + AGENTS + SECRETS);
}

#[test]
fn unknown_fields_are_ignored_and_unknown_kinds_are_not() {
    let mut frozen: serde_json::Value = serde_json::from_str(&golden("attempt.cancel", &())).unwrap();
    frozen["body"]["later"] = serde_json::json!("a field of version 1.1");
    frozen["later"] = serde_json::json!(1);
    assert!(serde_json::from_value::<Envelope<CancelAttempt>>(frozen).is_ok());
    assert!(serde_json::from_str::<ToGuest>(r#"{"kind":"explode"}"#).is_err());
}
