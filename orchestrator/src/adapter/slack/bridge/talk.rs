//! What people say: a new project, an answer, or a note to the agents.

use bus_schemas::{
    id::ProjectId,
    time::UnixMs,
    v1::{
        api::{ApprovalView, TellRequest},
        approval::Verdict,
    },
};

use super::{
    answers,
    cards::card_name,
    core::Bridge,
    desk::Desk,
    post::Asker,
    start::Order,
    work::{Later, Outcome, unkept},
};
use crate::{
    adapter::slack::{
        Envelope, Place, SlackWeb,
        inbound::Said,
        view::{figures, text},
    },
    port::{Service, waiting::Waiting},
};

/// Questions of one project that are looked at: with so many, none is the only one.
const QUESTIONS: usize = 100;
/// How a message begins that is a note even where a question waits.
const NOTE: &str = "note:";

/// Who said it, and where they are answered.
pub(super) fn asker(said: &Said) -> Asker {
    Asker {
        user: said.user.clone(),
        channel: Some(said.channel.clone()),
        thread_ts: said.thread_ts.clone(),
        response_url: None,
    }
}

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// Somebody named the app in a channel.
    pub(super) async fn mentioned(&self, said: &Said, envelope: &Envelope, again: bool) -> Outcome {
        let words = without_mention(&said.text, self.own_user().await.as_deref());
        if !self.may(&said.user).await? {
            return self.turn_away(&asker(said)).await;
        }
        if let Some(project_id) = self.project_here(said).await? {
            return self.said_to(project_id, said, &words, envelope.received_at, again).await;
        }
        self.order(said, words, envelope).await
    }

    /// Somebody wrote in a thread of a channel.
    pub(super) async fn replied(&self, said: &Said, envelope: &Envelope, again: bool) -> Outcome {
        let Some(project_id) = self.project_here(said).await? else { return Ok("of no interest".to_owned()) };
        // The same message comes as a mention, too.
        if let Some(own) = self.own_user().await
            && said.text.contains(&format!("<@{own}>"))
        {
            return Ok("comes as a mention".to_owned());
        }
        if !self.may(&said.user).await? {
            // People may talk to each other in a thread; who is no member is not told about every word.
            return Ok("said by no member".to_owned());
        }
        let words = unescaped(&said.text);
        self.said_to(project_id, said, &words, envelope.received_at, again).await
    }

    /// Somebody wrote to the app.
    pub(super) async fn direct(&self, said: &Said, envelope: &Envelope, again: bool) -> Outcome {
        if self.own_user().await.is_some_and(|own| own == said.user) {
            return Ok("said by the app itself".to_owned());
        }
        if !self.may(&said.user).await? {
            return self.turn_away(&asker(said)).await;
        }
        let words = without_mention(&said.text, self.own_user().await.as_deref());
        if said.thread_ts.is_some()
            && let Some(project_id) = self.project_here(said).await?
        {
            return self.said_to(project_id, said, &words, envelope.received_at, again).await;
        }
        self.order(said, words, envelope).await
    }

    /// Nothing is done for them, and they are told so.
    pub(super) async fn turn_away(&self, asker: &Asker) -> Outcome {
        self.whisper(asker, answers::stranger(&asker.user, &self.0.crew)).await;
        Ok("refused: no member".to_owned())
    }

    async fn order(&self, said: &Said, goal: String, envelope: &Envelope) -> Outcome {
        let order = Order {
            asker: asker(said),
            goal,
            channel: said.channel.clone(),
            thread_ts: Some(said.thread_ts.clone().unwrap_or_else(|| said.ts.clone())),
            files: said.files.clone(),
            key: envelope.key.clone(),
            ..Order::default()
        };
        self.start(order).await
    }

    async fn project_here(&self, said: &Said) -> Result<Option<ProjectId>, Later> {
        let Some(thread_ts) = &said.thread_ts else { return Ok(None) };
        let place = Place { channel: said.channel.clone(), ts: thread_ts.clone() };
        self.0.desk.project_of(place).await.map_err(|error| Later(unkept(&error.to_string())))
    }

    /// Somebody wrote in a project's thread: the answer to the only question that waits there, or a note.
    async fn said_to(&self, project_id: ProjectId, said: &Said, words: &str, at: UnixMs, again: bool) -> Outcome {
        let asker = asker(said);
        if !said.files.is_empty() && !again {
            let files = figures::count(said.files.len(), "file");
            let said = format!(
                ":warning: {files} not passed on: files come along only with the message that starts a project. Say in words where the agents find \
                 what they need, or start a project with it."
            );
            self.whisper(&asker, said).await;
        }
        if words.trim().is_empty() {
            self.whisper(&asker, "There was no text in that, so the agents were told nothing.".to_owned()).await;
            return Ok("refused: no text".to_owned());
        }
        let is_note = words.get(..NOTE.len()).is_some_and(|start| start.eq_ignore_ascii_case(NOTE));
        if is_note {
            let words = words.get(NOTE.len()..).unwrap_or_default().trim();
            return self.note(project_id, &asker, words, at, again).await;
        }
        let mut questions = self.questions_in(project_id, said).await?;
        // A message that waited answers nothing that was asked after it.
        questions.retain(|question| question.asked_at <= at);
        match questions.as_slice() {
            [] => self.note(project_id, &asker, words, at, again).await,
            [question] => {
                let verdict = Verdict::Approved;
                self.decide(&asker, question.approval_id, &question.digest, verdict, words.to_owned(), None, again)
                    .await
            }
            several => {
                let lines: Vec<String> = several
                    .iter()
                    .map(|view| {
                        let asked = view.question.as_ref().map_or("", |question| question.question.as_str());
                        format!("• {}: {}", answers::about(view), text::line(asked, 200))
                    })
                    .collect();
                let said = format!(
                    "Several questions wait in this thread, so your message answered none of them:\n{}\nUse the *Answer* button of the one you mean, \
                     or begin with `{NOTE}` to tell the agents something.",
                    text::list(&lines, lines.len(), 2_000)
                );
                self.whisper(&asker, said).await;
                Ok("refused: several questions wait".to_owned())
            }
        }
    }

    /// The questions that wait and whose card is in this thread.
    async fn questions_in(&self, project_id: ProjectId, said: &Said) -> Result<Vec<ApprovalView>, Later> {
        let core = &*self.0;
        let mut questions = Vec::new();
        let root = said.thread_ts.as_deref();
        let found = self.waiting(Waiting::Questions(project_id), QUESTIONS).await.map_err(Later)?;
        for view in found.requests {
            let copies =
                core.desk.copies(&card_name(view.approval_id)).await.map_err(|e| Later(unkept(&e.to_string())))?;
            let here =
                copies.iter().filter_map(|copy| copy.place.as_ref().map(|place| (copy, place))).any(|(copy, place)| {
                    place.channel == said.channel
                        && (copy.thread_ts.as_deref() == root || Some(place.ts.as_str()) == root)
                });
            if here {
                questions.push(view);
            }
        }
        Ok(questions)
    }

    async fn note(&self, project_id: ProjectId, asker: &Asker, words: &str, at: UnixMs, again: bool) -> Outcome {
        let core = &*self.0;
        let from = core.crew.name(&asker.user);
        if again && self.was_told(project_id, &from, words, at).await? {
            return Ok("told before".to_owned());
        }
        let request =
            TellRequest { task: None, text: words.to_owned(), by: asker.user.clone(), channel: "slack".to_owned() };
        match core.service.tell(&project_id.to_string(), request).await {
            Ok(told) => {
                let names = |keys: &[String]| keys.iter().map(|key| text::code(key, 80)).collect::<Vec<_>>().join(", ");
                let mut said = String::from(":memo: Told");
                if !told.now.is_empty() {
                    said.push_str(&format!(" {}", names(&told.now)));
                }
                if !told.later.is_empty() {
                    let and = if told.now.is_empty() { "" } else { "; and" };
                    said.push_str(&format!("{and} {} with the next attempt", names(&told.later)));
                }
                said.push('.');
                self.whisper(asker, said).await;
                Ok("noted".to_owned())
            }
            Err(problem) if answers::is_passing(&problem) => Err(Later(problem)),
            Err(problem) => {
                self.whisper(asker, self.plain(&problem)).await;
                Ok(format!("refused: {}", problem.code))
            }
        }
    }

    /// The note is in the journal: it was told before the program was ended.
    async fn was_told(&self, project_id: ProjectId, from: &str, words: &str, at: UnixMs) -> Result<bool, Later> {
        let journal = self.0.service.journal(&project_id.to_string()).await.map_err(Later)?;
        Ok(journal.iter().rev().take_while(|entry| entry.at >= at).any(|entry| {
            let event = serde_json::to_value(&entry.event).unwrap_or_default();
            let fact = event.get("fact").unwrap_or(&event);
            let is = |name: &str, text: &str| fact.get(name).and_then(serde_json::Value::as_str) == Some(text);
            is("from", from) && is("text", words)
        }))
    }
}

