//! What a mail wants, done.

use bus_schemas::{
    id::ApprovalId,
    v1::{
        api::{ApprovalView, AskRequest, DecisionRequest, DelegateRequest, Problem},
        approval::{ApprovalSubject, Verdict},
    },
};

use super::{
    Outlet,
    about::{Answered, Thread},
    answers,
    judge::Genuine,
    work::{Done, Inward, Later, Outcome},
};
use crate::{
    adapter::mail::{Desk, OutKind, OutMail, Story, Verifier},
    mail::intent::{About, Wish, of_reply},
    port::Service,
};

/// The channel all of this comes over.
pub(super) const EMAIL: &str = "email";

impl<S: Service, D: Desk, V: Verifier, O: Outlet> Inward<S, D, V, O> {
    /// Does what a genuine mail wants.
    pub(super) async fn act(&self, mail: &Genuine) -> Outcome {
        match self.answered(mail).await? {
            Answered::Nothing => self.start(mail).await,
            Answered::Mail(out) => self.replied(mail, &out).await,
            Answered::Forged => {
                let story = answers::refused(
                    "Nothing was done",
                    "the address you wrote to has a mark that is not one of mine, so it is not known what you answered",
                    Some("answer a mail of mine without changing its address, or write a new one to begin a project"),
                );
                self.answer(mail, &Thread::default(), story).await?;
                Ok(Done::new("refused: a token that is not ours", None))
            }
            Answered::Several => {
                let story = answers::refused(
                    "Nothing was done",
                    "your mail answers several of mine at once, and it is not clear which one is meant",
                    Some("answer each of them by itself"),
                );
                self.answer(mail, &Thread::default(), story).await?;
                Ok(Done::new("refused: it answers several mails", None))
            }
        }
    }

    async fn replied(&self, mail: &Genuine, out: &OutMail) -> Outcome {
        match (out.kind, out.approval_id, out.project_id) {
            (OutKind::Request, Some(approval_id), _) => self.about_request(mail, out, approval_id).await,
            (_, _, Some(project_id)) => self.about_project(mail, out, project_id).await,
            (_, _, None) => self.about_nothing(mail).await,
        }
    }

    /// An answer to what belongs to no project: "thanks" begins none.
    async fn about_nothing(&self, mail: &Genuine) -> Outcome {
        if of_reply(&mail.letter, About::Project) == Wish::Nothing {
            return Ok(Done::new("no new text", None));
        }
        let story = answers::refused(
            "Nothing was done",
            "the mail you answered is about no project and asks for nothing",
            Some("write a new mail (not an answer) to begin a project"),
        );
        self.answer(mail, &Thread::default(), story).await?;
        Ok(Done::new("refused: an answer to what asks nothing", None))
    }

    async fn about_request(&self, mail: &Genuine, out: &OutMail, approval_id: ApprovalId) -> Outcome {
        let view = match self.0.service.approval(&approval_id.to_string()).await {
            Ok(view) => view,
            Err(problem) => return self.refuse(mail, &thread(out), None, &problem, out.project_id).await,
        };
        let about = match (&view.subject, &view.question) {
            (ApprovalSubject::Question { .. }, Some(question)) => About::Question(&question.options),
            (ApprovalSubject::Question { .. }, None) => About::Question(&[]),
            _ => About::Request,
        };
        let wish = of_reply(&mail.letter, about);
        if wish == Wish::Nothing {
            return self.without_words(mail, &thread(out), view.project_id).await;
        }
        if wish == Wish::Status && (mail.sender.is_member || out.person == mail.sender.person) {
            return self.status(mail, view.project_id).await;
        }
        if out.person != mail.sender.person {
            let story = answers::not_yours(&view);
            self.answer(mail, &Thread::of(view.project_id), story).await?;
            return Ok(Done::new(
                "refused: it answers a request that was sent to somebody else",
                Some(view.project_id),
            ));
        }
        match wish {
            Wish::Approve => self.decide(mail, out, &view, Verdict::Approved, String::new()).await,
            Wish::Answer(text) => self.decide(mail, out, &view, Verdict::Approved, text).await,
            Wish::Changes(note) => self.decide(mail, out, &view, Verdict::ChangesRequested, note).await,
            Wish::Reject(reason) => self.decide(mail, out, &view, Verdict::Rejected, reason).await,
            Wish::Ask(question) => self.ask(mail, out, &view, question).await,
            Wish::Delegate(name) => self.delegate(mail, out, &view, &name).await,
            Wish::Cancel(reason) => self.cancel(mail, view.project_id, reason).await,
            Wish::Unclear(why) => self.ask_back(mail, out, view, why).await,
            Wish::Note(_) | Wish::Status | Wish::Nothing => Ok(Done::new("no new text", Some(view.project_id))),
        }
    }

