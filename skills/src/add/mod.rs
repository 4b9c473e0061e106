//! Adding skills from elsewhere: fetched into a room of its own, found, checked, scanned, and only then copied.
//!
//! ```text
//! source ─ parse ─▶ folder ──────────────┐
//!                   archive ─ unpack ────┼─▶ fetched ─ candidates ─▶ findings ─ install ─▶ folder + lock entry
//!                   git ──── git fetch ──┘                              a person decides
//! ```

mod archive;
mod git;
mod origin;
mod proposal;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use walkdir::WalkDir;

use crate::{
    export::{self, Deed},
    finding::{Class, Finding, Severity, SkillError, worst},
    load,
    lock::{Lock, Locked, Standing},
    pack::{self, Packed},
    scan,
    tree::Contents,
    validate::{SKILL_MD, validate_as},
};
use origin::Origin;
pub use proposal::proposed;

/// How deep below the fetched folder a skill's folder may be.
const MAX_DEPTH: usize = 6;
/// Folders looked at.
const MAX_FOLDERS: usize = 5000;
/// Skills offered at once.
const MAX_CANDIDATES: usize = 1000;

/// A source, fetched. What was fetched goes with it.
#[derive(Debug)]
pub struct Fetched {
    /// Where the skills are.
    root: PathBuf,
    origin: Origin,
    /// The commit, or the archive's SHA-256.
    pub revision: Option<String>,
    _room: Option<TempDir>,
}

/// A skill that can be added.
#[derive(Debug)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// Where it comes from, for the lockfile.
    pub source: String,
    /// The commit, or the archive's SHA-256.
    pub revision: Option<String>,
    /// What is wrong with it, and what a scan found; worst first.
    pub findings: Vec<Finding>,
    /// Its bytes.
    pub packed: Packed,
    contents: Contents,
}

/// Who admits a skill, and how.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// When, in UTC (RFC 3339).
    pub at: &'a str,
    /// Who.
    pub by: &'a str,
    /// Although there are findings of severity error.
    pub accept: bool,
    /// Over another skill of the name.
    pub replace: bool,
}

/// What adding did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The skill's folder.
    pub folder: PathBuf,
    /// What became of it.
    pub deed: Deed,
    /// How it stood to the lockfile before.
    pub before: Standing,
}

/// Fetches a source: a folder, an archive (`.tar`, `.tar.gz`, `.tgz`, `.zip`), or a git repository
/// (`URL[#SUBFOLDER][@REF]`).
///
/// # Errors
/// It is none of these, cannot be read, or is not what it seems.
pub fn fetch(source: &str) -> Result<Fetched, SkillError> {
    let origin = origin::parse(source)?;
    let room = || tempfile::Builder::new().prefix("baton-skills-").tempdir().map_err(SkillError::io("make a folder"));
    let (base, revision, room) = match &origin {
        Origin::Folder { path } => (path.clone(), None, None),
        // Never parsed from what a person writes.
        Origin::Proposal { .. } => return Err(SkillError::new(Class::Invalid, "unknown_source", source)),
        Origin::Archive { path, .. } => {
            let room = room()?;
            let sha256 = archive::unpack(path, room.path())?;
            (room.path().to_owned(), Some(sha256), Some(room))
        }
        Origin::Git { url, reference, .. } => {
            let room = room()?;
            let commit = git::fetch(url, reference.as_deref(), room.path())?;
            (room.path().to_owned(), Some(commit), Some(room))
        }
    };
    let root = match origin.subfolder() {
        Some(sub) => inside(&base, sub)?,
        None => base,
    };
    Ok(Fetched { root, origin, revision, _room: room })
}

/// A folder below `base`, really.
fn inside(base: &Path, sub: &str) -> Result<PathBuf, SkillError> {
    let root = base.join(sub);
    let (real, real_base) = (root.canonicalize(), base.canonicalize());
    match (real, real_base) {
        (Ok(real), Ok(real_base)) if real.starts_with(&real_base) && real.is_dir() => Ok(real),
        _ => Err(SkillError::new(Class::NotFound, "no_subfolder", format!("there is no folder {sub:?} in the source"))),
    }
}

