//! Where the programs under test are.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The folder with `baton`, `baton-vm-pool` and the static `baton-worker`.
///
/// # Panics
/// If it is not there: run `cargo xtask build` first.
#[must_use]
pub fn dist() -> PathBuf {
    let folder = env::var_os("BATON_DIST").map_or_else(|| root().join("target/dist"), PathBuf::from);
    assert!(folder.join("baton").exists(), "{} has no `baton`: run `cargo xtask build`", folder.display());
    folder
}

/// A nats-server that is new enough.
///
/// # Panics
/// If there is none: run `cargo xtask setup` first.
#[must_use]
pub fn nats_server() -> PathBuf {
    let cached = cache().join("nats-server");
    let newest = std::fs::read_dir(cached)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("nats-server"))
        .filter(|file| file.exists())
        .max();
    env::var_os("BATON_NATS_SERVER")
        .map(PathBuf::from)
        .or(newest)
        .unwrap_or_else(|| panic!("no nats-server: run `cargo xtask setup`"))
}

/// Baton's cache folder.
#[must_use]
pub fn cache() -> PathBuf {
    env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .unwrap_or_default()
        .join("baton")
}
