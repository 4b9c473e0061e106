//! Saving the turns of one attempt.

use std::{collections::BTreeSet, io, path::PathBuf, sync::Arc, time::Duration};

use bus_schemas::{
    id::AttemptRef,
    stream::{blob_object, checkpoint_object},
    v1::{
        agent::{Checkpoint, Part},
        guest::{StreamAnswer, TRANSCRIPT_FULL},
    },
};
use tokio::{io::AsyncWriteExt as _, time::Instant};

use super::{
    piece::{Piece, append, begins_with, digest},
    resume::Resumed,
};
use crate::adapter::{
    bus::{BusError, HostBus, first_pause, pause},
    session::SavedTurn,
};

/// To take a turn's bytes from the guest; a large tree on a slow machine takes minutes.
const TAKE_WAIT: Duration = Duration::from_secs(600);
/// The longest transcript over all turns, in bytes: a guest that resumes from it holds it in memory.
const MAX_TRANSCRIPT_BYTES: u64 = 256 * 1024 * 1024;

/// What may be saved.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The last turn there can be.
    pub last_turn: u32,
    /// The largest tar of changes, in bytes.
    pub changes_bytes: u64,
}

/// Saves the turns of one attempt.
#[derive(Debug)]
pub struct Checkpoints {
    bus: HostBus,
    attempt: AttemptRef,
    scratch: PathBuf,
    bounds: Bounds,
    now: Saved,
    /// What was saved before the last turn, and that turn's piece: the guest may not have heard that it was taken, and
    /// send it again.
    last: Option<(Saved, u32, Arc<Piece>)>,
    /// Pieces in the object store that this attempt has stored, or made sure that nobody removes.
    held: BTreeSet<String>,
}

/// A checkpoint whose transcript is at hand.
#[derive(Clone, Debug, Default)]
struct Saved {
    turn: u32,
    parts: Vec<Arc<Piece>>,
    changes: Option<Part>,
    base_commit: String,
}

/// Why a turn was not taken.
#[derive(Debug, thiserror::Error)]
enum Untaken {
    #[error("turn {turn} is beyond the last one there can be, {last}")]
    Future { turn: u32, last: u32 },
    #[error("{TRANSCRIPT_FULL}: it would be longer than {MAX_TRANSCRIPT_BYTES} bytes")]
    TooLong,
    #[error("{0}")]
    Guest(io::Error),
    #[error("the host could not keep it: {0}")]
    Host(io::Error),
}

impl Checkpoints {
    /// Goes on from what was resumed. Files live in `scratch` as long as this does.
    #[must_use]
    pub fn new(
        bus: HostBus,
        attempt: AttemptRef,
        base_commit: &str,
        scratch: PathBuf,
        bounds: Bounds,
        resumed: Option<&Resumed>,
    ) -> Self {
        let now = resumed.map_or_else(Saved::default, |resumed| Saved {
            turn: resumed.turn,
            parts: resumed.transcript.clone(),
            changes: resumed.changes.as_ref().map(|piece| piece.part.clone()),
            base_commit: String::new(),
        });
        let now = Saved { base_commit: base_commit.to_owned(), ..now };
        Self { bus, attempt, scratch, bounds, now, last: None, held: BTreeSet::new() }
    }

    /// The last turn that is saved by this attempt or one it goes on from; 0 if none is.
    #[must_use]
    pub const fn turn(&self) -> u32 {
        self.now.turn
    }

    /// Takes a turn and answers the guest; waits for a bus that is away, and the agent with it. Not cancel safe: dropped
    /// in the middle, what was saved before is what is saved.
    pub async fn save(&mut self, mut turn: SavedTurn) {
        let answer = match self.take(&mut turn).await {
            Ok(()) => StreamAnswer::Done,
            Err(untaken) => {
                tracing::warn!(attempt = %self.attempt, turn = turn.turn, %untaken, "a checkpoint was not taken");
                StreamAnswer::Failed { detail: untaken.to_string() }
            }
        };
        turn.answer(&answer).await;
        self.tidy().await;
    }

