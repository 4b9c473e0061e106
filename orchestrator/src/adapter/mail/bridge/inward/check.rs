//! Is a mail genuine: the only thing that asks strangers' name servers, so it is done apart from everything else.
//!
//! Who may not write is never asked about. Of the others, mails for which only their own domain is asked wait in lanes of that
//! domain; mails that name other domains beside it wait in lanes of these, with room of their own. A domain whose name servers
//! do not answer holds up nobody but those who named it, and for as long as one check may take those proven of the same sender.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Outlet,
    judge::missing,
    turns::Turns,
    work::{Inward, Job, Later, apart, is_tried_enough, sender_of},
};
use crate::{
    adapter::{
        lanes::Lanes,
        mail::{Authentic, Desk, InMail, InState, Verifier},
    },
    mail::{
        addressed,
        allow::Allow,
        letter::{Delivery, Letter},
        noise,
    },
    port::{Service, journal::JournalError},
};

/// How much mail is checked at the same time, in MiB: of each of the two kinds.
const ROOM_MIB: u32 = 64;
/// A check that takes longer is given up, and done again later.
const LONGEST: Duration = Duration::from_secs(30);
/// So long a mail that waits for its check to begin holds up those behind it.
const LONGEST_QUEUED: Duration = Duration::from_secs(120);
/// Lanes of one domain.
const SHARDS: u8 = 4;

/// What was found out about a mail's sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The address it is about.
    pub author: String,
    /// Whether the mail is from there.
    pub authentic: Authentic,
}

/// Who may write, and to whom.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Our address.
    pub address: &'a str,
    /// Who may write.
    pub allow: &'a Allow,
}

/// Takes a mail apart and finds out who wrote it, if that matters: no proof is sought for what is a machine's, not whole, or of
/// somebody who may not write. What the bridge does with every mail before it acts.
///
/// # Errors
/// The mail could not be taken apart now.
pub async fn check<V: Verifier>(
    verifier: &V,
    rules: Rules<'_>,
    raw: &Bytes,
    delivery: &Delivery,
) -> Result<(Arc<Letter>, Option<Proof>), JournalError> {
    let letter = apart(raw.clone()).await?;
    let author = letter.author().filter(|author| {
        missing(&letter, delivery).is_none()
            && noise::judge(&letter, delivery, rules.address).is_none()
            && doubt(&letter, author, rules).is_none()
    });
    let Some(author) = author.map(str::to_owned) else { return Ok((letter, None)) };
    let looked = tokio::time::timeout(LONGEST, verifier.verify(raw, &letter, delivery)).await;
    let authentic = looked
        .unwrap_or_else(|_| Authentic::Unknown(format!("no answer of name servers within {} s", LONGEST.as_secs())));
    Ok((letter, Some(Proof { author, authentic })))
}

/// Why a mail is put aside, whoever wrote it: what can be seen without asking anybody.
pub(super) fn doubt(letter: &Letter, author: &str, rules: Rules<'_>) -> Option<String> {
    if let Some(name) = letter.doubled() {
        return Some(format!(
            "it has the header {name} twice: what it says depends on who reads it, and a signature may cover the other one"
        ));
    }
    if addressed::line(letter, rules.address).is_none() {
        let why =
            "neither To nor Cc names our address: it may be a genuine mail to somebody else that was sent on to us";
        return Some(why.to_owned());
    }
    if rules.allow.who(author).is_none() {
        let like = rules.allow.lookalike(author);
        let like = like.map_or_else(String::new, |like| format!("; beware, it looks like {like}, which is allowed"));
        return Some(format!(
            "{author} may not write: no member has this address, and `allow` in [mail] does not name it{like}"
        ));
    }
    None
}

/// For how long those that are proven wait for earlier ones of their sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until its check begins.
    pub(super) queued: Duration,
    /// From then on.
    pub(super) checked: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { queued: LONGEST_QUEUED, checked: LONGEST }
    }
}

