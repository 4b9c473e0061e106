//! Every fact that asks people gets its route here, before the core is told: what the policies say about exactly this
//! request, with the people of this instant and the decisions that are remembered.

use std::{collections::BTreeSet, sync::Arc};

use bus_schemas::{
    id::{ProjectId, TaskId},
    time::UnixMs,
    v1::{
        agent::Pause,
        api::{Capability, RememberedView},
        handoff::{ChangeKind, ChangedPath, Handoff, Isolation},
        plan,
        skill::SkillReview,
    },
};

use super::{
    detail::{Detail, Details, ProjectDetail},
    room::Room,
};
use crate::{
    ledger::{Asked, Route, Ruling},
    plan::{
        Plan,
        event::{Fact, PauseSpec},
        task::{Task, TaskState},
    },
    planfile::{
        lower::{POLICY_ASK, approval_of, title_of},
        patch,
    },
    policy::{
        Asking, CapabilityFacts, CheckFacts, EFFECT, Facts, ProjectFacts, Rules, SECRET, SpendFacts, TaskFacts, route,
    },
    port::journal::{Change, RememberedRow},
};

/// The rule that is named where a person must decide whatever the policy says.
const PERSON: &str = "a person must decide";

/// Who is asked.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) rules: Arc<Rules>,
    /// Decisions people let count for later requests and did not take back.
    remembered: Vec<RememberedView>,
}

/// What a fact is about.
struct About<'a> {
    project_id: ProjectId,
    at: UnixMs,
    /// The document in force, or the one that is proposed.
    project: &'a ProjectDetail,
    room: Option<&'a Room>,
}

impl Desk {
    pub(super) fn new(rules: Arc<Rules>, remembered: Vec<RememberedView>) -> Self {
        let remembered = remembered.into_iter().filter(|decision| decision.revoked_by.is_none()).collect();
        Self { rules, remembered }
    }

    /// Takes in what a durable transaction changed.
    pub(super) fn learn(&mut self, changes: &[Change], now: UnixMs) {
        for change in changes {
            match change {
                Change::Remembered(row) => self.remembered.push(view(row)),
                Change::RememberedRevoked { approval_id, .. } => {
                    self.remembered.retain(|decision| decision.approval_id != *approval_id);
                }
                _ => continue,
            }
            self.remembered.retain(|decision| now < decision.until);
        }
    }

    /// Puts the route into a fact that asks; any other is left as it is.
    pub(super) fn route(
        &self,
        project_id: ProjectId,
        fact: &mut Fact,
        room: Option<&Room>,
        detail: Option<&Detail>,
        at: UnixMs,
    ) {
        let proposed = match detail {
            Some(Detail::Project(project)) => Some(project.as_ref()),
            _ => None,
        };
        let Some(project) = proposed.or_else(|| room.map(|room| room.details.project.as_ref())) else { return };
        let about = About { project_id, at, project, room };
        match fact {
            Fact::ProjectCreated(created) if created.planning.is_none() => {
                created.route = Some(Box::new(self.plan(&about, project, &project.owner)));
            }
            Fact::PlanProposed { route, by, .. } => {
                // Who approves it is said at the start: neither a planner nor an edit changes that.
                let started = room.map_or(project, |room| room.details.started.as_ref());
                let asked = self.plan(&about, started, by);
                // An agent may have written it: it gives itself no secret that nobody looked at.
                let uses = project.plan.tasks.iter().find(|task| !task.secrets.is_empty());
                *route = Some(Box::new(match uses {
                    Some(task) => {
                        self.insist(asked, format!("`{}` of a plan that was proposed uses a secret", task.id))
                    }
                    None => asked,
                }));
            }
            Fact::HandoffReceived { task_id, route, .. } => *route = self.handoff(&about, *task_id, detail),
            Fact::AttemptPaused { task_id, pause, route, .. } => *route = self.pause(&about, *task_id, pause, detail),
            Fact::BudgetReached { task_id, route, .. } => {
                *route = Some(Box::new(self.plain(&about, Asked::Budget, *task_id)));
            }
            Fact::SkillProposed { task_id, route, .. } => {
                *route = Some(Box::new(self.plain(&about, Asked::Skill, *task_id)));
            }
            Fact::EffectUnknown(unknown) => {
                let effect = room.and_then(|room| room.plan.effect(unknown.approval_id));
                unknown.route = effect.map(|effect| Box::new(self.plain(&about, Asked::Question, effect.task_id)));
            }
            Fact::PatchProposed { task_id, route, .. } => *route = self.patch(&about, *task_id, detail),
            Fact::ApplyOffered { route, .. } => **route = self.apply(&about, detail),
            _ => {}
        }
    }

