//! Changes of a running plan: applied to the plan's document, then checked like any plan.

use std::collections::BTreeSet;

use bus_schemas::v1::{
    api::{Finding, Severity},
    call::PlanPatch,
    plan::Plan,
};

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
    let mut after = plan.clone();
    after.tasks.retain(|task| !dropped.contains(task.id.as_str()));
    for task in &mut after.tasks {
        if let Some(needs) = patch.needs.get(&task.id) {
            task.needs.clone_from(needs);
        }
    }
    after.tasks.extend(patch.add.iter().cloned());
    Ok(after)
}

/// Whether the change gives agents more than the plan that a person saw: hosts to reach that no task of it reaches. Such
/// a change is never decided by a policy alone.
#[must_use]
pub fn widens(plan: &Plan, patch: &PlanPatch) -> bool {
    let known: BTreeSet<&str> = plan.tasks.iter().flat_map(|task| task.network.iter().map(String::as_str)).collect();
    patch.add.iter().flat_map(|task| &task.network).any(|host| !known.contains(host.as_str()))
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
    fn new_hosts_widen_a_plan() {
        let add = |network: &str| {
            patch(&format!(r#"{{"reason": "r", "add": [{{"id": "d", "run": "x", "network": [{network}]}}]}}"#))
        };
        assert!(!widens(&plan(), &add("")) && !widens(&plan(), &add(r#""example.org""#)));
        assert!(widens(&plan(), &add(r#""evil.example""#)));
    }
}
