//! The host's bare repositories: one per project, filled from bundles, warm between attempts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bus_schemas::id::ProjectId;

use super::{WorkspaceError, git};

/// The host's bare repositories. A commit that is wholly here has the ref `refs/baton/<commit>`.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens (or makes) the folder of repositories.
    ///
    /// # Errors
    /// [`WorkspaceError::Io`].
    pub fn open(root: &Path) -> Result<Self, WorkspaceError> {
        fs::create_dir_all(root).map_err(|e| WorkspaceError::io("create folder", root, e))?;
        let root = root.canonicalize().map_err(|e| WorkspaceError::io("find folder", root, e))?;
        Ok(Self { root })
    }

    /// The project's repository; made if it is not there.
    ///
    /// # Errors
    /// [`WorkspaceError::Git`] or [`WorkspaceError::Io`].
    pub fn repo(&self, project_id: ProjectId) -> Result<PathBuf, WorkspaceError> {
        let repo = self.root.join(format!("{project_id}.git"));
        if repo.join("HEAD").exists() {
            return Ok(repo);
        }
        // Made aside and renamed, so that a half-made repository is never seen.
        let fresh = tempfile::Builder::new()
            .prefix("new-")
            .tempdir_in(&self.root)
            .map_err(|e| WorkspaceError::io("create folder in", &self.root, e))?;
        let bare = fresh.path().join("repo");
        git::run(&bare, "init", ["--bare", "--quiet", "--object-format=sha1", "--template="], &[])?;
        match fs::rename(&bare, &repo) {
            Ok(()) => Ok(repo),
            Err(_) if repo.join("HEAD").exists() => Ok(repo),
            Err(e) => Err(WorkspaceError::io("create repository", &repo, e)),
        }
    }

    /// Whether the project's repository has this commit and all of its history.
    #[must_use]
    pub fn has(&self, project_id: ProjectId, commit: &str) -> bool {
        is_commit_id(commit) && self.root.join(format!("{project_id}.git/refs/baton/{commit}")).is_file()
    }

    /// Takes a bundle in: a file that holds `refs/baton/<commit>`; its parents must be there already.
    ///
    /// # Errors
    /// [`WorkspaceError::Git`] if the bundle is broken or lacks something.
    pub fn absorb(&self, project_id: ProjectId, commit: &str, bundle: &Path) -> Result<(), WorkspaceError> {
        let repo = self.repo(project_id)?;
        let name = ref_of(commit)?;
        let refspec = format!("{name}:{name}");
        let mut fetch = git::command(&repo, "fetch");
        fetch.args(["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc"]).arg(bundle).arg(refspec);
        git::finish(&mut fetch, "fetch", |_| Ok(()))?;
        let found = git::run(&repo, "rev-parse", ["--verify", "--quiet", &name], &[])?;
        if String::from_utf8_lossy(&found).trim() == commit {
            return Ok(());
        }
        git::run(&repo, "update-ref", ["-d", &name], &[])?;
        Err(WorkspaceError::Git { operation: "fetch", detail: format!("the bundle of {commit} holds another commit") })
    }

    /// Writes a bundle that holds `commit` as `refs/baton/<commit>`, without what `parents` hold, to the file `out`.
    ///
    /// # Errors
    /// [`WorkspaceError::Git`].
    pub fn bundle(
        &self,
        project_id: ProjectId,
        commit: &str,
        parents: &[String],
        out: &Path,
    ) -> Result<(), WorkspaceError> {
        let repo = self.repo(project_id)?;
        let mut create = git::command(&repo, "bundle");
        create.args(["create", "--quiet"]).arg(out).arg(ref_of(commit)?);
        create.args(parents.iter().map(|parent| format!("^{parent}")));
        git::finish(&mut create, "bundle", |_| Ok(())).map(drop)
    }
}

/// The ref that says that a commit is wholly here.
pub(super) fn ref_of(commit: &str) -> Result<String, WorkspaceError> {
    if is_commit_id(commit) {
        Ok(format!("refs/baton/{commit}"))
    } else {
        Err(WorkspaceError::BadCommit { name: commit.to_owned() })
    }
}

/// 40 lower-case hex digits.
pub(crate) fn is_commit_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
