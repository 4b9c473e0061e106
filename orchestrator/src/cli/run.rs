//! `baton run`

use std::{collections::BTreeMap, fs, path::Path};

use bus_schemas::v1::{
    api::{NewProject, PlanSource, ProjectView},
    approval::Verdict,
    plan::Budget,
    project::ProjectState,
};

use super::{
    CliError, Context, Exit,
    args::RunArgs,
    decide::{self, Say},
    ids,
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
    let budget = Budget { usd: args.budget_usd, tokens: args.budget_tokens, ..Budget::default() };
    let mut new =
        NewProject { folder, owner: context.person(), approve_plan: args.yes, budget, ..NewProject::default() };
    match goal(args)? {
        Some(goal) => {
            new.goal = Some(goal);
            new.policy = args.policy.clone().or_else(|| args.yes.then(|| "auto".to_owned()));
        }
        None => {
            let file = args.file.as_deref().or(args.plan.as_deref()).unwrap_or_default();
            new.plan = read_plan(file)?;
            new.plan.folder = Some(new.folder.clone());
        }
    }
    let mut project = client.create_project(&new).await?;
    if ui.json {
        ui.json_line(&project)?;
    } else {
        let id = ids::alone(&project.project_id);
        ui.say(&format!("project {}  {}", ui.err.paint(Paint::Bold, id), clean_line(&project.title)));
    }
    if ui.interactive() && !args.detach && project.state == ProjectState::Planning {
        project = planned(context, &client, project).await?;
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

/// The goal, if it is not a plan file that is named.
fn goal(args: &RunArgs) -> Result<Option<String>, CliError> {
    let usage = |detail: &str| Err(CliError::new(Exit::Usage, "usage", detail, None));
    let Some(text) = args.plan.as_deref().filter(|text| !Path::new(text).exists() && !looks_like_a_file(text)) else {
        if args.policy.is_some() {
            return usage("--policy is for a goal; a plan file says it as `approval:`");
        }
        return Ok(None);
    };
    if text.trim().is_empty() {
        return usage("the goal is empty");
    }
    Ok(Some(text.to_owned()))
}

/// Follows the planning until somebody is asked, or it is over.
async fn planned(context: &Context, client: &Client, project: ProjectView) -> Result<ProjectView, CliError> {
    let id = project.project_id.to_string();
    context.ui.say("an agent works out the plan; you will be asked about it");
    watch::follow(context.ui, client, project, watch::Until::Asked).await?;
    Ok(client.project(&id).await?)
}

/// Shows the plan and asks whether to start it; the answer "no" leaves it waiting.
async fn ask(context: &Context, client: &Client, project: ProjectView) -> Result<ProjectView, CliError> {
    let Some(pending) = project.pending_approvals.first() else { return Ok(project) };
    let approval = client.approval(&pending.to_string()).await?;
    context.ui.say(&decide::show(context.ui.err, &approval));
    decide::seen(context, client, &approval).await;
    if !context.ui.confirm("Start it?")? {
        return Ok(project);
    }
    let say = Say { verdict: Verdict::Approved, note: String::new(), remember: None };
    let after = decide::send(context, client, &approval, say).await?;
    if after.decision.is_none() {
        decide::tell(context, &after)?;
    }
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
