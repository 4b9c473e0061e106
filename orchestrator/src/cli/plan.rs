//! `baton plan check`, `baton plan show`, `baton plan edit`

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use bus_schemas::v1::{
    api::{PlanReport, PlanSource, Severity},
    plan::Task,
};
use skills::{Catalog, roots_with_data};

use super::{
    CliError, Context, Exit,
    args::PlanCommand,
    draw, findings, ids, money, plan_edit,
    render::count,
    run::{looks_like_a_file, read_plan},
};
use crate::{
    adapter::web::{ClientError, problem},
    paths::{bundled_skills, data_home},
    planfile,
};

pub(super) async fn plan(context: &Context, command: PlanCommand) -> Result<Exit, CliError> {
    match command {
        PlanCommand::Check { file, folder } => check(context, &file, folder.as_deref()).await,
        PlanCommand::Show { plan, svg, yaml } => show(context, &plan, svg.as_deref(), yaml).await,
        PlanCommand::Edit { project, file } => plan_edit::edit(context, &project, file.as_deref()).await,
    }
}

async fn check(context: &Context, file: &Path, folder: Option<&Path>) -> Result<Exit, CliError> {
    let ui = context.ui;
    let mut source = read_plan(&file.to_string_lossy())?;
    source.folder =
        folder.and_then(|folder| folder.canonicalize().ok()).map(|path| path.to_string_lossy().into_owned());
    let report = report(context, &source).await?;
    let sound = is_sound(&report);
    if ui.json {
        ui.json_line(&report)?;
    } else {
        if !report.findings.is_empty() {
            ui.data(&findings::render(&report.findings, &source.text, ui.out.colour))?;
        }
        if let Some(plan) = report.plan.as_ref().filter(|_| sound) {
            let (tasks, layers) = (count(plan.tasks.len(), "task"), count(report.layers.len(), "layer"));
            ui.say(&format!("{}: sound, {tasks} in {layers}", source.file));
        }
    }
    Ok(if sound { Exit::Ok } else { Exit::Invalid })
}

fn is_sound(report: &PlanReport) -> bool {
    report.findings.iter().all(|finding| finding.severity != Severity::Error)
}

/// The orchestrator's opinion, which counts; without one this program's own, so that plans can be written anywhere.
async fn report(context: &Context, source: &PlanSource) -> Result<PlanReport, CliError> {
    match context.client()?.check_plan(source).await {
        Err(ClientError::Unreachable { .. }) => {
            let home = context.env.get(OsStr::new("HOME")).map(PathBuf::from);
            let bundled = bundled_skills();
            let (folder, data) = (source.folder.as_deref().map(Path::new), data_home(&context.env));
            let roots = roots_with_data(folder, home.as_deref(), data.as_deref(), bundled.as_deref());
            // A configuration that cannot be read says nothing about people.
            let rules = context.config(Vec::new()).ok().and_then(|(config, _)| config.rules().ok());
            Ok(planfile::check_under(source, &Catalog::discover(&roots), rules.as_ref()))
        }
        other => Ok(other?),
    }
}

async fn show(context: &Context, what: &str, svg: Option<&Path>, yaml: bool) -> Result<Exit, CliError> {
    let ui = context.ui;
    let (plan, layers) = if Path::new(what).is_file() || looks_like_a_file(what) {
        let source = read_plan(what)?;
        let report = report(context, &source).await?;
        let Some(plan) = report.plan.clone() else { return Err(unsound(what, report)) };
        (plan, report.layers)
    } else {
        let view = context.client()?.plan(ids::check("ps", what)?).await?;
        if let Some(estimate) = &view.estimate {
            ui.say(&format!("may cost {}", money::estimate(estimate)));
        }
        let layers = layers(&view.plan.tasks);
        (view.plan, layers)
    };
    if let Some(out) = svg {
        fs::write(out, draw::svg(&plan, &layers)).map_err(|error| {
            CliError::new(Exit::Environment, "not_written", format!("write {}: {error}", out.display()), None)
        })?;
        ui.say(&format!("wrote {}", out.display()));
    } else if ui.json {
        ui.json_line(&plan)?;
    } else if yaml {
        ui.data(&planfile::yaml(&plan).map_err(std::io::Error::other)?)?;
    } else {
        ui.data(&draw::text(&plan, &layers))?;
    }
    Ok(Exit::Ok)
}

fn unsound(what: &str, report: PlanReport) -> CliError {
    let mut problem = problem(422, "plan_invalid", format!("{what} cannot be drawn: it has errors"), None);
    problem.findings = report.findings;
    CliError { exit: Exit::Invalid, problem }
}

/// Task ids by depth, in the order of the tasks. A project's tasks have no circle; should there be one, its tasks are
/// left out.
pub(super) fn layers(tasks: &[Task]) -> Vec<Vec<String>> {
    let numbers: HashMap<&str, usize> =
        tasks.iter().enumerate().map(|(number, task)| (task.id.as_str(), number)).collect();
    let mut missing = vec![0_usize; tasks.len()];
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); tasks.len()];
    for (number, task) in tasks.iter().enumerate() {
        for need in task.needs.iter().filter_map(|need| numbers.get(need.as_str())) {
            missing[number] += 1;
            followers[*need].push(number);
        }
    }
    let mut ready: Vec<usize> = (0..tasks.len()).filter(|number| missing[*number] == 0).collect();
    let mut layers = Vec::new();
    while !ready.is_empty() {
        layers.push(ready.iter().map(|number| tasks[*number].id.clone()).collect());
        let mut next = Vec::new();
        for follower in ready.iter().flat_map(|number| &followers[*number]) {
            missing[*follower] -= 1;
            if missing[*follower] == 0 {
                next.push(*follower);
            }
        }
        next.sort_unstable();
        ready = next;
    }
    layers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_project_has_layers() {
        let plan = |text: &str| {
            let source = PlanSource { file: "p".into(), text: text.into(), scripts: BTreeMap::new(), folder: None };
            planfile::check(&source, &Catalog::default()).plan.map(|plan| plan.tasks).unwrap_or_default()
        };
        let text = "version: 1\ntitle: t\ntasks:\n- {id: c, needs: [a, b], run: x}\n- {id: b, needs: [a], run: x}\n- {id: a, run: x}\n";
        assert_eq!(layers(&plan(text)), [["a"], ["b"], ["c"]]);
    }
}
