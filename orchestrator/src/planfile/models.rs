//! Whether the models that a plan's agents need are configured.

use bus_schemas::{
    settings::ModelSetup,
    v1::{
        agent::Role,
        api::{Finding, PlanSource},
        plan::Plan,
    },
};

use super::{
    finding::{Findings, quote, suggestion},
    tree::{self, Node, Place},
};

/// The way out for a person without a model.
const HOW_TO_CONFIGURE: &str = "add two lines to baton.toml: under `[models]`, `endpoint = \"http://127.0.0.1:8080/v1\"` and \
    `default = \"MODEL\"` for an OpenAI-compatible server, or `default = \"anthropic/claude-sonnet-4-5\"` with \
    ANTHROPIC_API_KEY in the environment of `baton up`; `baton models check` says what works";

/// What keeps a sound plan from being worked on with this configuration: agents without a model. A model of an unknown
/// provider is only a warning: the hosts' configuration counts.
#[must_use]
pub fn runnable(plan: &Plan, source: &PlanSource, config: &ModelSetup) -> Vec<Finding> {
    let mut findings = Findings::new(&source.file);
    if plan.tasks.iter().all(|task| task.agent.is_none()) {
        return findings.finish();
    }
    // The text is read again only for the places.
    let root = tree::parse(&source.text).ok().flatten();
    let nodes = root.as_ref().and_then(|root| root.get("tasks")).map(Node::elements).unwrap_or_default();
    for (number, task) in plan.tasks.iter().enumerate() {
        let Some(agent) = &task.agent else { continue };
        let node = nodes.get(number);
        let place = node.and_then(|node| node.entry("agent")).map(|(key, _)| key.place).unwrap_or_default();
        match &agent.model {
            None if config.models.of(Role::Worker).is_empty() => {
                let message = format!("task {} is for an agent, and no model is configured", quote(&task.id));
                findings.error(place, "no_model", message, Some(HOW_TO_CONFIGURE.to_owned()));
            }
            None => {}
            Some(model) => {
                let place = node.and_then(|node| node.get("agent")?.get("model")).map_or(place, |node| node.place);
                check_name(model, place, config, &mut findings);
            }
        }
    }
    findings.finish()
}

fn check_name(model: &str, place: Place, config: &ModelSetup, findings: &mut Findings) {
    let full = config.models.full_name(model);
    let Some((provider, _)) = full.split_once('/') else {
        let message = format!("the model {} names no provider, and there is no `models.endpoint`", quote(model));
        let hint = "write `provider/model`, such as `anthropic/claude-sonnet-4-5`".to_owned();
        findings.error(place, "unknown_provider", message, Some(hint));
        return;
    };
    if config.provider(provider).is_none() && !config.providers.contains_key(provider) {
        let message = format!("no provider {} is configured for the model {}", quote(provider), quote(model));
        let hint = suggestion(provider, config.provider_names().iter().map(String::as_str)).unwrap_or_else(|| {
            format!("add `[providers.{provider}]` with its `base_url` and `key_env` to baton.toml of the hosts")
        });
        findings.warning(place, "unknown_provider", message, Some(hint));
    }
}

/// What is missing for turning goals into plans, if anything: a sentence and the way out.
#[must_use]
pub fn no_planner(config: &ModelSetup) -> Option<(String, String)> {
    config.models.of(Role::Planner).is_empty().then(|| {
        ("turning a goal into a plan needs a model, and none is configured".to_owned(), HOW_TO_CONFIGURE.to_owned())
    })
}
