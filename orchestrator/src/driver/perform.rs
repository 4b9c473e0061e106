//! One command, performed once.

use std::sync::Arc;

use bus_schemas::{
    id::{AttemptRef, ClaimNonce, MessageId, ProjectId, TaskId},
    json::Json,
    stream::skill_object,
    v1::{
        agent::{SkillRef, TellAttempt},
        task::{CancelAttempt, FailureReason, Note, Program},
    },
};

use super::{
    adopt,
    detail::Detail,
    effect, offer,
    outbox::Hands,
    result, words,
    work::{Act, Brief, Resume},
};
use crate::{
    plan::event::{Fact, TaskKind},
    planfile::{
        expression::{Expression, ExpressionError, Input, elements},
        lower::child_spec,
    },
    port::{
        FolderError, Shadow, ShadowError,
        bus::{Bus, BusError},
        journal::{Journal, JournalError},
    },
};

/// After so many tries, what git cannot do is taken as final.
const GIT_TRIES: u32 = 6;
/// After so many tries, a commit that is in neither place is taken as lost.
const OBJECT_TRIES: u32 = 8;

/// Why something is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Again {
    /// The bus is not there.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The store is not there.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Git failed, perhaps for want of memory or disk.
    #[error(transparent)]
    Shadow(#[from] ShadowError),
    /// A skill that was kept is gone.
    #[error("{0}")]
    Skill(String),
    /// A commit is in neither place yet.
    #[error("commit {0} is neither in the shadow repository nor in the object store")]
    Missing(String),
    /// The process is shutting down.
    #[error("shutting down")]
    Stopping,
}

impl Again {
    /// It will not get better.
    fn is_final(&self, tries: u32) -> bool {
        match self {
            Self::Shadow(ShadowError::Conflict { .. }) => true,
            Self::Shadow(_) => tries >= GIT_TRIES,
            Self::Missing(_) | Self::Skill(_) => tries >= OBJECT_TRIES,
            Self::Bus(_) | Self::Journal(_) | Self::Stopping => false,
        }
    }
}

/// What came of it, for the core.
pub(super) type Said = Option<(Fact, Option<Detail>)>;

