//! What people press, done: each click gets its own answer.

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    v1::{
        api::{
            ApplyRequest, ApprovalView, AskRequest, BatchRequest, DecisionRequest, DelegateRequest, Problem, Remember,
            ViewedRequest,
        },
        approval::{ApprovalSubject, Verdict},
    },
};

use super::{
    answers,
    core::Bridge,
    desk::Desk,
    post::Asker,
    work::{Later, Outcome, unkept},
};
use crate::{
    adapter::slack::{
        Place, SlackWeb,
        inbound::Click,
        view::{self, OfBatch, OfProject, Pressed, action, text},
    },
    port::Service,
};

/// The channel all of this comes over.
const SLACK: &str = "slack";

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// A control of a message was used.
    pub(super) async fn click(&self, click: &Click, again: bool) -> Outcome {
        let asker = Asker {
            user: click.user.clone(),
            channel: click.channel.clone(),
            thread_ts: click.thread_ts.clone(),
            response_url: click.response_url.clone(),
        };
        if click.action_id == action::LINK {
            return Ok("a link".to_owned());
        }
        if !self.may(&click.user).await? {
            return self.turn_away(&asker).await;
        }
        match click.action_id.as_str() {
            action::APPLY => match view::read::<OfProject>(&click.value) {
                Ok(of) => self.apply(&asker, of.project_id, &of.commit).await,
                Err(_) => self.unknown(&asker).await,
            },
            action::BATCH_APPROVE | action::BATCH_SHOW => match view::read::<OfBatch>(&click.value) {
                Ok(of) if click.action_id == action::BATCH_SHOW => self.show_one_by_one(&asker, click, &of).await,
                Ok(of) => self.approve_batch(&asker, click, &of).await,
                Err(_) => self.unknown(&asker).await,
            },
            _ => match view::read::<Pressed>(&click.value) {
                Ok(pressed) => self.pressed(&asker, click, &pressed, again).await,
                Err(_) => self.unknown(&asker).await,
            },
        }
    }

    async fn unknown(&self, asker: &Asker) -> Outcome {
        let said = ":warning: Nothing was done: this button is not one that I know. It may be of an earlier version; `/baton approvals` lists what waits.";
        self.whisper(asker, said.to_owned()).await;
        Ok("refused: unknown button".to_owned())
    }

    async fn pressed(&self, asker: &Asker, click: &Click, pressed: &Pressed, again: bool) -> Outcome {
        let id = pressed.approval_id;
        if let (Some(channel), Some(ts)) = (&click.channel, &click.message_ts) {
            self.adopt(id, Place { channel: channel.clone(), ts: ts.clone() }, click.thread_ts.clone()).await;
        }
        let (digest, yes) = (pressed.digest.as_str(), Verdict::Approved);
        match click.action_id.as_str() {
            action::APPROVE => self.decide(asker, id, digest, yes, String::new(), None, again).await,
            action::REMEMBER => match pressed.remembered() {
                Some(remember) => self.decide(asker, id, digest, yes, String::new(), Some(remember), again).await,
                None => self.unknown(asker).await,
            },
            action::OPEN => self.open(asker, id).await,
            name if name.starts_with(action::ANSWER) && pressed.option.is_some() => {
                let view = match self.0.service.approval(&id.to_string()).await {
                    Ok(view) => view,
                    Err(problem) => return self.refuse(asker, id, &problem, None, again).await,
                };
                let options = view.question.as_ref().map(|question| question.options.as_slice()).unwrap_or_default();
                match pressed.option.and_then(|number| options.get(number)) {
                    Some(answer) => self.decide(asker, id, digest, yes, answer.clone(), None, again).await,
                    None => self.unknown(asker).await,
                }
            }
            action::CHANGES | action::EDIT | action::REJECT | action::ASK | action::ANSWER | action::DELEGATE => {
                // Its form opens at once or never; this click waited: through a restart, or for Slack's word on who they are.
                let said = ":arrows_counterclockwise: I could not open the form for that in time (I was just being restarted, or Slack kept me waiting). \
                            Nothing was decided: please press it again.";
                self.whisper(asker, said.to_owned()).await;
                Ok("the form could not be opened".to_owned())
            }
            _ => self.unknown(asker).await,
        }
    }

    /// Somebody says yes or no.
    #[expect(clippy::too_many_arguments, reason = "one call of the service, and whom to tell")]
    pub(super) async fn decide(
        &self,
        asker: &Asker,
        approval_id: ApprovalId,
        digest: &str,
        verdict: Verdict,
        note: String,
        remember: Option<Remember>,
        again: bool,
    ) -> Outcome {
        let core = &*self.0;
        let remembered = remember.is_some();
        let request = DecisionRequest {
            verdict,
            digest: digest.to_owned(),
            by: asker.user.clone(),
            channel: SLACK.to_owned(),
            note,
            remember,
        };
        let me = core.crew.name(&asker.user);
        let answer = core.service.decide(&approval_id.to_string(), request).await.and_then(|view| self.veiled(&view));
        core.cards.mark(approval_id);
        match answer {
            Ok(view) => {
                let mut said = answers::taken(&view, verdict, &me, &core.crew);
                if remembered {
                    said.push_str(
                        " It is remembered for later requests like it (`/baton remembered` lists them and says how to take one back).",
                    );
                }
                self.whisper(asker, said).await;
                Ok(format!("{verdict:?} {approval_id}").to_lowercase())
            }
            Err(problem) => self.refuse(asker, approval_id, &problem, Some(verdict), again).await,
        }
    }

    /// It was not taken: says why, or that it is kept for later.
    pub(super) async fn refuse(
        &self,
        asker: &Asker,
        approval_id: ApprovalId,
        problem: &Problem,
        verdict: Option<Verdict>,
        again: bool,
    ) -> Outcome {
        if answers::is_passing(problem) {
            return Err(Later(problem.clone()));
        }
        let core = &*self.0;
        let me = core.crew.name(&asker.user);
        let (view, problem) = (self.request(approval_id).await.ok(), &self.told(problem));
        if let (true, Some(view), Some(verdict)) = (again, &view, verdict)
            && was_mine(view, verdict, &me)
        {
            // Done before the program was ended, and not answered.
            self.whisper(asker, answers::taken(view, verdict, &me, &core.crew)).await;
            return Ok("was done before".to_owned());
        }
        let card = self.card_link(view.as_ref(), asker).await;
        self.whisper(asker, answers::refused(problem, view.as_ref(), &me, card.as_deref(), &core.crew)).await;
        Ok(format!("refused: {}", problem.code))
    }

    /// A link to a request's card: in the channel of who asks, if there is one there.
    async fn card_link(&self, view: Option<&ApprovalView>, asker: &Asker) -> Option<String> {
        let view = view?;
        let name = super::cards::card_name(view.approval_id);
        let copies = self.0.desk.copies(&name).await.ok()?;
        let mut places: Vec<Place> = copies.into_iter().filter_map(|copy| copy.place).collect();
        places.sort_by_key(|place| Some(&place.channel) != asker.channel.as_ref());
        self.0.web.permalink(places.first()?).await.ok()
    }

    /// Somebody wants to see all of it: that is recorded, and said where it is.
    async fn open(&self, asker: &Asker, approval_id: ApprovalId) -> Outcome {
        let core = &*self.0;
        let id = approval_id.to_string();
        let view = match self.request(approval_id).await {
            Ok(view) => view,
            Err(problem) => return self.refuse(asker, approval_id, &problem, None, false).await,
        };
        let viewed = ViewedRequest { by: asker.user.clone(), channel: SLACK.to_owned() };
        match core.service.viewed(&id, viewed).await {
            Err(problem) if answers::is_passing(&problem) => return Err(Later(problem)),
            // Decided already, seen already: there is still something to look at.
            Err(_) | Ok(()) => {}
        }
        let project = view.project_id;
        let task = view.task_key.as_ref().map_or_else(String::new, |key| format!(" {}", text::line(key, 80)));
        let command = match view.subject {
            ApprovalSubject::Plan | ApprovalSubject::Patch { .. } => format!("baton approvals {id}"),
            ApprovalSubject::Handoff { .. } => format!("baton diff {project}{task}"),
            ApprovalSubject::Apply => format!("baton diff {project}"),
            _ => format!("baton approvals {id}"),
        };
        let shown = self.attach(&view).await;
        let how = if shown { "The difference is in the thread. " } else { "" };
        let state = view.decision.as_ref().map_or_else(String::new, |decision| {
            format!(" It is decided: {}.", answers::outcome(&view, decision, &core.crew))
        });
        self.whisper(
            asker,
            format!(":mag: {how}All of {} on the orchestrator's machine: `{command}`.{state}", answers::about(&view)),
        )
        .await;
        Ok("opened".to_owned())
    }

    /// Puts a finished project's result into its folder.
    async fn apply(&self, asker: &Asker, project_id: ProjectId, commit: &str) -> Outcome {
        let core = &*self.0;
        let id = project_id.to_string();
        let project = match core.service.project(&id).await {
            Ok(project) => project,
            Err(problem) if answers::is_passing(&problem) => return Err(Later(problem)),
            Err(problem) => {
                self.whisper(asker, self.plain(&problem)).await;
                return Ok(format!("refused: {}", problem.code));
            }
        };
        if !commit.is_empty() && project.result_commit.as_deref() != Some(commit) {
            let said =
                ":arrows_counterclockwise: Nothing was applied: the result is not the one this message shows any more.";
            self.whisper(asker, said.to_owned()).await;
            return Ok("refused: another result".to_owned());
        }
        if let Some(at) = project.applied_at {
            self.whisper(
                asker,
                format!(":information_source: The result was put into the folder {} already.", text::date(at)),
            )
            .await;
            return Ok("applied before".to_owned());
        }
        let request = ApplyRequest { by: asker.user.clone(), channel: SLACK.to_owned(), dry_run: false };
        let said = match core.service.apply(&id, request).await.and_then(|view| self.veiled(&view)) {
            Ok(view) if view.conflicts.is_empty() => format!(
                ":white_check_mark: Applied: {} changed in {}. `baton undo {id}` takes it back.",
                view::figures::count(view.changed.len(), "file"),
                text::code(&view.folder, 200)
            ),
            Ok(view) => {
                let paths: Vec<String> =
                    view.conflicts.iter().take(20).map(|c| format!("• {}", text::code(&c.path, 150))).collect();
                format!(
                    ":warning: Nothing was written: the folder was changed in the same places.\n{}\n`baton apply {id}` shows how.",
                    text::list(&paths, view.conflicts.len(), 1_500)
                )
            }
            Err(problem) if answers::is_passing(&problem) => return Err(Later(problem)),
            Err(problem) => self.plain(&problem),
        };
        core.projects.mark(project_id);
        self.whisper(asker, said).await;
        Ok("apply answered".to_owned())
    }

    /// Approves all requests of a card, each by itself.
    async fn approve_batch(&self, asker: &Asker, click: &Click, of: &OfBatch) -> Outcome {
        let core = &*self.0;
        let Some((name, items)) = self.shown_batch(click, of).await? else { return self.batch_changed(asker).await };
        let request = BatchRequest {
            requests: items.clone(),
            verdict: Verdict::Approved,
            by: asker.user.clone(),
            channel: SLACK.to_owned(),
            note: String::new(),
        };
        let outcomes = match core.service.decide_batch(request).await {
            Ok(outcomes) => outcomes,
            Err(problem) if answers::is_passing(&problem) => return Err(Later(problem)),
            Err(problem) => {
                self.whisper(asker, self.plain(&problem)).await;
                return Ok(format!("refused: {}", problem.code));
            }
        };
        if let Some(problem) =
            outcomes.iter().filter_map(|one| one.problem.as_ref()).find(|one| answers::is_passing(one))
        {
            return Err(Later(problem.clone()));
        }
        let me = core.crew.name(&asker.user);
        let (mut done, mut lines) = (0_usize, Vec::new());
        for outcome in &outcomes {
            core.cards.mark(outcome.approval_id);
            let Some(problem) = &outcome.problem else {
                done += 1;
                continue;
            };
            let view = self.request(outcome.approval_id).await.ok();
            if view.as_ref().is_some_and(|view| was_mine(view, Verdict::Approved, &me)) {
                done += 1;
                continue;
            }
            lines.push(format!("• {}", answers::refused(problem, view.as_ref(), &me, None, &core.crew)));
        }
        let mut said = format!(":white_check_mark: {done} of {} approved, each recorded for itself.", items.len());
        if !lines.is_empty() {
            said.push_str(&format!("\nNot approved:\n{}", text::list(&lines, lines.len(), 2_500)));
        }
        self.whisper(asker, said).await;
        Ok(format!("{done} of {} of {name}", items.len()))
    }

    /// The requests of a batch get cards of their own.
    async fn show_one_by_one(&self, asker: &Asker, click: &Click, of: &OfBatch) -> Outcome {
        let core = &*self.0;
        let Some((name, items)) = self.shown_batch(click, of).await? else { return self.batch_changed(asker).await };
        for item in &items {
            let viewed = ViewedRequest { by: asker.user.clone(), channel: SLACK.to_owned() };
            match core.service.viewed(&item.approval_id.to_string(), viewed).await {
                Err(problem) if answers::is_passing(&problem) => return Err(Later(problem)),
                Err(_) | Ok(()) => {}
            }
        }
        self.dissolve(&name).await.map_err(|why| Later(unkept(&why)))?;
        self.whisper(asker, format!(":mag: Each of the {} gets a card of its own.", items.len())).await;
        Ok("shown one by one".to_owned())
    }

    async fn batch_changed(&self, asker: &Asker) -> Outcome {
        let said = ":arrows_counterclockwise: Nothing was decided: the requests of this card are not those any more that it showed. It is brought up to date; look again.";
        self.whisper(asker, said.to_owned()).await;
        Ok("refused: the card has changed".to_owned())
    }

    /// Asks the agent.
    pub(super) async fn ask(&self, asker: &Asker, approval_id: ApprovalId, question: String, again: bool) -> Outcome {
        let core = &*self.0;
        let id = approval_id.to_string();
        let me = core.crew.name(&asker.user);
        if again {
            let was_asked = |view: &ApprovalView| {
                view.route.questions.iter().any(|asked| asked.by == me && asked.question == question)
            };
            match core.service.approval(&id).await {
                Ok(view) if was_asked(&view) => return Ok("was asked before".to_owned()),
                Ok(_) => {}
                Err(problem) => return self.refuse(asker, approval_id, &problem, None, again).await,
            }
        }
        let request = AskRequest { question, by: asker.user.clone(), channel: SLACK.to_owned() };
        match core.service.ask_agent(&id, request).await.and_then(|view| self.veiled(&view)) {
            Ok(view) => {
                core.cards.mark(approval_id);
                let said = format!(
                    ":speech_balloon: The agent is asked about {}; its answer comes into the thread. Nothing is decided by it.",
                    answers::about(&view)
                );
                self.whisper(asker, said).await;
                Ok("asked".to_owned())
            }
            Err(problem) => self.refuse(asker, approval_id, &problem, None, again).await,
        }
    }

    /// Hands somebody's say to somebody else.
    pub(super) async fn delegate(&self, asker: &Asker, approval_id: ApprovalId, to: &str, again: bool) -> Outcome {
        let core = &*self.0;
        let to_name = core.crew.name(to);
        if !self.may(to).await? {
            let said = format!(
                ":no_entry: Nothing was done: {} is no member of this Baton, so they could not decide.",
                core.crew.mention(&to_name)
            );
            self.whisper(asker, said).await;
            return Ok("refused: no member".to_owned());
        }
        let request = DelegateRequest { to: to_name.clone(), by: asker.user.clone(), channel: SLACK.to_owned() };
        match core.service.delegate(&approval_id.to_string(), request).await.and_then(|view| self.veiled(&view)) {
            Ok(view) => {
                core.cards.mark(approval_id);
                let said = format!(
                    ":busts_in_silhouette: Your say in {} is {}'s now.",
                    answers::about(&view),
                    core.crew.mention(&to_name)
                );
                self.whisper(asker, said).await;
                Ok("handed on".to_owned())
            }
            Err(problem) => self.refuse(asker, approval_id, &problem, None, again).await,
        }
    }
}

/// This person's own vote or decision of that kind is recorded.
fn was_mine(view: &ApprovalView, verdict: Verdict, me: &str) -> bool {
    let voted = view.route.votes.iter().any(|vote| vote.by == me && vote.channel == SLACK);
    let decided = view
        .decision
        .as_ref()
        .is_some_and(|decision| decision.verdict == verdict && decision.by.split(',').any(|by| by.trim() == me));
    decided || (verdict == Verdict::Approved && voted && view.decision.is_none())
}
