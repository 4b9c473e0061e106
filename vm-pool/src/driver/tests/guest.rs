//! A hypervisor whose VMs are tasks that speak the guest channel and play a script.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use bus_schemas::{
    frame,
    v1::{
        guest::{
            Assignment, CHANNEL_VERSION, CheckResult, DELETIONS_ENTRY, DataHeader, Finished, FromGuest, Service,
            StreamAnswer, ToGuest,
        },
        handoff::Isolation,
        task::{LogSource, Machine, Program},
    },
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{broadcast, mpsc, oneshot, watch},
    task::{JoinHandle, JoinSet},
};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

use super::agent::Agent;
use crate::port::{Accelerator, Channels, Hypervisor, StartError, Vm};

pub(super) type Stream = Compat<yamux::Stream>;

/// What the "program" in a fake guest does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Play {
    pub(super) print: String,
    pub(super) exit: i32,
    pub(super) files: BTreeMap<String, String>,
    pub(super) deleted: Vec<String>,
    pub(super) result: Option<String>,
    /// Never ends.
    pub(super) hang: bool,
    /// The VM ends in the middle.
    pub(super) crash: bool,
    /// Connects to the proxy.
    pub(super) connect: Option<String>,
    /// Says and opens what only agents may.
    pub(super) says: Option<FromGuest>,
    pub(super) opens: Option<DataHeader>,
}

#[derive(Debug)]
pub(super) struct FakeHypervisor {
    accelerator: Accelerator,
    /// Boots fail while this is true.
    pub(super) broken: watch::Sender<bool>,
    /// So many VMs power off before they say hello, as one does that finds itself without a timer.
    pub(super) stillborn: AtomicUsize,
    pub(super) alive: Arc<AtomicUsize>,
    pub(super) started: Arc<AtomicUsize>,
    /// What guests saw and heard, in order.
    pub(super) seen: Seen,
}

/// A list that guests write and tests read.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<watch::Sender<Vec<String>>>);

