//! Each project's status message, its summary at the end, and differences as files.

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::Ordering,
    time::Duration,
};

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    v1::{
        api::{ApprovalView, DiffView, Problem, ProjectView},
        approval::ApprovalSubject,
        project::ProjectState,
    },
};
use bytes::Bytes;
use tokio::time::Instant;

use super::{
    core::Bridge,
    desk::{Desk, Posting, Thread},
    post::{Unsaid, Want},
};
use crate::{
    adapter::slack::{
        SlackWeb,
        view::{self, Card, CardSettings, secrets, summary::Outcome, text},
        web::Upload,
    },
    digest,
    port::Service,
    words::names::diff_lines,
};

/// How long until a status message is tried again, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// How long until a project is looked at again while it is not known whether it is being started in Slack.
const STARTING: Duration = Duration::from_millis(500);
/// A project that was started elsewhere and ended unseen gets its messages if it ended no longer ago: the feed of a bridge
/// that is new begins with all that ever was.
const UNSEEN_MS: u64 = 60_000;

/// What waited in each project when it was last looked at: the requests, and digests of what they were.
type Waiting = HashMap<ProjectId, BTreeMap<ApprovalId, String>>;

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// Looks at projects that were marked; each message is changed at most every so often.
    pub(super) async fn keep_status(self) {
        let every = self.0.settings.status_every;
        let mut shown: HashMap<ProjectId, Instant> = HashMap::new();
        let mut failures: HashMap<ProjectId, u32> = HashMap::new();
        let mut waiting = Waiting::new();
        loop {
            let project_id = self.0.projects.next().await;
            let now = Instant::now();
            if let Some(due) = shown.get(&project_id).map(|last| *last + every).filter(|due| *due > now) {
                self.0.projects.mark_at(project_id, due);
                continue;
            }
            match self.show_project(project_id, &mut waiting).await {
                Ok(open) => {
                    failures.remove(&project_id);
                    if open {
                        shown.insert(project_id, Instant::now());
                    } else {
                        shown.remove(&project_id);
                    }
                }
                Err(why) => {
                    let failed = failures.entry(project_id).or_default();
                    let wait = (AGAIN.0 * 2_u32.saturating_pow((*failed).min(6))).min(AGAIN.1);
                    *failed += 1;
                    tracing::warn!(project.id = %project_id, %why, wait_s = wait.as_secs(), "Slack: a status message is behind; tried again");
                    self.0.projects.mark_at(project_id, Instant::now() + wait);
                }
            }
        }
    }

    /// Brings a project's status message to what it is; whether more can come.
    async fn show_project(&self, project_id: ProjectId, waiting: &mut Waiting) -> Result<bool, String> {
        let core = &*self.0;
        let project = match core.service.project(&project_id.to_string()).await {
            Ok(project) => project,
            Err(problem) if problem.code == "not_found" => return Ok(false),
            Err(problem) => return Err(problem.detail),
        };
        let mut approvals = Vec::with_capacity(project.pending_approvals.len());
        for id in &project.pending_approvals {
            // Decided meanwhile: the next look shows it.
            approvals.extend(core.service.approval(&id.to_string()).await.ok());
        }
        self.look_at_requests(project_id, &approvals, waiting);
        let known = core.desk.thread(project_id).await.map_err(|e| e.to_string())?;
        let is_new = known.as_ref().is_none_or(|thread| thread.thread_ts.is_none());
        let Some(mut thread) = known.or_else(|| self.new_thread(&project)) else { return Ok(false) };
        if thread.closed && !self.wakes(&project).await? {
            return Ok(false);
        }
        let shown = self.hidden(&project).ok_or("the project cannot be shown safely")?;
        let card = view::status(&shown, &self.hidden(&approvals).unwrap_or_default());
        self.put_status(&project, &mut thread, card).await?;
        if is_new {
            project.pending_approvals.iter().for_each(|id| core.cards.mark(*id));
        }
        if !project.state.is_final() {
            return Ok(true);
        }
        let summed_up = self.sum_up(&project, &thread).await?;
        if summed_up && !thread.closed && project.pending_approvals.is_empty() {
            thread.closed = true;
            core.desk.set_thread(project_id, thread).await.map_err(|e| e.to_string())?;
        }
        Ok(false)
    }

    /// The thread of a project that was started elsewhere: its first message makes it, in the default channel.
    fn new_thread(&self, project: &ProjectView) -> Option<Thread> {
        let core = &*self.0;
        let channel = core.settings.channel.clone()?;
        let has_more = !project.state.is_final() || !project.pending_approvals.is_empty();
        if !has_more && self.now().since(project.changed_at) > UNSEEN_MS {
            return None;
        }
        if core.starting.load(Ordering::SeqCst) > 0 {
            // Perhaps it is this one, and gets the thread of its order in a moment.
            core.projects.mark_at(project.project_id, Instant::now() + STARTING);
            return None;
        }
        Some(Thread { channel, ..Thread::default() })
    }

    /// An event names one request and may be about several: the cards of all that came, went or changed are looked at.
    fn look_at_requests(&self, project_id: ProjectId, approvals: &[ApprovalView], waiting: &mut Waiting) {
        let seen =
            |view: &ApprovalView| (view.approval_id, digest::of_bytes(&serde_json::to_vec(view).unwrap_or_default()));
        let now: BTreeMap<ApprovalId, String> = approvals.iter().map(seen).collect();
        let before = waiting.remove(&project_id).unwrap_or_default();
        let changed = now.iter().filter(|(id, digest)| before.get(id) != Some(digest)).map(|(id, _)| *id);
        let went = before.keys().filter(|id| !now.contains_key(id)).copied();
        changed.chain(went).for_each(|id| self.0.cards.mark(id));
        if !now.is_empty() {
            waiting.insert(project_id, now);
        }
    }

    /// A project that is over is looked at again only if its result was put into the folder, or taken back.
    async fn wakes(&self, project: &ProjectView) -> Result<bool, String> {
        let copies = self.0.desk.copies(&summary_name(project.project_id)).await.map_err(|e| e.to_string())?;
        Ok(copies.iter().any(|copy| copy.place.is_some()))
    }

    async fn put_status(&self, project: &ProjectView, thread: &mut Thread, card: Card) -> Result<(), String> {
        let core = &*self.0;
        let name = format!("status:{}", project.project_id);
        let known = core.desk.copies(&name).await.map_err(|e| e.to_string())?;
        let places = match known.first() {
            // Where it is, it stays.
            Some(copy) => vec![(copy.target.clone(), copy.thread_ts.clone())],
            None => self.places(project, Some(thread)),
        };
        for (target, thread_ts) in places {
            let want = Want {
                name: name.clone(),
                target: target.clone(),
                thread_ts: thread_ts.clone(),
                text: card.text.clone(),
                blocks: card.blocks.clone(),
                closed: false,
            };
            match self.put(&want).await {
                Ok(place) => {
                    let root = thread_ts.unwrap_or_else(|| place.ts.clone());
                    if thread.thread_ts.as_ref() != Some(&root) || thread.channel != place.channel {
                        thread.channel = place.channel;
                        thread.thread_ts = Some(root);
                        core.desk.set_thread(project.project_id, thread.clone()).await.map_err(|e| e.to_string())?;
                    }
                    return Ok(());
                }
                Err(Unsaid::Nowhere(error)) => {
                    tracing::warn!(%error, channel = %target, project.id = %project.project_id,
                        "Slack: a status message cannot be in this channel (see `baton slack check`); the next place is tried");
                    core.desk.forget(&name, &target).await.map_err(|e| e.to_string())?;
                }
                Err(Unsaid::Later(why)) => return Err(why),
            }
        }
        // Nowhere at all: its requests go where they can.
        thread.closed = true;
        core.desk.set_thread(project.project_id, thread.clone()).await.map_err(|e| e.to_string())
    }

    /// The last message of a project, with the result attached; `false` if it is too early for it.
    async fn sum_up(&self, project: &ProjectView, thread: &Thread) -> Result<bool, String> {
        let id = project.project_id.to_string();
        // The result is merged a moment after the last task: what is said before would be said without it.
        if project.state == ProjectState::Completed && project.result_commit.is_none() {
            return Ok(false);
        }
        let diff = match &project.result_commit {
            Some(_) => Some(self.difference(&id, None).await.map_err(|problem| problem.detail)?),
            None => None,
        };
        let attached = match &diff {
            Some(diff) if !diff.changed.is_empty() => {
                self.upload_once(&format!("diff:{id}"), thread, "result.diff", "The result", diff).await?
            }
            _ => false,
        };
        let outcome = diff.as_ref().map(|diff| {
            let (lines_added, lines_removed) = diff_lines(diff);
            Outcome { changed: diff.changed.clone(), lines_added, lines_removed, attached }
        });
        let shown = self.hidden(project).ok_or("the project cannot be shown safely")?;
        let card = view::summary(&shown, outcome.as_ref());
        let want = Want {
            name: summary_name(project.project_id),
            target: thread.channel.clone(),
            thread_ts: thread.thread_ts.clone(),
            text: card.text,
            blocks: card.blocks,
            closed: false,
        };
        match self.put(&want).await {
            Ok(_) => Ok(true),
            Err(Unsaid::Nowhere(error)) => {
                tracing::warn!(%error, project.id = %project.project_id, "Slack: a summary has no place");
                Ok(true)
            }
            Err(Unsaid::Later(why)) => Err(why),
        }
    }

    /// Puts what a request would change into the thread of its card, once; whether it is there.
    pub(super) async fn attach(&self, view: &ApprovalView) -> bool {
        let id = view.project_id.to_string();
        let task = match view.subject {
            ApprovalSubject::Handoff { .. } => view.task_key.as_deref(),
            ApprovalSubject::Apply => None,
            _ => return false,
        };
        let Ok(diff) = self.difference(&id, task).await else { return false };
        let Ok(Some(copy)) = self.main_copy(view).await else { return false };
        let Some(place) = copy.place else { return false };
        let thread =
            Thread { channel: place.channel, thread_ts: copy.thread_ts.or(Some(place.ts)), ..Thread::default() };
        // What a request shows can change: each digest has its own file.
        let name = format!("diff:{}:{}", view.approval_id, view.digest);
        let title = view.task_key.as_deref().unwrap_or("The result");
        self.upload_once(&name, &thread, "change.diff", title, &diff).await.unwrap_or(false)
    }

    /// What a task or the result changes, as people may see it.
    async fn difference(&self, project: &str, task: Option<&str>) -> Result<DiffView, Problem> {
        let diff = self.0.service.diff(project, task).await?;
        self.veiled(&diff)
    }

    /// Uploads a difference, at most once: one that was begun and perhaps failed is not tried again, `baton diff` shows it.
    async fn upload_once(
        &self,
        name: &str,
        thread: &Thread,
        filename: &str,
        title: &str,
        diff: &DiffView,
    ) -> Result<bool, String> {
        let core = &*self.0;
        // Slack refuses empty files.
        if core.settings.max_snippet_bytes == 0 || diff.text.is_empty() {
            return Ok(false);
        }
        let posting = Posting {
            name: name.to_owned(),
            target: thread.channel.clone(),
            thread_ts: thread.thread_ts.clone(),
            intended_at: self.now(),
            closed: true,
            ..Posting::default()
        };
        if let Some(before) = core.desk.intend(posting.clone()).await.map_err(|e| e.to_string())? {
            return Ok(before.place.is_some());
        }
        let upload = Upload {
            channel: thread.channel.clone(),
            thread_ts: thread.thread_ts.clone(),
            filename: filename.to_owned(),
            title: text::plain(&self.without_known(title), 80),
            bytes: Bytes::from(snippet(&diff.text, core.settings.max_snippet_bytes)),
        };
        match core.web.upload(&upload).await {
            Ok(file) => {
                let place = crate::adapter::slack::Place { channel: thread.channel.clone(), ts: file };
                core.desk.posted(Posting { place: Some(place), ..posting }).await.map_err(|e| e.to_string())?;
                Ok(true)
            }
            Err(error) => {
                tracing::warn!(%error, "Slack: a difference is not attached");
                Ok(false)
            }
        }
    }

    /// A request's card as it is to be seen.
    pub(super) fn card_of(&self, view: &ApprovalView, project: &ProjectView) -> Option<Card> {
        let (view, project) = (self.hidden(view)?, self.hidden(project)?);
        let settings = CardSettings { excerpt: self.0.settings.max_snippet_bytes, ..CardSettings::default() };
        Some(if view.decision.is_some() {
            view::decided_card(&view, &project, &settings)
        } else {
            view::card(&view, &project, &settings)
        })
    }
}

fn summary_name(project_id: ProjectId) -> String {
    format!("summary:{project_id}")
}

/// A difference as a file for Slack: without secrets, cut at a line.
fn snippet(diff: &str, most: usize) -> String {
    let clean = secrets::redact(diff);
    if clean.len() <= most {
        return clean;
    }
    let cut = clean.char_indices().map(|(at, _)| at).take_while(|at| *at <= most).last().unwrap_or_default();
    let head = clean.get(..cut).unwrap_or_default();
    let head = head.rfind('\n').and_then(|end| head.get(..=end)).unwrap_or(head);
    format!("{head}… cut here: `baton diff` on the orchestrator's machine shows all of it\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_cut_at_a_line_and_holds_no_key() {
        let diff = "+one\n+ghp_0123456789abcdefghijABCDEFGHIJ\n+three\n";
        assert_eq!(snippet(diff, 1000), "+one\n+[withheld]\n+three\n");
        assert!(snippet(diff, 12).starts_with("+one\n… cut here"));
    }
}
