//! A mail of ours: drawn, put into its thread, written down whole.

use bus_schemas::id::{ApprovalId, ProjectId};
use bytes::Bytes;
use uuid::Uuid;

use super::{super::core::Bridge, fail::UNREACHED, people::NOT_SENT};
use crate::{
    adapter::mail::{
        Desk, Kept, OutKind, OutMail, OutState, Story, Thread, Transport, Verifier,
        mime::{self, Auto, Heads},
        view::{self, Content, Frame},
    },
    mail::token,
    port::Service,
};

/// The window of the rates, in milliseconds.
pub(in super::super) const HOUR_MS: i64 = 3_600_000;
/// The ids of a thread that are kept: the first, which programs sort by, and the newest.
const REFERENCES: usize = 20;

/// To whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The person: a member's name, or `email:address`.
    pub person: String,
    /// Their address.
    pub address: String,
}

/// Something to be said by mail, once.
#[derive(Clone, Debug)]
pub struct Say {
    /// What it is; unique together with the recipient.
    pub name: String,
    /// To whom.
    pub to: Recipient,
    /// About which project.
    pub project_id: Option<ProjectId>,
    /// About which request.
    pub approval_id: Option<ApprovalId>,
    /// The digest of what is shown.
    pub digest: String,
    /// What an answer to it is.
    pub kind: OutKind,
    /// The id of the mail it answers, without angle brackets.
    pub in_reply_to: Option<String>,
    /// It answers a mail, or nobody asked for it.
    pub auto: Auto,
    /// What it says.
    pub story: Story,
}

/// A mail of ours, ready to be written down.
pub(super) struct Written {
    pub(super) mail: OutMail,
    pub(super) text: Bytes,
    subject: String,
}

impl<S: Service, D: Desk, V: Verifier, T: Transport> Bridge<S, D, V, T> {
    /// Says something, once: a mail of that name to that address is not written again.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`]: nothing is written down; say it again.
    pub async fn say(&self, said: Say) -> Kept<()> {
        if self.is_too_much(&said).await? {
            return self.leave_unsent(&said).await;
        }
        let started = matches!(said.story, Story::Started { .. }).then_some(said.project_id).flatten();
        let written = self.write(&said).await?;
        self.keep_written(&said, written).await?;
        if let Some(project_id) = started {
            // Its requests may have been asked before it was known that it began by mail.
            self.0.projects.mark(project_id);
        }
        Ok(())
    }

    /// Writes down what is not sent, for `baton mail outbox`: two programs that answer each other are to be seen.
    async fn leave_unsent(&self, said: &Say) -> Kept<()> {
        let why = format!(
            "{NOT_SENT}more than {} mails to {} about one project within an hour (`per_thread` in [mail])",
            self.0.world.settings.per_thread, said.to.person
        );
        tracing::warn!(name = %said.name, person = %said.to.person, %why, "mail: too many");
        let Written { mail, text, .. } = self.write(said).await?;
        self.0.world.desk.intend(OutMail { state: OutState::Failed, error: Some(why), ..mail }, text).await.map(drop)
    }

    /// Above the cap only what somebody waits for goes out: requests, and what a project came to.
    async fn is_too_much(&self, said: &Say) -> Kept<bool> {
        let is_awaited = matches!(said.story, Story::Request { .. } | Story::Result { .. } | Story::Started { .. });
        if is_awaited || said.name.starts_with(UNREACHED) {
            return Ok(false);
        }
        let since = bus_schemas::time::UnixMs(self.now().0 - HOUR_MS);
        let sent = self.0.world.desk.sent_since(&said.to.person, said.project_id, since).await?;
        Ok(sent >= self.0.world.settings.per_thread)
    }

    async fn keep_written(&self, said: &Say, written: Written) -> Kept<()> {
        let Written { mail, text, subject } = written;
        let message_id = mail.message_id.clone();
        let is_new = self.0.world.desk.intend(mail, text).await?;
        if let Some(project_id) = said.project_id.filter(|_| is_new) {
            self.change_thread(project_id, &said.to.person, |thread| {
                if thread.subject.is_empty() {
                    thread.subject = subject;
                }
                let before = said.in_reply_to.iter().filter(|id| !thread.references.contains(id)).cloned();
                let more: Vec<String> = before.chain([message_id]).collect();
                thread.references.extend(more);
                if thread.references.len() > REFERENCES {
                    let surplus = thread.references.len() - REFERENCES;
                    thread.references.drain(1..=surplus);
                }
            })
            .await?;
        }
        self.0.outward.notify_one();
        Ok(())
    }

