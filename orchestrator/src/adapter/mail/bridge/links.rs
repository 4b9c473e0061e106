//! What is behind the links in our mails: the request they were sent for, decided as the person they were sent to. The ledger says
//! whether a decision counts; that a link was used is only written down beside it.

mod edit;
#[cfg(test)]
mod tests;

use bus_schemas::v1::{
    api::{ApprovalView, AskRequest, DecisionRequest, DiffView, Problem, ViewedRequest},
    approval::{ApprovalSubject, Verdict},
};
use bytes::Bytes;

use super::core::Bridge;
use crate::{
    adapter::mail::{
        Desk, Kept, OutMail, Transport, Verifier,
        ingress::Intake,
        pages::{Answer, Deciding, Filled, Kind, Page},
        view::{
            Frame,
            page::{self, Editing, Forms},
        },
    },
    mail::{letter::Delivery, token},
    port::{Service, journal::JournalError},
};

/// The channel of what is decided by mail, links included.
const EMAIL: &str = "email";
/// Where forms go: to the page they are on.
const HERE: &str = "";

/// What a link leads to.
struct Behind {
    mail: OutMail,
    approval: ApprovalView,
}

/// Why nothing can be decided behind a link.
enum Closed {
    /// The request is decided, or void.
    Decided,
    /// Something else.
    Otherwise { title: &'static str, said: String },
}

/// It leads nowhere, or not now: the page that says so.
type Found<T> = Result<T, Page>;

impl<S: Service, D: Desk, V: Verifier, T: Transport> Intake for Bridge<S, D, V, T> {
    async fn keep(&self, raw: Bytes, delivery: Delivery) -> Kept<()> {
        self.take(raw, delivery).await.map(drop)
    }
}

impl<S: Service, D: Desk, V: Verifier, T: Transport> Deciding for Bridge<S, D, V, T> {
    fn is_ours(&self, kind: Kind, link: &str) -> bool {
        let key = &self.0.world.settings.key;
        match kind {
            Kind::Request => token::read_link(key, link).is_some(),
            Kind::Quiet => token::read_quiet(key, link).is_some(),
        }
    }

    async fn show(&self, link: &str) -> Page {
        match self.behind(link).await {
            Ok(behind) => self.page(&behind, Answer::Ok, None).await,
            Err(page) => page,
        }
    }

    async fn decide(&self, link: &str, filled: Filled) -> Page {
        if filled.verdict == "edit" {
            return Box::pin(self.edit(link, &filled)).await;
        }
        let behind = match self.behind(link).await {
            Ok(behind) => behind,
            Err(page) => return page,
        };
        if self.closed(&behind).is_some() {
            return self.page(&behind, Answer::Closed, None).await;
        }
        let viewed = ViewedRequest { by: behind.mail.to.clone(), channel: EMAIL.to_owned() };
        if let Err(problem) = self.0.world.service.viewed(&behind.approval.approval_id.to_string(), viewed).await
            && is_passing(&problem)
        {
            return later();
        }
        let verdict = match (filled.verdict.as_str(), &behind.approval.subject) {
            ("ask", _) => return Box::pin(self.ask_behind(&behind, filled)).await,
            ("approve", ApprovalSubject::Question { .. }) | ("answer", _) if filled.note.is_empty() => {
                return self.page(&behind, Answer::Incomplete, Some("Write your answer first.")).await;
            }
            ("approve" | "answer", _) => Verdict::Approved,
            ("changes", _) => Verdict::ChangesRequested,
            ("reject", _) => Verdict::Rejected,
            _ => {
                return self
                    .page(&behind, Answer::Incomplete, Some("Nothing was chosen: press one of the keys."))
                    .await;
            }
        };
        Box::pin(self.vote(behind, verdict, filled)).await
    }

    async fn show_quiet(&self, link: &str) -> Page {
        match self.of_quiet(link).await {
            Ok(mail) => Page { answer: Answer::Ok, html: page::quiet(HERE, false, &self.page_frame(&mail)) },
            Err(page) => page,
        }
    }

