//! A command with everything that performing it needs, taken from the room at that instant: the outbox runner never looks
//! into a room.

use std::{collections::BTreeMap, sync::Arc};

use bus_schemas::{
    id::{ApprovalId, AttemptRef, MessageId, ProjectId, TaskId},
    json::Json,
    v1::{
        api::{EffectOrder, SkillProposal},
        plan,
        task::{Note, TaskState as WireTaskState},
    },
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    detail::ProjectDetail,
    effect,
    result::{self, Outcome},
    room::Room,
    words,
};
use crate::{
    plan::{
        Command,
        event::{CommitId, TaskKind, TaskSpec},
        task::{Task, TaskState},
    },
    port::journal::{OutboxKey, OutboxRow},
};

/// What to perform.
#[derive(Debug)]
pub(super) struct Work {
    /// Its place in the outbox; `None` for what is done again on suspicion.
    pub(super) key: Option<OutboxKey>,
    /// The idempotency key on the bus.
    pub(super) id: MessageId,
    /// The project.
    pub(super) project_id: ProjectId,
    /// What is performed one after the other.
    pub(super) lane: Lane,
    /// What to do.
    pub(super) act: Act,
}

/// Work in the same lane is performed in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// A task's.
    Task(TaskId),
    /// A project's.
    Project(ProjectId),
    /// A commit's.
    Commit(ProjectId, CommitId),
    /// An effect's, by its request.
    Effect(ApprovalId),
}

/// What to do.
#[derive(Debug)]
pub(super) enum Act {
    /// See [`Command::Prepare`].
    Prepare {
        /// What the task is.
        brief: Box<Brief>,
        /// The commits to merge.
        parents: Vec<CommitId>,
        /// Evaluate `when`.
        evaluate_when: bool,
        /// Expand `foreach`.
        expand: bool,
    },
    /// See [`Command::MergeChildren`].
    MergeChildren {
        /// The `foreach` task.
        task_id: TaskId,
        /// The commits to merge.
        parents: Vec<CommitId>,
    },
    /// See [`Command::Offer`].
    Offer {
        /// What the task is.
        brief: Box<Brief>,
        /// The attempt.
        attempt: AttemptRef,
        /// Where it starts.
        base_commit: CommitId,
        /// What it shall know.
        notes: Vec<Note>,
        /// Where an agent goes on from.
        resume: Resume,
    },
    /// See [`Command::TellAttempt`].
    TellAttempt {
        /// The attempt.
        attempt: AttemptRef,
        /// What is said.
        note: Note,
    },
    /// See [`Command::AdoptPlan`].
    Adopt {
        /// The planner.
        task_id: TaskId,
        /// Its key.
        key: String,
        /// What the project was started with.
        started: Arc<ProjectDetail>,
        /// The commit its folder was copied into.
        base_commit: CommitId,
    },
    /// See [`Command::AdmitSkill`].
    AdmitSkill {
        /// The skill.
        skill: Box<SkillProposal>,
    },
    /// See [`Command::CancelAttempt`].
    Cancel {
        /// The attempt.
        attempt: AttemptRef,
        /// Why.
        reason: String,
    },
    /// See [`Command::KeepCommit`].
    Keep {
        /// The commit.
        commit: CommitId,
    },
    /// See [`Command::MergeResult`].
    MergeResult {
        /// The commits to merge.
        parents: Vec<CommitId>,
    },
    /// See [`Command::OfferResult`].
    OfferResult {
        /// The result.
        outcome: Outcome,
    },
    /// See [`Command::ApplyResult`].
    ApplyResult {
        /// The result.
        outcome: Outcome,
        /// Who approved it.
        by: String,
        /// Over which channel they did: `policy` if no person was asked.
        channel: String,
    },
    /// See [`Command::WriteFolder`].
    WriteFolder {
        /// The record that asked for it; an undo withdraws by it.
        seq: u64,
        /// The folder.
        folder: String,
        /// As it was.
        before: CommitId,
        /// As it shall be.
        after: CommitId,
    },
    /// See [`Command::StartEffect`].
    StartEffect {
        /// The request that was approved.
        approval_id: ApprovalId,
        /// What people were shown.
        order: Box<EffectOrder>,
    },
    /// See [`Command::RunEffect`].
    RunEffect {
        /// The request that was approved.
        approval_id: ApprovalId,
        /// What people were shown.
        order: Box<EffectOrder>,
        /// An earlier process may have run it.
        left: bool,
    },
    /// The command is out of date: only to be struck off.
    Nothing,
}