impl Seen {
    pub(super) fn add(&self, line: impl Into<String>) {
        self.0.send_modify(|lines| lines.push(line.into()));
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// Waits for a line.
    pub(super) async fn wait(&self, line: &str) {
        let mut lines = self.0.subscribe();
        let there = lines.wait_for(|lines| lines.iter().any(|seen| seen == line));
        let there = tokio::time::timeout(std::time::Duration::from_secs(60), there).await.is_ok();
        assert!(there, "no {line:?} in {:?}", self.all());
    }
}

impl FakeHypervisor {
    pub(super) fn new() -> Self {
        let accelerator = Accelerator { name: "tcg", note: "a test".into(), isolation: Isolation::Emulated };
        let broken = watch::Sender::new(false);
        Self {
            accelerator,
            broken,
            stillborn: AtomicUsize::new(0),
            alive: Arc::default(),
            started: Arc::default(),
            seen: Seen::default(),
        }
    }
}

pub(super) struct FakeVm {
    task: JoinHandle<()>,
    alive: Arc<AtomicUsize>,
    gone: watch::Receiver<bool>,
}

impl Drop for FakeVm {
    fn drop(&mut self) {
        self.task.abort();
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Vm for FakeVm {
    async fn pause(&mut self) -> Result<(), StartError> {
        Ok(())
    }

    async fn resume(&mut self) -> Result<(), StartError> {
        Ok(())
    }

    async fn exited(&mut self) -> String {
        let _ = self.gone.wait_for(|gone| *gone).await;
        "it was played dead".to_owned()
    }

    async fn kill(self) {}
}

impl Hypervisor for FakeHypervisor {
    type Vm = FakeVm;

    fn accelerator(&self) -> &Accelerator {
        &self.accelerator
    }

    async fn start(&self, _: &Machine) -> Result<(FakeVm, Channels), StartError> {
        if *self.broken.borrow() {
            return Err(StartError { operation: "start a vm", detail: "no kernel".into(), exhausted: false });
        }
        let (control, guest_control) = UnixStream::pair().unwrap();
        let (data, guest_data) = UnixStream::pair().unwrap();
        let (dead, gone) = watch::channel(false);
        self.alive.fetch_add(1, Ordering::SeqCst);
        self.started.fetch_add(1, Ordering::SeqCst);
        if self.stillborn.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            dead.send_replace(true);
            let task = tokio::spawn(async {});
            return Ok((FakeVm { task, alive: Arc::clone(&self.alive), gone }, Channels { control, data }));
        }
        let task = tokio::spawn(guest(guest_control, guest_data, dead, self.seen.clone()));
        Ok((FakeVm { task, alive: Arc::clone(&self.alive), gone }, Channels { control, data }))
    }

    async fn sweep(&self) -> Result<usize, StartError> {
        Ok(0)
    }
}

async fn say(control: &mut OwnedWriteHalf, message: &FromGuest) {
    let frame = frame::encode(&serde_json::to_vec(message).unwrap()).unwrap();
    let _ = control.write_all(&frame).await;
}

async fn hear(mut control: OwnedReadHalf, heard: mpsc::Sender<ToGuest>) {
    while let Ok(length) = control.read_u32().await {
        let mut body = vec![0; length as usize];
        if control.read_exact(&mut body).await.is_err() {
            return;
        }
        let _ = heard.send(serde_json::from_slice(&body).unwrap()).await;
    }
}

/// Opens streams of the data port.
#[derive(Clone)]
pub(super) struct Opener(mpsc::Sender<oneshot::Sender<Stream>>);

impl Opener {
    /// Opens a stream and begins it with these bytes.
    pub(super) async fn open_raw(&self, head: &[u8]) -> Stream {
        let (reply, opened) = oneshot::channel();
        let _ = self.0.send(reply).await;
        let Ok(mut stream) = opened.await else { std::future::pending().await };
        let _ = stream.write_all(head).await;
        stream
    }

    pub(super) async fn open(&self, header: &DataHeader) -> Stream {
        self.open_raw(&frame::encode(&serde_json::to_vec(header).unwrap()).unwrap()).await
    }

