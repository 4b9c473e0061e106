//! The folder port over the shadow repositories.

use std::path::Path;

use bus_schemas::id::ProjectId;

use super::shadow::ShadowRepos;
use crate::port::{Folder, FolderError};

/// The most paths that are named of those in the way.
const CLASHES: usize = 10;

impl Folder for ShadowRepos {
    fn write(&self, project_id: ProjectId, before: &str, after: &str, folder: &str) -> Result<(), FolderError> {
        match self.write_folder(project_id, before, after, Path::new(folder)) {
            Ok(report) => {
                tracing::info!(project.id = %project_id, ?report, "folder written");
                Ok(())
            }
            Err(error) => {
                let detail = error.with_causes();
                // What cannot be known counts as written: then nobody takes a half-written folder for an untouched one.
                let begun = self.has_begun(project_id, before, after).unwrap_or(true);
                tracing::warn!(project.id = %project_id, begun, detail, "folder not written");
                Err(if begun { FolderError::HalfWritten(detail) } else { FolderError::Untouched(detail) })
            }
        }
    }

    fn work_out(
        &self,
        project_id: ProjectId,
        base: &str,
        result: &str,
        folder: &str,
    ) -> Result<(String, String), String> {
        let plan = self.plan_apply(project_id, base, result, Path::new(folder)).map_err(|error| error.with_causes())?;
        let clashes: Vec<&str> = plan.conflicts.iter().map(|conflict| conflict.path.as_str()).collect();
        plan.after_commit.map(|after| (plan.before_commit, after)).ok_or_else(|| {
            let shown =
                clashes.get(..CLASHES).map_or_else(|| clashes.join(", "), |some| format!("{}, ...", some.join(", ")));
            format!("the folder and the result changed the same places: {shown}; `baton apply --dry-run` shows them")
        })
    }
}
