//! Unpacking archives that nobody has looked at: bounded, and nothing leads out.

use std::{
    fs::{self, File},
    io::{self, Read, Seek as _, SeekFrom},
    path::{Component, Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tar::EntryType;

use crate::{
    files::set_mode,
    finding::{Class, SkillError},
};

/// The largest archive.
const MAX_PACKED: u64 = 256 << 20;
/// What it may unpack to.
const MAX_UNPACKED: u64 = 256 << 20;
/// Entries of an archive.
const MAX_ENTRIES: usize = 20_000;
/// What a byte of the archive may become, beyond [`FREE`].
const MAX_RATIO: u64 = 100;
/// Small archives may be as dense as they like.
const FREE: u64 = 4 << 20;

/// Unpacks into an empty folder; returns the archive's SHA-256.
pub(super) fn unpack(archive: &Path, into: &Path) -> Result<String, SkillError> {
    let failed = || SkillError::io(format!("read {}", archive.display()));
    let mut file = File::open(archive).map_err(failed())?;
    let packed = file.metadata().map_err(failed())?.len();
    if packed > MAX_PACKED {
        return Err(bad("too_large", format!("the archive has {packed} bytes; {MAX_PACKED} are the most")));
    }
    let mut hash = Sha256::new();
    io::copy(&mut (&mut file).take(MAX_PACKED), &mut hash).map_err(failed())?;
    file.seek(SeekFrom::Start(0)).map_err(failed())?;
    let name = archive.to_string_lossy().to_lowercase();
    let mut room =
        Room { into, left: MAX_UNPACKED.min(FREE.saturating_add(packed.saturating_mul(MAX_RATIO))), entries: 0 };
    if name.ends_with(".zip") {
        unzip(file, &mut room)?;
    } else if name.ends_with(".tar") {
        untar(file, &mut room)?;
    } else {
        untar(MultiGzDecoder::new(io::BufReader::new(file)), &mut room)?;
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn bad(code: &'static str, message: impl Into<String>) -> SkillError {
    SkillError::new(Class::Invalid, code, message)
}

fn untar(archive: impl Read, room: &mut Room<'_>) -> Result<(), SkillError> {
    let broken = |error: io::Error| bad("bad_archive", format!("the archive is broken: {error}"));
    // Headers and padding are read, too: an archive of nothing but those has an end as well.
    let most = room.left.saturating_mul(2).saturating_add(MAX_ENTRIES as u64 * 2048);
    let mut archive = tar::Archive::new(archive.take(most));
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mode = entry.header().mode().unwrap_or(0o644);
        match entry.header().entry_type() {
            EntryType::XGlobalHeader => {}
            EntryType::Directory => room.folder(&path)?,
            EntryType::Regular | EntryType::Continuous => room.file(&path, mode, &mut entry)?,
            EntryType::Symlink | EntryType::Link => return Err(link(&path)),
            _ => return Err(bad("special_file", format!("the archive has a special file, {path:?}"))),
        }
    }
    Ok(())
}

fn unzip(file: File, room: &mut Room<'_>) -> Result<(), SkillError> {
    let broken = |error: zip::result::ZipError| bad("bad_archive", format!("the archive is broken: {error}"));
    let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(broken)?;
    if archive.len() > MAX_ENTRIES {
        return Err(bad("too_many_entries", format!("the archive has more than {MAX_ENTRIES} entries")));
    }
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(broken)?;
        let path = entry.name().to_owned();
        if entry.is_symlink() {
            return Err(link(&path));
        }
        let mode = entry.unix_mode().unwrap_or(0o644);
        if entry.is_dir() {
            room.folder(&path)?;
        } else {
            room.file(&path, mode, &mut entry)?;
        }
    }
    Ok(())
}

fn link(path: &str) -> SkillError {
    bad("link", format!("the archive has a link, {path:?}")).hint("pack it again without links")
}

/// Where it is unpacked, and what may still come.
struct Room<'a> {
    into: &'a Path,
    left: u64,
    entries: usize,
}

impl Room<'_> {
    fn target(&mut self, path: &str) -> Result<PathBuf, SkillError> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(bad("too_many_entries", format!("the archive has more than {MAX_ENTRIES} entries")));
        }
        let escapes = || bad("path_escapes", format!("the archive has a path that leads out of it, {path:?}"));
        if path.contains(['\\', '\0', '\u{fffd}']) || path.chars().any(char::is_control) {
            return Err(escapes());
        }
        let mut target = self.into.to_owned();
        for part in Path::new(path).components() {
            match part {
                Component::Normal(part) => target.push(part),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(escapes()),
            }
        }
        Ok(target)
    }

    fn folder(&mut self, path: &str) -> Result<(), SkillError> {
        let target = self.target(path)?;
        fs::create_dir_all(&target).map_err(|error| bad("bad_archive", format!("make {path:?}: {error}")))
    }

    fn file(&mut self, path: &str, mode: u32, content: &mut impl Read) -> Result<(), SkillError> {
        let target = self.target(path)?;
        let failed = |error: io::Error| bad("bad_archive", format!("unpack {path:?}: {error}"));
        fs::create_dir_all(target.parent().unwrap_or(self.into)).map_err(failed)?;
        // No name twice: what is checked must be what is used.
        let mut file = File::create_new(&target).map_err(failed)?;
        let written = io::copy(&mut content.take(self.left + 1), &mut file).map_err(failed)?;
        self.left = self.left.checked_sub(written).ok_or_else(|| {
            bad("too_large", "the archive unpacks to far more than a skill has").hint("name the folder of one skill")
        })?;
        set_mode(&target, if mode & 0o111 == 0 { 0o644 } else { 0o755 }).map_err(failed)
    }
}