    /// Changes the thread of a project with a person, one change after the other.
    pub(in super::super) async fn change_thread(
        &self,
        project_id: ProjectId,
        person: &str,
        change: impl FnOnce(&mut Thread) + Send,
    ) -> Kept<()> {
        let desk = &self.0.world.desk;
        let _one_at_a_time = self.0.threads.lock().await;
        let mut thread = desk.thread(project_id, person).await?.unwrap_or_default();
        change(&mut thread);
        desk.set_thread(project_id, person, thread).await
    }

    /// Draws a mail and puts it into its thread.
    pub(super) async fn write(&self, said: &Say) -> Kept<Written> {
        let world = &self.0.world;
        let settings = &world.settings;
        let thread = match said.project_id {
            Some(project_id) => world.desk.thread(project_id, &said.to.person).await?.unwrap_or_default(),
            None => Thread::default(),
        };
        let id = world.ids.next();
        let mut content = view::render(&said.story, &self.frame_of(said, id));
        let subject = content.subject.clone();
        answer_subject(&mut content, &thread);
        let message_id = format!("{}@baton.{}", id.simple(), domain(&settings.address));
        let text = Bytes::from(mime::build(&content, &self.heads(said, id, &message_id, &thread)));
        let now = self.now();
        let mail = OutMail {
            id,
            name: said.name.clone(),
            to: said.to.address.clone(),
            person: said.to.person.clone(),
            kind: said.kind,
            project_id: said.project_id,
            approval_id: said.approval_id,
            digest: said.digest.clone(),
            message_id,
            created_at: now,
            state: OutState::Queued,
            tries: 0,
            next_at: now,
            error: None,
            used: None,
        };
        Ok(Written { mail, text, subject })
    }

    fn frame_of(&self, said: &Say, id: Uuid) -> Frame {
        let settings = &self.0.world.settings;
        let page = |path: &str, token: String| settings.public_url.as_ref().map(|url| format!("{url}/{path}/{token}"));
        let asks = said.kind == OutKind::Request && said.approval_id.is_some();
        Frame {
            address: settings.address.clone(),
            link: page("r", token::link(&settings.key, id)).filter(|_| asks),
            quiet_link: page("q", token::quiet(&settings.key, id)).filter(|_| is_news(said)),
            can_reply: true,
            now: self.now(),
            secrets: settings.secrets.clone(),
            person: said.to.person.clone(),
        }
    }

    fn heads(&self, said: &Say, id: Uuid, message_id: &str, thread: &Thread) -> Heads {
        let settings = &self.0.world.settings;
        let mut references = thread.references.clone();
        references.extend(said.in_reply_to.iter().filter(|id| !thread.references.contains(id)).cloned());
        let page = settings.public_url.as_ref().map(|url| format!("{url}/q/{}", token::quiet(&settings.key, id)));
        let reply_to = with_token(&settings.address, &token::plus(&settings.key, id));
        // An answer that says so ends the news of one project; of several, the page does.
        let quiet = is_news(said) && said.project_id.is_some();
        let quiet = quiet.then(|| (format!("{reply_to}?subject=unsubscribe"), page));
        Heads {
            from: (settings.name.clone(), settings.address.clone()),
            to: said.to.address.clone(),
            reply_to: Some(reply_to),
            message_id: message_id.to_owned(),
            in_reply_to: said.in_reply_to.clone().or_else(|| thread.references.last().cloned()),
            references,
            auto: said.auto,
            list_unsubscribe: quiet,
            date: self.now(),
        }
    }
}

/// It is one of those a person can ask not to get.
fn is_news(said: &Say) -> bool {
    matches!(said.story, Story::Digest { .. })
}

/// In the thread of a mail that began a project, every mail answers that one: its subject stays.
fn answer_subject(content: &mut Content, thread: &Thread) {
    if thread.is_start && !thread.subject.is_empty() {
        content.subject = format!("Re: {}", thread.subject);
    }
}

/// The part behind the @.
pub(super) fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// Our address with something behind its `+`.
pub(super) fn with_token(address: &str, token: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}+{token}@{domain}"),
        None => address.to_owned(),
    }
}
