//! The loop itself.

use std::{io, sync::Arc};

use bus_schemas::v1::{
    guest::{Assignment, CHANNEL_VERSION, DataHeader, FromGuest, RefusalCode, Rejuvenate, ToGuest},
    task::Note,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    inbound::{self, Taken},
    work::{self, Work},
};
use crate::{
    adapter::{
        calls::Asker,
        control::{self, Incoming, QUEUE},
        data::{self, Opener, Stream},
        identity,
        manifest::Manifest,
        unpack::{UnpackError, Unpacked},
    },
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
pub(super) enum Report {
    /// A stream said what it is.
    Opened(DataHeader, Stream),
    /// A stream did not.
    Unreadable(io::Error),
    /// The rehearsal is over.
    Rehearsed,
    /// The tree is in place, or not.
    Unpacked(Result<Unpacked, UnpackError>),
    /// Something for the next assignment came, or not; it was answered.
    Taken(Taken),
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
    Restoring(Arc<Manifest>),
    Working(Arc<Manifest>, Talk),
    Collecting(Arc<Manifest>),
}

/// How the host speaks with what works.
#[derive(Debug)]
struct Talk {
    stop: CancellationToken,
    notes: mpsc::UnboundedSender<Note>,
    asker: Asker,
}

/// What came for the next assignment.
#[derive(Debug, Default)]
struct Kept {
    transcript: Option<Vec<u8>>,
    notes: Vec<Note>,
    restored: bool,
}

struct Driver<M> {
    machine: Arc<M>,
    out: mpsc::Sender<FromGuest>,
    opener: Opener,
    reports: mpsc::Sender<Report>,
    tasks: JoinSet<()>,
    state: State,
    kept: Kept,
    assignments: u64,
}

impl<M: Machine> Driver<M> {
    fn new(machine: M, out: mpsc::Sender<FromGuest>, opener: Opener, reports: mpsc::Sender<Report>) -> Self {
        let machine = Arc::new(machine);
        let (tasks, state, kept) = (JoinSet::new(), State::Frozen, Kept::default());
        Self { machine, out, opener, reports, tasks, state, kept, assignments: 0 }
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
            ToGuest::Tell { note } => match &self.state {
                State::Frozen | State::Rehearsing(_) => self.refuse_state().await,
                State::Working(_, talk) => drop(talk.notes.send(note)),
                _ => self.kept.notes.push(note),
            },
            ToGuest::Answer { id, answer } => match &self.state {
                State::Frozen | State::Rehearsing(_) => self.refuse_state().await,
                State::Working(_, talk) => talk.asker.answer(id, answer),
                _ => {}
            },
            ToGuest::Stop { reason } => match &self.state {
                State::Frozen => self.refuse_state().await,
                State::Rehearsing(stop) => stop.cancel(),
                State::Working(_, talk) => {
                    tracing::info!(reason, "stop");
                    talk.stop.cancel();
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
            Report::Opened(header @ (DataHeader::Skills | DataHeader::Transcript), stream) => {
                if !matches!(self.state, State::Empty | State::Ready(_)) {
                    return self.refuse_state().await;
                }
                self.take(header, stream);
            }
            Report::Opened(DataHeader::Restore, stream) => {
                let State::Ready(manifest) = &self.state else { return self.refuse_state().await };
                self.state = State::Restoring(Arc::clone(manifest));
                self.take(DataHeader::Restore, stream);
            }
            Report::Opened(DataHeader::Connect { .. } | DataHeader::Checkpoint { .. }, _) => {
                self.refuse(RefusalCode::BadMessage, "only the guest opens such a stream".into()).await;
            }
            Report::Taken(taken) => self.taken(taken),
            Report::Rehearsed => {
                self.state = State::Frozen;
                self.say(FromGuest::Rehearsed).await;
            }
            Report::Unpacked(Ok(Unpacked { manifest, entries, bytes })) => {
                self.state = State::Ready(Arc::new(manifest));
                self.kept.restored = false;
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
            let unpacked = inbound::workspace(machine, stream).await;
            let _ = reports.send(Report::Unpacked(unpacked)).await;
        });
    }

    fn take(&mut self, header: DataHeader, stream: Stream) {
        let (machine, reports): (Arc<dyn Machine>, _) = (Arc::clone(&self.machine) as _, self.reports.clone());
        self.tasks.spawn(async move {
            // The driver hears of it before the host does: what the host sends next meets the new state.
            inbound::take(machine, header, stream, &reports).await;
        });
    }

    fn taken(&mut self, taken: Taken) {
        match taken {
            Taken::Transcript(bytes) => self.kept.transcript = Some(bytes),
            Taken::Restored => {
                if let State::Restoring(manifest) = &self.state {
                    self.state = State::Ready(Arc::clone(manifest));
                    self.kept.restored = true;
                }
            }
            // Half a tree is none.
            Taken::NotRestored => self.state = State::Empty,
        }
    }

    async fn assign(&mut self, assignment: Assignment) {
        let State::Ready(manifest) = &self.state else { return self.refuse_state().await };
        let manifest = Arc::clone(manifest);
        let (stop, asker) = (CancellationToken::new(), Asker::new(self.out.clone()));
        let (notes, told) = mpsc::unbounded_channel();
        let kept = std::mem::take(&mut self.kept);
        for note in kept.notes {
            let _ = notes.send(note);
        }
        self.assignments += 1;
        let work = Work {
            machine: Arc::clone(&self.machine),
            opener: self.opener.clone(),
            before: Arc::clone(&manifest),
            restored: kept.restored,
            transcript: kept.transcript,
            notes: told,
            asker: asker.clone(),
            label: format!("assignment-{}", self.assignments),
            stop: stop.clone(),
        };
        // The files stay as they were put.
        self.kept.restored = kept.restored;
        self.state = State::Working(manifest, Talk { stop, notes, asker });
        let reports = self.reports.clone();
        self.tasks.spawn(async move {
            let message = work.run(assignment).await;
            let _ = reports.send(Report::Done(message)).await;
        });
    }

    async fn collect(&mut self, stream: Stream, limit_bytes: u64) {
        let State::Ready(manifest) = &self.state else { return self.refuse_state().await };
        let manifest = Arc::clone(manifest);
        self.state = State::Collecting(Arc::clone(&manifest));
        let (machine, reports) = (Arc::clone(&self.machine), self.reports.clone());
        self.tasks.spawn(async move {
            if let Err(error) = work::send_changes(machine, manifest, stream, limit_bytes).await {
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
            State::Restoring(_) => (RefusalCode::Busy, "an earlier attempt's changes are being put over the workspace"),
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
