//! From a checked plan to what the core and the hosts need: defaults filled in, names resolved, units in milliseconds.

use std::collections::BTreeMap;

use bus_schemas::{
    id::TaskId,
    v1::{
        agent::AgentWork,
        plan::{Agent, Budget, Check, Plan, Run, Script, Span, Task},
        task::{CheckSpec, Interpreter, Limits, Machine, Program},
    },
};

use super::expression::Expression;
use crate::{
    ledger::Asked,
    plan::{
        BudgetSpec,
        event::{LimitSpec, PolicySpec, TaskKind, TaskSpec},
    },
    policy::Rules,
};

/// The policy that needs nobody.
pub const POLICY_AUTO: &str = "auto";
/// The policy that asks a person.
pub const POLICY_ASK: &str = "ask";
/// How long an attempt may work when the plan does not say: 30 minutes.
pub const DEFAULT_TIMEOUT_MS: u64 = 30 * 60 * 1000;
/// How long one check may take when the plan does not say: 5 minutes.
pub const DEFAULT_CHECK_TIMEOUT_MS: u64 = 5 * 60 * 1000;
/// The most turns of one attempt of an agent when the plan does not say.
pub const DEFAULT_MAX_TURNS: u32 = 200;
/// The harness of an agent when the plan does not say.
pub const DEFAULT_HARNESS: &str = "builtin";
/// The most elements a `foreach.from` may yield when the plan does not say.
pub const DEFAULT_FOREACH_MAX: u32 = 1000;

/// From the offer to the claim: 15 minutes. Only free slots are offered anything, so a busy pool does not count; what is
/// lost on the way is offered again after this time at the latest, which costs no retry.
const SCHEDULE_TO_START_MS: u64 = 15 * 60 * 1000;
/// A host beats every few seconds; half a minute without a beat means it is gone.
const HEARTBEAT_MS: u64 = 30 * 1000;
/// All attempts of one task together: a week.
const SCHEDULE_TO_CLOSE_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Output kept per attempt: 8 MiB.
const OUTPUT_BYTES: u64 = 8 << 20;
/// Changed data taken out of a VM: 512 MiB.
const CHANGES_BYTES: u64 = 512 << 20;
/// The longest name made from a command, in characters: one line of a table.
const NAME_CHARS: usize = 60;

/// Why a plan could not be lowered. A plan that passed [`super::check`] and [`super::runnable`] never gets one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// A `needs` names nothing.
    #[error("task `{task}` needs `{need}`, which is not in the plan")]
    UnknownNeed {
        /// The task.
        task: String,
        /// What it needs.
        need: String,
    },
    /// An approval names nothing.
    #[error("`{name}` is not an approval policy of the plan")]
    UnknownPolicy {
        /// The name.
        name: String,
    },
    /// A duration is not one.
    #[error("task `{task}`: `{text}` is not a duration")]
    BadDuration {
        /// The task, or what else has the duration.
        task: String,
        /// The text.
        text: String,
    },
    /// A script file's text did not come with the plan.
    #[error("task `{task}`: the text of script `{file}` is not there")]
    MissingScript {
        /// The task.
        task: String,
        /// The file.
        file: String,
    },
    /// The task says neither or both of `run` and `agent`, or its `run` says nothing.
    #[error("task `{task}` does not say what to run")]
    NoProgram {
        /// The task.
        task: String,
    },
}

/// A plan as the core wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowered {
    /// The tasks in plan order.
    pub tasks: Vec<TaskSpec>,
    /// The tasks' ids by their keys.
    pub ids: BTreeMap<String, TaskId>,
    /// Who approves the plan.
    pub plan_policy: PolicySpec,
    /// Who approves changes of it while it runs.
    pub replan_policy: PolicySpec,
    /// The result is asked about and then put into the folder.
    pub offers_result: bool,
    /// The most the whole project may use.
    pub budget: BudgetSpec,
}

