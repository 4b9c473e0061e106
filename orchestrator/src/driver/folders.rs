//! Whose turn it is with a folder: projects may share one, and a folder has many names.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// One turn per folder.
#[derive(Debug, Default)]
pub struct FolderTurns(Mutex<HashMap<PathBuf, Arc<Turn<()>>>>);

impl FolderTurns {
    /// Waits for the folder's turn and holds it until the guard is dropped. Links are followed: two names of one folder
    /// share its turn.
    pub async fn turn(&self, folder: impl AsRef<Path>) -> OwnedMutexGuard<()> {
        let named = folder.as_ref().to_owned();
        let real = {
            let named = named.clone();
            tokio::task::spawn_blocking(move || std::fs::canonicalize(named)).await
        };
        // A folder that is not there has only the one name.
        let real = real.ok().and_then(Result::ok).unwrap_or(named);
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody holds or awaits these.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(real).or_default())
        };
        turn.lock_owned().await
    }
}
