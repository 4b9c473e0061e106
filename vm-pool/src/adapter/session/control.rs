//! The control port: a reader and a writer that do not wait for each other, with bounded queues between them and the callers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bus_schemas::{
    frame::{self, Decoder},
    v1::{
        call::GuestCall,
        guest::{FromGuest, ToGuest},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    error::{Health, SessionError},
    host::GuestHello,
};

/// Frames waiting to be written: a caller waits for its answer before it asks again, so a handful is plenty.
const SEND_QUEUE: usize = 16;
/// Answers nobody asked for yet. An honest guest answers what it was asked, one at a time; a few more may cross a stop.
const ANSWER_QUEUE: usize = 16;
/// Calls of an agent that nobody took yet; a guest that has more in the air breaks the protocol.
const CALL_QUEUE: usize = 16;
/// Read at once. Small, because cutting many tiny frames out of one buffer costs the square of its size.
const READ_BYTES: usize = 8 * 1024;
/// After the data port ended, the control port may still hold an answer.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// The guest's own words are cut to this, in bytes.
const DETAIL_BYTES: usize = 1024;

/// The callers' side of the control port.
#[derive(Debug)]
pub(super) struct Control {
    frames: mpsc::Sender<Vec<u8>>,
    answers: Mutex<mpsc::Receiver<FromGuest>>,
    hello: watch::Receiver<Option<(String, GuestHello)>>,
    pong: watch::Receiver<Option<u64>>,
    calls_allowed: Arc<AtomicBool>,
    health: Health,
}

/// A call of the guest's agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The guest's number for it; the answer repeats it.
    pub id: u64,
    /// What it asks.
    pub call: GuestCall,
}

/// The reader's side of the callers' queues.
struct Inbox {
    answers: mpsc::Sender<FromGuest>,
    hello: watch::Sender<Option<(String, GuestHello)>>,
    pong: watch::Sender<Option<u64>>,
    calls: mpsc::Sender<Asked>,
    calls_allowed: Arc<AtomicBool>,
}

impl Control {
    /// Starts the reader and the writer in `tasks`. Calls arrive at what comes with it.
    pub(super) fn start(port: UnixStream, health: &Health, tasks: &mut JoinSet<()>) -> (Self, mpsc::Receiver<Asked>) {
        let (read, write) = port.into_split();
        let (frames, queue) = mpsc::channel(SEND_QUEUE);
        let (answers, waiting) = mpsc::channel(ANSWER_QUEUE);
        let (hello, hello_seen) = watch::channel(None);
        let (pong, pong_seen) = watch::channel(None);
        let (calls, asked) = mpsc::channel(CALL_QUEUE);
        let calls_allowed = Arc::<AtomicBool>::default();
        let inbox = Inbox { answers, hello, pong, calls, calls_allowed: Arc::clone(&calls_allowed) };
        tasks.spawn(read_frames(read, inbox, health.clone()));
        tasks.spawn(write_frames(write, queue, health.clone()));
        let answers = Mutex::new(waiting);
        let health = health.clone();
        (Self { frames, answers, hello: hello_seen, pong: pong_seen, calls_allowed, health }, asked)
    }

    /// Lets the guest make calls from now on.
    pub(super) fn allow_calls(&self) {
        self.calls_allowed.store(true, Ordering::SeqCst);
    }

    /// Queues a message.
    pub(super) async fn send(
        &self,
        message: &ToGuest,
        what: &'static str,
        deadline: Instant,
    ) -> Result<(), SessionError> {
        self.health.check()?;
        let frame = encode(message, what)?;
        tokio::select! {
            biased;
            sent = self.frames.send(frame) => match sent {
                Ok(()) => Ok(()),
                Err(_) => Err(self.health.failed().await),
            },
            error = self.health.failed() => Err(error),
            () = tokio::time::sleep_until(deadline) => Err(SessionError::TimedOut { what: "read the control port" }),
        }
    }

    /// Queues a message if there is room; for messages that are repeated anyway.
    pub(super) fn try_send(&self, message: &ToGuest, what: &'static str) -> Result<bool, SessionError> {
        self.health.check()?;
        Ok(self.frames.try_send(encode(message, what)?).is_ok())
    }