/// The skills in a fetched source, by name, each checked and scanned.
///
/// # Errors
/// There is none, two have one name, or one cannot be read.
pub fn candidates(fetched: &Fetched) -> Result<Vec<Candidate>, SkillError> {
    let mut found: Vec<Candidate> = Vec::new();
    for folder in folders(&fetched.root) {
        let candidate = candidate(fetched, &folder)?;
        if let Some(other) = found.iter().find(|other| other.name == candidate.name) {
            let message = format!("two skills are called {:?}: {} and {}", other.name, other.source, candidate.source);
            return Err(
                SkillError::new(Class::Invalid, "two_of_a_name", message).hint("name the folder of one of them")
            );
        }
        found.push(candidate);
    }
    if found.is_empty() {
        let message = format!("no {SKILL_MD} in {}", fetched.origin);
        return Err(SkillError::new(Class::NotFound, "no_skill", message));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut walk = WalkDir::new(root).max_depth(MAX_DEPTH).sort_by_file_name().into_iter();
    let mut seen = 0;
    while let Some(entry) = walk.next() {
        let Ok(entry) = entry else { continue };
        if !entry.file_type().is_dir() {
            continue;
        }
        seen += 1;
        if seen > MAX_FOLDERS || found.len() == MAX_CANDIDATES {
            break;
        }
        if entry.file_name() == ".git" {
            walk.skip_current_dir();
        } else if entry.path().join(SKILL_MD).is_file() {
            found.push(entry.path().to_owned());
            walk.skip_current_dir();
        }
    }
    found
}

fn candidate(fetched: &Fetched, folder: &Path) -> Result<Candidate, SkillError> {
    let sub = folder.strip_prefix(&fetched.root).unwrap_or(folder).to_string_lossy().into_owned();
    let source = fetched.origin.with(&sub);
    let loaded = load::load(folder).map_err(|message| {
        SkillError::new(Class::Invalid, "bad_skill", format!("the skill in {source}: {message}"))
            .hint(format!("`baton skills validate {}` says what to mend", folder.display()))
    })?;
    let contents = pack::read(folder)?;
    let packed = pack::pack_contents(&loaded.name, &contents)?;
    // It gets a folder of its name; what it was called before does not matter.
    let mut findings = validate_as(folder, None);
    findings.extend(scan::scan_contents(&contents).into_iter().filter(|found| found.code != "link"));
    crate::finding::sort(&mut findings);
    let Fetched { revision, .. } = fetched;
    Ok(Candidate {
        name: loaded.name,
        description: loaded.description,
        source,
        revision: revision.clone(),
        findings,
        packed,
        contents,
    })
}

/// Copies a skill below `into` and notes it in `lock`, which the caller saves.
///
/// # Errors
/// It has findings of severity error, another skill of the name is there, or it cannot be written.
pub fn install(
    candidate: &Candidate,
    into: &Path,
    lock: &mut Lock,
    admission: &Admission<'_>,
) -> Result<Added, SkillError> {
    if !admission.accept && worst(&candidate.findings) == Some(Severity::Error) {
        let message = format!("skill {:?} has findings of severity error", candidate.name);
        return Err(SkillError::new(Class::Refused, "findings", message)
            .hint("read its files; say `--accept` only if you know why each finding is harmless"));
    }
    let before = lock.compare(&candidate.packed);
    let (folder, deed) = export::write(&candidate.contents, into, &candidate.name, |_| admission.replace)?;
    let (source, revision) = (candidate.source.clone(), candidate.revision.clone());
    let mut entry = Locked::of(&candidate.packed, source, revision, admission.at, admission.by);
    if let Some(old) = lock.skills.get(&candidate.name) {
        entry.exports.clone_from(&old.exports);
    }
    lock.skills.insert(candidate.name.clone(), entry);
    Ok(Added { folder, deed, before })
}

#[cfg(test)]
#[path = "add_tests.rs"]
mod tests;
