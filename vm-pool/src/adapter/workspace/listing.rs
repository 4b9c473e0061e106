//! What a commit's tree holds, and what differs between two commits.

use std::path::Path;

use bus_schemas::v1::handoff::{ChangeKind, ChangedPath};

use super::{WorkspaceError, git};

/// What an entry of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A file.
    File,
    /// A file that can be executed.
    Executable,
    /// A symbolic link; its blob is the target.
    Symlink,
    /// Another repository's commit; its content is not here.
    Submodule,
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TreeEntry {
    /// What it is.
    pub mode: Mode,
    /// Its object id.
    pub oid: String,
    /// Its path: any bytes but NUL.
    pub path: Vec<u8>,
}

/// Every file, link and submodule of `commit`, in git's order.
pub(super) fn tree_of(repo: &Path, commit: &str) -> Result<Vec<TreeEntry>, WorkspaceError> {
    let listing = git::run(repo, "ls-tree", ["-r", "-z", "--full-tree", commit], &[])?;
    listing.split(|&b| b == 0).filter(|line| !line.is_empty()).map(entry).collect()
}

fn entry(line: &[u8]) -> Result<TreeEntry, WorkspaceError> {
    let odd = || WorkspaceError::Git {
        operation: "ls-tree",
        detail: format!("odd entry {:?}", String::from_utf8_lossy(line)),
    };
    let tab = line.iter().position(|&b| b == b'\t').ok_or_else(odd)?;
    let head = std::str::from_utf8(&line[..tab]).map_err(|_| odd())?;
    let mut words = head.split(' ');
    let mode = match words.next() {
        Some("100644" | "100664") => Mode::File,
        Some("100755") => Mode::Executable,
        Some("120000") => Mode::Symlink,
        Some("160000") => Mode::Submodule,
        _ => return Err(odd()),
    };
    let oid = words.nth(1).ok_or_else(odd)?.to_owned();
    Ok(TreeEntry { mode, oid, path: line[tab + 1..].to_vec() })
}

/// What changed from `base` to `commit`, with sizes, renames shown as a deletion and an addition.
pub(super) fn changes_between(repo: &Path, base: &str, commit: &str) -> Result<Vec<ChangedPath>, WorkspaceError> {
    let raw = git::run(repo, "diff-tree", ["-r", "-z", "--raw", "--no-renames", base, commit], &[])?;
    let odd = |what: &[u8]| WorkspaceError::Git {
        operation: "diff-tree",
        detail: format!("odd entry {:?}", String::from_utf8_lossy(what)),
    };
    let mut fields = raw.split(|&b| b == 0).filter(|field| !field.is_empty());
    let mut changes = Vec::new();
    let mut oids = String::new();
    while let Some(head) = fields.next() {
        let path = fields.next().ok_or_else(|| odd(head))?;
        let words: Vec<&str> = std::str::from_utf8(head).map_err(|_| odd(head))?.split(' ').collect();
        let [_, _, _, oid, status] = words[..] else { return Err(odd(head)) };
        let kind = match status.chars().next() {
            Some('A') => ChangeKind::Added,
            Some('M' | 'T') => ChangeKind::Modified,
            Some('D') => ChangeKind::Deleted,
            _ => return Err(odd(head)),
        };
        oids.push_str(oid);
        oids.push('\n');
        changes.push(ChangedPath { path: String::from_utf8_lossy(path).into_owned(), kind, bytes: 0 });
    }
    let sizes = git::run(repo, "cat-file", ["--batch-check=%(objectsize)"], oids.as_bytes())?;
    for (change, size) in changes.iter_mut().zip(String::from_utf8_lossy(&sizes).lines()) {
        // A deletion's id is all zeros and a submodule's is not here: git says "missing", and 0 is right.
        change.bytes = size.parse().unwrap_or(0);
    }
    Ok(changes)
}

/// A file that is larger counts as binary, so that no comparison takes for ever.
const LARGEST_TEXT: &str = "8m";

/// How many lines came and went from `base` to `commit`. Binary files count none.
pub(super) fn lines_between(repo: &Path, base: &str, commit: &str) -> Result<(u64, u64), WorkspaceError> {
    let mut diff = git::command(repo, "diff-tree");
    diff.args(["-r", "-z", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv", base, commit]);
    diff.envs([
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.bigFileThreshold"),
        ("GIT_CONFIG_VALUE_0", LARGEST_TEXT),
    ]);
    let listed = git::finish(&mut diff, "diff-tree", |_| Ok(()))?;
    let (mut added, mut removed) = (0_u64, 0_u64);
    for line in listed.split(|&b| b == 0) {
        let mut fields = line.split(|&b| b == b'\t').map(|field| std::str::from_utf8(field).unwrap_or_default());
        // A binary file has `-` in their place.
        let mut number = || fields.next().and_then(|field| field.trim().parse().ok()).unwrap_or(0);
        added = added.saturating_add(number());
        removed = removed.saturating_add(number());
    }
    Ok((added, removed))
}
