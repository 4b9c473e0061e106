//! `baton doctor`'s knowledge: what Baton needs on this machine, what for, and how to mend it.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{process::Command, time::timeout};

use crate::{
    config::Config,
    paths::{Env, Paths, private_dir},
    supervise::{find, holder},
};

/// A program that says its version takes milliseconds; one that hangs must not hang the doctor.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
/// Probing boots a kernel, with emulation and a cold cache too.
const PROBE_TIMEOUT: Duration = Duration::from_secs(120);
/// `git merge-tree --write-tree` came with this one.
const GIT_OLDEST: (u32, u32) = (2, 38);
const GIB: u64 = 1024 * 1024 * 1024;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Ok,
    /// It works, but not well.
    Warn,
    /// Baton cannot work.
    Fail,
}

/// One prerequisite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// How it came out.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Check {
    /// A check that came out well.
    pub const fn ok(name: &'static str, purpose: &'static str, found: String) -> Self {
        Self { name, purpose, health: Health::Ok, found, mend: None }
    }

    /// A check that did not.
    pub fn bad(name: &'static str, purpose: &'static str, health: Health, found: String, mend: &str) -> Self {
        Self { name, purpose, health, found, mend: Some(mend.to_owned()) }
    }
}

/// Everything that can be checked without a running orchestrator, in the order a person would mend it. `own` is the
/// folder of this program.
pub async fn examine(config: &Config, paths: &Paths, env: &Env, own: &Path) -> Vec<Check> {
    let mut checks: Vec<Check> = [
        ("state folder", "journal, shadow repositories, NATS store", &paths.state_dir),
        ("cache folder", "guest images and nats-server", &paths.cache_dir),
        ("runtime folder", "sockets and locks", &paths.runtime_dir),
    ]
    .map(|(name, purpose, dir)| folder(name, purpose, dir))
    .into();
    checks.push(disk(&paths.state_dir));
    checks.push(memory());
    checks.push(git().await);
    checks.push(qemu().await);
    checks.push(nats(config, paths, env));
    checks.push(image(config, paths));
    checks.push(worker(config, own));
    checks.push(accelerator(own, paths, env).await);
    checks.push(supervisor(paths));
    checks
}

fn folder(name: &'static str, purpose: &'static str, dir: &Path) -> Check {
    let shown = dir.display().to_string();
    let try_it = || -> Result<(), String> {
        if !dir.exists() {
            private_dir(dir).map_err(|error| error.to_string())?;
        }
        tempfile::tempfile_in(dir).map(drop).map_err(|error| error.to_string())
    };
    match try_it() {
        Ok(()) => Check::ok(name, purpose, shown),
        Err(why) => {
            let mend = "make the folder writable, or set BATON_HOME to one that is";
            Check::bad(name, purpose, Health::Fail, format!("{shown}: {why}"), mend)
        }
    }
}

fn disk(dir: &Path) -> Check {
    let (name, purpose) = ("disk space", "VM disks, shadow repositories, logs");
    match rustix::fs::statvfs(dir) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let found = format!("{} GiB free at {}", free / GIB, dir.display());
            match free {
                ..GIB => {
                    Check::bad(name, purpose, Health::Fail, found, "free some space: at least 1 GiB, better 5 GiB")
                }
                _ if free < 5 * GIB => Check::bad(name, purpose, Health::Warn, found, "free some space: better 5 GiB"),
                _ => Check::ok(name, purpose, found),
            }
        }
        Err(error) => Check::bad(name, purpose, Health::Warn, format!("unknown: {error}"), "look at the folder"),
    }
}

