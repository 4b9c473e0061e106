//! The one place where errors become a problem and an exit code.

use std::{error::Error, fmt, io};

use bus_schemas::v1::api::Problem;

use super::Exit;
use crate::{
    adapter::web::{ClientError, problem},
    config::ConfigError,
    paths::PathsError,
};

/// Why a command failed: what is shown, and the class.
#[derive(Clone, Debug)]
pub struct CliError {
    /// The class.
    pub exit: Exit,
    /// What is shown.
    pub problem: Problem,
}

impl CliError {
    /// An error made here, not by the API.
    #[must_use]
    pub fn new(exit: Exit, code: &str, detail: impl Into<String>, hint: Option<&str>) -> Self {
        Self { exit, problem: problem(0, code, detail, hint) }
    }

    /// The reader of stdout went away: nothing is wrong, and nobody is there to be told.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        self.problem.code == "broken_pipe"
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.detail)
    }
}

impl Error for CliError {}

/// An error with its sources in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Problem(problem) => Self { exit: Exit::of_problem(&problem.code, problem.status), problem },
            ClientError::Unreachable { .. } => {
                Self::new(Exit::Unreachable, "unreachable", chain(&error), Some("start it with `baton up`"))
            }
            ClientError::Lost { .. } => Self::new(
                Exit::Unreachable,
                "connection_lost",
                chain(&error),
                Some("see `baton doctor`; the project goes on when the orchestrator is back"),
            ),
            ClientError::Protocol { .. } => Self::new(
                Exit::Internal,
                "protocol",
                chain(&error),
                Some("command and orchestrator may be of different versions: `baton down`, then `baton up`"),
            ),
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Invalid, "config_invalid", chain(&error), None)
    }
}

impl From<PathsError> for CliError {
    fn from(error: PathsError) -> Self {
        Self::new(Exit::Environment, "paths", chain(&error), None)
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Ok, "broken_pipe", "the reader of standard output went away", None);
        }
        Self::new(Exit::Internal, "io", format!("write output: {error}"), None)
    }
}
