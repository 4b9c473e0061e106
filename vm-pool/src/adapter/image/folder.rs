//! Finding a flavour's image folder. `deploy/vm/build-base.sh` makes them and says what is in them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The flavours this build knows, with the package list of each.
const FLAVOURS: [(&str, &str); 2] = [
    ("base", include_str!("../../../../deploy/vm/packages/base.txt")),
    ("build", include_str!("../../../../deploy/vm/packages/build.txt")),
];
const SCRIPT: &str = include_str!("../../../../deploy/vm/build-base.sh");
const KERNEL_SCRIPT: &str = include_str!("../../../../deploy/vm/kernel.py");
/// How to get an image.
pub(super) const BUILD_IMAGE: &str = "build it with `cargo xtask image`, or `deploy/vm/build-base.sh FLAVOUR`";

/// An image, or something made from one, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No such flavour.
    #[error("there is no image flavour {flavour:?}; there are: {}", known_flavours())]
    UnknownFlavour {
        /// What was asked for.
        flavour: String,
    },
    /// The flavour's image was not built on this machine, or by another recipe.
    #[error("the image {flavour} is not at {}; {BUILD_IMAGE}", folder.display())]
    NotBuilt {
        /// The flavour.
        flavour: String,
        /// Where it should be.
        folder: PathBuf,
    },
    /// A file of the image or the cache cannot be read or written.
    #[error("{operation} {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is there but is not what it should be.
    #[error("{}: {detail}", path.display())]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and the way out.
        detail: String,
    },
}

impl ImageError {
    /// For `map_err`.
    pub(super) fn at(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { operation, path, source }
    }

    /// A disk is full.
    #[must_use]
    pub fn disk_full(&self) -> bool {
        matches!(self, Self::File { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

fn known_flavours() -> String {
    FLAVOURS.map(|(name, _)| name).join(", ")
}

/// The key in the name of `flavour`'s image folder: 16 hex digits of a SHA-256 of its recipe, as the recipe itself computes it.
///
/// # Errors
/// [`ImageError::UnknownFlavour`].
pub fn recipe_key(flavour: &str) -> Result<String, ImageError> {
    let (_, packages) = FLAVOURS
        .into_iter()
        .find(|(name, _)| *name == flavour)
        .ok_or_else(|| ImageError::UnknownFlavour { flavour: flavour.to_owned() })?;
    let digest = Sha256::new().chain_update(SCRIPT).chain_update(KERNEL_SCRIPT).chain_update(packages).finalize();
    Ok(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// A complete image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFolder {
    /// The flavour.
    pub flavour: String,
    /// The folder.
    pub path: PathBuf,
    /// SHA-256 of `vmlinux`, hex.
    pub kernel_sha256: String,
}

#[derive(Deserialize)]
struct Manifest {
    vmlinux: FileEntry,
}

#[derive(Deserialize)]
struct FileEntry {
    sha256: String,
}

impl ImageFolder {
    /// Finds `flavour` in the folder of images.
    ///
    /// # Errors
    /// [`ImageError`]; `NotBuilt` names the way out.
    pub fn find(images: &Path, flavour: &str) -> Result<Self, ImageError> {
        let path = images.join(format!("{flavour}-{}", recipe_key(flavour)?));
        let manifest_path = path.join("manifest.json");
        let text = match fs::read(&manifest_path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ImageError::NotBuilt { flavour: flavour.to_owned(), folder: path });
            }
            other => other.map_err(ImageError::at("read", &manifest_path))?,
        };
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| ImageError::Unfit {
            path: manifest_path,
            detail: format!("{error}; delete the folder and {BUILD_IMAGE}"),
        })?;
        Ok(Self { flavour: flavour.to_owned(), path, kernel_sha256: manifest.vmlinux.sha256 })
    }

    /// The uncompressed kernel.
    #[must_use]
    pub fn kernel(&self) -> PathBuf {
        self.path.join("vmlinux")
    }

    /// The read-only root disk.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.path.join("rootfs.erofs")
    }

    /// The folder of kernel modules.
    #[must_use]
    pub fn modules(&self) -> PathBuf {
        self.path.join("modules")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_one_the_recipe_computes() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/vm/build-base.sh");
        for (flavour, _) in FLAVOURS {
            let output = std::process::Command::new(&script).args(["--key", flavour]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), recipe_key(flavour).unwrap());
        }
    }

    #[test]
    fn a_missing_image_says_how_to_get_it() {
        let images = tempfile::tempdir().unwrap();
        let error = ImageFolder::find(images.path(), "base").unwrap_err().to_string();
        assert!(error.contains("cargo xtask image") && error.contains("base"), "{error}");
        let error = ImageFolder::find(images.path(), "windows").unwrap_err().to_string();
        assert!(error.contains("base, build"), "{error}");
    }

    #[test]
    fn a_folder_counts_once_its_manifest_is_there() {
        let images = tempfile::tempdir().unwrap();
        let folder = images.path().join(format!("base-{}", recipe_key("base").unwrap()));
        fs::create_dir(&folder).unwrap();
        assert!(matches!(ImageFolder::find(images.path(), "base"), Err(ImageError::NotBuilt { .. })));
        fs::write(folder.join("manifest.json"), r#"{"vmlinux":{"bytes":1,"sha256":"ab"}}"#).unwrap();
        assert_eq!(ImageFolder::find(images.path(), "base").unwrap().kernel_sha256, "ab");
        fs::write(folder.join("manifest.json"), "{").unwrap();
        assert!(matches!(ImageFolder::find(images.path(), "base"), Err(ImageError::Unfit { .. })));
    }
}
