//! The host's memory of what it claimed, on disk: a restart must be able to say how every claim ended.
//!
//! One line of JSON per change, appended and synced *before* the thing it announces: a claim before it is published, a
//! report before it is sent. A line that was cut by a crash announces something that did not happen, and is dropped.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bus_schemas::{
    envelope::Envelope,
    id::{AttemptRef, ClaimNonce},
    v1::{
        agent::AttemptPaused,
        task::{AttemptFailed, HandoffReady},
    },
};
use serde::{Deserialize, Serialize};

/// Lines after which the file is written anew with the open claims only.
const COMPACT_AFTER: usize = 2_000;
/// Finished attempts that are remembered, so that an offer that comes again is not worked on again.
const REMEMBERED: usize = 4_096;

/// How an attempt ended, as it is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub enum Ending {
    /// In a handoff.
    Handoff(Box<Envelope<HandoffReady>>),
    /// Without one.
    Failed(Box<Envelope<AttemptFailed>>),
    /// In a pause: it goes on as another attempt.
    Paused(Box<Envelope<AttemptPaused>>),
}

/// What this host has to do with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing: an offer of it may be claimed.
    Unknown,
    /// A claim of it was announced, and it is not known whether it was won.
    Unsure,
    /// It ended here: an offer of it is a repetition.
    Ended,
}

/// A claim that is not settled yet.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenClaim {
    /// Which attempt.
    pub attempt: AttemptRef,
    /// Which claim of it.
    pub nonce: ClaimNonce,
    /// How it ended, if that is not published yet.
    pub ending: Option<Ending>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Claiming { attempt: AttemptRef, nonce: ClaimNonce },
    Ended { attempt: AttemptRef, nonce: ClaimNonce, ending: Ending },
    Settled { attempt: AttemptRef, nonce: ClaimNonce },
}

/// The claims of this host. Cheap to clone; its methods block for one disk write.
#[derive(Clone, Debug)]
pub struct Claims {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    lines: usize,
    open: BTreeMap<(AttemptRef, ClaimNonce), Option<Ending>>,
    finished: BTreeSet<AttemptRef>,
    order: VecDeque<AttemptRef>,
}

impl Claims {
    /// Opens the journal and returns what an earlier process left unsettled.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<OpenClaim>)> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e),
        };
        let mut open = BTreeMap::new();
        for line in text.split(|&b| b == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Line::Claiming { attempt, nonce }) => drop(open.insert((attempt, nonce), None)),
                Ok(Line::Ended { attempt, nonce, ending }) => drop(open.insert((attempt, nonce), Some(ending))),
                Ok(Line::Settled { attempt, nonce }) => drop(open.remove(&(attempt, nonce))),
                Err(error) if !line.is_empty() => {
                    tracing::warn!(%error, "a line of the claims journal is not readable")
                }
                Err(_) => {}
            }
        }
        let file = rewrite(path, &open)?;
        let lines = open.len();
        let left = open
            .iter()
            .map(|(&(attempt, nonce), ending)| OpenClaim { attempt, nonce, ending: ending.clone() })
            .collect();
        let inner =
            Inner { path: path.to_owned(), file, lines, open, finished: BTreeSet::new(), order: VecDeque::new() };
        Ok((Self { inner: Arc::new(Mutex::new(inner)) }, left))
    }

    /// A claim is about to be published.
    ///
    /// # Errors
    /// The journal cannot be written: then do not claim.
    pub fn claiming(&self, attempt: AttemptRef, nonce: ClaimNonce) -> io::Result<()> {
        self.with(|inner| {
            inner.append(&Line::Claiming { attempt, nonce })?;
            inner.open.insert((attempt, nonce), None);
            Ok(())
        })
    }

    /// An attempt ended; the ending is about to be published.
    ///
    /// # Errors
    /// The journal cannot be written; publish all the same.
    pub fn ended(&self, attempt: AttemptRef, nonce: ClaimNonce, ending: &Ending) -> io::Result<()> {
        self.with(|inner| {
            inner.open.insert((attempt, nonce), Some(ending.clone()));
            inner.append(&Line::Ended { attempt, nonce, ending: ending.clone() })
        })
    }

    /// The claim was lost, or never reached the bus: the attempt may be offered to this host again.
    ///
    /// # Errors
    /// The journal cannot be written; the claim will be asked about after a restart, which is harmless.
    pub fn forgotten(&self, attempt: AttemptRef, nonce: ClaimNonce) -> io::Result<()> {
        self.with(|inner| {
            inner.open.remove(&(attempt, nonce));
            inner.close(attempt, nonce)
        })
    }

    /// The ending of a won claim is published.
    ///
    /// # Errors
    /// The journal cannot be written; the ending will be published once more after a restart, which is harmless.
    pub fn settled(&self, attempt: AttemptRef, nonce: ClaimNonce) -> io::Result<()> {
        self.with(|inner| {
            if inner.open.remove(&(attempt, nonce)).is_some() && inner.finished.insert(attempt) {
                inner.order.push_back(attempt);
                if inner.order.len() > REMEMBERED
                    && let Some(oldest) = inner.order.pop_front()
                {
                    inner.finished.remove(&oldest);
                }
            }
            inner.close(attempt, nonce)
        })
    }

    /// What this host has to do with an attempt that it does not work on.
    #[must_use]
    pub fn standing(&self, attempt: &AttemptRef) -> Standing {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = inner.open.iter().filter(|((held, _), _)| held == attempt).map(|(_, ending)| ending).peekable();
        if inner.finished.contains(attempt) {
            Standing::Ended
        } else if open.peek().is_none() {
            Standing::Unknown
        } else if open.any(Option::is_some) {
            Standing::Ended
        } else {
            Standing::Unsure
        }
    }

    fn with(&self, write: impl FnOnce(&mut Inner) -> io::Result<()>) -> io::Result<()> {
        write(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    /// Writes that a claim is not open any more.
    fn close(&mut self, attempt: AttemptRef, nonce: ClaimNonce) -> io::Result<()> {
        self.append(&Line::Settled { attempt, nonce })?;
        if self.lines > COMPACT_AFTER {
            self.file = rewrite(&self.path, &self.open)?;
            self.lines = self.open.len();
        }
        Ok(())
    }

    fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        self.lines += 1;
        self.file.sync_data()
    }
}

