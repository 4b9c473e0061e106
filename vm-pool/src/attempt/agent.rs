//! What an agent needs besides the tree: models, skills, and what an earlier attempt remembered.

use std::{path::Path, time::Duration};

use bus_schemas::{
    id::AttemptRef,
    stream::skill_object,
    v1::{
        agent::{AgentWork, ModelBrief, Part, Pause, Report, Role},
        guest::DataHeader,
        ledger::Capability,
        task::{FailureReason, Offer},
    },
};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt as _},
    time::Instant,
};

use super::{Desk, Failure, cut};
use crate::adapter::{
    checkpoints::{Piece, Resumed, newest, verified},
    session::{Session, SessionError},
};

/// To take one of the streams; a large one on a slow machine takes minutes.
const SEND_WAIT: Duration = Duration::from_secs(600);
/// Earlier attempts that are asked for a checkpoint.
const MAX_CANDIDATES: usize = 1_000;
/// The longest text of a report or a question, in bytes.
const TEXT_BYTES: usize = 16 * 1024;
/// The longest lists in a report.
const LIST: usize = 100;

/// What goes into the guest for an agent.
#[derive(Debug, Default)]
pub(super) struct Luggage {
    /// The models it may use, the preferred one first.
    pub(super) models: Vec<ModelBrief>,
    /// What it goes on from.
    pub(super) resumed: Option<Resumed>,
    /// Lines for the log.
    pub(super) remarks: Vec<String>,
    skills: Vec<Piece>,
}

/// The models of an agent.
pub(super) fn models(desk: &Desk, work: &AgentWork) -> Result<Vec<ModelBrief>, Failure> {
    let briefs = desk.outside.briefs(work.role, &work.models);
    let none = || Failure::new(FailureReason::ModelFailed, "no model is configured for this agent's role");
    match briefs {
        Ok(briefs) if briefs.is_empty() => Err(none()),
        Ok(briefs) => Ok(briefs),
        Err(sentence) => Err(Failure::new(FailureReason::ModelFailed, sentence)),
    }
}

/// Fetches everything; waits for a bus that is away.
pub(super) async fn pack(
    desk: &Desk,
    offer: &Offer,
    work: &AgentWork,
    models: Vec<ModelBrief>,
) -> Result<Luggage, Failure> {
    let mut luggage = Luggage { models, ..Luggage::default() };
    for skill in &work.skills {
        let part = Part { sha256: skill.sha256.clone(), bytes: skill.bytes };
        let found = verified(&desk.bus, &desk.scratch, &skill_object(&skill.sha256), &part).await;
        match found.map_err(|e| Failure::host(&e, "fetch a skill"))? {
            Ok(piece) => luggage.skills.push(piece),
            Err(flaw) => {
                let detail = format!("the skill {} cannot be used: {flaw}", skill.name);
                return Err(Failure::new(FailureReason::MissingObject, detail));
            }
        }
    }
    let say = |remark| luggage.remarks.push(remark);
    let found = newest(&desk.bus, &desk.scratch, candidates(offer.attempt, work), say).await;
    let found = found.map_err(|e| Failure::host(&e, "fetch a checkpoint"))?;
    luggage.resumed = found.and_then(|resumed| usable(resumed, offer, &mut luggage.remarks));
    Ok(luggage)
}

/// Whose checkpoints may be gone on from, the best first: this task's own contain those of the task they went on from.
fn candidates(attempt: AttemptRef, work: &AgentWork) -> impl Iterator<Item = AttemptRef> + use<> {
    let own = work.resume_from.min(attempt.number.saturating_sub(1));
    let downwards = |of: AttemptRef, after: u32, from: u32| {
        (after.saturating_add(1)..=from).rev().map(move |number| AttemptRef { number, ..of })
    };
    let others = work.resume_task.map(|task| downwards(task, 0, task.number));
    downwards(attempt, work.resume_after, own).chain(others.into_iter().flatten()).take(MAX_CANDIDATES)
}

