//! The plan: a project's task graph as a person or a planning task writes it (YAML or JSON).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::policy::{AtDeadline, Decide, DecideWord, Escalation, Policy, Quorum, Rule, Who};
use crate::json::Json;

/// A plan file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The plan format's version: 1.
    pub version: u32,
    /// What the project is called, one line.
    pub title: String,
    /// What the project is for; goes to every task.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub goal: String,
    /// Values for tasks that do not say otherwise.
    #[serde(default)]
    pub defaults: Defaults,
    /// Approval policies by name. `auto` and `ask` are built in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, Policy>,
    /// Who approves the plan itself before anything starts: a policy name. Default `ask`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// Who approves changes of the plan while it runs: a policy name. Default `ask`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replan: Option<String>,
    /// Who approves that the result is put into the folder: a policy name. With it, the result of a completed project is
    /// asked about and applied once approved; without it, somebody says `baton apply`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<String>,
    /// Who approves what an agent asks for beyond its task: a policy name. Default `ask`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<String>,
    /// The most the whole project may use.
    #[serde(default)]
    pub budget: Budget,
    /// The tasks, in any order.
    pub tasks: Vec<Task>,
}

/// Values for tasks that do not say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// See [`Task::approval`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// See [`Task::retries`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// See [`Task::timeout`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// See [`Task::resources`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// One task. Exactly one of `run` and `agent` says what is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The task's key within the plan: 1 to 64 of `[a-z0-9_-]`, starting with a letter.
    pub id: String,
    /// What it does, one line. Default: the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Ids of tasks whose handoffs this one builds on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// A script to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// Work for an AI agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
    /// Globs of paths that are copied into the VM. Default: the whole folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// Globs of paths the task may change. Default: any. A change elsewhere fails the attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Commands that prove the task done; run in a second, fresh VM on the handed-off tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Who approves the handoff: a policy name. Default `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// How often and how fast a failed attempt is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// The longest one attempt may work, checks included. Default 30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// The most this task may use.
    #[serde(default)]
    pub budget: Budget,
    /// Hosts the task may reach: `host`, `host:port`, `*.domain`, `*.domain:port`; without a port 443 and 80. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<String>,
    /// Names of secrets of `baton.toml` that the host's proxy uses on the task's behalf. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// A CEL expression over `needs` (`needs.<id>.result`, `.state`, `.changed_paths`) and `item`; false skips the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Makes one task per element.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreach: Option<Foreach>,
    /// Environment variables for the script, its checks included.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The computer the task needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// A script, as `run: "text"` (bash) or `run: { python: "text" }` or `run: { bash: "text" }`, or with `file:` a path in the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Run {
    /// A bash script.
    Bash(String),
    /// A script in a named language.
    Script(Script),
}

/// A script in a named language: exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Text for `bash -euo pipefail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bash: Option<String>,
    /// Text for `python3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
    /// A script beside the plan file, read when the plan is submitted; `.py` is python, anything else bash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// Work for an AI agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// What to do.
    pub instructions: String,
    /// Names of skills it gets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// The program that is the agent's loop. Default `builtin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harness: Option<String>,
    /// The model, as `provider/model`. Default: the role's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The most turns of one attempt. Default 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<u32>,
    /// It may propose changes of the plan, which the policy `replan` (default `ask`) decides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_replan: bool,
}

/// A command that proves a task done: `"text"` or `{ name, run, timeout }`. It passes if it exits 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Check {
    /// A bash command line.
    Line(String),
    /// A named check.
    Named(NamedCheck),
}

/// A check with a name and a time limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NamedCheck {
    /// What it proves, one line.
    pub name: String,
    /// The bash command line.
    pub run: String,
    /// The longest it may take. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// How a failed attempt is tried again: `backoff × 2^(n-1)` up to `max_backoff`, with jitter of ±20 %.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// Tries after the first one: 0 to 20. Default 1.
    #[serde(default = "one")]
    pub max: u32,
    /// The delay before the second attempt. Default 2s.
    #[serde(default = "two_seconds")]
    pub backoff: Span,
    /// The longest delay. Default 2m.
    #[serde(default = "two_minutes")]
    pub max_backoff: Span,
}

const fn one() -> u32 {
    1
}

fn two_seconds() -> Span {
    Span("2s".to_owned())
}

fn two_minutes() -> Span {
    Span("2m".to_owned())
}

impl Default for Retries {
    fn default() -> Self {
        Self { max: one(), backoff: two_seconds(), max_backoff: two_minutes() }
    }
}

/// A duration as people write it: a number and one of `ms`, `s`, `m`, `h`, `d`; several may follow each other (`1h30m`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Span(pub String);

impl Span {
    /// The duration in milliseconds, or `None` if the text is not a duration or overflows.
    #[must_use]
    pub fn as_ms(&self) -> Option<u64> {
        let mut rest = self.0.trim();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let number: u64 = rest.get(..digits)?.parse().ok()?;
            rest = rest.get(digits..)?;
            let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let unit_ms = match rest.get(..unit_end)?.trim() {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return None,
            };
            rest = rest.get(unit_end..)?;
            total = total.checked_add(number.checked_mul(unit_ms)?)?;
        }
        Some(total)
    }
}

/// The most that may be used. What is absent is not limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// US dollars for model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
    /// Model tokens, all kinds together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Seconds of VM time, all attempts and checks together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_seconds: Option<u64>,
    /// Time from the start, waiting for people not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<Span>,
    /// Model calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
}

/// One task per element of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Foreach {
    /// The elements themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<Vec<Json>>,
    /// A CEL expression that yields a list, over `needs` as in `when`: `needs.scan.result.files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The most elements a `from` may yield. Default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

/// The computer a task needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Processors, 1 to 16. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Memory in MiB, 128 to 65536. Default 512.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// Scratch disk in MiB, 64 to 1048576. Default 2048.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_mib: Option<u32>,
    /// The guest image's flavour: `base` or `build` (with compilers). Default `base`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn spans_are_read_as_people_write_them() {
        let ms = |text: &str| Span(text.to_owned()).as_ms();
        assert_eq!(ms("250ms"), Some(250));
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("2d"), Some(172_800_000));
        for bad in ["", "10", "s", "1w", "-1s", "1.5h", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(ms(bad), None, "{bad}");
        }
    }
}
