//! Reading a configuration in layers.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bus_schemas::{
    secrets::SECRET_KEYS,
    settings::{MODEL_KEYS, PROVIDER_KEYS, provider_variable},
};
use serde::Deserialize as _;
use toml::{Table, Value, de::DeTable};

use super::{Config, ConfigError, SLACK_VARIABLES, secrets};
use crate::{
    effects::EFFECT_KEYS,
    paths::{Env, Paths},
    people::MEMBER_KEYS,
    planfile::policies::check_toml,
    policy::PRESET_KEYS,
};

/// Values from flags, as (`section.key`, value). They win over everything.
pub type Overrides = Vec<(&'static str, Value)>;

/// How alike (0 to 1, Jaro-Winkler) a key must be to be suggested.
const ALIKE: f64 = 0.75;

/// Where a layer came from, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Environment variables.
    Environment(Vec<String>),
    /// Flags.
    Flags(Vec<String>),
}

/// Environment variables that start with `BATON_` and are not settings of a section.
const RESERVED: [&str; 6] =
    ["BATON_HOME", "BATON_CONFIG", "BATON_SOCKET", "BATON_TOKEN", "BATON_LOG", "BATON_NATS_SERVER"];

/// Sections of named things, with the keys of each. They are written in files only.
const NAMED: [(&str, &[&str]); 5] = [
    ("members", &MEMBER_KEYS),
    ("presets", &PRESET_KEYS),
    ("policies", &[]),
    ("effects", &EFFECT_KEYS),
    ("secrets", &SECRET_KEYS),
];

/// Loads the configuration: defaults, then `baton.toml` of `paths` if it exists, then `extra` (which must exist), then
/// the environment, then `flags`. Says which layers there were.
///
/// # Errors
/// [`ConfigError`], naming the place.
pub fn load(
    paths: &Paths,
    extra: Option<&Path>,
    env: &Env,
    flags: Overrides,
) -> Result<(Config, Vec<Source>), ConfigError> {
    let mut merged = Table::new();
    let mut sources = Vec::new();
    let mut written = Written::default();
    let standard = paths.config_file();
    if let Some((table, text)) = read(&standard, true)? {
        merge(&mut merged, table);
        written.files.push((standard.display().to_string(), text));
        sources.push(Source::File(standard));
    }
    if let Some(path) = extra
        && let Some((table, text)) = read(path, false)?
    {
        merge(&mut merged, table);
        written.files.push((path.display().to_string(), text));
        sources.push(Source::File(path.to_owned()));
    }
    let mut set = Vec::new();
    for (name, section, key, text) in variables(env, &merged)? {
        put(&mut merged, &section, &key, variable_value(&name, &section, &key, &text)?);
        written.variables.push((format!("{section}.{key}"), name.clone()));
        set.push(name);
    }
    if !set.is_empty() {
        sources.push(Source::Environment(set));
    }
    if !flags.is_empty() {
        sources.push(Source::Flags(flags.iter().map(|(key, _)| (*key).to_owned()).collect()));
    }
    for (path, value) in flags {
        let (section, key) = path.split_once('.').unwrap_or(("", path));
        put(&mut merged, section, key, value);
    }
    let config = Config::deserialize(Value::Table(merged)).map_err(|error| ConfigError::Invalid {
        at: "configuration".to_owned(),
        message: error.message().to_owned(),
    })?;
    validate(&config).map_err(|error| written.placed(error))?;
    Ok((config, sources))
}

/// Where things are written, the layer that wins last: what is only seen when all is together gets its place from it.
#[derive(Default)]
struct Written {
    /// Names and texts.
    files: Vec<(String, String)>,
    /// Dotted keys, and the variables that set them.
    variables: Vec<(String, String)>,
}