/// Changes count from a commit: on another one they would make a tree that nobody ever had.
fn usable(mut resumed: Resumed, offer: &Offer, remarks: &mut Vec<String>) -> Option<Resumed> {
    let whose = format!("attempt {}", resumed.from.number);
    if resumed.base_commit == offer.base_commit || resumed.changes.is_none() {
        remarks.push(format!("going on from {whose}, turn {}", resumed.turn));
    } else if resumed.from.task_id == offer.attempt.task_id {
        remarks.push(format!("starting afresh: the files of {whose} belong to another commit"));
        return None;
    } else {
        remarks.push(format!("going on from {whose} of another task, turn {}, without its files", resumed.turn));
        resumed.changes = None;
    }
    Some(resumed)
}

impl Luggage {
    /// Puts it into the guest.
    pub(super) async fn send(&self, session: &Session) -> Result<(), Failure> {
        if !self.skills.is_empty() {
            // Tars, one behind the other.
            let mut tars: Box<dyn AsyncRead + Send + Unpin> = Box::new(tokio::io::empty());
            for skill in &self.skills {
                tars = Box::new(tars.chain(open(&skill.path).await?));
            }
            send(session, &DataHeader::Skills, "skills", tars).await?;
        }
        let Some(resumed) = &self.resumed else { return Ok(()) };
        if !resumed.transcript.is_empty() {
            let transcript = resumed.transcript().await.map_err(|e| Failure::host(&e, "read a checkpoint"))?;
            send(session, &DataHeader::Transcript, "transcript", transcript).await?;
        }
        if let Some(changes) = &resumed.changes {
            send(session, &DataHeader::Restore, "files", open(&changes.path).await?).await?;
        }
        Ok(())
    }
}

async fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).await.map_err(|e| Failure::host(&e, "read a file for the guest"))
}

