//! From what a host observed to what the core is told.

use bus_schemas::{
    id::{ApprovalId, AttemptRef, ClaimNonce, ProjectId, TaskId},
    secrets::{SecretBrief, Secrets, is_name},
    v1::{
        agent::{AttemptPaused, Pause},
        api::{Capability, EffectOrder},
        handoff::Handoff,
        plan,
    },
};
use serde::Serialize;

use super::{
    detail::{Detail, FailureDetail, PauseDetail},
    effect,
    room::Room,
    words,
};
use crate::{
    digest,
    effects::Effects,
    plan::{
        event::{Fact, PauseSpec, PolicySpec, TaskKind, TaskSpec},
        policy::bounded,
    },
    planfile::{lower::POLICY_AUTO, network_problem, planner::clarifier_task},
    port::{Ids, bus::Observation},
};

/// The longest text of a guest that is kept in the journal, in bytes: hosts bound it, too, but are not trusted to.
const TEXT_BYTES: usize = 16 * 1024;

/// The longest question, in bytes; and how many answers may be suggested.
const QUESTION_BYTES: usize = 8 * 1024;
const OPTIONS: usize = 20;
/// The most arguments of an effect that are looked at: more than one can have.
const ARGUMENTS: usize = 100;

/// What the core is told of an observation, and what belongs beside it. `room` is its project, if that is open; `secrets` are
/// those there are.
///
/// # Errors
/// A sentence, if its content cannot be accepted.
pub(super) fn fact_of(
    observation: Observation,
    room: Option<&Room>,
    ids: &dyn Ids,
    effects: &Effects,
    secrets: &Secrets,
) -> Result<(ProjectId, Fact, Option<Detail>), String> {
    match observation {
        Observation::Claimed(claimed) => {
            let AttemptRef { project_id, task_id, number } = claimed.attempt;
            let fact = Fact::AttemptClaimed { task_id, number, nonce: claimed.nonce, host_id: claimed.host_id };
            Ok((project_id, fact, None))
        }
        Observation::Progress(progress) => {
            let AttemptRef { project_id, task_id, number } = progress.attempt;
            let stage = words::word(&progress.stage);
            Ok((project_id, Fact::AttemptStaged { task_id, number, nonce: progress.nonce, stage }, None))
        }
        Observation::Handoff(ready) => handoff(ready.attempt, ready.nonce, ready.handoff, room, ids),
        Observation::Paused(paused) => pause(*paused, room, ids, (effects, secrets)),
        Observation::Failed(failed) => {
            let AttemptRef { project_id, task_id, number } = failed.attempt;
            let fact = Fact::AttemptFailed {
                task_id,
                number,
                nonce: failed.nonce,
                reason: words::word(&failed.reason),
                detail: bounded(&failed.detail, TEXT_BYTES),
                retryable: failed.reason.is_retryable(),
                vm_ms: failed.usage.vm_ms,
            };
            let detail = FailureDetail {
                output_tail: bounded(&failed.output_tail, TEXT_BYTES),
                evidence: failed.evidence,
                usage: failed.usage,
            };
            Ok((project_id, fact, Some(Detail::Failure(detail))))
        }
    }
}

fn handoff(
    attempt: AttemptRef,
    nonce: ClaimNonce,
    handoff: Handoff,
    room: Option<&Room>,
    ids: &dyn Ids,
) -> Result<(ProjectId, Fact, Option<Detail>), String> {
    if !is_commit(&handoff.commit) {
        return Err(format!("handoff of {attempt}: {:?} is not a commit id", handoff.commit));
    }
    let digest = digest::of(&handoff).map_err(|e| format!("handoff of {attempt}: {e}"))?;
    let fact = Fact::HandoffReceived {
        task_id: attempt.task_id,
        number: attempt.number,
        nonce,
        commit: handoff.commit.clone(),
        proven: handoff.is_proven(),
        digest,
        approval_id: ApprovalId::from_uuid(ids.next()),
        vm_ms: handoff.usage.vm_ms,
        answer: answer(attempt, &handoff, room),
        route: None,
    };
    Ok((attempt.project_id, fact, Some(Detail::Handoff(Box::new(handoff)))))
}

