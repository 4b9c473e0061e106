//! Takes an apply back.

use std::path::Path;

use bus_schemas::{
    id::ProjectId,
    v1::{api::ApplyView, handoff::ChangedPath},
};

use super::{
    ShadowRepos,
    blobs::Blobs,
    diff::{describe, tree_changes},
    error::ApplyError,
    folder::Folder,
    record::Record,
    scan::check_folder,
    write::{Writer, shown},
};

impl ShadowRepos {
    /// Brings the paths that differ between `before` and `after` back to what they were before the apply: content,
    /// permission bits, and the folders above them. Idempotent; also takes back an apply that was interrupted, or that
    /// has not written anything yet.
    ///
    /// With `force`, paths that were changed after the apply are put back, too, and their present content is lost.
    ///
    /// # Errors
    /// [`ApplyError::ChangedMeanwhile`] names paths that were changed after the apply; nothing was written then.
    pub fn undo(
        &self,
        project_id: ProjectId,
        before: &str,
        after: &str,
        folder: &Path,
        force: bool,
    ) -> Result<ApplyView, ApplyError> {
        let real = check_folder(folder)?;
        let view = |changed: Vec<ChangedPath>| ApplyView {
            folder: shown(folder),
            dry_run: false,
            changed,
            merged_with_yours: Vec::new(),
            conflicts: Vec::new(),
        };
        self.exclusively(project_id, || {
            let git = self.git(project_id);
            let changes = tree_changes(&git, after, before)?;
            // Without a record nothing was written, and what was taken back is: the folder is the person's alone.
            let Some(mut record) = Record::load(&git, before, after)?.filter(|record| !record.taken_back) else {
                return Ok(view(Vec::new()));
            };
            let open = Folder::open(&real).map_err(|source| ApplyError::io("open", &shown(&real), source))?;
            let mut writer = Writer::new(&open, Blobs::open(&git)?, &changes, Some(&record));
            writer.check(force)?;
            writer.write(force)?;
            drop(writer);
            record.taken_back = true;
            record.save(&git, before, after)?;
            Ok(view(describe(&mut Blobs::open(&git)?, &changes)?))
        })
    }
}
