//! Runs one program to its end, with everything it starts.
//!
//! A small shell starts first and waits for a line on its standard input. Meanwhile it is put into its cage, and only then
//! told to become the program: no instruction of the program runs outside. (This needs no code
//! between fork and exec, which would be unsafe.)

use std::{
    collections::BTreeMap,
    fs,
    io::{self, PipeWriter},
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::port::User;

/// Waits for the line, sets the limit on processes in it, if any (dash and bash name it differently), then becomes its
/// arguments, with nothing to read unless the first one is `-`. A limit that may not be set is above one that is in force.
/// (Shells read a line from a pipe byte by byte: what comes after it is the program's.)
const LAUNCH: &str = r#"read -r n && { [ -z "$n" ] || ulimit -u "$n" || ulimit -p "$n" || :; } 2>/dev/null &&
if [ "$1" = - ]; then shift; exec "$@"; else shift; exec "$@" </dev/null; fi"#;
/// Between asking a program to end and ending it.
const TERM_GRACE: Duration = Duration::from_secs(2);
/// What was killed is gone within this, or never.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// How often memory is looked at where no cgroup keeps the peak.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);
/// Longer limits mean none (and would overflow the clock).
const MAX_WALL: Duration = Duration::from_secs(365 * 24 * 3600);
/// When memory runs out, the program goes before the worker.
const OOM_SCORE: &str = "500";
/// Clock ticks per second in `/proc/*/stat`; fixed by the kernel's interface.
const TICKS_PER_SECOND: u64 = 100;

/// What to run, and how.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The program and its arguments.
    pub(crate) argv: Vec<String>,
    /// Its whole environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Where it starts.
    pub(crate) folder: PathBuf,
    /// Whom it runs as.
    pub(crate) user: Option<User>,
    /// An empty cgroup; removed afterwards.
    pub(crate) cage: Option<PathBuf>,
    /// Most processes at once. Without a cage it is the user's limit that is set, which does not bind root.
    pub(crate) max_processes: u32,
    /// The longest it may run.
    pub(crate) wall: Duration,
    /// It can be written to.
    pub(crate) input: bool,
    /// Its standard output.
    pub(crate) stdout: PipeWriter,
    /// Its standard error.
    pub(crate) stderr: PipeWriter,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) timed_out: bool,
    pub(crate) wall_ms: u64,
    pub(crate) cpu_ms: u64,
    pub(crate) peak_kib: u64,
}

impl Ended {
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

/// Runs to the end, the time limit or the stop. Afterwards nothing of it is left in its process group and cage.
pub(crate) async fn run(launch: Launch, stop: &CancellationToken) -> io::Result<Ended> {
    start(launch).await?.end(stop).await
}

/// A program that runs. Dropping it kills it, with everything it started.
pub(crate) struct Running {
    child: Child,
    group: Group,
    input: Option<ChildStdin>,
    started: Instant,
    deadline: Instant,
    cpu_before: u64,
}

/// Starts a program.
pub(crate) async fn start(launch: Launch) -> io::Result<Running> {
    let cpu_before = children_cpu_ms();
    let started = Instant::now();
    let deadline = started + launch.wall.min(MAX_WALL);
    let (user, cage, max_processes, keeps_input) =
        (launch.user, launch.cage.clone(), launch.max_processes, launch.input);
    let mut child = spawn(launch)?;
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let pid = pid.ok_or_else(|| io::Error::other("the program ended before it began"))?;
    let group = Group { pid, cage };
    let limit = group.limit(user, max_processes)?;
    let input = release(&mut child, &limit).await?;
    Ok(Running { child, group, input: keeps_input.then_some(input), started, deadline, cpu_before })
}

impl Running {
    /// Its standard input, if it has one; once.
    pub(crate) fn take_input(&mut self) -> Option<ChildStdin> {
        self.input.take()
    }

    /// Waits for the end, the time limit or the stop.
    pub(crate) async fn end(mut self, stop: &CancellationToken) -> io::Result<Ended> {
        let (status, timed_out, sampled_kib) = wait(&mut self.child, &self.group, self.deadline, stop).await?;
        let wall_ms = millis(self.started.elapsed());
        self.group.clear().await;
        let cpu_ms = self.group.cpu_ms().unwrap_or_else(|| children_cpu_ms().saturating_sub(self.cpu_before));
        let peak_kib = self.group.peak_kib().unwrap_or(sampled_kib);
        Ok(Ended { status, timed_out, wall_ms, cpu_ms, peak_kib })
    }
}

fn spawn(launch: Launch) -> io::Result<Child> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", LAUNCH, "baton", if launch.input { "-" } else { "0" }]).args(&launch.argv);
    command.env_clear().envs(&launch.env).current_dir(&launch.folder);
    command.stdin(Stdio::piped()).stdout(launch.stdout).stderr(launch.stderr);
    command.process_group(0).kill_on_drop(true);
    if let Some(User { uid, gid }) = launch.user {
        command.uid(uid).gid(gid);
    }
    command.spawn()
}

