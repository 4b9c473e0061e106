//! The host's configuration: defaults, then the section `[pool]` of a TOML file, then `BATON_POOL_*` variables.
//! Flags come last, in `main`. A key nobody knows is an error that suggests the nearest one.

mod models;
mod secrets;

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use bus_schemas::subject::{BadPoolName, PoolName};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use self::{models::load_models, secrets::load_secrets};
use crate::pool::{Limits, Shape};

/// The least likeness (0 to 1, Jaro-Winkler) of a key that is suggested.
const ALIKE: f64 = 0.75;
/// What the host keeps for itself and everything else on the machine, in MiB.
const RESERVED_MIB: u64 = 1_024;
/// VMs that boot at the same time; more are no faster.
const MAX_BOOTS: usize = 2;

/// The section `[pool]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolConfig {
    /// The pool whose offers this host takes. Default `default`.
    pub name: Option<String>,
    /// Attempts at the same time. Default: one per processor.
    pub slots: Option<u32>,
    /// Booted, frozen VMs kept ready. Default 2: one for an attempt, one for its checks.
    pub spares: Option<u32>,
    /// Processors of a spare. Default 1.
    pub cpus: Option<u32>,
    /// Memory of a spare, in MiB. Default 512.
    pub memory_mib: Option<u32>,
    /// Scratch disk of a spare, in MiB. Default 2048.
    pub disk_mib: Option<u32>,
    /// The spares' guest image flavour. Default `base`.
    pub image: Option<String>,
    /// The static worker program that is put into guest images.
    pub worker: Option<PathBuf>,
    /// Memory for all VMs together, in MiB. Default: what the machine has, less 1 GiB.
    pub max_memory_mib: Option<u32>,
    /// `host` or `host:port` on somebody's own network that tasks may reach if their allow-list names it, too.
    pub private_hosts: Vec<String>,
}

/// The keys there are.
const KEYS: [&str; 10] =
    ["name", "slots", "spares", "cpus", "memory_mib", "disk_mib", "image", "worker", "max_memory_mib", "private_hosts"];

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("read configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not TOML, or a value of the wrong kind.
    #[error("{at}: {message}")]
    Invalid {
        /// Where.
        at: String,
        /// What.
        message: String,
    },
    /// A key nobody knows.
    #[error("{at}: unknown key `{key}`{}", suggestion.as_ref().map(|k| format!("; did you mean `{k}`?")).unwrap_or_default())]
    UnknownKey {
        /// Where.
        at: String,
        /// The key.
        key: String,
        /// The nearest one there is.
        suggestion: Option<String>,
    },
    /// The pool's name is not one.
    #[error("pool.name")]
    Name(#[source] BadPoolName),
    /// There is no worker program.
    #[error("no worker program: looked for {}; `cargo xtask build` makes it, or name one with pool.worker", looked.join(", "))]
    NoWorker {
        /// Where it was looked for.
        looked: Vec<String>,
    },
}

impl PoolConfig {
    /// Reads the file (if one is named) and the environment on top of it.
    ///
    /// # Errors
    /// [`ConfigError`], naming the place.
    pub fn load(file: Option<&Path>, env: impl Iterator<Item = (OsString, OsString)>) -> Result<Self, ConfigError> {
        let mut table = match file {
            None => Table::new(),
            Some(path) => read(path)?,
        };
        for (name, value) in env {
            let (Some(name), Some(text)) = (name.to_str(), value.to_str()) else { continue };
            let Some(key) = name.strip_prefix("BATON_POOL_").map(str::to_lowercase) else { continue };
            known(&KEYS, &key, "environment", |key| format!("BATON_POOL_{}", key.to_uppercase()))?;
            let number = text.parse().ok().filter(|_| !matches!(key.as_str(), "name" | "image" | "worker"));
            table.insert(key, number.map_or_else(|| Value::String(text.to_owned()), Value::Integer));
        }
        let config = Self::deserialize(Value::Table(table)).map_err(|e| ConfigError::Invalid {
            at: file.map_or_else(|| "environment".to_owned(), |path| path.display().to_string()),
            message: format!("[pool] {}", e.message()),
        })?;
        if config.slots == Some(0) {
            let message = "a host without slots takes no attempt: use at least 1".to_owned();
            return Err(ConfigError::Invalid { at: "pool.slots".to_owned(), message });
        }
        Ok(config)
    }

    /// The pool's name.
    ///
    /// # Errors
    /// [`ConfigError::Name`].
    pub fn pool_name(&self) -> Result<PoolName, ConfigError> {
        PoolName::new(self.name.as_deref().unwrap_or("default")).map_err(ConfigError::Name)
    }

    /// Attempts at the same time.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.slots.unwrap_or_else(cores)
    }

    /// What the VMs may use.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let memory_mib = self.max_memory_mib.map_or_else(available_mib, u64::from);
        Limits {
            memory_mib,
            boots: (cores() as usize).min(MAX_BOOTS),
            spares: self.spares.unwrap_or(2) as usize,
            spare_shape: Shape {
                cpus: self.cpus.unwrap_or(1),
                memory_mib: self.memory_mib.unwrap_or(512),
                disk_mib: self.disk_mib.unwrap_or(2_048),
                image: self.image.clone().unwrap_or_else(|| "base".to_owned()),
            },
        }
    }

    /// The static worker program: the configured one, `named` (the variable `BATON_WORKER`), where cargo builds it, or
    /// beside this program.
    ///
    /// # Errors
    /// [`ConfigError::NoWorker`] with the places.
    pub fn worker(&self, named: Option<PathBuf>, own: &Path) -> Result<PathBuf, ConfigError> {
        let candidates = match self.worker.clone().or(named) {
            Some(path) => vec![path],
            None => {
                let dir = own.parent().unwrap_or_else(|| Path::new("."));
                // Cargo's folder of the static target first: beside this program a development build has a worker that
                // is not static and cannot run in a guest.
                let mut places = Vec::new();
                for target in ["x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"] {
                    let built = dir.join("..").join(target);
                    // The profile this program was built with first.
                    let own_profile = dir.file_name().map(|profile| built.join(profile).join("baton-worker"));
                    places.extend(own_profile);
                    places
                        .extend(["guest", "release", "debug"].map(|profile| built.join(profile).join("baton-worker")));
                }
                places.push(dir.join("baton-worker"));
                places
            }
        };
        match candidates.iter().find(|path| path.is_file()) {
            Some(path) => Ok(path.clone()),
            None => {
                let looked = candidates.iter().map(|path| path.display().to_string()).collect();
                Err(ConfigError::NoWorker { looked })
            }
        }
    }
}

