//! The changes: out of the VM, into a commit, to where other hosts find it.

use std::{fs::File, time::Duration};

use bus_schemas::v1::task::{FailureReason, Offer};
use tokio::time::Instant;

use super::{
    Desk, Failure,
    fetch::{blocking, patiently},
    guest, one_line,
    services::TAR_OVERHEAD_BYTES,
};
use crate::{
    adapter::workspace::{Committed, Globs, ImportRequest, import},
    driver::now,
    lease::Leased,
    port::Vm,
};

/// To hand the changes over.
const COLLECT_WAIT: Duration = Duration::from_secs(600);
/// Paths named when outputs are violated.
const NAMED_PATHS: usize = 20;

/// Copies the tar of changes into a file.
pub(super) async fn collect<V: Vm>(desk: &Desk, leased: &mut Leased<V>, offer: &Offer) -> Result<File, Failure> {
    let full = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::FileTooLarge => Failure::new(FailureReason::ChangesTooLarge, e.to_string()),
        std::io::ErrorKind::TimedOut | std::io::ErrorKind::UnexpectedEof => {
            Failure::new(FailureReason::GuestLost, e.to_string())
        }
        _ => Failure::host(&e, "take the changes out of the VM"),
    };
    let file = tempfile::tempfile_in(&desk.scratch).map_err(|e| Failure::host(&e, "create a file for the changes"))?;
    let mut file = tokio::fs::File::from_std(file);
    let limit = offer.limits.changes_bytes.saturating_add(TAR_OVERHEAD_BYTES);
    guest::attended(leased, async |session| {
        let mut changes = session.collect(limit, Instant::now() + COLLECT_WAIT).await?;
        tokio::io::copy(&mut changes, &mut file).await.map_err(full)?;
        tokio::io::AsyncWriteExt::flush(&mut file).await.map_err(full)
    })
    .await?;
    Ok(file.into_std().await)
}

/// Validates the changes and commits them.
pub(super) async fn commit(desk: &Desk, offer: &Offer, mut tar: File) -> Result<Committed, Failure> {
    let (store, project_id) = (desk.store.clone(), offer.attempt.project_id);
    let base = offer.base_commit.clone();
    let limit_bytes = offer.limits.changes_bytes;
    let message = format!("{}\n\nTask {}, attempt {}.\n", one_line(&offer.title), offer.task_key, offer.attempt.number);
    let at_s = now().0 / 1_000;
    let scratch = desk.scratch.clone();
    let committed = blocking(move || {
        let request = ImportRequest { base: &base, limit_bytes, message: &message, at_s, scratch: &scratch };
        import(&store.repo(project_id)?, &mut tar, &request)
    })
    .await?;
    let outputs = Globs::new(&offer.outputs)?;
    let mut foreign: Vec<&str> = committed
        .changed
        .iter()
        .filter(|change| !outputs.matches(change.path.as_bytes()))
        .map(|change| change.path.as_str())
        .collect();
    if !foreign.is_empty() {
        let more = foreign.len().saturating_sub(NAMED_PATHS);
        foreign.truncate(NAMED_PATHS);
        let and = if more > 0 { format!(" and {more} more") } else { String::new() };
        let detail = format!("changed outside its outputs: {}{and}", foreign.join(", "));
        return Err(Failure::new(FailureReason::OutputsViolated, detail));
    }
    Ok(committed)
}

/// Puts the commit where other hosts find it.
pub(super) async fn publish_commit(desk: &Desk, offer: &Offer, commit: &str) -> Result<(), Failure> {
    if commit == offer.base_commit {
        return Ok(());
    }
    let file = tempfile::NamedTempFile::new_in(&desk.scratch)
        .map_err(|e| Failure::host(&e, "create a file for a bundle"))?
        .into_temp_path();
    let (store, project_id, path) = (desk.store.clone(), offer.attempt.project_id, file.to_path_buf());
    let (id, parents) = (commit.to_owned(), vec![offer.base_commit.clone()]);
    blocking(move || store.bundle(project_id, &id, &parents, &path)).await?;
    let name = format!("commit/{commit}");
    patiently(|| desk.bus.store_object(&name, &offer.base_commit, &file)).await;
    Ok(())
}
