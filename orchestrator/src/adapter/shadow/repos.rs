//! All shadow repositories of this machine.

use std::{
    collections::HashMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bus_schemas::id::ProjectId;

use super::{FolderLimits, bundle, git::Git, merge};
use crate::port::{Bundle, Changes, Shadow, ShadowError};

/// The shadow repositories below one folder, `<root>/<project>.git` each.
#[derive(Debug)]
pub struct ShadowRepos {
    root: PathBuf,
    pub(super) limits: FolderLimits,
    /// One writer per project: imports, bundles taken in, and applies wait for each other.
    writers: Mutex<HashMap<ProjectId, Arc<Mutex<()>>>>,
}

impl ShadowRepos {
    /// Repositories are made below `root` when they are needed; `limits` bound what is copied in.
    #[must_use]
    pub fn new(root: PathBuf, limits: FolderLimits) -> Self {
        Self { root, limits, writers: Mutex::new(HashMap::new()) }
    }

    /// Deletes a project's repository with everything in it. Nothing happens if there is none.
    ///
    /// # Errors
    /// [`ShadowError::Io`].
    pub fn remove(&self, project_id: ProjectId) -> Result<(), ShadowError> {
        let dir = self.path(project_id);
        match fs::remove_dir_all(&dir) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(ShadowError::Io { operation: "remove", path: dir.display().to_string(), source })
            }
            _ => Ok(()),
        }
    }

    fn path(&self, project_id: ProjectId) -> PathBuf {
        self.root.join(format!("{project_id}.git"))
    }

    /// The project's repository, whether or not it exists.
    pub(super) fn git(&self, project_id: ProjectId) -> Git {
        Git::new(self.path(project_id))
    }

    /// The project's repository, made if need be. Made beside its place and moved there, so that a crash leaves none that is half done.
    pub(super) fn ensure(&self, project_id: ProjectId) -> Result<Git, ShadowError> {
        let dir = self.path(project_id);
        if dir.join("HEAD").is_file() {
            return Ok(Git::new(dir));
        }
        let error = |operation, source| ShadowError::Io { operation, path: dir.display().to_string(), source };
        fs::create_dir_all(&self.root).map_err(|source| error("create", source))?;
        let fresh = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(&self.root)
            .map_err(|source| error("create", source))?;
        let target = fresh.path().join("repository.git");
        let made = Git::new(target.clone());
        made.run("init", &["init", "--quiet", "--bare", "--template=", "--initial-branch=baton"])?;
        fs::rename(&target, &dir).map_err(|source| error("create", source))?;
        Ok(Git::new(dir))
    }

    /// Runs `work` as the project's only writer.
    pub(super) fn exclusively<T>(&self, project_id: ProjectId, work: impl FnOnce() -> T) -> T {
        let lock = Arc::clone(locked(&self.writers).entry(project_id).or_default());
        let _turn = locked(&lock);
        work()
    }
}

/// A writer that panicked left nothing half done that a later one would trip over: git and the folder writer are crash-safe.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shadow for ShadowRepos {
    fn merge(&self, project_id: ProjectId, commits: &[String]) -> Result<String, ShadowError> {
        merge::merge_all(&self.git(project_id), commits)
    }

    fn has(&self, project_id: ProjectId, commit: &str) -> bool {
        bundle::has(&self.git(project_id), commit)
    }

    fn bundle(&self, project_id: ProjectId, commit: &str) -> Result<Bundle, ShadowError> {
        bundle::create(&self.git(project_id), commit)
    }

    fn absorb(&self, project_id: ProjectId, commit: &str, bytes: &[u8]) -> Result<(), ShadowError> {
        self.exclusively(project_id, || bundle::absorb(&self.ensure(project_id)?, commit, bytes))
    }

    fn changes(&self, project_id: ProjectId, base: &str, commit: &str) -> Result<Changes, ShadowError> {
        let paths = self.changed_paths(project_id, base, commit)?;
        let (lines_added, lines_removed) = self.changed_lines(project_id, base, commit)?;
        Ok(Changes { paths, lines_added, lines_removed })
    }
}