async fn send(session: &Session, header: &DataHeader, what: &str, bytes: impl AsyncRead + Send) -> Result<(), Failure> {
    match session.send(header, bytes, Instant::now() + SEND_WAIT).await {
        Ok(()) => Ok(()),
        Err(SessionError::Refused { detail, .. }) => {
            Err(Failure::new(FailureReason::GuestLost, format!("the guest did not take its {what}: {detail}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// A pause as it may leave the host: it came out of a guest.
pub(super) fn checked_pause(pause: Pause, offer: &Offer) -> Result<Pause, Failure> {
    Ok(match pause {
        Pause::Question { question, options, stuck } => Pause::Question {
            question: cut(question, TEXT_BYTES),
            options: options.into_iter().take(LIST).map(|option| cut(option, TEXT_BYTES / 16)).collect(),
            stuck,
        },
        Pause::Bounce { need, question } if offer.needs.contains_key(&need) => {
            Pause::Bounce { need, question: cut(question, TEXT_BYTES) }
        }
        Pause::Bounce { need, .. } => {
            let detail = format!("the agent has a question for {need:?}, which is not a task that this one needs");
            return Err(Failure::new(FailureReason::ProgramFailed, cut(detail, TEXT_BYTES)));
        }
        Pause::Capability { capability: Capability::Host { host }, reason } => Pause::Capability {
            capability: Capability::Host { host: cut(host, TEXT_BYTES / 16) },
            reason: cut(reason, TEXT_BYTES),
        },
        Pause::Capability { capability: Capability::Effect { name, arguments }, reason } => {
            let short = |text: String| cut(text, TEXT_BYTES / 16);
            let arguments = arguments.into_iter().take(LIST).map(|(key, value)| (short(key), short(value))).collect();
            Pause::Capability {
                capability: Capability::Effect { name: short(name), arguments },
                reason: cut(reason, TEXT_BYTES),
            }
        }
        Pause::Capability { capability: Capability::Secret { name }, reason } => Pause::Capability {
            capability: Capability::Secret { name: cut(name, TEXT_BYTES / 16) },
            reason: cut(reason, TEXT_BYTES),
        },
        // The orchestrator knows the numbers.
        Pause::Budget { task_key, resource, used, limit } => {
            Pause::Budget { task_key: cut(task_key, TEXT_BYTES / 16), resource, used, limit }
        }
        Pause::RateLimited { provider, resume_at } => {
            Pause::RateLimited { provider: cut(provider, TEXT_BYTES / 16), resume_at }
        }
    })
}

/// A report as it may leave the host.
pub(super) fn checked_report(report: Report) -> Report {
    let text = |text: String| cut(text, TEXT_BYTES);
    let texts = |list: Vec<String>| list.into_iter().take(LIST).map(text).collect();
    Report {
        goal: text(report.goal),
        done: text(report.done),
        decisions: report
            .decisions
            .into_iter()
            .take(LIST)
            .map(|mut choice| {
                choice.what = text(choice.what);
                choice.why = text(choice.why);
                choice
            })
            .collect(),
        artifacts: report.artifacts.into_iter().filter(|path| is_below(path)).take(LIST).collect(),
        open_questions: texts(report.open_questions),
        must_know: texts(report.must_know),
        result: report.result,
    }
}

/// Whether a path is one of a workspace's.
fn is_below(path: &str) -> bool {
    let fits = |part: &str| !part.is_empty() && part != ".." && part != "." && !part.contains(char::is_control);
    path.len() <= 4096 && path.split('/').all(fits)
}

/// Whether an agent must have done something for its handoff to count. A planner's and a judge's work is what they say,
/// and so is the answer to a successor's question.
pub(super) fn must_show_work(work: &AgentWork) -> bool {
    work.role == Role::Worker && work.resume_task.is_none()
}

#[cfg(test)]
mod tests {
    use bus_schemas::id::{ProjectId, TaskId};
    use uuid::Uuid;

    use super::*;

    fn attempt(task: u128, number: u32) -> AttemptRef {
        let project_id = ProjectId::from_uuid(Uuid::from_u128(1));
        AttemptRef { project_id, task_id: TaskId::from_uuid(Uuid::from_u128(task)), number }
    }

    #[test]
    fn the_newest_checkpoint_is_looked_for_downwards_and_at_home_first() {
        let work = AgentWork { resume_from: 2, resume_task: Some(attempt(9, 2)), ..AgentWork::default() };
        let want = [attempt(5, 2), attempt(5, 1), attempt(9, 2), attempt(9, 1)];
        assert_eq!(candidates(attempt(5, 3), &work).collect::<Vec<_>>(), want);
        let late = AgentWork { resume_from: 4, resume_after: 2, ..AgentWork::default() };
        assert_eq!(candidates(attempt(5, 5), &late).collect::<Vec<_>>(), [attempt(5, 4), attempt(5, 3)]);
        let past = AgentWork { resume_from: 4, resume_after: u32::MAX, ..AgentWork::default() };
        assert_eq!(candidates(attempt(5, 5), &past).count(), 0);
        let mad = AgentWork { resume_from: u32::MAX, ..AgentWork::default() };
        assert_eq!(candidates(attempt(5, 2), &mad).collect::<Vec<_>>(), [attempt(5, 1)], "never its own");
        assert_eq!(candidates(attempt(5, 1), &mad).count(), 0);
        let afresh = AgentWork::default();
        assert_eq!(candidates(attempt(5, 3), &afresh).count(), 0);
    }

    #[test]
    fn a_report_is_bounded_and_names_paths_of_the_workspace() {
        let artifacts = ["a/b.md", "/etc/passwd", "../x", "a/../b", "a\nb", "", "a//b"].map(str::to_owned).to_vec();
        let report = checked_report(Report {
            goal: "é".repeat(TEXT_BYTES),
            artifacts,
            must_know: vec![String::new(); LIST * 2],
            ..Report::default()
        });
        assert_eq!(report.artifacts, ["a/b.md"]);
        assert!(report.goal.len() <= TEXT_BYTES && report.must_know.len() == LIST);
    }
}
