//! `cargo xtask demo`: the main job, as a person would do it, with the commands printed.

use std::{
    fs,
    io::{IsTerminal as _, stdin},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    paths,
    run::{fine, output, run, say},
    setup::{self, Ground},
};

/// A Baton with a home of its own, so that the demo disturbs nothing.
struct Demo {
    ground: Ground,
    home: PathBuf,
}

impl Demo {
    fn baton(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.ground.dist.join("baton"));
        command.args(arguments).env("BATON_HOME", &self.home).current_dir(paths::root());
        self.ground.tell(&mut command);
        command
    }

    /// Shows a command as one would type it, then runs it.
    fn show(&self, arguments: &[&str]) -> Result<()> {
        eprintln!("\n\x1b[1m$ baton {}\x1b[0m", arguments.join(" "));
        run(&mut self.baton(arguments))
    }
}

/// Runs the audit on a folder, approves, applies, and says where the report is.
pub fn demo(arguments: &[String]) -> Result<()> {
    let options = Options::read(arguments)?;
    let demo = Demo { ground: setup::everything()?, home: paths::target().join("demo/home") };
    let folder = match options.folder {
        Some(folder) => folder.canonicalize().with_context(|| format!("folder {}", folder.display()))?,
        None => copy_of_this_repository()?,
    };
    say(&format!("the demo works on {}", folder.display()));
    demo.show(&["up", "--detach"])?;
    let result = audit(&demo, &folder, options.yes || !stdin().is_terminal());
    let stopped = demo.show(&["down"]);
    let report = result?;
    stopped?;
    eprintln!();
    fine(&format!("the report is in {}", report.display()));
    Ok(())
}

fn audit(demo: &Demo, folder: &Path, yes: bool) -> Result<PathBuf> {
    let shown = folder.display().to_string();
    let started = output(&mut demo.baton(&[
        "--json",
        "run",
        "examples/repo-audit/plan.yaml",
        "--folder",
        &shown,
        "--yes",
        "--detach",
    ]))?;
    let project = first_project(&started)?;
    eprintln!("\n\x1b[1m$ baton run examples/repo-audit/plan.yaml --folder {shown} --yes\x1b[0m");
    loop {
        // `watch --until-asked` returns when the project ends or waits for a person.
        demo.show(&["watch", "--until-asked", &project])?;
        let pending = pending(demo, &project)?;
        if pending.is_empty() {
            break;
        }
        for approval in pending {
            decide(demo, &approval, yes)?;
        }
    }
    demo.show(&["apply", &project])?;
    let report = folder.join("baton-report");
    if !report.join("report.html").is_file() {
        bail!("{} has no report.html: see `baton status {project}`", report.display());
    }
    Ok(report.join("report.html"))
}

fn decide(demo: &Demo, approval: &str, yes: bool) -> Result<()> {
    if !yes {
        demo.show(&["approvals", approval])?;
        eprint!("\napprove this handoff? [Y/n] ");
        let mut answer = String::new();
        stdin().read_line(&mut answer)?;
        if answer.trim().to_lowercase().starts_with('n') {
            return demo.show(&["reject", approval, "--reason", "refused in the demo"]);
        }
    }
    demo.show(&["approve", approval])
}

fn first_project(lines: &str) -> Result<String> {
    lines
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|value| value.get("project_id").and_then(|id| id.as_str().map(str::to_owned)))
        .with_context(|| format!("no project id in {lines:?}"))
}

fn pending(demo: &Demo, project: &str) -> Result<Vec<String>> {
    let lines = output(&mut demo.baton(&["--json", "status", project]))?;
    let view: serde_json::Value = serde_json::from_str(lines.trim()).context("read `baton --json status`")?;
    let ids = view.get("pending_approvals").and_then(|ids| ids.as_array()).cloned().unwrap_or_default();
    Ok(ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect())
}

/// A fresh copy, history included, so that the demo changes nothing of the checkout.
fn copy_of_this_repository() -> Result<PathBuf> {
    let copy = paths::target().join("demo/repository");
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(|| format!("remove {}", copy.display()))?;
    }
    run(Command::new("git").args(["clone", "--quiet", "--no-hardlinks"]).arg(paths::root()).arg(&copy))?;
    copy.canonicalize().context("find the copy")
}

struct Options {
    folder: Option<PathBuf>,
    yes: bool,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self> {
        let mut options = Self { folder: None, yes: false };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--yes" => options.yes = true,
                "--folder" => options.folder = Some(rest.next().context("--folder needs a folder")?.into()),
                other => bail!("no option {other:?}: demo takes --folder DIR and --yes"),
            }
        }
        Ok(options)
    }
}