/// Turns a checked plan into the core's tasks; `ids` makes a new id per call, `scripts` are the texts of `run.file`s, `rules`
/// the policies of `baton.toml`.
///
/// # Errors
/// [`LowerError`] where the plan is not one that [`super::check`] and [`super::runnable`] accept.
pub fn lower(
    plan: &Plan,
    ids: &mut dyn FnMut() -> TaskId,
    scripts: &BTreeMap<String, String>,
    rules: &Rules,
) -> Result<Lowered, LowerError> {
    lower_again(plan, &BTreeMap::new(), ids, scripts, rules)
}

/// As [`lower()`], for a plan of which some tasks are known by id already.
///
/// # Errors
/// As [`lower()`].
pub fn lower_again(
    plan: &Plan,
    known: &BTreeMap<String, TaskId>,
    ids: &mut dyn FnMut() -> TaskId,
    scripts: &BTreeMap<String, String>,
    rules: &Rules,
) -> Result<Lowered, LowerError> {
    let mut id_of = |key: &String| known.get(key).copied().unwrap_or_else(&mut *ids);
    let by_key: BTreeMap<String, TaskId> = plan.tasks.iter().map(|task| (task.id.clone(), id_of(&task.id))).collect();
    let mut tasks = Vec::with_capacity(plan.tasks.len());
    for task in &plan.tasks {
        program_of(task, scripts)?;
        let unknown = |need: &String| LowerError::UnknownNeed { task: task.id.clone(), need: need.clone() };
        let needs = task.needs.iter().map(|need| by_key.get(need).copied().ok_or_else(|| unknown(need)));
        let task_id = by_key.get(&task.id).copied().ok_or_else(|| unknown(&task.id))?;
        tasks.push(spec((plan, task), task_id, needs.collect::<Result<_, _>>()?, rules)?);
    }
    let name = |named: &Option<String>, kind| named.clone().unwrap_or_else(|| rules.default_for(kind).to_owned());
    let plan_policy = policy(plan, &name(&plan.approval, Asked::Plan), rules)?;
    let replan_policy = policy(plan, &name(&plan.replan, Asked::Patch), rules)?;
    policy(plan, &name(&plan.capabilities, Asked::Capability), rules)?;
    let apply = plan.apply.as_deref().or(rules.approvals.apply.as_deref());
    let named = apply.map(|name| policy(plan, name, rules)).transpose()?.is_some();
    // What is always looked at is looked at before it gets into the folder, too.
    let offers_result = named || rules.approvals.always.is_some();
    let budget = budget_of("budget", &plan.budget)?;
    Ok(Lowered { tasks, ids: by_key, plan_policy, replan_policy, offers_result, budget })
}

/// The child number `index` of a `foreach` task: same limits and needs, its own key and id. A `when` that speaks of
/// `item` is asked of every child; any other was already asked of the parent.
#[must_use]
pub fn child_spec(task: &Task, parent: &TaskSpec, index: usize, task_id: TaskId) -> TaskSpec {
    TaskSpec {
        task_id,
        key: child_key(&parent.key, index),
        has_when: when_is_per_item(task),
        is_foreach: false,
        ..parent.clone()
    }
}

/// The key of child `index`: `key[0]`.
#[must_use]
pub fn child_key(key: &str, index: usize) -> String {
    format!("{key}[{index}]")
}

/// A key's task and, for a child of `foreach`, its index: `scan[3]` is `("scan", Some(3))`.
#[must_use]
pub fn split_key(key: &str) -> (&str, Option<usize>) {
    let child = key.strip_suffix(']').and_then(|rest| rest.split_once('['));
    match child.and_then(|(parent, index)| Some((parent, index.parse().ok()?))) {
        Some((parent, index)) => (parent, Some(index)),
        None => (key, None),
    }
}

/// The task with this key; a child's key finds the `foreach` task it came from.
#[must_use]
pub fn task_of<'plan>(plan: &'plan Plan, key: &str) -> Option<&'plan Task> {
    let (id, _) = split_key(key);
    plan.tasks.iter().find(|task| task.id == id)
}

/// The task's title, or its id where it has none.
#[must_use]
pub fn title_of(task: &Task) -> &str {
    task.title.as_deref().unwrap_or(&task.id)
}

