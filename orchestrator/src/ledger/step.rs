//! The pure function: a request and an event in, a changed request and commands out.

use std::collections::BTreeSet;

use bus_schemas::{id::ApprovalId, time::UnixMs};

use super::{
    request::{Asked, Decided, Decision, Request, Vote},
    route::{AtDeadline, Risk, Route, Ruling, Who},
};

/// The most reminders about one request.
pub const REMINDERS: u32 = 20;

/// The most different viewers that are remembered of one request.
const VIEWS: usize = 1000;

/// Something that happened to a request, at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// When.
    pub at: UnixMs,
    /// What.
    pub fact: Fact<'a>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact<'a> {
    /// A person decided.
    Voted {
        /// What.
        verdict: Verdict,
        /// The digest of what they saw.
        digest: &'a str,
        /// Who: the person, not the account.
        by: &'a str,
        /// Over which channel.
        channel: &'a str,
        /// Reason, note or answer.
        note: &'a str,
    },
    /// A person hands their say to another.
    Delegated {
        /// Who.
        by: &'a str,
        /// To whom.
        to: &'a str,
    },
    /// A person has seen it.
    Viewed {
        /// Who.
        by: &'a str,
        /// Over which channel.
        channel: &'a str,
    },
    /// Its next instant ([`next_at`]) has come.
    Due,
    /// Somebody did what it asks for, by other means.
    Done {
        /// Who.
        by: &'a str,
        /// Over which channel.
        channel: &'a str,
        /// What.
        note: &'a str,
    },
    /// What it is about is gone.
    Closed {
        /// `cancel` or `void`.
        channel: &'a str,
        /// Why.
        reason: &'a str,
    },
}

/// A person's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Approved,
    /// Again, with the note.
    ChangesRequested,
    /// No.
    Rejected,
}

/// What is to be done about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// It is asked: show it to those who can decide.
    Ask,
    /// It is decided ([`Request::decision`]): every copy of it is to say so.
    Decided,
    /// It is not decided, but looks different now: another vote, another delegate.
    Changed,
    /// Remind those who can decide.
    Remind,
    /// More people may decide from now on: show it to them, too.
    Widened,
}

/// Why an event changes nothing; the request is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is decided already.
    #[error("it is {} by {}", .0.verdict.word(), .0.by)]
    Decided(Box<Decision>),
    /// What they saw is not what is asked.
    #[error("what is asked has changed since it was shown")]
    DigestMismatch,
    /// Too late, though nobody has said so yet.
    #[error("its deadline has passed")]
    Expired {
        /// The deadline.
        expires_at: UnixMs,
    },
    /// A no needs words, and so does an answer.
    #[error("say why; or, to a question, the answer")]
    NoteRequired,
    /// It can only be approved or rejected.
    #[error("a {} cannot be sent back: approve or reject it", .0.word())]
    CannotSendBack(Asked),
    /// They have no say in it.
    #[error("{by} has no say in this request")]
    NotEligible {
        /// Who tried.
        by: String,
    },
    /// They may decide, but not yet.
    #[error("{by} has no say in this request before {from:?}")]
    NotYet {
        /// Who tried.
        by: String,
        /// From when on they have.
        from: UnixMs,
    },
    /// They started or edited what is asked about.
    #[error("{by} started or edited this and cannot approve it")]
    SelfApproval {
        /// Who tried.
        by: String,
    },
    /// They handed their say on.
    #[error("{by} handed their say to {to}")]
    HandedOn {
        /// Who tried.
        by: String,
        /// Who has it.
        to: String,
    },
    /// They approved it already; it waits for others.
    #[error("{by} has approved it already; it waits for others")]
    AlreadyVoted {
        /// Who tried.
        by: String,
    },
    /// A delegation that makes no sense.
    #[error("{0}")]
    BadDelegation(String),
    /// Nothing is due.
    #[error("nothing is due")]
    NotDue,
    /// That is known.
    #[error("that is known already")]
    Known,
}

