//! The core against a provider in simulated time.

use std::collections::BTreeMap;

use bus_schemas::{id::ProjectId, time::UnixMs};
use proptest::{
    prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest},
    test_runner::TestCaseError,
};
use uuid::Uuid;

use super::{Answer, CallId, Command, Event, Fact, HOLD_MS, Shared, Signals, State, Tuning, Window, step};

fn project(n: usize) -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(n as u128))
}

/// What a call does next in the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Answer,
    End,
    AskAgain,
}

/// A provider that refuses everything until `storm_until`, and callers that come back when they are told to.
struct World {
    state: State,
    now: i64,
    luck: u32,
    retry_after_ms: Option<u64>,
    storm_until: i64,
    /// A call takes so long to be answered, and as long again to end.
    takes_ms: i64,
    wake: Option<i64>,
    due: Vec<(i64, CallId, Next)>,
    owner: BTreeMap<CallId, ProjectId>,
    done: usize,
    admitted: Vec<ProjectId>,
    most_in_flight: usize,
}

impl World {
    fn new(tuning: Tuning) -> Self {
        Self {
            state: State::new(tuning),
            now: 1_000_000,
            luck: 7,
            retry_after_ms: None,
            storm_until: 0,
            takes_ms: 1_000,
            wake: None,
            due: Vec::new(),
            owner: BTreeMap::new(),
            done: 0,
            admitted: Vec::new(),
            most_in_flight: 0,
        }
    }

    fn ask(&mut self, whose: ProjectId) {
        let call = CallId(self.owner.len() as u64);
        self.owner.insert(call, whose);
        self.tell(Fact::Asked { call, project: whose });
    }

    fn tell(&mut self, fact: Fact) -> Vec<Command> {
        self.wake = None;
        let commands = step(&mut self.state, &Event { at: UnixMs(self.now), fact });
        for command in &commands {
            match *command {
                Command::Admit { call } => {
                    self.admitted.push(self.owner[&call]);
                    self.due.push((self.now + self.takes_ms, call, Next::Answer));
                }
                Command::Refuse { call, resume_at } => {
                    assert!(resume_at.0 > self.now, "to be sent away means to be told when to come back");
                    self.due.push((resume_at.0, call, Next::AskAgain));
                }
                Command::Wake { at } => {
                    assert!(at.0 > self.now);
                    self.wake = Some(at.0);
                }
                Command::Share(_) => {}
            }
        }
        self.most_in_flight = self.most_in_flight.max(self.state.in_flight());
        commands
    }

    /// Lives until nobody wants anything any more, or until a moment.
    fn run_until(&mut self, end: i64) {
        loop {
            let next_due = self.due.iter().map(|(at, ..)| *at).min();
            let Some(next) = [next_due, self.wake].into_iter().flatten().min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            let now = self.now;
            let Some(place) = self.due.iter().position(|(at, ..)| *at <= now) else {
                self.tell(Fact::Passed);
                continue;
            };
            let (_, call, what) = self.due.remove(place);
            match what {
                Next::Answer => {
                    self.luck = self.luck.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let signals = Signals { retry_after_ms: self.retry_after_ms, ..Signals::default() };
                    let answer = if now < self.storm_until {
                        Answer::Limited(signals)
                    } else {
                        Answer::Fine(Signals::default())
                    };
                    if matches!(answer, Answer::Fine(_)) {
                        self.due.push((now + self.takes_ms, call, Next::End));
                    }
                    self.tell(Fact::Answered { call, answer, luck: self.luck });
                }
                Next::End => {
                    self.done += 1;
                    self.tell(Fact::Ended { call });
                }
                Next::AskAgain => self.ask(self.owner[&call]),
            }
        }
    }
}

#[test]
fn without_trouble_nobody_waits() {
    let mut world = World::new(Tuning { max_concurrent: 3, ..Tuning::default() });
    for _ in 0..3 {
        world.ask(project(1));
    }
    assert_eq!(world.admitted.len(), 3);
    world.ask(project(1));
    assert_eq!((world.admitted.len(), world.state.waiting()), (3, 1), "no more slots");
    world.run_until(i64::MAX);
    assert_eq!(world.done, 4);
}

#[test]
fn retry_after_is_obeyed_and_then_one_call_tries_the_door() {
    let mut world = World::new(Tuning::default());
    world.retry_after_ms = Some(20_000);
    world.storm_until = world.now + 2_000;
    for _ in 0..5 {
        world.ask(project(1));
    }
    let start = world.now;
    world.run_until(start + 1_000 + 19_999);
    assert_eq!(world.admitted.len(), 5, "nobody goes before the time");
    world.run_until(start + 1_000 + 22_000 + 500);
    assert_eq!(world.admitted.len(), 6, "one tries");
    world.run_until(i64::MAX);
    assert_eq!(world.done, 5);
}