/// What a clarifier answers.
fn answer(attempt: AttemptRef, handoff: &Handoff, room: Option<&Room>) -> Option<String> {
    let task = room?.plan.task(attempt.task_id)?;
    if task.spec.kind != TaskKind::Clarifier {
        return None;
    }
    let report = handoff.report.as_ref();
    let said = report.map(|report| report.done.as_str()).filter(|done| !done.trim().is_empty());
    Some(bounded(said.unwrap_or(&handoff.summary), TEXT_BYTES))
}

fn pause(
    paused: AttemptPaused,
    room: Option<&Room>,
    ids: &dyn Ids,
    (effects, secrets): (&Effects, &Secrets),
) -> Result<(ProjectId, Fact, Option<Detail>), String> {
    #[derive(Serialize)]
    struct Shown<'a> {
        attempt: AttemptRef,
        pause: &'a Pause,
        #[serde(skip_serializing_if = "Option::is_none")]
        effect: Option<&'a EffectOrder>,
        /// A decision is about the hosts and the header that were shown.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret: Option<&'a SecretBrief>,
    }
    let AttemptPaused { attempt, nonce, pause, saved_turn, usage } = paused;
    let pause = only_hosts(bounded_pause(pause));
    let asked = effect::asked(&pause, attempt, room, effects);
    let (wanted, order) = asked.map_or((None, None), |(spec, order)| (Some(spec), order));
    let secret = known_secret(&pause, secrets);
    let shown = Shown { attempt, pause: &pause, effect: order.as_ref(), secret: secret.as_ref() };
    let digest = digest::of(&shown).map_err(|e| format!("pause of {attempt}: {e}"))?;
    let (spec, clarifier) = match &pause {
        Pause::Capability { capability: Capability::Effect { name, .. }, .. } => {
            let none = || PauseSpec::Effect { name: name.clone(), problem: Some("it is not known".to_owned()) };
            (wanted.unwrap_or_else(none), None)
        }
        Pause::Question { question, .. } => (PauseSpec::Question { question: question.clone() }, None),
        Pause::Capability { capability: Capability::Host { host }, .. } => {
            (PauseSpec::Capability { host: host.clone() }, None)
        }
        Pause::Capability { capability: Capability::Secret { name }, .. } => {
            let problem = secret.is_none().then(|| no_secret(secrets));
            let terms = secret.as_ref().map(SecretBrief::terms).unwrap_or_default();
            (PauseSpec::Secret { name: name.clone(), terms, problem }, None)
        }
        Pause::Budget { .. } => (PauseSpec::Budget, None),
        Pause::RateLimited { resume_at, .. } => (PauseSpec::RateLimited { resume_at: *resume_at }, None),
        Pause::Bounce { need, question } => bounce(attempt, need, question, room, ids),
    };
    let fact = Fact::AttemptPaused {
        task_id: attempt.task_id,
        number: attempt.number,
        nonce,
        pause: spec,
        approval_id: ApprovalId::from_uuid(ids.next()),
        digest,
        vm_ms: usage.vm_ms,
        saved_turn,
        route: None,
    };
    let detail = PauseDetail { pause, usage, clarifier, effect: order, secret };
    Ok((attempt.project_id, fact, Some(Detail::Pause(Box::new(detail)))))
}

/// Only one host by its name can be granted: whatever else a guest names becomes a question, which grants nothing.
fn only_hosts(pause: Pause) -> Pause {
    let Pause::Capability { capability: Capability::Host { host }, reason } = pause else { return pause };
    if host.contains('*') || network_problem(&host).is_some() {
        let host = bounded(&host, 300);
        let question = format!("The agent asks for access to {host}, which is not a host. It says: {reason}");
        return Pause::Question { question, options: Vec::new(), stuck: false };
    }
    Pause::Capability { capability: Capability::Host { host: host.to_ascii_lowercase() }, reason }
}

