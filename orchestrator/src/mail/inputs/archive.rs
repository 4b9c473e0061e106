//! Archives, looked into before they come along: streamed, never written, and given up as soon as they are too much.

use std::{
    borrow::Cow,
    io::{Cursor, Read},
};

use flate2::read::MultiGzDecoder;
use tar::{EntryType, PaxExtensions};
use zip::{ZipArchive, result::ZipError};

use super::sealed;

/// The most an archive may hold, in bytes, with the archives in it.
const UNPACKED: u64 = 200 << 20;
/// The most it may grow; small ones may grow more, they are small.
const GROWTH: (u64, u64) = (100, 4 << 20);
/// The most entries.
const ENTRIES: usize = 10_000;
/// An archive in an archive is looked into when it is not larger than this.
const NESTED: u64 = 40 << 20;
/// An archive in an archive; not deeper.
const DEPTH: u32 = 1;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Zip,
    Gzip,
    Tar,
}

/// How much was unpacked so far, of all levels.
struct Meter<'a> {
    /// Archives that come along though they cannot be looked into, by their endings.
    allowed: &'a [String],
    packed: u64,
    unpacked: u64,
    entries: usize,
}

/// The longest name in a tar, in bytes, with all that is said beside it: the library would take any length into memory.
const LONG: u64 = 64 << 10;

/// Says why a file does not come along, if it is an archive that should not be opened, or one that cannot be looked into and is
/// none of the `allowed` ones.
pub(super) fn look_into(name: &str, bytes: &[u8], allowed: &[String]) -> Result<(), String> {
    let mut meter = Meter { allowed, packed: bytes.len() as u64, unpacked: 0, entries: 0 };
    meter.look(name, bytes, 0)
}

fn form(name: &str, bytes: &[u8]) -> Option<Form> {
    let ends = |endings: &[&str]| {
        let name = name.to_lowercase();
        endings.iter().any(|ending| name.ends_with(ending))
    };
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") || (ends(&[".zip"]) && !bytes.is_empty()) {
        Some(Form::Zip)
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        Some(Form::Gzip)
    } else if bytes.get(257..262) == Some(b"ustar") || ends(&[".tar"]) {
        Some(Form::Tar)
    } else {
        None
    }
}