async fn release(child: &mut Child, limit: &str) -> io::Result<ChildStdin> {
    let mut stdin = child.stdin.take().ok_or_else(|| io::Error::other("the program has no standard input"))?;
    stdin.write_all(format!("{limit}\n").as_bytes()).await?;
    Ok(stdin)
}

/// Waits for the end, bringing it about when it is time. Returns the peak of the program's own memory as far as it was seen.
async fn wait(
    child: &mut Child,
    group: &Group,
    mut deadline: Instant,
    stop: &CancellationToken,
) -> io::Result<(ExitStatus, bool, u64)> {
    let mut sample = tokio::time::interval(SAMPLE_EVERY);
    sample.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut timed_out, mut killed, mut peak_kib) = (false, false, 0);
    loop {
        tokio::select! {
            biased;
            status = child.wait() => return Ok((status?, timed_out, peak_kib)),
            () = stop.cancelled(), if !killed => {
                killed = true;
                group.kill();
            }
            () = tokio::time::sleep_until(deadline), if !killed => {
                killed = timed_out;
                if timed_out {
                    group.kill();
                } else {
                    timed_out = true;
                    group.terminate();
                    deadline = Instant::now() + TERM_GRACE;
                }
            }
            _ = sample.tick() => peak_kib = peak_kib.max(group.resident_kib()),
        }
    }
}

/// A program with everything it started: a process group, and the cage if there is one. Dropping it kills them.
struct Group {
    pid: Pid,
    cage: Option<PathBuf>,
}

impl Group {
    /// Puts the waiting shell into its cage. Returns the limit that it has to set for itself, if there is no cage.
    fn limit(&self, user: Option<User>, max_processes: u32) -> io::Result<String> {
        let pid = self.pid.as_raw_nonzero().to_string();
        // Where this is not possible nothing is lost but the order of killing.
        let _ = fs::write(format!("/proc/{pid}/oom_score_adj"), OOM_SCORE);
        let Some(cage) = &self.cage else {
            // The limit counts all of the user's processes, so those that are there already are added.
            let uid = user.map_or_else(|| rustix::process::getuid().as_raw(), |user| user.uid);
            return Ok((u64::from(max_processes) + tasks_of(uid)).to_string());
        };
        fs::write(cage.join("pids.max"), max_processes.to_string())?;
        fs::write(cage.join("cgroup.procs"), &pid)?;
        Ok(String::new())
    }

    fn terminate(&self) {
        let _ = rustix::process::kill_process_group(self.pid, Signal::TERM);
    }

    fn kill(&self) {
        if let Some(cage) = &self.cage {
            let _ = fs::write(cage.join("cgroup.kill"), "1");
        }
        let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
    }

    /// Ends what the program left behind.
    async fn clear(&self) {
        let until = Instant::now() + KILL_WAIT;
        loop {
            self.kill();
            let alive = match &self.cage {
                Some(cage) => populated(cage),
                None => rustix::process::test_kill_process_group(self.pid).is_ok(),
            };
            if !alive || Instant::now() > until {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn cpu_ms(&self) -> Option<u64> {
        let text = fs::read_to_string(self.cage.as_ref()?.join("cpu.stat")).ok()?;
        let micros: u64 = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?.trim().parse().ok()?;
        Some(micros / 1000)
    }

    fn peak_kib(&self) -> Option<u64> {
        let text = fs::read_to_string(self.cage.as_ref()?.join("memory.peak")).ok()?;
        Some(text.trim().parse::<u64>().ok()? / 1024)
    }

    /// The most memory the program itself (not its children) held so far.
    fn resident_kib(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        if let Some(cage) = &self.cage {
            let _ = fs::remove_dir(cage);
        }
    }
}

fn populated(cage: &Path) -> bool {
    fs::read_to_string(cage.join("cgroup.events")).is_ok_and(|text| text.lines().any(|line| line == "populated 1"))
}

/// Tasks (threads too) that a user has now.
fn tasks_of(uid: u32) -> u64 {
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let of_user = processes.flatten().filter(|entry| {
        let is_process = entry.file_name().to_str().is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()));
        is_process && entry.metadata().is_ok_and(|metadata| metadata.uid() == uid)
    });
    of_user.map(|entry| fs::read_dir(entry.path().join("task")).map_or(0, |tasks| tasks.count() as u64)).sum()
}

/// Processor time of all children waited for so far, theirs included.
fn children_cpu_ms() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may contain anything; cutime and cstime are the 14th and 15th field after it.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks * 1000 / TICKS_PER_SECOND
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
