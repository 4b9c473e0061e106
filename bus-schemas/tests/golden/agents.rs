//! The messages of agents' work.

use bus_schemas::v1::{
    agent::{
        AgentWork, AttemptPaused, Checkpoint, Choice, EgressRecord, ModelBrief, Part, Pause, Report, Resource, Role,
        SkillRef, Spend, Structured, TellAttempt, Tokens, Wire,
    },
    api::{Finding, Severity},
    call::{Answer, Call, GuestAnswer, GuestCall, HostAnswer, HostCall, PlanPatch},
    effect::{EffectBrief, ParameterBrief},
    guest::{Service, StreamAnswer},
    ledger::Capability,
};

use super::*;

fn report() -> Report {
    Report {
        goal: "make the suite pass".into(),
        done: "mended the parser".into(),
        decisions: vec![Choice { what: "kept the old format".into(), why: "others read it".into() }],
        artifacts: vec!["src/parse.py".into()],
        open_questions: vec!["drop Python 3.8?".into()],
        must_know: vec!["tests need LANG=C".into()],
        result: Some(result()),
    }
}

fn spend() -> Spend {
    let tokens = Tokens { input: 900, output: 80, cache_write_5m: 10, cache_write_1h: 5, cache_read: 400 };
    Spend { calls: 3, tokens, usd_nanos: 4_215_000, price_assumed: true }
}

pub(super) fn work() -> AgentWork {
    AgentWork {
        harness: "builtin".into(),
        role: Role::Worker,
        instructions: "Make the suite pass.".into(),
        models: vec!["anthropic/claude-sonnet-4-5".into()],
        skills: vec![SkillRef {
            name: "repair-failing-tests".into(),
            description: "Repairs a failing suite.".into(),
            sha256: "2".repeat(64),
            bytes: 10_240,
        }],
        max_turns: 200,
        resume_from: 1,
        resume_after: 0,
        resume_task: None,
        may_replan: true,
        effects: Vec::new(),
        secrets: vec![],
    }
}

fn model() -> ModelBrief {
    ModelBrief {
        name: "anthropic/claude-sonnet-4-5".into(),
        wire: Wire::Messages,
        context_tokens: 200_000,
        max_output_tokens: 16_000,
        structured: Structured::Tools,
        caching: true,
    }
}

