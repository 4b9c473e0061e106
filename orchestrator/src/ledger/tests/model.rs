//! Whatever people, clocks and policies do in whatever order: one decision, the one that a small model expects. The model keeps
//! other things than the ledger: who holds whose say as a map, and the yes of each person as a pair.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use super::support::{DIGEST, START, id};
use crate::ledger::{
    Asked, AtDeadline, Command, Decided, Event, Fact, Rejected, Request, Risk, Route, Ruling, Verdict, Who, ask,
    next_at, step,
};

const PEOPLE: [&str; 6] = ["ann", "bob", "carl", "dan", "eve", "fay"];
const CHANNELS: [&str; 3] = ["cli", "slack", "email"];

/// Something that happens, so many milliseconds after what happened before.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Vote { by: usize, verdict: u8, channel: usize, is_other: bool },
    Delegate { by: usize, to: usize },
    View { by: usize, channel: usize },
    Due,
    Close,
}

/// What the model knows of a request.
struct Model {
    route: Route,
    asked: Asked,
    /// Whose say is held by whom, where not by themselves.
    held: BTreeMap<&'static str, &'static str>,
    /// Who approved, and as whom.
    yes: BTreeMap<&'static str, &'static str>,
    deadline_ms: Option<u64>,
    escalated: bool,
    ended: Option<Decided>,
}

/// Whether these people satisfy a tree, by counting.
fn agree(who: &Who, yes: &BTreeSet<&str>, ms: u64) -> bool {
    match who {
        Who::Anyone => yes.iter().count() > 0,
        Who::Person(name) => yes.iter().any(|person| person == name),
        Who::Some { n, of, .. } => {
            let group: BTreeSet<&str> = of.iter().map(String::as_str).collect();
            group.intersection(yes).count() >= *n as usize
        }
        Who::AnyOf(list) => list.iter().filter(|who| agree(who, yes, ms)).count() > 0,
        Who::AllOf(list) => list.iter().filter(|who| agree(who, yes, ms)).count() == list.len(),
        Who::After { wait_ms, who } => ms >= *wait_ms && agree(who, yes, ms),
    }
}

/// Whether a tree has a person in it at an instant.
fn has(who: &Who, person: &str, ms: u64) -> bool {
    match who {
        Who::Anyone => true,
        Who::Person(name) => name == person,
        Who::Some { of, .. } => of.contains(&person.to_owned()),
        Who::AnyOf(list) | Who::AllOf(list) => list.iter().any(|who| has(who, person, ms)),
        Who::After { wait_ms, who } => ms >= *wait_ms && has(who, person, ms),
    }
}

impl Model {
    fn trees(&self) -> Vec<&Who> {
        let Ruling::Ask(who) = &self.route.ruling else { return Vec::new() };
        let more = match &self.route.at_deadline {
            AtDeadline::Escalate { to, .. } if self.escalated => Some(to),
            _ => None,
        };
        [Some(who), more].into_iter().flatten().collect()
    }

    fn enough(&self, more: Option<&'static str>, ms: u64) -> bool {
        let yes: BTreeSet<&str> = self.yes.values().copied().chain(more).collect();
        self.trees().into_iter().any(|who| agree(who, &yes, ms))
    }

