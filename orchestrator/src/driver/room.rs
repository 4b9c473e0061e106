//! One open project in memory: the plan core's state and what belongs to it, moved record by record. What a record
//! changes in the projections is derived here, while living and while rebuilding alike.

use std::collections::HashSet;

use bus_schemas::{
    id::{ProjectId, TaskId},
    time::UnixMs,
    v1::{
        agent::Pause,
        api::{CapabilityView, FailureView, OverBudgetView, QuestionView},
        handoff::Usage,
        task::FailureReason,
    },
};

use super::{
    audit::{Audited, Happened},
    detail::{Detail, Details, ProjectDetail},
    feed, route, spend, words,
};
use crate::{
    plan::{
        self, Command, Outcome, Plan,
        event::Fact,
        request::Approval,
        task::{Task, TaskState},
    },
    port::journal::{About, ApprovalRow, Change, Progress, ProjectRow, Projector, Record, TaskRow},
};

/// An open project.
#[derive(Debug)]
pub(super) struct Room {
    /// The plan core's state.
    pub(super) plan: Plan,
    /// What belongs to it.
    pub(super) details: Details,
    /// The version of its last record.
    pub(super) version: u64,
    /// Commands in the outbox that are not performed yet.
    pub(super) pending: u32,
    /// What the audit log has of it.
    audited: Audited,
}

/// What a record did.
#[derive(Debug)]
pub(super) struct Taken {
    /// What the core wants done.
    pub(super) commands: Vec<Command>,
    /// What changed in the projections; empty if nothing happened at all.
    pub(super) changes: Vec<Change>,
}

/// Why a record was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    /// The core rejects it.
    #[error(transparent)]
    Rejected(#[from] plan::Rejected),
    /// It lacks what belongs beside it.
    #[error("record {seq} has no fitting detail")]
    NoDetail {
        /// The record.
        seq: u64,
    },
}

impl Room {
    /// The room of a new project, from its first record.
    pub(super) fn create(record: &Record, detail: Option<&Detail>) -> Result<(Self, Taken), NotTaken> {
        let Some(Detail::Project(project)) = detail else { return Err(NotTaken::NoDetail { seq: record.seq }) };
        let (plan, outcome) = Plan::create(&record.event)?;
        let mut room = Self {
            plan,
            details: Details::new(ProjectDetail::clone(project)),
            version: record.version,
            pending: 0,
            audited: Audited::default(),
        };
        let at = record.event.at;
        let mut changes = vec![Change::ProjectAdded(room.project_row(at))];
        for (position, task) in room.plan.tasks().iter().enumerate() {
            changes.push(Change::TaskAdded(room.task_row(position, task, at)));
        }
        // Every task is new: readers look at the project, not at a list of all of them.
        room.derive(record, None, &outcome, &mut changes, &[]);
        changes.push(Change::Spent { project_id: record.project_id, spend: Box::new(room.spend(at)) });
        Ok((room, Taken { commands: outcome.commands, changes }))
    }

    /// Moves by one record.
    pub(super) fn take(&mut self, record: &Record, detail: Option<&Detail>) -> Result<Taken, NotTaken> {
        let before = self.plan.tasks().len();
        let outcome = plan::step(&mut self.plan, &record.event)?;
        if outcome.is_nothing() {
            return Ok(Taken { commands: Vec::new(), changes: Vec::new() });
        }
        self.version = record.version;
        self.remember(&record.event.fact, detail, &outcome);
        let at = record.event.at;
        let mut changes: Vec<Change> = outcome.removed.iter().copied().map(Change::TaskRemoved).collect();
        // Another plan stands where the one before stood; everything else is added behind.
        let behind = match &record.event.fact {
            Fact::PlanProposed { tasks, .. } => self.plan.tasks().len().saturating_sub(tasks.len()),
            _ => before.min(self.plan.tasks().len()),
        };
        let added: Vec<(usize, &Task)> = self.plan.tasks().iter().enumerate().skip(behind).collect();
        let fresh: HashSet<TaskId> = added.iter().map(|(_, task)| task.spec.task_id).collect();
        changes.extend(added.iter().map(|(position, task)| Change::TaskAdded(self.task_row(*position, task, at))));
        changes.extend(self.rewired(&outcome));
        let is_large = matches!(record.event.fact, Fact::PlanProposed { .. });
        let touched: Vec<TaskId> =
            outcome.touched.iter().filter(|id| !(is_large && fresh.contains(id))).copied().collect();
        self.derive(record, detail, &outcome, &mut changes, &touched);
        if outcome.spent || outcome.project_changed {
            changes.push(Change::Spent { project_id: record.project_id, spend: Box::new(self.spend(at)) });
        }
        Ok(Taken { commands: outcome.commands, changes })
    }