#[test]
fn agents_on_the_bus() {
    let offer = Offer {
        program: Program::Agent(work()),
        network: vec!["*.example.com:443".into()],
        needs: BTreeMap::from([("scan".into(), NeedHandoff { report: Some(report()), ..need() })]),
        notes: vec![Note { id: "n-1".into(), ..note() }],
        ..offer()
    };
    holds("attempt.offered-agent", &Envelope::new(MessageId::from_uuid(id(9)), AT, offer.clone()));
    let tag = ParameterBrief { pattern: Some("^v[0-9.]+$".into()), ..ParameterBrief::default() };
    let parameters = [("tag".to_owned(), tag)].into();
    let effect = EffectBrief { name: "deploy".into(), about: "Deploys the site.".into(), parameters };
    let offer = Offer { program: Program::Agent(AgentWork { effects: vec![effect], ..work() }), ..offer };
    holds("attempt.offered-effects", &Envelope::new(MessageId::from_uuid(id(9)), AT, offer));
    let pauses = [
        Pause::Question { question: "Which one?".into(), options: vec!["a".into(), "b".into()], stuck: false },
        Pause::Budget { task_key: "inventory".into(), resource: Resource::Usd, used: 10, limit: 9 },
        Pause::RateLimited { provider: "anthropic".into(), resume_at: AT },
        Pause::Bounce { need: "scan".into(), question: "Where is the list?".into() },
        Pause::Capability {
            capability: Capability::Effect {
                name: "deploy".into(),
                arguments: [("tag".to_owned(), "v1.2".to_owned())].into(),
            },
            reason: "The suite passes.".into(),
        },
    ];
    for (number, pause) in pauses.into_iter().enumerate() {
        let usage = Usage { spend: spend(), tool_calls: 4, ..usage() };
        let paused = AttemptPaused { attempt: attempt(), nonce: nonce(), pause, saved_turn: 7, usage };
        holds(&format!("attempt.paused-{number}"), &Envelope::new(MessageId::from_uuid(id(9)), AT, paused));
    }
    message(TellAttempt { attempt: attempt(), note: Note { id: "n-1".into(), ..note() } });
    let call_id = MessageId::from_uuid(id(7));
    let patch = PlanPatch {
        reason: "two parts".into(),
        drop: vec!["big".into()],
        needs: BTreeMap::from([("last".into(), vec!["part-1".into()])]),
        ..PlanPatch::default()
    };
    let calls = [
        Call::Reserve { call_id, estimate: spend(), vm_ms: 1_000 },
        Call::Settle { call_id, actual: spend(), vm_ms: 1_200 },
        Call::Guest(GuestCall::CheckPlan { text: "version: 1".into() }),
        Call::Guest(GuestCall::ProposePatch { patch }),
        Call::Guest(GuestCall::ProposeSkill { files: BTreeMap::from([("SKILL.md".into(), "---".into())]) }),
    ];
    for (number, call) in calls.into_iter().enumerate() {
        let call = HostCall { attempt: attempt(), nonce: nonce(), call };
        holds(&format!("host.call-{number}"), &Envelope::new(MessageId::from_uuid(id(9)), AT, call));
    }
    let answers = [
        Answer::Granted,
        Answer::Denied { task_key: String::new(), resource: Resource::Tokens, used: 5, limit: 5 },
        Answer::Settled,
        Answer::Stale,
        Answer::Busy { detail: "starting".into() },
        Answer::Guest(GuestAnswer::Sound { findings: vec![] }),
        Answer::Guest(GuestAnswer::Unsound { findings: vec![finding()] }),
        Answer::Guest(GuestAnswer::Proposed { approval_id: ApprovalId::from_uuid(id(6)), accepted: true }),
        Answer::Guest(GuestAnswer::Refused { detail: "not by this task".into() }),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        holds(&format!("host.answer-{number}"), &Envelope::new(MessageId::from_uuid(id(9)), AT, HostAnswer { answer }));
    }
    holds(
        "object.checkpoint",
        &Checkpoint {
            turn: 7,
            transcript: vec![Part { sha256: "3".repeat(64), bytes: 1_024 }],
            changes: Some(Part { sha256: "4".repeat(64), bytes: 2_048 }),
            base_commit: commit('a'),
        },
    );
    let egress = EgressRecord {
        target: "example.com:443".into(),
        rule: "*.example.com:443".into(),
        allowed: true,
        at: AT,
        sent_bytes: 10,
        received_bytes: 20,
    };
    let handoff = Handoff { report: Some(report()), egress: vec![egress], ..handoff() };
    let ready = HandoffReady { attempt: attempt(), nonce: nonce(), handoff };
    holds("attempt.handoff-agent", &Envelope::new(MessageId::from_uuid(id(9)), AT, ready));
}

fn finding() -> Finding {
    Finding {
        severity: Severity::Error,
        code: "cycle".into(),
        file: "plan.yaml".into(),
        line: 3,
        column: 5,
        message: "a needs itself".into(),
        hint: None,
    }
}

#[test]
fn agents_in_the_guest() {
    holds(
        "guest.assign-agent",
        &ToGuest::Assign(Assignment::Attempt(AttemptAssignment {
            task_key: "inventory".into(),
            title: "Take stock".into(),
            goal: "Know this folder".into(),
            attempt: 2,
            program: Program::Agent(work()),
            env: env(),
            item: None,
            needs: BTreeMap::new(),
            notes: vec![],
            models: vec![model()],
            checks: vec![check()],
            network: vec!["example.com".into()],
            secrets: vec![],
            wall_ms: 1_800_000,
            output_bytes: 8_388_608,
            max_processes: 512,
        })),
    );
    holds("guest.tell", &ToGuest::Tell { note: Note { id: "n-1".into(), ..note() } });
    holds("guest.answer", &ToGuest::Answer { id: 4, answer: GuestAnswer::Sound { findings: vec![] } });
    let pause = Pause::RateLimited { provider: "anthropic".into(), resume_at: AT };
    holds("guest.paused", &FromGuest::Paused { pause, usage: usage() });
    holds(
        "guest.gave-up",
        &FromGuest::GaveUp { reason: FailureReason::OutOfTurns, detail: "200 turns".into(), usage: usage() },
    );
    holds("guest.call", &FromGuest::Call { id: 4, call: GuestCall::CheckPlan { text: "version: 1".into() } });
    holds("guest.data-skills", &DataHeader::Skills);
    holds("guest.data-transcript", &DataHeader::Transcript);
    holds("guest.data-restore", &DataHeader::Restore);
    holds("guest.data-connect", &DataHeader::Connect { service: Service::Proxy });
    holds("guest.data-checkpoint", &DataHeader::Checkpoint { turn: 7, transcript_bytes: 900, with_changes: true });
    holds("guest.stream-answer", &StreamAnswer::Failed { detail: "disk full".into() });
}
