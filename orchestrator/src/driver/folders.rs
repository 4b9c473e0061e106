//! Whose turn it is: with a folder, which projects may share and which has many names, or with anything else that has one name.

use std::{
    collections::HashMap,
    hash::Hash,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// One turn per name.
#[derive(Debug)]
pub struct Turns<K>(Mutex<HashMap<K, Arc<Turn<()>>>>);

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Turns<K> {
    /// Waits for the turn of `name` and holds it until the guard is dropped.
    pub async fn turn(&self, name: K) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody holds or awaits these.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(name).or_default())
        };
        turn.lock_owned().await
    }
}

/// One turn per folder.
#[derive(Debug, Default)]
pub struct FolderTurns(Turns<PathBuf>);

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
        self.0.turn(real.ok().and_then(Result::ok).unwrap_or(named)).await
    }
}
