//! What the core is told of an assignment.

use std::net::SocketAddr;

use bus_schemas::{
    secrets::SecretBrief,
    v1::{
        agent::{AgentWork, Report, Role},
        guest::AttemptAssignment,
        task::{NeedHandoff, Program},
    },
};

use crate::{
    agent::{
        Memory, ModelLimits, Setup, compact,
        prompt::{self, Brief, Need, Secret},
    },
    port::Layout,
    tool::call::ToolSpec,
};

/// The most that the handoffs of needed tasks may take together, in bytes.
const HANDOFF_BYTES: usize = 60_000;
/// Before a failed model call is repeated; the gateway has already waited for its provider.
const RETRY_WAIT_MS: u64 = 1000;

pub(super) fn brief(assignment: &AttemptAssignment, layout: &Layout, proxy: SocketAddr) -> Brief {
    let nothing = AgentWork::default();
    let work = match &assignment.program {
        Program::Agent(work) => work,
        Program::Script { .. } => &nothing,
    };
    Brief {
        planner: work.role == Role::Planner,
        judge: work.role == Role::Judge,
        goal: assignment.goal.clone(),
        task_key: assignment.task_key.clone(),
        title: assignment.title.clone(),
        instructions: work.instructions.clone(),
        item: assignment.item.as_ref().and_then(|item| serde_json::to_value(item).ok()),
        checks: assignment.checks.iter().map(|check| (check.name.clone(), check.run.clone())).collect(),
        needs: assignment.needs.iter().map(|(key, handoff)| need(key, handoff)).collect(),
        skills: work.skills.iter().map(|skill| (skill.name.clone(), skill.description.clone())).collect(),
        network: assignment.network.clone(),
        secrets: work.secrets.iter().map(|known| secret(known, assignment)).collect(),
        proxy: format!("http://{proxy}"),
        workspace: layout.workspace.display().to_string(),
        needs_file: layout.exchange.join("needs.json").display().to_string(),
        may_replan: work.may_replan,
    }
}

pub(super) fn setup(assignment: &AttemptAssignment, brief: &Brief, specs: &[ToolSpec], memory: &Memory) -> Setup {
    let models: Vec<ModelLimits> = assignment
        .models
        .iter()
        .map(|model| ModelLimits { context_tokens: model.context_tokens, max_output_tokens: model.max_output_tokens })
        .collect();
    let smallest = models.iter().map(|model| model.context_tokens as usize).min().unwrap_or_default();
    let bytes = (smallest * compact::TOKEN_BYTES / 4).clamp(2000, HANDOFF_BYTES);
    let size = |spec: &ToolSpec| spec.name.len() + spec.description.len() + spec.input_schema.to_string().len() + 40;
    let (max_turns, answers_only) = match &assignment.program {
        Program::Agent(work) => (work.max_turns, work.resume_task.is_some()),
        Program::Script { .. } => (0, false),
    };
    Setup {
        task_key: assignment.task_key.clone(),
        attempt: assignment.attempt,
        planner: brief.planner,
        answers_only,
        max_turns,
        models,
        tools: specs.iter().map(|spec| spec.name.to_owned()).collect(),
        fixed_bytes: prompt::system(brief).len() + specs.iter().map(size).sum::<usize>(),
        opening: prompt::opening(brief, bytes),
        resumed: prompt::resumed(brief, memory.task_key != assignment.task_key, bytes),
        retry_wait_ms: RETRY_WAIT_MS,
    }
}

fn secret(known: &SecretBrief, assignment: &AttemptAssignment) -> Secret {
    Secret {
        name: known.name.clone(),
        about: known.about.clone(),
        hosts: known.hosts.clone(),
        header: known.header.clone(),
        granted: assignment.secrets.contains(&known.name),
    }
}

fn need(key: &str, handoff: &NeedHandoff) -> Need {
    let state = serde_json::to_value(handoff.state).ok();
    let results = (!handoff.results.is_empty()).then(|| serde_json::to_string(&handoff.results).ok()).flatten();
    Need {
        key: key.to_owned(),
        state: state.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned(),
        summary: handoff.summary.clone(),
        report: handoff.report.as_ref().map(sections).unwrap_or_default(),
        result: results.or_else(|| handoff.result.as_ref().and_then(|result| serde_json::to_string(result).ok())),
        changed_paths: handoff.changed_paths.clone(),
    }
}

/// The important ones first: what is too long is cut at its end.
fn sections(report: &Report) -> Vec<(String, Vec<String>)> {
    let decisions = report.decisions.iter().map(|choice| format!("{} — {}", choice.what, choice.why)).collect();
    [
        ("what you must know", report.must_know.clone()),
        ("decisions", decisions),
        ("open questions", report.open_questions.clone()),
        ("worth looking at", report.artifacts.clone()),
        ("done", vec![report.done.clone()]),
    ]
    .map(|(title, lines)| (title.to_owned(), lines))
    .into()
}
