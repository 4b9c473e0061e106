//! Runs effects: one program each, in a process group of its own, with an almost empty environment and without a shell. What it
//! prints goes into a file, so that it can go on if this process ends.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use bus_schemas::{id::ApprovalId, v1::effect::EffectOrder};
use futures::{FutureExt as _, future::BoxFuture};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use sha2::{Digest as _, Sha256};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    digest,
    paths::{Env, private_dir},
    plan::effect::EffectEnding,
    port::effect::{EffectDone, EffectRunner, MayHaveRun},
    words::{
        names::without_colours,
        secrets::{redact, without, without_values},
    },
};

/// Where programs are looked for, unless `PATH` is passed on.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Between asking a group to end and ending it.
const GRACE: Duration = Duration::from_secs(5);
/// How often it is looked whether a group that was asked to end is gone.
const LEAVES: Duration = Duration::from_millis(50);
/// How often the size of the output is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Output that is kept at most, in bytes; what is printed beyond takes its place.
const KEPT: u64 = 64 * 1024 * 1024;
/// The last of the output that is read for its tail, and the tail, in bytes.
const READ: u64 = 64 * 1024;
const TAIL: usize = 3 * 1024;
/// How long what an effect printed stays on the disk.
const STAYS: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The file it prints into, and the folder it gets.
const OUTPUT: &str = "output";
const FOLDER: &str = "folder";

/// Runs effects as processes of this machine.
#[derive(Debug)]
pub struct Processes {
    /// A folder of its own.
    root: PathBuf,
    env: Env,
    secrets: Vec<String>,
}

/// What is ready to run.
struct Ready {
    output: File,
    folder: PathBuf,
    env: BTreeMap<String, OsString>,
}

impl Processes {
    /// Keeps what it needs below `root`; passes on variables of `env`; takes `secrets` out of what is printed.
    #[must_use]
    pub const fn new(root: PathBuf, env: Env, secrets: Vec<String>) -> Self {
        Self { root, env, secrets }
    }

    async fn run_to_its_end(&self, id: ApprovalId, order: &EffectOrder) -> Result<EffectDone, MayHaveRun> {
        let place = self.root.join(id.to_string());
        let ready = match self.ready(&place, order) {
            Ok(ready) => ready,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(MayHaveRun),
            Err(error) => return Ok(not_started(error.to_string())),
        };
        let child = match spawn(order, &ready) {
            Ok(child) => child,
            Err(error) => {
                let program = order.argv.first().map_or("", String::as_str);
                let detail = format!("{program} in {}: {error}", ready.folder.display());
                // Nothing ran: its traces would say that something may have.
                drop(fs::remove_dir_all(&place));
                return Ok(not_started(detail));
            }
        };
        let mut dropped = 0;
        let ending = watch(child, order, &ready.output, &mut dropped).await;
        let output = self.output(&place, order);
        drop(fs::remove_dir_all(place.join(FOLDER)));
        let (output_tail, output_sha256, bytes) = output;
        Ok(EffectDone { ending, output_tail, output_sha256, output_bytes: dropped + bytes })
    }

    /// A place for it. One that is there already was made by an earlier run.
    fn ready(&self, place: &Path, order: &EffectOrder) -> io::Result<Ready> {
        let mut env = BTreeMap::new();
        for name in &order.env {
            let missing = || io::Error::other(format!("the variable {name} is not set where Baton runs"));
            let value = self.env.get(&OsString::from(name)).ok_or_else(missing)?;
            env.insert(name.clone(), value.clone());
        }
        private_dir(&self.root).map_err(io::Error::other)?;
        self.sweep();
        fs::create_dir(place)?;
        let output = File::options().create_new(true).append(true).read(true).open(place.join(OUTPUT));
        let folder = match &order.folder {
            Some(folder) => PathBuf::from(folder),
            None => place.join(FOLDER),
        };
        let made = if order.folder.is_none() { fs::create_dir(&folder) } else { Ok(()) };
        match (output, made) {
            (Ok(output), Ok(())) => Ok(Ready { output, folder, env }),
            (Err(error), _) | (_, Err(error)) => {
                drop(fs::remove_dir_all(place));
                Err(io::Error::other(error))
            }
        }
    }

