//! `baton policy test`, `baton policy list`

use std::{fs, path::Path};

use bus_schemas::v1::policy::Policy;
use serde_json::json;

use super::{CliError, Context, Exit, args::PolicyCommand, findings, render::count};
use crate::{
    planfile::lower::{POLICY_ASK, POLICY_AUTO},
    policy::{Rules, test_cases},
};

pub(super) fn policy(context: &Context, command: PolicyCommand) -> Result<Exit, CliError> {
    let (config, paths) = context.config(Vec::new())?;
    let rules =
        config.rules().map_err(|error| CliError::new(Exit::Invalid, "config_invalid", error.to_string(), None))?;
    match command {
        PolicyCommand::Test { file } => test(context, &file, &rules),
        PolicyCommand::List => list(context, &paths.config_file(), &rules),
    }
}

/// Exits with 1 if a case is not as expected, or the table cannot be read.
fn test(context: &Context, file: &Path, rules: &Rules) -> Result<Exit, CliError> {
    let ui = context.ui;
    let text = fs::read_to_string(file).map_err(|error| {
        CliError::new(Exit::Invalid, "cases_unreadable", format!("read {}: {error}", file.display()), None)
    })?;
    let report = test_cases(&file.to_string_lossy(), &text, rules);
    let exit = if report.passed() { Exit::Ok } else { Exit::Negative };
    if ui.json {
        ui.json_line(&report)?;
        return Ok(exit);
    }
    if !report.findings.is_empty() {
        ui.data(&findings::render(&report.findings, &text, ui.out.colour))?;
        return Ok(exit);
    }
    let failed: Vec<_> = report.cases.iter().filter(|case| !case.mismatches.is_empty()).collect();
    let mut shown = String::new();
    for case in &failed {
        shown.push_str(&format!("{}:{}  {}\n", report.file, case.line, case.name));
        for mismatch in &case.mismatches {
            let (expected, got) = (quoted(&mismatch.expected), quoted(&mismatch.got));
            shown.push_str(&format!("  {:<9} expected {expected}, got {got}\n", mismatch.field));
        }
    }
    if !shown.is_empty() {
        ui.data(shown.trim_end())?;
    }
    let all = count(report.cases.len(), "case");
    ui.say(&match failed.len() {
        0 => format!("{}: {all}, all as expected", report.file),
        failed => format!("{}: {failed} of {all} not as expected", report.file),
    });
    Ok(exit)
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "nothing".to_owned() } else { format!("{text:?}") }
}

fn list(context: &Context, file: &Path, rules: &Rules) -> Result<Exit, CliError> {
    let ui = context.ui;
    let used = uses(rules);
    let used_for = |name: &str| {
        let uses: Vec<&str> = used.iter().filter(|(_, policy)| policy == name).map(|(what, _)| *what).collect();
        uses.join(", ")
    };
    let source = file.display().to_string();
    let built_in = [(POLICY_AUTO, "nobody is asked"), (POLICY_ASK, "any one person who may decide")];
    let own = rules.policies.iter().map(|(name, policy)| (name.as_str(), summary(policy), source.as_str()));
    let built_in = built_in.map(|(name, what)| (name, what.to_owned(), "built in"));
    let rows: Vec<(&str, String, &str)> = built_in.into_iter().chain(own).collect();
    if ui.json {
        for (name, decides, from) in rows {
            ui.json_line(&json!({ "name": name, "decides": decides, "from": from, "used_for": used_for(name) }))?;
        }
        return Ok(Exit::Ok);
    }
    let width = rows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, decides, from) in rows {
        let uses = used_for(name);
        let uses = if uses.is_empty() { String::new() } else { format!("; decides about {uses}") };
        text.push_str(&format!("{name:<width$}  {decides}  ({from}{uses})\n"));
    }
    ui.data(text.trim_end())?;
    Ok(Exit::Ok)
}

/// What each policy decides about where a plan does not say.
fn uses(rules: &Rules) -> Vec<(&'static str, String)> {
    use crate::ledger::Asked;
    let kinds = [
        ("plans", Asked::Plan),
        ("handoffs", Asked::Handoff),
        ("changes of plans", Asked::Patch),
        ("what agents ask for", Asked::Capability),
    ];
    let mut uses: Vec<(&'static str, String)> =
        kinds.into_iter().map(|(what, kind)| (what, rules.default_for(kind).to_owned())).collect();
    uses.extend(rules.approvals.apply.clone().map(|name| ("results", name)));
    uses.extend(rules.approvals.always.clone().map(|name| ("everything, as well", name)));
    uses
}

fn summary(policy: &Policy) -> String {
    let rules = match policy.rules.len() {
        0 => String::new(),
        rules => format!("{}, else ", count(rules, "rule")),
    };
    let decide = serde_json::to_string(&policy.decide).unwrap_or_default();
    let deadline = policy.deadline.as_ref().map(|span| format!(", within {}", span.0)).unwrap_or_default();
    let watches = if policy.shadow { ", rules only watch" } else { "" };
    format!("{rules}{}{deadline}{watches}", decide.trim_matches('"'))
}