impl Written {
    /// The error with the place of the key it is about, if that is written somewhere.
    fn placed(&self, error: ConfigError) -> ConfigError {
        let ConfigError::Invalid { at, message } = error else { return error };
        let Some(key) = at.strip_prefix("configuration ") else { return ConfigError::Invalid { at, message } };
        let dotted = key.trim_start_matches('[').trim_end_matches(']');
        let variable = self.variables.iter().find(|(known, _)| known == dotted);
        let of_file = |key: &str| {
            self.files.iter().rev().find_map(|(name, text)| {
                let offset = key_offset(DeTable::parse(text).ok()?.get_ref(), key)?;
                Some(place(name, text, offset))
            })
        };
        // What is missing has the place of the section it is missing in.
        let mut sections = std::iter::successors(Some(dotted), |key| key.rsplit_once('.').map(|(section, _)| section));
        let found = variable.map(|(_, name)| format!("environment variable {name}"));
        let found = found.or_else(|| sections.find_map(of_file));
        ConfigError::Invalid { at: found.map_or_else(|| at.clone(), |found| format!("{found}: {key}")), message }
    }
}

/// Reads and checks one file, which is given back with its text. A missing one is `None` if it is `optional`.
fn read(path: &Path, optional: bool) -> Result<Option<(Table, String)>, ConfigError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if optional && error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
    };
    let name = path.display().to_string();
    let invalid = |error: &toml::de::Error| ConfigError::Invalid {
        at: error.span().map_or_else(|| name.clone(), |span| place(&name, &text, span.start)),
        message: error.message().lines().collect::<Vec<_>>().join(", "),
    };
    let spans = DeTable::parse(&text).map_err(|error| invalid(&error))?;
    // Policies have names and shapes of their own: they are looked at as those of a plan are.
    if let Some(finding) = check_toml(&name, &text, spans.get_ref()).into_iter().next() {
        let hint = finding.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        let at = format!("{name}:{}:{}", finding.line, finding.column);
        return Err(ConfigError::Invalid { at, message: format!("{}{hint}", finding.message) });
    }
    if let Some(error) = secrets::misshapen(&name, &text, spans.get_ref()) {
        return Err(error);
    }
    let mut unknown = Vec::new();
    let deserializer = toml::Deserializer::parse(&text).map_err(|error| invalid(&error))?;
    let checked: Result<Config, _> = serde_ignored::deserialize(deserializer, |path| unknown.push(path.to_string()));
    if let Some(key) = unknown.into_iter().next() {
        let at = key_offset(spans.get_ref(), &key).map_or_else(|| name.clone(), |offset| place(&name, &text, offset));
        return Err(ConfigError::UnknownKey { at, suggestion: nearest(&key), key });
    }
    let config = checked.map_err(|error| invalid(&error))?;
    if let Some(error) = secrets::flawed(&name, &text, spans.get_ref(), &config.secrets) {
        return Err(error);
    }
    let table = text.parse::<Table>().map_err(|error| invalid(&error))?;
    Ok(Some((table, text)))
}

/// The byte at which a dotted key begins.
pub(super) fn key_offset(table: &DeTable<'_>, dotted: &str) -> Option<usize> {
    table.iter().find_map(|(key, value)| {
        // A key may have dots of its own: models do.
        let rest = dotted.strip_prefix(key.get_ref().as_ref())?;
        match rest.strip_prefix('.') {
            Some(rest) => key_offset(value.get_ref().as_table()?, rest),
            None => rest.is_empty().then(|| key.span().start),
        }
    })
}

pub(super) fn place(name: &str, text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!("{name}:{line}:{column}")
}

