//! Effects: what was approved is compared with the configuration, written down as started, and run: once. What may have run
//! before is never run again; people are asked instead.

use std::sync::Arc;

use bus_schemas::{
    id::{ApprovalId, AttemptRef, ProjectId},
    v1::{
        agent::Pause,
        api::{Capability, EffectOrder, QuestionView},
    },
};

use super::{
    detail::Detail,
    outbox::Hands,
    perform::{Again, Said},
    room::Room,
    work::Act,
};
use crate::{
    digest,
    effects::Effects,
    plan::{
        EffectState,
        effect::{EffectEnded, EffectStarted, EffectUnknown, EffectVoided},
        event::{Fact, PauseSpec, TaskKind},
        policy::bounded,
    },
    port::{bus::Bus, effect::EffectDone, journal::Journal},
    words::effect::command,
};

/// The longest name of an effect that is kept, in bytes.
const NAME_BYTES: usize = 64;

/// What an agent asks for, worked out: what exactly would be run, or why it cannot be.
pub(super) fn asked(
    pause: &Pause,
    attempt: AttemptRef,
    room: Option<&Room>,
    effects: &Effects,
) -> Option<(PauseSpec, Option<EffectOrder>)> {
    let Pause::Capability { capability: Capability::Effect { name, arguments }, .. } = pause else { return None };
    let task = room.and_then(|room| room.plan.task(attempt.task_id));
    let resolved = match task.map(|task| task.spec.kind) {
        Some(TaskKind::Agent) => effects.resolve(name, arguments),
        _ => Err("only the agent of a task can ask for one".to_owned()),
    };
    let name = bounded(name, NAME_BYTES);
    Some(match resolved {
        Ok(order) => (PauseSpec::Effect { name, problem: None }, Some(order)),
        Err(problem) => (PauseSpec::Effect { name, problem: Some(problem) }, None),
    })
}

/// What [`crate::plan::Command::StartEffect`] takes: nothing if it was stopped meanwhile.
pub(super) fn start_act(room: &Room, approval_id: ApprovalId) -> Act {
    let effect = room.plan.effect(approval_id).filter(|effect| effect.state == EffectState::Approved);
    let waits =
        |effect: &&crate::plan::Effect| room.plan.task(effect.task_id).is_some_and(|task| !task.state.is_final());
    match (effect.filter(waits), room.details.effect(approval_id)) {
        (Some(_), Some(order)) => Act::StartEffect { approval_id, order: Box::new(order.clone()) },
        _ => Act::Nothing,
    }
}

/// What [`crate::plan::Command::RunEffect`] takes. A command that was `left` by an earlier process may have been performed.
pub(super) fn run_act(room: &Room, approval_id: ApprovalId, left: bool) -> Act {
    let runs = room.plan.effect(approval_id).is_some_and(|effect| effect.state == EffectState::Running);
    match room.details.effect(approval_id).filter(|_| runs) {
        Some(order) => Act::RunEffect { approval_id, order: Box::new(order.clone()), left },
        None => Act::Nothing,
    }
}

/// Starts what was approved if it is still what would be run.
pub(super) fn start(effects: &Effects, approval_id: ApprovalId, order: &EffectOrder) -> Fact {
    if effects.stands_by(order) {
        return Fact::EffectStarted(EffectStarted { approval_id, argv: order.argv.clone() });
    }
    let reason = "its definition was changed since people were asked; ask again if it is still needed".to_owned();
    Fact::EffectVoided(EffectVoided { approval_id, reason })
}

/// Runs it; what may have run before is only asked about.
pub(super) async fn run<J: Journal, B: Bus>(
    hands: &Arc<Hands<J, B>>,
    project_id: ProjectId,
    approval_id: ApprovalId,
    order: &EffectOrder,
    fresh: bool,
) -> Result<Said, Again> {
    if fresh && let Ok(done) = hands.runner.run(approval_id, order).await {
        let EffectDone { ending, output_tail, output_sha256, output_bytes } = done;
        tracing::info!(project.id = %project_id, effect = order.name, ending = ending.words(), "effect is over");
        let ended = EffectEnded { approval_id, ending, output_tail, output_sha256, output_bytes };
        return Ok(Some((Fact::EffectEnded(ended), None)));
    }
    tracing::warn!(project.id = %project_id, effect = order.name, "effect was started and its end was not seen");
    let question = unknown(order, &hands.runner.left(approval_id, order).await);
    // Texts: writing them as JSON does not fail.
    let digest = digest::of(&question).unwrap_or_default();
    let question_id = ApprovalId::from_uuid(hands.ids.next());
    let fact = Fact::EffectUnknown(EffectUnknown { approval_id, question_id, digest, route: None });
    Ok(Some((fact, Some(Detail::Question(Box::new(question))))))
}

/// What people are asked.
fn unknown(order: &EffectOrder, printed: &str) -> QuestionView {
    let folder = order.folder.as_deref().unwrap_or("a folder of its own");
    let mut question = format!(
        "The effect {} was started, and Baton was ended before it saw the end: whether it happened is not known, and it is not run \
         again by itself. Look where it would show, and say what you found: the agent goes on with your answer.\n\nIt ran: {}\nin {folder}",
        order.name,
        command(&order.argv)
    );
    if printed.is_empty() {
        question.push_str("\nIt had printed nothing when Baton looked.");
    } else {
        question.push_str(&format!("\nThe end of what it had printed when Baton looked:\n{printed}"));
    }
    let options = ["It happened.", "It did not happen."].map(str::to_owned).to_vec();
    QuestionView { question, options, stuck: false, by_baton: true }
}
