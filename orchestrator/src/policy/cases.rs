//! `baton policy test`: a table of requests, and what policies say about each.

use std::collections::BTreeMap;

use bus_schemas::{
    id::ProjectId,
    time::UnixMs,
    v1::api::{Finding, Severity},
};
use serde::{Deserialize, Serialize};

use super::{Asking, EFFECT, Facts, Rules, SECRET, needs, risk_word, route};
use crate::{
    ledger::{Asked, Route, Ruling},
    people::{Member, is_name},
    planfile::{
        check::to_json,
        finding::{Findings, quote, suggestion},
        lower::{POLICY_ASK, POLICY_AUTO},
        policies::{self, POLICY},
        shape::{self, Shape, field, required},
        tree::{self, Data, Node, Place},
    },
};

const NAME: Shape = Shape::Filled("empty_field");
const TEXT: Shape = Shape::Text;
const TEXTS: Shape = Shape::List(&TEXT);
const COUNT: Shape = Shape::Whole("out_of_range", 0, i64::MAX);
const KINDS: &[&str] = &["plan", "handoff", "apply", "capability", "question", "budget", "patch", "skill"];

const FILE: Shape = Shape::Map(&[
    field("policies", &Shape::Names(&POLICY)),
    field("members", &Shape::Names(&MEMBER)),
    field("groups", &Shape::Names(&Shape::List(&NAME))),
    field("always", &NAME),
    required("cases", &Shape::List(&CASE)),
]);
const MEMBER: Shape = Shape::Map(&[
    field("groups", &Shape::List(&NAME)),
    field("email", &Shape::List(&NAME)),
    field("slack", &NAME),
    field("unix", &NAME),
    field("admin", &Shape::Truth),
]);
const CASE: Shape = Shape::Map(&[
    required("name", &NAME),
    required("policy", &NAME),
    field("request", &REQUEST),
    required("expect", &EXPECT),
]);
const REQUEST: Shape = Shape::Map(&[
    field("kind", &Shape::Word("bad_word", KINDS)),
    field(
        "project",
        &Shape::Map(&[field("title", &TEXT), field("folder", &TEXT), field("owner", &TEXT), field("channel", &TEXT)]),
    ),
    field(
        "task",
        &Shape::Map(&[
            field("key", &TEXT),
            field("title", &TEXT),
            field("network", &TEXTS),
            field("agent", &Shape::Truth),
            field("attempt", &COUNT),
        ]),
    ),
    field("paths", &TEXTS),
    field("lines_added", &COUNT),
    field("lines_removed", &COUNT),
    field("deleted", &COUNT),
    field("spend", &Shape::Map(&[field("usd", &Shape::Dollars), field("tokens", &COUNT), field("vm_seconds", &COUNT)])),
    field("hosts", &TEXTS),
    field("secrets", &TEXTS),
    field("checks", &Shape::Map(&[field("total", &COUNT), field("passed", &COUNT), field("failed", &COUNT)])),
    field("isolation", &Shape::Word("bad_word", &["hardware", "emulated"])),
    field("asked_by", &TEXT),
    field("started_by", &TEXT),
    field("edited_by", &TEXTS),
    field("questions", &COUNT),
    field("tasks", &COUNT),
    field(
        "capability",
        &Shape::Map(&[field("kind", &Shape::Word("bad_word", &["host", SECRET, EFFECT])), field("name", &TEXT)]),
    ),
]);
const EXPECT: Shape = Shape::Map(&[
    field("decide", &Shape::Word("bad_word", &["auto", "ask"])),
    field("rule", &TEXT),
    field("needs", &TEXT),
    field("risk", &Shape::Word("bad_word", &["low", "medium", "high"])),
    field("eligible", &TEXTS),
    field("excluded", &TEXTS),
    field("problem", &TEXT),
    field("shadow", &TEXTS),
]);

#[derive(Deserialize)]
struct Case {
    name: String,
    policy: String,
    #[serde(default)]
    request: Facts,
    expect: Expect,
}

#[derive(Deserialize)]
struct Expect {
    decide: Option<String>,
    rule: Option<String>,
    needs: Option<String>,
    risk: Option<String>,
    eligible: Option<Vec<String>>,
    excluded: Option<Vec<String>>,
    problem: Option<String>,
    shadow: Option<Vec<String>>,
}

/// What came of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// The file.
    pub file: String,
    /// Its cases, in order; empty if there are findings.
    pub cases: Vec<CaseOutcome>,
    /// What is wrong with the table itself.
    pub findings: Vec<Finding>,
}

