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
        guest::{Assignment, CHANNEL_VERSION, CheckResult, DELETIONS_ENTRY, DataHeader, Finished, FromGuest, ToGuest},
        handoff::Isolation,
        task::{LogSource, Machine, Program},
    },
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

use crate::port::{Accelerator, Channels, Hypervisor, StartError, Vm};

type Stream = Compat<yamux::Stream>;

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
}

#[derive(Debug)]
pub(super) struct FakeHypervisor {
    accelerator: Accelerator,
    /// Boots fail while this is true.
    pub(super) broken: watch::Sender<bool>,
    pub(super) alive: Arc<AtomicUsize>,
    pub(super) started: Arc<AtomicUsize>,
}

impl FakeHypervisor {
    pub(super) fn new() -> Self {
        let accelerator = Accelerator { name: "tcg", note: "a test".into(), isolation: Isolation::Emulated };
        Self { accelerator, broken: watch::Sender::new(false), alive: Arc::default(), started: Arc::default() }
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
        let task = tokio::spawn(guest(guest_control, guest_data, dead));
        Ok((FakeVm { task, alive: Arc::clone(&self.alive), gone }, Channels { control, data }))
    }

    async fn sweep(&self) -> Result<usize, StartError> {
        Ok(0)
    }
}

async fn say(control: &mut UnixStream, message: &FromGuest) {
    let frame = frame::encode(&serde_json::to_vec(message).unwrap()).unwrap();
    let _ = control.write_all(&frame).await;
}

async fn hear(control: &mut UnixStream) -> Option<ToGuest> {
    let length = control.read_u32().await.ok()?;
    let mut body = vec![0; length as usize];
    control.read_exact(&mut body).await.ok()?;
    serde_json::from_slice(&body).ok()
}

/// What both tasks of a guest know.
#[derive(Default)]
struct Inside {
    tree: Mutex<Option<tempfile::TempDir>>,
    play: Mutex<Play>,
}

async fn guest(mut control: UnixStream, data: UnixStream, dead: watch::Sender<bool>) {
    let inside = Arc::new(Inside::default());
    let (unpacked, mut ready) = mpsc::channel(1);
    let (print, prints) = mpsc::channel(4);
    let port = tokio::spawn(data_port(data, Arc::clone(&inside), unpacked, prints));
    loop {
        let heard = tokio::select! {
            heard = hear(&mut control) => heard,
            Some(entries) = ready.recv() => {
                say(&mut control, &FromGuest::WorkspaceReady { entries, bytes: 0 }).await;
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
            Some(ToGuest::Stop { .. } | ToGuest::Tell { .. } | ToGuest::Answer { .. }) => {}
            Some(ToGuest::Assign(Assignment::Attempt(attempt))) => {
                let Program::Script { text, .. } = attempt.program else { panic!("no script") };
                let play: Play = serde_json::from_str(&text).unwrap();
                *inside.play.lock().unwrap() = play.clone();
                let _ = print.send((LogSource::Stdout, play.print.clone())).await;
                let _ = print.send((LogSource::Stderr, String::new())).await;
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
            Some(ToGuest::Assign(Assignment::Checks { checks, .. })) => {
                let _ = print.send((LogSource::Check, "checking\n".to_owned())).await;
                let results = checks.iter().map(|check| result_of(&inside, &check.run)).collect();
                say(&mut control, &FromGuest::ChecksFinished { results }).await;
            }
        }
    }
    port.abort();
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
    unpacked: mpsc::Sender<u64>,
    mut prints: mpsc::Receiver<(LogSource, String)>,
) {
    let mut connection = yamux::Connection::new(data.compat(), yamux::Config::default(), yamux::Mode::Server);
    let mut next_print = None;
    loop {
        enum Next {
            In(Stream),
            Out(Stream),
            End,
        }
        let next = poll_fn(|cx| {
            if next_print.is_none()
                && let Poll::Ready(Some(print)) = prints.poll_recv(cx)
            {
                next_print = Some(print);
            }
            if next_print.is_some()
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
            Next::Out(mut stream) => {
                let Some((source, text)) = next_print.take() else { continue };
                tokio::spawn(async move {
                    let head = serde_json::to_vec(&DataHeader::Output { source }).unwrap();
                    let _ = stream.write_all(&frame::encode(&head).unwrap()).await;
                    let _ = stream.write_all(text.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
            Next::In(stream) => {
                tokio::spawn(serve(stream, Arc::clone(&inside), unpacked.clone()));
            }
        }
    }
}

async fn serve(mut stream: Stream, inside: Arc<Inside>, unpacked: mpsc::Sender<u64>) {
    let length = stream.read_u32().await.unwrap();
    let mut head = vec![0; length as usize];
    stream.read_exact(&mut head).await.unwrap();
    match serde_json::from_slice(&head).unwrap() {
        DataHeader::Workspace => {
            let mut tar = Vec::new();
            stream.read_to_end(&mut tar).await.unwrap();
            let dir = tempfile::tempdir().unwrap();
            tar::Archive::new(tar.as_slice()).unpack(dir.path()).unwrap();
            let entries = std::fs::read_dir(dir.path()).unwrap().count() as u64;
            *inside.tree.lock().unwrap() = Some(dir);
            let _ = unpacked.send(entries).await;
        }
        DataHeader::Changes { .. } => {
            let play = inside.play.lock().unwrap().clone();
            let _ = stream.write_all(&changes(&play)).await;
            let _ = stream.shutdown().await;
        }
        _ => {}
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