/// Every `section` and `section.key` there is, from the defaults themselves.
fn known_keys() -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(sections)) = serde_json::to_value(Config::default()) else { return Vec::new() };
    let mut keys = Vec::new();
    for (section, values) in sections {
        for key in values.as_object().into_iter().flat_map(serde_json::Map::keys) {
            keys.push((section.clone(), key.clone()));
        }
    }
    // Providers have names of people's own; these are the keys of each.
    keys.extend(PROVIDER_KEYS.map(|key| ("providers".to_owned(), key.to_owned())));
    keys.extend(MEMBER_KEYS.map(|key| ("members".to_owned(), key.to_owned())));
    keys.extend(PRESET_KEYS.map(|key| ("presets".to_owned(), key.to_owned())));
    keys.extend(EFFECT_KEYS.map(|key| ("effects".to_owned(), key.to_owned())));
    keys.extend(SECRET_KEYS.map(|key| ("secrets".to_owned(), key.to_owned())));
    keys.push(("policies".to_owned(), "decide".to_owned()));
    keys
}

/// The known key most like `dotted`: in the same section first, then anywhere.
fn nearest(dotted: &str) -> Option<String> {
    let keys = known_keys();
    if let Some((provider, key)) = dotted.strip_prefix("providers.").and_then(|rest| rest.split_once('.')) {
        // The last part of a model's place is its key; what is before it may have dots.
        return match key.strip_prefix("models.").and_then(|rest| rest.rsplit_once('.')) {
            Some((model, key)) => best(
                key,
                MODEL_KEYS.iter().map(|k| ((*k).to_owned(), format!("providers.{provider}.models.{model}.{k}"))),
            ),
            None => best(key, PROVIDER_KEYS.iter().map(|k| ((*k).to_owned(), format!("providers.{provider}.{k}")))),
        };
    }
    for (section, own) in NAMED {
        if let Some((name, key)) = dotted.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')?.split_once('.'))
        {
            return best(key, own.iter().map(|k| ((*k).to_owned(), format!("{section}.{name}.{k}"))));
        }
    }
    let Some((section, key)) = dotted.split_once('.') else {
        let mut names: Vec<String> = keys.iter().map(|(section, _)| section.clone()).collect();
        names.dedup();
        let sections = best(dotted, names.into_iter().map(|name| (name.clone(), format!("[{name}]"))));
        return sections.or_else(|| best(dotted, keys.into_iter().map(|(s, k)| (k.clone(), format!("{s}.{k}")))));
    };
    let inside = keys.iter().filter(|(s, _)| s == section).map(|(s, k)| (k.clone(), format!("{s}.{k}")));
    best(key, inside).or_else(|| best(key, keys.iter().map(|(s, k)| (k.clone(), format!("{s}.{k}")))))
}

fn best(wanted: &str, candidates: impl Iterator<Item = (String, String)>) -> Option<String> {
    candidates
        .map(|(word, shown)| (strsim::jaro_winkler(wanted, &word), shown))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, shown)| shown)
}

/// The settings in the environment, as (variable, section, key, text).
fn variables(env: &Env, file: &Table) -> Result<Vec<(String, String, String, String)>, ConfigError> {
    let mut found = Vec::new();
    for (name, value) in env {
        let (Some(name), Some(text)) = (name.to_str(), value.to_str()) else { continue };
        if name == "BATON_NATS_SERVER" {
            found.push((name.to_owned(), "bus".to_owned(), "nats_server".to_owned(), text.to_owned()));
        } else if name == "BATON_LOG" {
            found.push((name.to_owned(), "orchestrator".to_owned(), "log".to_owned(), text.to_owned()));
        } else if SLACK_VARIABLES.contains(&name) && !text.is_empty() {
            let key = name.trim_start_matches("SLACK_").to_lowercase();
            found.push((name.to_owned(), "slack".to_owned(), key, text.to_owned()));
        }
        let Some(tail) = name.strip_prefix("BATON_").filter(|_| !RESERVED.contains(&name)) else { continue };
        let lower = tail.to_lowercase();
        // Only names of a section are ours: programs started by Baton may carry other BATON_ variables.
        let Some((section, key)) = lower.split_once('_') else { continue };
        let keys = known_keys();
        if !keys.iter().any(|(s, _)| s == section) {
            continue;
        }
        if NAMED.iter().any(|(named, _)| *named == section) {
            let message = format!("[{section}.NAME] is written in baton.toml, not in the environment");
            return Err(ConfigError::Invalid { at: format!("environment variable {name}"), message });
        }
        if section == "providers" {
            let configured = file.get("providers").and_then(Value::as_table).into_iter().flat_map(Table::keys);
            let Some((provider, key)) = provider_variable(key, configured.map(String::as_str)) else {
                let message = "BATON_PROVIDERS_<NAME>_<KEY> is wanted, with a key of [providers.NAME]".to_owned();
                return Err(ConfigError::Invalid { at: format!("environment variable {name}"), message });
            };
            found.push((name.to_owned(), format!("providers.{provider}"), key.to_owned(), text.to_owned()));
            continue;
        }
        if !keys.iter().any(|(s, k)| s == section && k == key) {
            let dotted = format!("{section}.{key}");
            let suggestion = nearest(&dotted).map(|key| format!("BATON_{}", key.to_uppercase().replace('.', "_")));
            return Err(ConfigError::UnknownKey { at: "environment".to_owned(), key: name.to_owned(), suggestion });
        }
        found.push((name.to_owned(), section.to_owned(), key.to_owned(), text.to_owned()));
    }
    Ok(found)
}