/// A new request. It may be decided at once, but not where its policy has an error or only people can decide.
#[must_use]
pub fn ask(
    approval_id: ApprovalId,
    asked: Asked,
    digest: String,
    mut route: Route,
    at: UnixMs,
) -> (Request, Vec<Command>) {
    if (route.problem.is_some() || asked.wants_people()) && !route.asks() {
        route.ruling = Ruling::Ask(Who::Anyone);
    }
    let asks = route.asks();
    let expires_at = route.deadline_ms.filter(|_| asks).map(|ms| at.plus_ms(ms));
    let forgets = route.risk == Risk::High || route.problem.is_some() || !asked.can_remember();
    let remembered = if forgets { Vec::new() } else { route.remembered.clone() };
    let mut request = Request {
        approval_id,
        asked,
        digest,
        route,
        asked_at: at,
        expires_at,
        votes: Vec::new(),
        delegations: Vec::new(),
        views: BTreeSet::new(),
        reminders: 0,
        reminded_at: None,
        widened_ms: None,
        escalated_at: None,
        decision: None,
    };
    if !asks {
        let by = format!("policy:{}", request.route.policy);
        request.decide(Decided::Approved, by, "policy", "", at);
        return (request, Vec::new());
    }
    for (by, source) in remembered {
        let note = format!("remembered from request {source}");
        let Ok(counts_as) = request.counts_as(&by, at) else { continue };
        request.votes.push(Vote { by, counts_as, channel: "remembered".to_owned(), note, at });
    }
    if !request.votes.is_empty() && request.is_satisfied(at) {
        let by = request.approvers();
        request.decide(Decided::Approved, by, "remembered", "", at);
        return (request, Vec::new());
    }
    (request, vec![Command::Ask])
}

/// Takes an event into a request.
///
/// # Errors
/// [`Rejected`]; the request is as it was.
pub fn step(request: &mut Request, event: Event<'_>) -> Result<Vec<Command>, Rejected> {
    if let Fact::Viewed { by, channel } = event.fact {
        return request.viewed(by, channel);
    }
    if let Some(decision) = &request.decision {
        return Err(Rejected::Decided(Box::new(decision.clone())));
    }
    match event.fact {
        Fact::Voted { verdict, digest, by, channel, note } => {
            if request.digest != digest {
                return Err(Rejected::DigestMismatch);
            }
            request.in_time(event.at)?;
            request.voted(verdict, &Ballot { by, channel, note }, event.at)
        }
        Fact::Delegated { by, to } => {
            request.in_time(event.at)?;
            request.delegated(by, to, event.at)
        }
        Fact::Viewed { .. } => Err(Rejected::Known),
        Fact::Due => request.due(event.at),
        Fact::Done { by, channel, note } => {
            request.decide(Decided::Approved, by.to_owned(), channel, note, event.at);
            Ok(vec![Command::Decided])
        }
        Fact::Closed { channel, reason } => {
            request.decide(Decided::Rejected, "orchestrator".to_owned(), channel, reason, event.at);
            Ok(vec![Command::Decided])
        }
    }
}

/// The next instant at which something happens to a request by itself.
#[must_use]
pub fn next_at(request: &Request) -> Option<UnixMs> {
    let who = request.who().filter(|_| request.decision.is_none())?;
    let reminder = request.route.reminder_ms.filter(|_| request.reminders < REMINDERS);
    let reminder = reminder.map(|ms| request.reminded_at.unwrap_or(request.asked_at).plus_ms(ms.max(1)));
    let widened = who.next_wait(request.widened_ms).map(|wait| request.asked_at.plus_ms(wait));
    [request.expires_at, reminder, widened].into_iter().flatten().min()
}

/// What somebody says.
struct Ballot<'a> {
    by: &'a str,
    channel: &'a str,
    note: &'a str,
}

impl Request {
    fn in_time(&self, at: UnixMs) -> Result<(), Rejected> {
        match self.expires_at.filter(|expires_at| *expires_at <= at) {
            Some(expires_at) => Err(Rejected::Expired { expires_at }),
            None => Ok(()),
        }
    }

    fn voted(&mut self, verdict: Verdict, ballot: &Ballot<'_>, at: UnixMs) -> Result<Vec<Command>, Rejected> {
        let needs_words = verdict != Verdict::Approved || self.asked.wants_answer();
        if needs_words && ballot.note.trim().is_empty() {
            return Err(Rejected::NoteRequired);
        }
        if verdict == Verdict::ChangesRequested && !self.asked.can_send_back() {
            return Err(Rejected::CannotSendBack(self.asked));
        }
        let verdict = match verdict {
            Verdict::Approved => return self.approved(ballot, at),
            Verdict::ChangesRequested => Decided::ChangesRequested,
            Verdict::Rejected => Decided::Rejected,
        };
        self.has_say(ballot.by, at)?;
        self.decide(verdict, ballot.by.to_owned(), ballot.channel, ballot.note, at);
        Ok(vec![Command::Decided])
    }

