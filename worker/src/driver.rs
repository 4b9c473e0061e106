//! The worker's loop: one place decides, the work itself is done by tasks that report back.
//!
//! ```text
//!            Rejuvenate            Workspace             Assign
//!  frozen ───────────────► empty ───────────► ready ──────────────► working
//!                            ▲   (unpacking)   ▲  ▲  Changes: a tar    │
//!                            └─ failed ────────┘  └── Finished ────────┘
//! ```
//! * Hello and Ping are answered in every state.
//! * `frozen`: anything else is refused with `Frozen`, but for a rehearsal, which has nothing of the host's in it. Only a Rejuvenate whose every part was applied leads out.
//! * `working`: another Assign, Rejuvenate, Workspace or Changes is refused with `Busy`; Stop kills what runs, and its end is reported.
//! * `rehearsing` (a part of `frozen`): everything is refused, Stop brings its end forward.
//! * Garbage is refused with `BadMessage` and changes nothing.

use std::{io, sync::Arc};

use bus_schemas::{
    frame,
    v1::guest::{Assignment, CHANNEL_VERSION, DataHeader, FromGuest, RefusalCode, Rejuvenate, ToGuest},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    adapter::{
        blocking::{BlockingReader, BlockingWriter},
        changes,
        control::{self, Incoming, QUEUE},
        data::{self, Opener, Stream},
        identity,
        manifest::Manifest,
        unpack::{self, UnpackError, Unpacked},
    },
    harness::{HarnessError, checks, script},
    port::Machine,
};

/// Reports of tasks that the loop has not read yet; there are never more tasks than this.
const REPORT_QUEUE: usize = 16;

/// Serves a host until it hangs up. `control` and `data` are the two ports of [`bus_schemas::v1::guest`]. Must be called inside a tokio
/// runtime with time and io; what still runs when it returns is killed.
///
/// # Errors
/// [`ServeError`] if a port failed; a host that hangs up is a normal end.
pub async fn serve<C, D, M>(control: C, data: D, machine: M) -> Result<(), ServeError>
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    D: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    M: Machine,
{
    let (read, write) = tokio::io::split(control);
    let (incoming_sender, mut incoming) = mpsc::channel(QUEUE);
    let (out, outgoing) = mpsc::channel(QUEUE);
    let (opener, mut streams, drive) = data::start(data, yamux::Mode::Server);
    let (reports, mut reported) = mpsc::channel(REPORT_QUEUE);
    let mut ports = JoinSet::new();
    ports.spawn(async move { control::read(read, incoming_sender).await.map_err(ServeError::Control) });
    ports.spawn(async move { control::write(write, outgoing).await.map_err(ServeError::Control) });
    ports.spawn(async move {
        drive.await;
        Ok(())
    });
    let mut driver = Driver::new(machine, out, opener, reports);
    loop {
        tokio::select! {
            Some(incoming) = incoming.recv() => driver.incoming(incoming).await,
            Some(stream) = streams.recv() => driver.arrived(stream),
            Some(report) = reported.recv() => driver.report(report).await,
            ended = ports.join_next() => return match ended {
                Some(Ok(end)) => end,
                Some(Err(error)) => Err(ServeError::Control(io::Error::other(error))),
                None => Ok(()),
            },
        }
    }
}

/// The worker cannot serve any longer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The control port failed.
    #[error("use the control port")]
    Control(#[source] io::Error),
}

/// What a task has to say.
#[derive(Debug)]
enum Report {
    /// A stream said what it is.
    Opened(DataHeader, Stream),
    /// A stream did not.
    Unreadable(io::Error),
    /// The rehearsal is over.
    Rehearsed,
    /// The tree is in place, or not.
    Unpacked(Result<Unpacked, UnpackError>),
    /// The assignment ended.
    Done(FromGuest),
    /// The changes went out, or not.
    Collected,
}

/// Where the guest stands.
#[derive(Debug)]
enum State {
    Frozen,
    Rehearsing(CancellationToken),
    Empty,
    Unpacking,
    Ready(Arc<Manifest>),
    Working(Arc<Manifest>, CancellationToken),
    Collecting(Arc<Manifest>),
}

struct Driver<M> {
    machine: Arc<M>,
    out: mpsc::Sender<FromGuest>,
    opener: Opener,
    reports: mpsc::Sender<Report>,
    tasks: JoinSet<()>,
    state: State,
    assignments: u64,
}

impl<M: Machine> Driver<M> {
    fn new(machine: M, out: mpsc::Sender<FromGuest>, opener: Opener, reports: mpsc::Sender<Report>) -> Self {
        let machine = Arc::new(machine);
        Self { machine, out, opener, reports, tasks: JoinSet::new(), state: State::Frozen, assignments: 0 }
    }

