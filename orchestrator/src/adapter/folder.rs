//! The folder port over the shadow repositories.

use std::path::Path;

use bus_schemas::id::ProjectId;

use super::shadow::{ApplyError, ShadowRepos};
use crate::port::{Folder, FolderError};

impl Folder for ShadowRepos {
    fn write(&self, project_id: ProjectId, before: &str, after: &str, folder: &str) -> Result<(), FolderError> {
        match self.write_folder(project_id, before, after, Path::new(folder)) {
            Ok(report) => {
                tracing::info!(project.id = %project_id, ?report, "folder written");
                Ok(())
            }
            Err(
                error @ (ApplyError::ChangedMeanwhile { .. }
                | ApplyError::Obstructed { .. }
                | ApplyError::UnsafePath { .. }),
            ) => Err(FolderError::Changed(error.to_string())),
            Err(error) => Err(FolderError::Blocked(error.to_string())),
        }
    }
}
