//! Keys: read once, shown never.

use std::{
    fmt, fs,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use http::HeaderValue;
use sha2::{Digest as _, Sha256};

/// The longest key.
const MAX_BYTES: u64 = 16 * 1024;

/// A key. Nothing shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A key from a text; white space around it does not belong to it. `None` if nothing is left, or if it cannot stand in a header.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// A key from a file that its owner alone can read; `label` is what the configuration calls the file.
    ///
    /// # Errors
    /// What is wrong with it, and the way out.
    pub fn from_file(label: &str, path: &Path) -> Result<Self, String> {
        let shown = path.display();
        // Not waiting for a pipe that nobody writes to.
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = fs::OpenOptions::new()
            .read(true)
            .custom_flags(nonblock)
            .open(path)
            .map_err(|error| format!("{label} {shown}: {error}"))?;
        let about = file.metadata().map_err(|error| format!("{label} {shown}: {error}"))?;
        if !about.is_file() {
            return Err(format!("{label} {shown} is not a file"));
        }
        if about.mode() & 0o077 != 0 {
            return Err(format!("{label} {shown} can be read by others: `chmod 600 {shown}`"));
        }
        let mut text = String::new();
        // The error would not hold the content; it says "not UTF-8" and no more.
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| format!("{label} {shown}: {error}"))?;
        Self::new(&text).ok_or_else(|| format!("{label} {shown} holds no key: one line of text is wanted"))
    }

    /// The key as a header's value.
    pub(super) fn header(&self, prefix: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// What is to be found in nothing that leaves.
    pub(in crate::adapter) fn needle(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// A short name that tells keys apart and says nothing about them.
    pub(super) fn fingerprint(&self, salt: &str) -> String {
        fingerprint(salt, &self.0)
    }
}

/// A short name for `text`, salted.
pub(super) fn fingerprint(salt: &str, text: &str) -> String {
    let digest =
        Sha256::new().chain_update("baton governor\0").chain_update(salt).chain_update("\0").chain_update(text);
    digest.finalize()[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = Secret::new("  sk-canary-123\n").unwrap();
        assert_eq!(format!("{key:?} {:?}", key.header("Bearer ")), "Secret(…) Some(Sensitive)");
        assert_eq!(key.header("Bearer ").unwrap().as_bytes(), b"Bearer sk-canary-123");
        assert!(!key.fingerprint("x").contains("canary"));
        assert_ne!(key.fingerprint("x"), key.fingerprint("y"));
        assert_eq!(Secret::new(" \n"), None);
        assert_eq!(Secret::new("two\nlines"), None);
    }

    #[test]
    fn a_key_file_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, "sk-canary-456\n").unwrap();
        for (mode, fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = Secret::from_file("key_file", &path);
            assert_eq!(read.is_ok(), fine, "{mode:o}");
            assert!(!format!("{read:?}").contains("canary"));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "\n").unwrap();
        assert!(Secret::from_file("key_file", &path).is_err_and(|e| e.contains("holds no key")));
        assert!(Secret::from_file("key_file", dir.path()).is_err());
    }
}
