//! `baton plan edit`: another plan in the place of the one that waits for approval.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use bus_schemas::v1::api::{EditPlanRequest, PlanSource, PlanView, ProjectView};

use super::{CliError, Context, Exit, approve, findings, ids, run::read_plan};
use crate::{
    adapter::web::{Client, ClientError},
    planfile::yaml,
};

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
            propose(context, &client, id, source, String::new()).await?
        }
        None => in_editor(context, &client, id, &view).await?,
    };
    if context.ui.json {
        context.ui.json_line(&project)?;
    } else {
        context.ui.say("the plan is another one now; what was asked about the one before is void");
        approve::offer(context, &client, &project).await?;
    }
    Ok(Exit::Ok)
}

/// Proposes a plan in the place of the one with this digest; without one, of whichever waits.
async fn propose(
    context: &Context,
    client: &Client,
    id: &str,
    plan: PlanSource,
    digest: String,
) -> Result<ProjectView, ClientError> {
    client.edit_plan(id, &EditPlanRequest { plan, by: context.person(), channel: "cli".to_owned(), digest }).await
}

/// Opens the plan in the person's editor until it is sound, unchanged, or they give up; then it is left where it is.
async fn in_editor(context: &Context, client: &Client, id: &str, view: &PlanView) -> Result<ProjectView, CliError> {
    let text = yaml(&view.plan).map_err(std::io::Error::other)?;
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
        match propose(context, client, id, source, view.digest.clone()).await {
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
