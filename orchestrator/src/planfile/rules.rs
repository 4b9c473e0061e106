//! What the table of fields cannot say: names that must exist, fields that exclude each other, budgets that cannot be
//! kept.

use std::collections::BTreeMap;

use bus_schemas::v1::plan::Span;
use skills::{Catalog, NoticeKind};

use super::{
    finding::{Findings, quote, suggestion},
    glob, limits,
    lower::{POLICY_ASK, POLICY_AUTO},
    order::Tasks,
    policies,
    shape::MAX_TASKS,
    tree::{Data, Node},
};
use crate::policy::Rules;

/// Names of environment variables that the worker sets itself start with this.
const RESERVED_ENV: &str = "BATON_";

/// What the rules look at beside the plan itself.
pub(super) struct Around<'a> {
    pub(super) scripts: &'a BTreeMap<String, String>,
    pub(super) skills: &'a Catalog,
    /// What `baton.toml` says, if that is known.
    pub(super) site: Option<&'a Rules>,
}

/// Rules for the plan as a whole.
pub(super) fn check_plan(root: &Node, site: Option<&Rules>, findings: &mut Findings) {
    if let Some(tasks) = root.get("tasks").filter(|tasks| matches!(tasks.data, Data::List(_))) {
        let count = tasks.elements().len();
        if count == 0 {
            let hint = Some("add a task: `- { id: hello, run: echo hello }`".to_owned());
            findings.error(tasks.place, "no_tasks", "the plan has no tasks".to_owned(), hint);
        }
        if count > MAX_TASKS {
            let message = format!("the plan has {count} tasks; {MAX_TASKS} are the most");
            findings.error(tasks.place, "too_many_tasks", message, Some("use `foreach`, or several plans".to_owned()));
        }
    }
    policies::check(root.get("policies"), site, findings);
    for field in ["approval", "replan", "apply", "capabilities"] {
        check_policy(root, root, field, site, findings);
    }
    if let Some(defaults) = root.get("defaults") {
        check_policy(root, defaults, "approval", site, findings);
        check_retries(defaults, findings);
    }
    let any_agent =
        root.get("tasks").is_some_and(|tasks| tasks.elements().iter().any(|task| task.get("agent").is_some()));
    limits::check_budget(root, None, any_agent, findings);
}

/// Rules for one task.
pub(super) fn check_task(root: &Node, tasks: &Tasks<'_>, number: usize, around: &Around<'_>, findings: &mut Findings) {
    let Some(task) = tasks.nodes.get(number).filter(|node| matches!(node.data, Data::Map(_))) else { return };
    let name = tasks.name(number);
    check_program(task, &name, around, findings);
    check_policy(root, task, "approval", around.site, findings);
    check_retries(task, findings);
    limits::check_budget(task, root.get("budget"), task.get("agent").is_some(), findings);
    for field in ["inputs", "outputs"] {
        check_globs(task, field, findings);
    }
    check_env(task, findings);
    check_foreach(task, &name, findings);
    limits::check_network(task, findings);
    limits::check_secrets(task, around.site, findings);
    if task.get("checks").is_none_or(|checks| matches!(&checks.data, Data::List(list) if list.is_empty())) {
        let message = format!("{name} has no checks, so it ends `unverified`");
        let hint = "add a command that proves it done: `checks: [\"test -s report.md\"]`".to_owned();
        findings.warning(tasks.place(number, "id"), "no_checks", message, Some(hint));
    }
}

fn check_policy(root: &Node, holder: &Node, field: &str, site: Option<&Rules>, findings: &mut Findings) {
    let Some(node) = holder.get(field) else { return };
    let Some(name) = node.text().filter(|name| !name.trim().is_empty()) else { return };
    let own: Vec<&str> = match root.get("policies").map(|policies| &policies.data) {
        Some(Data::Map(entries)) => entries.iter().filter_map(|(key, _)| key.text()).collect(),
        _ => Vec::new(),
    };
    let shared = site.into_iter().flat_map(|site| site.policies.keys().map(String::as_str));
    let known: Vec<&str> = [POLICY_AUTO, POLICY_ASK].into_iter().chain(own).chain(shared).collect();
    if !known.contains(&name) {
        let define = "built in are `auto` and `ask`; define it under `policies:` as `{ decide: ask }`";
        let hint = suggestion(name, known.iter().copied()).unwrap_or_else(|| define.to_owned());
        findings.error(node.place, "unknown_policy", format!("there is no policy {}", quote(name)), Some(hint));
    }
}