fn memory() -> Check {
    let (name, purpose) = ("memory", "every VM takes 512 MiB unless the plan says otherwise");
    let available = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?.trim().to_owned();
        line.split(' ').next()?.parse::<u64>().ok()
    });
    match available.map(|kib| kib / 1024) {
        None => Check::bad(name, purpose, Health::Warn, "unknown".to_owned(), "make sure that 2 GiB are free"),
        Some(mib @ ..768) => Check::bad(
            name,
            purpose,
            Health::Fail,
            format!("{mib} MiB available"),
            "close something: a VM needs 768 MiB",
        ),
        Some(mib @ 768..2048) => {
            let mend = "set pool.slots = 1 and pool.spares = 0, or close something";
            Check::bad(name, purpose, Health::Warn, format!("{mib} MiB available"), mend)
        }
        Some(mib) => Check::ok(name, purpose, format!("{mib} MiB available")),
    }
}

/// What a program prints when asked with these arguments.
async fn output(program: &Path, args: &[&str], limit: Duration) -> Result<(bool, String), String> {
    let run = Command::new(program).args(args).kill_on_drop(true).stdin(std::process::Stdio::null()).output();
    match timeout(limit, run).await {
        Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Err("not installed".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(output)) => {
            let stream = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
            Ok((output.status.success(), String::from_utf8_lossy(stream).trim().to_owned()))
        }
    }
}

/// The first `major.minor` in a text.
fn version(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let mut parts = word.split('.').map(|part| part.parse().ok());
        Some((parts.next()??, parts.next()??))
    })
}

async fn git() -> Check {
    let (name, purpose) = ("git", "handoffs are commits, merged three-way");
    let mend = "apt-get install git (2.38 or later)";
    match output(Path::new("git"), &["--version"], VERSION_TIMEOUT).await {
        Ok((_, text)) if version(&text).is_some_and(|found| found >= GIT_OLDEST) => Check::ok(name, purpose, text),
        Ok((_, text)) => Check::bad(name, purpose, Health::Fail, format!("{text} is too old"), mend),
        Err(why) => Check::bad(name, purpose, Health::Fail, why, mend),
    }
}

async fn qemu() -> Check {
    let (name, purpose) = ("qemu-system-x86_64", "runs the VMs");
    let mend = "apt-get install --no-install-recommends qemu-system-x86";
    match output(Path::new(name), &["--version"], VERSION_TIMEOUT).await {
        Ok((true, text)) => Check::ok(name, purpose, text.lines().next().unwrap_or_default().to_owned()),
        Ok((false, text)) => Check::bad(name, purpose, Health::Fail, text, mend),
        Err(why) => Check::bad(name, purpose, Health::Fail, why, mend),
    }
}

fn nats(config: &Config, paths: &Paths, env: &Env) -> Check {
    let (name, purpose) = ("nats-server", "carries offers, reports and files between orchestrator and hosts");
    if let Some(url) = &config.bus.url {
        return Check::ok(name, purpose, format!("not needed: bus.url is {url}"));
    }
    match find(config, paths, env) {
        Ok(server) => Check::ok(name, purpose, format!("{} at {}", server.version, server.program.display())),
        Err(error) => Check::bad(name, purpose, Health::Fail, error.to_string(), "`cargo xtask setup` installs one"),
    }
}

fn image(config: &Config, paths: &Paths) -> Check {
    let (name, purpose) = ("guest image", "the system inside every VM");
    let flavour = config.pool.image.as_deref().unwrap_or("base");
    let images = paths.cache_dir.join("images");
    let complete = fs::read_dir(&images).into_iter().flatten().flatten().map(|entry| entry.path()).find(|path| {
        let named = path.file_name().and_then(OsStr::to_str).and_then(|name| name.rsplit_once('-'));
        named.is_some_and(|(prefix, _)| prefix == flavour) && path.join("manifest.json").is_file()
    });
    match complete {
        Some(path) => Check::ok(name, purpose, path.display().to_string()),
        None => {
            let found = format!("no image of flavour {flavour:?} in {}", images.display());
            Check::bad(name, purpose, Health::Fail, found, "`cargo xtask setup` builds it (about two minutes)")
        }
    }
}

