//! Copies a folder into the shadow repository, byte by byte.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

use bus_schemas::id::ProjectId;
use rustix::fs::{Mode, OFlags};

use super::{
    ShadowRepos,
    bundle::IMPORTS,
    diff::EntryKind,
    error::ImportError,
    git::{FeedError, FeedStop, Git, failed, feed_and_finish},
    history,
    scan::{Item, Scan, Stamp, Wanted, check_folder, scan},
};

/// The ref an import is built on; the project's only writer owns it.
const BUILDING: &str = "refs/baton-building";
const MESSAGE: &str = "The folder as it was\n";

/// A folder that was copied in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The commit that holds it; the folder's own git history, if any, is its parent.
    pub commit: String,
    /// Files and links copied.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What a person should know: submodules left out, history that could not be had …
    pub warnings: Vec<String>,
}

impl ShadowRepos {
    /// Copies a folder into the project's repository (made if need be). The folder is only read. The same content and
    /// history give the same commit.
    ///
    /// What `.gitignore` (in a git work tree or not) and `.batonignore` list is left out, unless git tracks it;
    /// `.git` is left out always. Hidden files, links and executable bits are kept.
    ///
    /// # Errors
    /// [`ImportError`] names the path and the way out.
    pub fn import(&self, project_id: ProjectId, folder: &Path) -> Result<Imported, ImportError> {
        self.snapshot(project_id, folder, BTreeSet::new())
    }

    /// As [`Self::import`]; the paths in `always` are copied, if they exist, even when they are ignored.
    pub(super) fn snapshot(
        &self,
        project_id: ProjectId,
        folder: &Path,
        always: BTreeSet<String>,
    ) -> Result<Imported, ImportError> {
        let folder = check_folder(folder)?;
        self.exclusively(project_id, || {
            let git = self.ensure(project_id)?;
            let history = history::adopt(&git, &folder);
            let wanted = Wanted { always, tracked: history.tracked, skipped: history.submodules };
            let Scan { items, bytes, mut warnings } = scan(&folder, self.limits, &wanted)?;
            warnings.splice(0..0, history.warnings);
            let parents: Vec<String> = history.head.into_iter().collect();
            let commit = write_commit(&git, &folder, &items, &parents, MESSAGE)?;
            git.set_ref(&format!("{IMPORTS}/{commit}"), &commit)?;
            Ok(Imported { commit, files: items.len() as u64, bytes, warnings })
        })
    }
}

/// Makes a commit of files read from `folder`.
pub(super) fn write_commit(
    git: &Git,
    folder: &Path,
    items: &[Item],
    parents: &[String],
    message: &str,
) -> Result<String, ImportError> {
    let date = git.date_after(parents)?;
    let mut command = git.command();
    command.args(["fast-import", "--quiet", "--force", "--done", "--date-format=raw"]);
    let fed = feed_and_finish("fast-import", command, |stdin| {
        write!(stdin, "commit {BUILDING}\nmark :1\ncommitter Baton <baton@localhost> {date}\n")
            .and_then(|()| write!(stdin, "data {}\n{message}\n", message.len()))
            .map_err(FeedStop::Pipe)?;
        for (index, parent) in parents.iter().enumerate() {
            let word = if index == 0 { "from" } else { "merge" };
            writeln!(stdin, "{word} {parent}").map_err(FeedStop::Pipe)?;
        }
        stdin.write_all(b"deleteall\n").map_err(FeedStop::Pipe)?;
        for item in items {
            write_item(stdin, folder, item)?;
        }
        stdin.write_all(b"get-mark :1\ndone\n").map_err(FeedStop::Pipe)
    });
    let output = match fed {
        Ok(output) if output.code == 0 => output,
        other => {
            sweep(git);
            return Err(match other {
                Ok(output) => failed("fast-import", &output.stderr).into(),
                Err(FeedError::Git(error)) => error.into(),
                Err(FeedError::Stopped(error)) => error,
            });
        }
    };
    git.run("update-ref", &["update-ref", "-d", BUILDING])?;
    Ok(output.text())
}

fn write_item(stdin: &mut impl Write, folder: &Path, item: &Item) -> Result<(), FeedStop<ImportError>> {
    let mode = match item.kind {
        EntryKind::File => "100644",
        EntryKind::Executable => "100755",
        EntryKind::Link => "120000",
    };
    let quoted = item.path.replace('\\', "\\\\").replace('"', "\\\"");
    write!(stdin, "M {mode} inline \"{quoted}\"\ndata {}\n", item.size).map_err(FeedStop::Pipe)?;
    if item.kind == EntryKind::Link {
        stdin.write_all(&item.target).map_err(FeedStop::Pipe)?;
    } else {
        copy_file(stdin, folder, item)?;
    }
    stdin.write_all(b"\n").map_err(FeedStop::Pipe)
}

/// Copies exactly what the scan saw, or says that it changed.
fn copy_file(stdin: &mut impl Write, folder: &Path, item: &Item) -> Result<(), FeedStop<ImportError>> {
    let path = || item.path.clone();
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => FeedStop::Own(ImportError::Changed { path: path() }),
        _ => FeedStop::Own(ImportError::Unreadable { path: path(), source }),
    };
    let changed = || FeedStop::Own(ImportError::Changed { path: path() });
    // A link or a pipe that took the file's place since must neither be followed nor waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file: File = rustix::fs::open(folder.join(&item.path), flags, Mode::empty())
        .map_err(|errno| unreadable(errno.into()))?
        .into();
    if Stamp::of(&file.metadata().map_err(unreadable)?) != item.stamp {
        return Err(changed());
    }
    let mut left = item.size;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer).map_err(unreadable)?;
        if count == 0 {
            break;
        }
        left = left.checked_sub(count as u64).ok_or_else(changed)?;
        stdin.write_all(buffer.get(..count).unwrap_or_default()).map_err(FeedStop::Pipe)?;
    }
    if left != 0 || Stamp::of(&file.metadata().map_err(unreadable)?) != item.stamp {
        return Err(changed());
    }
    Ok(())
}

/// An import that stopped leaves half a pack behind, which may be big. Nobody else writes to this repository now.
fn sweep(git: &Git) {
    let Ok(entries) = fs::read_dir(git.dir().join("objects/pack")) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with("tmp_") {
            // What stays is only wasted space.
            let _ = fs::remove_file(entry.path());
        }
    }
}