fn check_retries(holder: &Node, findings: &mut Findings) {
    let Some(retries) = holder.get("retries") else { return };
    let ms = |field: &str, default| match retries.get(field) {
        Some(node) => node.text().and_then(|text| Span(text.to_owned()).as_ms()),
        None => Some(default),
    };
    if let (Some(backoff), Some(most)) = (ms("backoff", 2_000), ms("max_backoff", 120_000))
        && backoff > most
    {
        let message = "`backoff` is longer than `max_backoff`".to_owned();
        let hint = "`max_backoff` is 2m where the plan does not say".to_owned();
        findings.error(retries.place, "out_of_range", message, Some(hint));
    }
}

fn check_program(task: &Node, name: &str, around: &Around<'_>, findings: &mut Findings) {
    match (task.entry("run"), task.entry("agent")) {
        (None, None) => {
            let hint = "add `run:` with a script, or `agent:` with instructions".to_owned();
            findings.error(task.place, "run_or_agent", format!("{name} does not say what to do"), Some(hint));
        }
        (Some((run, _)), Some((agent, _))) => {
            let later = if run.place > agent.place { run } else { agent };
            let hint = "make two tasks of it, one needing the other".to_owned();
            findings.error(later.place, "run_or_agent", format!("{name} has both `run` and `agent`"), Some(hint));
        }
        _ => {}
    }
    if let Some(Node { place, data: Data::Map(entries) }) = task.get("run") {
        let kinds = entries.iter().filter(|(key, _)| matches!(key.text(), Some("bash" | "python" | "file"))).count();
        if kinds != 1 {
            let message = format!("`run` of {name} needs exactly one of `bash`, `python` and `file`, not {kinds}");
            findings.error(
                *place,
                "run_or_agent",
                message,
                Some("a script in bash can be written as `run: text`".to_owned()),
            );
        }
    }
    if let Some(file) = task.get("run").and_then(|run| run.get("file")) {
        check_script(file, around, findings);
    }
    if let Some(agent) = task.get("agent") {
        for skill in agent.get("skills").map(Node::elements).unwrap_or_default() {
            check_skill(skill, around.skills, findings);
        }
        check_model(agent, findings);
    }
}

/// A model is named with its provider, or alone if it is the endpoint's.
fn check_model(agent: &Node, findings: &mut Findings) {
    let Some(node) = agent.get("model") else { return };
    let Some(name) = node.text().filter(|name| !name.trim().is_empty()) else { return };
    let is_sound = !name.chars().any(|c| c.is_whitespace() || c.is_control())
        && name.split_once('/').is_none_or(|(provider, model)| !provider.is_empty() && !model.is_empty());
    if !is_sound {
        let hint = "write `provider/model`, such as `anthropic/claude-sonnet-4-5`".to_owned();
        findings.error(node.place, "bad_model", format!("{} is not a model's name", quote(name)), Some(hint));
    }
}

fn check_script(node: &Node, around: &Around<'_>, findings: &mut Findings) {
    let Some(file) = node.text().filter(|file| !file.trim().is_empty()) else { return };
    if file.starts_with('/') || file.split('/').any(|part| part == "..") {
        let hint = "scripts are named by their path from the plan file, downwards".to_owned();
        findings.error(
            node.place,
            "bad_path",
            format!("the script {} is outside the plan's folder", quote(file)),
            Some(hint),
        );
        return;
    }
    match around.scripts.get(file) {
        None => {
            let hint = suggestion(file, around.scripts.keys().map(String::as_str))
                .unwrap_or_else(|| "write its path from the folder of the plan file".to_owned());
            findings.error(node.place, "unknown_script", format!("there is no script {}", quote(file)), Some(hint));
        }
        Some(text) if text.trim().is_empty() => {
            findings.error(node.place, "empty_script", format!("the script {} is empty", quote(file)), None);
        }
        Some(_) => {}
    }
}

