//! Where things live: the XDG base directories, or one folder for all of them.
//!
//! | What | Where | With `BATON_HOME=/dir` |
//! |---|---|---|
//! | configuration | `$XDG_CONFIG_HOME/baton` (`~/.config/baton`) | `/dir/config` |
//! | state: journal, shadow repositories, NATS store, logs | `$XDG_STATE_HOME/baton` (`~/.local/state/baton`) | `/dir/state` |
//! | cache: guest images, nats-server | `$XDG_CACHE_HOME/baton` (`~/.cache/baton`) | unchanged: a cache belongs to the machine |
//! | sockets, locks | `$XDG_RUNTIME_DIR/baton`, else `run` in the state | `/dir/run` |

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The environment, as a value: tests bring their own.
pub type Env = BTreeMap<OsString, OsString>;

/// The longest path a Unix socket may have on Linux, in bytes (`sun_path` less its NUL).
const SOCKET_PATH_MAX: usize = 107;

/// The folders of one installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Where `baton.toml` is looked for.
    pub config_dir: PathBuf,
    /// What must survive.
    pub state_dir: PathBuf,
    /// What can be made again.
    pub cache_dir: PathBuf,
    /// What dies with the machine.
    pub runtime_dir: PathBuf,
}

/// A folder could not be found or made.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// Neither `HOME` nor the XDG variables are set.
    #[error("no home folder: set HOME, or BATON_HOME to a folder for everything")]
    NoHome,
    /// The path of a socket is too long for the kernel.
    #[error("socket path {} has {} bytes, the kernel takes {SOCKET_PATH_MAX}: set BATON_HOME or XDG_RUNTIME_DIR to a shorter path", path.display(), path.as_os_str().len())]
    SocketTooLong {
        /// The path.
        path: PathBuf,
    },
    /// A folder could not be made.
    #[error("create folder {}", path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Paths {
    /// Finds the folders from the environment; makes nothing.
    ///
    /// # Errors
    /// [`PathsError::NoHome`].
    pub fn from_env(env: &Env) -> Result<Self, PathsError> {
        let dir = |name: &str| env.get(&OsString::from(name)).map(PathBuf::from).filter(|path| path.is_absolute());
        let under_home = |tail: &str| dir("HOME").map(|home| home.join(tail));
        let cache_dir = dir("XDG_CACHE_HOME").or_else(|| under_home(".cache")).map(|path| path.join("baton"));
        if let Some(root) = dir("BATON_HOME") {
            return Ok(Self {
                config_dir: root.join("config"),
                state_dir: root.join("state"),
                cache_dir: cache_dir.unwrap_or_else(|| root.join("cache")),
                runtime_dir: root.join("run"),
            });
        }
        let config = dir("XDG_CONFIG_HOME").or_else(|| under_home(".config")).ok_or(PathsError::NoHome)?;
        let state = dir("XDG_STATE_HOME").or_else(|| under_home(".local/state")).ok_or(PathsError::NoHome)?;
        let state_dir = state.join("baton");
        Ok(Self {
            config_dir: config.join("baton"),
            cache_dir: cache_dir.ok_or(PathsError::NoHome)?,
            runtime_dir: dir("XDG_RUNTIME_DIR").map_or_else(|| state_dir.join("run"), |path| path.join("baton")),
            state_dir,
        })
    }

    /// The configuration file that is read when it exists.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config_dir.join("baton.toml")
    }

    /// The API's socket, unless the configuration names another.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime_dir.join("baton.sock")
    }

    /// The SQLite database: journal, state, outbox, intake cursor.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.state_dir.join("baton.db")
    }

    /// The shadow repositories.
    #[must_use]
    pub fn shadow_dir(&self) -> PathBuf {
        self.state_dir.join("shadow")
    }

    /// The managed NATS server's store, configuration and credentials.
    #[must_use]
    pub fn nats_dir(&self) -> PathBuf {
        self.state_dir.join("nats")
    }

    /// The host service's own state.
    #[must_use]
    pub fn pool_dir(&self) -> PathBuf {
        self.state_dir.join("pool")
    }

    /// Logs of the child processes of `baton up`.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.state_dir.join("log")
    }
}