    fn decide(&self, about: &About<'_>, facts: &Facts, policy: &str) -> Route {
        self.decide_by(about, &about.project.plan, facts, policy)
    }

    fn decide_by(&self, about: &About<'_>, document: &plan::Plan, facts: &Facts, policy: &str) -> Route {
        let own = &document.policies;
        let asking = Asking {
            rules: &self.rules,
            own,
            facts,
            project_id: about.project_id,
            remembered: &self.remembered,
            now: about.at,
        };
        route(&asking, policy)
    }

    /// People are asked, whatever the policy says.
    fn insist(&self, mut route: Route, why: String) -> Route {
        if !route.asks() {
            route.ruling = Ruling::Ask(self.rules.people.anyone());
            route.rule = Some(PERSON.to_owned());
            route.risk_reasons.push(why);
        }
        route
    }

    fn plan(&self, about: &About<'_>, started: &ProjectDetail, by: &str) -> Route {
        let project = about.project;
        let document = &project.plan;
        let mut facts = about.facts(Asked::Plan);
        facts.asked_by = by.to_owned();
        facts.edited_by.clone_from(&project.edited_by);
        facts.tasks = document.tasks.len() as u64;
        facts.secrets = secrets(&document.tasks);
        facts.hosts = hosts(&document.tasks);
        self.add_hosts(&mut facts);
        facts.checks.total = document.tasks.iter().map(|task| task.checks.len() as u64).sum();
        facts.checks.passed = facts.checks.total;
        let name = started.plan.approval.as_deref().unwrap_or_else(|| self.rules.default_for(Asked::Plan));
        let route = self.decide_by(about, &started.plan, &facts, name);
        match project.skills.iter().find(|skill| SkillReview::needs_approval(skill)) {
            Some(skill) => self.insist(route, format!("nobody has admitted the skill {} as it is", skill.name)),
            None => route,
        }
    }

    fn handoff(&self, about: &About<'_>, task_id: TaskId, detail: Option<&Detail>) -> Option<Box<Route>> {
        let task = about.task(task_id).filter(|task| !task.spec.kind.is_helper())?;
        let Some(Detail::Handoff(handoff)) = detail else { return None };
        let mut facts = self.facts_of(about, Asked::Handoff, task);
        handed(&mut facts, handoff);
        let plan = &about.project.plan;
        let document = about.document(task);
        let name = document.map_or(POLICY_ASK, |document| approval_of(plan, document, &self.rules));
        Some(Box::new(self.decide(about, &facts, name)))
    }

    fn pause(
        &self,
        about: &About<'_>,
        task_id: TaskId,
        pause: &PauseSpec,
        detail: Option<&Detail>,
    ) -> Option<Box<Route>> {
        let task = about.task(task_id)?;
        let route = match pause {
            PauseSpec::Question { .. } => self.plain(about, Asked::Question, task_id),
            PauseSpec::Budget => self.plain(about, Asked::Budget, task_id),
            PauseSpec::Capability { host } => {
                let kind = match detail {
                    Some(Detail::Pause(pause)) => match &pause.pause {
                        Pause::Capability { capability: Capability::Host { .. }, .. } => "host",
                        _ => "",
                    },
                    _ => "host",
                };
                let mut facts = asked_for(about, task, kind, host);
                facts.hosts = vec![host.clone()];
                facts.secrets.clear();
                self.capability(about, &facts)
            }
            PauseSpec::Secret { name, terms, problem: None } => self.secret(about, task, (name, terms)),
            PauseSpec::Effect { name, problem: None } => self.capability(about, &asked_for(about, task, EFFECT, name)),
            PauseSpec::Effect { problem: Some(_), .. }
            | PauseSpec::Secret { problem: Some(_), .. }
            | PauseSpec::RateLimited { .. }
            | PauseSpec::Bounce { .. } => {
                return None;
            }
        };
        Some(Box::new(route))
    }

