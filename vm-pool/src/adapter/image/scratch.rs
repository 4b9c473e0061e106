//! Scratch disks: an empty ext4 file system per size, made once, copied for every VM without its holes.

use std::{
    fs::{self, File},
    io::{self, Read, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use super::folder::ImageError;
use crate::adapter::child;

/// The smallest disk that is worth formatting, in MiB.
const MIN_MIB: u32 = 16;

/// The preformatted disk of `mib` MiB, from the cache or made now. Sparse: it takes about a megabyte.
///
/// # Errors
/// [`ImageError`].
pub fn scratch_template(cache: &Path, mib: u32) -> Result<PathBuf, ImageError> {
    let mib = mib.max(MIN_MIB);
    let folder = cache.join("scratch");
    let path = folder.join(format!("{mib}-mib.ext4"));
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(&folder).map_err(ImageError::at("create", &folder))?;
    let file = tempfile::NamedTempFile::new_in(&folder).map_err(ImageError::at("create a file in", &folder))?;
    file.as_file().set_len(u64::from(mib) << 20).map_err(ImageError::at("size", &path))?;
    format(file.path()).map_err(ImageError::at("format (mkfs.ext4, of the package e2fsprogs)", &path))?;
    file.persist(&path).map_err(|error| ImageError::at("write", &path)(error.error))?;
    Ok(path)
}

/// The disk lives for one lease and is thrown away: no journal, no checksums, no reserve, nothing written ahead.
fn format(path: &Path) -> io::Result<()> {
    let run = |program: &str| {
        child::command(program)
            .args(["-q", "-F", "-m", "0", "-b", "4096", "-L", "scratch"])
            .args(["-O", "^has_journal,^metadata_csum,^resize_inode,uninit_bg"])
            .args(["-E", "lazy_itable_init=1,nodiscard,root_owner=0:0"])
            .arg(path)
            .output()
    };
    // Ordinary users' PATH may lack the folder it is in.
    let output = match run("mkfs.ext4") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => run("/usr/sbin/mkfs.ext4")?,
        other => other?,
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // What mke2fs was told by the system, it passes on in words only.
    let kind = if said.contains("No space left") { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
    Err(io::Error::new(kind, said.trim().to_owned()))
}

/// Copies `from` to the new file `to`: as a clone where the file system can, else its data without its holes.
///
/// # Errors
/// [`ImageError`]; [`ImageError::disk_full`] tells whether that is why. A partial copy is removed.
pub fn copy_sparse(from: &Path, to: &Path) -> Result<(), ImageError> {
    let mut source = File::open(from).map_err(ImageError::at("open", from))?;
    let mut copy = File::create_new(to).map_err(ImageError::at("create", to))?;
    if rustix::fs::ioctl_ficlone(&copy, &source).is_ok() {
        return Ok(());
    }
    copy_data(&mut source, &mut copy).map_err(|error| {
        let _ = fs::remove_file(to);
        ImageError::at("write", to)(error)
    })
}

fn copy_data(source: &mut File, copy: &mut File) -> io::Result<()> {
    let length = source.metadata()?.len();
    copy.set_len(length)?;
    let mut at = 0;
    while at < length {
        let start = match rustix::fs::seek(&*source, rustix::fs::SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but hole from here on.
            Err(rustix::io::Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let end = rustix::fs::seek(&*source, rustix::fs::SeekFrom::Hole(start))?;
        source.seek(SeekFrom::Start(start))?;
        copy.seek(SeekFrom::Start(start))?;
        io::copy(&mut Read::by_ref(source).take(end - start), copy)?;
        at = end;
    }
    copy.flush()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_template_is_made_once_and_is_sparse() {
        let cache = tempfile::tempdir().unwrap();
        let path = scratch_template(cache.path(), 64).unwrap();
        let made = fs::metadata(&path).unwrap();
        assert_eq!(made.len(), 64 << 20);
        assert!(made.blocks() * 512 < 8 << 20, "{} blocks", made.blocks());
        assert_eq!(&fs::read(&path).unwrap()[0x438..0x43a], [0x53, 0xef], "ext4's magic");
        assert_eq!(scratch_template(cache.path(), 64).unwrap(), path);
        assert_eq!(fs::metadata(&path).unwrap().ino(), made.ino());
    }

    #[test]
    fn a_copy_has_the_same_bytes_and_the_same_holes() {
        let place = tempfile::tempdir().unwrap();
        let from = place.path().join("from");
        let mut file = File::create(&from).unwrap();
        file.set_len(32 << 20).unwrap();
        file.seek(SeekFrom::Start(1 << 20)).unwrap();
        file.write_all(&[7; 5000]).unwrap();
        file.seek(SeekFrom::Start(20 << 20)).unwrap();
        file.write_all(&[9; 5000]).unwrap();
        let to = place.path().join("to");
        copy_sparse(&from, &to).unwrap();
        assert!(fs::read(&from).unwrap() == fs::read(&to).unwrap());
        assert!(fs::metadata(&to).unwrap().blocks() * 512 < 1 << 20);
        assert!(copy_sparse(&from, &to).is_err(), "an existing disk is never overwritten");
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        // /dev/full is the kernel's own full disk.
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let error = ImageError::at("write", Path::new("/dev/full"))(full.write_all(b"x").unwrap_err());
        assert!(error.disk_full(), "{error}");
        let missing = copy_sparse(Path::new("/nonexistent"), Path::new("/nonexistent2")).unwrap_err();
        assert!(!missing.disk_full());
    }
}
