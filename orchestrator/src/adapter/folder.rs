//! The folder port over the shadow repositories.

use std::path::Path;

use bus_schemas::id::ProjectId;

use super::shadow::ShadowRepos;
use crate::port::{Folder, FolderError};

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
}
