//! Archives, looked into before they come along: streamed, never written, and given up as soon as they are too much.

use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;
use zip::{ZipArchive, result::ZipError};

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
struct Meter {
    packed: u64,
    unpacked: u64,
    entries: usize,
}

/// Says why a file does not come along, if it is an archive that should not be opened.
pub(super) fn look_into(name: &str, bytes: &[u8]) -> Result<(), String> {
    let mut meter = Meter { packed: bytes.len() as u64, unpacked: 0, entries: 0 };
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

impl Meter {
    fn look(&mut self, name: &str, bytes: &[u8], depth: u32) -> Result<(), String> {
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
        let inner = small.strip_suffix(".gz").map_or_else(|| "inner.tar".to_owned(), str::to_owned);
        // `x.tar.gz` is one archive to people: what is in the tar is on the same level.
        let mut beginning = Vec::new();
        (&mut unpacked).take(512).read_to_end(&mut beginning).map_err(|_| broken())?;
        if beginning.get(257..262) == Some(b"ustar") {
            let whole = Cursor::new(beginning).chain(unpacked);
            return self.tar_stream(whole, depth);
        }
        self.entry(&inner)?;
        let mut whole = Cursor::new(beginning).chain(unpacked);
        let inner = if inner.ends_with(".tar") { "inner" } else { &inner };
        self.content(inner, &mut whole, depth)
    }

    fn tar(&mut self, bytes: &[u8], depth: u32) -> Result<(), String> {
        self.tar_stream(bytes, depth)
    }

    fn tar_stream(&mut self, stream: impl Read, depth: u32) -> Result<(), String> {
        // What stands between the entries is unpacked, too.
        let mut archive = tar::Archive::new(stream.take(UNPACKED + (64 << 20)));
        for entry in archive.entries().map_err(|_| broken())? {
            let mut entry = entry.map_err(|_| broken())?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            self.entry(&name)?;
            let kind = entry.header().entry_type();
            if kind.is_symlink() || kind.is_hard_link() {
                let target = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
                if target.is_some_and(|target| leaves(&target)) {
                    return Err(format!("it has a link that leaves it: {}", super::one_line(&name, 100)));
                }
            }
            self.content(&name, &mut entry, depth)?;
        }
        Ok(())
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