    /// Keeps what the core does not.
    fn remember(&mut self, fact: &Fact, detail: Option<&Detail>, outcome: &Outcome) {
        match (fact, detail) {
            (Fact::TaskExpanded { task_id, .. }, Some(Detail::Elements(elements))) => {
                self.details.expand(*task_id, elements.clone());
            }
            (Fact::PlanProposed { .. }, Some(Detail::Project(project))) => {
                let planner = self.plan.planner().map(|task| task.spec.key.clone());
                self.details.replace(ProjectDetail::clone(project), planner.as_deref());
            }
            (Fact::AttemptPaused { approval_id, .. }, Some(Detail::Pause(pause))) => {
                pause.effect.iter().cloned().for_each(|order| self.details.offer_effect(*approval_id, order));
                pause.clarifier.iter().cloned().for_each(|task| self.details.help(task));
            }
            (Fact::ApprovalQuestioned { .. }, Some(Detail::Clarifier(task))) => {
                self.details.help(task.as_ref().clone());
            }
            (Fact::SpendSettled { task_id, .. }, Some(Detail::Spend(spend))) if spend.price_assumed => {
                self.details.assume_price(*task_id);
            }
            (Fact::PatchProposed { approval_id, .. }, Some(Detail::Patch(patch))) => {
                self.details.propose(*approval_id, patch.as_ref().clone());
            }
            (Fact::SkillProposed { approval_id, .. }, Some(Detail::Skill(skill))) => {
                self.details.offer_skill(*approval_id, skill.as_ref().clone());
            }
            _ => {}
        }
        for command in &outcome.commands {
            if let Command::PatchApplied { approval_id } = command {
                self.details.patch(*approval_id);
            }
        }
    }

    /// What tasks need instead, since a change of the plan is in force.
    fn rewired(&self, outcome: &Outcome) -> Vec<Change> {
        let applied = outcome.commands.iter().filter_map(|command| match command {
            Command::PatchApplied { approval_id } => self.plan.patch(*approval_id),
            _ => None,
        });
        let tasks = applied.flat_map(|patch| patch.spec.needs.iter().filter_map(|(id, _)| self.plan.task(*id)));
        tasks.map(|task| Change::Rewired { task_id: task.spec.task_id, needs: self.needs_of(task) }).collect()
    }

    fn spend(&self, at: UnixMs) -> bus_schemas::v1::api::SpendView {
        spend::of_project(&self.plan, &self.details, at)
    }

    fn derive(
        &mut self,
        record: &Record,
        detail: Option<&Detail>,
        outcome: &Outcome,
        changes: &mut Vec<Change>,
        touched: &[TaskId],
    ) {
        let project_id = record.project_id;
        let at = record.event.at;
        for task in touched.iter().filter_map(|id| self.plan.task(*id)) {
            changes.push(Change::TaskMoved(project_id, task.spec.task_id, self.progress(task, at)));
            changes.extend(failure(task, at, detail));
        }
        match detail {
            Some(Detail::Failure(failure)) => changes.push(used(project_id, failure.usage.clone())),
            Some(Detail::Pause(pause)) => changes.push(used(project_id, pause.usage.clone())),
            Some(Detail::Handoff(handoff)) => changes.push(used(project_id, handoff.usage.clone())),
            _ => {}
        }
        if let (Fact::HandoffReceived { task_id, number, .. }, Some(Detail::Handoff(handoff))) =
            (&record.event.fact, detail)
        {
            changes.push(Change::HandedOff { task_id: *task_id, attempt: *number, handoff: handoff.clone() });
        }
        let mut asked = Vec::new();
        for approval in outcome.approvals.iter().filter_map(|id| self.plan.approval(*id)) {
            if approval.asked_at == at && approval_is_new(&record.event.fact, approval) {
                asked.push(approval.approval_id);
                let about = self.about(approval, detail).map(Box::new);
                changes.push(Change::Asked(approval_row(project_id, approval, about, at)));
            } else if !matches!(record.event.fact, Fact::ApprovalViewed { .. }) {
                let (approval_id, expires_at) = (approval.approval_id, approval.expires_at);
                changes.push(Change::Reshown { approval_id, expires_at, route: Box::new(route::view(approval, at)) });
            }
            if let Some(decision) = words::decision(approval) {
                changes.push(Change::Decided { approval_id: approval.approval_id, decision: Some(decision) });
            }
        }
        let ProjectDetail { folder, skills, .. } = self.details.project.as_ref();
        let happened = Happened { record, plan: &self.plan, outcome, folder, asked: &asked, skills };
        changes.extend(self.audited.changes(&happened));
        if outcome.project_changed {
            changes.push(Change::ProjectMoved {
                project_id,
                state: words::project_state(self.plan.state()),
                changed_at: self.plan.changed_at(),
                result_commit: self.plan.result_commit().map(str::to_owned),
                settled: self.settled(),
            });
        }
        if matches!(record.event.fact, Fact::ApplyFinished | Fact::ApplyUndone { .. }) {
            changes.push(Change::ProjectApplied { project_id, applied_at: self.plan.applied_at() });
        }
        changes.push(Change::Fed(feed::row(record, &self.plan, outcome, touched)));
    }