fn check_skill(node: &Node, skills: &Catalog, findings: &mut Findings) {
    let Some(name) = node.text().filter(|name| !name.trim().is_empty()) else { return };
    if skills.get(name).is_some() {
        return;
    }
    let broken = skills.notices().iter().find(|notice| {
        notice.kind == NoticeKind::LeftOut && notice.path.file_name().is_some_and(|folder| folder == name)
    });
    let looked: Vec<_> = skills.roots().iter().map(|(_, root)| root.display().to_string()).collect();
    let (message, hint) = match broken {
        Some(notice) => (format!("the skill {} cannot be used", quote(name)), notice.to_string()),
        None => {
            let near = suggestion(name, skills.iter().map(|skill| skill.name.as_str()));
            let looked =
                format!("looked in {}", if looked.is_empty() { "no folder".to_owned() } else { looked.join(", ") });
            (
                format!("there is no skill {}", quote(name)),
                match near {
                    Some(near) => format!("{near} ({looked})"),
                    None => looked,
                },
            )
        }
    };
    findings.error(node.place, "missing_skill", message, Some(hint));
}

fn check_globs(task: &Node, field: &str, findings: &mut Findings) {
    for node in task.get(field).map(Node::elements).unwrap_or_default() {
        let Some(text) = node.text().filter(|text| !text.trim().is_empty()) else { continue };
        if let Some((problem, hint)) = glob::problem(text) {
            findings.error(node.place, "bad_glob", format!("{} in `{field}` {problem}", quote(text)), Some(hint));
        }
    }
}

fn check_env(task: &Node, findings: &mut Findings) {
    let Some(Node { data: Data::Map(entries), .. }) = task.get("env") else { return };
    for (key, _) in entries {
        let Some(name) = key.text() else { continue };
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(inside) {
            let hint = "letters, digits and `_`, not starting with a digit".to_owned();
            let message = format!("{} is not a name for an environment variable", quote(name));
            findings.error(key.place, "bad_env_name", message, Some(hint));
        } else if name.starts_with(RESERVED_ENV) {
            let message = format!("{} is set by the worker itself", quote(name));
            findings.error(key.place, "bad_env_name", message, Some("use a name without `BATON_`".to_owned()));
        }
    }
}

fn check_foreach(task: &Node, name: &str, findings: &mut Findings) {
    let Some(foreach) = task.get("foreach").filter(|foreach| matches!(foreach.data, Data::Map(_))) else { return };
    match (foreach.get("list"), foreach.get("from")) {
        (None, None) => {
            let hint = "add `list: [..]`, or `from:` with an expression that yields a list".to_owned();
            findings.error(foreach.place, "bad_foreach", format!("`foreach` of {name} has no elements"), Some(hint));
        }
        (Some(_), Some(from)) => {
            let message = format!("`foreach` of {name} has both `list` and `from`");
            findings.error(from.place, "bad_foreach", message, Some("remove one of them".to_owned()));
        }
        (Some(list), None) => {
            let count = list.elements().len();
            if count > MAX_TASKS {
                let message = format!("the list has {count} elements; {MAX_TASKS} are the most");
                findings.error(list.place, "bad_foreach", message, Some("use several tasks".to_owned()));
            }
            if count == 0 && matches!(list.data, Data::List(_)) {
                let message = format!("the list of {name} is empty, so nothing will be done");
                findings.warning(list.place, "bad_foreach", message, None);
            }
            if let Some((max, _)) = foreach.entry("max") {
                let hint = "a `list` has as many elements as are written".to_owned();
                findings.warning(max.place, "bad_foreach", "`max` is only for `from`".to_owned(), Some(hint));
            }
        }
        (None, Some(_)) => {}
    }
}
