//! Finding what an earlier attempt remembered.

use std::{io, path::Path, sync::Arc, time::Duration};

use bus_schemas::{
    id::AttemptRef,
    stream::{blob_object, checkpoint_object},
    v1::agent::{Checkpoint, Part},
};
use tempfile::TempPath;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::piece::{Piece, digest};
use crate::adapter::bus::{HostBus, first_pause, pause};

/// The most parts of a transcript; merging leaves far fewer.
const MAX_PARTS: usize = 256;
/// The largest object that points to the parts, in bytes.
const MAX_POINTER_BYTES: u64 = 256 * 1024;
/// An object that is there comes within this.
const FETCH_WAIT: Duration = Duration::from_secs(120);
/// A server that answers, but not with the object, is asked so often before the object counts as damaged.
const TRIES: usize = 8;

/// What an attempt goes on from.
#[derive(Debug)]
pub struct Resumed {
    /// Whose it is.
    pub from: AttemptRef,
    /// The last turn in it.
    pub turn: u32,
    /// The commit that the changes count from.
    pub base_commit: String,
    /// The transcript's parts, in order.
    pub transcript: Vec<Arc<Piece>>,
    /// The tar of changes.
    pub changes: Option<Piece>,
}

impl Resumed {
    /// The whole transcript.
    ///
    /// # Errors
    /// A file cannot be opened.
    pub async fn transcript(&self) -> io::Result<impl AsyncRead + Send + use<>> {
        let mut whole: Box<dyn AsyncRead + Send + Unpin> = Box::new(tokio::io::empty());
        for piece in &self.transcript {
            whole = Box::new(whole.chain(tokio::fs::File::open(&piece.path).await?));
        }
        Ok(whole)
    }
}

/// The first of `candidates` whose checkpoint is there, whole and as its digests say. Waits for a bus that is away.
/// `say` hears of those that cannot be used.
///
/// # Errors
/// The host's own files fail.
pub async fn newest(
    bus: &HostBus,
    scratch: &Path,
    candidates: impl IntoIterator<Item = AttemptRef>,
    mut say: impl FnMut(String),
) -> io::Result<Option<Resumed>> {
    for from in candidates {
        let mut found = fetch(bus, scratch, from).await?;
        if found.is_err() {
            // An attempt that still runs somewhere may have saved another turn meanwhile, and tidied up after it.
            found = fetch(bus, scratch, from).await?;
        }
        match found {
            Ok(Some(resumed)) => return Ok(Some(resumed)),
            Ok(None) => {}
            Err(flaw) => say(format!("the checkpoint of attempt {} cannot be used: {flaw}", from.number)),
        }
    }
    Ok(None)
}

/// The checkpoint of one attempt; the inner error says what is wrong with it.
async fn fetch(bus: &HostBus, scratch: &Path, from: AttemptRef) -> io::Result<Result<Option<Resumed>, String>> {
    let Some(pointer) = object(bus, scratch, &checkpoint_object(&from)).await? else { return Ok(Ok(None)) };
    let mut body = Vec::new();
    tokio::fs::File::open(&pointer).await?.take(MAX_POINTER_BYTES).read_to_end(&mut body).await?;
    let checkpoint: Checkpoint = match serde_json::from_slice(&body) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Ok(Err(format!("it is none: {error}"))),
    };
    let Checkpoint { turn, transcript: parts, changes, base_commit } = checkpoint;
    if parts.len() > MAX_PARTS {
        return Ok(Err(format!("its transcript has {} parts", parts.len())));
    }
    let mut transcript = Vec::with_capacity(parts.len());
    for part in parts {
        match verified(bus, scratch, &blob_object(&part.sha256), &part).await? {
            Ok(piece) => transcript.push(Arc::new(piece)),
            Err(flaw) => return Ok(Err(flaw)),
        }
    }
    let changes = match changes {
        None => None,
        Some(part) => match verified(bus, scratch, &blob_object(&part.sha256), &part).await? {
            Ok(piece) => Some(piece),
            Err(flaw) => return Ok(Err(flaw)),
        },
    };
    Ok(Ok(Some(Resumed { from, turn, base_commit, transcript, changes })))
}

/// An object as a file, if it is there and what `part` says of it is true; the inner error says what is wrong with it. Waits
/// for a bus that is away.
///
/// # Errors
/// The host's own files fail.
pub async fn verified(bus: &HostBus, scratch: &Path, name: &str, part: &Part) -> io::Result<Result<Piece, String>> {
    let Some(path) = object(bus, scratch, name).await? else {
        return Ok(Err(format!("the object {name} ({} bytes) is missing", part.bytes)));
    };
    let piece = digest(path).await?;
    Ok(if piece.part == *part { Ok(piece) } else { Err(format!("the object {name} is damaged")) })
}

/// An object as a file; `None` if there is none, or none that can be read.
async fn object(bus: &HostBus, scratch: &Path, name: &str) -> io::Result<Option<TempPath>> {
    let path = tempfile::NamedTempFile::new_in(scratch)?.into_temp_path();
    let (mut delay, mut tries) = (first_pause(), 0);
    loop {
        let failed = match tokio::time::timeout(FETCH_WAIT, bus.fetch_object(name, &path)).await {
            Ok(Ok(found)) => return Ok(found.map(|_| path)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("fetch object: {name}: it does not come"),
        };
        tracing::warn!(error = %failed, "fetch a part of a checkpoint");
        tries += usize::from(bus.is_connected());
        if tries >= TRIES {
            return Ok(None);
        }
        pause(&mut delay).await;
    }
}
