//! A project with a folder, and ways to look at them.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use bus_schemas::id::ProjectId;
use tempfile::TempDir;
use uuid::Uuid;

use crate::adapter::shadow::{
    ApplyPlan, FolderLimits, Imported, ShadowRepos,
    blobs::Blobs,
    git::Git,
    import::write_commit,
    scan::{Wanted, scan},
};

/// One project, its folder, and room for more.
pub(super) struct World {
    pub(super) dir: TempDir,
    pub(super) repos: ShadowRepos,
    pub(super) project: ProjectId,
    pub(super) folder: PathBuf,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_limits(FolderLimits::default())
    }

    pub(super) fn with_limits(limits: FolderLimits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let repos = ShadowRepos::new(dir.path().join("shadow"), limits);
        Self { repos, project: ProjectId::from_uuid(Uuid::now_v7()), folder, dir }
    }

    pub(super) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        put(&self.folder, path, content);
    }

    pub(super) fn import(&self) -> Imported {
        self.repos.import(self.project, &self.folder).unwrap()
    }

    pub(super) fn git(&self) -> Git {
        self.repos.git(self.project)
    }

    /// Commits what `edit` makes of a copy of the folder, over `base`: a handoff.
    pub(super) fn handoff(&self, base: &str, edit: impl FnOnce(&Path)) -> String {
        let copy = TempDir::new_in(self.dir.path()).unwrap();
        let work = copy.path().join("work");
        let status = Command::new("cp").arg("-a").arg(&self.folder).arg(&work).status().unwrap();
        assert!(status.success());
        edit(&work);
        let everything = scan(&work.canonicalize().unwrap(), FolderLimits::default(), &Wanted::default()).unwrap();
        write_commit(&self.git(), &work, &everything.items, &[base.to_owned()], "A handoff\n").unwrap()
    }

    pub(super) fn plan(&self, base: &str, result: &str) -> ApplyPlan {
        self.repos.plan_apply(self.project, base, result, &self.folder).unwrap()
    }

    /// The content of a commit, by path, with git's mode.
    pub(super) fn content(&self, commit: &str) -> BTreeMap<String, (String, Vec<u8>)> {
        let git = self.git();
        let mut blobs = Blobs::open(&git).unwrap();
        let listed = git.run("ls-tree", &["ls-tree", "-r", "-z", commit]).unwrap().stdout;
        let listed = String::from_utf8(listed).unwrap();
        listed
            .split_terminator('\0')
            .map(|line| {
                let (meta, path) = line.split_once('\t').unwrap();
                let mut words = meta.split(' ');
                let mode = words.next().unwrap().to_owned();
                (path.to_owned(), (mode, blobs.read(words.nth(1).unwrap()).unwrap()))
            })
            .collect()
    }
}

pub(super) fn put(folder: &Path, path: &str, content: impl AsRef<[u8]>) {
    let full = folder.join(path);
    fs::create_dir_all(full.parent().unwrap()).unwrap();
    fs::write(full, content).unwrap();
}

pub(super) fn chmod(folder: &Path, path: &str, mode: u32) {
    fs::set_permissions(folder.join(path), fs::Permissions::from_mode(mode)).unwrap();
}

pub(super) fn link(folder: &Path, path: &str, target: &str) {
    symlink(target, folder.join(path)).unwrap();
}

/// The user's own git in the user's own folder.
pub(super) fn user_git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "protocol.file.allow=always"])
        .args(["-c", "init.defaultBranch=main", "-c", "commit.gpgSign=false"])
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Everything in a folder, `.git` too: mode, and content or target; with times if asked.
pub(super) fn photograph(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    walk(folder, false)
}

/// As [`photograph`], with modification times.
pub(super) fn photograph_with_times(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    walk(folder, true)
}

fn walk(folder: &Path, times: bool) -> BTreeMap<String, (u32, Vec<u8>)> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = fs::symlink_metadata(entry.path()).unwrap();
            let mut content = if metadata.is_symlink() {
                fs::read_link(entry.path()).unwrap().into_os_string().into_encoded_bytes()
            } else if metadata.is_file() {
                fs::read(entry.path()).unwrap()
            } else {
                Vec::new()
            };
            if times {
                content.extend(format!("@{}.{}", metadata.mtime(), metadata.mtime_nsec()).bytes());
            }
            let path = entry.path().strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            (path, (metadata.mode(), content))
        })
        .collect()
}
