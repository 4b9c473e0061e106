//! Which accelerator: the strongest one that boots a guest to its hello.
//!
//! A device file that opens proves nothing: a machine that is itself a VM may have a `/dev/kvm` on which no ordinary kernel runs.
//! So each one is tried with a real VM and a deadline. What was found is remembered for this QEMU, this kernel and this boot
//! of the host.

use std::{path::Path, time::Duration};

use bus_schemas::v1::task::Machine;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{
    command::Engine,
    hypervisor::{Launcher, file_error, image_error},
};
use crate::{
    adapter::{child, image::ImageFolder, session::Session},
    port::{StartError, Vm as _},
};

/// Hardware boots the guest in well under a second; one that has not in this time never will.
const HARDWARE_DEADLINE: Duration = Duration::from_secs(10);
/// Emulation takes 2 s, and far more on a loaded host; there is nothing to fall back to, so it gets time.
const EMULATION_DEADLINE: Duration = Duration::from_secs(120);

/// What an earlier start found.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Memo {
    accelerator: String,
    note: String,
}

/// The engine, and why not a stronger one.
pub(super) async fn strongest(launcher: &Launcher) -> Result<(Engine, String), StartError> {
    let options = &launcher.options;
    let image = ImageFolder::find(&options.images_dir, &options.image).map_err(|error| image_error(&error))?;
    let key = memo_key(&options.qemu, &image).await?;
    let memo_path = options.cache_dir.join("accelerator").join(format!("{key}.json"));
    if let Some(found) = recall(&memo_path) {
        return Ok(found);
    }
    let mut notes = Vec::new();
    for engine in [if cfg!(target_os = "macos") { Engine::Hvf } else { Engine::Kvm }, Engine::Tcg] {
        let tried = match absent(engine) {
            Some(reason) => Err(reason),
            None => boots(launcher, engine).await?,
        };
        match tried {
            Ok(()) => {
                let mut note = notes.join("; ");
                if !note.is_empty() {
                    note.push_str(&format!(" (delete {} to try again)", memo_path.display()));
                }
                remember(&memo_path, &Memo { accelerator: engine.name().to_owned(), note: note.clone() });
                return Ok((engine, note));
            }
            Err(reason) => notes.push(format!("{}: {reason}", engine.name())),
        }
    }
    let detail = format!("no accelerator boots a guest: {}", notes.join("; "));
    Err(StartError { operation: "find an accelerator", detail, exhausted: false })
}

/// Why an engine need not be tried at all.
fn absent(engine: Engine) -> Option<String> {
    match engine {
        Engine::Kvm => match std::fs::File::options().read(true).write(true).open("/dev/kvm") {
            Ok(_) => None,
            Err(error) => Some(format!("open /dev/kvm: {error}")),
        },
        Engine::Hvf | Engine::Tcg => None,
    }
}

/// Boots a VM to its hello. The inner error is why this engine does not do it; the outer one is not the engine's fault.
async fn boots(launcher: &Launcher, engine: Engine) -> Result<Result<(), String>, StartError> {
    let machine = Machine { cpus: 1, memory_mib: 256, disk_mib: 64, image: launcher.options.image.clone() };
    let (mut vm, channels) = match launcher.launch(engine, &machine).await {
        Ok(started) => started,
        Err(error) if error.operation == "start QEMU" && !error.exhausted => return Ok(Err(error.detail)),
        Err(error) => return Err(error),
    };
    let within = if engine == Engine::Tcg { EMULATION_DEADLINE } else { HARDWARE_DEADLINE };
    let session = Session::open(channels);
    let said = tokio::select! {
        hello = session.hello(Instant::now() + within) => hello.map(drop).map_err(|error| error.to_string()),
        reason = vm.exited() => Err(reason),
    };
    let outcome = match said {
        Ok(()) => Ok(()),
        Err(error) => {
            let printed = vm.console_tail().await;
            let printed = printed.lines().next_back().map(|line| format!(" (last line: {line})")).unwrap_or_default();
            Err(format!("a guest did not boot within {} s: {error}{printed}", within.as_secs()))
        }
    };
    vm.kill().await;
    Ok(outcome)
}

/// What the answer depends on.
async fn memo_key(qemu: &Path, image: &ImageFolder) -> Result<String, StartError> {
    let output =
        tokio::process::Command::from(child::command(qemu)).arg("--version").output().await.map_err(|error| {
            let mut failed = file_error("run QEMU", &error);
            failed.detail = format!("{}: {error}; install it (apt-get install qemu-system-x86)", qemu.display());
            failed
        })?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digest = Sha256::new()
        .chain_update(&output.stdout)
        .chain_update(&image.kernel_sha256)
        .chain_update(boot.trim())
        .finalize();
    Ok(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

fn recall(path: &Path) -> Option<(Engine, String)> {
    let memo: Memo = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let engine = [Engine::Kvm, Engine::Hvf, Engine::Tcg].into_iter().find(|e| e.name() == memo.accelerator)?;
    Some((engine, memo.note))
}

/// Best effort: the next start can find out again.
fn remember(path: &Path, memo: &Memo) {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut draft = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut draft, &serde_json::to_vec_pretty(memo)?)?;
        draft.persist(path)?;
        Ok(())
    };
    if let Err(error) = write() {
        tracing::warn!(path = %path.display(), %error, "the accelerator could not be remembered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_remembered() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("accelerator/k.json");
        assert_eq!(recall(&path), None);
        remember(&path, &Memo { accelerator: "tcg".into(), note: "kvm: no".into() });
        assert_eq!(recall(&path), Some((Engine::Tcg, "kvm: no".into())));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(recall(&path), None, "what cannot be read is found out again");
    }

    #[tokio::test]
    async fn the_key_depends_on_qemu_and_kernel() {
        let image = |kernel: &str| ImageFolder {
            flavour: "base".into(),
            path: "/nonexistent".into(),
            kernel_sha256: kernel.into(),
        };
        let key = async |qemu: &str, kernel: &str| memo_key(Path::new(qemu), &image(kernel)).await.unwrap();
        assert_eq!(key("/bin/echo", "a").await, key("/bin/echo", "a").await);
        assert_ne!(key("/bin/echo", "a").await, key("/bin/echo", "b").await);
        assert_ne!(key("/bin/echo", "a").await, key("/bin/cat", "a").await);
    }

    #[tokio::test]
    async fn a_missing_qemu_says_what_to_install() {
        let image = ImageFolder { flavour: "base".into(), path: "/nonexistent".into(), kernel_sha256: String::new() };
        let error = memo_key(Path::new("/nonexistent/qemu"), &image).await.unwrap_err();
        assert!(error.detail.contains("qemu-system-x86"), "{error}");
    }
}
