//! A scripted model for a world: a provider on the loopback that says what a script tells it to.

use std::{path::Path, time::Duration};

use tokio::{net::TcpListener, runtime::Runtime};
use vm_pool::adapter::scripted::{Running, Script, Seen, serve};

use crate::{paths, wait, world::PATIENCE};

/// A scripted model on threads of its own, so that tests may block.
#[derive(Debug)]
pub struct Model {
    running: Running,
    runtime: Option<Runtime>,
}

impl Model {
    /// Plays a script.
    ///
    /// # Panics
    /// If it is none, or the machine has no port.
    #[must_use]
    pub fn play(script: &str) -> Self {
        let script = Script::parse(script).unwrap_or_else(|why| panic!("the script: {why}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the scripted model");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port for the scripted model");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let entered = runtime.enter();
        let running = serve(script, TcpListener::from_std(listener).expect("a listener")).expect("serve the script");
        drop(entered);
        Self { running, runtime: Some(runtime) }
    }

    /// Plays the script of an example.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn of_example(name: &str) -> Self {
        let file = paths::root().join("examples").join(name).join("script.toml");
        Self::play(&std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display())))
    }

    /// Its base URL, with `/v1`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{}/v1", self.running.url)
    }

    /// The two lines of `baton.toml`.
    #[must_use]
    pub fn config(&self) -> String {
        format!("[models]\nendpoint = \"{}\"\ndefault = \"scripted\"\n", self.endpoint())
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.running.requests()
    }

    /// How often each turn of a conversation was given whole.
    #[must_use]
    pub fn given(&self, conversation: &str) -> Vec<(usize, usize)> {
        self.running.given(conversation)
    }

    /// Every request was as the script expects.
    ///
    /// # Panics
    /// If one was not.
    pub fn was_pleased(&self) {
        let failures = self.running.failures();
        assert!(failures.is_empty(), "the scripted model: {}", failures.join("\n"));
    }

    /// Waits until a turn of a conversation is asked for the nth time (faults count), and nothing more.
    pub async fn until_asked(&self, conversation: &str, turn: usize, times: usize) {
        let what = format!("turn {turn} of {conversation} to be asked for {times} times");
        wait::until(&what, PATIENCE, || {
            let mine = |seen: &&Seen| seen.conversation.as_deref() == Some(conversation) && seen.turn == Some(turn);
            let asked = self.requests().iter().filter(mine).count();
            async move { (asked >= times).then_some(()) }
        })
        .await;
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::ZERO);
        }
        if std::thread::panicking() {
            for seen in self.running.requests() {
                let conversation = seen.conversation.unwrap_or_default();
                eprintln!("model: {conversation} turn {:?}: {} {:?}", seen.turn, seen.status, seen.fault);
            }
            self.running.failures().iter().for_each(|failure| eprintln!("model: {failure}"));
        }
    }
}

/// Copies a folder of the repository.
///
/// # Panics
/// If that fails.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).unwrap_or_else(|e| panic!("{}: {e}", from.display())).flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copy a file");
        }
    }
}
