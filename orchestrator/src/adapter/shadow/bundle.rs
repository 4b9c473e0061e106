//! Commits on their way between machines.

use std::io::Write;

use super::git::{Git, commit_id, failed};
use crate::port::{Bundle, ShadowError};

/// Where imported commits are known by: they travel with their whole history.
pub(super) const IMPORTS: &str = "refs/baton-import";
/// Where commits that travel are known by.
const TRAVELLERS: &str = "refs/baton";

pub(super) fn has(git: &Git, commit: &str) -> bool {
    let Ok(commit) = commit_id(commit) else { return false };
    git.try_with("cat-file", &["cat-file", "-e", &format!("{commit}^{{commit}}")], &[])
        .is_ok_and(|output| output.code == 0)
}

/// See [`crate::port::Shadow::bundle`].
pub(super) fn create(git: &Git, commit: &str) -> Result<Bundle, ShadowError> {
    let commit = commit_id(commit)?;
    let parents = if is_import(git, commit)? { Vec::new() } else { git.parents(commit)? };
    let name = format!("{TRAVELLERS}/{commit}");
    git.set_ref(&name, commit)?;
    let mut args = vec!["bundle", "create", "--quiet", "-", &name];
    if !parents.is_empty() {
        args.push("--not");
        args.extend(parents.iter().map(String::as_str));
    }
    let bytes = git.run("bundle", &args)?.stdout;
    Ok(Bundle { parents, bytes })
}

fn is_import(git: &Git, commit: &str) -> Result<bool, ShadowError> {
    let name = format!("{IMPORTS}/{commit}");
    let output = git.try_with("show-ref", &["show-ref", "--verify", "--quiet", &name], &[])?;
    Ok(output.code == 0)
}

/// See [`crate::port::Shadow::absorb`].
pub(super) fn absorb(git: &Git, commit: &str, bytes: &[u8]) -> Result<(), ShadowError> {
    let commit = commit_id(commit)?;
    let io = |source| ShadowError::Io { operation: "write", path: format!("bundle of {commit}"), source };
    let mut file = tempfile::Builder::new().suffix(".bundle").tempfile_in(git.dir()).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.flush().map_err(io)?;
    let name = format!("{TRAVELLERS}/{commit}");
    let mut command = git.command();
    command
        .args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"])
        .arg(file.path())
        .arg(format!("+{name}:{name}"));
    let output = super::git::finish("fetch", command, |_| Ok(()))?;
    if output.code != 0 {
        return Err(failed("fetch", &output.stderr));
    }
    let found = git.run("rev-parse", &["rev-parse", "--verify", &name])?.text();
    if found == commit {
        Ok(())
    } else {
        git.run("update-ref", &["update-ref", "-d", &name])?;
        Err(ShadowError::Git { operation: "fetch", detail: format!("the bundle holds {found}, not {commit}") })
    }
}
