//! Three-way merges of commits, without a work tree.

use std::collections::{BTreeMap, BTreeSet};

use super::git::{Git, commit_id, failed};
use crate::port::ShadowError;

/// What merging two commits gave.
#[derive(Debug)]
pub(super) struct Merged {
    /// The tree; with conflict markers where there were conflicts.
    pub(super) tree: String,
    /// What collided at which path; empty if nothing did.
    pub(super) conflicts: BTreeMap<String, Collision>,
}

/// A collision at one path.
#[derive(Debug, Default)]
pub(super) struct Collision {
    /// `content`, `modify/delete`, `binary` …
    pub(super) kind: String,
    /// What git says about it.
    pub(super) message: String,
}

/// See [`crate::port::Shadow::merge`].
pub(super) fn merge_all(git: &Git, commits: &[String]) -> Result<String, ShadowError> {
    let mut rest = commits.iter();
    let Some(first) = rest.next() else {
        return Err(failed("merge-tree", "there is no commit to merge"));
    };
    let mut merged = commit_id(first)?.to_owned();
    for commit in rest {
        merged = merge_two(git, &merged, commit_id(commit)?)?;
    }
    Ok(merged)
}

fn merge_two(git: &Git, ours: &str, theirs: &str) -> Result<String, ShadowError> {
    if is_ancestor(git, theirs, ours)? {
        return Ok(ours.to_owned());
    }
    if is_ancestor(git, ours, theirs)? {
        return Ok(theirs.to_owned());
    }
    let merged = merge_trees(git, ours, theirs)?;
    if !merged.conflicts.is_empty() {
        return Err(ShadowError::Conflict { paths: merged.conflicts.into_keys().collect() });
    }
    let commit = git.commit_tree(&merged.tree, &[ours.to_owned(), theirs.to_owned()], "Merge handoffs\n")?;
    git.set_ref(&format!("refs/baton/{commit}"), &commit)?;
    Ok(commit)
}

fn is_ancestor(git: &Git, older: &str, newer: &str) -> Result<bool, ShadowError> {
    let output = git.try_with("merge-base", &["merge-base", "--is-ancestor", older, newer], &[])?;
    match output.code {
        0 => Ok(true),
        1 => Ok(false),
        _ => Err(failed("merge-base", &output.stderr)),
    }
}

/// Merges two commits that share history, into a tree. Changes nothing but the object store.
pub(super) fn merge_trees(git: &Git, ours: &str, theirs: &str) -> Result<Merged, ShadowError> {
    let args = ["merge-tree", "--write-tree", "-z", "--messages", ours, theirs];
    let output = git.try_with("merge-tree", &args, &[])?;
    match output.code {
        0 | 1 => {
            let mut merged = parse(&output.stdout, output.code == 1)?;
            // Where a file and a folder collide, git also names the place it would move the file to.
            let moved = [format!("~{ours}"), format!("~{theirs}")];
            merged.conflicts.retain(|path, _| !moved.iter().any(|end| path.ends_with(end)));
            Ok(merged)
        }
        _ => Err(failed("merge-tree", if output.stderr.is_empty() { "cannot merge" } else { &output.stderr })),
    }
}

/// `tree NUL (mode oid stage TAB path NUL)* NUL (count NUL path* type NUL message NUL)*`; see git-merge-tree(1), OUTPUT.
fn parse(output: &[u8], conflicted: bool) -> Result<Merged, ShadowError> {
    let strange = || failed("merge-tree", "unexpected output");
    let text = String::from_utf8_lossy(output);
    let mut fields = text.split('\0');
    let tree = fields.next().map(str::trim).filter(|tree| commit_id(tree).is_ok()).ok_or_else(strange)?.to_owned();
    let mut conflicts = BTreeMap::new();
    if !conflicted {
        return Ok(Merged { tree, conflicts });
    }
    let mut unmerged = BTreeSet::new();
    for field in fields.by_ref().take_while(|field| !field.is_empty()) {
        let (_, path) = field.split_once('\t').ok_or_else(strange)?;
        unmerged.insert(path.to_owned());
    }
    while let Some(count) = fields.next().and_then(|count| count.parse::<usize>().ok()) {
        let paths: Vec<&str> = fields.by_ref().take(count).collect();
        let (kind, message) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        if let Some(kind) = collision_kind(kind, message) {
            for path in paths {
                note(conflicts.entry(path.to_owned()).or_default(), &kind, message);
            }
        }
    }
    for path in unmerged {
        note(conflicts.entry(path).or_default(), "content", "");
    }
    Ok(Merged { tree, conflicts })
}

/// The first word for a collision stays, except that `binary` says more than `content`.
fn note(collision: &mut Collision, kind: &str, message: &str) {
    if collision.kind.is_empty() || kind == "binary" {
        collision.kind = kind.to_owned();
        collision.message = message.trim().to_owned();
    }
}

/// `CONFLICT (add/add): …` → `add/add`; the type knows better only for binary files, whose message is a warning.
fn collision_kind(kind: &str, message: &str) -> Option<String> {
    let within = |text: &str| Some(text.strip_prefix("CONFLICT (")?.split_once(')')?.0.to_owned());
    let kind = within(kind)?;
    Some(if kind == "binary" { kind } else { within(message).unwrap_or(kind) })
}

#[cfg(test)]
mod tests {
    use super::parse;

    const TREE: &str = "ebbc07ead4de4d47c1ace329b1aa4515cdbec201";

    #[test]
    fn every_kind_of_collision_is_read() -> Result<(), crate::port::ShadowError> {
        let output = format!(
            "{TREE}\0100644 aa 2\taa\0100644 bb 3\taa\0100644 cc 1\tbin\0100644 dd 1\tmd\0\0\
             1\0aa\0Auto-merging\0Auto-merging aa\n\0\
             1\0aa\0CONFLICT (contents)\0CONFLICT (add/add): Merge conflict in aa\n\0\
             1\0bin\0CONFLICT (binary)\0warning: Cannot merge binary files: bin\n\0\
             1\0bin\0CONFLICT (contents)\0CONFLICT (content): Merge conflict in bin\n\0\
             1\0md\0CONFLICT (modify/delete)\0CONFLICT (modify/delete): md deleted\n\0"
        );
        let merged = parse(output.as_bytes(), true)?;
        let kinds: Vec<_> = merged.conflicts.iter().map(|(path, it)| (path.as_str(), it.kind.as_str())).collect();
        assert_eq!(kinds, [("aa", "add/add"), ("bin", "binary"), ("md", "modify/delete")]);
        assert_eq!(merged.tree, TREE);
        Ok(())
    }

    #[test]
    fn a_clean_merge_has_only_a_tree_and_rubbish_is_refused() -> Result<(), crate::port::ShadowError> {
        let merged = parse(format!("{TREE}\0\01\0a\0Auto-merging\0Auto-merging a\n\0").as_bytes(), false)?;
        assert!(merged.conflicts.is_empty());
        assert!(parse(b"fatal: no", true).is_err());
        Ok(())
    }
}
