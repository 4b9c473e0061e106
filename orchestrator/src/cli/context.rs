//! What every command needs: output, folders, configuration, the way to the orchestrator.

use std::{ffi::OsStr, path::PathBuf};

use super::{CliError, Ui, args::Global};
use crate::{
    adapter::web::{Client, Endpoint, login},
    config::{self, Config, Overrides, Secret},
    paths::{Env, Paths},
};

/// The surroundings of one command.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where output goes.
    pub ui: Ui,
    /// The environment at the start.
    pub env: Env,
    /// Options of every command.
    pub global: Global,
}

impl Context {
    /// The folders.
    ///
    /// # Errors
    /// No home folder.
    pub fn paths(&self) -> Result<Paths, CliError> {
        Ok(Paths::from_env(&self.env)?)
    }

    /// The configuration with a command's flags on top.
    ///
    /// # Errors
    /// It is not valid.
    pub fn config(&self, flags: Overrides) -> Result<(Config, Paths), CliError> {
        let paths = self.paths()?;
        let (config, _) = config::load(&paths, self.global.config.as_deref(), &self.env, flags)?;
        Ok((config, paths))
    }

    /// The socket the orchestrator listens on.
    #[must_use]
    pub fn socket(&self, config: &Config, paths: &Paths) -> PathBuf {
        let flag = self.global.socket.as_ref().filter(|text| !is_url(text)).map(PathBuf::from);
        flag.or_else(|| config.orchestrator.socket.clone()).unwrap_or_else(|| paths.socket())
    }

    /// A client of the orchestrator.
    ///
    /// # Errors
    /// The configuration or the address is not valid.
    pub fn client(&self) -> Result<Client, CliError> {
        let (config, paths) = self.config(Vec::new())?;
        let endpoint = match &self.global.socket {
            Some(url) if is_url(url) => {
                let token = self.env.get(OsStr::new("BATON_TOKEN")).and_then(|token| token.to_str());
                let token = token.map(|token| Secret::new(token.to_owned())).or(config.orchestrator.token);
                Endpoint::Http { url: url.clone(), token }
            }
            _ => Endpoint::Unix(self.socket(&config, &paths)),
        };
        Ok(Client::new(endpoint)?)
    }

    /// Who sits here, for the record.
    #[must_use]
    pub fn person(&self) -> String {
        if let Some(person) = self.global.person.as_ref().filter(|person| !person.trim().is_empty()) {
            return person.clone();
        }
        let named = |name: &str| self.env.get(OsStr::new(name)).and_then(|value| value.to_str()).map(str::to_owned);
        named("USER").or_else(|| named("LOGNAME")).filter(|name| !name.is_empty()).unwrap_or_else(account)
    }
}

/// The name of this process's account, or its number if it has none.
fn account() -> String {
    login(rustix::process::getuid().as_raw())
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}
