//! What the pool asks of a guest, in the order it does.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bus_schemas::v1::{
    guest::{
        Assignment, CHANNEL_VERSION, CheckResult, DataHeader, Finished, FromGuest, RefusalCode, Rejuvenate, Service,
        ToGuest,
    },
    task::{LogSource, Program},
};
use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
    task::JoinSet,
    time::Instant,
};
use uuid::Uuid;

use super::{
    agent::copy,
    changes::Changes,
    checkpoint::SavedTurn,
    control::{Asked, Control, cut},
    data::Data,
    error::{Health, SessionError},
    inbound::{Allowance, Arrivals, Connection, DataStream, Inbound},
};
use crate::port::Channels;

/// Between two hellos. The port drops what comes before the guest opened it, so hello is repeated.
const HELLO_EVERY: Duration = Duration::from_millis(60);
/// A control frame must be taken off the port within this; an emulated guest under load may need seconds.
pub(super) const SEND_WAIT: Duration = Duration::from_secs(20);
/// After a stream broke, the reason may still be on its way on the other port.
pub(super) const REASON_WAIT: Duration = Duration::from_secs(2);
/// After the program ended, output that is still on its way.
const OUTPUT_WAIT: Duration = Duration::from_secs(5);
/// How far a guest's clock may be off after it was set.
const CLOCK_SLACK: Duration = Duration::from_secs(5);
/// The largest refusal in place of a tar.
const REFUSAL_BYTES: u32 = 64 * 1024;
/// Names of outputs and their tasks are few; what a set of checks prints between them is not counted by the guest.
const CHECK_HEADINGS_BYTES: u64 = 64 * 1024;

/// What a guest says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestHello {
    /// The version of the channel it speaks; the same as ours, or [`Session::hello`] fails.
    pub version: u32,
    /// Its build, for people.
    pub worker: String,
    /// It waits for [`Session::rejuvenate`].
    pub frozen: bool,
}

/// The tree is in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkspaceReady {
    /// Files and links unpacked.
    pub entries: u64,
    /// Bytes unpacked.
    pub bytes: u64,
}

/// A piece of output, at most 32 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Where it came from.
    pub source: LogSource,
    /// The bytes as printed; may be cut inside a character.
    pub bytes: Bytes,
}

/// One VM's channel, from its first hello to its end. Dropping it closes both ports.
///
/// Every method that waits is cancel safe except [`Session::push_workspace`]; [`Session::ping`] and [`Session::stop`] may be called while
/// another method waits. The others are called one after the other.
#[derive(Debug)]
pub struct Session {
    pub(super) control: Control,
    pub(super) data: Data,
    pub(super) health: Health,
    output: Option<mpsc::Receiver<Output>>,
    wishes: Option<Wishes>,
    pings: AtomicU64,
    _tasks: JoinSet<()>,
}

/// Where what the guest of an attempt wants arrives. Each queue is bounded; what is not taken holds the guest up.
#[derive(Debug)]
pub struct Wishes {
    /// Connections of its programs.
    pub connections: mpsc::Receiver<Connection>,
    /// Turns of its agent, to be saved.
    pub checkpoints: mpsc::Receiver<SavedTurn>,
    /// Calls of its agent; none comes from a guest without one.
    pub calls: mpsc::Receiver<Asked>,
}

impl Session {
    /// Takes over both ports. Must be called inside a tokio runtime.
    #[must_use]
    pub fn open(channels: Channels) -> Self {
        let health = Health::new();
        let mut tasks = JoinSet::new();
        let (inbound, arrivals) = Inbound::new(&health);
        let (control, calls) = Control::start(channels.control, &health, &mut tasks);
        let data = Data::start(channels.data, inbound, &health, &mut tasks);
        let Arrivals { output, connections, checkpoints } = arrivals;
        let wishes = Some(Wishes { connections, checkpoints, calls });
        Self { control, data, health, output: Some(output), wishes, pings: AtomicU64::new(0), _tasks: tasks }
    }

