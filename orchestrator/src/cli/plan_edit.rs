//! `baton plan edit`: another plan in the place of the one that waits for approval.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use bus_schemas::v1::{
    api::{EditPlanRequest, PlanSource, ProjectView},
    plan::Plan,
};

use super::{CliError, Context, Exit, approve, findings, ids, run::read_plan};
use crate::adapter::web::{Client, ClientError};

pub(super) async fn edit(context: &Context, project: &str, file: Option<&Path>) -> Result<Exit, CliError> {
    let client = context.client()?;
    let id = ids::check("ps", project)?;
    let view = client.plan(id).await?;
    if !view.editable {
        let detail = format!("the plan of {project} does not wait for approval: it cannot be edited");
        return Err(CliError::new(
            Exit::Refused,
            "wrong_state",
            detail,
            Some("`baton status` shows where the project is"),
        ));
    }
    let project = match file {
        Some(file) => {
            let source = read_plan(&file.to_string_lossy())?;
            propose(context, &client, id, source).await?
        }
        None => in_editor(context, &client, id, &view.plan).await?,
    };
    if context.ui.json {
        context.ui.json_line(&project)?;
    } else {
        context.ui.say("the plan is another one now; what was asked about the one before is void");
        approve::offer(context, &client, &project).await?;
    }
    Ok(Exit::Ok)
}

async fn propose(context: &Context, client: &Client, id: &str, plan: PlanSource) -> Result<ProjectView, CliError> {
    Ok(client.edit_plan(id, &EditPlanRequest { plan, by: context.person(), channel: "cli".to_owned() }).await?)
}

/// Opens the plan in the person's editor until it is sound, unchanged, or they give up; then it is left where it is.
async fn in_editor(context: &Context, client: &Client, id: &str, plan: &Plan) -> Result<ProjectView, CliError> {
    let text = yaml(plan)?;
    let draft = tempfile::Builder::new().prefix("baton-plan-").suffix(".yaml").tempfile()?;
    draft.as_file().write_all(text.as_bytes())?;
    let (_, path) = draft.keep().map_err(|error| CliError::from(error.error))?;
    loop {
        open(context, &path)?;
        let edited = fs::read_to_string(&path)?;
        if edited == text {
            // Nothing to keep; if it cannot be removed, it is a file too many.
            let _ = fs::remove_file(&path);
            return Err(CliError::new(Exit::Refused, "unchanged", "the plan was not changed", None));
        }
        let source = PlanSource { file: path.display().to_string(), text: edited.clone(), ..PlanSource::default() };
        match client
            .edit_plan(id, &EditPlanRequest { plan: source, by: context.person(), channel: "cli".to_owned() })
            .await
        {
            Ok(project) => {
                let _ = fs::remove_file(&path);
                return Ok(project);
            }
            Err(ClientError::Problem(problem)) if !problem.findings.is_empty() && context.ui.interactive() => {
                context.ui.say(&findings::render(&problem.findings, &edited, context.ui.err.colour));
                if !context.ui.confirm("Edit it again?")? {
                    return Err(left(&path, ClientError::Problem(problem).into()));
                }
            }
            Err(error) => return Err(left(&path, error.into())),
        }
    }
}

/// The error, with the place where the person's work is.
fn left(path: &Path, mut error: CliError) -> CliError {
    error.problem.hint = Some(format!("your text is in {}: mend it, then `baton plan edit --file` it", path.display()));
    error
}

fn open(context: &Context, path: &Path) -> Result<(), CliError> {
    let named = |name: &str| context.env.get(std::ffi::OsStr::new(name)).and_then(|value| value.to_str());
    let editor = named("VISUAL").or_else(|| named("EDITOR")).filter(|editor| !editor.trim().is_empty()).unwrap_or("vi");
    let mut words = editor.split_whitespace();
    let program = PathBuf::from(words.next().unwrap_or("vi"));
    let status = Command::new(&program).args(words).arg(path).status();
    let fail = |detail: String| {
        let hint = "set VISUAL or EDITOR, or give the edited plan with --file";
        left(path, CliError::new(Exit::Environment, "no_editor", detail, Some(hint)))
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(fail(format!("{}: {status}", program.display()))),
        Err(error) => Err(fail(format!("run {}: {error}", program.display()))),
    }
}

