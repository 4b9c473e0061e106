//! What can be wrong with a configuration.

use std::{fmt, io, path::PathBuf};

/// What is wrong with a configuration. `at` is `file:line:column`, an environment variable's name, or a flag.
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
    #[error("{at}: unknown key `{key}`{}", Suggestion(suggestion.as_deref()))]
    UnknownKey {
        /// Where.
        at: String,
        /// The key, with its section.
        key: String,
        /// The nearest one there is.
        suggestion: Option<String>,
    },
}

struct Suggestion<'a>(Option<&'a str>);

impl fmt::Display for Suggestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |key| write!(f, "; did you mean `{key}`?"))
    }
}