/// A variable's text as the kind of value its key wants: as text if that fits, as TOML otherwise.
fn variable_value(name: &str, section: &str, key: &str, text: &str) -> Result<Value, ConfigError> {
    let fits = |value: &Value| {
        let mut table = Table::new();
        put(&mut table, section, key, value.clone());
        Config::deserialize(Value::Table(table)).map_err(|error| error.message().to_owned())
    };
    let plain = Value::String(text.to_owned());
    let Err(first) = fits(&plain) else { return Ok(plain) };
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    match parsed {
        Some(value) if fits(&value).is_ok() => Ok(value),
        _ => Err(ConfigError::Invalid { at: format!("environment variable {name}"), message: first }),
    }
}

fn put(table: &mut Table, section: &str, key: &str, value: Value) {
    // Only a provider's section has a dot: the one before its name.
    let (first, rest) = section.split_once('.').map_or((section, None), |(first, rest)| (first, Some(rest)));
    let entry = table.entry(first.to_owned()).or_insert_with(|| Value::Table(Table::new()));
    match (entry, rest) {
        (Value::Table(providers), Some(name)) => {
            let provider = providers.entry(name.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(provider) = provider {
                provider.insert(key.to_owned(), value);
            }
        }
        (Value::Table(section), None) => drop(section.insert(key.to_owned(), value)),
        _ => {}
    }
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// What types cannot say.
fn validate(config: &Config) -> Result<(), ConfigError> {
    let invalid = |at: &str, message: &str| {
        Err(ConfigError::Invalid { at: format!("configuration {at}"), message: message.to_owned() })
    };
    if let Some(address) = config.orchestrator.listen
        && !address.ip().is_loopback()
        && config.orchestrator.token.is_none()
    {
        return invalid(
            "orchestrator.listen",
            "the API would be open to the network: set orchestrator.token, or listen on 127.0.0.1",
        );
    }
    if config.orchestrator.token.as_ref().is_some_and(|token| token.expose().len() < 16) {
        return invalid("orchestrator.token", "too short to be a secret: use at least 16 characters");
    }
    if let Some(error) = secrets::incomplete(&config.secrets) {
        return Err(error);
    }
    config.slack.validate()?;
    config.mail.validate()?;
    let folder = &config.folder;
    if folder.max_file_mib == 0 || folder.max_total_mib == 0 || folder.max_files == 0 {
        return invalid("folder", "a limit of 0 would refuse every folder");
    }
    if config.pool.slots == Some(0) {
        return invalid("pool.slots", "a host without slots takes no attempt: use at least 1");
    }
    config.effects().map(drop).or_else(|error| invalid(&error.at, &error.message))?;
    config.rules().map(drop).or_else(|error| invalid(&error.at, &error.message))
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
