//! The rows of the audit log and of the projections, as the driver derives them.

use bus_schemas::{
    id::{ApprovalId, HostId, ProjectId, TaskId},
    json::Json,
    time::UnixMs,
    v1::{
        api::{
            ApplyOffer, CapabilityView, OverBudgetView, QuestionView, RememberScope, Risk, RouteView, SkillProposal,
            SpendView,
        },
        approval::ApprovalSubject,
        call::PlanPatch,
        handoff::Handoff,
        plan::Plan,
        project::ProjectState,
        task::{Stage, TaskState},
    },
};
use serde::{Deserialize, Serialize};

/// An entry of the audit log, before the log gives it its number and chains it.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// The journal record it is about.
    pub seq: u64,
    /// When.
    pub at: UnixMs,
    /// `noun.verb`.
    pub kind: &'static str,
    /// The project.
    pub project_id: ProjectId,
    /// The request; nil if it is about none.
    pub approval_id: ApprovalId,
    /// What it is about, in a word.
    pub subject: String,
    /// The digest of what was shown.
    pub digest: String,
    /// Who.
    pub actor: String,
    /// Over which channel.
    pub channel: String,
    /// What belongs to the kind.
    pub detail: Json,
}

/// The version of what entries of the audit log are made from records. It grows when kinds are added that records of before
/// would have had, too: then [`AuditRow::since`] names them.
pub const AUDITOR: u32 = 2;

impl AuditRow {
    /// The first auditor that wrote entries of this kind. An older one's log lacks them, and is whole.
    #[must_use]
    pub fn since(&self) -> u32 {
        match self.kind {
            "budget.raised" | "project.canceled" | "task.canceled" | "result.applied" | "result.resumed"
            | "result.undone" | "plan.edited" | "skill.admitted" => 2,
            _ => 1,
        }
    }
}

/// A decision that counts for later requests, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedRow {
    /// The request that was decided.
    pub approval_id: ApprovalId,
    /// Its project.
    pub project_id: ProjectId,
    /// Whose decision.
    pub by: String,
    /// The kind of request, as a word.
    pub kind: String,
    /// The policy.
    pub policy: String,
    /// The thing: a task's key without its index, a host.
    pub subject: String,
    /// The folder.
    pub folder: String,
    /// For what.
    pub scope: RememberScope,
    /// Up to which risk.
    pub risk: Risk,
    /// Since when.
    pub since: UnixMs,
    /// Until when.
    pub until: UnixMs,
}

/// A project, as it starts.
#[derive(Clone, Debug)]
pub struct ProjectRow {
    /// Its id.
    pub project_id: ProjectId,
    /// Its title.
    pub title: String,
    /// Its goal.
    pub goal: String,
    /// Its folder.
    pub folder: String,
    /// Its owner.
    pub owner: String,
    /// Its state.
    pub state: ProjectState,
    /// When it was created.
    pub created_at: UnixMs,
    /// The commit its folder was copied into.
    pub base_commit: String,
    /// What it was started by: no two projects have the same.
    pub key: Option<String>,
}

/// A task, as it starts.
#[derive(Clone, Debug)]
pub struct TaskRow {
    /// Its id.
    pub task_id: TaskId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its place in the plan.
    pub position: u32,
    /// Its key.
    pub key: String,
    /// Its title.
    pub title: String,
    /// Keys of the tasks it needs.
    pub needs: Vec<String>,
    /// Where it is.
    pub progress: Progress,
}

/// Where a task is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Its state.
    pub state: TaskState,
    /// Why.
    pub reason: String,
    /// Its attempt, 0 before the first.
    pub attempt: u32,
    /// Where the attempt is.
    pub stage: Option<Stage>,
    /// Who works on it.
    pub host_id: Option<HostId>,
    /// When the attempt was claimed.
    pub claimed_at: Option<UnixMs>,
    /// When the task ended.
    pub ended_at: Option<UnixMs>,
    /// The most attempts it gets now.
    pub max_attempts: u32,
    /// What it spent so far.
    pub spend: Box<SpendView>,
}

/// A request, as it is asked.
#[derive(Clone, Debug)]
pub struct ApprovalRow {
    /// Its id.
    pub approval_id: ApprovalId,
    /// Its project.
    pub project_id: ProjectId,
    /// What it is about.
    pub subject: ApprovalSubject,
    /// The digest of what is shown.
    pub digest: String,
    /// The policy that asked.
    pub policy: String,
    /// When.
    pub asked_at: UnixMs,
    /// When it expires.
    pub expires_at: Option<UnixMs>,
    /// What is shown of it.
    pub about: Option<Box<About>>,
    /// How it is decided.
    pub route: Box<RouteView>,
    /// A person is asked: nothing decided it in the same breath.
    pub prompts: bool,
}

/// What is shown to those who decide; plans are read from the journal instead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A handoff.
    Handoff(Handoff),
    /// A question.
    Question(QuestionView),
    /// A limit.
    OverBudget(OverBudgetView),
    /// A change of the plan, and the plan as it would be.
    Patch(PlanPatch, Plan),
    /// A skill.
    Skill(SkillProposal),
    /// Something an agent asks for.
    Capability(CapabilityView),
    /// The result, before it is put into the folder.
    Apply(ApplyOffer),
}

/// What readers of the feed see of a record.
#[derive(Clone, Debug)]
pub struct FeedRow {
    /// The record.
    pub seq: u64,
    /// The project.
    pub project_id: ProjectId,
    /// When.
    pub at: UnixMs,
    /// `noun.verb`.
    pub kind: String,
    /// The task it is about.
    pub task_key: Option<String>,
    /// The project's state afterwards.
    pub project_state: ProjectState,
    /// One line for people.
    pub text: String,
    /// The tasks that changed.
    pub tasks: Vec<TaskId>,
    /// The request it is about.
    pub approval_id: Option<ApprovalId>,
    /// The project itself changed.
    pub project_changed: bool,
}
