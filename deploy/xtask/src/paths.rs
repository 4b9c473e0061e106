//! Where things are.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").components().collect::<PathBuf>().canonical()
}

trait Canonical {
    fn canonical(self) -> PathBuf;
}

impl Canonical for PathBuf {
    fn canonical(self) -> PathBuf {
        self.canonicalize().unwrap_or(self)
    }
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The three programs, together.
pub fn dist() -> PathBuf {
    target().join("dist")
}

/// Baton's cache: guest images and a nats-server, shared by every checkout of this user.
pub fn cache() -> PathBuf {
    env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .unwrap_or_else(|| PathBuf::from("/var/cache"))
        .join("baton")
}
