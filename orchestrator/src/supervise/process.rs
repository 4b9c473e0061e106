//! Processes by id, without mistaking a new one for an old one.

use std::{fs, time::Duration};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::time::{Instant, sleep};

/// Between two looks at a process that was asked to end.
const LOOK: Duration = Duration::from_millis(50);

fn pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

/// When the process was started, in clock ticks since boot (field 22 of `/proc/<pid>/stat`, proc(5)): the same process
/// id with another start is another process. `None` if it is gone or already a zombie.
pub(super) fn started_at(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything, a parenthesis included.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Sends SIGTERM.
pub fn terminate(id: u32) {
    if let Some(pid) = pid(id) {
        // Gone already is what was wanted.
        let _ = kill_process(pid, Signal::TERM);
    }
}

fn alive(id: u32, started: Option<u64>) -> bool {
    match started {
        Some(started) => started_at(id) == Some(started),
        None => pid(id).is_some_and(|pid| test_kill_process(pid).is_ok()),
    }
}

/// Ends a process: SIGTERM, and SIGKILL after `grace`. With `started` only if it is still that process. Says whether
/// there was one.
pub async fn end(id: u32, started: Option<u64>, grace: Duration) -> bool {
    if !alive(id, started) {
        return false;
    }
    terminate(id);
    let deadline = Instant::now() + grace;
    while alive(id, started) {
        if Instant::now() >= deadline {
            if let Some(pid) = pid(id) {
                let _ = kill_process(pid, Signal::KILL);
            }
            return true;
        }
        sleep(LOOK).await;
    }
    true
}
