//! What happens between a project's start and its end, told at once or together.

use std::{collections::BTreeSet, time::Duration};

use bus_schemas::{
    id::{ProjectId, TaskId},
    time::UnixMs,
    v1::{api::FeedEvent, project::ProjectState, task::TaskState},
};

use super::{super::core::Bridge, Recipient, Say, people::is_lost};
use crate::{
    adapter::mail::{Desk, News, OutKind, OutMail, Story, Transport, Verifier, mime::Auto},
    port::Service,
};

/// How often it is looked whether a digest is due, at least and at most.
const LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Events that are told as the feed says them.
const TOLD: [&str; 6] =
    ["budget.warned", "result.merge_failed", "apply.finished", "apply.stopped", "apply.stalled", "apply.undone"];
/// For so long an address is left out at which the newest mail to somebody was lost, in milliseconds: it may have been mended since.
const LOST_MS: u64 = 7 * 24 * 3600 * 1000;
/// What was told is remembered of so many tasks and projects: more is forgotten, all at once.
const REMEMBERED: usize = 10_000;

/// What ended and was told, in this run: the feed shows tasks as they are now, so that one that ended stands in each event
/// about it that is read late.
#[derive(Debug, Default)]
pub(super) struct Ended {
    tasks: BTreeSet<TaskId>,
    projects: BTreeSet<ProjectId>,
}

impl Ended {
    /// What an event says that is news, each with whether those who began the project hear it another way.
    fn sentences(&self, event: &FeedEvent) -> Vec<(String, bool)> {
        let mut said = Vec::new();
        if TOLD.contains(&event.kind.as_str()) {
            said.push((sentence(&event.text), false));
        }
        for task in event.tasks.iter().filter(|task| task.state.is_final() && !self.tasks.contains(&task.task_id)) {
            let reason = if task.reason.is_empty() { String::new() } else { format!(": {}", task.reason) };
            said.push((sentence(&format!("{} {}{reason}", task.key, ended(task.state))), false));
        }
        if event.project_state.is_final() && !self.projects.contains(&event.project_id) {
            said.push((over(event.project_state).to_owned(), true));
        }
        said
    }

    /// It was told.
    fn told(&mut self, event: &FeedEvent) {
        if self.tasks.len() + self.projects.len() > REMEMBERED {
            *self = Self::default();
        }
        self.tasks.extend(event.tasks.iter().filter(|task| task.state.is_final()).map(|task| task.task_id));
        if event.project_state.is_final() {
            self.projects.insert(event.project_id);
        }
    }
}

impl<S: Service, D: Desk, V: Verifier, T: Transport> Bridge<S, D, V, T> {
    /// Keeps, or tells, what an event says that is news; whether there was any for anybody.
    pub(super) async fn hear(&self, event: &FeedEvent, ended: &mut Ended) -> Result<bool, String> {
        let Some(together) = self.0.world.settings.news else { return Ok(false) };
        let said = ended.sentences(event);
        let has_news = !said.is_empty() && self.pass_on(event, said, together).await?;
        ended.told(event);
        Ok(has_news)
    }

    async fn pass_on(&self, event: &FeedEvent, said: Vec<(String, bool)>, together: Duration) -> Result<bool, String> {
        let world = &self.0.world;
        let threads = world.desk.threads(event.project_id).await.map_err(|e| e.to_string())?;
        let hear: Vec<_> = threads.into_iter().filter(|(_, thread)| !thread.is_quiet).collect();
        if hear.is_empty() {
            return Ok(false);
        }
        let title = match world.service.project(&event.project_id.to_string()).await {
            Ok(project) => project.title,
            Err(problem) if problem.code == "not_found" => return Ok(false),
            Err(problem) => return Err(problem.detail),
        };
        for (person, thread) in hear {
            let news = said.iter().filter(|(_, is_result)| !(thread.is_start && *is_result));
            let news: Vec<News> =
                news.map(|(said, _)| News { at: event.at, project: title.clone(), said: said.clone() }).collect();
            if news.is_empty() {
                continue;
            }
            if together.is_zero() {
                self.tell_now(event, &person, news).await?;
                continue;
            }
            let _not_while_told = self.0.gathering.lock().await;
            for news in news {
                world.desk.gather(&person, event.project_id, news).await.map_err(|e| e.to_string())?;
            }
        }
        Ok(true)
    }

    async fn tell_now(&self, event: &FeedEvent, person: &str, news: Vec<News>) -> Result<(), String> {
        let name = format!("news:{}:{}", event.project_id, event.sequence);
        let Some(said) = self.news_said(name, person, Some(event.project_id), news).await? else { return Ok(()) };
        self.say(said).await.map_err(|e| e.to_string())
    }

