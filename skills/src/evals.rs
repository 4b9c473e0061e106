//! `evals/evals.json` of a skill: prompts with what is expected, and the checks that need no model.
//!
//! ```json
//! {"skill_name": "tidy-up", "evals": [{
//!   "id": 1, "prompt": "Tidy this folder up", "expected_output": "three folders", "files": ["evals/files/mess"],
//!   "setup": "git init -q .", "checks": [{"run": "python3 \"$SKILL/scripts/plan.py\" mess", "stdout": ["3 folders"]}]
//! }]}
//! ```
//!
//! `files` are copied into an empty folder (without `evals/files/`), `setup` is a bash script that is run there, and so
//! is every check's `run`; `$SKILL` is the skill's folder. What is expected of an agent is for an agent's judge.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path},
    process::{Command, Output, Stdio},
};

use serde::Deserialize;
use serde_json::Value;
use walkdir::WalkDir;

use crate::finding::{Class, SkillError};

/// The file.
const EVALS: &str = "evals/evals.json";
/// The largest one.
const MAX_BYTES: u64 = 4 << 20;
/// What of an output is told.
const SAID_CHARS: usize = 2000;

/// A skill's evals.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evals {
    /// The skill.
    pub skill_name: String,
    /// The cases.
    pub evals: Vec<Eval>,
}

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eval {
    /// Its number.
    pub id: u32,
    /// What an agent is asked.
    pub prompt: String,
    /// What is expected of it, in words.
    pub expected_output: String,
    /// Files it works on, below the skill's folder.
    #[serde(default)]
    pub files: Vec<String>,
    /// What is done before, in bash.
    #[serde(default)]
    pub setup: String,
    /// What can be checked without a model.
    #[serde(default)]
    pub checks: Vec<Check>,
}

/// A command line and what it must say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The command line, in bash.
    pub run: String,
    /// How it exits.
    #[serde(default)]
    pub exit: i32,
    /// What its output (both streams) holds.
    #[serde(default)]
    pub stdout: Vec<String>,
    /// What its output does not hold.
    #[serde(default)]
    pub absent: Vec<String>,
    /// Its standard output is JSON with these values, by JSON pointer.
    #[serde(default)]
    pub json: BTreeMap<String, Value>,
}

/// How one case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The case.
    pub id: u32,
    /// Its checks.
    pub checks: usize,
    /// What was not as expected; empty if all is well.
    pub failures: Vec<String>,
}

impl Evals {
    /// Reads a skill's evals.
    ///
    /// # Errors
    /// There are none, or they are not as above.
    pub fn load(folder: &Path) -> Result<Self, SkillError> {
        let path = folder.join(EVALS);
        let bad =
            |message: String| SkillError::new(Class::Invalid, "bad_evals", format!("{}: {message}", path.display()));
        let about = fs::symlink_metadata(&path)
            .map_err(|error| SkillError::new(Class::NotFound, "no_evals", format!("{}: {error}", path.display())))?;
        if !about.is_file() || about.len() > MAX_BYTES {
            return Err(bad("is no plain file, or far too large".to_owned()));
        }
        let text = fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| bad(error.to_string()))
    }
}

/// Runs a case's checks in a folder of its own. This runs programs of the skill on this machine.
///
/// # Errors
/// The folder cannot be made, or bash cannot be run.
pub fn perform(folder: &Path, eval: &Eval) -> Result<Outcome, SkillError> {
    let failed = || SkillError::io(format!("eval {}", eval.id));
    let folder = folder.canonicalize().map_err(failed())?;
    let room = tempfile::Builder::new().prefix("baton-eval-").tempdir().map_err(failed())?;
    for file in &eval.files {
        place(&folder, file, room.path()).map_err(failed())?;
    }
    let mut outcome = Outcome { id: eval.id, checks: eval.checks.len(), failures: Vec::new() };
    if !eval.setup.is_empty() {
        let output = bash(&folder, room.path(), &eval.setup).map_err(failed())?;
        if !output.status.success() {
            outcome.failures.push(format!("the setup fails: {}", said(&output)));
            return Ok(outcome);
        }
    }
    for check in &eval.checks {
        let output = bash(&folder, room.path(), &check.run).map_err(failed())?;
        outcome.failures.extend(judge(check, &output).into_iter().map(|what| format!("`{}`: {what}", check.run)));
    }
    Ok(outcome)
}

fn bash(skill: &Path, room: &Path, script: &str) -> io::Result<Output> {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(room).stdin(Stdio::null());
    // Nothing of this machine's owner: no home, no keys, no git configuration.
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    command.env_clear().env("PATH", path).env("HOME", room).env("SKILL", skill).env("LC_ALL", "C.UTF-8");
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CEILING_DIRECTORIES", room);
    for (name, value) in [("NAME", "Ann"), ("EMAIL", "ann@example.org"), ("DATE", "2026-01-02T03:04:05Z")] {
        command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    command.output()
}

fn judge(check: &Check, output: &Output) -> Vec<String> {
    let mut failures = Vec::new();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() != Some(check.exit) {
        failures.push(format!("exits with {:?}, not {}: {}", output.status.code(), check.exit, said(output)));
    }
    for wanted in check.stdout.iter().filter(|wanted| !text.contains(wanted.as_str())) {
        failures.push(format!("does not say {wanted:?} but {}", said(output)));
    }
    for banned in check.absent.iter().filter(|banned| text.contains(banned.as_str())) {
        failures.push(format!("says {banned:?}"));
    }
    if check.json.is_empty() {
        return failures;
    }
    match serde_json::from_slice::<Value>(&output.stdout) {
        Err(error) => failures.push(format!("prints no JSON ({error}) but {}", said(output))),
        Ok(value) => {
            for (pointer, wanted) in &check.json {
                let found = value.pointer(pointer).unwrap_or(&Value::Null);
                if found != wanted {
                    failures.push(format!("has {found} at {pointer}, not {wanted}"));
                }
            }
        }
    }
    failures
}

fn said(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    text.chars().take(SAID_CHARS).collect()
}

/// Copies a file or a folder of the skill into the room, under its path without `evals/files/`.
fn place(skill: &Path, file: &str, room: &Path) -> io::Result<()> {
    let is_inside = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
    if !is_inside {
        return Err(io::Error::other(format!("{file:?} leads out of the skill")));
    }
    let from = skill.join(file);
    let to = room.join(file.strip_prefix("evals/files/").unwrap_or(file));
    for entry in WalkDir::new(&from) {
        let entry = entry?;
        let target = entry.path().strip_prefix(&from).ok().filter(|below| !below.as_os_str().is_empty());
        let target = target.map_or_else(|| to.clone(), |below| to.join(below));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target)?;
        } else if entry.file_type().is_file() {
            fs::create_dir_all(target.parent().unwrap_or(room))?;
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
