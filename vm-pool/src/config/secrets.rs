//! The sections `[secrets.*]` of the file. The environment holds values, never settings.

use std::path::Path;

use bus_schemas::secrets::{SECRET_KEYS, SecretSetup, Secrets, name_flaw, value_written};
use serde::Deserialize as _;
use toml::{Table, Value};

use super::{ConfigError, known, section, whole};

/// Reads the file, if one is named.
///
/// # Errors
/// [`ConfigError`], naming the place.
pub fn load_secrets(file: Option<&Path>) -> Result<Secrets, ConfigError> {
    let Some(path) = file else { return Ok(Secrets::new()) };
    let at = path.display().to_string();
    let sections = section(&mut whole(path)?, "secrets", &at)?;
    sections.into_iter().map(|(name, value)| Ok((name.clone(), read(&name, value, &at)?))).collect()
}

fn read(name: &str, value: Value, at: &str) -> Result<SecretSetup, ConfigError> {
    let invalid =
        |message: String| ConfigError::Invalid { at: at.to_owned(), message: format!("[secrets.{name}] {message}") };
    let Value::Table(keys) = &value else {
        // What stands there may be the secret itself.
        let message = "must be a section, with the name of a variable in `env` or of a file in `file`".to_owned();
        return Err(invalid(message));
    };
    keys.keys().try_for_each(|key| {
        check(key, name, at).map_err(|error| error.unwrap_or_else(|why| invalid(why.to_owned())))
    })?;
    let setup = SecretSetup::deserialize(Value::Table(shape(keys).map_err(invalid)?));
    let setup = setup.map_err(|error| invalid(error.message().to_owned()))?;
    match name_flaw(name)
        .map(str::to_owned)
        .or_else(|| setup.flaw().or_else(|| setup.lack()).map(|flaw| flaw.to_string()))
    {
        Some(flaw) => Err(invalid(flaw)),
        None => Ok(setup),
    }
}

/// Checks a key; what may be meant as the value itself gets its own words.
fn check(key: &str, name: &str, at: &str) -> Result<(), Result<ConfigError, &'static str>> {
    match value_written(key) {
        Some(why) => Err(Err(why)),
        None => known(&SECRET_KEYS, key, at, |key| format!("secrets.{name}.{key}")).map_err(Ok),
    }
}

/// The same table, if every value is of the kind it should be: an error of the parser would repeat what stands there.
fn shape(keys: &Table) -> Result<Table, String> {
    for (key, value) in keys {
        let fits = match (key.as_str(), value) {
            ("hosts", Value::Array(hosts)) => hosts.iter().all(Value::is_str),
            ("hosts", _) => false,
            (_, value) => value.is_str(),
        };
        if !fits {
            let wanted = if key == "hosts" { "a list of texts" } else { "a text" };
            return Err(format!("{key}: {wanted} is wanted"));
        }
    }
    Ok(keys.clone())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load(text: &str) -> Result<Secrets, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("baton.toml");
        fs::write(&path, text).unwrap();
        load_secrets(Some(&path)).map_err(|error| error.to_string())
    }

    #[test]
    fn sections_are_read_with_their_defaults() {
        let text = "[secrets.github]\nenv = 'TOKEN'\nhosts = ['api.github.com']\n[pool]\nslots = 1\n";
        let secrets = load(text).unwrap();
        let github = &secrets["github"];
        assert_eq!((github.header.as_str(), github.around()), ("authorization", ("Bearer ", "")));
        assert_eq!((load_secrets(None).unwrap(), load("").unwrap()), (Secrets::new(), Secrets::new()));
    }

    #[test]
    fn mistakes_are_named_with_a_way_out_and_without_the_value() {
        let hosts = "hosts = ['a.example']\n";
        for (text, want) in [
            (format!("[secrets.a]\nvalue = 'canary'\n{hosts}"), "[secrets.a] the value itself is never written"),
            (format!("[secrets.a]\nenv = 'canary 1'\n{hosts}"), "[secrets.a] env: the name of an environment variable"),
            (format!("[secrets.a]\nenv = ['canary']\n{hosts}"), "[secrets.a] env: a text is wanted"),
            (format!("[secrets.a]\n{hosts}"), "[secrets.a] its value is nowhere"),
            ("[secrets.a]\nenv = 'A'\n".to_owned(), "[secrets.a] hosts: name the hosts"),
            ("[secrets.a]\nenv = 'A'\nhosts = 'a.example'".to_owned(), "hosts: a list of texts is wanted"),
            (format!("[secrets.a]\nenvv = 'A'\n{hosts}"), "did you mean `secrets.a.env`?"),
            (format!("[secrets.A]\nenv = 'A'\n{hosts}"), "a secret's name is"),
            ("[secrets]\na = 'canary'\n".to_owned(), "[secrets.a] must be a section"),
        ] {
            let error = load(&text);
            assert!(
                error.as_ref().is_err_and(|e| e.contains(want) && !e.contains("canary")),
                "{error:?} lacks {want:?}"
            );
        }
    }
}