    async fn quieten(&self, link: &str) -> Page {
        let mail = match self.of_quiet(link).await {
            Ok(mail) => mail,
            Err(page) => return page,
        };
        match self.silence(&mail).await {
            Ok(()) => Page { answer: Answer::Ok, html: page::quiet(HERE, true, &self.page_frame(&mail)) },
            Err(page) => page,
        }
    }
}

impl<S: Service, D: Desk, V: Verifier, T: Transport> Bridge<S, D, V, T> {
    /// The mail and the request of a link.
    async fn behind(&self, link: &str) -> Found<Behind> {
        let world = &self.0.world;
        let id = token::read_link(&world.settings.key, link).ok_or_else(gone)?;
        let mail = world.desk.out(id).await.map_err(|error| away(&error))?.ok_or_else(gone)?;
        let approval_id = mail.approval_id.ok_or_else(gone)?;
        match world.service.approval(&approval_id.to_string()).await {
            Ok(approval) => Ok(Behind { mail, approval }),
            Err(problem) if problem.status == 404 => Err(gone()),
            Err(problem) => {
                tracing::warn!(problem.code, problem.detail, "mail: a request could not be shown behind its link");
                Err(later())
            }
        }
    }

    /// Why nothing can be decided here any more, as a page.
    fn closed(&self, behind: &Behind) -> Option<String> {
        self.why_closed(behind).map(|why| match why {
            Closed::Decided => page::outcome(&behind.approval, &self.page_frame(&behind.mail)),
            Closed::Otherwise { title, said } => page::message(title, &said),
        })
    }

    /// Why nothing can be decided here any more.
    fn why_closed(&self, behind: &Behind) -> Option<Closed> {
        let Behind { mail, approval } = behind;
        let otherwise = |title, said: String| Some(Closed::Otherwise { title, said });
        if approval.decision.is_some() {
            return Some(Closed::Decided);
        }
        if approval.digest != mail.digest {
            let said =
                "What that mail showed has changed since, and is not asked any more. A newer mail shows what is.";
            return otherwise("This is void", said.to_owned());
        }
        if let Some(used) = &mail.used {
            return otherwise("This link was used", format!("{used} {}", waiting(approval)));
        }
        if self.0.world.people.person(EMAIL, &mail.to) != mail.person {
            let said = "The address this was sent to belongs to somebody else by now. Nothing can be decided here.";
            return otherwise("This is void", said.to_owned());
        }
        None
    }

    /// The request with its form, or what came of it.
    async fn page(&self, behind: &Behind, answer: Answer, trouble: Option<&str>) -> Page {
        self.page_with(behind, answer, trouble, None).await
    }

    /// The same, with the plan as it was written in the place of the plan as it is.
    async fn page_with(
        &self,
        behind: &Behind,
        answer: Answer,
        trouble: Option<&str>,
        written: Option<Editing>,
    ) -> Page {
        if let Some(html) = self.closed(behind) {
            return Page { answer, html };
        }
        let service = &self.0.world.service;
        let Behind { mail, approval } = behind;
        let project = match service.project(&approval.project_id.to_string()).await {
            Ok(project) => project,
            Err(problem) => {
                tracing::warn!(problem.code, problem.detail, "mail: a project could not be shown behind a link");
                return later();
            }
        };
        let diff = self.difference(approval).await;
        let editing = written.unwrap_or_else(|| self.editing(behind, &project));
        let forms = Forms { action: HERE, trouble, editing };
        let html = page::request(approval, &project, diff.as_ref(), &forms, &self.page_frame(mail));
        Page { answer, html }
    }

    /// What changes, where that is what is asked about. Without it there is still the rest.
    async fn difference(&self, approval: &ApprovalView) -> Option<DiffView> {
        let project = approval.project_id.to_string();
        let task = match approval.subject {
            ApprovalSubject::Handoff { .. } => Some(approval.task_key.as_deref()?),
            ApprovalSubject::Apply => None,
            _ => return None,
        };
        self.0.world.service.diff(&project, task).await.ok()
    }

    async fn vote(&self, behind: Behind, verdict: Verdict, filled: Filled) -> Page {
        let world = &self.0.world;
        let id = behind.approval.approval_id.to_string();
        let request = DecisionRequest {
            verdict,
            digest: filled.digest,
            by: behind.mail.to.clone(),
            channel: EMAIL.to_owned(),
            note: filled.note,
            remember: None,
        };
        let approval = match world.service.decide(&id, request).await {
            Ok(approval) => approval,
            Err(problem) => return self.refused(behind, &problem).await,
        };
        let used = match verdict {
            Verdict::Approved if matches!(approval.subject, ApprovalSubject::Question { .. }) => "You answered.",
            Verdict::Approved => "You approved.",
            Verdict::ChangesRequested => "You requested changes.",
            Verdict::Rejected | Verdict::Expired => "You rejected.",
        };
        // The ledger has the decision, whatever becomes of this note beside it.
        if let Err(error) = world.desk.use_link(behind.mail.id, used).await {
            tracing::warn!(%error, "mail: that a link was used could not be written down");
        }
        let html = match &approval.decision {
            Some(_) => page::outcome(&approval, &self.page_frame(&behind.mail)),
            None => page::message("Your say is recorded", &format!("{used} {}", waiting(&approval))),
        };
        Page { answer: Answer::Ok, html }
    }