    fn print(&self, source: LogSource, text: String) {
        let opener = self.clone();
        tokio::spawn(async move {
            let mut stream = opener.open(&DataHeader::Output { source }).await;
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        });
    }
}

/// What the tasks of a guest know.
#[derive(Default)]
pub(super) struct Inside {
    pub(super) tree: Mutex<Option<tempfile::TempDir>>,
    play: Mutex<Play>,
    pub(super) seen: Seen,
}

async fn guest(control: UnixStream, data: UnixStream, dead: watch::Sender<bool>, seen: Seen) {
    let inside = Arc::new(Inside { seen, ..Inside::default() });
    let (read, mut control) = control.into_split();
    let (hears, mut heard) = mpsc::channel(64);
    let (says, mut said) = mpsc::channel(64);
    let (opens, asked) = mpsc::channel(64);
    let opener = Opener(opens);
    // Gone with this future.
    let mut tasks = JoinSet::new();
    tasks.spawn(hear(read, hears));
    tasks.spawn(data_port(data, Arc::clone(&inside), says.clone(), asked));
    let (notes, _) = broadcast::channel(64);
    let dead = Arc::new(dead);
    loop {
        let heard = tokio::select! {
            heard = heard.recv() => heard,
            Some(message) = said.recv() => {
                say(&mut control, &message).await;
                continue;
            }
        };
        match heard {
            None => break,
            Some(ToGuest::Hello { nonce, .. }) => {
                let hello = FromGuest::Hello { nonce, version: CHANNEL_VERSION, worker: "fake".into(), frozen: true };
                say(&mut control, &hello).await;
            }
            Some(ToGuest::Rehearse) => say(&mut control, &FromGuest::Rehearsed).await,
            Some(ToGuest::Rejuvenate(to)) => {
                let done = FromGuest::Rejuvenated { lease_token: to.lease_token, wall_ns: to.wall_ns };
                say(&mut control, &done).await;
            }
            Some(ToGuest::Ping { sequence }) => say(&mut control, &FromGuest::Pong { sequence }).await,
            Some(ToGuest::Stop { .. }) => {}
            Some(message @ (ToGuest::Tell { .. } | ToGuest::Answer { .. })) => drop(notes.send(message)),
            Some(ToGuest::Assign(Assignment::Attempt(attempt))) => match attempt.program.clone() {
                Program::Agent(work) => {
                    let agent = Agent {
                        opener: opener.clone(),
                        says: says.clone(),
                        hears: notes.subscribe(),
                        inside: Arc::clone(&inside),
                        dead: Arc::clone(&dead),
                        calls: 0,
                    };
                    tasks.spawn(agent.work(serde_json::from_str(&work.instructions).unwrap(), attempt));
                }
                Program::Script { text, .. } => {
                    let play: Play = serde_json::from_str(&text).unwrap();
                    *inside.play.lock().unwrap() = play.clone();
                    opener.print(LogSource::Stdout, play.print.clone());
                    opener.print(LogSource::Stderr, String::new());
                    if let Some(target) = &play.connect {
                        inside.seen.add(super::agent::connect(&opener, Service::Proxy, target).await);
                    }
                    if let Some(message) = &play.says {
                        say(&mut control, message).await;
                    }
                    if let Some(header) = &play.opens {
                        opener.open(header).await;
                    }
                    if play.crash {
                        let _ = dead.send(true);
                    }
                    if !play.hang {
                        let finished = Finished {
                            exit_code: Some(play.exit),
                            summary: "played".into(),
                            result_text: play.result,
                            ..Finished::default()
                        };
                        say(&mut control, &FromGuest::Finished(finished)).await;
                    }
                }
            },
            Some(ToGuest::Assign(Assignment::Checks { checks, .. })) => {
                opener.print(LogSource::Check, "checking\n".to_owned());
                let results = checks.iter().map(|check| result_of(&inside, &check.run)).collect();
                say(&mut control, &FromGuest::ChecksFinished { results }).await;
            }
        }
    }
}

/// `true`, `false`, or `has <path>` in the unpacked tree.
fn result_of(inside: &Inside, run: &str) -> CheckResult {
    let tree = inside.tree.lock().unwrap();
    let passes = match run.split_once(' ') {
        Some(("has", path)) => tree.as_ref().is_some_and(|tree| tree.path().join(path).exists()),
        _ => run == "true",
    };
    CheckResult { exit_code: Some(i32::from(!passes)), timed_out: false, wall_ms: 1, output_tail: run.to_owned() }
}

async fn data_port(
    data: UnixStream,
    inside: Arc<Inside>,
    says: mpsc::Sender<FromGuest>,
    mut asked: mpsc::Receiver<oneshot::Sender<Stream>>,
) {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(1_024).set_max_connection_receive_window(None);
    let mut connection = yamux::Connection::new(data.compat(), config, yamux::Mode::Server);
    let mut opening: Option<oneshot::Sender<Stream>> = None;
    let mut serving = JoinSet::new();
    loop {
        enum Next {
            In(Stream),
            Out(Stream),
            End,
        }
        let next = poll_fn(|cx| {
            if opening.is_none()
                && let Poll::Ready(Some(reply)) = asked.poll_recv(cx)
            {
                opening = Some(reply);
            }
            if opening.is_some()
                && let Poll::Ready(opened) = connection.poll_new_outbound(cx)
            {
                return Poll::Ready(opened.map_or(Next::End, |stream| Next::Out(stream.compat())));
            }
            connection.poll_next_inbound(cx).map(|inbound| match inbound {
                Some(Ok(stream)) => Next::In(stream.compat()),
                _ => Next::End,
            })
        })
        .await;
        match next {
            Next::End => return,
            Next::Out(stream) => drop(opening.take().map(|reply| reply.send(stream))),
            Next::In(stream) => drop(serving.spawn(serve(stream, Arc::clone(&inside), says.clone()))),
        }
    }
}

async fn serve(mut stream: Stream, inside: Arc<Inside>, says: mpsc::Sender<FromGuest>) {
    let length = stream.read_u32().await.unwrap();
    let mut head = vec![0; length as usize];
    stream.read_exact(&mut head).await.unwrap();
    let header = serde_json::from_slice(&head).unwrap();
    if let DataHeader::Changes { .. } = header {
        let play = inside.play.lock().unwrap().clone();
        let _ = stream.write_all(&changes(&play)).await;
        let _ = stream.shutdown().await;
        return;
    }
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    match header {
        DataHeader::Workspace => {
            let dir = tempfile::tempdir().unwrap();
            tar::Archive::new(bytes.as_slice()).unpack(dir.path()).unwrap();
            let entries = std::fs::read_dir(dir.path()).unwrap().count() as u64;
            *inside.tree.lock().unwrap() = Some(dir);
            let _ = says.send(FromGuest::WorkspaceReady { entries, bytes: 0 }).await;
            return;
        }
        DataHeader::Skills => inside.seen.add(format!("skills: {}", names(&bytes))),
        DataHeader::Transcript => inside.seen.add(format!("transcript: {}", String::from_utf8(bytes).unwrap())),
        DataHeader::Restore => inside.seen.add(format!("restored: {}", names(&bytes))),
        _ => return,
    }
    let done = serde_json::to_vec(&StreamAnswer::Done).unwrap();
    let _ = stream.write_all(&frame::encode(&done).unwrap()).await;
    let _ = stream.shutdown().await;
}

/// The names of a tar's entries (or of several, one behind the other), without the list of deletions.
fn names(tar: &[u8]) -> String {
    let mut archive = tar::Archive::new(tar);
    archive.set_ignore_zeros(true);
    let entries = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
    entries.filter(|name| name != DELETIONS_ENTRY).collect::<Vec<_>>().join(" ")
}

impl Inside {
    /// What the program has changed, as far as the host will ask.
    pub(super) fn changed(&self, files: BTreeMap<String, String>) {
        self.play.lock().unwrap().files = files;
    }