    async fn incoming(&mut self, incoming: Incoming) {
        while self.tasks.try_join_next().is_some() {}
        let message = match incoming {
            Incoming::Garbage(detail) => return self.refuse(RefusalCode::BadMessage, detail).await,
            Incoming::Message(message) => *message,
        };
        match message {
            ToGuest::Hello { version, .. } if version != CHANNEL_VERSION => {
                let detail = format!("this worker speaks version {CHANNEL_VERSION} of the channel, not {version}");
                self.refuse(RefusalCode::Version, detail).await;
            }
            ToGuest::Hello { nonce, .. } => {
                let worker = concat!("baton-worker ", env!("CARGO_PKG_VERSION")).to_string();
                let frozen = matches!(self.state, State::Frozen | State::Rehearsing(_));
                self.say(FromGuest::Hello { nonce, version: CHANNEL_VERSION, worker, frozen }).await;
            }
            ToGuest::Ping { sequence } => self.say(FromGuest::Pong { sequence }).await,
            ToGuest::Rehearse => self.rehearse().await,
            ToGuest::Rejuvenate(identity) => self.rejuvenate(identity).await,
            ToGuest::Assign(assignment) => self.assign(assignment).await,
            ToGuest::Tell { .. } | ToGuest::Answer { .. } => self.refuse_state().await,
            ToGuest::Stop { reason } => match &self.state {
                State::Frozen => self.refuse_state().await,
                State::Rehearsing(stop) => stop.cancel(),
                State::Working(_, stop) => {
                    tracing::info!(reason, "stop");
                    stop.cancel();
                }
                // It ended by itself while the stop was on its way.
                _ => {}
            },
        }
    }

    /// A stream is read apart from the loop: its opener may be slow.
    fn arrived(&mut self, mut stream: Stream) {
        let reports = self.reports.clone();
        self.tasks.spawn(async move {
            let report = match data::read_header(&mut stream).await {
                Ok(header) => Report::Opened(header, stream),
                Err(error) => Report::Unreadable(error),
            };
            let _ = reports.send(report).await;
        });
    }

    async fn report(&mut self, report: Report) {
        match report {
            Report::Unreadable(error) => self.refuse(RefusalCode::BadMessage, error.to_string()).await,
            Report::Opened(DataHeader::Workspace, stream) => self.unpack(stream).await,
            Report::Opened(DataHeader::Changes { limit_bytes }, stream) => self.collect(stream, limit_bytes).await,
            Report::Opened(DataHeader::Output { .. }, _) => {
                self.refuse(RefusalCode::BadMessage, "output flows from the guest to the host".into()).await;
            }
            Report::Opened(
                DataHeader::Skills
                | DataHeader::Transcript
                | DataHeader::Restore
                | DataHeader::Connect { .. }
                | DataHeader::Checkpoint { .. },
                _,
            ) => self.refuse_state().await,
            Report::Rehearsed => {
                self.state = State::Frozen;
                self.say(FromGuest::Rehearsed).await;
            }
            Report::Unpacked(Ok(Unpacked { manifest, entries, bytes })) => {
                self.state = State::Ready(Arc::new(manifest));
                self.say(FromGuest::WorkspaceReady { entries, bytes }).await;
            }
            Report::Unpacked(Err(error)) => {
                self.state = State::Empty;
                self.refuse(error.code, error.to_string()).await;
            }
            Report::Done(message) => {
                if let State::Working(manifest, _) = &self.state {
                    self.state = State::Ready(Arc::clone(manifest));
                }
                self.say(message).await;
            }
            Report::Collected => {
                if let State::Collecting(manifest) = &self.state {
                    self.state = State::Ready(Arc::clone(manifest));
                }
            }
        }
    }

    async fn rehearse(&mut self) {
        if !matches!(self.state, State::Frozen) {
            return self.refuse_state().await;
        }
        let stop = CancellationToken::new();
        self.state = State::Rehearsing(stop.clone());
        let (machine, reports) = (Arc::clone(&self.machine), self.reports.clone());
        self.tasks.spawn(async move {
            let _ = tokio::task::spawn_blocking(move || machine.rehearse(&stop)).await;
            let _ = reports.send(Report::Rehearsed).await;
        });
    }

    async fn rejuvenate(&mut self, identity: Rejuvenate) {
        if !matches!(self.state, State::Frozen | State::Empty | State::Ready(_)) {
            return self.refuse_state().await;
        }
        if let Err(detail) = identity::check(&identity) {
            return self.refuse(RefusalCode::BadMessage, detail).await;
        }
        let machine = Arc::clone(&self.machine);
        let lease_token = identity.lease_token.clone();
        let applied = tokio::task::spawn_blocking(move || machine.rejuvenate(&identity)).await;
        match applied {
            Ok(Ok(wall_ns)) => {
                if matches!(self.state, State::Frozen) {
                    self.state = State::Empty;
                }
                self.say(FromGuest::Rejuvenated { lease_token, wall_ns }).await;
            }
            // Half a new identity is none.
            Ok(Err(error)) => {
                self.state = State::Frozen;
                self.refuse(RefusalCode::GuestError, error.to_string()).await;
            }
            Err(error) => {
                self.state = State::Frozen;
                self.refuse(RefusalCode::GuestError, format!("rejuvenate: {error}")).await;
            }
        }
    }