    fn secret(&self, about: &About<'_>, task: &Task, (name, terms): (&str, &str)) -> Route {
        let mut facts = asked_for(about, task, SECRET, name);
        (facts.hosts, facts.secrets) = (Vec::new(), vec![name.to_owned()]);
        terms.clone_into(&mut facts.secret_terms);
        self.add_hosts(&mut facts);
        self.capability(about, &facts)
    }

    fn capability(&self, about: &About<'_>, facts: &Facts) -> Route {
        let named = about.project.plan.capabilities.as_deref();
        self.decide(about, facts, named.unwrap_or_else(|| self.rules.default_for(Asked::Capability)))
    }

    fn facts_of(&self, about: &About<'_>, kind: Asked, task: &Task) -> Facts {
        let mut facts = about.facts_of(kind, task);
        self.add_hosts(&mut facts);
        facts
    }

    /// Whoever may use a secret reaches its hosts.
    fn add_hosts(&self, facts: &mut Facts) {
        for secret in facts.secrets.iter().filter_map(|name| self.rules.secret(name)) {
            for host in secret.bare_hosts() {
                if !facts.hosts.iter().any(|known| known == host) {
                    facts.hosts.push(host.to_owned());
                }
            }
        }
    }

    /// What people are always asked about.
    fn plain(&self, about: &About<'_>, kind: Asked, task_id: TaskId) -> Route {
        let facts = match about.task(task_id) {
            Some(task) => self.facts_of(about, kind, task),
            None => about.facts(kind),
        };
        self.decide(about, &facts, POLICY_ASK)
    }

    fn patch(&self, about: &About<'_>, task_id: TaskId, detail: Option<&Detail>) -> Option<Box<Route>> {
        let task = about.task(task_id)?;
        let Some(Detail::Patch(waiting)) = detail else { return None };
        let mut facts = about.facts_of(Asked::Patch, task);
        facts.secrets = secrets(&waiting.patch.add);
        facts.tasks = waiting.patch.add.len() as u64;
        facts.hosts = hosts(&waiting.patch.add);
        self.add_hosts(&mut facts);
        facts.edited_by.clone_from(&about.project.edited_by);
        let plan = &about.project.plan;
        let name = plan.replan.as_deref().unwrap_or_else(|| self.rules.default_for(Asked::Patch));
        let route = self.decide(about, &facts, name);
        // As with a plan that was proposed: an agent gives new tasks no secret that nobody looked at.
        let uses = waiting.patch.add.iter().find(|task| !task.secrets.is_empty());
        let uses = uses.map(|task| format!("`{}`, which it adds, uses a secret", task.id));
        Some(Box::new(match patch::needs_person(plan, &waiting.patch, &self.rules).or(uses) {
            Some(why) => self.insist(route, why),
            None => route,
        }))
    }

    fn apply(&self, about: &About<'_>, detail: Option<&Detail>) -> Route {
        let mut facts = about.facts(Asked::Apply);
        if let Some(Detail::Apply(offer)) = detail {
            changed(&mut facts, &offer.changed_paths);
            (facts.lines_added, facts.lines_removed) = (offer.lines_added, offer.lines_removed);
        }
        let tasks = about.room.map(|room| room.plan.tasks()).unwrap_or_default();
        let own = tasks.iter().filter(|task| !task.spec.kind.is_helper() && !task.spec.is_foreach);
        for task in own.filter(|task| task.state.is_done()) {
            facts.checks.total += 1;
            facts.checks.passed += u64::from(task.state == TaskState::Completed);
        }
        facts.asked_by.clone_from(&facts.started_by);
        let named = about.project.plan.apply.as_deref();
        self.decide(about, &facts, named.unwrap_or_else(|| self.rules.default_for(Asked::Apply)))
    }
}

/// The facts of a request for a capability.
fn asked_for(about: &About<'_>, task: &Task, kind: &str, name: &str) -> Facts {
    let mut facts = about.facts_of(Asked::Capability, task);
    facts.capability = CapabilityFacts { kind: kind.to_owned(), name: name.to_owned() };
    facts
}