    /// Nothing more happens by itself.
    pub(super) fn settled(&self) -> bool {
        self.plan.is_settled()
    }

    fn project_row(&self, at: UnixMs) -> ProjectRow {
        let detail = &self.details.project;
        ProjectRow {
            project_id: self.plan.project_id(),
            title: detail.plan.title.clone(),
            goal: detail.plan.goal.clone(),
            folder: detail.folder.clone(),
            owner: detail.owner.clone(),
            state: words::project_state(self.plan.state()),
            created_at: at,
            base_commit: self.plan.base_commit().to_owned(),
            key: detail.key.clone(),
        }
    }

    /// What is shown of a request.
    fn about(&self, approval: &Approval, detail: Option<&Detail>) -> Option<About> {
        if let Some(wait) = self.plan.budget_wait(approval.approval_id) {
            let owner = wait.task_id.and_then(|id| self.plan.task(id));
            return Some(About::OverBudget(OverBudgetView {
                task_key: owner.map(|task| task.spec.key.clone()).unwrap_or_default(),
                resource: words::resource(wait.resource),
                used: wait.used,
                limit: wait.limit,
            }));
        }
        match detail? {
            Detail::Handoff(handoff) => Some(About::Handoff(handoff.as_ref().clone())),
            Detail::Pause(pause) => match &pause.pause {
                Pause::Question { question, options, stuck } => Some(About::Question(QuestionView {
                    question: question.clone(),
                    options: options.clone(),
                    stuck: *stuck,
                    by_baton: false,
                })),
                Pause::Capability { capability, reason } => {
                    let (capability, reason) = (capability.clone(), reason.clone());
                    let (effect, secret) = (pause.effect.clone(), pause.secret.clone());
                    Some(About::Capability(CapabilityView { capability, reason, effect, secret }))
                }
                _ => None,
            },
            Detail::Question(question) => Some(About::Question(question.as_ref().clone())),
            Detail::Patch(patch) => Some(About::Patch(patch.patch.clone(), patch.plan.clone())),
            Detail::Skill(skill) => Some(About::Skill(skill.as_ref().clone())),
            Detail::Apply(offer) => Some(About::Apply(offer.as_ref().clone())),
            _ => None,
        }
    }

    fn needs_of(&self, task: &Task) -> Vec<String> {
        let needs = task.spec.needs.iter().filter_map(|id| self.plan.task(*id));
        needs.map(|need| need.spec.key.clone()).collect()
    }

    fn task_row(&self, position: usize, task: &Task, at: UnixMs) -> TaskRow {
        // The plan's own tasks stand where the plan file has them, so that most are found without a search.
        // (Behind a planner, one place further.)
        let places = [Some(position), position.checked_sub(1)].into_iter().flatten();
        let mut candidates = places.filter_map(|place| self.details.project.plan.tasks.get(place));
        let own = candidates.find(|own| own.id == task.spec.key);
        let own = own.or_else(|| self.details.task(&task.spec.key));
        TaskRow {
            task_id: task.spec.task_id,
            project_id: self.plan.project_id(),
            position: u32::try_from(position).unwrap_or(u32::MAX),
            key: task.spec.key.clone(),
            title: own.map_or_else(|| task.spec.key.clone(), |own| crate::planfile::lower::title_of(own).to_owned()),
            needs: self.needs_of(task),
            progress: self.progress(task, at),
        }
    }