    fn holder(&self, person: &'static str) -> &'static str {
        self.held.get(person).copied().unwrap_or(person)
    }

    /// For whom somebody speaks, themselves first.
    fn speaks_for(&self, by: &'static str, ms: u64) -> Vec<&'static str> {
        let mut people: Vec<_> = PEOPLE.into_iter().filter(|person| self.holder(person) == by).collect();
        people.sort_by_key(|person| *person != by);
        people.into_iter().filter(|person| self.trees().into_iter().any(|who| has(who, person, ms))).collect()
    }

    fn excluded(&self, person: &str) -> bool {
        self.route.excluded.iter().any(|excluded| excluded == person)
    }

    fn open(&self, ms: u64) -> bool {
        self.ended.is_none() && self.deadline_ms.is_none_or(|deadline| ms < deadline)
    }

    /// Whether an approval is taken, and as whose.
    fn approve(&mut self, by: &'static str, ms: u64) -> bool {
        if self.yes.contains_key(by) || self.excluded(by) {
            return false;
        }
        let free = |person: &&'static str| !self.excluded(person) && !self.yes.values().any(|yes| yes == person);
        let says: Vec<_> = self.speaks_for(by, ms).into_iter().filter(free).collect();
        let Some(first) = says.first().copied() else { return false };
        let best = says.iter().copied().find(|person| self.enough(Some(person), ms)).unwrap_or(first);
        self.yes.insert(by, best);
        true
    }

    /// Whether it is taken.
    fn vote(&mut self, by: &'static str, verdict: Verdict, ms: u64) -> bool {
        if !self.open(ms) || self.speaks_for(by, ms).is_empty() {
            return false;
        }
        match verdict {
            Verdict::Approved => {
                let taken = self.approve(by, ms);
                if taken && self.enough(None, ms) {
                    self.ended = Some(Decided::Approved);
                }
                return taken;
            }
            Verdict::ChangesRequested if !matches!(self.asked, Asked::Handoff) => return false,
            Verdict::ChangesRequested => self.ended = Some(Decided::ChangesRequested),
            Verdict::Rejected => self.ended = Some(Decided::Rejected),
        }
        true
    }

    fn delegate(&mut self, by: &'static str, to: &'static str, ms: u64) -> bool {
        let voted = self.yes.contains_key(by) || self.yes.contains_key(to);
        let stands = self.holder(to) == to && by != to && !voted && !self.excluded(by) && !self.excluded(to);
        if !self.open(ms) || self.speaks_for(by, ms).is_empty() || !stands {
            return false;
        }
        // Where one alone can never decide, nobody gets a second say.
        let alone = |person: &&str| {
            let one = BTreeSet::from([*person]);
            !self.excluded(person) && self.trees().into_iter().any(|who| agree(who, &one, u64::MAX))
        };
        if !PEOPLE.iter().any(alone) && self.possible() && !self.speaks_for(to, u64::MAX).is_empty() {
            return false;
        }
        for person in PEOPLE {
            if self.holder(person) == by {
                self.held.insert(person, to);
            }
        }
        true
    }

    fn possible(&self) -> bool {
        let all = PEOPLE.into_iter().filter(|person| !self.excluded(person)).collect();
        self.trees().into_iter().any(|who| agree(who, &all, u64::MAX))
    }

    /// Its instant has come.
    fn due(&mut self, ms: u64) {
        if self.deadline_ms.is_some_and(|deadline| deadline <= ms) {
            match &self.route.at_deadline {
                AtDeadline::Escalate { for_ms, .. } if !self.escalated => {
                    self.deadline_ms = Some(ms + for_ms.max(&1));
                    self.escalated = true;
                }
                AtDeadline::Approve if self.route.risk == Risk::Low && self.route.problem.is_none() => {
                    self.ended = Some(Decided::Approved);
                }
                _ => self.ended = Some(Decided::Expired),
            }
        }
        if self.ended.is_none() && !self.yes.is_empty() && self.enough(None, ms) {
            self.ended = Some(Decided::Approved);
        }
    }
}

fn someone() -> impl Strategy<Value = Who> {
    let of = vec(0..PEOPLE.len(), 1..5);
    let group = of.prop_map(|of| of.into_iter().map(|place| PEOPLE[place].to_owned()).collect::<Vec<_>>());
    let leaf = prop_oneof![
        1 => Just(Who::Anyone),
        3 => (0..PEOPLE.len()).prop_map(|place| Who::Person(PEOPLE[place].to_owned())),
        6 => (1..4_u32, group).prop_map(|(n, of)| Who::Some { n, group: "leads".to_owned(), of }),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Who::AnyOf),
            vec(inner.clone(), 1..3).prop_map(Who::AllOf),
            (0..400_u64, inner).prop_map(|(wait_ms, who)| Who::After { wait_ms, who: Box::new(who) }),
        ]
    })
}

