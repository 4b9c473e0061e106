//! `/baton …`.

use bus_schemas::v1::api::{ApprovalView, ProjectView};

use super::{
    answers,
    core::Bridge,
    desk::Desk,
    post::Asker,
    remembered,
    start::Order,
    work::{Later, Outcome},
};
use crate::{
    adapter::slack::{
        Envelope, SlackWeb,
        inbound::{MessageShortcut, Slash},
        view::{self, text},
    },
    port::{
        Service,
        waiting::{Waiting, Waits},
    },
};

/// Lines of a listing.
const LINES: usize = 20;
/// All of an answer.
const ALL: usize = 2_800;

/// What can be written behind `/baton` beside a goal.
const COMMANDS: [&str; 5] = ["help", "approvals", "status", "remembered", "revoke ID"];
/// How alike (0 to 1, Jaro-Winkler) a word must be to one of them.
const ALIKE: f64 = 0.8;

const HELP: &str = "*Baton* works on what you give it, and asks people before anything leaves its machines.\n\
    • `/baton GOAL` starts a project; `/baton` alone opens a form with folder, budget and policy\n\
    • mention me with a goal, write to me directly, or use *Delegate this* in a message's menu: files come along\n\
    • write in a project's thread to tell its agents something, or to answer the question that waits there\n\
    • `/baton approvals` lists what waits for you, `/baton status` what is worked on\n\
    • `/baton remembered` lists approvals that count for later requests, `/baton revoke ID` takes one back\n\
    • the Home tab shows what is worked on and what waits";

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// A slash command.
    pub(super) async fn command(&self, slash: &Slash, envelope: &Envelope) -> Outcome {
        let asker = Asker {
            user: slash.user.clone(),
            channel: Some(slash.channel.clone()).filter(|channel| !channel.is_empty()),
            thread_ts: None,
            response_url: slash.response_url.clone(),
        };
        let word = slash.text.trim();
        if word.eq_ignore_ascii_case("help") {
            self.whisper(&asker, HELP.to_owned()).await;
            return Ok("helped".to_owned());
        }
        if !self.may(&slash.user).await? {
            return self.turn_away(&asker).await;
        }
        if let Some(id) = remembered::id_to_revoke(word) {
            return self.revoke(&asker, id).await;
        }
        match word.to_ascii_lowercase().as_str() {
            "" => {
                // Its form opens at once or never; this command waited: through a restart, or for Slack's word on who they are.
                let said = "I could not open the form in time (I was just being restarted, or Slack kept me waiting): please write \
                            `/baton` again, or `/baton GOAL`.";
                self.whisper(&asker, said.to_owned()).await;
                Ok("the form could not be opened".to_owned())
            }
            "approvals" => {
                let said = self.waiting_for(&slash.user).await?;
                self.whisper(&asker, said).await;
                Ok("listed".to_owned())
            }
            "status" => {
                let said = self.worked_on().await?;
                self.whisper(&asker, said).await;
                Ok("listed".to_owned())
            }
            "remembered" => {
                let said = self.remembered().await?;
                self.whisper(&asker, said).await;
                Ok("listed".to_owned())
            }
            _ if is_no_goal(word) => {
                let known =
                    COMMANDS.into_iter().map(|known| (strsim::jaro_winkler(&word.to_lowercase(), known), known));
                let nearest = known.filter(|(likeness, _)| *likeness >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
                let meant = nearest.map_or_else(String::new, |(_, known)| format!(" Did you mean `/baton {known}`?"));
                let said = format!(
                    ":warning: Nothing was started: {} is no command, and a goal has more words than that.{meant} Requests are decided with the \
                     buttons of their cards. `/baton help` says what there is.",
                    text::code(word, 100)
                );
                self.whisper(&asker, said).await;
                Ok("refused: no command".to_owned())
            }
            _ => {
                let channel = if slash.channel.is_empty() { slash.user.clone() } else { slash.channel.clone() };
                let order = Order {
                    asker,
                    goal: super::talk::unescaped(word),
                    channel,
                    key: envelope.key.clone(),
                    ..Order::default()
                };
                self.start(order).await
            }
        }
    }

    /// A shortcut whose form could not be opened any more.
    pub(super) async fn shortcut_late(&self, shortcut: &MessageShortcut) -> Outcome {
        let asker = Asker {
            user: shortcut.user.clone(),
            channel: Some(shortcut.channel.clone()),
            thread_ts: shortcut.message.thread_ts.clone(),
            response_url: shortcut.response_url.clone(),
        };
        if !self.may(&shortcut.user).await? {
            return self.turn_away(&asker).await;
        }
        let said = "I could not open the form for that in time (I was just being restarted, or Slack kept me waiting): please choose it again.";
        self.whisper(&asker, said.to_owned()).await;
        Ok("the form could not be opened".to_owned())
    }

    async fn waiting_for(&self, user: &str) -> Result<String, Later> {
        let me = self.0.crew.name(user);
        let Waits { requests, count, all } = self.waiting(Waiting::For(me), LINES).await.map_err(Later)?;
        if requests.is_empty() {
            let others = if all == 0 { String::new() } else { format!(" ({all} for others.)") };
            return Ok(format!(":white_check_mark: Nothing waits for you.{others}"));
        }
        let mut lines = Vec::new();
        for view in &requests {
            let link = self.link_of(view).await.map_or_else(String::new, |link| format!(" — <{link}|card>"));
            let until = view.expires_at.map_or_else(String::new, |at| format!(", until {}", text::date(at)));
            lines.push(format!("• {}{until}{link}", answers::about(view)));
        }
        Ok(format!("*{} for you:*\n{}", view::figures::count(count, "request"), text::list(&lines, count, ALL)))
    }

    /// A link to the card of a request, if it has one.
    pub(super) async fn link_of(&self, view: &ApprovalView) -> Option<String> {
        let copy = self.main_copy(view).await.ok()??;
        self.0.web.permalink(&copy.place?).await.ok()
    }

    async fn worked_on(&self) -> Result<String, Later> {
        let projects = self.0.service.projects().await.and_then(|projects| self.veiled(&projects)).map_err(Later)?;
        let open: Vec<&ProjectView> = projects.iter().filter(|project| !project.state.is_final()).collect();
        if open.is_empty() {
            return Ok("Nothing is worked on. `/baton GOAL` starts something.".to_owned());
        }
        let lines: Vec<String> = open
            .iter()
            .take(LINES)
            .map(|project| {
                let counts: Vec<String> =
                    project.counts.iter().map(|(state, number)| format!("{number} {state}")).collect();
                let waits = match project.pending_approvals.len() {
                    0 => String::new(),
                    number => format!("; {} waiting for people", view::figures::count(number, "request")),
                };
                format!(
                    "• *{}* of {}: {}{waits}",
                    text::line(&project.title, 100),
                    text::line(&project.owner, 60),
                    text::line(&counts.join(", "), 200)
                )
            })
            .collect();
        Ok(format!(
            "*{} worked on:*\n{}",
            view::figures::count(open.len(), "project"),
            text::list(&lines, open.len(), ALL)
        ))
    }
}

/// One word, or a word and an id (`approve 0193…`): somebody means a command. A project would cost money, and be about nothing.
fn is_no_goal(said: &str) -> bool {
    !said.contains(char::is_whitespace) || remembered::verb_and_id(said).is_some()
}
