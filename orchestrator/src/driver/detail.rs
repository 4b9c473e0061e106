//! What the plan core does not need but hosts and people do: it travels beside the events, in the journal.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use bus_schemas::{
    id::{ApprovalId, TaskId},
    json::Json,
    secrets::SecretBrief,
    v1::{
        agent::{Pause, Spend},
        api::{ApplyOffer, EffectOrder, QuestionView, SkillProposal},
        call::PlanPatch,
        handoff::{CheckEvidence, Handoff, Usage},
        plan,
        skill::SkillReview,
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    plan::Plan,
    planfile::{
        lower::{split_key, task_of},
        patch,
    },
};

/// What is kept beside an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Beside `ProjectCreated` and `PlanProposed`.
    Project(Box<ProjectDetail>),
    /// Beside `TaskExpanded`: the elements, one per child.
    Elements(Vec<Json>),
    /// Beside `HandoffReceived`.
    Handoff(Box<Handoff>),
    /// Beside `AttemptFailed`.
    Failure(FailureDetail),
    /// Beside `AttemptPaused`.
    Pause(Box<PauseDetail>),
    /// Beside `SpendSettled`.
    Spend(Spend),
    /// Beside `PatchProposed`.
    Patch(Box<PatchDetail>),
    /// Beside `SkillProposed`.
    Skill(Box<SkillProposal>),
    /// Beside `ApplyOffered`.
    Apply(Box<ApplyOffer>),
    /// Beside `EffectUnknown`: what people are asked.
    Question(Box<QuestionView>),
    /// Beside `ApprovalQuestioned`: the task that answers.
    Clarifier(Box<plan::Task>),
}

/// What is kept of a new project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProjectDetail {
    /// The folder, an absolute path.
    pub folder: String,
    /// Who started it.
    pub owner: String,
    /// The plan as it was shown.
    pub plan: plan::Plan,
    /// Texts of the script files it names.
    pub scripts: BTreeMap<String, String>,
    /// The skills its agents may use, as they were when it was proposed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<SkillReview>,
    /// The channel it was started over.
    #[serde(default = "cli")]
    pub channel: String,
    /// People who edited the plan before it was approved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edited_by: Vec<String>,
    /// What it was started by, if whoever starts it may ask twice; said where the project begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl ProjectDetail {
    /// A project without scripts and skills, started on the command line.
    #[must_use]
    pub fn new(folder: &str, owner: &str, plan: plan::Plan) -> Self {
        Self {
            folder: folder.to_owned(),
            owner: owner.to_owned(),
            plan,
            scripts: BTreeMap::new(),
            skills: Vec::new(),
            channel: cli(),
            edited_by: Vec::new(),
            key: None,
        }
    }
}

fn cli() -> String {
    "cli".to_owned()
}

/// What is kept of a pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PauseDetail {
    /// Why, as the host said.
    pub pause: Pause,
    /// What the attempt used.
    pub usage: Usage,
    /// The task that answers, if the handoff of a needed one goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clarifier: Option<plan::Task>,
    /// What exactly would be run, if its agent asks for an effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<EffectOrder>,
    /// What `baton.toml` says of the secret that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretBrief>,
}

/// What is kept of a change of the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatchDetail {
    /// How.
    pub patch: PlanPatch,
    /// The plan as it would be.
    pub plan: plan::Plan,
    /// The skills its agents may use.
    pub skills: Vec<SkillReview>,
}

/// What is kept of a failed attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailureDetail {
    /// The end of what it printed.
    pub output_tail: String,
    /// The checks that ran.
    pub evidence: Vec<CheckEvidence>,
    /// What it used.
    pub usage: Usage,
}

/// What the driver keeps in memory of a project beside its [`Plan`].
#[derive(Clone, Debug)]
pub(super) struct Details {
    /// Its plan's document, as it is in force or waits to be.
    pub(super) project: Arc<ProjectDetail>,
    /// What the project was started with: a plan, or the planning task with the policy and the limits a person gave.
    pub(super) started: Arc<ProjectDetail>,
    /// Tasks that are in no document: the planner once there is a plan, clarifiers.
    helpers: HashMap<String, plan::Task>,
    /// The elements of expanded `foreach` tasks.
    elements: HashMap<TaskId, Arc<Vec<Json>>>,
    /// Changes of the plan that wait.
    patches: HashMap<ApprovalId, PatchDetail>,
    /// Skills that wait.
    skills: HashMap<ApprovalId, SkillProposal>,
    /// Effects that people were asked about: what is run, to the letter.
    effects: HashMap<ApprovalId, EffectOrder>,
    /// Tasks that called a model whose price is not known.
    assumed: HashSet<TaskId>,
}

impl Details {
    pub(super) fn new(project: ProjectDetail) -> Self {
        let project = Arc::new(project);
        Self {
            started: Arc::clone(&project),
            project,
            helpers: HashMap::new(),
            elements: HashMap::new(),
            patches: HashMap::new(),
            skills: HashMap::new(),
            effects: HashMap::new(),
            assumed: HashSet::new(),
        }
    }