/// Slack's notation of text, read: `&amp;`, links, names of channels.
pub(super) fn unescaped(said: &str) -> String {
    let mut read = String::with_capacity(said.len());
    let mut rest = said;
    while let Some((before, after)) = rest.split_once('<') {
        read.push_str(before);
        let Some((inside, behind)) = after.split_once('>') else {
            read.push('<');
            rest = after;
            continue;
        };
        let (target, label) = inside.split_once('|').map_or((inside, None), |(target, label)| (target, Some(label)));
        match target.chars().next() {
            Some('@' | '!') => read.push_str(&label.map_or_else(|| target.to_owned(), |label| format!("@{label}"))),
            Some('#') => read.push_str(&label.map_or_else(|| target.to_owned(), |label| format!("#{label}"))),
            _ => read.push_str(target),
        }
        rest = behind;
    }
    read.push_str(rest);
    read.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").trim().to_owned()
}

/// What was said, without the app's own name in it.
fn without_mention(said: &str, own: Option<&str>) -> String {
    let said = said.trim();
    let stripped = match own {
        Some(own) => said.replace(&format!("<@{own}>"), " "),
        // Not known: a mention begins with it as a rule.
        None => said.strip_prefix("<@").and_then(|rest| rest.split_once('>')).map_or(said, |(_, rest)| rest).to_owned(),
    };
    unescaped(&stripped).trim_start_matches([':', ',']).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slacks_notation_is_read() {
        assert_eq!(
            without_mention("<@UBOT>: fix &lt;b&gt; in <https://a.b/c|c> &amp; #1", Some("UBOT")),
            "fix <b> in https://a.b/c & #1"
        );
        assert_eq!(without_mention("<@UBOT> go", None), "go");
        assert_eq!(unescaped("ask <@U1|ann> in <#C1|dev>, 1 < 2"), "ask @ann in #dev, 1 < 2");
    }
}
