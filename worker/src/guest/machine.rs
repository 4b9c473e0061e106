//! [`Machine`] for a real guest.

use std::{
    fs, io,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bus_schemas::v1::guest::{ENTROPY_BYTES, EXCHANGE, Rejuvenate, SKILLS, WORKSPACE};
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};
use tokio_util::sync::CancellationToken;

use super::{entropy, mounts, rehearsal};
use crate::port::{Layout, Machine, MachineError, Services, User};

/// The cgroup that holds everything the worker starts.
const CAGES: &str = "/sys/fs/cgroup/agent";
/// Memory that programs in cages cannot take, so that the worker can always answer, in bytes.
const WORKER_RESERVE: u64 = 48 * 1024 * 1024;
/// Most processes in all cages together; each cage has its own, smaller limit.
const MAX_PROCESSES: u32 = 8192;
/// The ordinary user of the image, for checks.
const AGENT: User = User { uid: 1000, gid: 1000 };
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const BOOT_ID_COVER: &str = "/run/boot_id";

/// The guest as the worker's driver sees it.
#[derive(Clone, Debug)]
pub struct GuestMachine {
    layout: Layout,
    boot_id_covered: Arc<AtomicBool>,
}

impl Default for GuestMachine {
    fn default() -> Self {
        Self {
            layout: Layout {
                workspace: WORKSPACE.into(),
                exchange: EXCHANGE.into(),
                home: "/home/agent".into(),
                skills: SKILLS.into(),
                services: Some(Services::default()),
            },
            boot_id_covered: Arc::default(),
        }
    }
}

impl Machine for GuestMachine {
    fn rejuvenate(&self, identity: &Rejuvenate) -> Result<i64, MachineError> {
        let identity = Identity::check(identity)?;
        entropy::add(&identity.entropy)?;
        self.take_over(&identity)
    }

    fn rehearse(&self, stop: &CancellationToken) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if let Err(error) = runtime.block_on(rehearsal::run(self, stop)) {
            tracing::warn!("the rehearsal broke off; the first program will start slowly: {error:#}");
        }
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn prepare(&self) -> Result<(), MachineError> {
        for path in [&self.layout.workspace, &self.layout.exchange, &self.layout.home] {
            empty(path).map_err(MachineError::at(format!("empty {}", path.display())))?;
            // Git and pip distrust folders of another user than the one they run as.
            chown(path, Some(0), Some(0)).map_err(MachineError::at(format!("own {}", path.display())))?;
        }
        Ok(())
    }

    fn user(&self) -> Option<User> {
        Some(AGENT)
    }

    fn cage(&self, label: &str) -> Result<Option<PathBuf>, MachineError> {
        let path = Path::new(CAGES).join(label);
        fs::create_dir(&path).map_err(MachineError::at(format!("create the cgroup {}", path.display())))?;
        // Out of memory ends the whole program, not one process of it at random.
        let group = path.join("memory.oom.group");
        fs::write(&group, "1").map_err(MachineError::at(format!("write {}", group.display())))?;
        Ok(Some(path))
    }

    fn read_only(&self, folder: &Path, on: bool) -> Result<bool, MachineError> {
        if on { mounts::read_only(folder) } else { mounts::writable_again(folder) }.map(|()| true)
    }
}

impl GuestMachine {
    /// Everything of a rejuvenation but the entropy: for the rehearsal, which has none to give.
    pub(super) fn rejuvenate_in_play(&self, identity: &Rejuvenate) -> Result<i64, MachineError> {
        self.take_over(&Identity::check(identity)?)
    }

    fn take_over(&self, identity: &Identity<'_>) -> Result<i64, MachineError> {
        let time = Timespec {
            tv_sec: identity.wall_ns.div_euclid(1_000_000_000),
            tv_nsec: identity.wall_ns.rem_euclid(1_000_000_000),
        };
        clock_settime(ClockId::Realtime, time).map_err(|errno| MachineError::at("set the clock")(errno.into()))?;
        rustix::system::sethostname(identity.hostname.as_bytes())
            .map_err(|errno| MachineError::at("set the host name")(errno.into()))?;
        put("/etc/hostname", &format!("{}\n", identity.hostname))?;
        put("/etc/hosts", &format!("127.0.0.1 localhost {}\n::1 localhost\n", identity.hostname))?;
        put("/etc/machine-id", &format!("{}\n", identity.machine_id))?;
        self.renew_boot_id()?;
        let now = clock_gettime(ClockId::Realtime);
        Ok(now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec))
    }

    /// The kernel's boot id cannot be changed, so another one is shown in its place.
    fn renew_boot_id(&self) -> Result<(), MachineError> {
        put(BOOT_ID_COVER, &format!("{}\n", entropy::uuid()?))?;
        mounts::cover(BOOT_ID_COVER, BOOT_ID, self.boot_id_covered.load(Ordering::Relaxed))?;
        self.boot_id_covered.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// A [`Rejuvenate`] that makes sense.
struct Identity<'a> {
    entropy: [u8; ENTROPY_BYTES],
    wall_ns: i64,
    hostname: &'a str,
    machine_id: &'a str,
}

