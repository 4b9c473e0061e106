//! `hand_off`: the end of the work, as its successors get it.

use std::{
    fs,
    path::{Component, Path},
    sync::{Arc, atomic::Ordering},
};

use bus_schemas::v1::{
    agent::{Choice, Report, Role},
    call::{GuestAnswer, GuestCall},
    task::Program,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    bench::{Reply, Shop, with_files},
    call::{Ending, ToolSpec},
    input::{Input, wrong},
    plan::{ask, list, plan_text},
};

pub(super) const NAME: &str = "hand_off";
/// Entries of a list.
const ENTRIES: usize = 100;
/// A field, in bytes.
const FIELD_BYTES: usize = 16 * 1024;
/// All of it, in bytes: it travels over the bus with much else.
const REPORT_BYTES: usize = 384 * 1024;
/// How often a plan that cannot be used is sent back to its planner before others have to deal with it.
const PLAN_REFUSALS: u64 = 6;

pub(super) fn spec(role: Role) -> ToolSpec {
    let (description, result, required) = if role == Role::Planner {
        (
            "Hand the plan over as `result`; it is checked once more. This ends your work.",
            "The plan.",
            vec!["goal", "done", "result"],
        )
    } else {
        (
            "End your work and hand it over. Files are handed over as they are; say what is not in them. Do it only when the task is done \
             and you have seen that it is.",
            "A result for tasks that follow, if the task asks for one: any JSON.",
            vec!["goal", "done"],
        )
    };
    let texts =
        |about: &str| json!({"type": "array", "items": {"type": "string"}, "maxItems": ENTRIES, "description": about});
    ToolSpec {
        name: NAME,
        description: description.into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "goal": {"type": "string", "description": "The goal as you understood it."},
                "done": {"type": "string", "description": "What you did, and how you know that it works."},
                "decisions": {
                    "type": "array",
                    "maxItems": ENTRIES,
                    "items": {
                        "type": "object",
                        "properties": {"what": {"type": "string"}, "why": {"type": "string"}},
                        "required": ["what", "why"],
                        "additionalProperties": false
                    },
                    "description": "What you decided, and why."
                },
                "artifacts": texts("Paths worth looking at, relative to the workspace; they must exist."),
                "open_questions": texts("What could not be decided."),
                "must_know": texts("What the next one must know."),
                "result": {"description": result}
            },
            "required": required,
            "additionalProperties": false
        }),
    }
}

pub(super) async fn call(shop: &Arc<Shop>, mut input: Input, stop: &CancellationToken) -> Result<Reply, String> {
    let goal = input.text("goal")?;
    let done = input.text("done")?;
    let decisions = input.list("decisions", ENTRIES)?;
    let decisions: Vec<_> =
        decisions.iter().enumerate().map(|(at, value)| choice(at, value)).collect::<Result<_, _>>()?;
    let artifacts = input.texts("artifacts", ENTRIES)?;
    let open_questions = input.texts("open_questions", ENTRIES)?;
    let must_know = input.texts("must_know", ENTRIES)?;
    let result = input.value("result");
    input.finish()?;
    let fields = [("goal", &goal), ("done", &done)];
    let lists = [("open_questions", &open_questions), ("must_know", &must_know)];
    let long = fields.into_iter().chain(lists.iter().flat_map(|(name, list)| list.iter().map(|text| (*name, text))));
    for (name, text) in long {
        if text.len() > FIELD_BYTES {
            return Err(format!(
                "`{name}` has a text of {} bytes, at most {FIELD_BYTES} are taken: put it into a file",
                text.len()
            ));
        }
    }
    let workspace = shop.workspace().to_path_buf();
    let artifacts = with_files(stop, move || {
        artifacts.iter().enumerate().map(|(at, path)| artifact(at, path, &workspace)).collect::<Result<Vec<_>, _>>()
    })
    .await?;
    if is_planner(shop) {
        check_plan(shop, result.as_ref(), stop).await?;
    }
    let result = result.map(serde_json::from_value).transpose().map_err(|error| format!("`result`: {error}"))?;
    let report = Report { goal, done, decisions, artifacts, open_questions, must_know, result };
    let bytes = serde_json::to_vec(&report).map_or(usize::MAX, |body| body.len());
    if bytes > REPORT_BYTES {
        return Err(format!(
            "the handoff has {bytes} bytes, at most {REPORT_BYTES} are taken: put long things into files"
        ));
    }
    Ok(Reply::end(Ending::HandOff(Box::new(report))))
}

fn is_planner(shop: &Shop) -> bool {
    matches!(&shop.bench.assignment.program, Program::Agent(work) if work.role == Role::Planner)
}

/// A plan that cannot be used goes back at once, while its planner still knows what it thought.
async fn check_plan(shop: &Shop, result: Option<&Value>, stop: &CancellationToken) -> Result<(), String> {
    let plan = result.ok_or("`result` is missing: it must be the plan")?;
    let text = plan_text(plan).map_err(|_| wrong("result", "the plan, an object", plan))?;
    match ask(shop, GuestCall::CheckPlan { text }, stop).await? {
        GuestAnswer::Unsound { findings } if shop.plans_refused.fetch_add(1, Ordering::Relaxed) < PLAN_REFUSALS => {
            Err(format!("the plan cannot be used as it is; mend it and hand off again:\n{}", list(&findings)))
        }
        _ => Ok(()),
    }
}

fn choice(at: usize, value: &Value) -> Result<Choice, String> {
    let Value::Object(fields) = value else { return Err(wrong(format!("decisions[{at}]"), "an object", value)) };
    if let Some(unknown) = fields.keys().find(|key| !["what", "why"].contains(&key.as_str())) {
        let unknown: String = unknown.chars().take(64).collect();
        return Err(format!("`decisions[{at}]` has no field `{unknown}`; it takes: what, why"));
    }
    let text = |name: &str| match fields.get(name) {
        Some(Value::String(text)) if text.trim().is_empty() => Err(format!("`decisions[{at}].{name}` is empty")),
        Some(Value::String(text)) if text.len() <= FIELD_BYTES => Ok(text.clone()),
        Some(Value::String(_)) => Err(format!("`decisions[{at}].{name}` is longer than {FIELD_BYTES} bytes")),
        Some(other) => Err(wrong(format!("decisions[{at}].{name}"), "a string", other)),
        None => Err(format!("`decisions[{at}].{name}` is missing")),
    };
    Ok(Choice { what: text("what")?, why: text("why")? })
}

/// A path relative to the workspace, of something that is there.
fn artifact(at: usize, given: &str, workspace: &Path) -> Result<String, String> {
    let path = Path::new(given);
    let below = path.strip_prefix(workspace).unwrap_or(path);
    let mut clean = std::path::PathBuf::new();
    for part in below.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            _ => return Err(format!("`artifacts[{at}]`: {given} is not below the workspace")),
        }
    }
    if clean.as_os_str().is_empty() {
        return Err(format!("`artifacts[{at}]`: {given} is the workspace itself"));
    }
    match fs::symlink_metadata(workspace.join(&clean)) {
        Ok(_) => Ok(clean.to_string_lossy().into_owned()),
        Err(_) => Err(format!("`artifacts[{at}]`: {given} does not exist")),
    }
}
