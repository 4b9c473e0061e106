//! A served fake, and `baton` as a real process beside it.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use orchestrator::adapter::web::{Client, Endpoint, Listeners, serve};
use tokio::{process::Command, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::fake::Fake;

/// Nothing here takes this long; it turns a hang into a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One installation in a folder of its own.
pub struct World {
    pub dir: tempfile::TempDir,
    pub fake: Fake,
    pub shutdown: CancellationToken,
    pub server: Option<JoinHandle<()>>,
}

impl World {
    /// Without an orchestrator.
    pub fn bare() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, fake: Fake::new(), shutdown: CancellationToken::new(), server: None }
    }

    /// With the fake behind the API.
    pub async fn served() -> Self {
        let mut world = Self::bare();
        world.serve().await;
        world
    }

    pub async fn serve(&mut self) {
        self.shutdown = CancellationToken::new();
        let listeners = Listeners::bind(&self.socket(), None).await.unwrap();
        let served = serve(listeners, self.fake.clone(), None, self.shutdown.clone());
        self.server = Some(tokio::spawn(async move { served.await.unwrap() }));
    }

    pub async fn stop(&mut self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.server.take().unwrap()).await.unwrap().unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("run/baton.sock")
    }

    pub fn client(&self) -> Client {
        Client::new(Endpoint::Unix(self.socket())).unwrap()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("BATON_HOME", self.dir.path())
            .env("USER", "ada")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs `baton` to its end.
    pub async fn baton(&self, args: &[&str]) -> Ran {
        Ran::of(timeout(PATIENCE, self.command(args).output()).await.unwrap().unwrap())
    }
}

/// How a command went.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "waited in vain: {what}");
}

/// Writes a file with the folders above it.
pub fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
