//! What applying a result to a folder would do.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bus_schemas::{
    id::ProjectId,
    v1::{
        api::{ApplyView, Conflict},
        handoff::ChangedPath,
    },
};

use super::{
    ShadowRepos,
    blobs::Blobs,
    bundle::IMPORTS,
    diff::{describe, tree_changes},
    error::ApplyError,
    git::Git,
    merge::{Collision, merge_trees},
};
use crate::port::ShadowError;

/// The most text of a conflict that is handed out, in bytes (see [`Conflict::text`]).
const CONFLICT_BYTES: usize = 16 << 10;

/// What applying would do. Nothing is written yet; [`ShadowRepos::write_folder`] does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyPlan {
    /// The folder as it is now; what an undo goes back to.
    pub before_commit: String,
    /// The folder with the result in it; nothing if there are conflicts.
    pub after_commit: Option<String>,
    /// The paths that would change in the folder.
    pub changed: Vec<ChangedPath>,
    /// Those of them the person had changed, too: both changes are in the file then.
    pub merged_with_yours: Vec<String>,
    /// Where both changed the same place. Not empty means that nothing can be written.
    pub conflicts: Vec<Conflict>,
    /// What a person should know about the folder.
    pub warnings: Vec<String>,
}

impl ApplyPlan {
    /// The plan as the API shows it.
    #[must_use]
    pub fn view(&self, folder: &Path, dry_run: bool) -> ApplyView {
        ApplyView {
            folder: folder.display().to_string(),
            dry_run,
            changed: self.changed.clone(),
            merged_with_yours: self.merged_with_yours.clone(),
            conflicts: self.conflicts.clone(),
        }
    }
}

impl ShadowRepos {
    /// Works out what the change from `base` to `result` means for the folder as it is now. Writes nothing to it.
    ///
    /// Files the project was started with ([`Self::with_inputs`]) are neither the folder's nor the result's.
    ///
    /// Files the result changes count as the folder's even when they are ignored, so that none is overwritten unseen.
    ///
    /// # Errors
    /// [`ApplyError`], also for what would stop the writing: what stands in the way, what must not be written. Conflicts are
    /// no error: they are in the plan.
    pub fn plan_apply(
        &self,
        project_id: ProjectId,
        base: &str,
        result: &str,
        folder: &Path,
    ) -> Result<ApplyPlan, ApplyError> {
        let git = self.git(project_id);
        let (base, result) = self.without_inputs(project_id, base, result)?;
        let (base, result) = (base.as_str(), result.as_str());
        let touched: BTreeSet<String> =
            tree_changes(&git, base, result)?.into_iter().map(|change| change.path).collect();
        let now = self.snapshot(project_id, folder, touched)?;
        let (ours, theirs) = triangle(&git, base, &now.commit, result)?;
        let merged = merge_trees(&git, &ours, &theirs)?;
        let mut plan = ApplyPlan {
            before_commit: now.commit.clone(),
            after_commit: None,
            changed: Vec::new(),
            merged_with_yours: Vec::new(),
            conflicts: Vec::new(),
            warnings: now.warnings,
        };
        let mut blobs = Blobs::open(&git)?;
        if !merged.conflicts.is_empty() {
            let labels = [(ours.as_str(), "your folder"), (theirs.as_str(), "the result")];
            plan.conflicts = conflicts(&git, &mut blobs, &merged.tree, &merged.conflicts, &labels)?;
            return Ok(plan);
        }
        let after = git.commit_tree(&merged.tree, std::slice::from_ref(&now.commit), "The folder with the result\n")?;
        git.set_ref(&format!("{IMPORTS}-applied/{after}"), &after)?;
        self.check_writable(project_id, &now.commit, &after, folder)?;
        plan.changed = describe(&mut blobs, &tree_changes(&git, &now.commit, &after)?)?;
        let yours: BTreeSet<String> =
            tree_changes(&git, base, &now.commit)?.into_iter().map(|change| change.path).collect();
        plan.merged_with_yours =
            plan.changed.iter().map(|change| &change.path).filter(|path| yours.contains(*path)).cloned().collect();
        plan.after_commit = Some(after);
        Ok(plan)
    }
}

/// Two commits over one common parent, so that git takes exactly `base` as the merge base whatever history says.
fn triangle(git: &Git, base: &str, ours: &str, theirs: &str) -> Result<(String, String), ShadowError> {
    let tree = |commit: &str| git.run("rev-parse", &["rev-parse", &format!("{commit}^{{tree}}")]).map(|out| out.text());
    let root = git.commit_tree(&tree(base)?, &[], "Before\n")?;
    let over = |commit: &str, side: &str| git.commit_tree(&tree(commit)?, std::slice::from_ref(&root), side);
    Ok((over(ours, "Your folder\n")?, over(theirs, "The result\n")?))
}

fn conflicts(
    git: &Git,
    blobs: &mut Blobs,
    tree: &str,
    collisions: &BTreeMap<String, Collision>,
    labels: &[(&str, &str)],
) -> Result<Vec<Conflict>, ShadowError> {
    let mut found = Vec::new();
    for (path, collision) in collisions {
        let marked = if collision.kind == "binary" { None } else { marked_text(git, blobs, tree, path)? };
        let mut text = marked.unwrap_or_else(|| collision.message.clone());
        for (commit, label) in labels {
            text = text.replace(commit, label);
        }
        let mut text = from_first_marker(text);
        cut(&mut text, CONFLICT_BYTES);
        found.push(Conflict { path: path.clone(), kind: collision.kind.clone(), text });
    }
    Ok(found)
}

/// The file with its conflict markers, if it has some.
fn marked_text(git: &Git, blobs: &mut Blobs, tree: &str, path: &str) -> Result<Option<String>, ShadowError> {
    let listed = git.run("ls-tree", &["ls-tree", "-z", tree, "--", path])?.stdout;
    let listed = String::from_utf8_lossy(&listed);
    let mut words = listed.split([' ', '\t']);
    let (Some(mode), Some("blob"), Some(oid)) = (words.next(), words.next(), words.next()) else { return Ok(None) };
    if mode == "120000" {
        return Ok(None);
    }
    let bytes = blobs.read(oid)?;
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0') && text.contains("<<<<<<< "));
    Ok(text)
}

/// A text that is too long starts three lines before its first conflict.
fn from_first_marker(text: String) -> String {
    let Some(marker) = text.find("<<<<<<< ").filter(|_| text.len() > CONFLICT_BYTES) else { return text };
    let before = text.get(..marker).unwrap_or_default();
    let start = before.rmatch_indices('\n').nth(3).map_or(0, |(end, _)| end + 1);
    text.get(start..).unwrap_or_default().to_owned()
}

/// Cuts a text to at most `limit` bytes, at the end of a character.
fn cut(text: &mut String, limit: usize) {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}
