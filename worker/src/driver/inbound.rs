//! What the host sends on streams of its own before it assigns work.

use std::{io, sync::Arc, time::Duration};

use bus_schemas::v1::guest::{DataHeader, StreamAnswer};
use tokio::{io::AsyncReadExt, sync::mpsc};

use super::serve::Report;
use crate::{
    adapter::{
        blocking::BlockingReader,
        data::{self, Stream},
        restore, skills,
        unpack::{self, UnpackError, Unpacked},
    },
    port::Machine,
};

/// The longest transcript, in bytes; a guest has little memory.
const TRANSCRIPT_BYTES: u64 = 128 * 1024 * 1024;
/// What is left of a stream that is refused is read for so long, so that the host hears the answer.
const DRAIN_WAIT: Duration = Duration::from_secs(10);

/// What came of a stream, as far as the loop has to know.
#[derive(Debug)]
pub(super) enum Taken {
    /// An earlier attempt's transcript.
    Transcript(Vec<u8>),
    /// The workspace is as an earlier attempt left it.
    Restored,
    /// It is neither as it came nor as it should be.
    NotRestored,
}

/// Unpacks the workspace.
pub(super) async fn workspace<M: Machine>(machine: Arc<M>, stream: Stream) -> Result<Unpacked, UnpackError> {
    let tar = BlockingReader::new(stream);
    let unpacking = tokio::task::spawn_blocking(move || unpack::unpack(machine.as_ref(), tar));
    unpacking.await.unwrap_or_else(|error| Err(UnpackError::from(io::Error::other(error))))
}

/// Takes skills, a transcript or an earlier attempt's changes; tells the loop, then the host.
pub(super) async fn take(
    machine: Arc<dyn Machine>,
    header: DataHeader,
    stream: Stream,
    reports: &mpsc::Sender<Report>,
) {
    let (mut stream, taken, failed) = match header {
        DataHeader::Transcript => transcript(stream).await,
        DataHeader::Restore => {
            let (stream, restored) =
                blocking(stream, move |tar| restore::restore(&machine.layout().workspace, tar)).await;
            let taken = if restored.is_ok() { Taken::Restored } else { Taken::NotRestored };
            (stream, Some(taken), restored.err())
        }
        _ => {
            let (stream, unpacked) = blocking(stream, move |tar| skills::unpack(machine.as_ref(), tar)).await;
            (stream, None, unpacked.err())
        }
    };
    if let Some(taken) = taken {
        let _ = reports.send(Report::Taken(taken)).await;
    }
    let answer = match failed {
        None => StreamAnswer::Done,
        Some(detail) => StreamAnswer::Failed { detail },
    };
    let Some(stream) = &mut stream else { return };
    if answer != StreamAnswer::Done {
        let _ = tokio::time::timeout(DRAIN_WAIT, tokio::io::copy(stream, &mut tokio::io::sink())).await;
    }
    if let Err(error) = data::answer(stream, &answer).await {
        tracing::warn!(%error, "answer a stream");
    }
}

async fn transcript(mut stream: Stream) -> (Option<Stream>, Option<Taken>, Option<String>) {
    let mut bytes = Vec::new();
    let read = (&mut stream).take(TRANSCRIPT_BYTES + 1).read_to_end(&mut bytes).await;
    match read {
        Err(error) => (Some(stream), None, Some(error.to_string())),
        Ok(_) if bytes.len() as u64 > TRANSCRIPT_BYTES => {
            (Some(stream), None, Some(format!("a transcript of more than {TRANSCRIPT_BYTES} bytes")))
        }
        Ok(_) => (Some(stream), Some(Taken::Transcript(bytes)), None),
    }
}

/// Reads the stream on a thread that may block; gives it back.
async fn blocking(
    stream: Stream,
    read: impl FnOnce(&mut BlockingReader) -> Result<(), UnpackError> + Send + 'static,
) -> (Option<Stream>, Result<(), String>) {
    let mut reader = BlockingReader::new(stream);
    let reading = tokio::task::spawn_blocking(move || {
        let read = read(&mut reader).map_err(|error| error.detail);
        (reader.into_stream(), read)
    });
    match reading.await {
        Ok((stream, read)) => (Some(stream), read),
        Err(error) => (None, Err(error.to_string())),
    }
}