    async fn unpack(&mut self, stream: Stream) {
        if !matches!(self.state, State::Empty | State::Ready(_)) {
            return self.refuse_state().await;
        }
        self.state = State::Unpacking;
        let (machine, reports) = (Arc::clone(&self.machine), self.reports.clone());
        self.tasks.spawn(async move {
            let unpacking = tokio::task::spawn_blocking({
                let tar = BlockingReader::new(stream);
                move || unpack::unpack(machine.as_ref(), tar)
            });
            let unpacked = match unpacking.await {
                Ok(unpacked) => unpacked,
                Err(error) => Err(UnpackError::from(io::Error::other(error))),
            };
            let _ = reports.send(Report::Unpacked(unpacked)).await;
        });
    }

    async fn assign(&mut self, assignment: Assignment) {
        let State::Ready(manifest) = &self.state else { return self.refuse_state().await };
        let stop = CancellationToken::new();
        self.state = State::Working(Arc::clone(manifest), stop.clone());
        self.assignments += 1;
        let label = format!("assignment-{}", self.assignments);
        let (machine, opener, reports) = (Arc::clone(&self.machine), self.opener.clone(), self.reports.clone());
        self.tasks.spawn(async move {
            let message = work(&machine, &opener, assignment, &label, &stop).await;
            let _ = reports.send(Report::Done(message)).await;
        });
    }

    async fn collect(&mut self, stream: Stream, limit_bytes: u64) {
        let State::Ready(manifest) = &self.state else { return self.refuse_state().await };
        let manifest = Arc::clone(manifest);
        self.state = State::Collecting(Arc::clone(&manifest));
        let (machine, reports) = (Arc::clone(&self.machine), self.reports.clone());
        self.tasks.spawn(async move {
            if let Err(error) = send_changes(machine, manifest, stream, limit_bytes).await {
                tracing::warn!(%error, "send the changes");
            }
            let _ = reports.send(Report::Collected).await;
        });
    }

    /// Refuses what does not fit the state.
    async fn refuse_state(&self) {
        let (code, detail) = match &self.state {
            State::Frozen => (RefusalCode::Frozen, "rejuvenate first"),
            State::Rehearsing(_) => (RefusalCode::Busy, "the rehearsal is under way"),
            State::Empty => (RefusalCode::BadMessage, "there is no workspace yet"),
            State::Unpacking => (RefusalCode::Busy, "the workspace is being unpacked"),
            State::Working(..) => (RefusalCode::Busy, "an assignment is being worked on"),
            State::Collecting(_) => (RefusalCode::Busy, "the changes are being sent"),
            State::Ready(_) => (RefusalCode::BadMessage, "not now"),
        };
        self.refuse(code, detail.into()).await;
    }

    async fn refuse(&self, code: RefusalCode, detail: String) {
        self.say(FromGuest::Refused { code, detail }).await;
    }

    /// The queue's other end lives as long as the port; when that is gone the loop ends anyway.
    async fn say(&self, message: FromGuest) {
        let _ = self.out.send(message).await;
    }
}

async fn work<M: Machine>(
    machine: &Arc<M>,
    opener: &Opener,
    assignment: Assignment,
    label: &str,
    stop: &CancellationToken,
) -> FromGuest {
    let done = match assignment {
        Assignment::Attempt(attempt) => {
            script::run(machine, opener, &attempt, label, stop).await.map(FromGuest::Finished)
        }
        Assignment::Checks { checks, env, output_bytes } => {
            checks::run(machine, opener, &checks, &env, output_bytes, label, stop)
                .await
                .map(|results| FromGuest::ChecksFinished { results })
        }
    };
    done.unwrap_or_else(|error: HarnessError| FromGuest::Refused { code: error.code(), detail: error.to_string() })
}

/// Sends the tar of changes, or a refusal in its place.
async fn send_changes<M: Machine>(
    machine: Arc<M>,
    before: Arc<Manifest>,
    mut stream: Stream,
    limit_bytes: u64,
) -> io::Result<()> {
    let root = machine.layout().workspace.clone();
    let surveyed = tokio::task::spawn_blocking({
        let root = root.clone();
        move || changes::survey(&root, &before, limit_bytes)
    });
    match surveyed.await.map_err(io::Error::other)? {
        Err(error) => {
            let refusal = FromGuest::Refused { code: error.code, detail: error.to_string() };
            let frame = frame::encode(&serde_json::to_vec(&refusal)?).map_err(io::Error::other)?;
            stream.write_all(&frame).await?;
        }
        Ok(packing) => {
            let writer = BlockingWriter::new(stream);
            let packed = tokio::task::spawn_blocking(move || changes::pack(&root, &packing, writer));
            stream = packed.await.map_err(io::Error::other)??.into_stream();
        }
    }
    stream.shutdown().await
}
