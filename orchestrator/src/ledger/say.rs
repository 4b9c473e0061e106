//! Who may speak for whom: the people of a route, those who handed their say on, and those who hold it now.

use std::collections::BTreeSet;

use bus_schemas::time::UnixMs;

use super::{
    request::{Delegation, Request},
    route::Who,
    step::{Command, Rejected},
};

impl Request {
    /// Whom a person's approval would count as: whoever makes it enough, else themselves, else the first of those who handed
    /// their say to them.
    pub(super) fn counts_as(&self, by: &str, at: UnixMs) -> Result<String, Rejected> {
        self.has_say(by, at)?;
        if self.has_voted(by) {
            return Err(Rejected::AlreadyVoted { by: by.to_owned() });
        }
        // Whoever started or edited it approves for nobody.
        if self.is_excluded(by) {
            return Err(Rejected::SelfApproval { by: by.to_owned() });
        }
        let voted = |person: &str| self.votes.iter().any(|vote| vote.counts_as == person);
        let mut says = self.says(by, at);
        says.retain(|person| !self.is_excluded(person) && !voted(person));
        let enough = says.iter().find(|person| self.is_satisfied_with(Some(person), at));
        let counts_as = enough.or_else(|| says.first()).cloned();
        counts_as.ok_or_else(|| Rejected::SelfApproval { by: by.to_owned() })
    }

    /// Whether a person can say anything about it at all.
    pub(super) fn has_say(&self, by: &str, at: UnixMs) -> Result<(), Rejected> {
        let Some(who) = self.who() else { return Err(Rejected::NotEligible { by: by.to_owned() }) };
        if !self.says(by, at).is_empty() {
            return Ok(());
        }
        let mut after = Some(at.since(self.asked_at));
        while let Some(wait) = who.next_wait(after) {
            if self.speaks_for(by).iter().any(|person| who.includes(person, wait)) {
                return Err(Rejected::NotYet { by: by.to_owned(), from: self.asked_at.plus_ms(wait) });
            }
            after = Some(wait);
        }
        let holder = self.holder(by);
        if holder != by && who.includes(by, u64::MAX) {
            return Err(Rejected::HandedOn { by: by.to_owned(), to: holder.to_owned() });
        }
        Err(Rejected::NotEligible { by: by.to_owned() })
    }

    /// The people for whom a person can speak now: themselves first, then those who handed their say to them.
    fn says(&self, by: &str, at: UnixMs) -> Vec<String> {
        let Some(who) = self.who() else { return Vec::new() };
        let elapsed = at.since(self.asked_at);
        let speaks_for = self.speaks_for(by).into_iter();
        speaks_for.filter(|person| who.includes(person, elapsed)).map(str::to_owned).collect()
    }

    /// Themselves, unless they handed their say on, and those whose say they hold; in the route or not.
    fn speaks_for<'a>(&'a self, by: &'a str) -> Vec<&'a str> {
        let froms: BTreeSet<&str> = self.delegations.iter().map(|delegation| delegation.from.as_str()).collect();
        let others = froms.into_iter().filter(|from| *from != by);
        std::iter::once(by).chain(others).filter(|person| self.holder(person) == by).collect()
    }

    fn has_voted(&self, by: &str) -> bool {
        self.votes.iter().any(|vote| vote.by == by)
    }

    pub(super) fn delegated(&mut self, by: &str, to: &str, at: UnixMs) -> Result<Vec<Command>, Rejected> {
        let bad = |text: String| Err(Rejected::BadDelegation(text));
        // The same once more, as after an answer that was lost.
        let last = self.delegations.iter().rev().find(|delegation| delegation.from == by);
        if last.is_some_and(|last| last.to == to) {
            return Err(Rejected::Known);
        }
        self.has_say(by, at)?;
        if to.trim().is_empty() || by == to {
            return bad("name somebody else to hand it to".to_owned());
        }
        if self.has_voted(by) {
            return Err(Rejected::AlreadyVoted { by: by.to_owned() });
        }
        if self.is_excluded(by) {
            return Err(Rejected::SelfApproval { by: by.to_owned() });
        }
        if self.is_excluded(to) {
            return bad(format!("{to} started or edited this and cannot approve it"));
        }
        if self.holder(to) != to {
            return bad(format!("{to} handed their own say on"));
        }
        if self.has_voted(to) {
            return bad(format!("{to} has approved it already, and nobody counts twice"));
        }
        // A say that nobody could use would only make the others wait.
        let who = self.who().unwrap_or(Who::Anyone);
        let several = who.fewest(&self.route.excluded).is_some_and(|fewest| fewest > 1);
        if several && self.speaks_for(to).iter().any(|person| who.includes(person, u64::MAX)) {
            return bad(format!("{to} has a say already, and nobody counts twice where several must agree"));
        }
        self.delegations.push(Delegation { from: by.to_owned(), to: to.to_owned(), at });
        Ok(vec![Command::Changed, Command::Widened])
    }
}