/// Where an agent goes on from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Resume {
    /// Never from this attempt of its own or earlier ones.
    pub(super) after: u32,
    /// The saved state of this attempt of its own, or of an earlier one; 0: afresh.
    pub(super) from: u32,
    /// The saved state of another task's attempt.
    pub(super) task: Option<AttemptRef>,
}

/// A task and what it builds on.
#[derive(Debug)]
pub(super) struct Brief {
    /// The task, as the core has it.
    pub(super) spec: TaskSpec,
    /// The task, as its document has it.
    pub(super) task: Option<Box<plan::Task>>,
    /// The project's plan and scripts.
    pub(super) project: Arc<ProjectDetail>,
    /// The element it was made for.
    pub(super) item: Option<Json>,
    /// Hosts beyond its document's that people let it reach.
    pub(super) granted: Vec<String>,
    /// Secrets beyond its document's that people let be used on its behalf, with where each went when they did.
    pub(super) granted_secrets: BTreeMap<String, String>,
    /// What it needs.
    pub(super) needs: Vec<Need>,
}

/// A needed task.
#[derive(Debug)]
pub(super) struct Need {
    /// Its key.
    pub(super) key: String,
    /// Its id.
    pub(super) task_id: TaskId,
    /// How it ended.
    pub(super) state: WireTaskState,
    /// Its children, for a `foreach`.
    pub(super) children: Option<Vec<TaskId>>,
}

/// Whether a command goes through the outbox: what only makes known is read from the feed projection instead.
pub(super) const fn is_work(command: &Command) -> bool {
    !matches!(
        command,
        Command::Ask { .. }
            | Command::Tell { .. }
            | Command::Reshow { .. }
            | Command::Remind { .. }
            | Command::Widen { .. }
            | Command::PatchApplied { .. }
            | Command::Warn { .. }
            | Command::TaskChanged { .. }
            | Command::ProjectChanged
    )
}

/// An id that is the same every time for the same place of the same installation's journal.
pub(super) fn derived_id(installation: Uuid, purpose: &str, seq: u64, number: u32) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(installation.as_bytes());
    hash.update(purpose.as_bytes());
    hash.update(seq.to_be_bytes());
    hash.update(number.to_be_bytes());
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    MessageId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// What performing a row needs. One that was `left` by an earlier process may have been performed.
pub(super) fn of_row(room: &Room, installation: Uuid, row: &OutboxRow, left: bool) -> Work {
    let (lane, act) = match &row.command {
        Command::RunEffect { approval_id } => (Lane::Effect(*approval_id), effect::run_act(room, *approval_id, left)),
        command => act(room, row.project_id, row.seq, command),
    };
    Work {
        key: Some((row.seq, row.number)),
        id: derived_id(installation, "outbox", row.seq, row.number),
        project_id: row.project_id,
        lane,
        act,
    }
}

/// The offer of a task that waits for a host, again: its first one may be lost.
pub(super) fn offer_again(room: &Room, task: &Task, id: MessageId) -> Work {
    let project_id = room.plan.project_id();
    let command = Command::Offer { task_id: task.spec.task_id, number: task.attempt };
    let (lane, act) = act(room, project_id, 0, &command);
    Work { key: None, id, project_id, lane, act }
}

