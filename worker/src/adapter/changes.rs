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
    let failed = |error: io::Error| ChangesError { code: RefusalCode::GuestError, detail: error.to_string() };
    let difference = before.difference(&Manifest::take(root).map_err(failed)?);
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

/// Writes the tar. Blocks. An error leaves it cut, which the host notices.
pub(crate) fn pack<W: Write>(root: &Path, packing: &Packing, out: W) -> io::Result<W> {
    let mut tar = Builder::new(out);
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(packing.deletions.len() as u64);
    tar.append_data(&mut header, DELETIONS_ENTRY, packing.deletions.as_slice())?;
    for (path, size) in &packing.difference.written {
        append(&mut tar, root, path, *size)?;
    }
    let mut out = tar.into_inner()?;
    out.flush()?;
    Ok(out)
}

fn append(tar: &mut Builder<impl Write>, root: &Path, path: &Path, size: u64) -> io::Result<()> {
    let at = root.join(path);
    let metadata = fs::symlink_metadata(&at)?;
    let mut header = Header::new_gnu();
    header.set_mode(metadata.mode() & 0o777);
    if metadata.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        return tar.append_link(&mut header, path, fs::read_link(&at)?);
    }
    // Nothing runs any more, but if something does: it cannot have the worker follow a link or wait at a pipe.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&at)?;
    if !file.metadata()?.is_file() || file.metadata()?.len() != size {
        return Err(io::Error::other(format!("{} changed while it was packed", path.display())));
    }
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    tar.append_data(&mut header, path, file.take(size))
}
