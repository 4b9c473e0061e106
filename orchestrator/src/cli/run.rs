//! `baton run`

use std::{collections::BTreeMap, fs, path::Path};

use bus_schemas::v1::{
    api::{NewProject, PlanSource, ProjectView},
    approval::Verdict,
    project::ProjectState,
};

use super::{
    CliError, Context, Exit,
    args::RunArgs,
    decide, ids,
    render::next_lines,
    style::{Paint, clean_line},
    watch,
};
use crate::{adapter::web::Client, planfile};

/// A plan or script larger than this is not one.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

pub(super) async fn run(context: &Context, args: &RunArgs) -> Result<Exit, CliError> {
    let ui = context.ui;
    let client = context.client()?;
    let folder = folder(&args.folder)?;
    let mut plan = read_plan(&args.plan)?;
    plan.folder = Some(folder.clone());
    let new = NewProject { plan, folder, owner: context.person(), approve_plan: args.yes, ..NewProject::default() };
    let mut project = client.create_project(&new).await?;
    if ui.json {
        ui.json_line(&project)?;
    } else {
        let id = ids::alone(&project.project_id);
        ui.say(&format!("project {}  {}", ui.err.paint(Paint::Bold, id), clean_line(&project.title)));
    }
    if ui.interactive() && project.state == ProjectState::AwaitingApproval {
        project = ask(context, &client, project).await?;
    }
    if !args.detach {
        return watch::follow(ui, &client, project, watch::Until::Final).await;
    }
    if !ui.json {
        ui.data(&project.project_id.to_string())?;
        ui.say(next_lines(ui.err, &project).trim_end());
    }
    Ok(Exit::Ok)
}

/// Shows the plan and asks whether to start it; the answer "no" leaves it waiting.
async fn ask(context: &Context, client: &Client, project: ProjectView) -> Result<ProjectView, CliError> {
    let Some(pending) = project.pending_approvals.first() else { return Ok(project) };
    let approval = client.approval(&pending.to_string()).await?;
    context.ui.say(&decide::show(context.ui.err, &approval));
    if !context.ui.confirm("Start it?")? {
        return Ok(project);
    }
    decide::send(context, client, &approval, Verdict::Approved, String::new()).await?;
    Ok(client.project(&project.project_id.to_string()).await?)
}

/// The folder as the orchestrator must know it: absolute, without links.
fn folder(path: &Path) -> Result<String, CliError> {
    let invalid = |detail: String| CliError::new(Exit::Invalid, "folder_invalid", detail, None);
    let whole = path.canonicalize().map_err(|error| invalid(format!("folder {}: {error}", path.display())))?;
    if !whole.is_dir() {
        return Err(invalid(format!("{} is not a folder", path.display())));
    }
    let text = whole.to_str().ok_or_else(|| invalid(format!("folder {}: its path is not UTF-8", path.display())))?;
    Ok(text.to_owned())
}

/// A plan file with the scripts it names.
pub(super) fn read_plan(plan: &str) -> Result<PlanSource, CliError> {
    let path = Path::new(plan);
    if !path.exists() && !looks_like_a_file(plan) {
        return Err(CliError::new(
            Exit::Usage,
            "no_planner",
            "this version runs plans, not goals: turning a goal into a plan needs the planner, which does not exist yet",
            Some("write a plan file (see examples/) and give its name: `baton run PLAN.yaml --folder DIR`"),
        ));
    }
    let text = read(path).map_err(|detail| CliError::new(Exit::Invalid, "plan_unreadable", detail, None))?;
    let scripts = scripts(path, &text)?;
    Ok(PlanSource { file: plan.to_owned(), text, scripts, folder: None })
}

pub(super) fn looks_like_a_file(text: &str) -> bool {
    let ends = [".yaml", ".yml", ".json"].iter().any(|end| text.to_lowercase().ends_with(end));
    ends || (text.contains('/') && !text.contains(char::is_whitespace))
}

fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let length = fs::metadata(path).map_err(|error| format!("read {shown}: {error}"))?.len();
    if length > MAX_FILE_BYTES {
        return Err(format!(
            "{shown} has {length} bytes, which is more than a plan or script may have ({MAX_FILE_BYTES})"
        ));
    }
    fs::read_to_string(path).map_err(|error| format!("read {shown}: {error}"))
}

/// The texts of the scripts a plan names, which lie beside it. One that is missing is left out: the check of the plan
/// says so, with the line. The same holds for a plan that is not YAML.
fn scripts(plan: &Path, text: &str) -> Result<BTreeMap<String, String>, CliError> {
    let beside = plan.parent().unwrap_or_else(|| Path::new(""));
    let mut found = BTreeMap::new();
    for name in planfile::script_files(text) {
        let relative = Path::new(&name);
        let inside = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let path = beside.join(relative);
        if inside && path.is_file() {
            let script =
                read(&path).map_err(|detail| CliError::new(Exit::Invalid, "script_unreadable", detail, None))?;
            found.insert(name, script);
        }
    }
    Ok(found)
}
