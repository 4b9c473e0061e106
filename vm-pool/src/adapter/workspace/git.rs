//! Running git: a bare repository, a fixed environment, and nothing of the user's configuration.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::WorkspaceError;
use crate::adapter::child;

/// A git command on the bare repository `repo`, deaf to the machine's and the user's configuration.
pub(super) fn command(repo: &Path, operation: &'static str) -> Command {
    let mut command = child::command("git");
    command
        .env("GIT_DIR", repo)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .args(["-c", "core.quotePath=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"])
        // A commit that was announced must survive a power cut: objects and refs are synced, in one go per command.
        .args(["-c", "core.fsync=committed,reference", "-c", "core.fsyncMethod=batch"])
        .arg(operation);
    command
}

/// Runs git with `input` on its standard input and returns what it printed.
pub(super) fn run<I, S>(repo: &Path, operation: &'static str, args: I, input: &[u8]) -> Result<Vec<u8>, WorkspaceError>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = command(repo, operation);
    command.args(args);
    finish(&mut command, operation, |stdin| stdin.write_all(input))
}

/// Spawns `command`, feeds it with `feed` from a second thread, waits, and returns what it printed.
pub(super) fn finish(
    command: &mut Command,
    operation: &'static str,
    feed: impl FnOnce(&mut ChildStdin) -> std::io::Result<()> + Send,
) -> Result<Vec<u8>, WorkspaceError> {
    let spawn = |source| WorkspaceError::Io { operation: "run git", path: operation.to_owned(), source };
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(spawn)?;
    let stdin = child.stdin.take();
    let (output, fed) = std::thread::scope(|scope| {
        let feeder = scope.spawn(move || stdin.map_or(Ok(()), |mut stdin| feed(&mut stdin)));
        let output = child.wait_with_output();
        (output, feeder.join())
    });
    let output = output.map_err(spawn)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let detail = format!("{} ({})", said.trim(), output.status);
        return Err(WorkspaceError::Git { operation, detail });
    }
    match fed {
        // Git may succeed without reading all of its input.
        Ok(Err(e)) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(spawn(e)),
        Err(_) => Err(WorkspaceError::Git { operation, detail: "the input could not be produced".to_owned() }),
        Ok(_) => Ok(output.stdout),
    }
}

/// A running `git cat-file --batch`.
#[derive(Debug)]
pub(super) struct Blobs {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Blobs {
    /// Starts it.
    pub(super) fn open(repo: &Path) -> Result<Self, WorkspaceError> {
        let spawn = |source| WorkspaceError::Io { operation: "run git", path: "cat-file".to_owned(), source };
        let mut child = command(repo, "cat-file")
            .arg("--batch")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(spawn)?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(gone("pipes are missing"));
        };
        Ok(Self { child, questions, answers: BufReader::new(answers) })
    }

    /// Asks for a blob; `use_it` gets its size and a reader of exactly that many bytes.
    pub(super) fn with<T>(
        &mut self,
        oid: &str,
        use_it: impl FnOnce(u64, &mut dyn std::io::Read) -> Result<T, WorkspaceError>,
    ) -> Result<T, WorkspaceError> {
        let broken = |e: std::io::Error| gone(&e.to_string());
        writeln!(self.questions, "{oid}").and_then(|()| self.questions.flush()).map_err(broken)?;
        let mut head = String::new();
        self.answers.read_line(&mut head).map_err(broken)?;
        let size = head
            .strip_prefix(oid)
            .and_then(|rest| rest.trim_end().strip_prefix(" blob "))
            .and_then(|size| size.parse::<u64>().ok())
            .ok_or_else(|| gone(&format!("asked for blob {oid}, got {:?}", head.trim_end())))?;
        let mut body = self.answers.by_ref().take(size);
        let value = use_it(size, &mut body)?;
        std::io::copy(&mut body, &mut std::io::sink()).map_err(broken)?;
        self.answers.read_exact(&mut [0]).map_err(broken)?;
        Ok(value)
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gone(detail: &str) -> WorkspaceError {
    WorkspaceError::Git { operation: "cat-file", detail: detail.to_owned() }
}
