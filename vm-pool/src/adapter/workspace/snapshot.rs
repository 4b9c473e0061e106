//! A commit's tree as a tar for a guest, byte for byte, with a self-contained `.git` beside it.
//!
//! The `.git` is for the guest's convenience: history, a branch `main` at the commit, and an index that matches the
//! tree, so that `git status` is clean. Its `info/attributes` switch conversions off, because the tree was written
//! without them. A tree filtered by `inputs` gets *no* `.git`: its history would carry in what the plan left out.
//!
//! Tars are kept in a folder by what they are made of, so that ten attempts from one commit build it once.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Read, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::{
    Globs, WorkspaceError, git,
    listing::{Mode, TreeEntry, tree_of},
    store::{is_commit_id, ref_of},
};

/// What makes git in the guest as blind to conversions as the host was when it wrote the tree.
const ATTRIBUTES: &[u8] = b"* -text !eol -ident -filter !working-tree-encoding\n";
const CONFIG: &[u8] = b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tautocrlf = false\n\
    [user]\n\tname = baton\n\temail = baton@localhost\n[gc]\n\tauto = 0\n[safe]\n\tdirectory = *\n";

/// The tars, kept in a folder of bounded size.
#[derive(Clone, Debug)]
pub struct Snapshots {
    dir: PathBuf,
    scratch: PathBuf,
    keep_bytes: u64,
    building: Arc<Mutex<BTreeMap<String, Arc<Mutex<()>>>>>,
}

impl Snapshots {
    /// Opens (or makes) the folder `dir`; what is there from an earlier process is used again. What is only needed while
    /// a tar is built goes to `scratch`, on the same disk: a history can be larger than the system's temporary folder.
    ///
    /// # Errors
    /// [`WorkspaceError::Io`].
    pub fn open(dir: &Path, scratch: &Path, keep_bytes: u64) -> Result<Self, WorkspaceError> {
        for folder in [dir, scratch] {
            fs::create_dir_all(folder).map_err(|e| WorkspaceError::io("create folder", folder, e))?;
        }
        Ok(Self { dir: dir.to_owned(), scratch: scratch.to_owned(), keep_bytes, building: Arc::default() })
    }

    /// The tar of `commit`'s tree as `inputs` filter it, open for reading. Two callers that want the same one build it once.
    ///
    /// # Errors
    /// [`WorkspaceError::BadGlob`], [`WorkspaceError::Git`] or [`WorkspaceError::Io`].
    pub fn tar(&self, repo: &Path, commit: &str, inputs: &[String]) -> Result<File, WorkspaceError> {
        if !is_commit_id(commit) {
            return Err(WorkspaceError::BadCommit { name: commit.to_owned() });
        }
        let globs = Globs::new(inputs)?;
        let key = key_of(commit, inputs);
        let turn = self.turn(&key);
        let _mine = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.dir.join(&key);
        if let Ok(file) = File::open(&path) {
            // Marks it as used, for the pruning; a failure only makes it look older.
            let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
            let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
            let _ = rustix::fs::futimens(&file, &times);
            return Ok(file);
        }
        let mut fresh = tempfile::NamedTempFile::new_in(&self.dir)
            .map_err(|e| WorkspaceError::io("create file in", &self.dir, e))?;
        write_tar(repo, commit, &globs, &self.scratch, fresh.as_file_mut())?;
        fresh.persist(&path).map_err(|e| WorkspaceError::io("keep", &path, e.error))?;
        self.prune(&key);
        File::open(&path).map_err(|e| WorkspaceError::io("open", &path, e))
    }

    fn turn(&self, key: &str) -> Arc<Mutex<()>> {
        let mut building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        building.retain(|_, turn| Arc::strong_count(turn) > 1);
        building.entry(key.to_owned()).or_default().clone()
    }

    /// Removes the least recently used tars beyond the limit. Whoever reads one keeps it open.
    fn prune(&self, newest: &str) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let mut tars: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter(|e| e.file_name().to_string_lossy().ends_with(".tar") && e.file_name() != newest)
            .filter_map(|e| {
                e.metadata().ok().map(|m| (m.modified().unwrap_or(SystemTime::UNIX_EPOCH), m.len(), e.path()))
            })
            .collect();
        tars.sort();
        let mut total: u64 = tars.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in tars {
            if total <= self.keep_bytes {
                break;
            }
            if fs::remove_file(&path).is_ok() {
                total = total.saturating_sub(bytes);
            }
        }
    }
}

fn key_of(commit: &str, inputs: &[String]) -> String {
    let mut digest = Sha256::new();
    digest.update(commit);
    for glob in inputs {
        digest.update([0]);
        digest.update(glob);
    }
    format!("{:x}.tar", digest.finalize())
}

fn write_tar(repo: &Path, commit: &str, globs: &Globs, scratch: &Path, out: &mut File) -> Result<(), WorkspaceError> {
    let failed = |e| WorkspaceError::io("write the tar of", Path::new(commit), e);
    let mut tar = Builder::new(BufWriter::with_capacity(1 << 18, out));
    write_tree(&mut tar, repo, tree_of(repo, commit)?, globs)?;
    if globs.is_everything() {
        write_git(&mut tar, repo, commit, scratch)?;
    }
    tar.into_inner().and_then(|mut out| out.flush()).map_err(failed)
}

