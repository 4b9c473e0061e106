//! Which mail of ours a mail answers: by its signed token first, then by its thread, never by its subject.

use bus_schemas::id::{ApprovalId, ProjectId};

use super::{
    super::outward::{Auto, Recipient, Say},
    Outlet,
    judge::Genuine,
    work::{Inward, Later},
};
use crate::{
    adapter::mail::{Desk, Kept, OutKind, OutMail, Story, Verifier},
    mail::{addressed, letter::Letter, token},
    port::Service,
};

/// The ids of a thread that are looked up, the newest first.
const LOOKED_UP: usize = 20;

/// What a mail answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Nothing of ours: it begins something.
    Nothing,
    /// This mail.
    Mail(Box<OutMail>),
    /// A token that we did not make.
    Forged,
    /// Mails of ours about different things.
    Several,
}

/// Where an answer belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Thread {
    pub(super) project_id: Option<ProjectId>,
    pub(super) approval_id: Option<ApprovalId>,
    pub(super) digest: String,
    pub(super) kind: Kind,
}

/// What an answer to our answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// What this mail was: for what is said about a project, or about nothing.
    #[default]
    Answer,
    /// About the project.
    Project,
    /// It may decide: we asked back.
    Request,
}

impl Thread {
    /// About a project.
    pub(super) fn of(project_id: ProjectId) -> Self {
        Self { project_id: Some(project_id), kind: Kind::Project, ..Self::default() }
    }

    /// Where the mail that is answered belongs: what is asked back there can be decided by an answer, as it could before.
    pub(super) fn back(out: &OutMail) -> Self {
        let kind = match out.kind {
            OutKind::Request if out.approval_id.is_some() => Kind::Request,
            OutKind::Request | OutKind::Project => Kind::Project,
            OutKind::Answer => Kind::Answer,
        };
        Self { project_id: out.project_id, approval_id: out.approval_id, digest: out.digest.clone(), kind }
    }

    /// The answer to a mail, ready to be said.
    pub(super) fn say(&self, mail: &Genuine, story: Story) -> Say {
        let kind = match self.kind {
            Kind::Answer => OutKind::Answer,
            Kind::Project => OutKind::Project,
            Kind::Request => OutKind::Request,
        };
        Say {
            name: format!("answer:{}", mail.id),
            to: Recipient { person: mail.sender.person.clone(), address: mail.sender.address.clone() },
            project_id: self.project_id,
            approval_id: self.approval_id.filter(|_| kind == OutKind::Request),
            digest: if kind == OutKind::Request { self.digest.clone() } else { String::new() },
            kind,
            in_reply_to: mail.letter.message_id.clone(),
            auto: Auto::Replied,
            story,
        }
    }
}

impl<S: Service, D: Desk, V: Verifier, O: Outlet> Inward<S, D, V, O> {
    /// Finds the mail of ours that a mail answers.
    pub(super) async fn answered(&self, mail: &Genuine) -> Result<Answered, Later> {
        let Genuine { letter, delivery, sender, .. } = mail;
        let settings = &self.0.settings;
        let details = addressed::details(letter, delivery, &settings.address);
        Ok(answered(&self.0.desk, &settings.key, &details, letter, &sender.person).await?)
    }
}

/// Finds the mail of ours that a person's mail answers; `details` is what stands behind our `+` in it.
///
/// # Errors
/// The store does not answer.
pub async fn answered<D: Desk>(
    desk: &D,
    key: &[u8; 32],
    details: &[String],
    letter: &Letter,
    person: &str,
) -> Kept<Answered> {
    let mut found: Vec<OutMail> = Vec::new();
    let mut has_token = false;
    for detail in details.iter().filter(|detail| token::looks_like_plus(detail)) {
        has_token = true;
        if let Some(id) = token::read_plus(key, detail) {
            found.extend(desk.out(id).await?);
        }
    }
    // Where a token stands, a signature need not cover the thread: anybody could have written that.
    if !has_token {
        found.extend(in_thread(desk, &letter.in_reply_to, &letter.references).await?);
    }
    // Who answers to all answers also what was sent to others: their own one is theirs.
    if found.iter().any(|out| out.person == person) {
        found.retain(|out| out.person == person);
    }
    let Some(newest) = found.iter().max_by_key(|out| out.created_at).cloned() else {
        return Ok(if has_token { Answered::Forged } else { Answered::Nothing });
    };
    let is_same = |out: &OutMail| {
        (out.project_id, out.approval_id, &out.digest) == (newest.project_id, newest.approval_id, &newest.digest)
    };
    Ok(if found.iter().all(is_same) { Answered::Mail(Box::new(newest)) } else { Answered::Several })
}

async fn in_thread<D: Desk>(desk: &D, in_reply_to: &[String], references: &[String]) -> Kept<Vec<OutMail>> {
    let mut found = Vec::new();
    for id in in_reply_to.iter().take(LOOKED_UP) {
        found.extend(desk.out_by_message_id(std::slice::from_ref(id)).await?);
    }
    if found.is_empty() {
        for id in references.iter().rev().take(LOOKED_UP) {
            if let Some(out) = desk.out_by_message_id(std::slice::from_ref(id)).await? {
                found.push(out);
                break;
            }
        }
    }
    Ok(found)
}