/// What an attempt of the task does. An agent's skills, and where it resumes, are filled in when it is offered.
///
/// # Errors
/// [`LowerError::MissingScript`] or [`LowerError::NoProgram`].
pub fn program_of(task: &Task, scripts: &BTreeMap<String, String>) -> Result<Program, LowerError> {
    let none = || LowerError::NoProgram { task: task.id.clone() };
    let Some(run) = &task.run else {
        return task.agent.as_ref().map(|agent| Program::Agent(agent_work(agent))).ok_or_else(none);
    };
    let (interpreter, text) = match run {
        Run::Bash(text) => (Interpreter::Bash, text),
        Run::Script(Script { bash: Some(text), .. }) => (Interpreter::Bash, text),
        Run::Script(Script { python: Some(text), .. }) => (Interpreter::Python, text),
        Run::Script(Script { file: Some(file), .. }) => {
            let text = scripts.get(file);
            let missing = || LowerError::MissingScript { task: task.id.clone(), file: file.clone() };
            (interpreter_of(file), text.ok_or_else(missing)?)
        }
        Run::Script(_) => return Err(none()),
    };
    Ok(Program::Script { interpreter, text: text.clone() })
}

fn agent_work(agent: &Agent) -> AgentWork {
    AgentWork {
        harness: agent.harness.clone().unwrap_or_else(|| DEFAULT_HARNESS.to_owned()),
        instructions: agent.instructions.clone(),
        models: agent.model.iter().cloned().collect(),
        max_turns: agent.max_turns.unwrap_or(DEFAULT_MAX_TURNS).max(1),
        may_replan: agent.may_replan,
        ..AgentWork::default()
    }
}

fn interpreter_of(file: &str) -> Interpreter {
    if file.ends_with(".py") { Interpreter::Python } else { Interpreter::Bash }
}

/// The computer the task needs; what it leaves out comes from the plan's defaults, then from the format's.
#[must_use]
pub fn machine_of(plan: &Plan, task: &Task) -> Machine {
    let own = task.resources.clone().unwrap_or_default();
    let shared = plan.defaults.resources.clone().unwrap_or_default();
    Machine {
        cpus: own.cpus.or(shared.cpus).unwrap_or(1),
        memory_mib: own.memory_mib.or(shared.memory_mib).unwrap_or(512),
        disk_mib: own.disk_mib.or(shared.disk_mib).unwrap_or(2048),
        image: own.image.or(shared.image).unwrap_or_else(|| "base".to_owned()),
    }
}

/// The limits of one attempt.
///
/// # Errors
/// [`LowerError::BadDuration`].
pub fn limits_of(plan: &Plan, task: &Task) -> Result<Limits, LowerError> {
    Ok(Limits { start_to_close_ms: timeout_ms(plan, task)?, output_bytes: OUTPUT_BYTES, changes_bytes: CHANGES_BYTES })
}

/// The checks that prove the task done, named and limited.
///
/// # Errors
/// [`LowerError::BadDuration`].
pub fn checks_of(task: &Task) -> Result<Vec<CheckSpec>, LowerError> {
    let spec = |check: &Check| match check {
        Check::Line(run) => {
            Ok(CheckSpec { name: name_from(run), run: run.clone(), timeout_ms: DEFAULT_CHECK_TIMEOUT_MS })
        }
        Check::Named(check) => {
            let timeout_ms = match &check.timeout {
                Some(span) => span_ms(&task.id, span)?,
                None => DEFAULT_CHECK_TIMEOUT_MS,
            };
            Ok(CheckSpec { name: check.name.clone(), run: check.run.clone(), timeout_ms })
        }
    };
    task.checks.iter().map(spec).collect()
}

/// A policy by name: the built-in ones, those of `baton.toml`, then the plan's. It asks if it may ask: what it says about one
/// request is worked out when that is asked.
///
/// # Errors
/// [`LowerError::UnknownPolicy`] or [`LowerError::BadDuration`].
pub fn policy(plan: &Plan, name: &str, rules: &Rules) -> Result<PolicySpec, LowerError> {
    let own = rules.policy(name, &plan.policies);
    let deadline_ms = match own {
        _ if name == POLICY_AUTO || name == POLICY_ASK => None,
        Some(policy) => policy.deadline.as_ref().map(|span| span_ms(name, span)).transpose()?,
        None => return Err(LowerError::UnknownPolicy { name: name.to_owned() }),
    };
    Ok(PolicySpec { name: name.to_owned(), asks: rules.may_ask(name, &plan.policies), deadline_ms })
}