    /// The next answer; a refusal is an error. Cancel safe.
    pub(super) async fn answer(&self, what: &'static str, deadline: Instant) -> Result<FromGuest, SessionError> {
        let next = async {
            let mut answers = self.answers.lock().await;
            tokio::select! {
                biased;
                Some(answer) = answers.recv() => Ok(answer),
                error = self.health.failed() => match error {
                    // What was said before the end still counts, and may be on its way: the other port can end first.
                    SessionError::Lost { .. } => match tokio::time::timeout(LAST_WORDS, answers.recv()).await {
                        Ok(Some(answer)) => Ok(answer),
                        _ => Err(error),
                    },
                    error => Err(error),
                },
            }
        };
        match tokio::time::timeout_at(deadline, next).await {
            Err(_) => Err(SessionError::TimedOut { what }),
            Ok(Ok(FromGuest::Refused { code, detail })) => Err(SessionError::Refused { code, detail: cut(detail) }),
            Ok(answer) => answer,
        }
    }

    /// Waits for the hello whose nonce begins with `prefix`. Cancel safe.
    pub(super) async fn hello(&self, prefix: &str) -> GuestHello {
        let mut hello = self.hello.clone();
        let ours = |seen: &Option<(String, GuestHello)>| seen.as_ref().is_some_and(|(n, _)| n.starts_with(prefix));
        match hello.wait_for(ours).await.map(|seen| seen.clone()) {
            Ok(Some((_, guest))) => guest,
            // The reader is gone: health says so to whoever waits beside this.
            _ => std::future::pending().await,
        }
    }

    /// Drops answers to questions from before now.
    pub(super) async fn forget_answers(&self) {
        let mut answers = self.answers.lock().await;
        while answers.try_recv().is_ok() {}
    }

    /// Waits for the pong with `sequence`. Cancel safe.
    pub(super) async fn pong(&self, sequence: u64) {
        let mut pong = self.pong.clone();
        if pong.wait_for(|seen| *seen == Some(sequence)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn encode(message: &ToGuest, what: &'static str) -> Result<Vec<u8>, SessionError> {
    let input = |detail: String| SessionError::Input { what, detail };
    let body = serde_json::to_vec(message).map_err(|error| input(error.to_string()))?;
    frame::encode(&body).map_err(|error| input(error.to_string()))
}

/// The guest's words, bounded and without control characters (they may reach a terminal).
pub(super) fn cut(detail: String) -> String {
    let end = detail.floor_char_boundary(DETAIL_BYTES.min(detail.len()));
    detail[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

async fn write_frames(mut port: OwnedWriteHalf, mut queue: mpsc::Receiver<Vec<u8>>, health: Health) {
    while let Some(frame) = queue.recv().await {
        if let Err(error) = port.write_all(&frame).await {
            health.lost(format!("write to the control port: {error}"));
            return;
        }
    }
}

async fn read_frames(mut port: OwnedReadHalf, inbox: Inbox, health: Health) {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match port.read(&mut buffer).await {
            Ok(0) => return health.lost("it closed the control port"),
            Err(error) => return health.lost(format!("read from the control port: {error}")),
            Ok(count) => decoder.push(&buffer[..count]),
        }
        loop {
            match decoder.next_frame() {
                Ok(None) => break,
                Ok(Some(body)) => {
                    if let Err(detail) = route(&body, &inbox) {
                        health.protocol(detail);
                        return;
                    }
                }
                Err(error) => {
                    health.protocol(error.to_string());
                    return;
                }
            }
        }
    }
}

fn route(body: &[u8], inbox: &Inbox) -> Result<(), String> {
    let message = serde_json::from_slice(body).map_err(|error| format!("a frame that is no message: {error}"))?;
    match message {
        FromGuest::Hello { nonce, version, worker, frozen } => {
            inbox.hello.send_replace(Some((nonce, GuestHello { version, worker: cut(worker), frozen })));
        }
        FromGuest::Pong { sequence } => {
            inbox.pong.send_replace(Some(sequence));
        }
        FromGuest::Call { .. } if !inbox.calls_allowed.load(Ordering::SeqCst) => {
            return Err("a call where there is no agent".into());
        }
        FromGuest::Call { id, call } => {
            // If nobody takes calls any more, the attempt ended.
            if let Err(mpsc::error::TrySendError::Full(_)) = inbox.calls.try_send(Asked { id, call }) {
                return Err("more calls than it may make at once".into());
            }
        }
        answer => {
            if inbox.answers.try_send(answer).is_err() {
                return Err("more answers than questions".into());
            }
        }
    }
    Ok(())
}
