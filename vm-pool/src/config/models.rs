//! The sections `[models]` and `[providers.*]`: the file, then `BATON_MODELS_*` and `BATON_PROVIDERS_<NAME>_*`.

use std::{ffi::OsString, path::Path};

use bus_schemas::settings::{MODEL_KEYS, MODELS_KEYS, ModelSetup, PROVIDER_KEYS, provider_variable};
use serde::Deserialize as _;
use toml::{Table, Value};

use super::{ConfigError, known, section, whole};

/// Reads the file (if one is named) and the environment on top of it.
///
/// # Errors
/// [`ConfigError`], naming the place.
pub fn load_models(
    file: Option<&Path>,
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<ModelSetup, ConfigError> {
    let mut table = match file {
        None => Table::new(),
        Some(path) => whole(path)?,
    };
    let at = file.map_or_else(|| "environment".to_owned(), |path| path.display().to_string());
    let mut models = section(&mut table, "models", &at)?;
    let mut providers = section(&mut table, "providers", &at)?;
    check(&models, &providers, &at)?;
    for (name, value) in env {
        let (Some(name), Some(text)) = (name.to_str(), value.to_str()) else { continue };
        let lower = name.to_lowercase();
        if !name.starts_with("BATON_") {
        } else if let Some(key) = lower.strip_prefix("baton_models_") {
            known(&MODELS_KEYS, key, "environment", |key| format!("BATON_MODELS_{}", key.to_uppercase()))?;
            models.insert(key.to_owned(), Value::String(text.to_owned()));
        } else if let Some(tail) = lower.strip_prefix("baton_providers_") {
            let Some((provider, key)) = provider_variable(tail, providers.keys().map(String::as_str)) else {
                let message = "BATON_PROVIDERS_<NAME>_<KEY> is wanted, with a key of [providers.NAME]".to_owned();
                return Err(ConfigError::Invalid { at: format!("environment variable {name}"), message });
            };
            let typed = match key {
                "max_concurrent" => text.parse().ok().map(Value::Integer),
                "server_tools" => text.parse().ok().map(Value::Boolean),
                _ => None,
            };
            let entry = providers.entry(provider).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(settings) = entry {
                settings.insert(key.to_owned(), typed.unwrap_or_else(|| Value::String(text.to_owned())));
            }
        }
    }
    let invalid =
        |what: &str, message: &str| ConfigError::Invalid { at: at.clone(), message: format!("{what} {message}") };
    let mut setup = ModelSetup {
        models: Value::Table(models).try_into().map_err(|e: toml::de::Error| invalid("[models]", e.message()))?,
        ..ModelSetup::default()
    };
    for (name, settings) in providers {
        let provider = bus_schemas::settings::Provider::deserialize(settings)
            .map_err(|e| invalid(&format!("[providers.{name}]"), e.message()))?;
        setup.providers.insert(name, provider);
    }
    Ok(setup)
}

/// Every key must be one.
fn check(models: &Table, providers: &Table, at: &str) -> Result<(), ConfigError> {
    for key in models.keys() {
        known(&MODELS_KEYS, key, at, |key| format!("models.{key}"))?;
    }
    for (name, settings) in providers {
        let Value::Table(settings) = settings else {
            let message = format!("`providers.{name}` must be a section");
            return Err(ConfigError::Invalid { at: at.to_owned(), message });
        };
        for key in settings.keys() {
            known(&PROVIDER_KEYS, key, at, |key| format!("providers.{name}.{key}"))?;
        }
        for (model, known_of_it) in settings.get("models").and_then(Value::as_table).into_iter().flatten() {
            for key in known_of_it.as_table().into_iter().flat_map(Table::keys) {
                known(&MODEL_KEYS, key, at, |key| format!("providers.{name}.models.{model}.{key}"))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bus_schemas::{settings::ProviderKind, v1::agent::Role};

    use super::*;

    fn load(text: &str, env: &[(&str, &str)]) -> Result<ModelSetup, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("baton.toml");
        fs::write(&path, text).unwrap();
        load_models(Some(&path), env.iter().map(|(k, v)| ((*k).into(), (*v).into())))
    }

    #[test]
    fn file_and_environment_make_one_setup() {
        let text = "
            [models]
            endpoint = 'http://127.0.0.1:1/v1'
            default = 'qwen2.5'
            [providers.my-lab]
            base_url = 'https://lab.example/v1'
            [providers.my-lab.models.'m.1']
            context_tokens = 9
            [pool]
            slots = 1
        ";
        let env = [
            ("BATON_MODELS_WORKER", "anthropic/a, qwen2.5"),
            ("BATON_PROVIDERS_MY_LAB_MAX_CONCURRENT", "3"),
            ("BATON_PROVIDERS_MY_LAB_KEY_ENV", "LAB_KEY"),
            ("BATON_PROVIDERS_OTHER_KIND", "openai"),
            ("baton_models_worker", "no"),
        ];
        let setup = load(text, &env).unwrap();
        assert_eq!(setup.models.of(Role::Worker), ["anthropic/a", "endpoint/qwen2.5"]);
        assert_eq!(setup.models.of(Role::Judge), ["endpoint/qwen2.5"]);
        let lab = &setup.providers["my-lab"];
        assert_eq!((lab.max_concurrent, lab.key_env.as_deref()), (Some(3), Some("LAB_KEY")));
        assert_eq!(lab.models["m.1"].context_tokens, Some(9));
        assert_eq!(setup.providers["other"].kind, Some(ProviderKind::Openai));
        assert_eq!(load_models(None, std::iter::empty()).unwrap(), ModelSetup::default());
    }

    #[test]
    fn mistakes_are_named_with_a_way_out() {
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
        let cases: [Case<'_>; 9] = [
            ("[models]\nendpont = 'x'", &[], "unknown key `models.endpont`; did you mean `models.endpoint`?"),
            ("[providers.a]\nbase_ulr = 'x'", &[], "did you mean `providers.a.base_url`?"),
            ("[providers.a.models.m]\ncontext_token = 1", &[], "did you mean `providers.a.models.m.context_tokens`?"),
            ("[providers]\na = 1", &[], "`providers.a` must be a section"),
            ("models = 1", &[], "`models` must be a section"),
            ("[models]\nworker = 1", &[], "[models] invalid type: integer `1`, expected the name of a model"),
            ("[providers.a]\nkind = 'x'", &[], "[providers.a] unknown variant `x`"),
            ("", &[("BATON_MODELS_ENDPONT", "1")], "did you mean `BATON_MODELS_ENDPOINT`?"),
            ("", &[("BATON_PROVIDERS_A_KEY", "1")], "BATON_PROVIDERS_A_KEY: BATON_PROVIDERS_<NAME>_<KEY> is wanted"),
        ];
        for (text, env, want) in cases {
            let error = load(text, env).map_err(|e| e.to_string());
            assert!(error.as_ref().is_err_and(|e| e.contains(want)), "{error:?} lacks {want:?}");
        }
    }
}
