//! Is it a person's, is it genuine, may its sender: before anything is done.

use std::sync::Arc;

use bus_schemas::{time::UnixMs, v1::api::Problem};

use super::{
    Outlet, answers,
    check::{self, Proof},
    work::{Inward, Later, apart},
};
use crate::{
    adapter::mail::{Authentic, Desk, InMail, InState, Standing, Story, Verdict, Verifier},
    mail::{
        address::{normal, one_line},
        bounce,
        letter::{Delivery, Letter},
        noise::{self, Noise},
    },
    port::{Service, journal::JournalError},
};

/// The window of the rates, in milliseconds.
const HOUR_MS: i64 = 3_600_000;
/// The header of a mail of which only the headers were kept, and of what is kept in place of one that did not come.
const TOO_LARGE: &str = "x-baton-too-large";
const UNFETCHED: &str = "x-baton-unfetched";

/// Somebody whose mail is genuine, and who may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    /// Their address: answers go there.
    pub(super) address: String,
    /// What the orchestrator knows them by on the channel `email`.
    pub(super) handle: String,
    /// A member's name, or `email:address`.
    pub(super) person: String,
    /// They are a member.
    pub(super) is_member: bool,
}

/// A mail that is acted on.
#[derive(Clone, Debug)]
pub(super) struct Genuine {
    /// Its digest.
    pub(super) id: String,
    pub(super) received_at: UnixMs,
    pub(super) letter: Arc<Letter>,
    pub(super) delivery: Delivery,
    pub(super) sender: Sender,
    /// It was begun before: some of it may be done.
    pub(super) again: bool,
}

/// What became of a mail before anybody acted on it.
enum Judged {
    /// Act on it.
    Genuine(Box<Genuine>),
    /// There is nothing to do.
    Over(String),
    /// Put it aside.
    Aside(String),
}

fn aside(outcome: String) -> Verdict {
    Verdict { state: InState::Quarantined, outcome, ..Verdict::default() }
}

impl<S: Service, D: Desk, V: Verifier, O: Outlet> Inward<S, D, V, O> {
    /// Looks at a mail and does what it wants; what became of it.
    pub(super) async fn look(&self, mail: &InMail, again: bool, proof: Option<&Proof>) -> Result<Verdict, Later> {
        let raw = match self.0.desk.text(&mail.id).await {
            Ok(Some(raw)) => raw,
            Ok(None) => return Ok(aside("its text is gone: nothing was done".to_owned())),
            Err(error @ JournalError::Malformed { .. }) => {
                return Ok(aside(format!("its text is not what was kept: nothing was done ({error})")));
            }
            Err(error) => return Err(error.into()),
        };
        let letter = apart(raw.clone()).await?;
        let mut verdict = Verdict {
            from: from(&letter),
            subject: letter.subject.clone(),
            message_id: letter.message_id.clone(),
            ..Verdict::default()
        };
        let standing = self.standing(mail, &letter, proof);
        match self.judge(mail, &raw, Arc::clone(&letter), again, proof).await? {
            Judged::Over(outcome) => (verdict.state, verdict.outcome) = (InState::Done, outcome),
            Judged::Aside(why) => (verdict.state, verdict.outcome) = (InState::Quarantined, why),
            Judged::Genuine(genuine) => {
                verdict.person.clone_from(&genuine.sender.person);
                let done = self.act(&genuine).await?;
                (verdict.state, verdict.trusted) = (InState::Done, true);
                (verdict.outcome, verdict.project_id) = (done.outcome, done.project_id);
            }
        }
        if !verdict.trusted {
            verdict.standing = standing;
        }
        Ok(verdict)
    }

    /// Whose mail it is, as far as anybody vouches for it.
    fn standing(&self, mail: &InMail, letter: &Letter, proof: Option<&Proof>) -> Standing {
        let is_proven = proof.is_some_and(|proof| matches!(proof.authentic, Authentic::Yes(_)));
        let may_write = || letter.author().is_some_and(|author| self.0.allow.who(author).is_some());
        if is_proven || mail.delivery.is_stub || mail.verdict.state == InState::Released {
            Standing::Known
        } else if proof.is_some_and(|proof| matches!(proof.authentic, Authentic::Unknown(_))) {
            Standing::Unchecked
        } else if may_write() {
            Standing::Claims
        } else {
            Standing::Stranger
        }
    }

    async fn judge(
        &self,
        mail: &InMail,
        raw: &[u8],
        letter: Arc<Letter>,
        again: bool,
        proof: Option<&Proof>,
    ) -> Result<Judged, Later> {
        let ours = &self.0.settings.address;
        // An admin can let a mail pass, and not what is missing of it.
        if let Some(why) = missing(&letter, &mail.delivery) {
            return Ok(Judged::Aside(why));
        }
        match noise::judge(&letter, &mail.delivery, ours) {
            Some(Noise::Bounce) => {
                let outcome = match bounce::read(raw, &letter) {
                    Some(bounce) => self.0.outlet.bounced(&bounce).await?,
                    None => "a server's report that says nothing usable".to_owned(),
                };
                return Ok(Judged::Over(outcome));
            }
            Some(noise) => return Ok(Judged::Over(format!("not acted on: {}", noise.said()))),
            None => {}
        }
        let is_released = mail.verdict.state == InState::Released;
        let Some(author) = letter.author().map(str::to_owned) else {
            return Ok(Judged::Aside(format!("nobody knows whom it is from: {}", letter.defects.join("; "))));
        };
        let sender = self.sender(author);
        if !is_released && let Some(why) = self.doubt(mail, &letter, &sender, proof).await? {
            return Ok(Judged::Aside(why));
        }
        // The same id from somebody else is another mail.
        if let Some(id) = &letter.message_id
            && let Some(before) = self.0.desk.seen(id, &mail.id).await?
            && before.verdict.person == sender.person
        {
            return Ok(Judged::Over(format!("the same mail came before: {}", one_line(&before.verdict.outcome, 200))));
        }
        let genuine = Genuine {
            id: mail.id.clone(),
            received_at: mail.received_at,
            letter,
            delivery: mail.delivery.clone(),
            sender,
            again,
        };
        Ok(Judged::Genuine(Box::new(genuine)))
    }