    fn progress(&self, task: &Task, at: UnixMs) -> Progress {
        let claim = task.claim.as_ref().filter(|_| task.state != TaskState::Ready);
        Progress {
            state: words::task_state(task.state),
            reason: task.reason.clone(),
            attempt: task.attempt,
            stage: claim.filter(|_| task.state == TaskState::Working).and_then(|claim| words::stage(&claim.stage)),
            host_id: claim.and_then(|claim| claim.host_id),
            claimed_at: claim.map(|claim| claim.claimed_at),
            ended_at: task.ended_at,
            max_attempts: task.max_attempts,
            spend: Box::new(spend::of_task(task, &self.details, at)),
        }
    }
}

/// A request is new in the record that makes it, and only there.
fn approval_is_new(fact: &Fact, approval: &Approval) -> bool {
    match fact {
        Fact::ProjectCreated(created) => created.approval_id == approval.approval_id,
        Fact::EffectUnknown(unknown) => unknown.question_id == approval.approval_id,
        Fact::HandoffReceived { approval_id, .. }
        | Fact::AttemptPaused { approval_id, .. }
        | Fact::BudgetReached { approval_id, .. }
        | Fact::PlanProposed { approval_id, .. }
        | Fact::PatchProposed { approval_id, .. }
        | Fact::SkillProposed { approval_id, .. }
        | Fact::ApplyOffered { approval_id, .. } => *approval_id == approval.approval_id,
        _ => false,
    }
}

fn approval_row(project_id: ProjectId, approval: &Approval, about: Option<Box<About>>, at: UnixMs) -> ApprovalRow {
    ApprovalRow {
        approval_id: approval.approval_id,
        project_id,
        subject: words::subject(approval.subject),
        digest: approval.digest.clone(),
        policy: approval.policy().to_owned(),
        asked_at: approval.asked_at,
        expires_at: approval.expires_at,
        about,
        route: Box::new(route::view(approval, at)),
        prompts: approval.decision.is_none(),
    }
}

/// The task's failure, if it is of this instant.
fn failure(task: &Task, at: UnixMs, detail: Option<&Detail>) -> Option<Change> {
    let failure = task.failure.as_ref().filter(|failure| failure.failed_at == at)?;
    let output_tail = match detail {
        Some(Detail::Failure(detail)) => detail.output_tail.clone(),
        _ => String::new(),
    };
    let failure = FailureView {
        attempt: failure.number,
        reason: words::failure_reason(&failure.reason).unwrap_or(FailureReason::HostError),
        detail: failure.detail.clone(),
        output_tail,
    };
    Some(Change::Failed { task_id: task.spec.task_id, failure })
}

const fn used(project_id: ProjectId, usage: Usage) -> Change {
    Change::Used { project_id, usage }
}

/// Derives every projection from the journal alone.
#[must_use]
pub fn projector() -> Box<dyn Projector + Send> {
    Box::new(Refold::default())
}

/// Folds the whole journal, one project after the other.
#[derive(Debug, Default)]
pub(super) struct Refold {
    room: Option<Room>,
}

impl Projector for Refold {
    fn project(&mut self, record: &Record) -> Result<Vec<Change>, String> {
        let detail = parse_detail(record)?;
        let detail = detail.as_ref();
        match self.room.as_mut().filter(|room| room.plan.project_id() == record.project_id) {
            Some(room) => room.take(record, detail).map(|taken| taken.changes).map_err(|e| e.to_string()),
            None => {
                let (room, taken) = Room::create(record, detail).map_err(|e| e.to_string())?;
                self.room = Some(room);
                Ok(taken.changes)
            }
        }
    }
}

/// A record's detail.
pub(super) fn parse_detail(record: &Record) -> Result<Option<Detail>, String> {
    record
        .detail
        .as_deref()
        .map(|text| serde_json::from_str(text).map_err(|e| format!("detail of record {}: {e}", record.seq)))
        .transpose()
}
