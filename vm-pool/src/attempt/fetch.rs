//! Getting a commit onto this host.

use std::{path::Path, time::Duration};

use bus_schemas::{id::ProjectId, v1::task::FailureReason};

use super::Failure;
use crate::adapter::{
    bus::{self, BusError, HostBus},
    workspace::{Store, WorkspaceError},
};

/// A chain of bundles longer than this is no chain.
const MAX_CHAIN: usize = 10_000;

/// Sees to it that the store has `commit` and everything before it, fetching bundles from the object store. Waits for
/// a bus that is away; the caller's time limit ends that.
///
/// # Errors
/// `MissingObject` if a bundle is not there, else what the store says.
pub(super) async fn ensure(
    bus: &HostBus,
    store: &Store,
    scratch: &Path,
    project_id: ProjectId,
    commit: &str,
) -> Result<(), Failure> {
    let mut wanted = vec![commit.to_owned()];
    let mut fetched: Vec<(String, tempfile::TempPath)> = Vec::new();
    while let Some(commit) = wanted.pop() {
        if store.has(project_id, &commit) || fetched.iter().any(|(have, _)| *have == commit) {
            continue;
        }
        if fetched.len() >= MAX_CHAIN {
            return Err(Failure::new(FailureReason::MissingObject, format!("commit {commit} has too long a history")));
        }
        let file = tempfile::NamedTempFile::new_in(scratch)
            .map_err(|e| Failure::host(&e, "create a file for a bundle"))?
            .into_temp_path();
        let name = format!("commit/{commit}");
        let Some(parents) = patiently(|| bus.fetch_object(&name, &file)).await else {
            let detail = format!("the bundle of commit {commit} is not in the object store");
            return Err(Failure::new(FailureReason::MissingObject, detail));
        };
        wanted.extend(parents.split_whitespace().map(str::to_owned));
        fetched.push((commit, file));
    }
    // Parents were found after their children, so they come last; a commit that two children need came once.
    while !fetched.is_empty() {
        let before = fetched.len();
        let mut left = Vec::new();
        let mut refused = None;
        for (commit, file) in fetched.into_iter().rev() {
            let (store, path, id) = (store.clone(), file.to_path_buf(), commit.clone());
            match blocking(move || store.absorb(project_id, &id, &path)).await {
                Ok(()) => {}
                Err(failure) => {
                    refused = Some(failure);
                    left.push((commit, file));
                }
            }
        }
        left.reverse();
        fetched = left;
        if let Some(failure) = refused
            && fetched.len() == before
        {
            return Err(failure);
        }
    }
    Ok(())
}

/// Asks the bus until it answers.
pub(super) async fn patiently<T, F>(ask: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, BusError>>,
{
    let mut delay: Duration = bus::first_pause();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => tracing::warn!(%error, "the bus is away; trying again"),
        }
        bus::pause(&mut delay).await;
    }
}

/// Runs workspace work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WorkspaceError> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Failure::from),
        Err(e) => Err(Failure::new(FailureReason::HostError, format!("workspace work broke off: {e}"))),
    }
}
