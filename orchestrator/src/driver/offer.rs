//! What a host is told about an attempt, and what expressions may look at: both from the handoffs of the needed tasks.

use std::collections::{BTreeMap, HashMap};

use bus_schemas::{
    id::{AttemptRef, TaskId},
    json::Json,
    v1::{
        agent::{AgentWork, Role, SkillRef},
        handoff::Handoff,
        plan,
        skill::SkillReview,
        task::{NeedHandoff, Note, Offer, Program},
    },
};

use super::{
    bounded,
    work::{Brief, Resume},
};
use crate::{
    plan::event::TaskKind,
    planfile::{
        ModelConfig,
        lower::{LowerError, checks_of, limits_of, machine_of, program_of, title_of},
    },
    policy::Rules,
    port::journal::{Journal, JournalError},
};

/// The handoffs of what a task needs, by key.
pub(super) async fn needs<J: Journal>(
    journal: &J,
    brief: &Brief,
) -> Result<BTreeMap<String, NeedHandoff>, JournalError> {
    if brief.needs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let children = brief.needs.iter().flat_map(|need| need.children.iter().flatten().copied());
    let wanted: Vec<TaskId> = brief.needs.iter().map(|need| need.task_id).chain(children).collect();
    let found: HashMap<TaskId, Handoff> = journal.handoffs(wanted).await?.into_iter().collect();
    let need = |need: &super::work::Need| {
        let children = need.children.as_deref().unwrap_or_default();
        let own = found.get(&need.task_id);
        let all = own.into_iter().chain(children.iter().filter_map(|child| found.get(child)));
        let changed_paths =
            all.flat_map(|handoff| handoff.changed_paths.iter().map(|path| path.path.clone())).collect();
        let result_of = |child| found.get(child).and_then(|handoff| handoff.result.clone()).unwrap_or(Json::Null);
        let handoff = NeedHandoff {
            state: need.state,
            summary: own.map(|handoff| handoff.summary.clone()).unwrap_or_default(),
            result: own.and_then(|handoff| handoff.result.clone()),
            changed_paths,
            results: children.iter().map(result_of).collect(),
            report: own.and_then(|handoff| handoff.report.clone()),
        };
        (need.key.clone(), handoff)
    };
    Ok(brief.needs.iter().map(need).collect())
}

/// The offer of an attempt.
pub(super) fn compose(
    brief: &Brief,
    attempt: AttemptRef,
    base_commit: String,
    mut notes: Vec<Note>,
    mut needs: BTreeMap<String, NeedHandoff>,
    resume: Resume,
    (models, rules): (&ModelConfig, &Rules),
) -> Result<Offer, LowerError> {
    let key = &brief.spec.key;
    let plan = &brief.project.plan;
    let task = brief.task.as_deref().ok_or_else(|| LowerError::NoProgram { task: key.clone() })?;
    let mut program = program_of(task, &brief.project.scripts)?;
    if let Program::Agent(work) = &mut program {
        complete(work, brief, task, resume, models);
        work.secrets = rules.secrets.iter().map(|(name, setup)| setup.brief(name)).collect();
        bounded::fairly(&mut needs);
    }
    let mut network = task.network.clone();
    network.extend(brief.granted.iter().filter(|host| !task.network.contains(host)).cloned());
    let (secrets, secret_terms) = secrets(task, brief, rules, &mut notes);
    Ok(Offer {
        attempt,
        task_key: key.clone(),
        title: title_of(task).to_owned(),
        goal: plan.goal.clone(),
        program,
        env: task.env.clone(),
        item: brief.item.clone(),
        base_commit,
        inputs: task.inputs.clone(),
        outputs: task.outputs.clone(),
        checks: checks_of(task)?,
        needs,
        notes,
        network,
        secrets,
        secret_terms,
        machine: machine_of(plan, task),
        limits: limits_of(plan, task)?,
    })
}

/// The secrets of an attempt, and where each goes. A grant was for the hosts and the header that people were shown: if these
/// are others now it does not count, and the attempt is told so.
fn secrets(
    task: &plan::Task,
    brief: &Brief,
    rules: &Rules,
    notes: &mut Vec<Note>,
) -> (Vec<String>, BTreeMap<String, String>) {
    let now = |name: &String| rules.secret(name).map(|secret| secret.terms());
    let mut names = task.secrets.clone();
    for (name, agreed) in brief.granted_secrets.iter().filter(|(name, _)| !task.secrets.contains(name)) {
        if now(name).as_ref() == Some(agreed) {
            names.push(name.clone());
        } else {
            let text = format!(
                "You were granted the secret {name}, but its hosts or its header are others now: you do not have it any \
                 more. Ask for it again if you need it."
            );
            notes.push(Note { from: "orchestrator".to_owned(), text, id: format!("secret-changed-{name}") });
        }
    }
    let terms = names.iter().filter_map(|name| Some((name.clone(), now(name)?))).collect();
    (names, terms)
}

/// What a plan does not say of an agent's work.
fn complete(work: &mut AgentWork, brief: &Brief, task: &plan::Task, resume: Resume, models: &ModelConfig) {
    work.role = if brief.spec.kind == TaskKind::Planner { Role::Planner } else { Role::Worker };
    for name in &mut work.models {
        *name = models.models.full_name(name);
    }
    work.skills = skills(task, &brief.project.skills);
    work.resume_from = resume.from;
    work.resume_after = resume.after;
    work.resume_task = resume.task;
}

/// The skills a task names, or all there are if it names none.
pub(super) fn skills(task: &plan::Task, kept: &[SkillReview]) -> Vec<SkillRef> {
    let named = task.agent.as_ref().map(|agent| agent.skills.as_slice()).unwrap_or_default();
    let meant = kept.iter().filter(|skill| named.is_empty() || named.contains(&skill.name));
    meant.map(SkillReview::reference).collect()
}