/// Whether the task's `when` speaks of `item`, so that it is asked of every child of the `foreach`.
#[must_use]
pub fn when_is_per_item(task: &Task) -> bool {
    let expression = task.when.as_deref().map(Expression::compile);
    task.foreach.is_some() && matches!(expression, Some(Ok(when)) if when.uses_item())
}

/// The name of the policy that decides about a task's handoffs.
#[must_use]
pub fn approval_of<'a>(plan: &'a Plan, task: &'a Task, rules: &'a Rules) -> &'a str {
    let named = task.approval.as_deref().or(plan.defaults.approval.as_deref());
    named.unwrap_or_else(|| rules.default_for(Asked::Handoff))
}

fn spec(
    (plan, task): (&Plan, &Task),
    task_id: TaskId,
    needs: Vec<TaskId>,
    rules: &Rules,
) -> Result<TaskSpec, LowerError> {
    let retries = task.retries.clone().or_else(|| plan.defaults.retries.clone()).unwrap_or_default();
    Ok(TaskSpec {
        task_id,
        key: task.id.clone(),
        needs,
        max_attempts: retries.max.saturating_add(1),
        backoff_ms: span_ms(&task.id, &retries.backoff)?,
        max_backoff_ms: span_ms(&task.id, &retries.max_backoff)?,
        limits: LimitSpec { start_to_close_ms: timeout_ms(plan, task)?, ..default_limits() },
        policy: policy(plan, approval_of(plan, task, rules), rules)?,
        has_when: task.when.is_some() && !when_is_per_item(task),
        is_foreach: task.foreach.is_some(),
        kind: if task.agent.is_some() { TaskKind::Agent } else { TaskKind::Script },
        budget: budget_of(&task.id, &task.budget)?,
    })
}

/// A budget as the core counts it.
///
/// # Errors
/// [`LowerError::BadDuration`]; `of` names whose it is.
pub fn budget_of(of: &str, budget: &Budget) -> Result<BudgetSpec, LowerError> {
    Ok(BudgetSpec {
        usd_nanos: budget.usd.map(usd_nanos),
        tokens: budget.tokens,
        vm_ms: budget.vm_seconds.map(|seconds| seconds.saturating_mul(1000)),
        wall_ms: budget.wall.as_ref().map(|span| span_ms(of, span)).transpose()?,
        turns: budget.turns,
    })
}

/// Dollars to billionths. What is no amount of money counts as none at all; [`super::check`] refuses it before.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, and that is meant")]
#[must_use]
pub fn usd_nanos(usd: f64) -> u64 {
    (usd * 1e9).round() as u64
}

/// The four limits where nothing is said.
#[must_use]
pub const fn default_limits() -> LimitSpec {
    LimitSpec {
        schedule_to_start_ms: SCHEDULE_TO_START_MS,
        start_to_close_ms: DEFAULT_TIMEOUT_MS,
        heartbeat_ms: HEARTBEAT_MS,
        schedule_to_close_ms: SCHEDULE_TO_CLOSE_MS,
    }
}

fn timeout_ms(plan: &Plan, task: &Task) -> Result<u64, LowerError> {
    match task.timeout.as_ref().or(plan.defaults.timeout.as_ref()) {
        Some(span) => span_ms(&task.id, span),
        None => Ok(DEFAULT_TIMEOUT_MS),
    }
}

fn span_ms(task: &str, span: &Span) -> Result<u64, LowerError> {
    span.as_ms().ok_or_else(|| LowerError::BadDuration { task: task.to_owned(), text: span.0.clone() })
}

/// A check's name where the plan gives none: the first line of its command, cut to a table's width.
fn name_from(run: &str) -> String {
    let line = run.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.chars().count() <= NAME_CHARS {
        return line.to_owned();
    }
    line.chars().take(NAME_CHARS - 1).chain(['…']).collect()
}

#[cfg(test)]
#[path = "lower_tests.rs"]
mod tests;