/// What is known of the secret that a pause asks for.
fn known_secret(pause: &Pause, secrets: &Secrets) -> Option<SecretBrief> {
    let Pause::Capability { capability: Capability::Secret { name }, .. } = pause else { return None };
    secrets.get(name).map(|setup| setup.brief(name))
}

/// Why nobody is asked about a secret.
fn no_secret(secrets: &Secrets) -> String {
    let names: Vec<&str> = secrets.keys().map(String::as_str).collect();
    match names.as_slice() {
        [] => "no secret is configured".to_owned(),
        names => format!("there is no secret of that name, only {}", names.join(", ")),
    }
}

/// Hosts bound what guests say, and are not trusted to.
fn bounded_pause(pause: Pause) -> Pause {
    match pause {
        Pause::Question { question, options, stuck } => Pause::Question {
            question: bounded(&question, QUESTION_BYTES),
            options: options.iter().take(OPTIONS).map(|option| bounded(option, QUESTION_BYTES / 8)).collect(),
            stuck,
        },
        Pause::Bounce { need, question } => Pause::Bounce { need, question: bounded(&question, QUESTION_BYTES) },
        Pause::Capability { capability: Capability::Effect { name, arguments }, reason } => {
            let short = |text: &str| bounded(text, QUESTION_BYTES / 8);
            let arguments = arguments.iter().take(ARGUMENTS).map(|(key, value)| (short(key), short(value))).collect();
            let capability = Capability::Effect { name: short(&name), arguments };
            Pause::Capability { capability, reason: bounded(&reason, QUESTION_BYTES) }
        }
        Pause::Capability { capability: Capability::Secret { name }, reason } => {
            // What is no name at all is kept as a word that can be shown.
            let word = |text: &str| text.chars().filter(char::is_ascii_graphic).take(64).collect();
            let name = if is_name(&name) { name } else { word(&name) };
            Pause::Capability { capability: Capability::Secret { name }, reason: bounded(&reason, QUESTION_BYTES) }
        }
        Pause::Capability { capability, reason } => {
            Pause::Capability { capability, reason: bounded(&reason, QUESTION_BYTES) }
        }
        other => other,
    }
}

/// The task that answers a question about a handoff. The core judges whether there can be one.
fn bounce(
    attempt: AttemptRef,
    need: &str,
    question: &str,
    room: Option<&Room>,
    ids: &dyn Ids,
) -> (PauseSpec, Option<plan::Task>) {
    let asker = room.and_then(|room| room.plan.task(attempt.task_id));
    let needed = room.zip(asker).and_then(|(room, asker)| {
        let needs = asker.spec.needs.iter().filter_map(|id| room.plan.task(*id));
        needs.into_iter().find(|needed| needed.spec.key == need)
    });
    let document = room.zip(needed).and_then(|(room, needed)| room.details.task(&needed.spec.key));
    // No id of a plan file has this sign in it.
    let key = format!("{need}~{}", asker.map_or("", |asker| asker.spec.key.as_str()));
    let limits = needed.or(asker).map(|task| task.spec.limits);
    let spec = TaskSpec {
        task_id: TaskId::from_uuid(ids.next()),
        key: key.clone(),
        needs: needed.map(|needed| needed.spec.task_id).into_iter().collect(),
        max_attempts: 2,
        backoff_ms: 2_000,
        max_backoff_ms: 120_000,
        limits: limits.unwrap_or_else(crate::planfile::lower::default_limits),
        policy: PolicySpec { name: POLICY_AUTO.to_owned(), asks: false, deadline_ms: None },
        has_when: false,
        is_foreach: false,
        kind: TaskKind::Clarifier,
        budget: crate::plan::BudgetSpec::default(),
    };
    let need = needed.map_or_else(|| TaskId::from_uuid(uuid::Uuid::nil()), |needed| needed.spec.task_id);
    let clarifier = document.map(|of| clarifier_task(key, of, question));
    (PauseSpec::Bounce { need, clarifier: Box::new(spec) }, clarifier)
}

/// 40 lower-case hex digits.
fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