impl<'a> About<'a> {
    fn plan(&self) -> Option<&'a Plan> {
        self.room.map(|room| &room.plan)
    }

    fn details(&self) -> Option<&'a Details> {
        self.room.map(|room| &room.details)
    }

    fn task(&self, task_id: TaskId) -> Option<&'a Task> {
        self.plan()?.task(task_id)
    }

    fn document(&self, task: &Task) -> Option<&'a plan::Task> {
        self.details()?.task(&task.spec.key)
    }

    /// What is known whatever is asked.
    fn facts(&self, kind: Asked) -> Facts {
        let ProjectDetail { folder, owner, channel, plan, .. } = self.project;
        let mut facts = Facts::of(kind);
        facts.project = ProjectFacts {
            title: plan.title.clone(),
            folder: folder.clone(),
            owner: owner.clone(),
            channel: channel.clone(),
        };
        facts.started_by.clone_from(owner);
        if let Some(ledger) = self.plan().map(Plan::ledger) {
            #[expect(clippy::cast_precision_loss, reason = "an amount of money for a comparison")]
            let usd = ledger.spent.usd_nanos as f64 / 1e9;
            facts.spend = SpendFacts { usd, tokens: ledger.spent.tokens, vm_seconds: ledger.vm_ms / 1000 };
        }
        facts
    }

    fn facts_of(&self, kind: Asked, task: &Task) -> Facts {
        let mut facts = self.facts(kind);
        let document = self.document(task);
        facts.task = TaskFacts {
            key: task.spec.key.clone(),
            title: document.map_or_else(|| task.spec.key.clone(), |document| title_of(document).to_owned()),
            network: document.map(|document| document.network.clone()).unwrap_or_default(),
            agent: document.is_some_and(|document| document.agent.is_some()),
            attempt: u64::from(task.attempt),
        };
        facts.hosts.clone_from(&facts.task.network);
        facts.secrets = document.map(|document| document.secrets.clone()).unwrap_or_default();
        facts.secrets.extend(task.granted_secrets.keys().cloned());
        facts.asked_by.clone_from(&task.spec.key);
        facts
    }
}

/// What of a transaction's changes is about later requests, too.
pub(super) fn lasting(changes: &[Change]) -> Vec<Change> {
    let is_lasting = |change: &&Change| matches!(change, Change::Remembered(_) | Change::RememberedRevoked { .. });
    changes.iter().filter(is_lasting).cloned().collect()
}

/// What a handoff says.
fn handed(facts: &mut Facts, handoff: &Handoff) {
    changed(facts, &handoff.changed_paths);
    (facts.lines_added, facts.lines_removed) = (handoff.lines_added, handoff.lines_removed);
    let total = handoff.evidence.len() as u64;
    let passed = handoff.evidence.iter().filter(|check| check.passed).count() as u64;
    facts.checks = CheckFacts { total, passed, failed: total - passed };
    facts.isolation = match handoff.isolation {
        Isolation::Hardware => "hardware",
        Isolation::Emulated => "emulated",
    }
    .to_owned();
    facts.questions = handoff.open_questions.len() as u64;
    // What it reached beside what it may reach now: a host may have been taken from a plan since.
    for record in handoff.egress.iter().filter(|record| record.allowed) {
        let host = record.target.rsplit_once(':').map_or(record.target.as_str(), |(host, _)| host);
        if !facts.hosts.iter().any(|known| known == host) {
            facts.hosts.push(host.to_owned());
        }
    }
}

fn changed(facts: &mut Facts, paths: &[ChangedPath]) {
    facts.deleted = paths.iter().filter(|path| path.kind == ChangeKind::Deleted).count() as u64;
    facts.paths = paths.iter().map(|path| path.path.clone()).collect();
}

/// The hosts that tasks may reach, each once.
fn hosts(tasks: &[plan::Task]) -> Vec<String> {
    let hosts: BTreeSet<&String> = tasks.iter().flat_map(|task| &task.network).collect();
    hosts.into_iter().cloned().collect()
}

/// The secrets that tasks may use, each once.
fn secrets(tasks: &[plan::Task]) -> Vec<String> {
    let secrets: BTreeSet<&String> = tasks.iter().flat_map(|task| &task.secrets).collect();
    secrets.into_iter().cloned().collect()
}

fn view(row: &RememberedRow) -> RememberedView {
    let RememberedRow { approval_id, project_id, by, kind, policy, subject, folder, .. } = row.clone();
    let (scope, risk, since, until) = (row.scope, row.risk, row.since, row.until);
    RememberedView {
        approval_id,
        project_id,
        by,
        kind,
        policy,
        subject,
        folder,
        scope,
        risk,
        since,
        until,
        used: 0,
        revoked_by: None,
    }
}
