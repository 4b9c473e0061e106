//! What a planner handed on becomes a plan, or is sent back with what is wrong with it.

use std::{collections::BTreeMap, sync::Arc};

use bus_schemas::{
    id::{ApprovalId, TaskId},
    v1::{
        api::{Finding, PlanSource, Severity},
        plan::{Budget, Plan},
        skill::SkillReview,
    },
};
use skills::Catalog;

use super::{
    detail::{Detail, ProjectDetail},
    outbox::Hands,
    perform::{Again, Said, blocking},
};
use crate::{
    digest,
    ledger::Asked,
    plan::event::Fact,
    planfile::{self, lower::lower, planner},
    policy::Rules,
    port::{bus::Bus, journal::Journal, skills::NotKept},
};

/// Skills an agent gets that names none.
const ALL_SKILLS: usize = 50;
/// Findings that a planner is told of.
const FINDINGS: usize = 30;

/// Performs [`crate::plan::Command::AdoptPlan`].
pub(super) async fn adopt<J: Journal, B: Bus>(
    hands: &Arc<Hands<J, B>>,
    task_id: TaskId,
    key: &str,
    started: &Arc<ProjectDetail>,
    base_commit: &str,
) -> Result<Said, Again> {
    let handoff = hands.journal.handoffs(vec![task_id]).await?.into_iter().next();
    let result = handoff.as_ref().and_then(|(_, handoff)| {
        let reported = handoff.report.as_ref().and_then(|report| report.result.as_ref());
        handoff.result.as_ref().or(reported)
    });
    let text = match planner::plan_text(result) {
        Ok(text) => text,
        Err(reason) => return Ok(Some((Fact::PlanUnusable { task_id, reason }, None))),
    };
    let worker = Arc::clone(hands);
    let (started, key, base) = (Arc::clone(started), key.to_owned(), base_commit.to_owned());
    let adopted = blocking(move || worked_out(&worker, &started, &key, &base, text)).await?;
    let fact = match adopted {
        Ok((fact, detail)) => return Ok(Some((fact(task_id), Some(detail)))),
        Err(Unfit::Plan(reason)) => Fact::PlanUnusable { task_id, reason },
        // No fault of the plan's: its planner is not asked for another one.
        Err(Unfit::Host(detail)) => return Err(Again::Skill(detail)),
    };
    Ok(Some((fact, None)))
}

/// Why a plan was not adopted.
enum Unfit {
    /// It must be another one.
    Plan(String),
    /// This machine could not, now.
    Host(String),
}

impl From<NotKept> for Unfit {
    fn from(error: NotKept) -> Self {
        match error {
            NotKept::Unusable(detail) => Self::Plan(detail),
            NotKept::Host(detail) => Self::Host(detail),
        }
    }
}

type Proposal = (Box<dyn FnOnce(TaskId) -> Fact + Send>, Detail);