/// Performs once; `tries` counts from 1.
pub(super) async fn act<J: Journal, B: Bus>(
    hands: &Arc<Hands<J, B>>,
    project_id: ProjectId,
    id: MessageId,
    act: &Act,
    tries: u32,
) -> Result<Said, Again> {
    match act {
        Act::Nothing => Ok(None),
        Act::Prepare { brief, parents, evaluate_when, expand } => {
            let task_id = brief.spec.task_id;
            let prepared = match merge(hands, project_id, parents).await {
                Ok(base) => prepare(hands, brief, base, *evaluate_when, *expand).await,
                Err(again) => Err(again),
            };
            or_failed(prepared, tries, |reason| Fact::PrepareFailed { task_id, reason })
        }
        Act::MergeChildren { task_id, parents } => {
            let merged = merge(hands, project_id, parents).await;
            let task_id = *task_id;
            let said = merged.map(|commit| (Fact::ChildrenMerged { task_id, commit }, None));
            or_failed(said, tries, |reason| Fact::PrepareFailed { task_id, reason })
        }
        Act::MergeResult { parents } => {
            let said = merge(hands, project_id, parents).await.map(|commit| (Fact::ResultMerged { commit }, None));
            or_failed(said, tries, |reason| Fact::ResultMergeFailed { reason })
        }
        Act::Offer { brief, attempt, base_commit, notes, resume } => {
            match offer(hands, id, brief, *attempt, base_commit, (notes, *resume)).await {
                Ok(()) => Ok(None),
                Err(Again::Bus(error @ BusError::TooLarge { .. })) => {
                    Ok(Some((unofferable(hands, *attempt, FailureReason::OfferTooLarge, error.to_string()), None)))
                }
                Err(Again::Bus(BusError::Refused { detail, .. })) => {
                    Ok(Some((unofferable(hands, *attempt, FailureReason::NotStarted, detail), None)))
                }
                Err(again) if again.is_final(tries) => {
                    Ok(Some((unofferable(hands, *attempt, FailureReason::NotStarted, again.to_string()), None)))
                }
                Err(again) => Err(again),
            }
        }
        Act::Cancel { attempt, reason } => {
            hands.bus.cancel(id, CancelAttempt { attempt: *attempt, reason: reason.clone() }).await?;
            Ok(None)
        }
        Act::TellAttempt { attempt, note } => {
            hands.bus.tell_attempt(id, TellAttempt { attempt: *attempt, note: note.clone() }).await?;
            Ok(None)
        }
        Act::Adopt { task_id, key, started, base_commit } => {
            adopt::adopt(hands, *task_id, key, started, base_commit).await
        }
        Act::AdmitSkill { skill } => {
            let (shelf, skill) = (Arc::clone(&hands.shelf), skill.clone());
            match blocking(move || shelf.admit(&skill)).await? {
                Ok(()) => Ok(None),
                Err(detail) if tries < OBJECT_TRIES => Err(Again::Skill(detail)),
                // The decision stands in the journal; nobody waits for the files.
                Err(detail) => {
                    tracing::error!(project.id = %project_id, detail, "skill not put where projects find it");
                    Ok(None)
                }
            }
        }
        Act::Keep { commit } => match keep(hands, project_id, commit).await {
            Ok(()) => Ok(None),
            // What builds on it says so when it is prepared; here nobody waits for an answer.
            Err(again) if again.is_final(tries) => {
                tracing::error!(project.id = %project_id, commit, error = %again, "commit not kept");
                Ok(None)
            }
            Err(again) => Err(again),
        },
        Act::OfferResult { outcome } => {
            let said = result::offer(hands, project_id, outcome).await;
            or_failed(said, tries, |detail| Fact::ApplyRefused { detail })
        }
        Act::ApplyResult { outcome, by, channel } => {
            let said = result::apply(hands, project_id, outcome, (by, channel)).await;
            or_failed(said, tries, |detail| Fact::ApplyRefused { detail })
        }
        Act::StartEffect { approval_id, order } => Ok(Some((effect::start(&hands.effects, *approval_id, order), None))),
        Act::RunEffect { approval_id, order, left } => {
            let fresh = !left && tries == 1;
            effect::run(hands, project_id, *approval_id, order, fresh).await
        }
        Act::WriteFolder { seq, folder, before, after } => {
            write_folder(hands, project_id, *seq, folder, before, after).await
        }
    }
}

fn or_failed(
    said: Result<(Fact, Option<Detail>), Again>,
    tries: u32,
    failed: impl FnOnce(String) -> Fact,
) -> Result<Said, Again> {
    match said {
        Ok(said) => Ok(Some(said)),
        Err(again) if again.is_final(tries) => Ok(Some((failed(again.to_string()), None))),
        Err(again) => Err(again),
    }
}

/// An attempt that cannot be offered ends as if its host had said so.
fn unofferable<J: Journal, B: Bus>(
    hands: &Hands<J, B>,
    attempt: AttemptRef,
    reason: FailureReason,
    detail: String,
) -> Fact {
    Fact::AttemptFailed {
        task_id: attempt.task_id,
        number: attempt.number,
        nonce: ClaimNonce::from_uuid(hands.ids.next()),
        reason: words::word(&reason),
        detail: format!("the attempt could not be offered to hosts: {detail}"),
        retryable: false,
        vm_ms: 0,
    }
}

