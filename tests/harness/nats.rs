//! A real nats-server per test.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bus_schemas::nats::{Bus, BusOptions};
use tempfile::TempDir;

use crate::{paths, wait};

/// A nats-server with a store of its own, as durable as `baton up` runs it; killed on drop.
#[derive(Debug)]
pub struct NatsServer {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
}

impl NatsServer {
    /// Starts a server on a free port of the loopback and waits until it answers.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let config = format!(
            "host: 127.0.0.1\nport: {port}\njetstream {{ store_dir: {:?}, sync_interval: always }}\n",
            folder.path().join("store")
        );
        fs::write(folder.path().join("nats.conf"), config).expect("write the server's configuration");
        let mut server = Self { child: None, folder, port };
        server.restart().await;
        server
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The folder with its store.
    #[must_use]
    pub fn store(&self) -> &Path {
        self.folder.path()
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Kills it if it runs, and starts it again on the same port and store.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        self.kill();
        let log = fs::File::create(self.folder.path().join("nats.log")).expect("a log file");
        let child = Command::new(paths::nats_server())
            .arg("-c")
            .arg(self.folder.path().join("nats.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("start nats-server");
        self.child = Some(child);
        let options = self.options();
        wait::until("nats-server to answer", Duration::from_secs(30), || {
            let options = options.clone();
            async move { Bus::connect(&options).await.ok() }
        })
        .await;
    }

    /// How to connect to it.
    #[must_use]
    pub fn options(&self) -> BusOptions {
        BusOptions { url: self.url(), user_password: None, name: "test".to_owned() }
    }

    /// A connection with all streams in place.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn bus(&self) -> Bus {
        let bus = Bus::connect(&self.options()).await.expect("connect");
        bus.ensure_streams().await.expect("create the streams");
        bus
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
///
/// # Panics
/// If the machine has none.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}
