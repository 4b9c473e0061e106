//! Brings a folder from one commit to another, path by path.
//!
//! First everything is looked at; if one path is neither as before nor as after, nothing is written. Then, in this order:
//! what goes is removed, what comes is put in place (each file at once, by a rename), emptied folders are removed. A path
//! that is already as after is passed over, so a call that was interrupted is simply made again.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    path::Path,
};

use bus_schemas::id::ProjectId;

use super::{
    ShadowRepos,
    blobs::Blobs,
    diff::{Entry, EntryKind, TreeChange, tree_changes},
    error::ApplyError,
    folder::{Current, Folder, NewFile},
    git::Git,
    path::{is_harmless, is_safe, link_is_harmless, link_stays_inside, parents},
    record::Record,
    scan::check_folder,
};

/// What writing to a folder did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteReport {
    /// Paths written or removed.
    pub written: u64,
    /// Paths that were right already.
    pub already_right: u64,
}

impl ShadowRepos {
    /// Brings the folder from `before` to `after` (the commits of an [`super::ApplyPlan`]). Idempotent: after a crash or
    /// a full disk, the same call goes on.
    ///
    /// # Errors
    /// [`ApplyError::ChangedMeanwhile`] and [`ApplyError::Obstructed`] name the paths; [`ApplyError::DiskFull`]; others.
    /// After any of them, [`ShadowRepos::has_begun`] says whether something was written.
    pub fn write_folder(
        &self,
        project_id: ProjectId,
        before: &str,
        after: &str,
        folder: &Path,
    ) -> Result<WriteReport, ApplyError> {
        let real = check_folder(folder)?;
        self.exclusively(project_id, || {
            let git = self.git(project_id);
            let changes = tree_changes(&git, before, after)?;
            let folder = Folder::open(&real).map_err(|source| ApplyError::io("open", &shown(&real), source))?;
            let mut writer = Writer::new(&folder, Blobs::open(&git)?, &changes, None);
            writer.check(false)?;
            let goes_on = begun(&git, before, after)?;
            if !goes_on {
                Record::take(&folder, &changes)?.save(&git, before, after)?;
            }
            let written = writer.write(false);
            if written.is_err() && !goes_on && !writer.touched {
                // The record says that the folder may be touched; if it cannot be removed, it is believed.
                drop(Record::remove(&git, before, after));
            }
            written
        })
    }

    /// Checks that the folder can be brought from `before` to `after` as it is now. Writes nothing.
    pub(super) fn check_writable(
        &self,
        project_id: ProjectId,
        before: &str,
        after: &str,
        folder: &Path,
    ) -> Result<(), ApplyError> {
        let real = check_folder(folder)?;
        let git = self.git(project_id);
        let changes = tree_changes(&git, before, after)?;
        let folder = Folder::open(&real).map_err(|source| ApplyError::io("open", &shown(&real), source))?;
        Writer::new(&folder, Blobs::open(&git)?, &changes, None).check(false)
    }

    /// Whether some of this apply may be in the folder: it was begun, by any call, and not taken back.
    ///
    /// # Errors
    /// [`ApplyError`] if what was kept of it cannot be read.
    pub fn has_begun(&self, project_id: ProjectId, before: &str, after: &str) -> Result<bool, ApplyError> {
        begun(&self.git(project_id), before, after)
    }
}

fn begun(git: &Git, before: &str, after: &str) -> Result<bool, ApplyError> {
    Ok(Record::load(git, before, after)?.is_some_and(|record| !record.taken_back))
}

pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// How a path in the folder compares to the two commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Before,
    After,
    /// Neither.
    Foreign,
}

