//! What a picture says about a task beside its id and title.

use bus_schemas::v1::plan::{Plan, Task};

use crate::planfile::lower::{POLICY_ASK, POLICY_AUTO};

/// The marks of a task, the most telling first: `agent`, `×3`, `when`, `asks lead`, `2 checks`.
pub(super) fn marks(plan: &Plan, task: &Task) -> Vec<String> {
    let mut marks = Vec::new();
    if task.agent.is_some() {
        marks.push("agent".to_owned());
    }
    if let Some(foreach) = &task.foreach {
        marks.push(foreach.list.as_ref().map_or_else(|| "×n".to_owned(), |list| format!("×{}", list.len())));
    }
    if task.when.is_some() {
        marks.push("when".to_owned());
    }
    marks.extend(asks(plan, task));
    marks.push(match task.checks.len() {
        0 => "no checks".to_owned(),
        1 => "1 check".to_owned(),
        count => format!("{count} checks"),
    });
    marks
}

/// A person is asked about the task's handoff.
pub(super) fn asks(plan: &Plan, task: &Task) -> Option<String> {
    let policy = task.approval.as_deref().or(plan.defaults.approval.as_deref()).unwrap_or(POLICY_AUTO);
    match policy {
        POLICY_AUTO => None,
        POLICY_ASK => Some("asks".to_owned()),
        name => {
            let is_asking = plan.policies.get(name).is_some_and(|policy| policy.decide.asks());
            is_asking.then(|| format!("asks {name}"))
        }
    }
}

/// A number as people write it: `10,000`.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 task`, `2 tasks`.
pub(super) fn counted(number: usize, word: &str) -> String {
    format!("{} {word}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// At most `width` characters.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}