impl<'a> Identity<'a> {
    /// Everything is checked before anything is applied.
    fn check(told: &'a Rejuvenate) -> Result<Self, MachineError> {
        let refuse = |what: &'static str| MachineError::at(what)(io::ErrorKind::InvalidInput.into());
        let entropy = STANDARD
            .decode(&told.entropy)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| refuse("read the entropy"))?;
        let host = &told.hostname;
        let host_fits = (1..=63).contains(&host.len())
            && host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !host_fits {
            return Err(refuse("read the host name"));
        }
        let id = &told.machine_id;
        if id.len() != 32 || !id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(refuse("read the machine id"));
        }
        if told.wall_ns <= 0 {
            return Err(refuse("read the clock"));
        }
        Ok(Self { entropy, wall_ns: told.wall_ns, hostname: host, machine_id: id })
    }
}

fn put(path: &str, text: &str) -> Result<(), MachineError> {
    fs::write(path, text).map_err(MachineError::at(format!("write {path}")))
}

/// Makes `path` an empty folder without replacing it: it may be a mount point.
fn empty(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes the cgroup for cages and hands it the controllers.
pub(super) fn prepare_cages() -> Result<(), MachineError> {
    let set = |path: &str, value: &str| fs::write(path, value).map_err(MachineError::at(format!("write {path}")));
    set("/sys/fs/cgroup/cgroup.subtree_control", "+cpu +memory +pids")?;
    fs::create_dir(CAGES).map_err(MachineError::at(format!("create the cgroup {CAGES}")))?;
    set(&format!("{CAGES}/cgroup.subtree_control"), "+cpu +memory +pids")?;
    set(&format!("{CAGES}/pids.max"), &MAX_PROCESSES.to_string())?;
    let info = fs::read_to_string("/proc/meminfo").map_err(MachineError::at("read /proc/meminfo"))?;
    let total =
        memory_total(&info).ok_or_else(|| MachineError::at("read /proc/meminfo")(io::ErrorKind::InvalidData.into()))?;
    set(&format!("{CAGES}/memory.max"), &total.saturating_sub(WORKER_RESERVE).max(total / 2).to_string())
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn memory_total(info: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Rejuvenate {
        Rejuvenate {
            entropy: STANDARD.encode([7u8; ENTROPY_BYTES]),
            wall_ns: 1_700_000_000_000_000_000,
            hostname: "baton-1a2b".into(),
            machine_id: "0123456789abcdef0123456789abcdef".into(),
            lease_token: "t".into(),
        }
    }

    #[test]
    fn nonsense_is_refused_before_anything_is_applied() {
        assert!(Identity::check(&told()).is_ok());
        let wrong = [
            Rejuvenate { entropy: STANDARD.encode([7u8; 3]), ..told() },
            Rejuvenate { entropy: "§".into(), ..told() },
            Rejuvenate { hostname: String::new(), ..told() },
            Rejuvenate { hostname: "a\nb".into(), ..told() },
            Rejuvenate { machine_id: "0123456789ABCDEF0123456789abcdef".into(), ..told() },
            Rejuvenate { wall_ns: 0, ..told() },
        ];
        for told in wrong {
            assert!(Identity::check(&told).is_err(), "{told:?}");
        }
    }

    #[test]
    fn memory_is_read_from_meminfo() {
        assert_eq!(memory_total("MemTotal:         498752 kB\nMemFree: 1 kB\n"), Some(498_752 * 1024));
        assert_eq!(memory_total("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn emptying_keeps_the_folder_and_follows_no_link() {
        let place = tempfile::tempdir().unwrap();
        let outside = place.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        let work = place.path().join("work");
        fs::create_dir_all(work.join("deep/er")).unwrap();
        std::os::unix::fs::symlink(&outside, work.join("link")).unwrap();
        empty(&work).unwrap();
        assert_eq!(fs::read_dir(&work).unwrap().count(), 0);
        assert!(outside.join("kept").exists());
    }
}