fn routes() -> impl Strategy<Value = Route> {
    let end = prop_oneof![
        Just(AtDeadline::Reject),
        Just(AtDeadline::Approve),
        (someone(), 0..300_u64).prop_map(|(to, for_ms)| AtDeadline::Escalate { to, for_ms }),
    ];
    let risk = prop_oneof![Just(Risk::Low), Just(Risk::Medium), Just(Risk::High)];
    let times = (prop::option::of(0..900_u64), prop::option::of(1..300_u64));
    let people = (vec(0..PEOPLE.len(), 0..2), vec(0..PEOPLE.len(), 0..3));
    (someone(), end, risk, times, people, any::<u8>()).prop_map(
        |(who, at_deadline, risk, (deadline_ms, reminder_ms), (excluded, remembered), kind)| {
            let name = |place: usize| PEOPLE[place].to_owned();
            Route {
                ruling: if kind.is_multiple_of(16) { Ruling::Auto } else { Ruling::Ask(who) },
                deadline_ms,
                reminder_ms,
                at_deadline,
                risk,
                excluded: excluded.into_iter().map(name).collect(),
                remembered: remembered.into_iter().map(|place| (name(place), id(place as u128))).collect(),
                problem: kind.is_multiple_of(5).then(|| "broken".to_owned()),
                ..Route::anyone("policy")
            }
        },
    )
}

fn happenings() -> impl Strategy<Value = Vec<(u64, Happening)>> {
    let one = prop_oneof![
        12 => (0..PEOPLE.len(), any::<u8>(), 0..3_usize, 0..12_u8).prop_map(|(by, verdict, channel, other)| {
            Happening::Vote { by, verdict, channel, is_other: other == 0 }
        }),
        6 => (0..PEOPLE.len(), 0..PEOPLE.len()).prop_map(|(by, to)| Happening::Delegate { by, to }),
        2 => (0..PEOPLE.len(), 0..3_usize).prop_map(|(by, channel)| Happening::View { by, channel }),
        6 => Just(Happening::Due),
        1 => Just(Happening::Close),
    ];
    vec((prop_oneof![Just(0), 0..200_u64], one), 0..40)
}

