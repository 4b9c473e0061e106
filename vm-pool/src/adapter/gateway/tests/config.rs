//! What a configuration makes, and what it says when it cannot.

use bus_schemas::{
    settings::{ModelSetup, Models, Provider, ProviderKind},
    v1::agent::{Role, Wire},
};

use super::{
    super::Gateway,
    world::{CANARY, provider},
};
use crate::adapter::governor::Governors;

fn open(setup: &ModelSetup, env: &[(&str, &str)]) -> Result<Gateway, String> {
    let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Gateway::new(setup, env, &Governors::default()).map_err(|e| e.to_string())
}

fn with(models: Models) -> ModelSetup {
    ModelSetup { models, ..ModelSetup::default() }
}

fn one(name: &str, provider: Provider) -> ModelSetup {
    ModelSetup { providers: [(name.to_owned(), provider)].into(), ..ModelSetup::default() }
}

#[tokio::test]
async fn two_lines_or_a_key_are_enough() {
    let setup = with(Models {
        endpoint: Some("http://127.0.0.1:8080/v1".to_owned()),
        default: Some("qwen2.5".to_owned()),
        ..Models::default()
    });
    let briefs = open(&setup, &[]).unwrap().briefs(Role::Planner, &[]).unwrap();
    assert_eq!((briefs[0].name.as_str(), briefs[0].wire), ("endpoint/qwen2.5", Wire::ChatCompletions));

    let setup = with(Models { default: Some("anthropic/claude-sonnet-4-5".to_owned()), ..Models::default() });
    let gateway = open(&setup, &[("ANTHROPIC_API_KEY", CANARY)]).unwrap();
    let briefs = gateway.briefs(Role::Worker, &[]).unwrap();
    assert_eq!((briefs[0].wire, briefs[0].caching), (Wire::Messages, true));
    let named = gateway.briefs(Role::Worker, &["anthropic/claude-haiku-4-5".to_owned()]).unwrap();
    assert_eq!(named[0].name, "anthropic/claude-haiku-4-5");
    // A fallback without a key is left out.
    let both = ["openai/gpt-5".to_owned(), "anthropic/x".to_owned()];
    assert_eq!(gateway.briefs(Role::Worker, &both).unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_missing_is_named_with_a_way_out() {
    let briefs = |setup: &ModelSetup, models: &[&str]| {
        let models: Vec<String> = models.iter().map(|&m| m.to_owned()).collect();
        open(setup, &[]).unwrap().briefs(Role::Planner, &models).unwrap_err()
    };
    let empty = ModelSetup::default();
    let endpoint = with(Models { endpoint: Some("http://127.0.0.1:1/v1".to_owned()), ..Models::default() });
    for (error, wants) in [
        (briefs(&empty, &[]), &["models.default", "models.planner", "baton.toml", "models.endpoint"][..]),
        (briefs(&empty, &["antropic/claude"]), &["unknown provider `antropic`", "did you mean `anthropic/claude`?"]),
        (briefs(&empty, &["lab/m"]), &["[providers.lab]", "base_url", "anthropic, openai"]),
        (briefs(&endpoint, &["meta/llama"]), &["endpoint/meta/llama"]),
        (briefs(&empty, &["gpt-5"]), &["names no provider", "provider/model"]),
        (briefs(&empty, &["openai/"]), &["names no provider"]),
        (briefs(&empty, &["openai/gpt-5"]), &["set OPENAI_API_KEY", "providers.openai.key_file"]),
    ] {
        for want in wants {
            assert!(error.contains(want), "{error:?} lacks {want:?}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_at_the_start() {
    let compatible = |url: &str| provider(ProviderKind::OpenaiCompatible, url);
    let url = "https://x.example/v1";
    for (setup, want) in [
        (one("lab", Provider::default()), "[providers.lab] base_url is missing"),
        (one("a/b", compatible(url)), "no slash"),
        (one("lab", compatible("ftp://x")), "an http or https URL"),
        (one("lab", compatible("x")), "base_url: "),
        (one("lab", compatible("https://user:pass@x.example/v1")), "key_env or key_file"),
        (one("lab", Provider { key_file: Some("/k".to_owned()), ..compatible(url) }), "both set"),
        (
            one("lab", Provider { key_env: None, key_file: Some("/no/k".to_owned()), ..compatible(url) }),
            "key_file /no/k: ",
        ),
        (one("lab", Provider { ca_file: Some("/no/ca".to_owned()), ..compatible(url) }), "ca_file /no/ca: "),
    ] {
        let error = open(&setup, &[("CANARY", CANARY)]).map(drop);
        assert!(error.as_ref().is_err_and(|e| e.contains(want)), "{error:?} lacks {want:?}");
    }
    let mut odd = one("lab", compatible(url));
    let settings = bus_schemas::settings::ModelSettings { usd_per_million_input: Some(-1.0), ..Default::default() };
    odd.providers.get_mut("lab").unwrap().models.insert("m".to_owned(), settings);
    assert!(open(&odd, &[]).is_err_and(|e| e.contains("[providers.lab] models.m: a price is not negative")));
}