/// Writes a journal of the open claims beside the old one and swaps them.
fn rewrite(path: &Path, open: &BTreeMap<(AttemptRef, ClaimNonce), Option<Ending>>) -> io::Result<File> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let mut fresh = tempfile::NamedTempFile::new_in(dir)?;
    for (&(attempt, nonce), ending) in open {
        let line = match ending.clone() {
            None => Line::Claiming { attempt, nonce },
            Some(ending) => Line::Ended { attempt, nonce, ending },
        };
        serde_json::to_writer(&mut fresh, &line)?;
        fresh.write_all(b"\n")?;
    }
    fresh.as_file().sync_all()?;
    fresh.persist(path).map_err(|e| e.error)?;
    File::open(dir)?.sync_all()?;
    OpenOptions::new().append(true).open(path)
}

#[cfg(test)]
mod tests {
    use bus_schemas::{
        id::{MessageId, ProjectId, TaskId},
        time::UnixMs,
        v1::{handoff::Usage, task::FailureReason},
    };
    use uuid::Uuid;

    use super::*;

    fn claim(n: u128) -> (AttemptRef, ClaimNonce) {
        let attempt = AttemptRef {
            project_id: ProjectId::from_uuid(Uuid::from_u128(1)),
            task_id: TaskId::from_uuid(Uuid::from_u128(n)),
            number: 1,
        };
        (attempt, ClaimNonce::from_uuid(Uuid::from_u128(100 + n)))
    }

    fn failed(attempt: AttemptRef, nonce: ClaimNonce) -> Ending {
        let body = AttemptFailed {
            attempt,
            nonce,
            reason: FailureReason::ProgramFailed,
            detail: "exit code 1".into(),
            output_tail: String::new(),
            evidence: vec![],
            usage: Usage::default(),
        };
        Ending::Failed(Box::new(Envelope::new(MessageId::from_uuid(Uuid::from_u128(9)), UnixMs(1), body)))
    }

    #[test]
    fn a_restart_finds_what_was_left_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("claims.jsonl");
        let (claims, left) = Claims::open(&path).unwrap();
        assert!(left.is_empty());
        let [(a, an), (b, bn), (c, cn)] = [claim(1), claim(2), claim(3)];
        claims.claiming(a, an).unwrap();
        claims.claiming(b, bn).unwrap();
        claims.claiming(c, cn).unwrap();
        claims.ended(b, bn, &failed(b, bn)).unwrap();
        claims.settled(c, cn).unwrap();
        let (d, dn) = claim(4);
        claims.claiming(d, dn).unwrap();
        assert_eq!(claims.standing(&d), Standing::Unsure);
        claims.forgotten(d, dn).unwrap();
        let standings = [a, b, c, d].map(|attempt| claims.standing(&attempt));
        assert_eq!(standings, [Standing::Unsure, Standing::Ended, Standing::Ended, Standing::Unknown]);
        // A crash in the middle of a line.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"kind\":\"settled\",\"att").unwrap();
        let want = vec![
            OpenClaim { attempt: a, nonce: an, ending: None },
            OpenClaim { attempt: b, nonce: bn, ending: Some(failed(b, bn)) },
        ];
        for _ in 0..2 {
            let (_, left) = Claims::open(&path).unwrap();
            assert_eq!(left, want);
        }
    }

    #[test]
    fn the_journal_stays_small() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("claims.jsonl");
        let (claims, _) = Claims::open(&path).unwrap();
        for n in 0..1_100 {
            let (attempt, nonce) = claim(n);
            claims.claiming(attempt, nonce).unwrap();
            claims.settled(attempt, nonce).unwrap();
        }
        assert!(fs::read(&path).unwrap().split(|&b| b == b'\n').count() < 300);
    }
}
