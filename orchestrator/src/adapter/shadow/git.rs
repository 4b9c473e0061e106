//! Runs git in a shadow repository, and nothing of the user's configuration with it.

use std::{
    ffi::OsStr,
    io::{BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
};

use crate::port::ShadowError;

/// Settings that hold for every call. Hooks, attributes, filters, replacement objects and automatic clean-up stay out.
const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.autocrlf=false",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.protectNTFS=false",
    "core.protectHFS=false",
    "core.fsync=committed,reference",
    "core.fsyncMethod=batch",
    "gc.auto=0",
    // Two offers of one commit name it at the same time: on a slow disk the second one waits longer than git would.
    "core.filesRefLockTimeout=10000",
    "maintenance.auto=false",
    "fetch.writeCommitGraph=false",
    "fetch.unpackLimit=1",
    "merge.directoryRenames=false",
    "merge.renames=true",
    "merge.conflictStyle=merge",
    "safe.directory=*",
    "advice.graftFileDeprecated=false",
];

/// Longest piece of git's own words kept in an error, in bytes.
const DETAIL_BYTES: usize = 2_000;

/// Git bound to one bare repository.
#[derive(Clone, Debug)]
pub(super) struct Git {
    dir: PathBuf,
}

/// What a finished call printed.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

impl Output {
    /// Standard output as trimmed text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }
}

impl Git {
    pub(super) const fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A command on this repository.
    pub(super) fn command(&self) -> Command {
        let mut command = bare_command();
        command.arg("--git-dir").arg(&self.dir);
        command
    }

    /// Runs a call that must end well.
    pub(super) fn run<S: AsRef<OsStr>>(&self, operation: &'static str, args: &[S]) -> Result<Output, ShadowError> {
        self.run_with(operation, args, &[])
    }

    /// Runs a call that must end well, with bytes on its standard input.
    pub(super) fn run_with<S: AsRef<OsStr>>(
        &self,
        operation: &'static str,
        args: &[S],
        input: &[u8],
    ) -> Result<Output, ShadowError> {
        let output = self.try_with(operation, args, input)?;
        if output.code == 0 { Ok(output) } else { Err(failed(operation, &output.stderr)) }
    }

    /// Runs a call whose exit code means something to the caller.
    pub(super) fn try_with<S: AsRef<OsStr>>(
        &self,
        operation: &'static str,
        args: &[S],
        input: &[u8],
    ) -> Result<Output, ShadowError> {
        let mut command = self.command();
        command.args(args);
        finish(operation, command, |stdin| stdin.write_all(input))
    }

    /// Makes a tree into a commit. The same tree, parents and message give the same commit: its date is the latest
    /// date of its parents.
    pub(super) fn commit_tree(&self, tree: &str, parents: &[String], message: &str) -> Result<String, ShadowError> {
        // With the sign, git takes even small numbers for seconds.
        let date = format!("@{}", self.date_after(parents)?);
        let mut command = self.command();
        command.args(["commit-tree", tree]);
        for parent in parents {
            command.args(["-p", parent]);
        }
        command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        let output = finish("commit-tree", command, |stdin| stdin.write_all(message.as_bytes()))?;
        if output.code == 0 { Ok(output.text()) } else { Err(failed("commit-tree", &output.stderr)) }
    }

    /// The latest committer date of some commits in git's raw form; 1970 without commits.
    pub(super) fn date_after(&self, parents: &[String]) -> Result<String, ShadowError> {
        if parents.is_empty() {
            return Ok("0 +0000".to_owned());
        }
        let mut args = vec!["show", "--no-patch", "--no-show-signature", "--format=%ct"];
        args.extend(parents.iter().map(String::as_str));
        let output = self.run("show", &args)?;
        let latest = output.text().lines().filter_map(|line| line.trim().parse::<i64>().ok()).max().unwrap_or(0);
        Ok(format!("{} +0000", latest.max(0)))
    }

    /// Points a ref at a commit.
    pub(super) fn set_ref(&self, name: &str, commit: &str) -> Result<(), ShadowError> {
        self.run("update-ref", &["update-ref", name, commit]).map(drop)
    }

    /// The commit's parents.
    pub(super) fn parents(&self, commit: &str) -> Result<Vec<String>, ShadowError> {
        let output = self.run("rev-parse", &["rev-parse", &format!("{commit}^@")])?;
        Ok(output.text().lines().map(str::to_owned).collect())
    }
}

