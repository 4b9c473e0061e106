//! What differs between two commits.

use std::{io::Read, process::Stdio};

use bus_schemas::{
    id::ProjectId,
    v1::{
        api::DiffView,
        handoff::{ChangeKind, ChangedPath},
    },
};

use super::{
    ShadowRepos,
    blobs::Blobs,
    git::{Git, commit_id, failed},
};
use crate::port::ShadowError;

/// The most text of a diff that is handed out, in bytes (see [`DiffView::truncated`]).
const DIFF_BYTES: usize = 4 << 20;

/// What a path is in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: EntryKind,
    pub(super) oid: String,
}

/// The kinds of things a tree of ours holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Executable,
    Link,
}

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TreeChange {
    pub(super) path: String,
    pub(super) before: Option<Entry>,
    pub(super) after: Option<Entry>,
}

impl ShadowRepos {
    /// The paths that differ between two commits, in order.
    ///
    /// # Errors
    /// [`ShadowError`], for example when a commit is not there.
    pub fn changed_paths(
        &self,
        project_id: ProjectId,
        base: &str,
        commit: &str,
    ) -> Result<Vec<ChangedPath>, ShadowError> {
        let git = self.git(project_id);
        let changes = tree_changes(&git, base, commit)?;
        describe(&mut Blobs::open(&git)?, &changes)
    }

    /// How many lines came and went between two commits; binary files count none.
    ///
    /// # Errors
    /// As [`Self::changed_paths`].
    pub fn changed_lines(&self, project_id: ProjectId, base: &str, commit: &str) -> Result<(u64, u64), ShadowError> {
        let (base, commit) = (commit_id(base)?, commit_id(commit)?);
        let args = ["diff-tree", "-r", "--numstat", "--no-renames", base, commit];
        let output = self.git(project_id).run("diff-tree", &args)?.text();
        // `12<tab>3<tab>path`; a binary file has signs in the place of its numbers.
        let counted = output.lines().map(|line| {
            let mut numbers = line.split('\t').map(|number| number.parse::<u64>().unwrap_or(0));
            (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
        });
        Ok(counted.fold((0, 0), |sum, (added, removed)| (sum.0 + added, sum.1 + removed)))
    }

    /// What differs between two commits, for people: renames are shown as such, binary files only named, the text is
    /// cut at 4 MiB.
    ///
    /// # Errors
    /// As [`Self::changed_paths`].
    pub fn diff(&self, project_id: ProjectId, base: &str, commit: &str) -> Result<DiffView, ShadowError> {
        let changed = self.changed_paths(project_id, base, commit)?;
        let (text, truncated) = diff_text(&self.git(project_id), base, commit)?;
        Ok(DiffView { base_commit: base.to_owned(), commit: commit.to_owned(), changed, text, truncated })
    }
}

fn diff_text(git: &Git, base: &str, commit: &str) -> Result<(String, bool), ShadowError> {
    let io = |source| ShadowError::Io { operation: "read", path: "git diff".to_owned(), source };
    let mut child = git
        .command()
        .args(["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames"])
        .args(["--src-prefix=a/", "--dst-prefix=b/", base, commit, "--"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(io)?;
    let mut bytes = Vec::new();
    if let Some(stdout) = child.stdout.as_mut() {
        stdout.take(DIFF_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
    }
    let truncated = bytes.len() > DIFF_BYTES;
    if truncated {
        // The rest is not wanted; git may be writing it still.
        let _ = child.kill();
        bytes.truncate(DIFF_BYTES);
        let whole_lines = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.truncate(whole_lines);
    }
    let status = child.wait().map_err(io)?;
    if !truncated && !status.success() {
        return Err(failed("diff", "cannot compare the two commits"));
    }
    Ok((String::from_utf8_lossy(&bytes).into_owned(), truncated))
}

/// Turns changes into what the wire says about them.
pub(super) fn describe(blobs: &mut Blobs, changes: &[TreeChange]) -> Result<Vec<ChangedPath>, ShadowError> {
    changes
        .iter()
        .map(|change| {
            let kind = match (&change.before, &change.after) {
                (None, _) => ChangeKind::Added,
                (_, None) => ChangeKind::Deleted,
                _ => ChangeKind::Modified,
            };
            let bytes = change.after.as_ref().map_or(Ok(0), |entry| blobs.size(&entry.oid))?;
            Ok(ChangedPath { path: change.path.clone(), kind, bytes })
        })
        .collect()
}

/// The paths that differ between two commits (or trees), in order, renames taken apart.
pub(super) fn tree_changes(git: &Git, base: &str, commit: &str) -> Result<Vec<TreeChange>, ShadowError> {
    let (base, commit) = (commit_id(base)?, commit_id(commit)?);
    let args = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", base, commit];
    let output = git.run("diff-tree", &args)?.stdout;
    let mut fields = output.split(|byte| *byte == 0);
    let mut changes = Vec::new();
    while let (Some(head), Some(path)) = (fields.next(), fields.next()) {
        changes.push(raw_change(head, path)?);
    }
    Ok(changes)
}

/// `:100644 100755 <oid> <oid> M`, then the path.
fn raw_change(head: &[u8], path: &[u8]) -> Result<TreeChange, ShadowError> {
    let strange = |detail: String| ShadowError::Git { operation: "diff-tree", detail };
    let path = String::from_utf8(path.to_vec())
        .map_err(|error| strange(format!("path {:?} is not UTF-8", String::from_utf8_lossy(error.as_bytes()))))?;
    let head = String::from_utf8_lossy(head);
    let mut words = head.trim_start_matches(':').split(' ');
    let (before, after) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (before_oid, after_oid) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let entry = |mode: &str, oid: &str| match mode {
        "000000" => Ok(None),
        "100644" | "100664" => Ok(Some(Entry { kind: EntryKind::File, oid: oid.to_owned() })),
        "100755" => Ok(Some(Entry { kind: EntryKind::Executable, oid: oid.to_owned() })),
        "120000" => Ok(Some(Entry { kind: EntryKind::Link, oid: oid.to_owned() })),
        other => Err(strange(format!("{path} has mode {other}, which is neither file nor link"))),
    };
    Ok(TreeChange { before: entry(before, before_oid)?, after: entry(after, after_oid)?, path })
}
