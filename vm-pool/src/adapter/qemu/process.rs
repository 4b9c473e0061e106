//! Starting the process: three sockets handed over, and death with its parent.
//!
//! Two things about a child are easy to get wrong, and both are done here without unsafe code:
//! * *Descriptors.* Making one inheritable in this process would hand it to every program that any other thread starts at that
//!   moment. So the sockets go as the child's standard streams, which only that child gets, and a line of shell moves them up.
//! * *Death with the parent.* The kernel's signal (`PR_SET_PDEATHSIG`) is sent when the *thread* that started the child ends, and a
//!   runtime's threads come and go. So children are started by one thread that lives as long as the process.

use std::{
    ffi::OsString,
    io,
    os::fd::OwnedFd,
    path::Path,
    process::Stdio,
    sync::{OnceLock, mpsc},
    thread,
};

use tokio::{
    net::UnixStream,
    process::{Child, Command},
    runtime::Handle,
    sync::oneshot,
};

use super::command::{CONTROL_FD, DATA_FD, QMP_FD};
use crate::adapter::child;

/// Starts waiting for the thread. A start takes about a millisecond.
const QUEUE: usize = 64;

type Start = Box<dyn FnOnce() + Send>;

/// A started process and our ends of its sockets.
#[derive(Debug)]
pub(super) struct Started {
    pub child: Child,
    pub control: UnixStream,
    pub data: UnixStream,
    pub qmp: UnixStream,
}

/// Starts `program` with `arguments`; what it says on standard error goes to the new file `log`.
pub(super) async fn start(program: &Path, arguments: Vec<OsString>, log: &Path) -> io::Result<Started> {
    let (control, control_theirs) = pair()?;
    let (data, data_theirs) = pair()?;
    let (qmp, qmp_theirs) = pair()?;
    // $0 is the log, "$@" the program. The sockets come as 0, 1, 2 and leave as 3, 4, 5.
    let script = format!(
        "exec {CONTROL_FD}<&0 {DATA_FD}<&1 {QMP_FD}<&2 </dev/null >/dev/null 2>\"$0\"; \
         exec setpriv --pdeathsig KILL --no-new-privs -- \"$@\""
    );
    let mut command = Command::from(child::command("/bin/sh"));
    command
        .arg("-c")
        .arg(script)
        .arg(log)
        .arg(program)
        .args(arguments)
        .stdin(Stdio::from(control_theirs))
        .stdout(Stdio::from(data_theirs))
        .stderr(Stdio::from(qmp_theirs))
        .kill_on_drop(true);
    let child = spawn(command).await?;
    Ok(Started { child, control, data, qmp })
}

/// A socket for tokio, and the other end as a blocking one for a child.
fn pair() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, theirs.into()))
}

async fn spawn(mut command: Command) -> io::Result<Child> {
    let runtime = Handle::current();
    let (done, started) = oneshot::channel();
    let start: Start = Box::new(move || {
        let _context = runtime.enter();
        // If nobody waits any more the child is dropped here, and with it killed.
        let _ = done.send(command.spawn());
    });
    let gone = || io::Error::other("the thread that starts processes is gone");
    starter()?.try_send(start).map_err(|_| gone())?;
    started.await.map_err(|_| gone())?
}

/// The way to the thread that starts processes, which is started on first use and never ends.
fn starter() -> io::Result<mpsc::SyncSender<Start>> {
    static STARTER: OnceLock<mpsc::SyncSender<Start>> = OnceLock::new();
    if let Some(starter) = STARTER.get() {
        return Ok(starter.clone());
    }
    let (starter, starts) = mpsc::sync_channel::<Start>(QUEUE);
    thread::Builder::new().name("vm starter".into()).spawn(move || {
        while let Ok(start) = starts.recv() {
            start();
        }
    })?;
    // Two first users at once: the loser's thread ends with its channel, before it started anything.
    Ok(STARTER.get_or_init(|| starter).clone())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_child_gets_its_three_sockets_and_no_other() {
        let place = tempfile::tempdir().unwrap();
        let log = place.path().join("log");
        // Reads a line from each socket and writes it back, then complains.
        let script = "for n in 3 4 5; do read -r line <&$n; echo \"$n $line\" >&$n; done; for n in /proc/$$/fd/*; do readlink $n; done | grep -c socket: >&3; echo gone >&2";
        let mut started = start(Path::new("/bin/sh"), vec!["-c".into(), script.into()], &log).await.unwrap();
        let mut answers = Vec::new();
        for (socket, word) in [(&mut started.control, "a\n"), (&mut started.data, "b\n"), (&mut started.qmp, "c\n")] {
            socket.write_all(word.as_bytes()).await.unwrap();
            let mut answer = [0u8; 4];
            socket.read_exact(&mut answer).await.unwrap();
            answers.push(String::from_utf8_lossy(&answer).into_owned());
        }
        assert_eq!(answers, ["3 a\n", "4 b\n", "5 c\n"]);
        let mut rest = String::new();
        started.control.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "3\n");
        assert!(started.child.wait().await.unwrap().success());
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "gone\n");
    }

    #[tokio::test]
    async fn a_child_has_nothing_of_this_processs_environment() {
        let place = tempfile::tempdir().unwrap();
        let log = place.path().join("log");
        let mut started = start(Path::new("/bin/sleep"), vec!["1000".into()], &log).await.unwrap();
        let pid = started.child.id().unwrap();
        let program = || {
            std::fs::read_link(format!("/proc/{pid}/exe"))
                .is_ok_and(|exe| !exe.ends_with("dash") && !exe.ends_with("sh"))
        };
        // The shell and setpriv make way for the program itself.
        while !std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"/bin/sleep"))
            || !program()
        {
            tokio::task::yield_now().await;
        }
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        child::tests::assert_clean(&String::from_utf8_lossy(&environ));
        started.child.kill().await.unwrap();
    }

    #[tokio::test]
    async fn a_dropped_child_is_killed() {
        let place = tempfile::tempdir().unwrap();
        let mut started = start(Path::new("/bin/sleep"), vec!["1000".into()], &place.path().join("log")).await.unwrap();
        drop(started.child);
        let mut rest = Vec::new();
        // The other end closes when the process is gone.
        started.control.read_to_end(&mut rest).await.unwrap();
    }
}