/// Git in an environment in which only we have a say.
pub(super) fn bare_command() -> Command {
    let mut command = Command::new("git");
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .envs([
            ("LC_ALL", "C"),
            ("TZ", "UTC"),
            ("HOME", "/nonexistent"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_ALLOW_PROTOCOL", "file"),
            ("GIT_LITERAL_PATHSPECS", "1"),
            ("GIT_AUTHOR_NAME", "Baton"),
            ("GIT_AUTHOR_EMAIL", "baton@localhost"),
            ("GIT_COMMITTER_NAME", "Baton"),
            ("GIT_COMMITTER_EMAIL", "baton@localhost"),
        ])
        .current_dir("/");
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command
}

/// Starts a command, feeds it, and collects what it prints while it runs (so that no pipe fills up).
pub(super) fn finish(
    operation: &'static str,
    command: Command,
    feed: impl FnOnce(&mut BufWriter<ChildStdin>) -> std::io::Result<()>,
) -> Result<Output, ShadowError> {
    match feed_and_finish(operation, command, |stdin| feed(stdin).map_err(FeedStop::Pipe)) {
        Ok(output) => Ok(output),
        Err(FeedError::Git(error) | FeedError::Stopped(error)) => Err(error),
    }
}

/// Why feeding a command stopped: its pipe closed, or the feeder has a reason of its own.
pub(super) enum FeedStop<E> {
    /// Writing to it failed: its own words say why.
    Pipe(std::io::Error),
    /// The feeder gives up; the command is killed.
    Own(E),
}

/// How a fed command failed.
pub(super) enum FeedError<E> {
    /// It could not be run.
    Git(ShadowError),
    /// The feeder gave up.
    Stopped(E),
}

/// As [`finish`], with a feeder that may give up for a reason of its own, which kills the command.
pub(super) fn feed_and_finish<E: Send>(
    operation: &'static str,
    mut command: Command,
    feed: impl FnOnce(&mut BufWriter<ChildStdin>) -> Result<(), FeedStop<E>>,
) -> Result<Output, FeedError<E>> {
    let io = |source| FeedError::Git(ShadowError::Io { operation: "run", path: "git".to_owned(), source });
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(io)?;
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let fed = child.stdin.take().map_or(Ok(()), |stdin| {
        let mut stdin = BufWriter::with_capacity(1 << 16, stdin);
        feed(&mut stdin).and_then(|()| stdin.flush().map_err(FeedStop::Pipe))
    });
    if matches!(fed, Err(FeedStop::Own(_))) {
        kill(&mut child);
    }
    let status = child.wait().map_err(io)?;
    let stdout = stdout.join().unwrap_or_default();
    let stderr = String::from_utf8_lossy(&stderr.join().unwrap_or_default()).trim().to_owned();
    match fed {
        Err(FeedStop::Own(own)) => Err(FeedError::Stopped(own)),
        Err(FeedStop::Pipe(source)) if source.kind() != std::io::ErrorKind::BrokenPipe => Err(io(source)),
        Err(FeedStop::Pipe(_)) if status.success() && operation != "fast-import" => {
            Ok(Output { code: 0, stdout, stderr })
        }
        Err(FeedStop::Pipe(_)) => {
            Ok(Output { code: status.code().filter(|code| *code != 0).unwrap_or(-1), stdout, stderr })
        }
        Ok(()) => Ok(Output { code: status.code().unwrap_or(-1), stdout, stderr }),
    }
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A pipe that breaks ends the output; the exit status says the rest.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn kill(child: &mut Child) {
    // It may have ended by itself meanwhile.
    let _ = child.kill();
}

/// The error for a call that did not end well.
pub(super) fn failed(operation: &'static str, stderr: &str) -> ShadowError {
    let mut end = stderr.len().min(DETAIL_BYTES);
    while !stderr.is_char_boundary(end) {
        end -= 1;
    }
    let detail = stderr.get(..end).unwrap_or_default().trim();
    ShadowError::Git {
        operation,
        detail: if detail.is_empty() { "failed without a word".to_owned() } else { detail.to_owned() },
    }
}

/// Commits are named by 40 lower-case hex digits, never by anything git could take for an option or an expression.
pub(super) fn commit_id(commit: &str) -> Result<&str, ShadowError> {
    let good = commit.len() == 40 && commit.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if good {
        Ok(commit)
    } else {
        Err(ShadowError::Git { operation: "rev-parse", detail: format!("{:?} is not a commit id", clip(commit)) })
    }
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}
