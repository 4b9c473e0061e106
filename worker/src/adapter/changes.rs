//! Packs what changed in the workspace into a tar.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use bus_schemas::v1::guest::{DELETIONS_ENTRY, RefusalCode};
use tar::{Builder, EntryType, Header};

use super::manifest::{Difference, Manifest};

/// A tar's block; headers and padding come in these.
const BLOCK: u64 = 512;
/// A path longer than this needs a header of its own.
const SHORT_PATH: usize = 100;

/// What changed, not yet packed.
#[derive(Debug)]
pub(crate) struct Packing {
    difference: Difference,
    deletions: Vec<u8>,
}

/// Why there is no tar.
#[derive(Debug, thiserror::Error)]
#[error("collect the changes: {detail}")]
pub(crate) struct ChangesError {
    pub(crate) code: RefusalCode,
    pub(crate) detail: String,
}

/// Compares the tree with what it was and works out how long the tar will be. Blocks.
pub(crate) fn survey(root: &Path, before: &Manifest, limit_bytes: u64) -> Result<Packing, ChangesError> {
    let now = Manifest::take(root).map_err(failed)?;
    plan(before.difference(&now), limit_bytes)
}

fn failed(error: io::Error) -> ChangesError {
    ChangesError { code: RefusalCode::GuestError, detail: error.to_string() }
}

/// Works out how long the tar will be.
pub(crate) fn plan(difference: Difference, limit_bytes: u64) -> Result<Packing, ChangesError> {
    let deleted: Vec<_> = difference.deleted.iter().map(|path| path.to_string_lossy()).collect();
    let deletions = serde_json::to_vec(&deleted).map_err(|error| failed(error.into()))?;
    let written = difference.written.iter().map(|(path, size)| entry_bytes(path.as_os_str().len(), *size)).sum::<u64>();
    let bytes = entry_bytes(DELETIONS_ENTRY.len(), deletions.len() as u64) + written + 2 * BLOCK;
    if bytes > limit_bytes {
        let largest = difference.written.iter().max_by_key(|(_, size)| *size);
        let largest = largest.map_or_else(String::new, |(path, size)| {
            format!("; the largest file is {} with {size} bytes", path.display())
        });
        let detail = format!(
            "{} changed files make {bytes} bytes, the limit is {limit_bytes}{largest}",
            difference.written.len()
        );
        return Err(ChangesError { code: RefusalCode::ChangesTooLarge, detail });
    }
    Ok(Packing { difference, deletions })
}

/// The most that one entry takes: header, content and padding; a long path costs a header and blocks more, and so may a link's long
/// target, for which two blocks are set aside.
fn entry_bytes(path: usize, size: u64) -> u64 {
    let blocks = |bytes: u64| bytes.div_ceil(BLOCK) * BLOCK;
    let long = if path < SHORT_PATH { 0 } else { BLOCK + blocks(path as u64 + 1) };
    long + BLOCK + blocks(size) + 2 * BLOCK
}

/// What to do about files that change while they are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    /// Nothing runs any more: it is an error.
    Refuse,
    /// Programs run: the tar holds what was there in that moment; what is gone is left out.
    Take,
}

/// Writes the tar. Blocks. An error leaves it cut, which the host notices.
pub(crate) fn pack<W: Write>(root: &Path, packing: &Packing, meanwhile: Meanwhile, out: W) -> io::Result<W> {
    let mut tar = Builder::new(out);
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(packing.deletions.len() as u64);
    tar.append_data(&mut header, DELETIONS_ENTRY, packing.deletions.as_slice())?;
    for (path, size) in &packing.difference.written {
        append(&mut tar, root, path, *size, meanwhile)?;
    }
    let mut out = tar.into_inner()?;
    out.flush()?;
    Ok(out)
}

fn append(tar: &mut Builder<impl Write>, root: &Path, path: &Path, size: u64, meanwhile: Meanwhile) -> io::Result<()> {
    let at = root.join(path);
    let gone = |error: &io::Error| meanwhile == Meanwhile::Take && error.kind() == io::ErrorKind::NotFound;
    let metadata = match fs::symlink_metadata(&at) {
        Err(error) if gone(&error) => return Ok(()),
        metadata => metadata?,
    };
    let mut header = Header::new_gnu();
    header.set_mode(metadata.mode() & 0o777);
    if metadata.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        return tar.append_link(&mut header, path, fs::read_link(&at)?);
    }
    // The worker neither follows a link nor waits at a pipe that took the file's place.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&at) {
        Err(error) if gone(&error) => return Ok(()),
        file => file?,
    };
    let metadata = file.metadata()?;
    let size = match meanwhile {
        Meanwhile::Refuse if !metadata.is_file() || metadata.len() != size => {
            return Err(io::Error::other(format!("{} changed while it was packed", path.display())));
        }
        Meanwhile::Take if !metadata.is_file() => return Ok(()),
        _ => metadata.len(),
    };
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    match meanwhile {
        Meanwhile::Refuse => tar.append_data(&mut header, path, file.take(size)),
        // Exactly as long as announced, should it shrink.
        Meanwhile::Take => tar.append_data(&mut header, path, file.chain(io::repeat(0)).take(size)),
    }
}