    /// Tells what came together, for ever.
    pub(in super::super) async fn keep_news(self) {
        let Some(together) = self.0.world.settings.news.filter(|together| !together.is_zero()) else { return };
        let pause = (together / 4).clamp(LOOK.0, LOOK.1);
        loop {
            if let Err(why) = self.tell_digests(together).await {
                tracing::warn!(%why, "mail: news are not told; tried again");
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn tell_digests(&self, together: Duration) -> Result<(), String> {
        let span = i64::try_from(together.as_millis()).unwrap_or(i64::MAX);
        let before = UnixMs(self.now().0.saturating_sub(span));
        for person in self.0.world.desk.gathered(before).await.map_err(|e| e.to_string())? {
            self.tell_digest(&person).await?;
        }
        Ok(())
    }

    async fn tell_digest(&self, person: &str) -> Result<(), String> {
        let desk = &self.0.world.desk;
        let _none_comes_meanwhile = self.0.gathering.lock().await;
        let gathered = desk.news(person).await.map_err(|e| e.to_string())?;
        let Some(first) = gathered.iter().map(|(_, news)| news.at).min() else { return Ok(()) };
        let until = gathered.iter().map(|(_, news)| news.at).max().unwrap_or(first);
        let projects: BTreeSet<ProjectId> = gathered.iter().map(|(project_id, _)| *project_id).collect();
        let mut quiet = BTreeSet::new();
        for project_id in &projects {
            let thread = desk.thread(*project_id, person).await.map_err(|e| e.to_string())?;
            if thread.is_some_and(|thread| thread.is_quiet) {
                quiet.insert(*project_id);
            }
        }
        let wanted = gathered.iter().filter(|(project_id, _)| !quiet.contains(project_id));
        let wanted: Vec<News> = wanted.map(|(_, news)| news.clone()).collect();
        let heard: Vec<ProjectId> = projects.difference(&quiet).copied().collect();
        // Of one project it is in that one's thread; of several it is about none.
        let project_id = if let [one] = heard.as_slice() { Some(*one) } else { None };
        let said = self.news_said(format!("digest:{person}:{}", first.0), person, project_id, wanted).await?;
        let Some(said) = said else {
            return desk.forget_news(person, until).await.map_err(|e| e.to_string());
        };
        let written = self.write(&said).await.map_err(|e| e.to_string())?;
        desk.intend_digest(written.mail, written.text, person, until).await.map_err(|e| e.to_string())?;
        self.0.outward.notify_one();
        Ok(())
    }

    /// News as a mail; `None` if there is none, or nowhere to send it.
    async fn news_said(
        &self,
        name: String,
        person: &str,
        project_id: Option<ProjectId>,
        news: Vec<News>,
    ) -> Result<Option<Say>, String> {
        if news.is_empty() {
            return Ok(None);
        }
        let Some(to) = self.news_recipient(person).await? else { return Ok(None) };
        Ok(Some(Say {
            name,
            to,
            project_id,
            approval_id: None,
            digest: String::new(),
            kind: OutKind::Project,
            in_reply_to: None,
            auto: Auto::Generated,
            story: Story::Digest { news },
        }))
    }

    /// The first address of a person at which the newest mail was not lost of late; the first of all if there is none.
    async fn news_recipient(&self, person: &str) -> Result<Option<Recipient>, String> {
        let addresses = self.crew().addresses(person);
        let at = |address: &String| Recipient { person: person.to_owned(), address: address.clone() };
        for address in &addresses {
            let newest = self.0.world.desk.newest_to(person, address).await.map_err(|e| e.to_string())?;
            let fails = |mail: &OutMail| is_lost(mail) && self.now().since(mail.created_at) < LOST_MS;
            if !newest.as_ref().is_some_and(fails) {
                return Ok(Some(at(address)));
            }
        }
        Ok(addresses.first().map(at))
    }
}

/// A sentence: a large letter, and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.trim().chars();
    let first: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let stop = if text.trim_end().ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

const fn ended(state: TaskState) -> &'static str {
    match state {
        TaskState::Completed => "is done, and its checks passed",
        TaskState::Unverified => "is done; nothing proves it",
        TaskState::Failed => "failed",
        TaskState::Canceled => "was stopped",
        TaskState::Rejected => "was refused",
        TaskState::Skipped => "is left out",
        TaskState::UnknownOutcome => "has an unknown outcome",
        TaskState::Blocked
        | TaskState::Ready
        | TaskState::Submitted
        | TaskState::Working
        | TaskState::InputRequired => "goes on",
    }
}

const fn over(state: ProjectState) -> &'static str {
    match state {
        ProjectState::Completed => "The project is completed.",
        ProjectState::Failed => "The project failed.",
        ProjectState::Canceled => "The project was stopped.",
        ProjectState::Rejected => "The project's plan was refused.",
        ProjectState::Planning | ProjectState::AwaitingApproval | ProjectState::Working => "The project goes on.",
    }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn sentences_begin_large_and_end_with_a_stop() {
        for (text, sentence_of_it) in
            [("größe is done", "Größe is done."), ("über x!", "Über x!"), ("", "."), ("ß.", "SS.")]
        {
            assert_eq!(sentence(text), sentence_of_it);
        }
    }
}