fn write_tree(
    tar: &mut Builder<impl std::io::Write>,
    repo: &Path,
    entries: Vec<TreeEntry>,
    globs: &Globs,
) -> Result<(), WorkspaceError> {
    let mut blobs = git::Blobs::open(repo)?;
    let mut open: Vec<u8> = Vec::new();
    for TreeEntry { mode, oid, path } in entries.into_iter().filter(|entry| globs.matches(&entry.path)) {
        let failed =
            |e| WorkspaceError::Io { operation: "write tar entry", path: super::path::shown(&path), source: e };
        folders_above(tar, &path, &mut open).map_err(failed)?;
        match mode {
            Mode::Submodule => {
                append(tar, &path, EntryType::Directory, 0o755, 0, &mut std::io::empty()).map_err(failed)?
            }
            Mode::Symlink => {
                let target = blobs.with(&oid, |_, body| {
                    let mut target = Vec::new();
                    body.read_to_end(&mut target).map_err(failed)?;
                    Ok(target)
                })?;
                append_link(tar, &path, &target).map_err(failed)?;
            }
            Mode::File | Mode::Executable => {
                let bits = if mode == Mode::Executable { 0o755 } else { 0o644 };
                blobs.with(&oid, |size, body| {
                    append(tar, &path, EntryType::Regular, bits, size, body).map_err(failed)
                })?;
            }
        }
    }
    Ok(())
}

/// Writes entries for the folders above `path` that the previous entry's folders (`open`) do not cover.
fn folders_above(tar: &mut Builder<impl std::io::Write>, path: &[u8], open: &mut Vec<u8>) -> std::io::Result<()> {
    let parent = path.iter().rposition(|&b| b == b'/').map_or(&[][..], |end| &path[..=end]);
    for end in parent.iter().enumerate().filter(|&(_, &b)| b == b'/').map(|(at, _)| at) {
        if !open.starts_with(&parent[..=end]) {
            append(tar, &parent[..end], EntryType::Directory, 0o755, 0, &mut std::io::empty())?;
        }
    }
    *open = parent.to_vec();
    Ok(())
}

/// Writes a `.git` that needs nothing of the host.
fn write_git(
    tar: &mut Builder<impl std::io::Write>,
    repo: &Path,
    commit: &str,
    scratch: &Path,
) -> Result<(), WorkspaceError> {
    // On the repository's file system: git writes the pack there and renames it.
    let scratch = tempfile::tempdir_in(scratch).map_err(|e| WorkspaceError::io("create folder in", scratch, e))?;
    let failed = |e| WorkspaceError::io("pack .git in", scratch.path(), e);
    let base = scratch.path().join("pack");
    let mut pack = git::command(repo, "pack-objects");
    pack.args(["--revs", "--quiet", "--window=0", "--delta-base-offset"]).arg(&base);
    let name = git::finish(&mut pack, "pack-objects", |stdin| writeln!(stdin, "{commit}"))?;
    let name = String::from_utf8_lossy(&name).trim().to_owned();
    let index = scratch.path().join("index");
    let mut read_tree = git::command(repo, "read-tree");
    read_tree.arg(commit).env("GIT_INDEX_FILE", &index);
    git::finish(&mut read_tree, "read-tree", |_| Ok(()))?;

    for folder in ["", "/info", "/objects", "/objects/info", "/objects/pack", "/refs", "/refs/heads", "/refs/tags"] {
        let path = format!(".git{folder}");
        append(tar, path.as_bytes(), EntryType::Directory, 0o755, 0, &mut std::io::empty()).map_err(failed)?;
    }
    let head = format!("{commit}\n");
    let files: [(&str, &[u8]); 4] = [
        (".git/HEAD", b"ref: refs/heads/main\n"),
        (".git/config", CONFIG),
        (".git/info/attributes", ATTRIBUTES),
        (".git/refs/heads/main", head.as_bytes()),
    ];
    for (path, mut content) in files {
        let size = content.len() as u64;
        append(tar, path.as_bytes(), EntryType::Regular, 0o644, size, &mut content).map_err(failed)?;
    }
    let shallow = repo.join("shallow");
    let mut sources = vec![(".git/index".to_owned(), index)];
    for end in ["pack", "idx"] {
        sources
            .push((format!(".git/objects/pack/pack-{name}.{end}"), scratch.path().join(format!("pack-{name}.{end}"))));
    }
    if shallow.is_file() {
        sources.push((".git/shallow".to_owned(), shallow));
    }
    for (path, source) in sources {
        let mut file = File::open(&source).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        append(tar, path.as_bytes(), EntryType::Regular, 0o644, size, &mut file).map_err(failed)?;
    }
    ref_of(commit).map(drop)
}

/// Appends an entry; a path that does not fit the header goes into a PAX record.
fn append(
    tar: &mut Builder<impl std::io::Write>,
    path: &[u8],
    kind: EntryType,
    mode: u32,
    size: u64,
    body: &mut dyn Read,
) -> std::io::Result<()> {
    let mut header = header(tar, path, &[], kind, mode)?;
    header.set_size(size);
    header.set_cksum();
    tar.append(&header, body)
}

fn append_link(tar: &mut Builder<impl std::io::Write>, path: &[u8], target: &[u8]) -> std::io::Result<()> {
    let mut header = header(tar, path, target, EntryType::Symlink, 0o777)?;
    header.set_cksum();
    tar.append(&header, std::io::empty())
}

fn header(
    tar: &mut Builder<impl std::io::Write>,
    path: &[u8],
    target: &[u8],
    kind: EntryType,
    mode: u32,
) -> std::io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    let mut records: Vec<(&str, &[u8])> = Vec::new();
    let old = header.as_old_mut();
    for (record, field, value) in [("path", &mut old.name, path), ("linkpath", &mut old.linkname, target)] {
        let fits = value.len().min(field.len());
        field[..fits].copy_from_slice(&value[..fits]);
        if fits < value.len() {
            records.push((record, value));
        }
    }
    tar.append_pax_extensions(records)?;
    Ok(header)
}