fn worked_out<J: Journal, B: Bus>(
    hands: &Hands<J, B>,
    started: &ProjectDetail,
    planner_key: &str,
    base_commit: &str,
    text: String,
) -> Result<Proposal, Unfit> {
    let rules = &hands.rules;
    let approval = started.plan.approval.as_deref().unwrap_or_else(|| rules.default_for(Asked::Plan));
    let asks = rules.always_asks(approval, &started.plan.policies);
    let source = planner::source(text, &started.folder);
    let catalog = hands.shelf.catalog(Some(&started.folder));
    let mut plan = sound(&source, &catalog, (&hands.models, rules), Some(planner_key))
        .map_err(|found| Unfit::Plan(sentence(&found)))?;
    if plan.goal.trim().is_empty() {
        plan.goal.clone_from(&started.plan.goal);
    }
    in_force(&mut plan, &started.plan, rules);
    let lowered = lower(&plan, &mut || TaskId::from_uuid(hands.ids.next()), &source.scripts, rules);
    let lowered = lowered.map_err(|error| Unfit::Plan(error.to_string()))?;
    let kept = hands.shelf.keep(&started.folder, &catalog, &skill_names(&plan, &catalog))?;
    let skills = admitted(&plan, kept, asks);
    if let Some(skill) = skills.iter().find(|skill| !asks && skill.needs_approval()) {
        return Err(Unfit::Plan(format!("the skill {} must be admitted by a person first: leave it out", skill.name)));
    }
    let detail = ProjectDetail {
        folder: started.folder.clone(),
        owner: started.owner.clone(),
        plan,
        scripts: source.scripts,
        skills,
        channel: started.channel.clone(),
        edited_by: Vec::new(),
        key: None,
    };
    let plan_digest = plan_digest(&detail, base_commit).map_err(|error| Unfit::Plan(error.to_string()))?;
    let approval_id = ApprovalId::from_uuid(hands.ids.next());
    let fact = move |task_id| Fact::PlanProposed {
        task_id: Some(task_id),
        tasks: lowered.tasks,
        plan_digest,
        policy: lowered.plan_policy,
        approval_id,
        budget: lowered.budget,
        replan_policy: lowered.replan_policy,
        by: "the planner".to_owned(),
        channel: String::new(),
        route: None,
        offers_result: Some(lowered.offers_result),
        instead_of: String::new(),
    };
    Ok((Box::new(fact), Detail::Project(Box::new(detail))))
}

/// Puts into a planner's plan what is in force, whatever it says itself: who approves it, its changes, its result and what
/// agents ask for, as the person asked who started the project, else as `baton.toml` says; and the tighter limits of both.
/// What is shown and edited is then what counts.
fn in_force(plan: &mut Plan, started: &Plan, rules: &Rules) {
    plan.approval.clone_from(&started.approval);
    plan.replan.clone_from(&started.replan);
    plan.apply.clone_from(&started.apply);
    plan.capabilities.clone_from(&started.capabilities);
    if rules.approvals.handoff.is_some() {
        // An agent says nothing else about whom people chose.
        plan.defaults.approval = None;
        plan.tasks.iter_mut().for_each(|task| task.approval = None);
    }
    tighten(&mut plan.budget, &started.budget);
}

/// For each resource the smaller limit of both: what is shown and approved is what counts.
pub fn tighten(own: &mut Budget, given: &Budget) {
    let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
    own.usd = own.usd.into_iter().chain(given.usd).min_by(f64::total_cmp);
    own.tokens = least(own.tokens, given.tokens);
    own.vm_seconds = least(own.vm_seconds, given.vm_seconds);
    own.turns = least(own.turns, given.turns);
    let spans = own.wall.take().into_iter().chain(given.wall.clone());
    own.wall = spans.min_by_key(|span| span.as_ms().unwrap_or(u64::MAX));
}

/// The plan, if it can be worked on here. `taken` is a key that no task may have.
///
/// # Errors
/// Every finding, the warnings included.
pub fn sound(
    source: &PlanSource,
    catalog: &Catalog,
    site: (&planfile::ModelConfig, &Rules),
    taken: Option<&str>,
) -> Result<Plan, Vec<Finding>> {
    examined(source, catalog, site, taken).map(|(plan, _)| plan)
}

/// As [`sound`], with the warnings.
///
/// # Errors
/// Every finding, the warnings included.
pub fn examined(
    source: &PlanSource,
    catalog: &Catalog,
    (models, rules): (&planfile::ModelConfig, &Rules),
    taken: Option<&str>,
) -> Result<(Plan, Vec<Finding>), Vec<Finding>> {
    let report = planfile::check_under(source, catalog, Some(rules));
    let Some(plan) = report.plan else { return Err(report.findings) };
    let mut findings = report.findings;
    findings.extend(planfile::runnable(&plan, source, models));
    if let Some(key) = taken.filter(|key| plan.tasks.iter().any(|task| task.id == *key)) {
        findings.push(Finding {
            severity: Severity::Error,
            code: "reserved_id".to_owned(),
            file: source.file.clone(),
            line: 0,
            column: 0,
            message: format!("the id `{key}` is the planning task's"),
            hint: Some("give the task another id".to_owned()),
        });
    }
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        Err(findings)
    } else {
        Ok((plan, findings))
    }
}

