//! The newest refresh token, in a file beside the database. It says of which one of the configuration it is: a new one there counts.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{config::Secret, digest};

/// Its name.
pub(super) const FILE: &str = "mail-oauth.json";

#[derive(Serialize, Deserialize)]
struct Kept {
    /// The SHA-256 of the refresh token of the configuration.
    of: String,
    refresh_token: String,
}

/// The newest one that came of this one of the configuration, if there is one.
pub(super) async fn read(file: PathBuf, of: Secret) -> Option<Secret> {
    let found = tokio::task::spawn_blocking(move || fs::read(file)).await.ok()?.ok()?;
    let kept: Kept = serde_json::from_slice(&found).ok()?;
    (kept.of == digest::of_bytes(of.expose().as_bytes())).then(|| Secret::new(kept.refresh_token))
}

/// Keeps one.
///
/// # Errors
/// [`io::Error`]: the one before stays.
pub(super) async fn write(file: PathBuf, of: Secret, fresh: Secret) -> io::Result<()> {
    let kept = Kept { of: digest::of_bytes(of.expose().as_bytes()), refresh_token: fresh.expose().to_owned() };
    let text = serde_json::to_vec(&kept)?;
    tokio::task::spawn_blocking(move || replace(&file, &text)).await.map_err(io::Error::other)?
}

/// Whole or not at all, and for nobody else's eyes.
fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    let fresh = file.with_extension(format!("{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    let mut open = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    open.write_all(text)?;
    open.sync_all()?;
    fs::rename(&fresh, file)
}
