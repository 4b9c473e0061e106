//! The initramfs: the worker as `/init`, and the modules it loads before it can reach the root disk.
//!
//! The format is "newc" (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst): per entry a header of a magic and
//! 13 fields of 8 hex digits, the name with its NUL, the data; name and data each padded to four bytes; a `TRAILER!!!` entry
//! ends it. It is not compressed: unpacking would be the guest's work.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest as _, Sha256};

use super::folder::{ImageError, ImageFolder};

/// How much older than the newest an initramfs may be.
const KEEP: Duration = Duration::from_secs(14 * 24 * 3600);
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const DEVICE: u32 = 0o020_666;

/// The initramfs for this worker on this image, from the cache or made now. Returns its path.
///
/// # Errors
/// [`ImageError`]; `Unfit` if the worker is not a static binary: nothing it could be linked with is there at that point.
pub fn compose_initramfs(cache: &Path, image: &ImageFolder, worker: &Path) -> Result<PathBuf, ImageError> {
    let binary = fs::read(worker).map_err(ImageError::at("read the worker binary", worker))?;
    check_static(&binary).map_err(|detail| ImageError::Unfit { path: worker.to_owned(), detail })?;
    let mut archive = Archive::default();
    for folder in ["dev", "modules"] {
        archive.entry(folder, FOLDER, (0, 0), &[]);
    }
    // Before anything is mounted, a program's standard streams need one of these.
    archive.entry("dev/console", DEVICE, (5, 1), &[]);
    archive.entry("dev/null", DEVICE, (1, 3), &[]);
    archive.entry("init", PROGRAM, (0, 0), &binary);
    let list_path = image.modules().join("modules.list");
    let list = fs::read_to_string(&list_path).map_err(ImageError::at("read", &list_path))?;
    archive.entry("modules/modules.list", FILE, (0, 0), list.as_bytes());
    for name in list.lines() {
        let path = image.modules().join(name);
        let module = fs::read(&path).map_err(ImageError::at("read", &path))?;
        archive.entry(&format!("modules/{name}"), FILE, (0, 0), &module);
    }
    publish(cache, &archive.finish())
}

/// Writes under a name that is the content's own, so that it is there whole or not at all.
fn publish(cache: &Path, content: &[u8]) -> Result<PathBuf, ImageError> {
    let digest: String = Sha256::digest(content).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let folder = cache.join("initramfs");
    let path = folder.join(format!("{digest}.cpio"));
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(&folder).map_err(ImageError::at("create", &folder))?;
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        io::Write::write_all(&mut file, content)?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(ImageError::at("write", &path))?;
    forget_old(&folder, &path);
    Ok(path)
}

/// Every build of the worker makes another file. Those much older than the newest go; who still wants one composes it again.
fn forget_old(folder: &Path, newest: &Path) {
    let written = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(limit) = written(newest).and_then(|time| time.checked_sub(KEEP)) else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if written(&entry.path()).is_some_and(|time| time < limit) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), data: &[u8]) {
        self.inode += 1;
        let links = if mode == FOLDER { 2 } else { 1 };
        // inode, mode, uid, gid, links, mtime, size, device of the file system (2), device of the node (2), name, check
        let fields =
            [self.inode, mode, 0, 0, links, 0, size(data.len()), 0, 0, device.0, device.1, size(name.len() + 1), 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08X}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(data);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }
}

/// The format has 32 bits for a size; a worker or a module of 4 GiB is not a thing to handle.
fn size(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// An ELF file that names no interpreter (program header `PT_INTERP`), which is what a dynamic loader would be.
fn check_static(binary: &[u8]) -> Result<(), String> {
    const PT_INTERP: u32 = 3;
    let way_out = "build the worker with `cargo xtask build`";
    let field = |at: usize, bytes: usize| -> Option<usize> {
        let raw = binary.get(at..at + bytes)?;
        raw.iter().rev().try_fold(0usize, |sum, byte| sum.checked_mul(256)?.checked_add((*byte).into()))
    };
    if binary.get(..5) != Some(b"\x7fELF\x02".as_slice()) {
        return Err(format!("is not a 64-bit ELF program; {way_out}"));
    }
    let (Some(start), Some(each), Some(count)) = (field(32, 8), field(54, 2), field(56, 2)) else {
        return Err(format!("is cut off; {way_out}"));
    };
    for index in 0..count {
        match start.checked_add(index * each).and_then(|at| field(at, 4)) {
            None => return Err(format!("is cut off; {way_out}")),
            Some(kind) if kind == PT_INTERP as usize => {
                return Err(format!("is dynamically linked, and a guest has nothing to link it with; {way_out}"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 64-bit ELF header and one program header of this kind.
    fn elf(kind: u32) -> Vec<u8> {
        let mut binary = vec![0u8; 120];
        binary[..5].copy_from_slice(b"\x7fELF\x02");
        binary[32] = 64;
        binary[54] = 56;
        binary[56] = 1;
        binary[64..68].copy_from_slice(&kind.to_le_bytes());
        binary
    }

    #[test]
    fn only_a_static_program_is_taken() {
        assert_eq!(check_static(&elf(1)), Ok(()));
        assert!(check_static(&elf(3)).unwrap_err().contains("cargo xtask build"));
        assert!(check_static(b"#!/bin/sh\n").is_err());
        assert!(check_static(&elf(1)[..66]).is_err());
        // This very test is a dynamically linked program.
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(check_static(&own).unwrap_err().contains("dynamically linked"));
    }

    #[test]
    fn entries_are_padded_and_end_with_the_trailer() {
        let mut archive = Archive::default();
        archive.entry("init", PROGRAM, (0, 0), b"hello");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(&bytes[54..62], b"00000005", "the size");
        assert_eq!(&bytes[94..102], b"00000005", "the name's length, with its NUL");
        assert_eq!(&bytes[110..115], b"init\0");
        assert_eq!(&bytes[116..121], b"hello");
        assert!(bytes.windows(10).any(|window| window == b"TRAILER!!!"));
    }

    #[test]
    fn the_same_parts_are_composed_once() {
        let place = tempfile::tempdir().unwrap();
        let modules = place.path().join("image/modules");
        fs::create_dir_all(&modules).unwrap();
        fs::write(modules.join("modules.list"), "virtio.ko\n").unwrap();
        fs::write(modules.join("virtio.ko"), "module").unwrap();
        let worker = place.path().join("worker");
        fs::write(&worker, elf(1)).unwrap();
        let image =
            ImageFolder { flavour: "base".into(), path: place.path().join("image"), kernel_sha256: String::new() };
        let first = compose_initramfs(place.path(), &image, &worker).unwrap();
        assert_eq!(compose_initramfs(place.path(), &image, &worker).unwrap(), first);
        fs::write(modules.join("virtio.ko"), "other").unwrap();
        let second = compose_initramfs(place.path(), &image, &worker).unwrap();
        assert!(second != first && first.exists());
        // A month later another one is made.
        let long_ago = fs::metadata(&first).unwrap().modified().unwrap() - 2 * KEEP;
        fs::File::options().write(true).open(&first).unwrap().set_modified(long_ago).unwrap();
        fs::write(modules.join("virtio.ko"), "third").unwrap();
        compose_initramfs(place.path(), &image, &worker).unwrap();
        assert!(second.exists() && !first.exists());
        fs::remove_file(modules.join("virtio.ko")).unwrap();
        assert!(compose_initramfs(place.path(), &image, &worker).is_err());
    }
}