    fn approved(&mut self, ballot: &Ballot<'_>, at: UnixMs) -> Result<Vec<Command>, Rejected> {
        let by = ballot.by.to_owned();
        let counts_as = self.counts_as(&by, at)?;
        let (channel, note) = (ballot.channel.to_owned(), ballot.note.to_owned());
        self.votes.push(Vote { by, counts_as, channel, note, at });
        if !self.is_satisfied(at) {
            return Ok(vec![Command::Changed]);
        }
        let by = self.approvers();
        self.decide(Decided::Approved, by, ballot.channel, ballot.note, at);
        Ok(vec![Command::Decided])
    }

    fn is_satisfied(&self, at: UnixMs) -> bool {
        self.is_satisfied_with(None, at)
    }

    /// Whether the approvals so far, and perhaps one more, are enough.
    pub(super) fn is_satisfied_with(&self, more: Option<&str>, at: UnixMs) -> bool {
        let approved: BTreeSet<&str> = self.votes.iter().map(|vote| vote.counts_as.as_str()).chain(more).collect();
        self.who().is_some_and(|who| who.is_satisfied(&approved, at.since(self.asked_at)))
    }

    fn approvers(&self) -> String {
        self.votes.iter().map(|vote| vote.by.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn viewed(&mut self, by: &str, channel: &str) -> Result<Vec<Command>, Rejected> {
        let is_new = self.views.len() < VIEWS && self.views.insert((by.to_owned(), channel.to_owned()));
        if is_new { Ok(Vec::new()) } else { Err(Rejected::Known) }
    }

    fn due(&mut self, at: UnixMs) -> Result<Vec<Command>, Rejected> {
        if next_at(self).is_none_or(|next| at < next) {
            return Err(Rejected::NotDue);
        }
        if self.expires_at.is_some_and(|expires_at| expires_at <= at) {
            return Ok(self.expired(at));
        }
        let mut commands = Vec::new();
        let elapsed = at.since(self.asked_at);
        let mut widened = false;
        while let Some(wait) = self.who().and_then(|who| who.next_wait(self.widened_ms)).filter(|wait| *wait <= elapsed)
        {
            self.widened_ms = Some(wait);
            widened = true;
        }
        if widened {
            // Those who approved early may be enough now.
            if self.is_satisfied(at) {
                let by = self.approvers();
                self.decide(Decided::Approved, by, "policy", "enough people may decide now", at);
                return Ok(vec![Command::Decided]);
            }
            commands.push(Command::Widened);
        }
        let last = self.reminded_at.unwrap_or(self.asked_at);
        if self.route.reminder_ms.is_some_and(|ms| last.plus_ms(ms.max(1)) <= at) && self.reminders < REMINDERS {
            self.reminders += 1;
            self.reminded_at = Some(at);
            commands.push(Command::Remind);
        }
        Ok(commands)
    }

    fn expired(&mut self, at: UnixMs) -> Vec<Command> {
        let policy = format!("policy:{}", self.route.policy);
        match &self.route.at_deadline {
            AtDeadline::Escalate { for_ms, .. } if self.escalated_at.is_none() => {
                self.expires_at = Some(at.plus_ms((*for_ms).max(1)));
                self.escalated_at = Some(at);
                self.widened_ms = Some(at.since(self.asked_at));
                self.reminded_at = Some(at);
                // Those who approved already may be enough for those who may decide now.
                if !self.is_satisfied(at) {
                    return vec![Command::Changed, Command::Widened];
                }
                let by = self.approvers();
                self.decide(Decided::Approved, by, "policy", "enough people may decide now", at);
            }
            AtDeadline::Approve if self.approves_by_itself() => {
                let note = "nobody objected in time, and the risk is low";
                self.decide(Decided::Approved, policy, "policy", note, at);
            }
            AtDeadline::Approve | AtDeadline::Reject | AtDeadline::Escalate { .. } => {
                self.decide(Decided::Expired, policy, "policy", "nobody decided in time", at);
            }
        }
        vec![Command::Decided]
    }

    /// Silence can mean yes: the risk is low, the policy has no error, and not only people can decide it.
    fn approves_by_itself(&self) -> bool {
        self.route.risk == Risk::Low && !self.asked.wants_people() && self.route.problem.is_none()
    }

    fn decide(&mut self, verdict: Decided, by: String, channel: &str, note: &str, at: UnixMs) {
        self.decision = Some(Decision {
            verdict,
            by,
            channel: channel.to_owned(),
            note: note.to_owned(),
            decided_at: at,
            rule: self.route.rule.clone(),
        });
    }
}

impl Route {
    /// The people it names are too few to approve anything: only a deadline, or somebody's no, can end it.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        match &self.ruling {
            Ruling::Auto => false,
            Ruling::Ask(who) => who.fewest(&self.excluded).is_none(),
        }
    }
}