#[test]
fn a_slow_answer_at_the_door_holds_nobody_up_for_long() {
    let mut world = World::new(Tuning::default());
    world.ask(project(1));
    world.ask(project(1));
    world.due.clear();
    let limited = Signals { retry_after_ms: Some(0), ..Signals::default() };
    world.tell(Fact::Answered { call: CallId(0), answer: Answer::Limited(limited), luck: 0 });
    world.tell(Fact::Answered { call: CallId(1), answer: Answer::Limited(limited), luck: 0 });
    assert_eq!(world.admitted.len(), 3, "one tries the door, at once");
    world.due.clear();
    world.run_until(world.now + 60_000);
    assert_eq!(world.admitted.len(), 4, "it thinks; a refusal would have come by now");
}

#[test]
fn a_wait_that_would_be_too_long_is_not_begun() {
    let mut world = World::new(Tuning::default());
    world.retry_after_ms = Some(HOLD_MS * 2);
    world.storm_until = world.now + 2_000;
    world.ask(project(1));
    world.now += 1_000;
    world.due.clear();
    let signals = Signals { retry_after_ms: Some(HOLD_MS * 2), ..Signals::default() };
    let commands = world.tell(Fact::Answered { call: CallId(0), answer: Answer::Limited(signals), luck: 0 });
    let resume_at = UnixMs(world.now).plus_ms(HOLD_MS * 2);
    assert!(commands.contains(&Command::Refuse { call: CallId(0), resume_at }), "{commands:?}");
}

#[test]
fn one_bad_call_does_not_hold_up_the_others() {
    let mut world = World::new(Tuning::default());
    world.ask(project(1));
    world.due.clear();
    world.tell(Fact::Answered { call: CallId(0), answer: Answer::Failed(Signals::default()), luck: 0 });
    assert_eq!(world.admitted.len(), 1, "it waits");
    world.ask(project(1));
    assert_eq!(world.admitted.len(), 2, "its neighbor does not");
    world.run_until(i64::MAX);
    assert_eq!(world.done, 2);
}

#[test]
fn an_empty_window_is_waited_for() {
    let mut world = World::new(Tuning::default());
    world.ask(project(1));
    world.due.clear();
    // Sixty a minute, none left: the next one comes in a second.
    let reset_at = UnixMs(world.now + 60_000);
    let requests = Some(Window { limit: Some(60), remaining: 0, reset_at });
    world.tell(Fact::Answered {
        call: CallId(0),
        answer: Answer::Fine(Signals { requests, ..Signals::default() }),
        luck: 0,
    });
    world.ask(project(1));
    assert_eq!((world.admitted.len(), world.wake), (1, Some(world.now + 1_000)));
    let tokens = Some(Window { limit: None, remaining: 0, reset_at: UnixMs(world.now + 5_000) });
    world.now += 1_000;
    world.tell(Fact::Passed);
    world.due.clear();
    world.tell(Fact::Answered {
        call: CallId(1),
        answer: Answer::Fine(Signals { tokens, ..Signals::default() }),
        luck: 0,
    });
    world.ask(project(1));
    assert_eq!((world.admitted.len(), world.wake), (2, Some(world.now + 4_000)));
}

#[test]
fn the_pace_is_learned() {
    let mut world = World::new(Tuning { max_concurrent: 1_000, ..Tuning::default() });
    for _ in 0..100 {
        world.ask(project(1));
    }
    world.due.clear();
    world.now += 100;
    world.tell(Fact::Answered { call: CallId(0), answer: Answer::Limited(Signals::default()), luck: 0 });
    assert_eq!(world.state.shared().rate, Some(70_000), "a hundred a minute were too many");
    world.tell(Fact::Answered { call: CallId(1), answer: Answer::Limited(Signals::default()), luck: 0 });
    assert_eq!((world.state.shared().rate, world.state.shared().strikes), (Some(70_000), 1), "one rush, one lesson");
}

#[test]
fn what_another_host_knows_binds_here() {
    let mut world = World::new(Tuning::default());
    let until = UnixMs(world.now + 30_000);
    let heard = Shared { blocked_until: until, strikes: 2, rate: Some(12_000), at: UnixMs(world.now) };
    world.tell(Fact::Heard(heard));
    world.ask(project(1));
    assert_eq!((world.admitted.len(), world.wake), (0, Some(until.0)));
    // Something older changes nothing, the end of it does.
    world.tell(Fact::Heard(Shared { at: UnixMs(world.now - 1), ..Shared::default() }));
    assert_eq!(world.admitted.len(), 0);
    world.now += 1_000;
    world.tell(Fact::Heard(Shared { at: UnixMs(world.now), ..Shared::default() }));
    world.run_until(until.0 - 1);
    assert_eq!(world.done, 1);
}