fn act(room: &Room, project_id: ProjectId, seq: u64, command: &Command) -> (Lane, Act) {
    match command {
        Command::Prepare { task_id, parents, evaluate_when, expand } => {
            let brief = room.plan.task(*task_id).filter(|task| !task.state.is_final()).map(|task| brief(room, task));
            let act = brief.map_or(Act::Nothing, |brief| Act::Prepare {
                brief,
                parents: parents.clone(),
                evaluate_when: *evaluate_when,
                expand: *expand,
            });
            (Lane::Task(*task_id), act)
        }
        Command::MergeChildren { task_id, parents } => {
            (Lane::Task(*task_id), Act::MergeChildren { task_id: *task_id, parents: parents.clone() })
        }
        Command::Offer { task_id, number } => (Lane::Task(*task_id), offer(room, project_id, *task_id, *number)),
        Command::CancelAttempt { task_id, number, reason } => {
            let attempt = AttemptRef { project_id, task_id: *task_id, number: *number };
            (Lane::Task(*task_id), Act::Cancel { attempt, reason: reason.clone() })
        }
        Command::KeepCommit { commit } => {
            (Lane::Commit(project_id, commit.clone()), Act::Keep { commit: commit.clone() })
        }
        Command::MergeResult { parents } => (Lane::Project(project_id), Act::MergeResult { parents: parents.clone() }),
        Command::WriteFolder { before_commit, after_commit } => {
            // An apply that was taken back meanwhile must not be written again.
            let standing = room.plan.standing_apply().is_some_and(|apply| {
                apply.finished_at.is_none()
                    && apply.before_commit == *before_commit
                    && apply.after_commit == *after_commit
            });
            let act = if standing {
                Act::WriteFolder {
                    seq,
                    folder: room.details.project.folder.clone(),
                    before: before_commit.clone(),
                    after: after_commit.clone(),
                }
            } else {
                Act::Nothing
            };
            (Lane::Project(project_id), act)
        }
        Command::TellAttempt { task_id, number, note_id } => {
            (Lane::Task(*task_id), tell_attempt(room, project_id, *task_id, *number, note_id))
        }
        Command::AdoptPlan { task_id } => {
            let act = room.plan.task(*task_id).map_or(Act::Nothing, |task| Act::Adopt {
                task_id: *task_id,
                key: task.spec.key.clone(),
                started: Arc::clone(&room.details.started),
                base_commit: room.plan.base_commit().to_owned(),
            });
            (Lane::Project(project_id), act)
        }
        Command::AdmitSkill { approval_id, .. } => {
            let skill = room.details.skill(*approval_id).cloned().map(Box::new);
            (Lane::Project(project_id), skill.map_or(Act::Nothing, |skill| Act::AdmitSkill { skill }))
        }
        Command::StartEffect { approval_id } => (Lane::Effect(*approval_id), effect::start_act(room, *approval_id)),
        Command::OfferResult => (Lane::Project(project_id), result::offer_act(room)),
        Command::ApplyResult { approval_id } => (Lane::Project(project_id), result::apply_act(room, *approval_id)),
        // Only [`of_row`] knows whether it may have run before.
        Command::RunEffect { .. }
        | Command::Ask { .. }
        | Command::Tell { .. }
        | Command::Reshow { .. }
        | Command::Remind { .. }
        | Command::Widen { .. }
        | Command::PatchApplied { .. }
        | Command::Warn { .. }
        | Command::TaskChanged { .. }
        | Command::ProjectChanged => (Lane::Project(project_id), Act::Nothing),
    }
}

fn offer(room: &Room, project_id: ProjectId, task_id: TaskId, number: u32) -> Act {
    let current = |task: &&Task| task.state == TaskState::Submitted && task.attempt == number;
    let Some(task) = room.plan.task(task_id).filter(current) else { return Act::Nothing };
    Act::Offer {
        brief: brief(room, task),
        attempt: AttemptRef { project_id, task_id, number },
        base_commit: task.base_commit.clone().unwrap_or_else(|| room.plan.base_commit().to_owned()),
        notes: task.notes.iter().map(noted).collect(),
        resume: resume(room, project_id, task),
    }
}

fn noted(note: &crate::plan::Note) -> Note {
    Note { from: note.from.clone(), text: note.text.clone(), id: note.id.clone() }
}

/// A clarifier goes on from where the task stopped that it is asked about; afterwards, and any other agent, from its own
/// saved state.
fn resume(room: &Room, project_id: ProjectId, task: &Task) -> Resume {
    let asked = (task.spec.kind == TaskKind::Clarifier).then(|| task.spec.needs.first()).flatten();
    let other = asked.and_then(|id| room.plan.task(*id)).map(|asked| AttemptRef {
        project_id,
        task_id: asked.spec.task_id,
        number: asked.attempt,
    });
    Resume { from: task.resume_from, after: task.afresh_after, task: other }
}

fn tell_attempt(room: &Room, project_id: ProjectId, task_id: TaskId, number: u32, note_id: &str) -> Act {
    let current = |task: &&Task| task.is_outstanding() && task.attempt == number;
    let task = room.plan.task(task_id).filter(current);
    let note = task.and_then(|task| task.notes.iter().rev().find(|note| note.id == note_id));
    note.map_or(Act::Nothing, |note| Act::TellAttempt {
        attempt: AttemptRef { project_id, task_id, number },
        note: noted(note),
    })
}

fn brief(room: &Room, task: &Task) -> Box<Brief> {
    let needs = task.spec.needs.iter().filter_map(|id| room.plan.task(*id));
    let need = |need: &Task| Need {
        key: need.spec.key.clone(),
        task_id: need.spec.task_id,
        state: words::task_state(need.state),
        children: need
            .spec
            .is_foreach
            .then(|| room.plan.children(need.spec.task_id).map(|child| child.spec.task_id).collect()),
    };
    Box::new(Brief {
        spec: task.spec.clone(),
        task: room.details.task(&task.spec.key).cloned().map(Box::new),
        project: Arc::clone(&room.details.project),
        item: room.details.item(&room.plan, task.spec.task_id),
        granted: task.granted.clone(),
        granted_secrets: task.granted_secrets.clone(),
        needs: needs.map(need).collect(),
    })
}
