//! From the initramfs to a normal Debian: kernel file systems, modules, disks, overlay, the move to the new root.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_move, mount_remount, unmount};

use super::wait;
use crate::port::MachineError;

/// The serial numbers that the host gives the two disks.
const BASE_DISK: &str = "baton-base";
const SCRATCH_DISK: &str = "baton-scratch";
/// The new root while it is put together.
const NEW_ROOT: &str = "/newroot";
/// How often a disk is looked for. Disks are there when their driver is, so this is for odd machines.
const DISK_LOOKS: u32 = 2_000;

type Done = Result<(), MachineError>;

fn attach(source: &str, target: &str, kind: &str, flags: MountFlags, data: &str) -> Done {
    let data = std::ffi::CString::new(data).unwrap_or_default();
    mount(source, target, kind, flags, data.as_c_str())
        .map_err(|errno| MachineError::at(format!("mount {kind} on {target}"))(errno.into()))
}

fn folder(path: impl AsRef<Path>) -> Done {
    let path = path.as_ref();
    fs::create_dir_all(path).map_err(MachineError::at(format!("create {}", path.display())))
}

/// `/proc`, `/sys`, `/dev`: what everything else needs.
pub(super) fn kernel_file_systems() -> Done {
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    for path in ["/proc", "/sys", "/dev"] {
        folder(path)?;
    }
    attach("devtmpfs", "/dev", "devtmpfs", MountFlags::NOSUID, "mode=0755")?;
    attach("proc", "/proc", "proc", plain, "")?;
    attach("sysfs", "/sys", "sysfs", plain, "")
}

/// Loads the initramfs's modules in the order of `/modules/modules.list`.
pub(super) fn modules() -> Done {
    let list = fs::read_to_string("/modules/modules.list").map_err(MachineError::at("read /modules/modules.list"))?;
    for name in list.lines().map(str::trim).filter(|name| !name.is_empty()) {
        let path = format!("/modules/{name}");
        let file = fs::File::open(&path).map_err(MachineError::at(format!("open {path}")))?;
        match rustix::system::finit_module(&file, c"", 0) {
            // ENODEV and EEXIST: a driver for a processor feature that is not here, or one that is built in.
            Ok(()) | Err(rustix::io::Errno::EXIST | rustix::io::Errno::NODEV) => {}
            Err(errno) => return Err(MachineError::at(format!("load the module {name}"))(errno.into())),
        }
    }
    Ok(())
}

/// The disk with this serial number. Names (`vda`, `vdb`) depend on the order in which the machine finds its devices.
fn disk(serial: &str) -> Result<PathBuf, MachineError> {
    for _ in 0..DISK_LOOKS {
        for entry in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
            if fs::read_to_string(entry.path().join("serial")).is_ok_and(|found| found.trim() == serial) {
                return Ok(Path::new("/dev").join(entry.file_name()));
            }
        }
        wait::look_again();
    }
    Err(MachineError::at(format!("find the disk {serial}"))(io::ErrorKind::NotFound.into()))
}

/// Mounts the base (read only) and the scratch disk, lays one over the other, and puts the workspace on the scratch disk
/// directly, where it costs no copy-up.
pub(super) fn root() -> Done {
    for path in ["/base", "/scratch", NEW_ROOT] {
        folder(path)?;
    }
    let base = disk(BASE_DISK)?;
    attach(&base.to_string_lossy(), "/base", "erofs", MountFlags::RDONLY | MountFlags::NODEV, "")?;
    let scratch = disk(SCRATCH_DISK)?;
    // noinit_itable: a single-use disk has no need of zeroed inode tables, and no time for it.
    let flags = MountFlags::NODEV | MountFlags::NOATIME;
    attach(&scratch.to_string_lossy(), "/scratch", "ext4", flags, "noinit_itable,nobarrier")?;
    for path in ["/scratch/upper", "/scratch/overlay", "/scratch/workspace"] {
        folder(path)?;
    }
    attach(
        "overlay",
        NEW_ROOT,
        "overlay",
        MountFlags::NODEV | MountFlags::NOATIME,
        "lowerdir=/base,upperdir=/scratch/upper,workdir=/scratch/overlay",
    )?;
    let workspace = format!("{NEW_ROOT}{}", bus_schemas::v1::guest::WORKSPACE);
    folder(&workspace)?;
    mount_bind("/scratch/workspace", &workspace)
        .map_err(|errno| MachineError::at(format!("mount the workspace on {workspace}"))(errno.into()))
}

/// Makes the overlay the root, for this process and all that it starts.
pub(super) fn switch_root() -> Done {
    let errno = |what: &'static str| move |errno: rustix::io::Errno| MachineError::at(what)(errno.into());
    for path in ["/proc", "/sys", "/dev"] {
        let target = format!("{NEW_ROOT}{path}");
        folder(&target)?;
        mount_move(path, &target).map_err(errno("move a kernel file system"))?;
    }
    rustix::process::chdir(NEW_ROOT).map_err(errno("enter the new root"))?;
    mount_move(".", "/").map_err(errno("move the new root"))?;
    rustix::process::chroot(".").map_err(errno("change the root"))?;
    rustix::process::chdir("/").map_err(errno("enter the root"))
}

/// What a normal system has under its root besides files.
pub(super) fn system_file_systems() -> Done {
    let safe = MountFlags::NOSUID | MountFlags::NODEV;
    attach("tmpfs", "/run", "tmpfs", safe, "mode=0755,size=25%")?;
    folder("/dev/pts")?;
    folder("/dev/shm")?;
    attach("devpts", "/dev/pts", "devpts", MountFlags::NOSUID | MountFlags::NOEXEC, "gid=5,mode=620,ptmxmode=666")?;
    attach("tmpfs", "/dev/shm", "tmpfs", safe, "mode=1777")?;
    attach("cgroup2", "/sys/fs/cgroup", "cgroup2", safe | MountFlags::NOEXEC, "")?;
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        match std::os::unix::fs::symlink(target, link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(MachineError::at(format!("link {link}"))(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Shows `source` where `target` is, in place of what an earlier call put there.
pub(super) fn cover(source: &str, target: &str, covered_before: bool) -> Done {
    if covered_before {
        unmount(target, UnmountFlags::DETACH)
            .map_err(|errno| MachineError::at(format!("uncover {target}"))(errno.into()))?;
    }
    mount_bind(source, target).map_err(|errno| MachineError::at(format!("cover {target}"))(errno.into()))
}

/// Mounts a folder over itself, read-only: not even root writes to it without undoing that first.
pub(super) fn read_only(folder: &Path) -> Done {
    let failed =
        |errno: rustix::io::Errno| MachineError::at(format!("make {} read-only", folder.display()))(errno.into());
    mount_bind(folder, folder).map_err(failed)?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount(folder, flags, c"").map_err(failed)
}

/// Takes [`read_only`] back; nothing to do where it was not called.
pub(super) fn writable_again(folder: &Path) -> Done {
    match unmount(folder, UnmountFlags::DETACH) {
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
        Err(errno) => Err(MachineError::at(format!("make {} writable", folder.display()))(errno.into())),
    }
}