#[test]
fn news_are_told_and_nothing_else() {
    let mut world = World::new(Tuning::default());
    let shares = |commands: Vec<Command>| commands.iter().filter(|c| matches!(c, Command::Share(_))).count();
    world.ask(project(1));
    world.due.clear();
    let fine = |call| Fact::Answered { call: CallId(call), answer: Answer::Fine(Signals::default()), luck: 0 };
    assert_eq!(shares(world.tell(fine(0))), 0);
    world.now += 1_000;
    world.ask(project(1));
    let limited = Fact::Answered { call: CallId(1), answer: Answer::Limited(Signals::default()), luck: 0 };
    assert_eq!(shares(world.tell(limited)), 1);
    world.now += 60_000;
    assert_eq!(shares(world.tell(Fact::Passed)), 0);
    assert_eq!(shares(world.tell(fine(1))), 1, "the end of the trouble");
}

#[test]
fn a_caller_that_goes_leaves_nothing_behind() {
    let mut world = World::new(Tuning { max_concurrent: 1, ..Tuning::default() });
    for _ in 0..3 {
        world.ask(project(1));
    }
    for call in 0..3 {
        world.tell(Fact::Ended { call: CallId(call) });
    }
    assert_eq!((world.state.waiting(), world.state.in_flight()), (0, 0));
}

proptest! {
    #[test]
    fn ten_minutes_of_429_fail_nothing(
        calls in proptest::collection::vec(0_usize..4, 1..30),
        retry_after_ms in prop_oneof![Just(None), (0_u64..120_000).prop_map(Some), (0_u64..4_000_000).prop_map(Some)],
        max_concurrent in 1_u32..8,
        takes_ms in 1_i64..5_000,
        luck in any::<u32>(),
    ) {
        let mut world = World::new(Tuning { max_concurrent, ..Tuning::default() });
        (world.retry_after_ms, world.takes_ms, world.luck) = (retry_after_ms, takes_ms, luck);
        let start = world.now;
        world.storm_until = start + 600_000;
        for whose in &calls {
            world.ask(project(*whose));
        }
        // An hour at most after the storm, and then the queue, at the slowest pace there is.
        world.run_until(start + 600_000 + 4_400_000 + calls.len() as i64 * 20_000);
        prop_assert_eq!(world.done, calls.len(), "somebody starves: {:?}", world.state);
        prop_assert!(world.most_in_flight <= max_concurrent as usize);
        prop_assert_eq!((world.state.waiting(), world.state.in_flight()), (0, 0));
        // The provider was not hammered meanwhile: far fewer tries than seconds.
        let tries = world.admitted.len() - calls.len();
        prop_assert!(tries < 100 + calls.len() * 2, "{tries} tries in vain");
    }

    #[test]
    fn projects_take_turns(
        mut wanted in proptest::collection::vec(1_usize..20, 2..6),
        max_concurrent in 1_u32..4,
        failing in any::<bool>(),
    ) {
        let mut world = World::new(Tuning { max_concurrent, ..Tuning::default() });
        if failing {
            world.storm_until = world.now + 20_000;
        }
        for (n, count) in wanted.iter().enumerate() {
            for _ in 0..*count {
                world.ask(project(n));
            }
        }
        let before = world.admitted.len();
        for admitted in &world.admitted {
            let n = (0..wanted.len()).find(|n| project(*n) == *admitted).unwrap_or_default();
            wanted[n] -= 1;
        }
        world.run_until(i64::MAX);
        fair(&world.admitted[before..], &wanted)?;
    }
}

/// As long as several projects have something left, none of them is ahead of another by more than one request.
fn fair(admitted: &[ProjectId], wanted: &[usize]) -> Result<(), TestCaseError> {
    let mut had = vec![0; wanted.len()];
    for whose in admitted {
        let n = (0..wanted.len()).find(|n| project(*n) == *whose).unwrap_or_default();
        had[n] += 1;
        let open: Vec<usize> = (0..wanted.len()).filter(|n| had[*n] < wanted[*n]).map(|n| had[n]).collect();
        if let (Some(least), Some(most)) = (open.iter().min(), open.iter().max()) {
            prop_assert!(most - least <= 1, "{had:?} of {wanted:?}");
        }
    }
    Ok(())
}
