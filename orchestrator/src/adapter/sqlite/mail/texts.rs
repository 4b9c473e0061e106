//! The texts of mails: files named by their SHA-256, `ab/ab….eml`.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::Outcome;
use crate::{digest, port::journal::JournalError};

/// Where files are before they have their name.
const UNNAMED: &str = "new";

/// The folder of the texts. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Texts(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    root: PathBuf,
    /// Numbers files before they have their name.
    count: AtomicU64,
}

impl Texts {
    /// Makes the folder with all it holds folders of, so that none has to be made, and synced, later. What an earlier process
    /// began and did not name is removed. An error names the path.
    pub(super) fn open(root: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let named = |path: &Path| {
            let path = path.to_owned();
            move |source| (path, source)
        };
        let unnamed = root.join(UNNAMED);
        fs::create_dir_all(&unnamed).map_err(named(&unnamed))?;
        for left in fs::read_dir(&unnamed).map_err(named(&unnamed))? {
            let left = left.map_err(named(&unnamed))?.path();
            fs::remove_file(&left).map_err(named(&left))?;
        }
        for first in 0..=u8::MAX {
            let path = root.join(digest::hex(&[first]));
            match fs::create_dir(&path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err((path, error)),
                Ok(()) | Err(_) => {}
            }
        }
        sync_dir(root).map_err(named(root))?;
        if let Some(parent) = root.parent() {
            sync_dir(parent).map_err(named(parent))?;
        }
        Ok(Self(Arc::new(Folder { root: root.to_owned(), count: AtomicU64::new(0) })))
    }

    /// Puts texts on the disk. When this returns they are there for good.
    pub(super) async fn put(&self, operation: &'static str, texts: Vec<(String, Bytes)>) -> Outcome<()> {
        if texts.is_empty() {
            return Ok(());
        }
        let this = self.clone();
        blocking(operation, move || {
            let mut dirs = BTreeSet::new();
            for (sha256, text) in &texts {
                dirs.insert(this.put_one(sha256, text).map_err(|(path, error)| failed(operation, &path, &error))?);
            }
            for dir in &dirs {
                // Also for a text that was there: who put it there may not have got this far.
                sync_dir(dir).map_err(|error| failed(operation, dir, &error))?;
            }
            Ok(())
        })
        .await
    }

    fn put_one(&self, sha256: &str, text: &[u8]) -> Result<PathBuf, (PathBuf, io::Error)> {
        let path = self.path(sha256);
        let dir = path.parent().unwrap_or(&self.0.root).to_owned();
        if path.exists() {
            return Ok(dir);
        }
        let number = self.0.count.fetch_add(1, Ordering::Relaxed);
        let unnamed = self.0.root.join(UNNAMED).join(number.to_string());
        let written = File::create(&unnamed).and_then(|mut file| {
            file.write_all(text)?;
            file.sync_all()
        });
        let named = written
            .map_err(|e| (unnamed.clone(), e))
            .and_then(|()| fs::rename(&unnamed, &path).map_err(|e| (path.clone(), e)));
        if let Err(failed) = named {
            // What is left of it is removed at the next start at the latest.
            drop(fs::remove_file(&unnamed));
            return Err(failed);
        }
        Ok(dir)
    }

    /// Reads a text. It is what its name says, or an error.
    pub(super) async fn get(&self, operation: &'static str, sha256: String) -> Outcome<Bytes> {
        let path = self.path(&sha256);
        blocking(operation, move || {
            let text = match fs::read(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let detail = "the file is gone: put it back from a backup of the data directory".to_owned();
                    return Err(JournalError::Malformed { operation, what: path.display().to_string(), detail });
                }
                Err(error) => return Err(failed(operation, &path, &error)),
            };
            if digest::of_bytes(&text) == sha256 {
                return Ok(Bytes::from(text));
            }
            let detail =
                "its content is not what its name says: put it back from a backup of the data directory".to_owned();
            Err(JournalError::Malformed { operation, what: path.display().to_string(), detail })
        })
        .await
    }

    /// Reads the beginning of a text, whatever its name says of it.
    pub(super) async fn head(&self, operation: &'static str, sha256: String, most: usize) -> Outcome<Option<Bytes>> {
        let path = self.path(&sha256);
        blocking(operation, move || {
            let mut head = Vec::new();
            let most = u64::try_from(most).unwrap_or(u64::MAX);
            match File::open(&path).and_then(|file| file.take(most).read_to_end(&mut head)) {
                Ok(_) => Ok(Some(Bytes::from(head))),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed(operation, &path, &error)),
            }
        })
        .await
    }

    /// Removes texts; those that are gone are gone.
    pub(super) async fn remove(&self, operation: &'static str, sha256: Vec<String>) -> Outcome<()> {
        let this = self.clone();
        blocking(operation, move || {
            for sha256 in sha256 {
                let path = this.path(&sha256);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(operation, &path, &error)),
                    Ok(()) | Err(_) => {}
                }
            }
            Ok(())
        })
        .await
    }

    pub(super) fn path(&self, sha256: &str) -> PathBuf {
        self.0.root.join(sha256.get(..2).unwrap_or_default()).join(format!("{sha256}.eml"))
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(JournalError::Store { operation, detail: error.to_string() }),
    }
}

fn failed(operation: &'static str, path: &Path, error: &io::Error) -> JournalError {
    if error.kind() == ErrorKind::StorageFull {
        return JournalError::Full { operation };
    }
    JournalError::Store { operation, detail: format!("{}: {error}", path.display()) }
}