    /// Why a mail is put aside; `None` if it is genuine and its sender may write.
    async fn doubt(
        &self,
        mail: &InMail,
        letter: &Letter,
        sender: &Sender,
        proof: Option<&Proof>,
    ) -> Result<Option<String>, Later> {
        let author = sender.address.as_str();
        if let Some(why) = check::doubt(letter, author, self.rules()) {
            return Ok(Some(why));
        }
        // What was found out about somebody else says nothing about this one.
        let proof = proof.filter(|proof| proof.author == author).ok_or(Later::Unproven)?;
        match &proof.authentic {
            Authentic::Yes(how) => tracing::debug!(mail.id = %mail.id, %how, "mail: genuine"),
            Authentic::No(why) => return Ok(Some(format!("{author} may not have written it: {why}"))),
            Authentic::Unknown(why) => {
                return Ok(Some(format!("for an hour, it could not be checked who wrote it: {why}")));
            }
        }
        self.too_many(&sender.person).await
    }

    async fn too_many(&self, person: &str) -> Result<Option<String>, Later> {
        let inner = &*self.0;
        let since = UnixMs(inner.clock.now().0 - HOUR_MS);
        if inner.desk.count(Some(person), since).await? >= inner.settings.per_sender {
            let most = inner.settings.per_sender;
            return Ok(Some(format!("{person} sent more than {most} mails within an hour (`per_sender` in [mail])")));
        }
        if inner.desk.count(None, since).await? >= inner.settings.per_hour {
            let most = inner.settings.per_hour;
            return Ok(Some(format!("more than {most} mails came within an hour (`per_hour` in [mail])")));
        }
        Ok(None)
    }

    fn sender(&self, address: String) -> Sender {
        let people = &self.0.people;
        let member = self.0.allow.who(&address).and_then(|who| who.member);
        // A member's address may be written otherwise in the configuration: `ü` in a domain is `xn--…` here.
        let written = member.as_deref().and_then(|name| {
            people.emails_of(name).iter().find(|written| normal(written).as_deref() == Some(address.as_str())).cloned()
        });
        let handle = written.unwrap_or_else(|| address.clone());
        let person = people.person("email", &handle);
        Sender { is_member: people.is_member(&person), address, handle, person }
    }

    /// Tells its sender that it was tried several times; only somebody whose mail is genuine is told anything.
    pub(super) async fn give_up(&self, mail: &InMail, problem: &Problem, proof: Option<&Proof>) -> Verdict {
        let outcome = format!("given up: {}", one_line(&problem.detail, 300));
        let mut verdict = Verdict { state: InState::Done, outcome, ..Verdict::default() };
        let Ok(Some(raw)) = self.0.desk.text(&mail.id).await else { return verdict };
        let Ok(letter) = apart(raw.clone()).await else { return verdict };
        (verdict.from, verdict.subject) = (from(&letter), letter.subject.clone());
        verdict.message_id.clone_from(&letter.message_id);
        if let Ok(Judged::Genuine(genuine)) = self.judge(mail, &raw, letter, true, proof).await {
            verdict.person.clone_from(&genuine.sender.person);
            verdict.trusted = true;
            let story = answers::given_up(problem);
            if let Err(later) = self.answer(&genuine, &super::about::Thread::default(), story).await {
                tracing::warn!(mail.id = %mail.id, ?later, "mail: given up, and nobody could be told");
            }
        }
        verdict
    }

    /// Answers a mail, once. Only ever to the address it is proven to come from.
    pub(super) async fn answer(&self, mail: &Genuine, of: &super::about::Thread, story: Story) -> Result<(), Later> {
        Ok(self.0.outlet.say(of.say(mail, story)).await?)
    }
}

/// What is not there of a mail. That a mail did not come at all is said by how it was delivered: anybody can write the header.
pub(super) fn missing(letter: &Letter, delivery: &Delivery) -> Option<String> {
    if let Some(size) = letter.header(TOO_LARGE).next() {
        let size = one_line(size, 40);
        return Some(format!("it is too large ({size}), so only its headers were kept: see `max_mail_mib` in [mail]"));
    }
    if !delivery.is_stub {
        return None;
    }
    let what = one_line(letter.header(UNFETCHED).next().unwrap_or_default(), 500);
    Some(format!("it could not be got out of the mailbox, where it lies unread; look at it there ({what})"))
}

/// Who a mail says wrote it, for people.
fn from(letter: &Letter) -> String {
    let names: Vec<&str> =
        letter.from.iter().map(|from| from.address.as_str()).filter(|address| !address.is_empty()).collect();
    match names.as_slice() {
        [] => one_line(letter.header("from").next().unwrap_or_default(), 200),
        names => names.join(", "),
    }
}