    /// Where connections, checkpoints and calls arrive. `None` the second time.
    pub fn take_wishes(&mut self) -> Option<Wishes> {
        self.wishes.take()
    }

    /// Where output arrives; bounded, so whoever takes it must read it (or drop it, and output is thrown away): a full queue stops the
    /// guest's program. `None` the second time.
    pub fn take_output(&mut self) -> Option<mpsc::Receiver<Output>> {
        self.output.take()
    }

    /// Waits until the guest answers, asking again and again with a new nonce.
    ///
    /// # Errors
    /// `TimedOut` at the deadline; `Refused` with [`RefusalCode::Version`] if it speaks another version of the channel.
    pub async fn hello(&self, deadline: Instant) -> Result<GuestHello, SessionError> {
        let prefix = Uuid::now_v7().simple().to_string();
        for count in 0_u64.. {
            let nonce = format!("{prefix}-{count}");
            self.control.try_send(&ToGuest::Hello { nonce, version: CHANNEL_VERSION }, "hello")?;
            let again = (Instant::now() + HELLO_EVERY).min(deadline);
            tokio::select! {
                biased;
                guest = self.control.hello(&prefix) => {
                    self.control.forget_answers().await;
                    return accept_version(guest);
                }
                answer = self.control.answer("say hello", again) => match answer {
                    // The rest of a hello whose beginning was lost is nonsense to the guest.
                    Err(SessionError::TimedOut { .. } | SessionError::Refused { code: RefusalCode::BadMessage, .. }) => {}
                    Err(error) => return Err(error),
                    Ok(other) => return Err(self.unexpected("hello", &other)),
                },
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(SessionError::TimedOut { what: "say hello" })
    }

    /// Makes the guest a machine of its own and checks that it says so: the same token, the clock it was given.
    ///
    /// # Errors
    /// [`SessionError`]; `Protocol` if token or clock are wrong.
    pub async fn rejuvenate(&self, identity: &Rejuvenate, deadline: Instant) -> Result<(), SessionError> {
        let sent_at = Instant::now();
        self.control.send(&ToGuest::Rejuvenate(identity.clone()), "the lease's identity", deadline).await?;
        match self.control.answer("rejuvenate", deadline).await? {
            FromGuest::Rejuvenated { lease_token, .. } if lease_token != identity.lease_token => {
                Err(self.health.protocol("it repeated another lease's token"))
            }
            FromGuest::Rejuvenated { wall_ns, .. } => {
                let passed = i128::try_from(sent_at.elapsed().as_nanos()).unwrap_or(i128::MAX);
                let slack = i128::try_from(CLOCK_SLACK.as_nanos()).unwrap_or(i128::MAX);
                let ahead = i128::from(wall_ns) - i128::from(identity.wall_ns);
                if ahead < -slack || ahead > passed.saturating_add(slack) {
                    return Err(self.health.protocol(format!("its clock is {ahead} ns off what it was set to")));
                }
                Ok(())
            }
            other => Err(self.unexpected("rejuvenated", &other)),
        }
    }

    /// Lets a frozen guest rehearse, so that what follows is fast.
    ///
    /// # Errors
    /// [`SessionError`]
    pub async fn rehearse(&self, deadline: Instant) -> Result<(), SessionError> {
        self.control.send(&ToGuest::Rehearse, "the call to rehearse", deadline).await?;
        match self.control.answer("rehearse", deadline).await? {
            FromGuest::Rehearsed => Ok(()),
            other => Err(self.unexpected("rehearsed", &other)),
        }
    }

    /// Streams a tar (complete, with the two empty blocks at its end) into the guest's workspace.
    ///
    /// # Errors
    /// [`SessionError`]; `Input` if `tar` cannot be read, `Refused` with [`RefusalCode::DiskFull`] if it does not fit.
    pub async fn push_workspace<R>(&self, tar: R, deadline: Instant) -> Result<WorkspaceReady, SessionError>
    where
        R: AsyncRead + Send,
    {
        let stream = self.data.open(&DataHeader::Workspace, "take the workspace", deadline).await?;
        let answer = self.control.answer("unpack the workspace", deadline);
        tokio::pin!(answer);
        let answered = tokio::select! {
            biased;
            // A refusal can come before everything is sent.
            answer = &mut answer => answer?,
            sent = copy(tar, stream, "the workspace") => match sent {
                Ok(()) => answer.await?,
                Err(error @ SessionError::Input { .. }) => return Err(error),
                // Why it broke is said on the control port.
                Err(error) => tokio::time::timeout(REASON_WAIT, answer).await.map_err(|_| error)??,
            },
        };
        match answered {
            FromGuest::WorkspaceReady { entries, bytes } => Ok(WorkspaceReady { entries, bytes }),
            other => Err(self.unexpected("workspace ready", &other)),
        }
    }

    /// Gives the guest its work. Returns as soon as it is on its way.
    ///
    /// # Errors
    /// [`SessionError`]; `Input` if the assignment is larger than a frame.
    pub async fn assign(&self, assignment: Assignment) -> Result<(), SessionError> {
        let allowance = match &assignment {
            Assignment::Attempt(attempt) => match &attempt.program {
                Program::Script { .. } => Allowance {
                    sources: vec![LogSource::Stdout, LogSource::Stderr],
                    output_bytes: attempt.output_bytes,
                    services: vec![Service::Proxy],
                    checkpoints: false,
                },
                Program::Agent(_) => {
                    self.control.allow_calls();
                    Allowance {
                        sources: vec![LogSource::Agent, LogSource::Tool],
                        output_bytes: attempt.output_bytes,
                        services: vec![Service::Models, Service::Proxy],
                        checkpoints: true,
                    }
                }
            },
            Assignment::Checks { checks, output_bytes, .. } => {
                let headings: u64 = checks.iter().map(|check| check.name.len() as u64 + 16).sum();
                Allowance {
                    sources: vec![LogSource::Check],
                    output_bytes: output_bytes.saturating_add(headings.max(CHECK_HEADINGS_BYTES)),
                    services: Vec::new(),
                    checkpoints: false,
                }
            }
        };
        self.data.allow(&allowance);
        self.control.send(&ToGuest::Assign(assignment), "the assignment", Instant::now() + SEND_WAIT).await
    }

    /// Waits for the end of an attempt's program. All it printed is in the output queue then (if the queue was read).
    ///
    /// # Errors
    /// [`SessionError`]
    pub async fn finished(&self, deadline: Instant) -> Result<Finished, SessionError> {
        match self.control.answer("finish its work", deadline).await? {
            FromGuest::Finished(finished) => {
                self.drain_output().await;
                Ok(finished)
            }
            other => Err(self.unexpected("finished", &other)),
        }
    }

    /// Waits for the end of all checks; `checks` is how many there are.
    ///
    /// # Errors
    /// [`SessionError`]; `Protocol` if there is not one result per check.
    pub async fn checks_finished(&self, checks: usize, deadline: Instant) -> Result<Vec<CheckResult>, SessionError> {
        match self.control.answer("finish the checks", deadline).await? {
            FromGuest::ChecksFinished { results } if results.len() == checks => {
                self.drain_output().await;
                Ok(results)
            }
            FromGuest::ChecksFinished { results } => {
                Err(self.health.protocol(format!("{} results of {checks} checks", results.len())))
            }
            other => Err(self.unexpected("checks finished", &other)),
        }
    }

    /// Asks for the tar of changes; it may be at most `limit_bytes` long.
    ///
    /// # Errors
    /// [`SessionError`]; `Refused` with [`RefusalCode::ChangesTooLarge`] if it would be longer. Reading it may fail too: [`Changes`].
    pub async fn collect(&self, limit_bytes: u64, deadline: Instant) -> Result<Changes, SessionError> {
        let what = "hand over its changes";
        let mut stream = self.data.open(&DataHeader::Changes { limit_bytes }, what, deadline).await?;
        let mut head = [0; 4];
        let first = tokio::select! {
            biased;
            read = stream.read_exact(&mut head) => read,
            error = self.health.failed() => return Err(error),
            () = tokio::time::sleep_until(deadline) => return Err(SessionError::TimedOut { what }),
        };
        if first.is_err() {
            let reason = (Instant::now() + REASON_WAIT).min(deadline);
            return Err(match self.control.answer(what, reason).await {
                Err(SessionError::TimedOut { .. }) => self.health.protocol("it ended the stream of changes at once"),
                Err(error) => error,
                Ok(other) => self.unexpected("changes", &other),
            });
        }
        match u32::from_be_bytes(head) {
            length @ 0..=REFUSAL_BYTES => Err(self.refusal(stream, length, deadline).await),
            _ => Ok(Changes::new(head, stream, limit_bytes, deadline)),
        }
    }

    /// Tells the guest to stop its work; what ends is still reported by [`Session::finished`]. For a guest that may not listen, kill the VM.
    ///
    /// # Errors
    /// [`SessionError`]
    pub async fn stop(&self, reason: &str) -> Result<(), SessionError> {
        let stop = ToGuest::Stop { reason: reason.into() };
        self.control.send(&stop, "stop", Instant::now() + SEND_WAIT).await
    }

    /// Waits for a sign of life.
    ///
    /// # Errors
    /// [`SessionError`]
    pub async fn ping(&self, deadline: Instant) -> Result<(), SessionError> {
        let sequence = self.pings.fetch_add(1, Ordering::Relaxed);
        self.control.send(&ToGuest::Ping { sequence }, "ping", deadline).await?;
        tokio::select! {
            biased;
            () = self.control.pong(sequence) => Ok(()),
            error = self.health.failed() => Err(error),
            () = tokio::time::sleep_until(deadline) => Err(SessionError::TimedOut { what: "answer a ping" }),
        }
    }

    /// Waits for the session's end and says why it ended. Cancel safe.
    pub async fn ended(&self) -> SessionError {
        self.health.failed().await
    }

    pub(super) async fn drain_output(&self) {
        tokio::select! {
            () = self.data.outputs_ended() => {}
            _ = self.health.failed() => {}
            () = tokio::time::sleep(OUTPUT_WAIT) => {}
        }
    }

    async fn refusal(&self, mut stream: DataStream, length: u32, deadline: Instant) -> SessionError {
        let mut body = vec![0; length as usize];
        match tokio::time::timeout_at(deadline, stream.read_exact(&mut body)).await {
            Err(_) => return SessionError::TimedOut { what: "hand over its changes" },
            Ok(Err(error)) => return self.health.protocol(format!("a refusal that was cut: {error}")),
            Ok(Ok(_)) => {}
        }
        match serde_json::from_slice(&body) {
            Ok(FromGuest::Refused { code, detail }) => SessionError::Refused { code, detail: cut(detail) },
            _ => self.health.protocol("neither a tar nor a refusal on the stream of changes"),
        }
    }

    pub(super) fn unexpected(&self, wanted: &str, got: &FromGuest) -> SessionError {
        let kind = match got {
            FromGuest::Hello { .. } => "hello",
            FromGuest::Rehearsed => "rehearsed",
            FromGuest::Rejuvenated { .. } => "rejuvenated",
            FromGuest::WorkspaceReady { .. } => "workspace ready",
            FromGuest::Finished(_) => "finished",
            FromGuest::Paused { .. } => "paused",
            FromGuest::GaveUp { .. } => "gave up",
            FromGuest::Call { .. } => "call",
            FromGuest::ChecksFinished { .. } => "checks finished",
            FromGuest::Pong { .. } => "pong",
            FromGuest::Refused { .. } => "refused",
        };
        self.health.protocol(format!("it said {kind} where {wanted} was due"))
    }
}

fn accept_version(guest: GuestHello) -> Result<GuestHello, SessionError> {
    if guest.version == CHANNEL_VERSION {
        return Ok(guest);
    }
    let detail = format!("it speaks version {} of the channel, this host {CHANNEL_VERSION}", guest.version);
    Err(SessionError::Refused { code: RefusalCode::Version, detail })
}
