//! `baton serve` as a process of its own, over a bus of the test's: it can be killed as nothing within a process can.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use orchestrator::adapter::web::{Client, Endpoint};
use tempfile::TempDir;

use crate::{paths, wait, world::signal};

/// Long enough for a busy machine; only a broken test waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running `baton serve` with a home of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Serve {
    home: TempDir,
    nats: String,
    child: Option<Child>,
    starts: u32,
}

impl Serve {
    /// A home with this `baton.toml` and a folder `folder` with one file; nothing runs yet.
    ///
    /// # Panics
    /// If the folders cannot be made.
    #[must_use]
    pub fn new(nats: &str, config: &str) -> Self {
        let home = tempfile::Builder::new().prefix("baton").tempdir().expect("a temporary folder");
        fs::create_dir_all(home.path().join("config")).expect("the config folder");
        fs::write(home.path().join("config/baton.toml"), config).expect("write baton.toml");
        fs::create_dir_all(home.path().join("folder")).expect("the project's folder");
        fs::write(home.path().join("folder/hello.txt"), "hello\n").expect("a file");
        Self { home, nats: nats.to_owned(), child: None, starts: 0 }
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// If it ends, or does not answer in time.
    pub async fn start(&mut self) {
        self.starts += 1;
        let log = fs::File::create(self.log(self.starts)).expect("a log file");
        let mut command = self.command(&["serve", "--nats-url", &self.nats]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("start baton serve");
        self.child = Some(child);
        let client = self.client();
        wait::until("baton serve to answer", PATIENCE, || {
            if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
                panic!("baton serve ended with {status}");
            }
            let client = client.clone();
            async move { client.health().await.ok() }
        })
        .await;
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        signal(child.id(), rustix::process::Signal::TERM);
        wait::until("baton serve to stop", Duration::from_secs(60), || {
            let ended = child.try_wait().ok().flatten();
            async move { ended }
        })
        .await;
    }

    /// A client of its API.
    ///
    /// # Panics
    /// If there can be none.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(Endpoint::Unix(self.home.path().join("run/baton.sock"))).expect("a client")
    }

    /// The home folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The folder projects work on.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.home.path().join("folder")
    }

    /// Its database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.home.path().join("state/baton.db")
    }

    /// What it logged since it was started the last time.
    #[must_use]
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.log(self.starts)).unwrap_or_default()
    }

    /// Runs a `baton` command to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn baton(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().expect("start baton")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(paths::dist().join("baton"));
        command.args(arguments).current_dir(self.home.path()).env("BATON_HOME", self.home.path()).env("NO_COLOR", "1");
        command.env_remove("SLACK_APP_TOKEN").env_remove("SLACK_BOT_TOKEN").env_remove("SLACK_SIGNING_SECRET");
        command
    }

    fn log(&self, number: u32) -> PathBuf {
        self.home.path().join(format!("serve-{number}.log"))
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            for number in 1..=self.starts {
                let text = fs::read_to_string(self.log(number)).unwrap_or_default();
                let tail: Vec<&str> = text.lines().rev().take(60).collect();
                eprintln!("--- {}", self.log(number).display());
                tail.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}
