//! Which models there are, and what each of them does.

use std::collections::BTreeSet;

use bus_schemas::{
    settings::ModelSetup,
    v1::agent::{ModelBrief, Role, Structured, Wire},
};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    call::{clean, send},
    report::{Check, Outcome, Probe, Report},
    wire::{Heard, body, read, read_stream, wrong},
};
use crate::adapter::gateway::Gateway;

/// Every model that the configuration names, as `provider/model`.
#[must_use]
pub fn names(setup: &ModelSetup) -> Vec<String> {
    let roles = [Role::Worker, Role::Planner, Role::Judge].into_iter().flat_map(|role| setup.models.of(role));
    let known = setup
        .providers
        .iter()
        .flat_map(|(name, provider)| provider.models.keys().map(move |model| format!("{name}/{model}")));
    let mut seen = BTreeSet::new();
    roles.chain(known).filter(|name| seen.insert(name.clone())).collect()
}

/// Tries these models, one after the other.
pub async fn check(gateway: &Gateway, models: &[String]) -> Vec<Report> {
    let mut reports = Vec::new();
    for model in models {
        reports.push(match gateway.briefs(Role::Worker, std::slice::from_ref(model)).map(|mut briefs| briefs.pop()) {
            Ok(Some(brief)) => of_model(gateway, &brief).await,
            Ok(None) => empty(model, Some("no such model".to_owned())),
            Err(why) => empty(model, Some(clean(&why))),
        });
    }
    reports
}

fn empty(model: &str, problem: Option<String>) -> Report {
    Report {
        model: model.to_owned(),
        wire: None,
        also: Vec::new(),
        structured: Structured::default(),
        problem,
        checks: Vec::new(),
        advice: None,
        usable: false,
    }
}

async fn of_model(gateway: &Gateway, brief: &ModelBrief) -> Report {
    let mut report = empty(&brief.name, None);
    (report.wire, report.structured) = (Some(brief.wire), brief.structured);
    let mut usage = Vec::new();
    for probe in [Probe::Answer, Probe::Stream, Probe::Tool, Probe::Schema] {
        let start = Instant::now();
        let heard = ask(gateway, &brief.name, brief.wire, probe).await;
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let why = match &heard {
            Ok(heard) => wrong(probe, heard),
            Err(why) => Some(why.clone()),
        };
        let outcome = why.map_or(Outcome::Works, |why| Outcome::Fails { why });
        let reached = outcome == Outcome::Works;
        report.checks.push(Check { probe, outcome, ms });
        if probe == Probe::Answer && !reached && heard.is_err() {
            // The others would say the same.
            return report;
        }
        if matches!(probe, Probe::Answer | Probe::Stream) {
            usage.extend(heard.ok());
        }
    }
    let unsaid = usage.iter().find_map(|heard| wrong(Probe::Usage, heard));
    let outcome = unsaid.map_or(Outcome::Works, |why| Outcome::Fails { why });
    report.checks.push(Check { probe: Probe::Usage, outcome, ms: 0 });
    for wire in [Wire::Messages, Wire::ChatCompletions, Wire::Responses].into_iter().filter(|w| *w != brief.wire) {
        let heard = ask(gateway, &brief.name, wire, Probe::Answer).await;
        if heard.is_ok_and(|heard| wrong(Probe::Answer, &heard).is_none()) {
            report.also.push(wire);
        }
    }
    judge(&mut report);
    report
}

/// Says whether agents can work with it, and what would be better.
fn judge(report: &mut Report) {
    let acts = match report.structured {
        Structured::Tools => report.works(Probe::Tool),
        Structured::JsonSchema => report.works(Probe::Schema),
        Structured::Text => true,
    };
    report.usable = report.works(Probe::Stream) && acts;
    let better = match report.structured {
        _ if acts => return,
        _ if report.works(Probe::Tool) => "tools",
        _ if report.works(Probe::Schema) => "json_schema",
        _ => "text",
    };
    let (provider, model) = report.model.split_once('/').unwrap_or_default();
    report.advice = Some(format!("[providers.{provider}.models.{model:?}] structured = \"{better}\""));
}

async fn ask(gateway: &Gateway, model: &str, wire: Wire, probe: Probe) -> Result<Heard, String> {
    let mut answer = send(gateway, model, wire, &body(wire, model, probe, false)).await;
    if wire == Wire::ChatCompletions && answer.as_ref().is_err_and(|why| why.contains("max_completion_tokens")) {
        answer = send(gateway, model, wire, &body(wire, model, probe, true)).await;
    }
    let text = answer?;
    if probe == Probe::Stream {
        return read_stream(wire, &text).map_err(|why| clean(&why));
    }
    let value: Value = serde_json::from_str(&text).map_err(|_| "the answer is not JSON".to_owned())?;
    Ok(read(wire, &value))
}