fn worker(config: &Config, own: &Path) -> Check {
    let (name, purpose) = ("static worker", "the first process inside every VM");
    let beside = own.join("baton-worker");
    let path = config.pool.worker.clone().unwrap_or(beside);
    if path.is_file() {
        return Check::ok(name, purpose, path.display().to_string());
    }
    let found = format!("{} does not exist", path.display());
    Check::bad(name, purpose, Health::Fail, found, "`cargo xtask build` builds it; or name one with pool.worker")
}

async fn accelerator(own: &Path, paths: &Paths, env: &Env) -> Check {
    let (name, purpose) = ("accelerator", "how fast VMs are, and how strongly isolated");
    let path = env.get(OsStr::new("PATH")).map(std::env::split_paths);
    let program = std::iter::once(own.to_owned())
        .chain(path.into_iter().flatten())
        .map(|dir: PathBuf| dir.join("baton-vm-pool"))
        .find(|program| program.is_file());
    let Some(program) = program else {
        let found = format!("cannot be probed: no baton-vm-pool beside this program ({})", own.display());
        return Check::bad(name, purpose, Health::Fail, found, "`cargo build --release` builds it");
    };
    let state = paths.pool_dir();
    let mend = "mend what stands above first, then try again";
    match output(&program, &["probe", "--state-dir", &state.to_string_lossy()], PROBE_TIMEOUT).await {
        Ok((true, text)) => {
            let probed: Probed = match serde_json::from_str(text.lines().last().unwrap_or_default()) {
                Ok(probed) => probed,
                Err(_) => return Check::bad(name, purpose, Health::Fail, text, mend),
            };
            let note = if probed.note.is_empty() { String::new() } else { format!("; {}", probed.note) };
            let found = format!("{} ({}){note}", probed.accelerator, probed.isolation);
            if probed.isolation == "hardware" {
                return Check::ok(name, purpose, found);
            }
            let mend = "it works; a machine with a working /dev/kvm is faster and isolates more strongly";
            Check::bad(name, purpose, Health::Warn, found, mend)
        }
        Ok((false, text)) => {
            Check::bad(name, purpose, Health::Fail, text.lines().last().unwrap_or_default().to_owned(), mend)
        }
        Err(why) => Check::bad(name, purpose, Health::Fail, why, mend),
    }
}

/// What `baton-vm-pool probe` prints.
#[derive(Deserialize)]
struct Probed {
    accelerator: String,
    note: String,
    isolation: String,
}

fn supervisor(paths: &Paths) -> Check {
    let (name, purpose) = ("baton up", "everything runs on this machine");
    match holder(paths) {
        Some(pid) => Check::ok(name, purpose, format!("running (process {pid})")),
        None => Check::bad(name, purpose, Health::Warn, "not running".to_owned(), "start it with `baton up`"),
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("git version 2.39.5"), Some((2, 39)));
        assert_eq!(version("git version 2.50.1.windows.1"), Some((2, 50)));
        assert_eq!(version("nothing"), None);
    }

    #[test]
    fn a_folder_that_cannot_be_written_fails_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let check = folder("state folder", "x", &file.join("below"));
        assert_eq!(check.health, Health::Fail);
        assert!(check.mend.unwrap().contains("BATON_HOME"));
        assert_eq!(folder("state folder", "x", &dir.path().join("new")).health, Health::Ok);
    }

    #[test]
    fn only_a_complete_image_counts() {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::from([("BATON_HOME".into(), dir.path().into()), ("XDG_CACHE_HOME".into(), dir.path().into())]);
        let paths = Paths::from_env(&env).unwrap();
        let folder = paths.cache_dir.join("images/base-0123456789abcdef");
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(image(&Config::default(), &paths).health, Health::Fail, "no manifest: still being built");
        fs::write(folder.join("manifest.json"), "{}").unwrap();
        assert_eq!(image(&Config::default(), &paths).health, Health::Ok);
        let mut config = Config::default();
        config.pool.image = Some("build".to_owned());
        assert_eq!(image(&config, &paths).health, Health::Fail, "another flavour");
    }
}
