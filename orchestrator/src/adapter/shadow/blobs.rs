//! Reads many objects with one process.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use super::git::Git;
use crate::port::ShadowError;

/// A `git cat-file --batch-command` that answers one question after the other.
#[derive(Debug)]
pub(super) struct Blobs {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Blobs {
    pub(super) fn open(git: &Git) -> Result<Self, ShadowError> {
        let mut child = git
            .command()
            .args(["cat-file", "--batch-command"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(io)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stdout = stdout.ok_or_else(|| broken("no output"))?;
        Ok(Self { child, stdin, stdout: BufReader::new(stdout) })
    }

    /// An object's size in bytes.
    pub(super) fn size(&mut self, oid: &str) -> Result<u64, ShadowError> {
        self.ask("info", oid)
    }

    /// An object's content.
    pub(super) fn read(&mut self, oid: &str) -> Result<Vec<u8>, ShadowError> {
        let size = usize::try_from(self.ask("contents", oid)?).map_err(|_| broken("the object is too big"))?;
        let mut bytes = vec![0; size];
        self.stdout.read_exact(&mut bytes).map_err(io)?;
        let mut end = [0];
        self.stdout.read_exact(&mut end).map_err(io)?;
        Ok(bytes)
    }

    fn ask(&mut self, question: &str, oid: &str) -> Result<u64, ShadowError> {
        let stdin = self.stdin.as_mut().ok_or_else(|| broken("no input"))?;
        writeln!(stdin, "{question} {oid}").map_err(io)?;
        let mut line = String::new();
        self.stdout.read_line(&mut line).map_err(io)?;
        // "<oid> <type> <size>", or "<oid> missing"
        line.rsplit(' ')
            .next()
            .and_then(|size| size.trim().parse().ok())
            .ok_or_else(|| broken(&format!("{oid}: {}", line.trim())))
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It ends at the end of its input; the wait only collects it.
        let _ = self.child.wait();
    }
}

fn io(source: std::io::Error) -> ShadowError {
    ShadowError::Io { operation: "read", path: "git cat-file".to_owned(), source }
}

fn broken(detail: &str) -> ShadowError {
    ShadowError::Git { operation: "cat-file", detail: detail.to_owned() }
}