    /// There is no new text. Who attached something and wrote nothing hears that nobody has it.
    pub(super) async fn without_words(
        &self,
        mail: &Genuine,
        of: &Thread,
        project_id: bus_schemas::id::ProjectId,
    ) -> Outcome {
        if let Some(why) = answers::only_files(&mail.letter.attachments) {
            let hint = "write what you want to say; files come along only with the mail that begins a project";
            self.answer(mail, of, answers::refused("Nothing was done", &why, Some(hint))).await?;
        }
        Ok(Done::new("no new text", Some(project_id)))
    }

    /// Nothing is decided; they are asked what they mean.
    async fn ask_back(&self, mail: &Genuine, out: &OutMail, view: ApprovalView, why: String) -> Outcome {
        let project_id = Some(view.project_id);
        if view.decision.is_some() {
            self.answer(mail, &Thread::of(view.project_id), Story::Outcome { approval: Box::new(view) }).await?;
            return Ok(Done::new("it is decided: the outcome was sent", project_id));
        }
        let outcome = format!("asked back: {why}");
        let story = Story::AskBack { approval: Some(Box::new(view)), why };
        self.answer(mail, &Thread::back(out), story).await?;
        Ok(Done::new(outcome, project_id))
    }

    /// Somebody says yes or no, to what was shown to them.
    async fn decide(
        &self,
        mail: &Genuine,
        out: &OutMail,
        view: &ApprovalView,
        verdict: Verdict,
        note: String,
    ) -> Outcome {
        if verdict == Verdict::Rejected && note.trim().is_empty() && view.decision.is_none() {
            let why = "a reason is needed: write `reject:` and why, on the first line".to_owned();
            return self.ask_back(mail, out, view.clone(), why).await;
        }
        let request = DecisionRequest {
            verdict,
            digest: out.digest.clone(),
            by: mail.sender.handle.clone(),
            channel: EMAIL.to_owned(),
            note,
            remember: None,
        };
        match self.0.service.decide(&view.approval_id.to_string(), request).await {
            Ok(view) => {
                let outcome = format!("{} {}", answers::word(verdict), view.approval_id);
                let said = answers::taken(&view, verdict, &mail.sender.person);
                let said = answers::with_files(said, &mail.letter.attachments);
                self.answer(mail, &Thread::of(view.project_id), Story::Done { said }).await?;
                Ok(Done::new(outcome, Some(view.project_id)))
            }
            Err(problem) => self.not_decided(mail, out, view, verdict, &problem).await,
        }
    }

    async fn not_decided(
        &self,
        mail: &Genuine,
        out: &OutMail,
        shown: &ApprovalView,
        verdict: Verdict,
        problem: &Problem,
    ) -> Outcome {
        if answers::is_passing(problem) {
            return Err(Later::Problem(problem.clone()));
        }
        let me = &mail.sender.person;
        let project_id = shown.project_id;
        let view = self.0.service.approval(&shown.approval_id.to_string()).await.map_err(Later::Problem)?;
        if mail.again && answers::was_mine(&view, verdict, me, mail.received_at) {
            let said = answers::with_files(answers::taken(&view, verdict, me), &mail.letter.attachments);
            self.answer(mail, &Thread::of(project_id), Story::Done { said }).await?;
            return Ok(Done::new(format!("{} {}, before", answers::word(verdict), view.approval_id), Some(project_id)));
        }
        if view.decision.is_some() {
            self.answer(mail, &Thread::of(project_id), Story::Outcome { approval: Box::new(view) }).await?;
            return Ok(Done::new(format!("refused: {}; the outcome was sent", problem.code), Some(project_id)));
        }
        if problem.code == "note_required" {
            let why = "that needs a reason: write it behind the word and a colon, on the first line".to_owned();
            return self.ask_back(mail, out, view, why).await;
        }
        self.refuse(mail, &Thread::of(project_id), Some(&view), problem, Some(project_id)).await
    }

