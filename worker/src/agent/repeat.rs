//! Endless repetition: the same calls with the same results, over and over.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::message::{Call, Input, Outcome};

/// Turns of the longest cycle that is noticed.
const CYCLE: usize = 4;
/// So often in a row is too often, if calls and results are the same to the letter.
const TIMES: usize = 3;
/// So often in a row is too often, if the results differ in their digits only: durations, process numbers.
const LOOSE_TIMES: usize = 8;

/// The last turns, each as two numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repeats {
    exact: VecDeque<u64>,
    loose: VecDeque<u64>,
}

impl Repeats {
    /// Takes a turn's calls and results; says whether the last turns repeat each other.
    pub fn take(&mut self, calls: &[Call], outcomes: &[Outcome]) -> bool {
        let (mut exact, mut loose) = (DefaultHasher::new(), DefaultHasher::new());
        for call in calls {
            let input = match &call.input {
                Input::Json(value) => value.to_string(),
                Input::Broken(text) => text.clone(),
            };
            (&call.name, &input).hash(&mut exact);
            (&call.name, &input).hash(&mut loose);
        }
        for outcome in outcomes {
            (outcome.is_error, &outcome.text).hash(&mut exact);
            outcome.is_error.hash(&mut loose);
            outcome.text.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()).for_each(|part| {
                part.hash(&mut loose);
            });
        }
        push(&mut self.exact, exact.finish(), CYCLE * TIMES);
        push(&mut self.loose, loose.finish(), CYCLE * LOOSE_TIMES);
        repeats(&self.exact, TIMES) || repeats(&self.loose, LOOSE_TIMES)
    }

    /// Forgets what was.
    pub fn clear(&mut self) {
        self.exact.clear();
        self.loose.clear();
    }
}

fn push(ring: &mut VecDeque<u64>, item: u64, limit: usize) {
    ring.push_back(item);
    if ring.len() > limit {
        ring.pop_front();
    }
}

/// Whether the end of `ring` is `times` times the same cycle.
fn repeats(ring: &VecDeque<u64>, times: usize) -> bool {
    (1..=CYCLE).filter(|cycle| ring.len() >= cycle * times).any(|cycle| {
        let start = ring.len() - cycle * times;
        (start + cycle..ring.len()).all(|at| ring[at] == ring[at - cycle])
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn turn(repeats: &mut Repeats, name: &str, result: &str) -> bool {
        let call = Call { id: "1".into(), name: name.into(), input: Input::Json(json!({"path": "a"})) };
        let outcome = Outcome { id: "1".into(), name: name.into(), text: result.into(), is_error: false };
        repeats.take(&[call], &[outcome])
    }

    #[test]
    fn three_times_the_same_is_noticed_and_progress_is_not() {
        let mut repeats = Repeats::default();
        assert!(!turn(&mut repeats, "read", "x"));
        assert!(!turn(&mut repeats, "read", "x"));
        assert!(turn(&mut repeats, "read", "x"));
        repeats.clear();
        for count in 0..7 {
            assert!(!turn(&mut repeats, "read", &format!("line {count}")), "results differ");
        }
        assert!(turn(&mut repeats, "read", "line 99"), "but in digits only, for the eighth time");
    }

    #[test]
    fn cycles_are_noticed() {
        for cycle in 2..=CYCLE {
            let mut repeats = Repeats::default();
            let noticed: Vec<bool> =
                (0..cycle * TIMES).map(|at| turn(&mut repeats, &format!("t{}", at % cycle), "x")).collect();
            assert_eq!(noticed.iter().position(|noticed| *noticed), Some(cycle * TIMES - 1), "a cycle of {cycle}");
        }
    }
}