/// What must hold of a request whatever happened.
fn check(request: &Request) {
    let humans: BTreeSet<&str> = request.votes.iter().map(|vote| vote.by.as_str()).collect();
    let counted: BTreeSet<&str> = request.votes.iter().map(|vote| vote.counts_as.as_str()).collect();
    assert_eq!((humans.len(), counted.len()), (request.votes.len(), request.votes.len()), "somebody counts twice");
    for excluded in &request.route.excluded {
        assert!(!humans.contains(excluded.as_str()) && !counted.contains(excluded.as_str()), "no self-approval");
    }
    let remembered = request.votes.iter().any(|vote| vote.channel == "remembered");
    assert!(!remembered || (request.route.risk != Risk::High && request.route.problem.is_none()));
    let Some(decision) = &request.decision else { return };
    assert_eq!(next_at(request), None);
    let by_people = decision.verdict == Decided::Approved && !decision.by.starts_with("policy:");
    if let (true, Ruling::Ask(Who::Some { n, .. }), None) = (by_people, &request.route.ruling, request.escalated_at) {
        assert!(humans.len() >= *n as usize, "a quorum of {n} by {humans:?}");
    }
    if decision.verdict == Decided::Approved && request.route.problem.is_some() {
        assert!(by_people && decision.channel != "remembered", "a broken policy approved");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_there_is_one_decision_and_it_is_the_one_people_made(
        route in routes(),
        is_handoff in any::<bool>(),
        happenings in happenings(),
    ) {
        let asked = if is_handoff { Asked::Handoff } else { Asked::Apply };
        let (mut request, commands) = ask(id(1), asked, DIGEST.to_owned(), route.clone(), START);
        let asks = route.asks() || route.problem.is_some();
        let ruling = if route.asks() || !asks { route.ruling.clone() } else { Ruling::Ask(Who::Anyone) };
        let mut model = Model {
            deadline_ms: route.deadline_ms.filter(|_| asks),
            route: Route { ruling, ..route.clone() },
            asked,
            held: BTreeMap::new(),
            yes: BTreeMap::new(),
            escalated: false,
            ended: (!asks).then_some(Decided::Approved),
        };
        if asks && is_handoff && route.risk != Risk::High && route.problem.is_none() {
            for (name, _) in &route.remembered {
                let by = PEOPLE.into_iter().find(|person| person == name).unwrap();
                let taken = !model.speaks_for(by, 0).is_empty() && model.approve(by, 0);
                prop_assert!(taken || !request.votes.iter().any(|vote| vote.by == by) || model.yes.contains_key(by));
            }
            if !model.yes.is_empty() && model.enough(None, 0) {
                model.ended = Some(Decided::Approved);
            }
        }
        check(&request);
        prop_assert_eq!(request.decision.as_ref().map(|decision| decision.verdict), model.ended);
        prop_assert_eq!(commands == [Command::Ask], model.ended.is_none());
        let mut told = 0;
        let mut ms = 0;
        let closing = (0..30).map(|_| (400, Happening::Due));
        for (wait, happening) in happenings.into_iter().chain(closing) {
            ms += wait;
            let at = START.plus_ms(ms);
            let before = request.clone();
            let fact = match happening {
                Happening::Vote { by, verdict, channel, is_other } => Fact::Voted {
                    verdict: match verdict % 8 {
                        0 => Verdict::Rejected,
                        1 => Verdict::ChangesRequested,
                        _ => Verdict::Approved,
                    },
                    digest: if is_other { "another" } else { DIGEST },
                    by: PEOPLE[by],
                    channel: CHANNELS[channel],
                    note: "because",
                },
                Happening::Delegate { by, to } => Fact::Delegated { by: PEOPLE[by], to: PEOPLE[to] },
                Happening::View { by, channel } => Fact::Viewed { by: PEOPLE[by], channel: CHANNELS[channel] },
                Happening::Due => Fact::Due,
                Happening::Close => Fact::Closed { channel: "void", reason: "gone" },
            };
            let result = step(&mut request, Event { at, fact });
            let expected = match happening {
                Happening::Vote { is_other: true, .. } => false,
                Happening::Vote { by, .. } => {
                    let Fact::Voted { verdict, .. } = fact else { unreachable!() };
                    model.vote(PEOPLE[by], verdict, ms)
                }
                Happening::Delegate { by, to } => model.delegate(PEOPLE[by], PEOPLE[to], ms),
                Happening::View { .. } => result.is_ok(),
                Happening::Due => {
                    let is_due = next_at(&before).is_some_and(|next| next <= at);
                    if is_due {
                        model.due(ms);
                    }
                    is_due
                }
                Happening::Close => model.ended.is_none() && model.ended.replace(Decided::Rejected).is_none(),
            };
            prop_assert_eq!(result.is_ok(), expected, "{:?}: {:?}", happening, &result);
            match &result {
                Err(rejected) => {
                    prop_assert_eq!(&before, &request, "a rejected event changed the request");
                    let decided = matches!(rejected, Rejected::Decided(_)) || *rejected == Rejected::Known;
                    prop_assert!(decided || before.decision.is_none(), "whoever is late is told what was decided");
                }
                Ok(commands) => told += commands.iter().filter(|command| **command == Command::Decided).count(),
            }
            if before.decision.is_some() {
                prop_assert_eq!(&before.decision, &request.decision, "a decision changed");
            }
            prop_assert!(next_at(&request).is_none_or(|next| next > at) || !matches!(happening, Happening::Due));
            check(&request);
            prop_assert_eq!(request.decision.as_ref().map(|decision| decision.verdict), model.ended);
        }
        prop_assert!(told <= 1, "decided twice");
        if route.deadline_ms.is_some() {
            prop_assert!(request.decision.is_some(), "a deadline ends it");
        }
    }
}