/// Makes a folder (and what is missing above it) that only its owner can enter.
///
/// # Errors
/// [`PathsError::Create`].
pub fn private_dir(path: &Path) -> Result<(), PathsError> {
    let create = || {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
    };
    create().map_err(|source| PathsError::Create { path: path.to_owned(), source })
}

/// Refuses a socket path that the kernel would cut or refuse.
///
/// # Errors
/// [`PathsError::SocketTooLong`].
pub fn check_socket_path(path: &Path) -> Result<(), PathsError> {
    if path.as_os_str().len() > SOCKET_PATH_MAX {
        return Err(PathsError::SocketTooLong { path: path.to_owned() });
    }
    Ok(())
}

/// The skills that come with this program: `$BATON_SKILLS`, else `skills` beside it or `share/baton/skills` beside its
/// folder, if there is one.
#[must_use]
pub fn bundled_skills() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let folder = program.parent()?;
    let named = env::var_os("BATON_SKILLS").map(PathBuf::from);
    let places = [folder.join("skills"), folder.join("../share/baton/skills")];
    named.into_iter().chain(places).find(|folder| folder.is_dir())
}

/// `$XDG_DATA_HOME`, if it is set.
#[must_use]
pub fn data_home(env: &Env) -> Option<PathBuf> {
    env.get(&OsString::from("XDG_DATA_HOME")).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        pairs.iter().map(|(key, value)| (key.into(), value.into())).collect()
    }

    #[test]
    fn xdg_defaults_are_under_home() -> Result<(), PathsError> {
        let paths = Paths::from_env(&env(&[("HOME", "/h")]))?;
        assert_eq!(paths.config_file(), Path::new("/h/.config/baton/baton.toml"));
        assert_eq!(paths.state_dir, Path::new("/h/.local/state/baton"));
        assert_eq!(paths.cache_dir, Path::new("/h/.cache/baton"));
        assert_eq!(paths.socket(), Path::new("/h/.local/state/baton/run/baton.sock"));
        Ok(())
    }

    #[test]
    fn xdg_variables_win_and_relative_ones_are_ignored() -> Result<(), PathsError> {
        let paths = Paths::from_env(&env(&[
            ("HOME", "/h"),
            ("XDG_STATE_HOME", "/s"),
            ("XDG_CONFIG_HOME", "relative"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
        ]))?;
        assert_eq!(paths.state_dir, Path::new("/s/baton"));
        assert_eq!(paths.config_dir, Path::new("/h/.config/baton"));
        assert_eq!(paths.socket(), Path::new("/run/user/1/baton/baton.sock"));
        Ok(())
    }

    #[test]
    fn baton_home_takes_everything_but_the_cache() -> Result<(), PathsError> {
        let paths = Paths::from_env(&env(&[("HOME", "/h"), ("BATON_HOME", "/b"), ("XDG_STATE_HOME", "/s")]))?;
        assert_eq!(paths.state_dir, Path::new("/b/state"));
        assert_eq!(paths.config_dir, Path::new("/b/config"));
        assert_eq!(paths.runtime_dir, Path::new("/b/run"));
        assert_eq!(paths.cache_dir, Path::new("/h/.cache/baton"));
        Ok(())
    }

    #[test]
    fn no_home_is_said() {
        assert!(matches!(Paths::from_env(&Env::new()), Err(PathsError::NoHome)));
    }

    #[test]
    fn a_long_socket_path_is_refused_with_the_way_out() {
        let long = PathBuf::from(format!("/{}", "x".repeat(120)));
        let error = check_socket_path(&long).map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.contains("BATON_HOME")));
    }
}