    /// Asks the agent.
    async fn ask(&self, mail: &Genuine, out: &OutMail, view: &ApprovalView, question: String) -> Outcome {
        let (me, project_id) = (&mail.sender.person, Some(view.project_id));
        let asked = |view: &ApprovalView| {
            let mut asked = view.route.questions.iter();
            asked.any(|one| one.by == *me && one.question == question && one.at >= mail.received_at)
        };
        if !(mail.again && asked(view)) {
            let request =
                AskRequest { question: question.clone(), by: mail.sender.handle.clone(), channel: EMAIL.to_owned() };
            if let Err(problem) = self.0.service.ask_agent(&view.approval_id.to_string(), request).await {
                return self.refuse(mail, &thread(out), Some(view), &problem, project_id).await;
            }
        }
        let said = format!(
            "The agent is asked about {}. Nothing is decided by it; its answer is shown with the request.",
            answers::about(view)
        );
        let said = answers::with_files(said, &mail.letter.attachments);
        self.answer(mail, &thread(out), Story::Done { said }).await?;
        Ok(Done::new("the agent is asked", project_id))
    }

    /// Hands somebody's say to somebody else.
    async fn delegate(&self, mail: &Genuine, out: &OutMail, view: &ApprovalView, name: &str) -> Outcome {
        let (me, project_id) = (&mail.sender.person, Some(view.project_id));
        let people = &self.0.people;
        let to = if name.contains('@') { people.person(EMAIL, name) } else { name.to_owned() };
        if !people.is_member(&to) {
            let names: Vec<&str> = people.names().collect();
            let hint =
                if names.is_empty() { "there are none".to_owned() } else { format!("members: {}", names.join(", ")) };
            let why = format!("{to} is no member of this Baton, so they could not decide");
            self.answer(mail, &thread(out), answers::refused("Nothing was done", &why, Some(&hint))).await?;
            return Ok(Done::new("refused: no member", project_id));
        }
        let handed =
            view.route.delegations.iter().any(|one| one.from == *me && one.to == to && one.at >= mail.received_at);
        if !(mail.again && handed) {
            let request = DelegateRequest { to: to.clone(), by: mail.sender.handle.clone(), channel: EMAIL.to_owned() };
            if let Err(problem) = self.0.service.delegate(&view.approval_id.to_string(), request).await {
                return self.refuse(mail, &thread(out), Some(view), &problem, project_id).await;
            }
        }
        let said = format!("Your say in {} is {to}'s now.", answers::about(view));
        self.answer(mail, &Thread::of(view.project_id), Story::Done { said }).await?;
        Ok(Done::new(format!("handed on to {to}"), project_id))
    }

    /// It was not taken: says why. What may succeed a little later is kept.
    pub(super) async fn refuse(
        &self,
        mail: &Genuine,
        of: &Thread,
        view: Option<&ApprovalView>,
        problem: &Problem,
        project_id: Option<bus_schemas::id::ProjectId>,
    ) -> Outcome {
        if answers::is_passing(problem) {
            return Err(Later::Problem(problem.clone()));
        }
        self.answer(mail, of, answers::of_problem(problem, view)).await?;
        Ok(Done::new(format!("refused: {}", problem.code), project_id))
    }
}

/// Where an answer belongs that leaves the request as it is: an answer to it may still decide.
fn thread(out: &OutMail) -> Thread {
    Thread::back(out)
}
