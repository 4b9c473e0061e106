//! Run folders: one per VM, owned by the process whose identity is in the folder's name.
//!
//! `vm-<boot>-<pid>-<start>-<number>`: the first digits of the kernel's boot id, the owner's process id, the owner's start time in
//! clock ticks, a counter. The name is the owner's record, so there is no moment at which a folder has none.
//! Holds `scratch.ext4` and `qemu.log`; nothing in it outlives the VM.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

const PREFIX: &str = "vm-";
/// Room for a small piece of work, in MiB.
const ROOM_MIB: u32 = 256;
/// A killed process is gone within milliseconds, unless its disk hangs.
const DIES_WITHIN: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// A VM's folder. Dropping it removes it.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a new one.
    pub(super) fn create(run_dir: &Path) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(run_dir)?;
        let owner = Owner::this()?;
        loop {
            let path = run_dir.join(owner.folder_name(NUMBER.fetch_add(1, Ordering::Relaxed)));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => return other.map(|()| Self { path }),
            }
        }
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses to go on if the disk under this folder has less room than `mib`, or than [`ROOM_MIB`] if that is less: scratch disks
    /// are sparse and may together be larger than the disk, but a VM that starts on a full one only fails later and less clearly.
    pub(super) fn check_room(&self, mib: u32) -> io::Result<()> {
        let disk = rustix::fs::statvfs(&self.path)?;
        let free_mib = disk.f_bavail.saturating_mul(disk.f_frsize) >> 20;
        let wanted = mib.min(ROOM_MIB);
        if free_mib >= u64::from(wanted) {
            return Ok(());
        }
        let detail = format!("{} has {free_mib} MiB left, a VM needs at least {wanted}", self.path.display());
        Err(io::Error::new(io::ErrorKind::StorageFull, detail))
    }

    pub(super) fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub(super) fn scratch(&self) -> PathBuf {
        self.path.join("scratch.ext4")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("qemu.log")
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(folder = %self.path.display(), %error, "a VM's folder could not be removed; the next start sweeps it");
        }
    }
}

/// A process, told from every other one that ever had or will have its id.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    boot: String,
    pid: u32,
    start: u64,
}

impl Owner {
    fn this() -> io::Result<Self> {
        let pid = std::process::id();
        let start = start_time(pid).ok_or_else(|| io::Error::other("read this process's start time in /proc"))?;
        Ok(Self { boot: boot()?, pid, start })
    }

    fn folder_name(&self, number: u64) -> String {
        format!("{PREFIX}{}-{}-{}-{number}", self.boot, self.pid, self.start)
    }

    fn of_folder(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.split('-');
        let owner = Self {
            boot: parts.next()?.to_owned(),
            pid: parts.next()?.parse().ok()?,
            start: parts.next()?.parse().ok()?,
        };
        parts.next()?.parse::<u64>().ok()?;
        parts.next().is_none().then_some(owner)
    }

    fn lives(&self, boot: &str) -> bool {
        self.boot == boot && start_time(self.pid) == Some(self.start)
    }
}

/// The kernel's boot id, shortened.
fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.chars().take(8).collect())
}

/// When a living process started, in clock ticks since boot: field 22 of its `stat`, counted after the name, which may hold anything.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    // A zombie holds nothing any more; its folders are nobody's.
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Kills and removes what owners that are gone left in `run_dir`. Returns how many folders that were.
pub(super) fn sweep(run_dir: &Path) -> io::Result<usize> {
    let boot = boot()?;
    let entries = match fs::read_dir(run_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut swept = 0;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(Owner::of_folder) else { continue };
        if owner.lives(&boot) {
            continue;
        }
        kill_users_of(&entry.path());
        fs::remove_dir_all(entry.path())?;
        swept += 1;
    }
    Ok(swept)
}

/// Kills every process that was started with a file of `folder` on its command line. The folder's name is unique for ever, so
/// what names it is a VM of ours, whoever its parent is by now.
fn kill_users_of(folder: &Path) {
    let needle = format!("{}/", folder.display());
    let uses = |pid: u32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&needle))
    };
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if pid == std::process::id() || !uses(pid) {
            continue;
        }
        let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { continue };
        // The descriptor is bound to the process; looked at again, it cannot be another one with the same number.
        let Ok(process) = pidfd_open(id, PidfdFlags::empty()) else { continue };
        if !uses(pid) || pidfd_send_signal(&process, Signal::KILL).is_err() {
            continue;
        }
        // Readable once it is gone. If it hangs all the same, its folder goes anyway.
        let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&DIES_WITHIN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_lives_as_long_as_its_value() {
        let run_dir = tempfile::tempdir().unwrap();
        let first = RunFolder::create(run_dir.path()).unwrap();
        let second = RunFolder::create(run_dir.path()).unwrap();
        assert_ne!(first.path(), second.path());
        assert_eq!(sweep(run_dir.path()).unwrap(), 0, "the owner is this very process");
        fs::write(first.scratch(), "x").unwrap();
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn a_disk_without_room_is_told_before_a_vm_starts() {
        let run_dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(run_dir.path()).unwrap();
        folder.check_room(0).unwrap();
        // A file system that has no room at all, on every Linux. Not dropped: that would remove the folder.
        let full = std::mem::ManuallyDrop::new(RunFolder { path: "/proc/self".into() });
        let error = full.check_room(16).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("0 MiB left"), "{error}");
    }

    #[test]
    fn only_what_lost_its_owner_is_swept() {
        let run_dir = tempfile::tempdir().unwrap();
        let kept = RunFolder::create(run_dir.path()).unwrap();
        let this = Owner::this().unwrap();
        let leftovers = [
            // The same process id, but another process had it; the same process, but before the machine was restarted.
            Owner { start: this.start + 1, ..this.clone() },
            Owner { boot: "00000000".into(), ..this },
        ];
        for owner in &leftovers {
            fs::create_dir_all(run_dir.path().join(owner.folder_name(7)).join("deep")).unwrap();
        }
        let foreign = run_dir.path().join("vm-notes");
        fs::create_dir(&foreign).unwrap();
        assert_eq!(sweep(run_dir.path()).unwrap(), 2);
        assert!(kept.path().exists() && foreign.exists());
        assert_eq!(sweep(Path::new("/nonexistent/run")).unwrap(), 0);
    }

    #[test]
    fn a_process_that_was_left_behind_is_killed() {
        let run_dir = tempfile::tempdir().unwrap();
        let this = Owner::this().unwrap();
        let folder = run_dir.path().join(Owner { start: 1, ..this }.folder_name(0));
        fs::create_dir(&folder).unwrap();
        let mut left = std::process::Command::new("/bin/sh")
            .args(["-c", "read -r forever", "sh"])
            .arg(folder.join("scratch.ext4"))
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(sweep(run_dir.path()).unwrap(), 1);
        assert!(!left.wait().unwrap().success(), "it was killed");
        assert!(!folder.exists());
    }
}