    async fn take(&mut self, turn: &mut SavedTurn) -> Result<(), Untaken> {
        if turn.turn > self.bounds.last_turn {
            return Err(Untaken::Future { turn: turn.turn, last: self.bounds.last_turn });
        }
        let deadline = Instant::now() + TAKE_WAIT;
        let (added, changes) = self.receive(turn, deadline).await?;
        let again = match &self.last {
            Some((before, number, piece)) if *number == turn.turn => {
                begins_with(&added, piece).await.map_err(Untaken::Host)?.then_some(before)
            }
            _ => None,
        };
        let before = again.unwrap_or(&self.now).clone();
        let total: u64 = before.parts.iter().map(|piece| piece.part.bytes).sum();
        if total.saturating_add(added.part.bytes) > MAX_TRANSCRIPT_BYTES {
            return Err(Untaken::TooLong);
        }
        let added = Arc::new(added);
        let parts = before.parts.clone();
        let (parts, fresh) = append(parts, Arc::clone(&added), &self.scratch).await.map_err(Untaken::Host)?;
        let changed = changes.as_ref().map(|piece| piece.part.clone());
        let saved = Saved {
            turn: turn.turn,
            parts,
            changes: changed.or_else(|| before.changes.clone()),
            base_commit: before.base_commit.clone(),
        };
        for piece in fresh.iter().map(|piece| &**piece).chain(&changes) {
            self.store(piece).await;
        }
        self.share(&saved).await;
        self.point(&saved).await?;
        self.now = saved;
        self.last = Some((before, turn.turn, added));
        Ok(())
    }

    /// Takes what the guest sends into files.
    async fn receive(&self, turn: &mut SavedTurn, deadline: Instant) -> Result<(Piece, Option<Piece>), Untaken> {
        let (mut file, path) = self.file()?;
        turn.transcript(&mut file, deadline).await.map_err(Untaken::Guest)?;
        let added = digest(path).await.map_err(Untaken::Host)?;
        if !turn.with_changes {
            return Ok((added, None));
        }
        let (mut file, path) = self.file()?;
        let mut changes = turn.changes(self.bounds.changes_bytes, deadline).await.map_err(Untaken::Guest)?;
        tokio::io::copy(&mut changes, &mut file).await.map_err(Untaken::Guest)?;
        file.flush().await.map_err(Untaken::Host)?;
        Ok((added, Some(digest(path).await.map_err(Untaken::Host)?)))
    }

    fn file(&self) -> Result<(tokio::fs::File, tempfile::TempPath), Untaken> {
        let (file, path) = tempfile::NamedTempFile::new_in(&self.scratch).map_err(Untaken::Host)?.into_parts();
        Ok((tokio::fs::File::from_std(file), path))
    }

    /// Stores a piece under its digest, however long that takes.
    async fn store(&mut self, piece: &Piece) {
        let (name, owner) = (blob_object(&piece.part.sha256), self.attempt.to_string());
        patiently(|| self.bus.keep_object(&name, &owner, &piece.path)).await;
        self.held.insert(piece.part.sha256.clone());
    }

    /// What was resumed was stored by another attempt, which may still run somewhere and must not remove it now.
    async fn share(&mut self, saved: &Saved) {
        let owner = self.attempt.to_string();
        for sha256 in saved.digests() {
            if !self.held.contains(sha256) {
                let name = blob_object(sha256);
                patiently(|| self.bus.share_object(&name, &owner)).await;
                self.held.insert(sha256.to_owned());
            }
        }
    }

    /// Removes what the checkpoint, and the one before it, do not need any more. What fails is tried again after the next turn.
    async fn tidy(&mut self) {
        let before = self.last.as_ref().map(|(before, ..)| before);
        let needed: BTreeSet<&str> = self.now.digests().chain(before.into_iter().flat_map(Saved::digests)).collect();
        let spent: Vec<String> = self.held.iter().filter(|held| !needed.contains(held.as_str())).cloned().collect();
        for sha256 in spent {
            match self.bus.drop_object(&blob_object(&sha256), &self.attempt.to_string()).await {
                Ok(()) => drop(self.held.remove(&sha256)),
                Err(error) => return tracing::debug!(%error, "a piece of an old checkpoint stays"),
            }
        }
    }

    /// Overwrites the object that points to everything.
    async fn point(&self, saved: &Saved) -> Result<(), Untaken> {
        let checkpoint = Checkpoint {
            turn: saved.turn,
            transcript: saved.parts.iter().map(|piece| piece.part.clone()).collect(),
            changes: saved.changes.clone(),
            base_commit: saved.base_commit.clone(),
        };
        let body = serde_json::to_vec(&checkpoint).map_err(|e| Untaken::Host(e.into()))?;
        let name = checkpoint_object(&self.attempt);
        patiently(|| self.bus.overwrite_object(&name, &body)).await;
        Ok(())
    }
}

impl Saved {
    fn digests(&self) -> impl Iterator<Item = &str> {
        let parts = self.parts.iter().map(|piece| piece.part.sha256.as_str());
        parts.chain(self.changes.iter().map(|part| part.sha256.as_str()))
    }
}

async fn patiently<F: Future<Output = Result<(), BusError>>>(ask: impl Fn() -> F) {
    let mut delay = first_pause();
    while let Err(error) = ask().await {
        tracing::warn!(%error, "a checkpoint waits for the bus");
        pause(&mut delay).await;
    }
}
