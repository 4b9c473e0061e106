//! What the plan core does not need but hosts and people do: it travels beside the events, in the journal.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bus_schemas::{
    id::TaskId,
    json::Json,
    v1::{
        handoff::{CheckEvidence, Handoff, Usage},
        plan,
        skill::SkillReview,
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    plan::Plan,
    planfile::lower::{split_key, task_of},
};

/// What is kept beside an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Beside `ProjectCreated`.
    Project(Box<ProjectDetail>),
    /// Beside `TaskExpanded`: the elements, one per child.
    Elements(Vec<Json>),
    /// Beside `HandoffReceived`.
    Handoff(Box<Handoff>),
    /// Beside `AttemptFailed`.
    Failure(FailureDetail),
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
    /// The skills its agents may use, as they were when it was shown.
    #[serde(default)]
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
    /// What came with it.
    pub(super) project: Arc<ProjectDetail>,
    /// The elements of expanded `foreach` tasks.
    elements: HashMap<TaskId, Arc<Vec<Json>>>,
}

impl Details {
    pub(super) fn new(project: ProjectDetail) -> Self {
        Self { project: Arc::new(project), elements: HashMap::new() }
    }

    /// Remembers the elements of an expanded task.
    pub(super) fn expand(&mut self, task_id: TaskId, elements: Vec<Json>) {
        self.elements.insert(task_id, Arc::new(elements));
    }

    /// The task as the plan file has it; a child's is its parent's.
    pub(super) fn task(&self, key: &str) -> Option<&plan::Task> {
        task_of(&self.project.plan, key)
    }

    /// The element a child was made for.
    pub(super) fn item(&self, plan: &Plan, task_id: TaskId) -> Option<Json> {
        let parent = plan.parent(task_id)?;
        let (_, index) = split_key(&plan.task(task_id)?.spec.key);
        self.elements.get(&parent.spec.task_id)?.get(index?).cloned()
    }
}