/// The skills that the agents of a plan may use: those they name, and all there are (the first so many) if one names none.
#[must_use]
pub fn skill_names(plan: &Plan, catalog: &Catalog) -> Vec<String> {
    let agents = || plan.tasks.iter().filter_map(|task| task.agent.as_ref());
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    };
    agents().flat_map(|agent| &agent.skills).for_each(|name| add(name));
    if agents().any(|agent| agent.skills.is_empty()) {
        catalog.iter().take(ALL_SKILLS).for_each(|skill| add(&skill.name));
    }
    names
}

/// Without those that no task names and no person admitted, unless a person is asked about the plan.
#[must_use]
pub fn admitted(plan: &Plan, mut kept: Vec<SkillReview>, asks: bool) -> Vec<SkillReview> {
    let is_named = |name: &String| {
        plan.tasks.iter().filter_map(|task| task.agent.as_ref()).any(|agent| agent.skills.contains(name))
    };
    kept.retain(|skill| asks || !skill.needs_approval() || is_named(&skill.name));
    kept
}

/// What a decision on the plan is bound to: all that decides what will run, and on what.
///
/// # Errors
/// Those of [`digest::of`].
pub fn plan_digest(detail: &ProjectDetail, base_commit: &str) -> Result<String, serde_json::Error> {
    #[derive(serde::Serialize)]
    struct Shown<'a> {
        plan: &'a Plan,
        scripts: &'a BTreeMap<String, String>,
        skills: BTreeMap<&'a str, &'a str>,
        folder: &'a str,
        base_commit: &'a str,
    }
    let ProjectDetail { folder, plan, scripts, .. } = detail;
    let skills = detail.skills.iter().map(|skill| (skill.name.as_str(), skill.sha256.as_str())).collect();
    digest::of(&Shown { plan, scripts, skills, folder, base_commit })
}

/// Findings as a note to an agent.
fn sentence(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let mut text = "the plan cannot be used:".to_owned();
    for finding in errors.take(FINDINGS) {
        let hint = finding.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        text.push_str(&format!("\n- line {}: {}{hint} [{}]", finding.line, finding.message, finding.code));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_planner_neither_approves_itself_nor_gives_itself_more() {
        let started = plan(r#"{"version":1,"title":"s","budget":{"usd":1,"turns":9},"tasks":[]}"#);
        let mut own =
            plan(r#"{"version":1,"title":"t","approval":"auto","budget":{"usd":100,"turns":5,"tokens":7},"tasks":[]}"#);
        own.capabilities = Some("auto".to_owned());
        own.apply = Some("auto".to_owned());
        in_force(&mut own, &started, &Rules::default());
        assert_eq!((&own.approval, &own.capabilities, &own.apply), (&None, &None, &None), "a person is asked");
        assert_eq!(own.budget, Budget { usd: Some(1.0), tokens: Some(7), turns: Some(5), ..Budget::default() });
        let auto = Plan { approval: Some("auto".to_owned()), ..started };
        in_force(&mut own, &auto, &Rules::default());
        assert_eq!(own.approval.as_deref(), Some("auto"));
        let mut rules = Rules::default();
        let mut own = plan(
            r#"{"version":1,"title":"t","tasks":[{"id":"a","run":"x","approval":"auto"}],"defaults":{"approval":"auto"}}"#,
        );
        in_force(&mut own, &auto, &rules);
        assert_eq!(own.tasks[0].approval.as_deref(), Some("auto"), "nobody said anything else");
        rules.approvals.handoff = Some("ask".to_owned());
        in_force(&mut own, &auto, &rules);
        assert_eq!((&own.tasks[0].approval, &own.defaults.approval), (&None, &None));
    }
}
