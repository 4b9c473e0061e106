//! A real nats-server per test, on a port of its own choice, gone with its value.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

#[derive(Debug)]
pub(super) struct Nats {
    child: Child,
    dir: tempfile::TempDir,
    pub(super) url: String,
}

fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("BATON_NATS_SERVER") {
        return named.into();
    }
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).unwrap_or_default();
    let versions = std::fs::read_dir(cache.join("baton/nats-server")).into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("nats-server"))
        .find(|path| path.is_file())
        .unwrap_or_else(|| "nats-server".into())
}

impl Nats {
    pub(super) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(dir, -1).await
    }

    async fn start_in(dir: tempfile::TempDir, port: i32) -> Self {
        let ports = dir.path().join("ports");
        let _ = std::fs::remove_dir_all(&ports);
        std::fs::create_dir_all(&ports).unwrap();
        let child = Command::new(program())
            .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"])
            .arg(dir.path().join("store"))
            .arg("--ports_file_dir")
            .arg(&ports)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server must be installed (`cargo xtask setup`) or named with BATON_NATS_SERVER");
        let mut nats = Self { child, dir, url: String::new() };
        for _ in 0..1_000 {
            let text = std::fs::read_dir(&ports)
                .unwrap()
                .flatten()
                .find(|e| e.path().extension().is_some_and(|x| x == "ports"))
                .and_then(|e| std::fs::read_to_string(e.path()).ok());
            let url = text
                .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
                .and_then(|value| value["nats"][0].as_str().map(str::to_owned));
            if let Some(url) = url {
                nats.url = url;
                return nats;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nats-server did not say its port");
    }

    /// Where its streams are.
    pub(super) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Kills it and starts it again on the same port and store, after `meanwhile`.
    pub(super) async fn restart(mut self, meanwhile: impl Future<Output = ()>) -> Self {
        let _ = self.child.kill();
        let _ = self.child.wait();
        meanwhile.await;
        let port = self.url.rsplit(':').next().unwrap().parse().unwrap();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        Self::start_in(dir, port).await
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
