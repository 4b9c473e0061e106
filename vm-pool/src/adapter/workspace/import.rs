//! A guest's changes become a commit.

use std::{
    fs::File,
    io::{self, BufWriter, Read as _, Seek as _, Write},
    path::Path,
    process::ChildStdin,
};

use bus_schemas::v1::handoff::ChangedPath;
use tar::{Archive, EntryType};

use super::{
    WorkspaceError,
    extensions::refuse_large_extensions,
    git,
    listing::{changes_between, lines_between, tree_of},
    manifest::{Manifest, Planned},
    store::{is_commit_id, ref_of},
};

/// Who makes every commit of a host.
const AUTHOR: &str = "baton <baton@localhost>";

/// What a guest handed over, and what the commit is to say.
#[derive(Debug)]
pub struct ImportRequest<'a> {
    /// The commit the attempt started from.
    pub base: &'a str,
    /// The most changed data, in bytes.
    pub limit_bytes: u64,
    /// The commit's message.
    pub message: &'a str,
    /// The commit's time, in seconds since 1970.
    pub at_s: i64,
    /// A folder for files that live as long as the import.
    pub scratch: &'a Path,
}

/// A commit made of a guest's changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The commit; the base if nothing changed.
    pub commit: String,
    /// What it changes.
    pub changed: Vec<ChangedPath>,
    /// How many lines come; binary files have none.
    pub lines_added: u64,
    /// How many go.
    pub lines_removed: u64,
}

/// Validates a tar of changes and commits it on top of the base, under `refs/baton/<commit>`.
///
/// # Errors
/// [`WorkspaceError::Unsafe`], [`WorkspaceError::TooLarge`] or [`WorkspaceError::BadTar`] if the guest is to blame (then
/// nothing was written), else [`WorkspaceError::Git`] or [`WorkspaceError::Io`].
pub fn import(repo: &Path, tar: &mut File, request: &ImportRequest<'_>) -> Result<Committed, WorkspaceError> {
    if !is_commit_id(request.base) {
        return Err(WorkspaceError::BadCommit { name: request.base.to_owned() });
    }
    let rewound = |e| WorkspaceError::io("rewind the tar of changes for", repo, e);
    tar.rewind().map_err(rewound)?;
    refuse_large_extensions(&mut *tar)?;
    tar.rewind().map_err(rewound)?;
    let mut manifest = Manifest::read(io::BufReader::new(&mut *tar), request.limit_bytes)?;
    let unchanged =
        || Committed { commit: request.base.to_owned(), changed: Vec::new(), lines_added: 0, lines_removed: 0 };
    if manifest.deleted.is_empty() && manifest.planned.is_empty() {
        return Ok(unchanged());
    }
    manifest.settle(&tree_of(repo, request.base)?)?;
    tar.rewind().map_err(rewound)?;
    let commit = fast_import(repo, tar, &manifest, request)?;
    let changed = changes_between(repo, request.base, &commit)?;
    if changed.is_empty() {
        return Ok(unchanged());
    }
    git::run(repo, "update-ref", [&ref_of(&commit)?, &commit], &[])?;
    let (lines_added, lines_removed) = lines_between(repo, request.base, &commit)?;
    Ok(Committed { commit, changed, lines_added, lines_removed })
}

/// Streams blobs and the commit into `git fast-import` and returns the commit's id.
fn fast_import(
    repo: &Path,
    tar: &mut File,
    manifest: &Manifest,
    request: &ImportRequest<'_>,
) -> Result<String, WorkspaceError> {
    let scratch = tempfile::tempdir_in(request.scratch)
        .map_err(|e| WorkspaceError::io("create folder in", request.scratch, e))?;
    let marks = scratch.path().join("marks");
    // The ref is only where fast-import wants to leave the commit; the name is fresh, so that imports do not meet.
    let name = scratch.path().file_name().map(|n| n.to_string_lossy().replace('.', "")).unwrap_or_default();
    let branch = format!("refs/baton-import/{name}");
    let mut import = git::command(repo, "fast-import");
    import.args(["--quiet", "--done", "--date-format=raw"]).arg(format!("--export-marks={}", marks.display()));
    git::finish(&mut import, "fast-import", |stdin| feed(stdin, tar, manifest, request, &branch))?;
    git::run(repo, "update-ref", ["-d", branch.as_str()], &[])?;
    let text = std::fs::read_to_string(&marks).map_err(|e| WorkspaceError::io("read", &marks, e))?;
    text.lines()
        .find_map(|line| line.strip_prefix(":1 "))
        .filter(|commit| is_commit_id(commit))
        .map(str::to_owned)
        .ok_or_else(|| WorkspaceError::Git { operation: "fast-import", detail: "no commit was made".to_owned() })
}

fn feed(
    stdin: &mut ChildStdin,
    tar: &mut File,
    manifest: &Manifest,
    request: &ImportRequest<'_>,
    branch: &str,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 18, stdin);
    let mut archive = Archive::new(io::BufReader::new(tar));
    for (number, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        let size = entry.size();
        writeln!(out, "blob\nmark :{}\ndata {size}", mark(number))?;
        if io::copy(&mut entry.by_ref().take(size), &mut out)? != size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        out.write_all(b"\n")?;
    }
    let at = request.at_s;
    writeln!(out, "commit {branch}\nmark :1\nauthor {AUTHOR} {at} +0000\ncommitter {AUTHOR} {at} +0000")?;
    writeln!(out, "data {}\n{}\nfrom {}", request.message.len(), request.message, request.base)?;
    for path in &manifest.deleted {
        writeln!(out, "D {}", quoted(path))?;
    }
    for (path, planned) in &manifest.planned {
        match planned {
            Planned::File { executable, content } => {
                let mode = if *executable { "100755" } else { "100644" };
                writeln!(out, "M {mode} :{} {}", mark(*content), quoted(path))?;
            }
            Planned::Symlink { target } => {
                writeln!(out, "M 120000 inline {}\ndata {}\n{target}", quoted(path), target.len())?;
            }
            Planned::Folder => {}
        }
    }
    out.write_all(b"done\n")?;
    out.flush()
}

/// Mark 1 is the commit.
const fn mark(entry: usize) -> usize {
    entry + 2
}

/// A checked path in fast-import's quotes.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}