/// The section `[pool]` of a file.
fn read(path: &Path) -> Result<Table, ConfigError> {
    let mut whole = whole(path)?;
    let at = path.display().to_string();
    // Other sections belong to other programs, which check them.
    let section = section(&mut whole, "pool", &at)?;
    for key in section.keys() {
        known(&KEYS, key, &at, |key| format!("pool.{key}"))?;
    }
    Ok(section)
}

/// A file.
fn whole(path: &Path) -> Result<Table, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let at = path.display().to_string();
    text.parse().map_err(|e: toml::de::Error| ConfigError::Invalid { at, message: e.to_string() })
}

/// Takes a section out; an empty one if it is not there.
fn section(whole: &mut Table, name: &str, at: &str) -> Result<Table, ConfigError> {
    match whole.remove(name) {
        None => Ok(Table::new()),
        Some(Value::Table(section)) => Ok(section),
        Some(_) => Err(ConfigError::Invalid { at: at.to_owned(), message: format!("`{name}` must be a section") }),
    }
}

/// Checks that a key is one of `keys`.
fn known(keys: &[&str], key: &str, at: &str, shown: impl Fn(&str) -> String) -> Result<(), ConfigError> {
    if keys.contains(&key) {
        return Ok(());
    }
    let suggestion = keys
        .iter()
        .map(|known| (strsim::jaro_winkler(key, known), known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| shown(known));
    Err(ConfigError::UnknownKey { at: at.to_owned(), key: shown(key), suggestion })
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// The machine's memory without what is reserved, but never less than one small VM needs.
fn available_mib() -> u64 {
    let info = rustix::system::sysinfo();
    let bytes = u64::from(info.mem_unit) * info.totalram;
    (bytes / (1024 * 1024)).saturating_sub(RESERVED_MIB).max(RESERVED_MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, env: &[(&str, &str)]) -> Result<PoolConfig, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("baton.toml");
        fs::write(&path, text).unwrap();
        PoolConfig::load(Some(&path), env.iter().map(|(k, v)| ((*k).into(), (*v).into())))
    }

    #[test]
    fn the_environment_wins_over_the_file_and_other_sections_are_left_alone() {
        let text = "[pool]\nslots = 3\nname = \"gpu\"\n[bus]\nurl = \"x\"\n";
        let config = load(text, &[("BATON_POOL_SLOTS", "5"), ("BATON_POOL_NAME", "7"), ("OTHER", "x")]).unwrap();
        assert_eq!((config.slots(), config.name.as_deref()), (5, Some("7")));
        assert_eq!(config.limits().spare_shape.memory_mib, 512);
    }

    #[test]
    fn mistakes_are_named_with_a_way_out() {
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
        let cases: [Case<'_>; 6] = [
            ("[pool]\nslot = 1", &[], "unknown key `pool.slot`; did you mean `pool.slots`?"),
            ("", &[("BATON_POOL_SPARE", "1")], "did you mean `BATON_POOL_SPARES`?"),
            ("[pool]\nslots = \"many\"", &[], "[pool] invalid type"),
            ("[pool]\nslots = 0", &[], "use at least 1"),
            ("pool = 1", &[], "must be a section"),
            ("[pool", &[], "baton.toml"),
        ];
        for (text, env, want) in cases {
            let error = load(text, env).map_err(|e| e.to_string());
            assert!(error.as_ref().is_err_and(|e| e.contains(want)), "{error:?} lacks {want:?}");
        }
        assert!(load("[pool]\nname = \"a.b\"", &[]).unwrap().pool_name().is_err());
    }

    #[test]
    fn every_key_is_known_and_every_known_key_is_one() {
        let Value::Table(all) = Value::try_from(PoolConfig {
            name: Some(String::new()),
            slots: Some(1),
            spares: Some(1),
            cpus: Some(1),
            memory_mib: Some(1),
            disk_mib: Some(1),
            image: Some(String::new()),
            worker: Some(PathBuf::new()),
            max_memory_mib: Some(1),
            private_hosts: vec!["a.example".to_owned()],
        })
        .unwrap() else {
            unreachable!("a struct is a table")
        };
        let mut keys: Vec<&str> = all.keys().map(String::as_str).collect();
        let mut known = KEYS;
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known);
    }

    #[test]
    fn the_worker_is_found_beside_or_named() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("baton-vm-pool");
        let config = PoolConfig::default();
        assert!(config.worker(None, &own).is_err_and(|e| e.to_string().contains("pool.worker")));
        fs::write(dir.path().join("baton-worker"), "").unwrap();
        assert_eq!(config.worker(None, &own).unwrap(), dir.path().join("baton-worker"));
        let missing = dir.path().join("missing");
        assert!(config.worker(Some(missing), &own).is_err(), "a named one that is missing is not replaced");
    }
}