impl CaseReport {
    /// The table can be read, and every case is as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.findings.is_empty() && self.cases.iter().all(|case| case.mismatches.is_empty())
    }
}

/// One case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseOutcome {
    /// Its name.
    pub name: String,
    /// Its line.
    pub line: u32,
    /// What is not as expected.
    pub mismatches: Vec<Mismatch>,
}

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Which field of `expect`.
    pub field: String,
    /// What was expected.
    pub expected: String,
    /// What it is.
    pub got: String,
}

/// Runs a table of cases. Its policies and people are those of the file, beside those of `baton.toml` (`site`).
#[must_use]
pub fn test_cases(file: &str, text: &str, site: &Rules) -> CaseReport {
    let mut findings = Findings::new(file);
    let cases = examined(text, site, &mut findings).unwrap_or_default();
    let findings: Vec<Finding> =
        findings.finish().into_iter().filter(|finding| finding.severity == Severity::Error).collect();
    let cases = if findings.is_empty() { cases } else { Vec::new() };
    CaseReport { file: file.to_owned(), cases, findings }
}

fn examined(text: &str, site: &Rules, findings: &mut Findings) -> Option<Vec<CaseOutcome>> {
    let root = match tree::parse(text) {
        Ok(Some(root)) => root,
        Ok(None) => {
            let hint = Some("start with `policies:` and `cases:`".to_owned());
            findings.error(Place::default(), "empty_table", "the table is empty".to_owned(), hint);
            return None;
        }
        Err(error) => {
            findings.error(error.place, error.code, error.message, error.hint.map(str::to_owned));
            return None;
        }
    };
    shape::compare(&root, &FILE, "the table", findings);
    if findings.has_errors() {
        return None;
    }
    let rules = rules(&root, site, findings)?;
    policies::check_known(root.get("policies"), &rules.people, findings);
    if let Some(always) = root.get("always") {
        known(always, &rules, findings);
    }
    let nodes = root.get("cases").map(Node::elements).unwrap_or_default();
    if nodes.is_empty() {
        let place = root.get("cases").map_or(root.place, |cases| cases.place);
        let hint = "add `- { name: …, policy: …, request: { … }, expect: { decide: ask } }`";
        findings.error(
            place,
            "no_cases",
            "there are no cases: nothing would be tested".to_owned(),
            Some(hint.to_owned()),
        );
    }
    let mut outcomes = Vec::with_capacity(nodes.len());
    for node in nodes {
        let case: Case = match serde_json::from_value(to_json(node)) {
            Ok(case) => case,
            Err(error) => {
                findings.error(node.place, "not_understood", format!("the case cannot be read: {error}"), None);
                continue;
            }
        };
        if let Some(expect) = node.get("expect").filter(|expect| entries(Some(expect)).is_empty()) {
            let hint = Some("say at least `decide: auto` or `decide: ask`".to_owned());
            findings.error(expect.place, "nothing_expected", "the case expects nothing".to_owned(), hint);
        }
        if !node.get("policy").is_some_and(|policy| known(policy, &rules, findings)) {
            continue;
        }
        outcomes.push(CaseOutcome { line: node.place.line, mismatches: run(&case, &rules), name: case.name });
    }
    Some(outcomes)
}

/// Whether a policy of that name is in force.
fn known(node: &Node, rules: &Rules, findings: &mut Findings) -> bool {
    let name = node.text().unwrap_or_default();
    let is_known = [POLICY_AUTO, POLICY_ASK].contains(&name) || rules.policies.contains_key(name);
    if !is_known {
        let names = rules.policies.keys().map(String::as_str);
        let hint = suggestion(name, names.chain([POLICY_AUTO, POLICY_ASK]));
        findings.error(node.place, "unknown_policy", format!("there is no policy {}", quote(name)), hint);
    }
    is_known
}

