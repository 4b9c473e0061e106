//! The globs of `inputs` and `outputs`.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::WorkspaceError;

/// A set of globs over paths relative to the folder. `*` stays within one component, `**` crosses them, and a glob that
/// names a folder (`docs` or `docs/`) means everything below it. No glob at all means every path.
#[derive(Clone, Debug)]
pub struct Globs {
    set: Option<GlobSet>,
}

impl Globs {
    /// Reads globs.
    ///
    /// # Errors
    /// [`WorkspaceError::BadGlob`] naming the glob.
    pub fn new(globs: &[String]) -> Result<Self, WorkspaceError> {
        if globs.is_empty() {
            return Ok(Self { set: None });
        }
        let bad = |glob: &str, e: globset::Error| WorkspaceError::BadGlob {
            glob: glob.to_owned(),
            detail: e.kind().to_string(),
        };
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            let stem = glob.trim_start_matches("./").trim_end_matches('/');
            let stem = if stem.is_empty() || stem == "." { "**" } else { stem };
            for text in [stem.to_owned(), format!("{stem}/**")] {
                set.add(GlobBuilder::new(&text).literal_separator(true).build().map_err(|e| bad(glob, e))?);
            }
        }
        let set = set.build().map_err(|e| bad(&globs.join(", "), e))?;
        Ok(Self { set: Some(set) })
    }

    /// Every path matches.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.set.is_none()
    }

    /// Whether a path (`/`-separated, any bytes) matches.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        self.set.as_ref().is_none_or(|set| set.is_match(Path::new(OsStr::from_bytes(path))))
    }
}