/// A plan as a file that people can edit.
pub(super) fn yaml(plan: &Plan) -> Result<String, CliError> {
    let value = serde_json::to_value(plan).map_err(std::io::Error::other)?;
    let mut text = String::new();
    write_value(&mut text, &pruned(value), 0);
    Ok(text)
}

/// Without members that say nothing.
fn pruned(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().map(|(key, value)| (key, pruned(value)));
            let says = |value: &Value| match value {
                Value::Null => false,
                Value::Object(map) => !map.is_empty(),
                _ => true,
            };
            Value::Object(kept.filter(|(_, value)| says(value)).collect())
        }
        other => other,
    }
}

/// Block style, texts of several lines as `|` blocks; everything that could be mistaken is quoted as JSON, which YAML reads.
fn write_value(text: &mut String, value: &serde_json::Value, indent: usize) {
    use serde_json::Value;
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                text.push_str(&format!("{pad}{}:", scalar(key)));
                write_member(text, value, indent);
            }
        }
        Value::Array(list) => {
            for value in list {
                let mut inner = String::new();
                match value {
                    Value::Object(map) if !map.is_empty() => {
                        write_value(&mut inner, value, indent + 2);
                        text.push_str(&format!("{pad}- {}", inner.trim_start()));
                    }
                    other => {
                        text.push_str(&format!("{pad}-"));
                        write_member(text, other, indent);
                    }
                }
            }
        }
        other => text.push_str(&format!("{pad}{other}\n")),
    }
}

fn write_member(text: &mut String, value: &serde_json::Value, indent: usize) {
    use serde_json::Value;
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            write_value(text, value, indent + 2);
        }
        Value::Array(list) if !list.is_empty() => {
            text.push('\n');
            write_value(text, value, indent + 2);
        }
        Value::String(line) if is_block(line) => {
            let keep = if line.ends_with('\n') { "|" } else { "|-" };
            text.push_str(&format!(" {keep}\n"));
            for line in line.trim_end_matches('\n').split('\n') {
                let pad = if line.is_empty() { String::new() } else { " ".repeat(indent + 2) };
                text.push_str(&format!("{pad}{line}\n"));
            }
        }
        Value::String(line) => text.push_str(&format!(" {}\n", scalar(line))),
        other => text.push_str(&format!(" {other}\n")),
    }
}

/// Several lines that a `|` block gives back as they are.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n'])
        && !text
            .chars()
            .any(|c| c != '\n' && (c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')))
}

/// Plain where YAML cannot take it for anything else, quoted otherwise.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/'))
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { serde_json::Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use skills::Catalog;

    use super::*;
    use crate::planfile;

    fn round(text: &str) -> (Plan, String) {
        let source = |text: &str| PlanSource { text: text.to_owned(), ..PlanSource::default() };
        let plan = planfile::check(&source(text), &Catalog::default()).plan.unwrap();
        let yaml = yaml(&plan).unwrap();
        let report = planfile::check(&source(&yaml), &Catalog::default());
        assert_eq!(report.plan.as_ref(), Some(&plan), "{yaml}\n{:?}", report.findings);
        (plan, yaml)
    }

    #[test]
    fn a_plan_survives_being_written_as_yaml() {
        let (_, yaml) = round(
            "version: 1\ntitle: 'a: b # c'\ngoal: |\n  two\n  lines\nbudget: { usd: 2.5, wall: 1h }\ntasks:\n- id: a\n  run: |\n    echo 1\n\n      indented\n    echo 2\n  checks: ['true', {name: n, run: 'x: y'}]\n- id: b\n  needs: [a]\n  agent: { instructions: \"one\\n\\ttwo \\n\", may_replan: true, max_turns: 7 }\n  foreach: { list: [1, 'no', {k: [null, -1.5]}, []] }\n  env: { A: '', B: 'null' }\n",
        );
        assert!(yaml.contains("run: |\n      echo 1\n"), "{yaml}");
        round(
            "version: 1\ntitle: t\ntasks: [{id: a, run: \"  leading\\nspace\"}, {id: b, run: \"ends\\n\\n\"}, {id: c, run: \"\\u00e9\\u2028x\\ny\"}]",
        );
    }
}
