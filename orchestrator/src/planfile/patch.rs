//! Changes of a running plan: applied to the plan's document, then checked like any plan.

use std::collections::BTreeSet;

use bus_schemas::v1::{
    api::{Finding, Severity},
    call::PlanPatch,
    plan::{Plan, Task},
};

use super::lower::approval_of;
use crate::{ledger::Asked, policy::Rules};

/// The most tasks one change may add.
const MAX_ADDED: usize = 200;
/// What findings are about.
const FILE: &str = "the change of the plan";

/// The plan after the change. `is_open` says which tasks have not started: only those may be dropped or rewired.
///
/// # Errors
/// Every reason why it cannot be made; circles, unknown needs and the like are found by [`super::check`] afterwards.
pub fn apply(plan: &Plan, patch: &PlanPatch, is_open: &dyn Fn(&str) -> bool) -> Result<Plan, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut refuse = |code: &str, message: String, hint: &str| {
        findings.push(Finding {
            severity: Severity::Error,
            code: code.to_owned(),
            file: FILE.to_owned(),
            line: 0,
            column: 0,
            message,
            hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()),
        });
    };
    if patch.add.is_empty() && patch.drop.is_empty() && patch.needs.is_empty() {
        refuse("empty_patch", "it changes nothing".to_owned(), "use `add`, `drop` or `needs`");
    }
    if patch.reason.trim().is_empty() {
        refuse("missing_field", "it has no `reason`".to_owned(), "say why: a person may have to decide about it");
    }
    if patch.add.len() > MAX_ADDED {
        let message = format!("it adds {} tasks; {MAX_ADDED} are the most", patch.add.len());
        refuse("too_many_tasks", message, "use `foreach`, or several changes");
    }
    let dropped: BTreeSet<&str> = patch.drop.iter().map(String::as_str).collect();
    let known: BTreeSet<&str> = plan.tasks.iter().map(|task| task.id.as_str()).collect();
    for id in dropped.iter().copied().chain(patch.needs.keys().map(String::as_str)) {
        let is_new = patch.add.iter().any(|task| task.id == id);
        if is_new {
            refuse("bad_patch", format!("`{id}` is added and changed at once"), "write its `needs` into `add`");
        } else if !known.contains(id) {
            refuse("unknown_task", format!("there is no task `{id}` in the plan"), "");
        } else if !is_open(id) {
            let hint = "only tasks that have not started can be dropped or changed";
            refuse("task_started", format!("task `{id}` has started"), hint);
        }
    }
    for id in patch.needs.keys().filter(|id| dropped.contains(id.as_str())) {
        refuse("bad_patch", format!("`{id}` is dropped and changed at once"), "do one of both");
    }
    for task in &patch.add {
        if known.contains(task.id.as_str()) {
            let hint = "give the new task another id; a dropped task's id is not free either";
            refuse("duplicate_id", format!("the plan has a task `{}` already", task.id), hint);
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    Ok(patched(plan, patch))
}

/// The plan after a change that was checked before, perhaps against an older document: tasks that others added meanwhile
/// stay. What the change adds and the plan has already is not added twice.
#[must_use]
pub fn patched(plan: &Plan, patch: &PlanPatch) -> Plan {
    let mut after = plan.clone();
    after.tasks.retain(|task| !patch.drop.contains(&task.id));
    for task in &mut after.tasks {
        if let Some(needs) = patch.needs.get(&task.id) {
            task.needs.clone_from(needs);
        }
    }
    let is_new = |task: &&Task| !plan.tasks.iter().any(|known| known.id == task.id);
    after.tasks.extend(patch.add.iter().filter(is_new).cloned());
    after
}

/// Whether the change gives tasks hosts to reach, or secrets to use, that no task of the plan has. Such a change cannot be
/// proposed at all: a person writes them into a plan.
#[must_use]
pub fn widens(plan: &Plan, patch: &PlanPatch) -> bool {
    let known: BTreeSet<&str> = plan.tasks.iter().flat_map(|task| task.network.iter().map(String::as_str)).collect();
    let secrets: BTreeSet<&str> = plan.tasks.iter().flat_map(|task| task.secrets.iter().map(String::as_str)).collect();
    patch.add.iter().flat_map(|task| &task.network).any(|host| !known.contains(host.as_str()))
        || patch.add.iter().flat_map(|task| &task.secrets).any(|name| !secrets.contains(name.as_str()))
}

/// Why a person must decide about the change, if one must: it takes back what the plan has people or checks look at, or
/// gives an agent what no agent of the plan has. A policy that asks nobody must not decide about it.
#[must_use]
pub fn needs_person(plan: &Plan, patch: &PlanPatch, rules: &Rules) -> Option<String> {
    // A name that is no policy's is not known to ask nobody.
    let asks = |task: &Task| rules.may_ask(approval_of(plan, task, rules), &plan.policies);
    let guards = |task: &&Task| asks(task) || !task.checks.is_empty();
    let is_changed = |task: &&Task| patch.drop.contains(&task.id) || patch.needs.contains_key(&task.id);
    if let Some(task) = plan.tasks.iter().filter(is_changed).find(guards) {
        return Some(format!("it drops or rewires `{}`, which a person or checks look at", task.id));
    }
    // Where people look at what tasks hand on, a new task is no way around them.
    let handoffs = plan.defaults.approval.as_deref().unwrap_or_else(|| rules.default_for(Asked::Handoff));
    if rules.may_ask(handoffs, &plan.policies)
        && let Some(task) = patch.add.iter().find(|task| task.approval.as_deref().is_some_and(|name| name != handoffs))
    {
        return Some(format!("`{}` names another policy than the one that looks at the plan's handoffs", task.id));
    }
    let agents = || plan.tasks.iter().filter_map(|task| task.agent.as_ref());
    let models: BTreeSet<Option<&str>> = agents().map(|agent| agent.model.as_deref()).collect();
    patch.add.iter().find_map(|task| {
        let agent = task.agent.as_ref()?;
        if agent.may_replan {
            return Some(format!("the agent of `{}` could change the plan, too", task.id));
        }
        let model = agent.model.as_deref();
        let is_other = model.is_some() && !models.contains(&model);
        is_other.then(|| format!("`{}` uses a model that no task of the plan uses", task.id))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn plan() -> Plan {
        serde_json::from_str(
            r#"{"version": 1, "title": "t", "tasks": [{"id": "a", "run": "x"}, {"id": "b", "needs": ["a"], "run": "x"},
                {"id": "c", "needs": ["b"], "run": "x", "network": ["example.org"]}]}"#,
        )
        .unwrap()
    }

    fn patch(text: &str) -> PlanPatch {
        serde_json::from_str(text).unwrap()
    }

    fn codes(patch: &PlanPatch) -> Vec<String> {
        let refused = apply(&plan(), patch, &|id| id != "a").unwrap_err();
        refused.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn what_has_not_started_is_dropped_rewired_and_added_to() {
        let patch = patch(
            r#"{"reason": "r", "drop": ["b"], "needs": {"c": ["d"]}, "add": [{"id": "d", "needs": ["a"], "run": "y"}]}"#,
        );
        let after = apply(&plan(), &patch, &|id| id != "a").unwrap();
        let needs: BTreeMap<&str, &[String]> =
            after.tasks.iter().map(|task| (task.id.as_str(), task.needs.as_slice())).collect();
        assert_eq!(needs.keys().copied().collect::<Vec<_>>(), ["a", "c", "d"]);
        assert_eq!((needs["c"], needs["d"]), (&["d".to_owned()][..], &["a".to_owned()][..]));
    }

    #[test]
    fn what_cannot_be_changed_is_named() {
        assert_eq!(codes(&patch(r#"{"reason": "r"}"#)), ["empty_patch"]);
        assert_eq!(codes(&patch(r#"{"reason": " ", "drop": ["b"]}"#)), ["missing_field"]);
        assert_eq!(codes(&patch(r#"{"reason": "r", "drop": ["a"]}"#)), ["task_started"]);
        assert_eq!(codes(&patch(r#"{"reason": "r", "drop": ["z"]}"#)), ["unknown_task"]);
        assert_eq!(codes(&patch(r#"{"reason": "r", "drop": ["b"], "needs": {"b": []}}"#)), ["bad_patch"]);
        assert_eq!(codes(&patch(r#"{"reason": "r", "add": [{"id": "a", "run": "x"}]}"#)), ["duplicate_id"]);
    }

    #[test]
    fn two_changes_of_the_same_plan_both_stay() {
        let one = patch(r#"{"reason": "r", "add": [{"id": "d", "needs": ["a"], "run": "y"}]}"#);
        let two = patch(r#"{"reason": "r", "drop": ["b"], "needs": {"c": ["a"]}, "add": [{"id": "e", "run": "y"}]}"#);
        let after = patched(&patched(&plan(), &one), &two);
        let ids: Vec<&str> = after.tasks.iter().map(|task| task.id.as_str()).collect();
        assert_eq!(ids, ["a", "c", "d", "e"]);
        assert_eq!(patched(&after, &one), after, "nothing is added twice");
    }

    #[test]
    fn a_policy_that_asks_nobody_takes_back_no_guard_and_gives_no_agent_more() {
        let plan: Plan = serde_json::from_str(
            r#"{"version": 1, "title": "t", "policies": {"lead": {"decide": "ask"}, "free": {"decide": "auto"}}, "tasks": [
                {"id": "plain", "agent": {"instructions": "x", "model": "p/m"}}, {"id": "free", "run": "x", "approval": "free"},
                {"id": "seen", "run": "x", "approval": "lead"}, {"id": "proven", "run": "x", "checks": ["true"]}]}"#,
        )
        .unwrap();
        let person = |text: &str| {
            needs_person(&plan, &patch(&format!(r#"{{"reason": "r", {text}}}"#)), &Rules::default()).is_some()
        };
        assert!(!person(r#""drop": ["plain"], "needs": {"free": []}"#));
        for text in
            [r#""drop": ["seen"]"#, r#""drop": ["proven"]"#, r#""needs": {"seen": []}"#, r#""needs": {"proven": []}"#]
        {
            assert!(person(text), "{text}");
        }
        let agent = |more: &str| person(&format!(r#""add": [{{"id": "n", "agent": {{"instructions": "x"{more}}}}}]"#));
        assert!(!agent("") && !agent(r#", "model": "p/m""#));
        assert!(agent(r#", "model": "p/large""#) && agent(r#", "may_replan": true"#));
        let all = Plan { defaults: serde_json::from_str(r#"{"approval": "ask"}"#).unwrap(), ..plan.clone() };
        let around = patch(r#"{"reason": "r", "add": [{"id": "n", "run": "x", "approval": "auto"}]}"#);
        assert!(needs_person(&all, &around, &Rules::default()).is_some(), "a way around those who look at handoffs");
        assert!(needs_person(&plan, &around, &Rules::default()).is_none());
        assert!(needs_person(&all, &patch(r#"{"reason": "r", "drop": ["plain"]}"#), &Rules::default()).is_some());
    }

    #[test]
    fn new_hosts_widen_a_plan() {
        let add = |network: &str| {
            patch(&format!(r#"{{"reason": "r", "add": [{{"id": "d", "run": "x", "network": [{network}]}}]}}"#))
        };
        assert!(!widens(&plan(), &add("")) && !widens(&plan(), &add(r#""example.org""#)));
        assert!(widens(&plan(), &add(r#""evil.example""#)));
        let uses = patch(r#"{"reason": "r", "add": [{"id": "d", "run": "x", "secrets": ["github"]}]}"#);
        assert!(widens(&plan(), &uses));
        let mut own = plan();
        own.tasks[0].secrets.push("github".to_owned());
        assert!(!widens(&own, &uses));
    }
}
