//! A server program with the processes it starts: started, asked to stop, killed with all of them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::world::signal;

/// How long a server may take to start or to stop. Only a broken test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A process, told from a later one with the same id by its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    started: u64,
}

/// A server and everything below it.
#[derive(Debug)]
pub(super) struct Daemon {
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// A program that stays in the foreground; it does not run yet. What it says goes to the end of `log`.
    pub(super) fn new(program: &str, arguments: &[&str], log: &Path) -> Self {
        let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
        Self { program: program.into(), arguments, log: log.to_path_buf(), child: None }
    }

    pub(super) const fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Starts it, if it does not run, and waits until `is_up`. An error tells what it said before it ended.
    pub(super) fn start(&mut self, is_up: impl Fn() -> bool) -> Result<(), String> {
        if self.child.is_some() {
            return Ok(());
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log).expect("a log file");
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .map_err(|e| format!("start {}: {e}; run `cargo xtask setup`", self.program.display()))?;
        self.child = Some(child);
        let start = Instant::now();
        while !is_up() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || start.elapsed() > PATIENCE {
                self.kill();
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                return Err(format!("{} does not answer (ended: {ended:?}): {said}", self.program.display()));
            }
            thread::park_timeout(LOOK_EVERY);
        }
        Ok(())
    }

    /// Asks it to end, waits until it has, and ends what it left behind.
    pub(super) fn stop(&mut self) {
        let Some(child) = self.child.as_mut() else { return };
        let family = below(child.id());
        signal(child.id(), Signal::TERM);
        let start = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && start.elapsed() < PATIENCE {
            thread::park_timeout(LOOK_EVERY);
        }
        self.end(family);
    }

    /// Kills it and everything below it with SIGKILL, as a power cut would.
    pub(super) fn kill(&mut self) {
        let Some(child) = self.child.as_ref() else { return };
        let family = below(child.id());
        self.end(family);
    }

    /// Stops every process where it is, or lets them go on: connections stay open and nobody answers.
    pub(super) fn freeze(&self, is_frozen: bool) {
        let Some(child) = self.child.as_ref() else { return };
        let order = if is_frozen { Signal::STOP } else { Signal::CONT };
        signal(child.id(), order);
        below(child.id()).iter().for_each(|process| signal(process.pid, order));
    }

    /// Ends the main process and this family of it.
    fn end(&mut self, mut family: Vec<Process>) {
        if let Some(mut child) = self.child.take() {
            // Nobody is born any more once the parent is gone; those who came since are found before.
            signal(child.id(), Signal::STOP);
            for born in below(child.id()) {
                if !family.contains(&born) {
                    family.push(born);
                }
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        for process in &family {
            if processes().any(|p| p.pid == process.pid && p.started == process.started) {
                signal(process.pid, Signal::KILL);
            }
        }
        let start = Instant::now();
        let remain = |process: &Process| processes().any(|p| p.pid == process.pid && p.started == process.started);
        while family.iter().any(remain) && start.elapsed() < PATIENCE {
            thread::park_timeout(LOOK_EVERY);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Every living process of this machine.
fn processes() -> impl Iterator<Item = Process> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        // "pid (name) state parent … started" (proc(5)); the name may hold blanks and brackets.
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let rest: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let is_alive = !matches!(*rest.first()?, "Z" | "X");
        is_alive.then_some(Process { pid, parent: rest.get(1)?.parse().ok()?, started: rest.get(19)?.parse().ok()? })
    })
}

/// The children of a process, theirs, and so on.
fn below(pid: u32) -> Vec<Process> {
    let all: Vec<Process> = processes().collect();
    let (mut found, mut parents) = (Vec::new(), vec![pid]);
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|p| p.parent == parent) {
            found.push(*process);
            parents.push(process.pid);
        }
    }
    found
}