    /// Remembers the elements of an expanded task.
    pub(super) fn expand(&mut self, task_id: TaskId, elements: Vec<Json>) {
        self.elements.insert(task_id, Arc::new(elements));
    }

    /// Another plan takes the place of the one before; the planner, if there is one, is remembered.
    pub(super) fn replace(&mut self, project: ProjectDetail, planner: Option<&str>) {
        if let Some(key) = planner
            && let Some(task) = task_of(&self.project.plan, key).filter(|_| !self.helpers.contains_key(key))
        {
            self.helpers.insert(key.to_owned(), task.clone());
        }
        self.project = Arc::new(project);
    }

    /// Remembers a task that is in no document.
    pub(super) fn help(&mut self, task: plan::Task) {
        self.helpers.insert(task.id.clone(), task);
    }

    /// Remembers a change of the plan until it is decided.
    pub(super) fn propose(&mut self, approval_id: ApprovalId, patch: PatchDetail) {
        self.patches.insert(approval_id, patch);
    }

    /// A change of the plan is in force.
    pub(super) fn patch(&mut self, approval_id: ApprovalId) {
        let Some(waiting) = self.patches.remove(&approval_id) else { return };
        let mut project = ProjectDetail::clone(&self.project);
        // The change itself, not the document it made of the plan of its time: another change may have come between.
        project.plan = patch::patched(&project.plan, &waiting.patch);
        for skill in waiting.skills {
            if !project.skills.iter().any(|known| known.name == skill.name) {
                project.skills.push(skill);
            }
        }
        self.project = Arc::new(project);
    }

    /// Remembers a skill until it is decided.
    pub(super) fn offer_skill(&mut self, approval_id: ApprovalId, skill: SkillProposal) {
        self.skills.insert(approval_id, skill);
    }

    /// A proposed skill.
    pub(super) fn skill(&self, approval_id: ApprovalId) -> Option<&SkillProposal> {
        self.skills.get(&approval_id)
    }

    /// Remembers what people were asked to allow.
    pub(super) fn offer_effect(&mut self, approval_id: ApprovalId, order: EffectOrder) {
        self.effects.insert(approval_id, order);
    }

    /// What people were asked to allow.
    pub(super) fn effect(&self, approval_id: ApprovalId) -> Option<&EffectOrder> {
        self.effects.get(&approval_id)
    }

    /// A task called a model whose price is not known.
    pub(super) fn assume_price(&mut self, task_id: TaskId) {
        self.assumed.insert(task_id);
    }

    /// Whether a price was assumed: for a task, or for any.
    pub(super) fn price_assumed(&self, task_id: Option<TaskId>) -> bool {
        task_id.map_or(!self.assumed.is_empty(), |task_id| self.assumed.contains(&task_id))
    }

    /// The task as its document has it; a child's is its parent's.
    pub(super) fn task(&self, key: &str) -> Option<&plan::Task> {
        self.helpers.get(key).or_else(|| task_of(&self.project.plan, key))
    }

    /// The element a child was made for.
    pub(super) fn item(&self, plan: &Plan, task_id: TaskId) -> Option<Json> {
        let parent = plan.parent(task_id)?;
        let (_, index) = split_key(&plan.task(task_id)?.spec.key);
        self.elements.get(&parent.spec.task_id)?.get(index?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn two_changes_looked_at_together_are_both_in_force() {
        let plan: plan::Plan =
            serde_json::from_str(r#"{"version":1,"title":"t","tasks":[{"id":"a","run":"x"}]}"#).unwrap();
        let skill = |name: &str| SkillReview {
            name: name.to_owned(),
            description: String::new(),
            source: "project".to_owned(),
            sha256: name.to_owned(),
            bytes: 1,
            status: bus_schemas::v1::skill::SkillStatus::Locked,
            changed: Vec::new(),
            new_scripts: Vec::new(),
            findings: Vec::new(),
            admitted: None,
        };
        let mut details =
            Details::new(ProjectDetail { skills: vec![skill("old")], ..ProjectDetail::new("/f", "o", plan.clone()) });
        let ids = ["b", "c"].map(|key| {
            let text = format!(r#"{{"reason":"r","add":[{{"id":"{key}","needs":["a"],"run":"x"}}]}}"#);
            let patch: PlanPatch = serde_json::from_str(&text).unwrap();
            let after = patch::patched(&plan, &patch);
            let approval_id = ApprovalId::from_uuid(Uuid::now_v7());
            details.propose(approval_id, PatchDetail { patch, plan: after, skills: vec![skill("old"), skill(key)] });
            approval_id
        });
        ids.into_iter().for_each(|id| details.patch(id));
        let tasks: Vec<&str> = details.project.plan.tasks.iter().map(|task| task.id.as_str()).collect();
        let skills: Vec<&str> = details.project.skills.iter().map(|skill| skill.name.as_str()).collect();
        assert_eq!((tasks, skills), (vec!["a", "b", "c"], vec!["old", "b", "c"]));
    }
}