    /// That as a tar.
    pub(super) fn changes(&self) -> Vec<u8> {
        changes(&self.play.lock().unwrap())
    }
}

/// The tar of what the play changed; paths are written as they are, however bad.
fn changes(play: &Play) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let deleted = serde_json::to_string(&play.deleted).unwrap();
    let files = play.files.iter().map(|(path, body)| (path.as_str(), body.as_str()));
    for (path, body) in std::iter::once((DELETIONS_ENTRY, deleted.as_str())).chain(files) {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(body.len() as u64);
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        tar.append(&header, body.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A folder's commit as a bundle, and its id.
pub(super) fn bundle_of(dir: &Path, files: &[(&str, &str)]) -> (String, std::path::PathBuf) {
    let source = dir.join("source");
    std::fs::create_dir_all(&source).unwrap();
    let git = |args: &[&str]| {
        let output = std::process::Command::new("git")
            .current_dir(&source)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .args(["-c", "user.name=t", "-c", "user.email=t@t"])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    git(&["init", "-q"]);
    for (path, body) in files {
        std::fs::write(source.join(path), body).unwrap();
    }
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "base"]);
    let commit = git(&["rev-parse", "HEAD"]);
    git(&["update-ref", &format!("refs/baton/{commit}"), &commit]);
    let bundle = dir.join("base.bundle");
    git(&["bundle", "create", "-q", bundle.to_str().unwrap(), &format!("refs/baton/{commit}")]);
    (commit, bundle)
}
