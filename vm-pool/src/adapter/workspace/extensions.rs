//! A first look at a guest's tar, before anything in it is believed.
//!
//! The tar reader takes the body of an extension header (a long name, a PAX record) wholly into memory, and its length is
//! the guest's word. So the raw headers are walked first, and what is too long is refused before anybody reads it.

use std::io::{Read, Seek};

use tar::{Archive, PaxExtensions};

use super::{WorkspaceError, manifest::bad_tar};

/// The longest body of an extension header, in bytes: paths and link targets have at most 4 KiB.
pub(super) const MAX_EXTENSION_BYTES: u64 = 64 * 1024;

/// Refuses what would fill the host's memory, and what would make the second reading see other entries than this one: a
/// size in a PAX record (it overrides the header's), a sparse file (its headers go on in its body).
///
/// # Errors
/// [`WorkspaceError::BadTar`].
pub(super) fn refuse_large_extensions(tar: impl Read + Seek) -> Result<(), WorkspaceError> {
    let refused = |detail: String| Err(WorkspaceError::BadTar { detail });
    let mut archive = Archive::new(tar);
    for entry in archive.entries_with_seek().map_err(bad_tar)?.raw(true) {
        let mut entry = entry.map_err(bad_tar)?;
        let kind = entry.header().entry_type();
        if kind.is_gnu_sparse() {
            return refused("sparse files are not taken".to_owned());
        }
        let pax = kind.is_pax_local_extensions() || kind.is_pax_global_extensions();
        if !pax && !kind.is_gnu_longname() && !kind.is_gnu_longlink() {
            continue;
        }
        if entry.size() > MAX_EXTENSION_BYTES {
            return refused(format!("an extension header has {} bytes, more than {MAX_EXTENSION_BYTES}", entry.size()));
        }
        if pax {
            let mut body = Vec::new();
            entry.read_to_end(&mut body).map_err(bad_tar)?;
            if PaxExtensions::new(&body).flatten().any(|record| record.key_bytes() == b"size") {
                return refused("a PAX record sets a size".to_owned());
            }
        }
    }
    Ok(())
}
