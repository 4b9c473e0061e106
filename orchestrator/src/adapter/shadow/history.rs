//! The history of a folder that is a git work tree: what came before the import.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, Stdio},
};

use super::git::{Git, bare_command, failed, finish};
use crate::port::ShadowError;

/// Where fetched history is known by.
const HISTORY: &str = "refs/baton-history";
const INCOMING: &str = "refs/baton-history/incoming";

/// What the folder's own git knows.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Its newest commit, now in the shadow repository.
    pub(super) head: Option<String>,
    /// The paths in that commit.
    pub(super) tracked: BTreeSet<String>,
    /// The paths of its submodules.
    pub(super) submodules: BTreeSet<String>,
    /// What could not be had.
    pub(super) warnings: Vec<String>,
}

/// Fetches the history of the folder's HEAD. The folder's git is only read; whatever goes wrong is a warning.
pub(super) fn adopt(git: &Git, folder: &Path) -> History {
    let mut history = History::default();
    if folder.join(".git").symlink_metadata().is_err() {
        return history;
    }
    match fetch(git, folder, &mut history.warnings) {
        Ok(Some(head)) => match list(git, &head, &mut history) {
            Ok(()) => history.head = Some(head),
            Err(error) => history.warnings.push(format!("the folder's git history is left out: {error}")),
        },
        Ok(None) => {}
        Err(error) => history.warnings.push(format!("the folder's git history is left out: {error}")),
    }
    if !history.submodules.is_empty() {
        let names = history.submodules.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        history.warnings.push(format!("submodules are not copied: {names}"));
    }
    history
}

/// Brings HEAD's history over and returns its commit, or nothing if there is no commit yet.
fn fetch(git: &Git, folder: &Path, warnings: &mut Vec<String>) -> Result<Option<String>, ShadowError> {
    let here = in_folder(folder, &["rev-parse", "--is-shallow-repository"])?;
    if here.code != 0 {
        return Err(failed("rev-parse", &here.stderr));
    }
    if in_folder(folder, &["rev-parse", "--quiet", "--verify", "HEAD^{commit}"])?.code != 0 {
        return Ok(None);
    }
    if here.text() == "true" {
        let commits = fetch_shallow(git, folder)?;
        warnings.push(format!("the folder's git history is shallow: only its {commits} newest commits are known"));
    } else {
        fetch_head(git, folder, &[])?;
    }
    let head = git.run("rev-parse", &["rev-parse", "--verify", &format!("{INCOMING}^{{commit}}")])?.text();
    git.set_ref(&format!("{HISTORY}/{head}"), &head)?;
    git.run("update-ref", &["update-ref", "-d", INCOMING])?;
    Ok(Some(head))
}

fn in_folder(folder: &Path, args: &[&str]) -> Result<super::git::Output, ShadowError> {
    let mut command = bare_command();
    if let Some(above) = folder.parent() {
        command.env("GIT_CEILING_DIRECTORIES", above);
    }
    command.arg("-C").arg(folder).args(args);
    finish("rev-parse", command, |_| Ok(()))
}

fn fetch_head(git: &Git, folder: &Path, extra: &[&str]) -> Result<(), ShadowError> {
    let mut command = git.command();
    command
        .args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"])
        // The folder may belong to somebody else; reading it is what we were asked to do.
        .arg("--upload-pack=git -c 'safe.directory=*' upload-pack")
        .args(extra)
        .arg(folder)
        .arg(format!("+HEAD:{INCOMING}"));
    let output = finish("fetch", command, |_| Ok(()))?;
    if output.code == 0 { Ok(()) } else { Err(failed("fetch", &output.stderr)) }
}

/// A shallow history cannot travel in a bundle (its oldest commits name parents that nobody has), so it is written anew
/// with its oldest commits as roots. Returns the number of commits.
fn fetch_shallow(git: &Git, folder: &Path) -> Result<u64, ShadowError> {
    let aside = tempfile::Builder::new().prefix("shallow-").tempdir_in(git.dir()).map_err(io)?;
    let passing = Git::new(aside.path().join("repository.git"));
    passing.run("init", &["init", "--quiet", "--bare", "--template="])?;
    fetch_head(&passing, folder, &["--update-shallow"])?;
    let count = passing.run("rev-list", &["rev-list", "--count", INCOMING])?.text();
    let mut export = piped(passing.command(), &["fast-export", "--reencode=no", "--signed-tags=strip", INCOMING])
        .stdin(Stdio::null())
        .spawn()
        .map_err(io)?;
    let mut import = git.command();
    import.args(["fast-import", "--quiet", "--force"]).stdout(Stdio::null()).stderr(Stdio::null());
    let imported = match export.stdout.take() {
        Some(stdout) => import.stdin(stdout).status().map_err(io),
        None => Err(io(std::io::ErrorKind::BrokenPipe.into())),
    };
    let exported = export.wait().map_err(io)?;
    if exported.success() && imported?.success() {
        Ok(count.parse().unwrap_or_default())
    } else {
        Err(failed("fast-export", "cannot copy the shallow history"))
    }
}

fn piped(mut command: Command, args: &[&str]) -> Command {
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn io(source: std::io::Error) -> ShadowError {
    ShadowError::Io { operation: "copy", path: "shallow history".to_owned(), source }
}

/// What the commit's tree names: files, and submodules.
fn list(git: &Git, head: &str, history: &mut History) -> Result<(), ShadowError> {
    let output = git.run("ls-tree", &["ls-tree", "-r", "-z", head])?.stdout;
    for line in output.split(|byte| *byte == 0) {
        let Some((meta, path)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once('\t')) else {
            continue;
        };
        if meta.starts_with("160000 ") {
            history.submodules.insert(path.to_owned());
        } else {
            history.tracked.insert(path.to_owned());
        }
    }
    Ok(())
}
