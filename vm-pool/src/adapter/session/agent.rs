//! What the pool asks of a guest with an agent in it, and what such a guest asks back.

use bus_schemas::v1::{
    agent::Pause,
    call::GuestAnswer,
    guest::{DataHeader, Finished, FromGuest, RefusalCode, StreamAnswer, ToGuest},
    handoff::Usage,
    task::{FailureReason, Note},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::{
    control::cut,
    error::SessionError,
    host::{REASON_WAIT, SEND_WAIT, Session},
};

/// The largest answer on a stream, in bytes.
const ANSWER_BYTES: usize = 64 * 1024;
/// Copied to the guest at once.
const COPY_BYTES: usize = 64 * 1024;
/// What is waited for, in an error.
const TAKEN: &str = "take what it was sent";

/// How an agent's work ended, as the guest says.
#[derive(Clone, Debug, PartialEq)]
pub enum Worked {
    /// It hands on.
    Finished(Box<Finished>),
    /// It waits for something that takes longer than a VM is kept.
    Paused {
        /// For what.
        pause: Pause,
        /// What it used.
        usage: Usage,
    },
    /// It has no use for going on.
    GaveUp {
        /// `ModelFailed`, `OutOfTurns` or `NothingDone`.
        reason: FailureReason,
        /// More, for people; cut to 1 KiB, without control characters.
        detail: String,
        /// What it used.
        usage: Usage,
    },
}

impl Session {
    /// Waits for the end of an agent's work. All it printed is in the output queue then (if the queue was read).
    ///
    /// # Errors
    /// [`SessionError`]
    pub async fn worked(&self, deadline: Instant) -> Result<Worked, SessionError> {
        let worked = match self.control.answer("finish its work", deadline).await? {
            FromGuest::Finished(finished) => Worked::Finished(Box::new(finished)),
            FromGuest::Paused { pause, usage } => Worked::Paused { pause, usage },
            FromGuest::GaveUp { reason, detail, usage } => match reason {
                FailureReason::ModelFailed | FailureReason::OutOfTurns | FailureReason::NothingDone => {
                    Worked::GaveUp { reason, detail: cut(detail), usage }
                }
                other => return Err(self.health.protocol(format!("it gave up for a reason that is none: {other:?}"))),
            },
            other => return Err(self.unexpected("the end of its work", &other)),
        };
        self.drain_output().await;
        Ok(worked)
    }

    /// Sends bytes on a stream of their own and waits until the guest has taken them: skills, a transcript, a tar to restore.
    ///
    /// # Errors
    /// [`SessionError`]; `Input` if `bytes` cannot be read, `Refused` if the guest did not take them.
    pub async fn send<R>(&self, header: &DataHeader, bytes: R, deadline: Instant) -> Result<(), SessionError>
    where
        R: AsyncRead + Send,
    {
        let stream = self.data.open(header, TAKEN, deadline).await?;
        let (read, write) = tokio::io::split(stream);
        let mut answer = std::pin::pin!(read_answer(read));
        let exchange = async {
            tokio::select! {
                biased;
                // A refusal can come before everything is sent.
                answer = &mut answer => answer,
                sent = copy(bytes, write, "a stream") => match sent {
                    Err(error @ SessionError::Input { .. }) => Err(error),
                    Ok(()) => answer.await,
                    // Why it broke may be said all the same.
                    Err(error) => tokio::time::timeout(REASON_WAIT, answer).await.unwrap_or(Err(error)),
                },
            }
        };
        let answer = tokio::select! {
            biased;
            answer = exchange => answer,
            error = self.health.failed() => return Err(error),
            () = tokio::time::sleep_until(deadline) => return Err(SessionError::TimedOut { what: TAKEN }),
        };
        match answer {
            Ok(StreamAnswer::Done) => Ok(()),
            Ok(StreamAnswer::Failed { detail }) => {
                Err(SessionError::Refused { code: RefusalCode::GuestError, detail: cut(detail) })
            }
            Err(SessionError::Protocol { detail }) => Err(self.reason_or(detail, deadline).await),
            Err(error) => Err(error),
        }
    }

    /// A stream that ended without an answer: the control port may say why.
    async fn reason_or(&self, detail: String, deadline: Instant) -> SessionError {
        let by = (Instant::now() + REASON_WAIT).min(deadline);
        match self.control.answer(TAKEN, by).await {
            Err(SessionError::TimedOut { .. }) => self.health.protocol(detail),
            Err(error) => error,
            Ok(other) => self.unexpected("an answer on the stream", &other),
        }
    }

    /// Tells the agent what somebody said.
    ///
    /// # Errors
    /// [`SessionError`]; `Input` if it is larger than a frame.
    pub async fn tell(&self, note: &Note) -> Result<(), SessionError> {
        let tell = ToGuest::Tell { note: note.clone() };
        self.control.send(&tell, "a note", Instant::now() + SEND_WAIT).await
    }

    /// Answers a call.
    ///
    /// # Errors
    /// [`SessionError`]; `Input` if it is larger than a frame.
    pub async fn answer(&self, id: u64, answer: GuestAnswer) -> Result<(), SessionError> {
        self.control.send(&ToGuest::Answer { id, answer }, "an answer", Instant::now() + SEND_WAIT).await
    }
}

/// Copies until the end of `bytes`, then ends the guest's side of the stream.
pub(super) async fn copy<R, W>(bytes: R, mut to: W, what: &'static str) -> Result<(), SessionError>
where
    R: AsyncRead + Send,
    W: tokio::io::AsyncWrite + Unpin,
{
    tokio::pin!(bytes);
    let lost = |error: std::io::Error| SessionError::Lost { detail: format!("write to the data port: {error}") };
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = bytes.read(&mut buffer).await;
        let count = read.map_err(|error| SessionError::Input { what, detail: error.to_string() })?;
        if count == 0 {
            return to.shutdown().await.map_err(lost);
        }
        to.write_all(&buffer[..count]).await.map_err(lost)?;
    }
}

async fn read_answer(mut stream: impl AsyncRead + Unpin) -> Result<StreamAnswer, SessionError> {
    let broken = |detail: String| SessionError::Protocol { detail };
    let length = stream.read_u32().await.map_err(|e| broken(format!("a stream without an answer: {e}")))? as usize;
    if length > ANSWER_BYTES {
        return Err(broken(format!("an answer of {length} bytes on a stream")));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map_err(|e| broken(format!("an answer that was cut: {e}")))?;
    serde_json::from_slice(&body).map_err(|e| broken(format!("an answer that is none: {e}")))
}