/// Brings a folder from the one side of some changes to the other.
pub(super) struct Writer<'a> {
    folder: &'a Folder,
    blobs: Blobs,
    changes: &'a [TreeChange],
    by_path: HashMap<&'a str, &'a TreeChange>,
    /// Folders above a path that is put in place.
    dirs_to_be: BTreeSet<&'a str>,
    /// Folders above a path that is removed.
    dirs_to_empty: BTreeSet<&'a str>,
    /// For an undo: how the folder was.
    record: Option<&'a Record>,
    /// Something in the folder was changed, or may have been.
    pub(super) touched: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(folder: &'a Folder, blobs: Blobs, changes: &'a [TreeChange], record: Option<&'a Record>) -> Self {
        let above = |wanted: fn(&TreeChange) -> bool| {
            changes.iter().filter(move |change| wanted(change)).flat_map(|change| parents(&change.path)).collect()
        };
        Self {
            folder,
            blobs,
            changes,
            by_path: changes.iter().map(|change| (change.path.as_str(), change)).collect(),
            dirs_to_be: above(|change| change.after.is_some()),
            dirs_to_empty: above(|change| change.after.is_none()),
            record,
            touched: false,
        }
    }

    /// Looks at every path. With `force`, only what can never be written is an error.
    pub(super) fn check(&mut self, force: bool) -> Result<(), ApplyError> {
        let (mut foreign, mut in_the_way) = (Vec::new(), BTreeSet::new());
        for change in self.changes {
            let path = change.path.as_str();
            self.check_safe(change)?;
            if change.after.is_some() {
                self.find_obstacles(path, &mut in_the_way).map_err(|source| ApplyError::io("look at", path, source))?;
            }
            if self.state(change)? == State::Foreign {
                foreign.push(path.to_owned());
            }
        }
        foreign.retain(|path| !in_the_way.contains(path));
        if !foreign.is_empty() && !force {
            return Err(ApplyError::ChangedMeanwhile { paths: foreign });
        }
        if !in_the_way.is_empty() {
            return Err(ApplyError::Obstructed { paths: in_the_way.into_iter().collect() });
        }
        Ok(())
    }

    fn check_safe(&mut self, change: &TreeChange) -> Result<(), ApplyError> {
        // An undo puts back what was the person's own, and a path that was there before is theirs, too; what is new
        // comes out of a guest and is not believed.
        let own = self.record.is_some();
        let mut safe = if own || change.before.is_some() { is_safe(&change.path) } else { is_harmless(&change.path) };
        if let Some(Entry { kind: EntryKind::Link, oid }) = &change.after {
            let target = self.blobs.read(oid)?;
            safe = safe
                && if own { link_stays_inside(&change.path, &target) } else { link_is_harmless(&change.path, &target) };
        }
        if safe { Ok(()) } else { Err(ApplyError::UnsafePath { path: change.path.clone() }) }
    }

    /// What stands where `path`, or a folder above it, must go, and is not ours to remove.
    fn find_obstacles(&self, path: &str, found: &mut BTreeSet<String>) -> io::Result<()> {
        for dir in parents(path) {
            let goes = self.by_path.get(dir).is_some_and(|change| change.after.is_none());
            if !goes && !matches!(self.folder.look(dir)?, Current::Absent | Current::Directory) {
                found.insert(dir.to_owned());
            }
        }
        match self.folder.look(path)? {
            Current::Special => {
                found.insert(path.to_owned());
            }
            Current::Directory => self.find_strangers(path, found)?,
            _ => {}
        }
        Ok(())
    }

    /// A folder may give way to a file only if everything in it goes.
    fn find_strangers(&self, dir: &str, found: &mut BTreeSet<String>) -> io::Result<()> {
        if !self.dirs_to_empty.contains(dir) {
            found.insert(dir.to_owned());
            return Ok(());
        }
        for entry in self.folder.list(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let path = format!("{dir}/{}", name.to_string_lossy());
            if entry.file_type()?.is_dir() {
                self.find_strangers(&path, found)?;
            } else if self.by_path.get(path.as_str()).is_none_or(|change| change.after.is_some()) {
                found.insert(path);
            }
        }
        Ok(())
    }

    fn state(&mut self, change: &TreeChange) -> Result<State, ApplyError> {
        let error = |source| ApplyError::io("look at", &change.path, source);
        let mut current = self.folder.look(&change.path).map_err(error)?;
        // Where a file and a folder change places, the folder counts as the file's absence.
        if matches!(current, Current::Directory) {
            let path = change.path.as_str();
            let expected = (change.after.is_none() && self.dirs_to_be.contains(path))
                || (change.before.is_none() && self.dirs_to_empty.contains(path));
            if expected {
                current = Current::Absent;
            }
        }
        // An apply never makes a folder where it makes a file: what stands there now is not an undo's to remove.
        let undoes = self.record.is_some();
        if undoes && change.after.is_none() && matches!(current, Current::Directory | Current::Special) {
            return Ok(State::After);
        }
        if self.matches(change, &mut current, change.after.as_ref())? {
            Ok(State::After)
        } else if self.matches(change, &mut current, change.before.as_ref())? {
            Ok(State::Before)
        } else {
            Ok(State::Foreign)
        }
    }

    fn matches(
        &mut self,
        change: &TreeChange,
        current: &mut Current,
        entry: Option<&Entry>,
    ) -> Result<bool, ApplyError> {
        Ok(match (current, entry) {
            (Current::Absent, None) => true,
            (Current::Link(target), Some(Entry { kind: EntryKind::Link, oid })) => *target == self.blobs.read(oid)?,
            (Current::File(file), Some(Entry { kind: EntryKind::File | EntryKind::Executable, oid })) => {
                let executable = entry.is_some_and(|entry| entry.kind == EntryKind::Executable);
                (file.mode() & 0o100 != 0) == executable
                    && file.len() == self.blobs.size(oid)?
                    && file.bytes().map_err(|source| ApplyError::io("read", &change.path, source))?
                        == self.blobs.read(oid)?
            }
            _ => false,
        })
    }

    /// Writes what is not right yet.
    pub(super) fn write(&mut self, force: bool) -> Result<WriteReport, ApplyError> {
        let mut report = WriteReport::default();
        let changes = self.changes;
        let (removals, additions): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.after.is_none());
        for change in &removals {
            let done = self.one(change, force)?;
            report.count(done);
        }
        for change in &additions {
            self.clear_place(&change.path).map_err(|source| ApplyError::io("replace", &change.path, source))?;
            let done = self.one(change, force)?;
            report.count(done);
        }
        for change in &removals {
            self.remove_emptied(&change.path)
                .map_err(|source| ApplyError::io("tidy up after", &change.path, source))?;
        }
        self.sync()?;
        Ok(report)
    }

    /// Brings one path over; looks again just before. Says whether anything had to be done.
    fn one(&mut self, change: &TreeChange, force: bool) -> Result<bool, ApplyError> {
        let path = change.path.as_str();
        self.folder.sweep(path).map_err(|source| ApplyError::io("tidy up", path, source))?;
        match self.state(change)? {
            State::After => {
                self.restore_mode(change)?;
                return Ok(false);
            }
            State::Foreign if !force => {
                return Err(ApplyError::ChangedMeanwhile { paths: vec![path.to_owned()] });
            }
            _ => {}
        }
        let Some(entry) = &change.after else {
            self.folder.remove(path).map_err(|source| ApplyError::io("remove", path, source))?;
            self.touched = true;
            return Ok(true);
        };
        let record = self.record;
        let look = |dir| self.folder.look(dir).map_err(|source| ApplyError::io("look at", dir, source));
        if let Some(dir) = parents(path).next()
            && !matches!(look(dir)?, Current::Directory)
        {
            self.touched = true;
        }
        self.folder
            .make_parents(path, |dir| record.and_then(|record| record.dirs.get(dir).copied()))
            .map_err(|source| ApplyError::io("make the folders for", path, source))?;
        self.put(path, entry)?;
        self.touched = true;
        Ok(true)
    }

    fn put(&mut self, path: &str, entry: &Entry) -> Result<(), ApplyError> {
        let error = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => ApplyError::ChangedMeanwhile { paths: vec![path.to_owned()] },
            _ => ApplyError::io("write", path, source),
        };
        let bytes = self.blobs.read(&entry.oid)?;
        let current = self.folder.look(path).map_err(error)?;
        let must_be_absent = matches!(current, Current::Absent);
        if entry.kind == EntryKind::Link {
            return self.folder.put_link(path, &bytes, must_be_absent).map_err(error);
        }
        let executable = entry.kind == EntryKind::Executable;
        let replaced = if let Current::File(file) = &current { Some(file) } else { None };
        let recorded = self.record.and_then(|record| record.files.get(path).copied());
        let mode = recorded.or_else(|| replaced.map(|file| with_execution(file.mode(), executable)));
        let new = NewFile { executable, mode, replaced, must_be_absent };
        self.folder.put_file(path, &bytes, &new).map_err(error)
    }

    /// An undo gives back permission bits even where the content is right already.
    fn restore_mode(&self, change: &TreeChange) -> Result<(), ApplyError> {
        let Some(mode) = self.record.and_then(|record| record.files.get(&change.path)) else { return Ok(()) };
        let error = |source| ApplyError::io("change the mode of", &change.path, source);
        if let Current::File(file) = self.folder.look(&change.path).map_err(error)? {
            file.set_mode(*mode).map_err(error)?;
        }
        Ok(())
    }

    /// Removes the emptied folder that stands where a file must go.
    fn clear_place(&mut self, path: &str) -> io::Result<()> {
        if self.dirs_to_empty.contains(path) && matches!(self.folder.look(path)?, Current::Directory) {
            self.touched = true;
            let below = format!("{path}/");
            for dir in self.dirs_to_empty.iter().rev().filter(|dir| dir.starts_with(&below)) {
                self.folder.remove_empty(dir)?;
            }
            self.folder.remove_empty(path)?;
        }
        Ok(())
    }

    /// Removes folders that held nothing but what was removed; an undo keeps those that were there before the apply.
    fn remove_emptied(&self, path: &str) -> io::Result<()> {
        for dir in parents(path) {
            let keep = self.record.is_some_and(|record| record.dirs.contains_key(dir));
            if keep || !self.folder.remove_empty(dir)? {
                break;
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), ApplyError> {
        let dirs: BTreeSet<&str> = self.changes.iter().flat_map(|change| parents(&change.path)).chain([""]).collect();
        for dir in dirs {
            self.folder.sync(dir).map_err(|source| ApplyError::io("sync", dir, source))?;
        }
        Ok(())
    }
}

impl WriteReport {
    fn count(&mut self, done: bool) {
        if done {
            self.written += 1;
        } else {
            self.already_right += 1;
        }
    }
}

/// Permission bits with execution for everybody who may read, or for nobody; unchanged if the owner's is right.
const fn with_execution(mode: u32, executable: bool) -> u32 {
    match (executable, mode & 0o100 != 0) {
        (true, false) => mode | ((mode & 0o444) >> 2) | 0o100,
        (false, true) => mode & !0o111,
        _ => mode,
    }
}