async fn prepare<J: Journal, B: Bus>(
    hands: &Hands<J, B>,
    brief: &Brief,
    base_commit: String,
    evaluate_when: bool,
    expand: bool,
) -> Result<(Fact, Option<Detail>), Again> {
    let task_id = brief.spec.task_id;
    let failed = |reason: String| Ok((Fact::PrepareFailed { task_id, reason }, None));
    let Some(task) = brief.task.as_deref() else {
        return failed(format!("task {} is not in the plan", brief.spec.key));
    };
    let needs = offer::needs(&hands.journal, brief).await?;
    let input = Input { needs: &needs, item: brief.item.as_ref() };
    if evaluate_when {
        let when = task.when.as_deref().unwrap_or("true");
        match Expression::compile(when).and_then(|when| when.evaluate_bool(input)) {
            Ok(true) => {}
            Ok(false) => return Ok((Fact::TaskPrepared { task_id, base_commit, when: false }, None)),
            Err(error) => return failed(format!("when: {error}")),
        }
    }
    let Some(foreach) = task.foreach.as_ref().filter(|_| expand) else {
        return Ok((Fact::TaskPrepared { task_id, base_commit, when: true }, None));
    };
    let found: Result<Vec<Json>, ExpressionError> = elements(foreach, input);
    match found {
        Err(error) => failed(format!("foreach: {error}")),
        Ok(elements) => {
            let child = |index| child_spec(task, &brief.spec, index, TaskId::from_uuid(hands.ids.next()));
            let children = (0..elements.len()).map(child).collect();
            Ok((Fact::TaskExpanded { task_id, base_commit, children }, Some(Detail::Elements(elements))))
        }
    }
}

async fn offer<J: Journal, B: Bus>(
    hands: &Arc<Hands<J, B>>,
    id: MessageId,
    brief: &Brief,
    attempt: AttemptRef,
    base_commit: &str,
    (notes, resume): (&[Note], Resume),
) -> Result<(), Again> {
    let needs = offer::needs(&hands.journal, brief).await?;
    let mut composed = offer::compose(
        brief,
        attempt,
        base_commit.to_owned(),
        notes.to_vec(),
        needs,
        resume,
        (&hands.models, &hands.rules),
    )
    .map_err(|e| BusError::Refused { operation: "compose an offer", detail: e.to_string() })?;
    if let Program::Agent(work) = &mut composed.program {
        if brief.spec.kind == TaskKind::Agent {
            work.effects = hands.effects.briefs();
        }
        for skill in &work.skills {
            give(hands, skill).await?;
        }
    }
    store(hands, attempt.project_id, base_commit).await?;
    Ok(hands.bus.offer(id, composed).await?)
}

/// Sees to it that a skill's files are in the object store.
async fn give<J: Journal, B: Bus>(hands: &Arc<Hands<J, B>>, skill: &SkillRef) -> Result<(), Again> {
    let name = skill_object(&skill.sha256);
    if hands.stored.has(&name) {
        return Ok(());
    }
    if !hands.bus.has_object(&name).await? {
        let (shelf, sha256) = (Arc::clone(&hands.shelf), skill.sha256.clone());
        let tar = blocking(move || shelf.tar(&sha256)).await?.map_err(Again::Skill)?;
        hands.bus.put_object(&name, tar).await?;
    }
    hands.stored.add(name);
    Ok(())
}

/// Runs what blocks off the async threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Again> {
    tokio::task::spawn_blocking(work).await.map_err(stopped)
}

/// Sees to it that a commit and all it builds on are in the object store.
async fn store<J: Journal, B: Bus>(hands: &Arc<Hands<J, B>>, project_id: ProjectId, commit: &str) -> Result<(), Again> {
    let mut wanted = vec![commit.to_owned()];
    let mut seen = Vec::new();
    while let Some(commit) = wanted.pop() {
        if hands.stored.has(&commit) {
            continue;
        }
        let parents = match hands.bus.commit_parents(&commit).await? {
            Some(parents) => parents,
            None => {
                let bundle = {
                    let commit = commit.clone();
                    git(hands, move |shadow| shadow.bundle(project_id, &commit)).await?
                };
                let parents = bundle.parents.clone();
                hands.bus.put_commit(&commit, bundle).await?;
                parents
            }
        };
        wanted.extend(parents);
        seen.push(commit);
    }
    // Only now: a commit counts as stored if all it builds on is.
    seen.into_iter().for_each(|commit| hands.stored.add(commit));
    Ok(())
}