impl Meter<'_> {
    fn look(&mut self, name: &str, bytes: &[u8], depth: u32) -> Result<(), String> {
        self.sealed(name, bytes)?;
        let Some(form) = form(name, bytes) else { return Ok(()) };
        if depth > DEPTH {
            return Err("it has archives in archives in archives".to_owned());
        }
        match form {
            Form::Zip => self.zip(bytes, depth),
            Form::Gzip => self.gzip(name, bytes, depth),
            Form::Tar => self.tar(bytes, depth),
        }
    }

    fn zip(&mut self, bytes: &[u8], depth: u32) -> Result<(), String> {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| broken())?;
        if archive.len() > ENTRIES {
            return Err(too_many());
        }
        for number in 0..archive.len() {
            let mut entry = archive.by_index(number).map_err(|error| match error {
                ZipError::UnsupportedArchive(why) if why == ZipError::PASSWORD_REQUIRED => {
                    "it is locked with a password: nobody can look into it".to_owned()
                }
                ZipError::UnsupportedArchive(_) => "it is packed in a way that cannot be looked into".to_owned(),
                _ => broken(),
            })?;
            let name = entry.name().to_owned();
            self.entry(&name)?;
            self.content(&name, &mut entry, depth)?;
        }
        Ok(())
    }

    fn gzip(&mut self, name: &str, bytes: &[u8], depth: u32) -> Result<(), String> {
        let mut unpacked = MultiGzDecoder::new(bytes);
        let small = name.to_lowercase();
        let inner = match small.strip_suffix(".gz") {
            Some(inner) => inner.to_owned(),
            None if small.ends_with(".tgz") => "inner.tar".to_owned(),
            None => "inner".to_owned(),
        };
        // `x.tar.gz` is one archive to people: what is in the tar is on the same level.
        let mut beginning = Vec::new();
        (&mut unpacked).take(512).read_to_end(&mut beginning).map_err(|_| broken())?;
        if beginning.get(257..262) == Some(b"ustar") || inner.ends_with(".tar") {
            let whole = Cursor::new(beginning).chain(unpacked);
            return self.tar_stream(whole, depth);
        }
        self.entry(&inner)?;
        let mut whole = Cursor::new(beginning).chain(unpacked);
        self.content(&inner, &mut whole, depth)
    }

    fn tar(&mut self, bytes: &[u8], depth: u32) -> Result<(), String> {
        self.tar_stream(bytes, depth)
    }

    fn tar_stream(&mut self, stream: impl Read, depth: u32) -> Result<(), String> {
        // What stands between the entries is unpacked, too.
        let mut archive = tar::Archive::new(stream.take(UNPACKED + (64 << 20)));
        let mut said = Said::default();
        // Raw: what stands before an entry (its long name) would be read whole, however long it says it is.
        for entry in archive.entries().map_err(|_| broken())?.raw(true) {
            let mut entry = entry.map_err(|_| broken())?;
            let kind = entry.header().entry_type();
            if kind.is_gnu_longname()
                || kind.is_gnu_longlink()
                || kind.is_pax_local_extensions()
                || kind.is_pax_global_extensions()
            {
                let text = self.long(&mut entry)?;
                said.add(kind, text)?;
                continue;
            }
            if kind.is_gnu_sparse() {
                return Err("it has a file with holes, which can be larger than all of it".to_owned());
            }
            let header = |bytes: Option<Cow<'_, [u8]>>| bytes.map(Cow::into_owned);
            let said = std::mem::take(&mut said);
            let name = said.name.unwrap_or_else(|| entry.header().path_bytes().into_owned());
            let name = String::from_utf8_lossy(&name).into_owned();
            self.entry(&name)?;
            if kind.is_symlink() || kind.is_hard_link() {
                let target = said.link.or_else(|| header(entry.header().link_name_bytes()));
                let target = target.map(|target| String::from_utf8_lossy(&target).into_owned());
                if target.is_some_and(|target| leaves(&target)) {
                    return Err(format!("it has a link that leaves it: {}", super::one_line(&name, 100)));
                }
            }
            self.content(&name, &mut entry, depth)?;
        }
        Ok(())
    }

    /// What is said before an entry, if it is not too long.
    fn long(&mut self, entry: &mut impl Read) -> Result<Vec<u8>, String> {
        self.entry("")?;
        let mut text = Vec::new();
        entry.take(LONG + 1).read_to_end(&mut text).map_err(|_| broken())?;
        if text.len() as u64 > LONG {
            return Err(format!("it has a name that is longer than {} KiB", LONG >> 10));
        }
        self.count(text.len())?;
        Ok(text)
    }

    /// Whether a file is an archive that nobody here looks into.
    fn sealed(&self, name: &str, beginning: &[u8]) -> Result<(), String> {
        let Some(form) = sealed::form(name, beginning) else { return Ok(()) };
        if self.allowed.iter().any(|allowed| allowed.trim_start_matches('.').eq_ignore_ascii_case(form)) {
            return Ok(());
        }
        Err(format!(
            "archives of the type {form} cannot be looked into, so they are not taken: send it as .zip or .tar.gz, or without an archive"
        ))
    }

    /// One more entry, with its name.
    fn entry(&mut self, name: &str) -> Result<(), String> {
        self.entries += 1;
        if self.entries > ENTRIES {
            return Err(too_many());
        }
        if leaves(name) {
            return Err(format!("it has a name that leaves it: {}", super::one_line(name, 100)));
        }
        Ok(())
    }

    /// An entry's content: counted, and looked into if it is an archive itself.
    fn content(&mut self, name: &str, entry: &mut impl Read, depth: u32) -> Result<(), String> {
        let mut beginning = Vec::with_capacity(512);
        entry.take(512).read_to_end(&mut beginning).map_err(|_| broken())?;
        self.count(beginning.len())?;
        self.sealed(name, &beginning)?;
        if form(name, &beginning).is_none() {
            let mut piece = vec![0; 64 << 10];
            loop {
                match entry.read(&mut piece).map_err(|_| broken())? {
                    0 => return Ok(()),
                    read => self.count(read)?,
                }
            }
        }
        if depth >= DEPTH {
            return Err("it has archives in archives in archives".to_owned());
        }
        let mut inner = beginning;
        let before = inner.len();
        entry.take(NESTED + 1).read_to_end(&mut inner).map_err(|_| broken())?;
        self.count(inner.len() - before)?;
        if inner.len() as u64 > NESTED {
            return Err(format!("an archive in it is larger than {} MiB", NESTED >> 20));
        }
        self.look(name, &inner, depth + 1)
    }

    fn count(&mut self, bytes: usize) -> Result<(), String> {
        self.unpacked += bytes as u64;
        if self.unpacked > UNPACKED {
            return Err(format!("it holds more than {} MiB", UNPACKED >> 20));
        }
        if self.unpacked > GROWTH.1 && self.unpacked > self.packed.saturating_mul(GROWTH.0) {
            return Err(format!("it holds more than {} times its size", GROWTH.0));
        }
        Ok(())
    }
}

/// What is said before an entry of a tar about it.
#[derive(Default)]
struct Said {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Said {
    fn add(&mut self, kind: EntryType, text: Vec<u8>) -> Result<(), String> {
        let until_nul = |text: Vec<u8>| text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        if kind.is_gnu_longname() {
            self.name = Some(until_nul(text));
            return Ok(());
        }
        if kind.is_gnu_longlink() {
            self.link = Some(until_nul(text));
            return Ok(());
        }
        for record in PaxExtensions::new(&text) {
            let record = record.map_err(|_| broken())?;
            match record.key_bytes() {
                b"path" if kind.is_pax_local_extensions() => self.name = Some(record.value_bytes().to_vec()),
                b"linkpath" if kind.is_pax_local_extensions() => self.link = Some(record.value_bytes().to_vec()),
                // Who unpacks it would see other files than those that were looked at.
                b"path" | b"linkpath" | b"size" => {
                    return Err("it says about its files what can be read in two ways".to_owned());
                }
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err("it has a file with holes, which can be larger than all of it".to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a name in an archive is one outside of it.
fn leaves(name: &str) -> bool {
    let mut chars = name.chars();
    let drive = chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.next() == Some(':');
    name.starts_with(['/', '\\']) || drive || name.contains('\0') || name.split(['/', '\\']).any(|part| part == "..")
}

fn broken() -> String {
    "it is an archive that is broken".to_owned()
}

fn too_many() -> String {
    format!("it holds more than {ENTRIES} files")
}
