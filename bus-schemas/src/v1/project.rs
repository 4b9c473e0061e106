//! What happened to a project, for bridges and audit.

use serde::{Deserialize, Serialize};

use super::task::TaskState;
use crate::{
    envelope::Message,
    id::{ProjectId, TaskId},
    time::UnixMs,
};

/// A project's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProjectState {
    /// An agent works out the plan.
    Planning,
    /// The plan waits for a person.
    AwaitingApproval,
    /// Tasks are worked on.
    Working,
    /// Every task ended well; the result can be applied.
    Completed,
    /// Some task ended badly; what the others did can be looked at.
    Failed,
    /// A person stopped it.
    Canceled,
    /// A person refused its plan.
    Rejected,
}

impl ProjectState {
    /// No further task starts.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Planning | Self::AwaitingApproval | Self::Working)
    }
}

/// A project's state changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProjectChanged {
    /// Which project.
    pub project_id: ProjectId,
    /// Its title.
    pub title: String,
    /// Its state now.
    pub state: ProjectState,
    /// Since when.
    pub changed_at: UnixMs,
}

/// A task's state changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskChanged {
    /// Which project.
    pub project_id: ProjectId,
    /// Which task.
    pub task_id: TaskId,
    /// Its key in the plan.
    pub task_key: String,
    /// Its state now.
    pub state: TaskState,
    /// Its attempt, 0 before the first.
    pub attempt: u32,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Since when.
    pub changed_at: UnixMs,
}

impl Message for ProjectChanged {
    const KIND: &'static str = "project.changed";
}
impl Message for TaskChanged {
    const KIND: &'static str = "task.changed";
}