/// Sees to it that a commit and all it builds on are in the shadow repository.
pub(super) async fn keep<J: Journal, B: Bus>(
    hands: &Arc<Hands<J, B>>,
    project_id: ProjectId,
    commit: &str,
) -> Result<(), Again> {
    let mut wanted = vec![commit.to_owned()];
    let mut fetched = Vec::new();
    while let Some(commit) = wanted.pop() {
        let kept = (project_id, commit.clone());
        if hands.kept.has(&kept) {
            continue;
        }
        let asked = commit.clone();
        if git(hands, move |shadow| Ok(shadow.has(project_id, &asked))).await? {
            hands.kept.add(kept);
            continue;
        }
        let Some(bundle) = hands.bus.get_commit(&commit).await? else { return Err(Again::Missing(commit)) };
        wanted.extend(bundle.parents.iter().cloned());
        fetched.push((commit, bundle.bytes));
    }
    // Parents were found last and go in first.
    for (commit, bytes) in fetched.into_iter().rev() {
        let taken = commit.clone();
        git(hands, move |shadow| shadow.absorb(project_id, &taken, &bytes)).await?;
        hands.kept.add((project_id, commit));
    }
    Ok(())
}

async fn merge<J: Journal, B: Bus>(
    hands: &Arc<Hands<J, B>>,
    project_id: ProjectId,
    parents: &[String],
) -> Result<String, Again> {
    for parent in parents {
        keep(hands, project_id, parent).await?;
    }
    if let [only] = parents {
        return Ok(only.clone());
    }
    let parents = parents.to_vec();
    let commit = git(hands, move |shadow| shadow.merge(project_id, &parents)).await?;
    hands.kept.add((project_id, commit.clone()));
    Ok(commit)
}

/// Runs git off the async threads, a few at a time.
pub(super) async fn git<J: Journal, B: Bus, T: Send + 'static>(
    hands: &Arc<Hands<J, B>>,
    work: impl FnOnce(&dyn Shadow) -> Result<T, ShadowError> + Send + 'static,
) -> Result<T, Again> {
    let _permit = hands.gits.acquire().await.map_err(|_| Again::Stopping)?;
    let shadow = Arc::clone(&hands.shadow);
    match tokio::task::spawn_blocking(move || work(shadow.as_ref())).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(stopped(error)),
    }
}

/// Work off the async threads did not end: the process is stopping, or it panicked, which goes on here.
pub(super) fn stopped(error: tokio::task::JoinError) -> Again {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Again::Stopping,
    }
}

/// Writes a result into its folder, unless an undo was faster.
async fn write_folder<J: Journal, B: Bus>(
    hands: &Arc<Hands<J, B>>,
    project_id: ProjectId,
    seq: u64,
    folder: &str,
    before: &str,
    after: &str,
) -> Result<Said, Again> {
    let _turn = hands.folders.turn(folder).await;
    if hands.withdrawn.has(&seq) {
        return Ok(None);
    }
    let port = Arc::clone(&hands.folder);
    let (folder, before, after) = (folder.to_owned(), before.to_owned(), after.to_owned());
    let written = tokio::task::spawn_blocking(move || port.write(project_id, &before, &after, &folder)).await;
    let fact = match written {
        Ok(Ok(())) => Fact::ApplyFinished,
        Ok(Err(FolderError::Untouched(detail))) => Fact::ApplyStopped { detail },
        Ok(Err(FolderError::HalfWritten(detail))) => Fact::ApplyStalled { detail },
        Err(error) => return Err(stopped(error)),
    };
    Ok(Some((fact, None)))
}