/// What is in force for the table.
fn rules(root: &Node, site: &Rules, findings: &mut Findings) -> Option<Rules> {
    let mut policies = site.policies.clone();
    if let Some(node) = root.get("policies") {
        match policies::read(node) {
            Ok(own) => policies.extend(own),
            Err(error) => {
                findings.error(node.place, "not_understood", format!("the policies cannot be read: {error}"), None);
                return None;
            }
        }
    }
    let mut people = site.people.clone();
    let (own, groups) = (root.get("members"), root.get("groups"));
    if own.is_some() || groups.is_some() {
        let mut members: BTreeMap<String, Member> =
            own.and_then(|node| serde_json::from_value(to_json(node)).ok()).unwrap_or_default();
        for (group, list) in entries(groups) {
            for node in list.elements() {
                let Some(name) = node.text().filter(|name| is_name(name)) else {
                    let message = format!("{} is no member's name", quote(node.text().unwrap_or_default()));
                    let hint = Some("use letters, digits, `-`, `_` and `.`".to_owned());
                    findings.error(node.place, "bad_member", message, hint);
                    continue;
                };
                members.entry(name.to_owned()).or_default().groups.push(group.to_owned());
            }
        }
        people = match crate::people::People::new(members) {
            Ok(people) => people,
            Err(error) => {
                let place = own.or(groups).map_or_else(Place::default, |node| node.place);
                findings.error(place, "bad_member", error.to_string(), None);
                return None;
            }
        };
    }
    let mut approvals = site.approvals.clone();
    if let Some(always) = root.get("always").and_then(Node::text) {
        approvals.always = Some(always.to_owned());
    }
    Some(Rules { people, policies, approvals, ..Rules::default() })
}

fn entries(node: Option<&Node>) -> Vec<(&str, &Node)> {
    match node.map(|node| &node.data) {
        Some(Data::Map(entries)) => entries.iter().filter_map(|(key, value)| Some((key.text()?, value))).collect(),
        _ => Vec::new(),
    }
}

fn run(case: &Case, rules: &Rules) -> Vec<Mismatch> {
    let own = BTreeMap::new();
    let project_id = ProjectId::from_uuid(uuid::Uuid::nil());
    let asking = Asking { rules, own: &own, facts: &case.request, project_id, remembered: &[], now: UnixMs(0) };
    let mut route = route(&asking, &case.policy);
    let is_secret = case.request.kind == Asked::Capability && case.request.capability.kind == SECRET;
    let passes_by_the_way = is_secret && !rules.hangs_on_kind(&route, &case.request, &own);
    // As it would be for a request: some things only people allow, whatever a policy says.
    if !route.asks() && (case.request.kind.wants_people() || passes_by_the_way) {
        route.ruling = Ruling::Ask(rules.people.anyone());
    }
    compare(&case.expect, &route)
}

fn compare(expect: &Expect, route: &Route) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let mut same = |field: &str, expected: Option<&String>, got: String| {
        if let Some(expected) = expected.filter(|expected| **expected != got) {
            found.push(Mismatch { field: field.to_owned(), expected: expected.clone(), got });
        }
    };
    let (decide, needed, eligible) = match &route.ruling {
        Ruling::Auto => ("auto", String::new(), Vec::new()),
        Ruling::Ask(who) => {
            let people = who.people(0).into_iter().flatten().filter(|p| !route.excluded.iter().any(|e| e == p));
            ("ask", needs(who), people.map(str::to_owned).collect())
        }
    };
    same("decide", expect.decide.as_ref(), decide.to_owned());
    same("rule", expect.rule.as_ref(), route.rule.clone().unwrap_or_default());
    same("needs", expect.needs.as_ref(), needed);
    same("risk", expect.risk.as_ref(), risk_word(route.risk).to_owned());
    let listed = |list: &[String]| {
        let mut names = list.to_vec();
        names.sort();
        names.join(", ")
    };
    same("eligible", expect.eligible.as_deref().map(listed).as_ref(), listed(&eligible));
    same("excluded", expect.excluded.as_deref().map(listed).as_ref(), listed(&route.excluded));
    let shadow: Vec<String> = route.shadow.iter().map(|(rule, what)| format!("{rule}: {what}")).collect();
    same("shadow", expect.shadow.as_deref().map(listed).as_ref(), listed(&shadow));
    let problem = route.problem.clone().unwrap_or_default();
    if let Some(part) = expect.problem.as_ref() {
        let is_it = if part.is_empty() { problem.is_empty() } else { problem.contains(part.as_str()) };
        if !is_it {
            found.push(Mismatch { field: "problem".to_owned(), expected: part.clone(), got: problem });
        }
    } else if !problem.is_empty() {
        // A policy that fails must not pass its test because nobody thought of it.
        found.push(Mismatch { field: "problem".to_owned(), expected: String::new(), got: problem });
    }
    found
}

#[cfg(test)]
#[path = "cases_tests.rs"]
mod tests;
