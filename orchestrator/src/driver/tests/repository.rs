//! A repository that has everything.

use std::sync::PoisonError;

use bus_schemas::id::ProjectId;

use super::Notes;
use crate::port::{Bundle, Changes, Folder, FolderError, Shadow, ShadowError};

/// See the module.
#[derive(Debug)]
pub(super) struct Everything;

impl Shadow for Everything {
    fn merge(&self, _: ProjectId, commits: &[String]) -> Result<String, ShadowError> {
        Ok(commits.first().cloned().unwrap_or_default())
    }
    fn has(&self, _: ProjectId, _: &str) -> bool {
        true
    }
    fn bundle(&self, _: ProjectId, _: &str) -> Result<Bundle, ShadowError> {
        Ok(Bundle { parents: Vec::new(), bytes: Vec::new() })
    }
    fn absorb(&self, _: ProjectId, _: &str, _: &[u8]) -> Result<(), ShadowError> {
        Ok(())
    }
    fn changes(&self, _: ProjectId, _: &str, _: &str) -> Result<Changes, ShadowError> {
        Ok(Changes { lines_added: 3, ..Changes::default() })
    }
}

impl Folder for Notes {
    fn write(&self, _: ProjectId, _: &str, after: &str, _: &str) -> Result<(), FolderError> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).push(after.to_owned());
        match after {
            "half" => Err(FolderError::HalfWritten("the disk is full".to_owned())),
            "nothing" => Err(FolderError::Untouched("out is in the way".to_owned())),
            _ => Ok(()),
        }
    }
    fn work_out(&self, _: ProjectId, _: &str, _: &str, folder: &str) -> Result<(String, String), String> {
        if folder == "/gone" { Err("/gone is not there".to_owned()) } else { Ok(("now".to_owned(), "then".to_owned())) }
    }
}