    /// What was printed long ago goes.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let written = fs::metadata(entry.path().join(OUTPUT)).and_then(|output| output.modified());
            let age = written.ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > STAYS) {
                drop(fs::remove_dir_all(entry.path()));
            }
        }
    }

    /// The tail of what is kept of what was printed, the digest of all that is kept, and how much it is. What cannot be read
    /// says so in the place of both.
    fn output(&self, place: &Path, order: &EffectOrder) -> (String, String, u64) {
        let read = || -> io::Result<(String, String, u64)> {
            let mut file = File::open(place.join(OUTPUT))?;
            let mut hash = Sha256::new();
            let bytes = io::copy(&mut file, &mut hash)?;
            file.seek(SeekFrom::Start(bytes.saturating_sub(READ)))?;
            let mut last = Vec::new();
            file.take(READ).read_to_end(&mut last)?;
            Ok((self.tail(&last, order), digest::hex(&hash.finalize()), bytes))
        };
        read().unwrap_or_else(|error| {
            tracing::error!(%error, effect = order.name, "read what an effect printed");
            let why = format!("what it printed could not be read: {error}");
            (format!("[{why}]"), why, 0)
        })
    }

    /// Known secrets go first, while they are whole; then it is cut.
    fn tail(&self, last: &[u8], order: &EffectOrder) -> String {
        let passed = order.env.iter().filter_map(|name| self.env.get(&OsString::from(name)));
        // What goes out of the text goes out of what is looked for in it.
        let passed: Vec<String> = passed.map(|value| visible(&value.to_string_lossy())).collect();
        let own: Vec<String> = self.secrets.iter().map(|secret| visible(secret)).collect();
        let text = visible(&String::from_utf8_lossy(last));
        // Together first: one may be a part of another.
        let text = without(&text, &[own, passed.clone()].concat());
        let text = redact(&without_values(&text, &passed));
        let text = text.trim();
        let from = text.ceil_char_boundary(text.len().saturating_sub(TAIL));
        text.get(from..).unwrap_or_default().to_owned()
    }
}

impl EffectRunner for Processes {
    fn run<'a>(&'a self, id: ApprovalId, order: &'a EffectOrder) -> BoxFuture<'a, Result<EffectDone, MayHaveRun>> {
        self.run_to_its_end(id, order).boxed()
    }

    fn left<'a>(&'a self, id: ApprovalId, order: &'a EffectOrder) -> BoxFuture<'a, String> {
        let place = self.root.join(id.to_string());
        async move { self.output(&place, order).0 }.boxed()
    }
}

fn spawn(order: &EffectOrder, ready: &Ready) -> io::Result<Child> {
    let [program, arguments @ ..] = order.argv.as_slice() else { return Err(io::Error::other("there is no program")) };
    let path = Path::new(program);
    // A relative path with a slash means the working folder's, whatever the platform makes of it.
    let named = if program.contains('/') { ready.folder.join(path) } else { path.to_owned() };
    Command::new(named)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", &ready.folder)
        .env("LANG", "C.UTF-8")
        .envs(&ready.env)
        .current_dir(&ready.folder)
        .stdin(Stdio::null())
        .stdout(ready.output.try_clone()?)
        .stderr(ready.output.try_clone()?)
        .process_group(0)
        .spawn()
}

/// Waits for its end, or brings it about when the time is up.
async fn watch(mut child: Child, order: &EffectOrder, output: &File, dropped: &mut u64) -> EffectEnding {
    let deadline = Instant::now() + Duration::from_millis(order.timeout_ms);
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    loop {
        tokio::select! {
            ended = child.wait() => {
                // What it left behind would go on acting after people were told that it is over.
                if let Some(group) = group {
                    end(group).await;
                }
                return ending(ended);
            }
            () = sleep_until(deadline) => break,
            () = tokio::time::sleep(LOOK) => trim(output, dropped),
        }
    }
    if let Some(group) = group {
        // It is waited for meanwhile: as long as nobody does, a process that ended belongs to its group.
        let _ = tokio::join!(end(group), timeout(GRACE, child.wait()));
    }
    let _ = timeout(GRACE, child.wait()).await;
    EffectEnding::TimedOut
}

/// Asks what there is of a group to end, and ends what is left of it after the grace.
async fn end(group: Pid) {
    if kill_process_group(group, Signal::TERM).is_err() {
        // Nothing is left: mostly so.
        return;
    }
    let gone = async {
        while test_kill_process_group(group).is_ok() {
            tokio::time::sleep(LEAVES).await;
        }
    };
    if timeout(GRACE, gone).await.is_err() {
        // Gone by now is what is wanted.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// The program appends: what it prints next stands at the beginning again.
fn trim(output: &File, dropped: &mut u64) {
    let length = output.metadata().map_or(0, |output| output.len());
    if length > KEPT && output.set_len(0).is_ok() {
        *dropped += length;
    }
}

/// Without colours and control characters.
fn visible(text: &str) -> String {
    without_colours(text).chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

fn ending(ended: io::Result<ExitStatus>) -> EffectEnding {
    match ended {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => EffectEnding::Exited { code },
            (None, signal) => EffectEnding::Killed { signal: signal.unwrap_or_default() },
        },
        // It was started: whatever this is, it is not known that nothing was done.
        Err(error) => {
            tracing::error!(%error, "wait for an effect");
            EffectEnding::Killed { signal: 0 }
        }
    }
}

fn not_started(detail: String) -> EffectDone {
    let ending = EffectEnding::NotStarted { detail };
    EffectDone { ending, output_tail: String::new(), output_sha256: digest::of_bytes(&[]), output_bytes: 0 }
}

#[cfg(test)]
#[path = "effects_tests.rs"]
mod tests;