    async fn ask_behind(&self, behind: &Behind, filled: Filled) -> Page {
        if filled.note.is_empty() {
            return self.page(behind, Answer::Incomplete, Some("Write your question first.")).await;
        }
        let id = behind.approval.approval_id.to_string();
        let request = AskRequest { question: filled.note, by: behind.mail.to.clone(), channel: EMAIL.to_owned() };
        match self.0.world.service.ask_agent(&id, request).await {
            Ok(_) => {
                let said = "The answer is shown on this page once it is there; the link still decides.";
                Page { answer: Answer::Ok, html: page::message("The agent was asked", said) }
            }
            Err(problem) if is_passing(&problem) => later(),
            Err(problem) => self.page(behind, Answer::Incomplete, Some(&sentence(&problem))).await,
        }
    }

    /// It was not taken: how the request is now, and why.
    async fn refused(&self, behind: Behind, problem: &Problem) -> Page {
        if is_passing(problem) {
            return later();
        }
        let now = match self.0.world.service.approval(&behind.approval.approval_id.to_string()).await {
            Ok(approval) => Behind { mail: behind.mail, approval },
            Err(_) => return later(),
        };
        if self.closed(&now).is_some() {
            return self.page(&now, Answer::Closed, None).await;
        }
        let why = sentence(problem);
        match problem.status {
            403 => Page { answer: Answer::Forbidden, html: page::message("Nothing was decided", &why) },
            409 if problem.code != "digest_mismatch" => {
                Page { answer: Answer::Closed, html: page::message("Nothing was decided", &why) }
            }
            409 => self.page(&now, Answer::Closed, Some(&why)).await,
            _ => self.page(&now, Answer::Incomplete, Some(&why)).await,
        }
    }

    /// The mail of a link that ends news.
    async fn of_quiet(&self, link: &str) -> Found<OutMail> {
        let world = &self.0.world;
        let id = token::read_quiet(&world.settings.key, link).ok_or_else(gone)?;
        world.desk.out(id).await.map_err(|error| away(&error))?.ok_or_else(gone)
    }

    /// No more news: of the mail's project, or of all there are if it is about several.
    async fn silence(&self, mail: &OutMail) -> Found<()> {
        let world = &self.0.world;
        let projects = match mail.project_id {
            Some(project_id) => vec![project_id],
            None => {
                let all = world.service.projects().await.map_err(|_| later())?;
                all.into_iter().map(|project| project.project_id).collect()
            }
        };
        for project_id in projects {
            let thread = world.desk.thread(project_id, &mail.person).await.map_err(|error| away(&error))?;
            let is_theirs = thread.is_some() || mail.project_id.is_some();
            if is_theirs && thread.is_none_or(|thread| !thread.is_quiet) {
                let hushed = self.change_thread(project_id, &mail.person, |thread| thread.is_quiet = true);
                hushed.await.map_err(|error| away(&error))?;
            }
        }
        Ok(())
    }

    fn page_frame(&self, mail: &OutMail) -> Frame {
        let settings = &self.0.world.settings;
        Frame {
            address: settings.address.clone(),
            now: self.now(),
            secrets: settings.secrets.clone(),
            person: mail.person.clone(),
            ..Frame::default()
        }
    }
}

/// What else it takes.
fn waiting(approval: &ApprovalView) -> String {
    if approval.route.needs.is_empty() {
        return "The request still waits for others.".to_owned();
    }
    format!("The request still waits: it needs {}.", approval.route.needs)
}

fn sentence(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{}: {hint}", problem.detail),
        None => problem.detail.clone(),
    }
}

/// It may go well later, as it is.
const fn is_passing(problem: &Problem) -> bool {
    problem.status >= 500
}

fn gone() -> Page {
    Page { answer: Answer::Gone, html: page::gone() }
}

fn away(error: &JournalError) -> Page {
    tracing::error!(%error, "mail: what is behind a link could not be read or written");
    later()
}

fn later() -> Page {
    let said = "It cannot be done right now. Nothing was decided; please try again in a minute.";
    Page { answer: Answer::Later, html: page::message("Not now", said) }
}