/// Where mails are checked.
pub(super) struct Gate {
    /// Those for which only their own domain is asked.
    own: (Lanes<Job>, Arc<Semaphore>),
    /// Those for which others are asked, too.
    others: (Lanes<Job>, Arc<Semaphore>),
    /// Where those that are proven wait for earlier ones of their sender.
    pub(super) turns: Turns<Job>,
    patience: Patience,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Gate {
    pub(super) fn new(patience: Patience, tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let one = || {
            (Lanes::new(tasks.clone(), stop.clone()), Arc::new(Semaphore::new(usize::try_from(ROOM_MIB).unwrap_or(1))))
        };
        Self { own: one(), others: one(), turns: Turns::new(), patience, tasks: tasks.clone(), stop: stop.clone() }
    }

    #[cfg(test)]
    pub(super) async fn idle(&self) {
        self.own.0.idle().await;
        self.others.0.idle().await;
    }
}

impl<S: Service, D: Desk, V: Verifier, O: Outlet> Inward<S, D, V, O> {
    /// Lines a mail up to be checked; then it goes into its sender's lane. `head` is its beginning.
    pub(super) fn check_in_turn(&self, job: Job, head: &[u8]) {
        let asks = self.0.verifier.asks(head, &job.mail.delivery);
        let gate = &self.0.gate;
        // Who names their own domain only shares its lanes with those who do; what else they name picks one of them.
        let (lanes, room, lane) = if asks.is_own {
            let shard = asks.evidence.bytes().fold(0_u8, u8::wrapping_add) % SHARDS;
            (&gate.own.0, &gate.own.1, format!("{}#{shard}", asks.domains.join(" ")))
        } else {
            (&gate.others.0, &gate.others.1, asks.domains.join(" "))
        };
        gate.turns.begin(&job.lane, &job.mail.id, Instant::now() + gate.patience.queued);
        let (inward, room) = (self.clone(), Arc::clone(room));
        lanes.push(lane, job, move |job| {
            let (inward, room) = (inward.clone(), Arc::clone(&room));
            async move { inward.checked(job, &room).await }
        });
    }

    async fn checked(&self, mut job: Job, room: &Semaphore) {
        let (sender, id) = (job.lane.clone(), job.mail.id.clone());
        let turns = &self.0.gate.turns;
        match self.guarded(&id, self.prove(&job, room)).await {
            Some(Ok(proof)) => {
                job.proof = proof;
                if job.is_genuine() {
                    turns.ready(&sender, &id, job);
                } else {
                    turns.leave(&sender, &id);
                    self.act_in_turn(job);
                }
            }
            // It keeps its turn while it waits.
            Some(Err(later)) => self.put_back(&job.mail, &later).await,
            None => turns.leave(&sender, &id),
        }
        self.pass_on(&sender);
    }

    /// Those of a sender whose turn it is go into their lane.
    fn pass_on(&self, sender: &str) {
        let gate = &self.0.gate;
        let Some(at) = gate.turns.pass(sender, Instant::now(), |job| self.act_in_turn(job)) else { return };
        let (inward, sender, stop) = (self.clone(), sender.to_owned(), gate.stop.clone());
        gate.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep_until(at) => inward.pass_on(&sender),
                // Kept: the next start does it.
                () = stop.cancelled() => {}
            }
        });
    }

    /// Who wrote it, if that matters; `None` if what becomes of it does not depend on it.
    async fn prove(&self, job: &Job, room: &Semaphore) -> Result<Option<Proof>, Later> {
        let (inner, mail) = (&*self.0, &job.mail);
        match inner.desk.letter(&mail.id).await? {
            Some(now) if now.verdict.state == InState::Kept => {}
            _ => return Ok(None),
        }
        let mib = u32::try_from(mail.size >> 20).unwrap_or(ROOM_MIB).saturating_add(1).min(ROOM_MIB);
        let _room = room.acquire_many(mib).await;
        inner.gate.turns.starts(&job.lane, &mail.id, Instant::now() + inner.gate.patience.checked);
        self.pass_on(&job.lane);
        let raw = match inner.desk.text(&mail.id).await {
            Ok(Some(raw)) => raw,
            // Said when it is its turn.
            Ok(None) | Err(JournalError::Malformed { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (_, proof) = check(&inner.verifier, self.rules(), &raw, &mail.delivery).await?;
        match proof {
            Some(Proof { authentic: Authentic::Unknown(why), .. }) if !is_tried_enough(mail.tries) => {
                Err(Later::Unsure(why))
            }
            proof => Ok(proof),
        }
    }

    pub(super) fn rules(&self) -> Rules<'_> {
        Rules { address: &self.0.settings.address, allow: &self.0.allow }
    }

    /// Whether a mail has to be checked before it is acted on: its sender may write, by what its beginning says.
    pub(super) fn is_candidate(&self, mail: &InMail, head: &[u8]) -> bool {
        let may_write = || sender_of(head).is_some_and(|from| self.0.allow.who(&from).is_some());
        mail.verdict.state == InState::Kept && may_write()
    }
}
