//! Fetching one commit of a repository, with nothing in it run.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::finding::{Class, SkillError};

/// What a repository or the person's configuration could make git do besides fetching.
const SAFE: [&str; 8] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "init.templateDir=",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "advice.detachedHead=false",
];
/// The last lines of what git says.
const SAID_LINES: usize = 4;

/// Fetches `reference` (a branch, a tag, or a commit; `HEAD` if none) of `url` into `folder`; returns the commit.
pub(super) fn fetch(url: &str, reference: Option<&str>, folder: &Path) -> Result<String, SkillError> {
    let reference = reference.unwrap_or("HEAD");
    if reference.starts_with('-') || reference.chars().any(|c| c.is_control() || c.is_whitespace() || c == ':') {
        return Err(SkillError::new(Class::Invalid, "bad_ref", format!("{reference:?} is no branch, tag or commit")));
    }
    let is_commit = reference.len() == 40 && reference.chars().all(|c| c.is_ascii_hexdigit());
    if is_commit || reference == "HEAD" {
        git(folder, url, &["init", "--quiet", "."])?;
        git(folder, url, &["fetch", "--quiet", "--depth", "1", "--no-tags", "--", url, reference])?;
        git(folder, url, &["checkout", "--quiet", "--detach", "FETCH_HEAD"])?;
    } else {
        let branch = format!("--branch={reference}");
        let clone = [
            "clone",
            "--quiet",
            "--depth",
            "1",
            "--no-tags",
            "--single-branch",
            &branch,
            "--template=",
            "--",
            url,
            ".",
        ];
        git(folder, url, &clone)?;
    }
    Ok(git(folder, url, &["rev-parse", "HEAD"])?.trim().to_owned())
}

fn git(folder: &Path, url: &str, arguments: &[&str]) -> Result<String, SkillError> {
    // A repository on this machine is fetched from only if a person named it so.
    let protocols = if url.starts_with("file://") { "file" } else { "https:ssh" };
    let mut command = Command::new("git");
    for setting in SAFE {
        command.args(["-c", setting]);
    }
    command
        .args(arguments)
        .current_dir(folder)
        .env("GIT_ALLOW_PROTOCOL", protocols)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    // Of a git command that this runs under.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
        command.env_remove(name);
    }
    if std::env::var_os("GIT_SSH_COMMAND").is_none() {
        command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=30");
    }
    let output = command.output().map_err(|error| {
        SkillError::new(Class::Environment, "no_git", format!("run git: {error}")).hint("install git")
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let said: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = said.get(said.len().saturating_sub(SAID_LINES)..).unwrap_or_default().join("; ");
    let last: String = last.chars().filter(|c| !c.is_control()).collect();
    Err(SkillError::new(Class::Environment, "git_failed", format!("fetch {url}: {last}")))
}
