//! `[secrets.*]`: looked at with special care, since somebody may have written the secret itself. No message repeats a value.

use bus_schemas::secrets::{SECRET_KEYS, Secrets, name_flaw, value_written};
use toml::de::{DeTable, DeValue};

use super::{
    ConfigError,
    load::{key_offset, place},
};

/// A mistake in the sections of a file that its parser would tell with what stands there.
pub(super) fn misshapen(file: &str, text: &str, spans: &DeTable<'_>) -> Option<ConfigError> {
    let invalid = |offset: usize, message: String| ConfigError::Invalid { at: place(file, text, offset), message };
    let (_, sections) = spans.iter().find(|(key, _)| key.get_ref() == "secrets")?;
    let Some(sections) = sections.get_ref().as_table() else {
        let message = "[secrets] holds a section for each secret: `[secrets.NAME]`".to_owned();
        return Some(invalid(sections.span().start, message));
    };
    for (name, section) in sections {
        let offset = name.span().start;
        let shown = name.get_ref();
        if let Some(flaw) = name_flaw(shown) {
            return Some(invalid(offset, flaw.to_owned()));
        }
        let Some(keys) = section.get_ref().as_table() else {
            let message = "must be a section, with the name of a variable in `env` or of a file in `file`";
            return Some(invalid(offset, format!("secrets.{shown} {message}")));
        };
        for (key, value) in keys {
            let word: &str = key.get_ref();
            if let Some(why) = value_written(word) {
                return Some(invalid(key.span().start, format!("secrets.{shown}: {why}")));
            }
            let (fits, wanted) = match word {
                "hosts" => (is_texts(value.get_ref()), "a list of texts"),
                _ => (value.get_ref().is_str(), "a text"),
            };
            if SECRET_KEYS.contains(&word) && !fits {
                let message = format!("secrets.{shown}.{word}: {wanted} is wanted");
                return Some(invalid(value.span().start, message));
            }
        }
    }
    None
}

fn is_texts(value: &DeValue<'_>) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(|entry| entry.get_ref().is_str()))
}

/// What is wrong with what a file says.
pub(super) fn flawed(file: &str, text: &str, spans: &DeTable<'_>, secrets: &Secrets) -> Option<ConfigError> {
    secrets.iter().find_map(|(name, setup)| {
        let flaw = setup.flaw()?;
        let offset = key_offset(spans, &format!("secrets.{name}.{}", flaw.key));
        let at = offset.map_or_else(|| file.to_owned(), |offset| place(file, text, offset));
        Some(ConfigError::Invalid { at, message: format!("secrets.{name}.{flaw}") })
    })
}

/// What is missing, all files together.
pub(super) fn incomplete(secrets: &Secrets) -> Option<ConfigError> {
    secrets.iter().find_map(|(name, setup)| {
        let flaw = setup.lack().or_else(|| setup.flaw())?;
        Some(ConfigError::Invalid { at: format!("configuration [secrets.{name}]"), message: flaw.to_string() })
    })
}
