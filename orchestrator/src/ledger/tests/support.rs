//! A request under test, driven by hand.

use bus_schemas::{id::ApprovalId, time::UnixMs};
use uuid::Uuid;

use crate::ledger::{
    Asked, AtDeadline, Command, Decided, Event, Fact, Rejected, Request, Route, Ruling, Verdict, Who, ask, step,
};

pub(super) const START: UnixMs = UnixMs(1_000_000);
pub(super) const DIGEST: &str = "what was shown";

pub(super) fn id(n: u128) -> ApprovalId {
    ApprovalId::from_uuid(Uuid::from_u128(n))
}

pub(super) fn person(name: &str) -> Who {
    Who::Person(name.to_owned())
}

pub(super) fn quorum(n: u32, of: &[&str]) -> Who {
    Who::Some { n, group: "leads".to_owned(), of: of.iter().map(|name| (*name).to_owned()).collect() }
}

pub(super) fn after(wait_ms: u64, who: Who) -> Who {
    Who::After { wait_ms, who: Box::new(who) }
}

pub(super) fn route(who: Who) -> Route {
    Route { ruling: Ruling::Ask(who), rule: Some("first".to_owned()), ..Route::anyone("careful") }
}

pub(super) fn escalating(who: Who, to: Who) -> Route {
    let at_deadline = AtDeadline::Escalate { to, for_ms: 500 };
    Route { deadline_ms: Some(1_000), at_deadline, ..route(who) }
}

/// A request and its clock.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) request: Request,
    pub(super) asked: Vec<Command>,
    pub(super) now: UnixMs,
}

impl World {
    pub(super) fn new(route: Route) -> Self {
        Self::of(Asked::Handoff, route)
    }

    pub(super) fn of(asked: Asked, route: Route) -> Self {
        let (request, commands) = ask(id(1), asked, DIGEST.to_owned(), route, START);
        Self { request, asked: commands, now: START }
    }

    pub(super) fn at(&mut self, ms: u64) -> &mut Self {
        self.now = START.plus_ms(ms);
        self
    }

    /// Steps; a rejection must leave the request as it was.
    pub(super) fn step(&mut self, fact: Fact<'_>) -> Result<Vec<Command>, Rejected> {
        let before = self.request.clone();
        let result = step(&mut self.request, Event { at: self.now, fact });
        if result.is_err() {
            assert_eq!(before, self.request);
        }
        result
    }

    pub(super) fn says(&mut self, by: &str, verdict: Verdict, note: &str) -> Result<Vec<Command>, Rejected> {
        self.step(Fact::Voted { verdict, digest: DIGEST, by, channel: "cli", note })
    }

    pub(super) fn approves(&mut self, by: &str) -> Result<Vec<Command>, Rejected> {
        self.says(by, Verdict::Approved, "")
    }

    pub(super) fn hands(&mut self, by: &str, to: &str) -> Result<Vec<Command>, Rejected> {
        self.step(Fact::Delegated { by, to })
    }

    pub(super) fn due(&mut self) -> Result<Vec<Command>, Rejected> {
        self.step(Fact::Due)
    }

    /// What was decided, by whom, over which channel.
    pub(super) fn decided(&self) -> Option<(Decided, &str, &str)> {
        let decision = self.request.decision.as_ref()?;
        Some((decision.verdict, decision.by.as_str(), decision.channel.as_str()))
    }
}
