//! Which mails are worked on, which wait and until when, and how far the list of those that came was read. A wake looks at what is
//! new and at what is due, and not at all that is open.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

/// A mail that is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In its lane.
    InWork,
    /// It waits until then.
    Waits(Instant),
}

/// What is not finished.
#[derive(Debug, Default)]
pub(super) struct Open {
    states: HashMap<String, State>,
    waiting: BTreeSet<(Instant, String)>,
    /// The place of the last mail that was taken from the list.
    place: i64,
}

impl Open {
    /// How far the list was read.
    pub(super) const fn place(&self) -> i64 {
        self.place
    }

    /// It was read so far.
    pub(super) fn read_to(&mut self, place: i64) {
        self.place = self.place.max(place);
    }

    /// A mail is worked on from now on; `false` if it is already, or waits for its time.
    pub(super) fn begin(&mut self, id: &str, now: Instant) -> bool {
        match self.states.get(id) {
            Some(State::InWork) => return false,
            Some(State::Waits(until)) if *until > now => return false,
            Some(State::Waits(until)) => {
                self.waiting.remove(&(*until, id.to_owned()));
            }
            None => {}
        }
        self.states.insert(id.to_owned(), State::InWork);
        true
    }

    /// It waits until then.
    pub(super) fn wait(&mut self, id: &str, until: Instant) {
        self.end(id);
        self.states.insert(id.to_owned(), State::Waits(until));
        self.waiting.insert((until, id.to_owned()));
    }

    /// Nothing is to be done about it any more.
    pub(super) fn end(&mut self, id: &str) {
        if let Some(State::Waits(until)) = self.states.remove(id) {
            self.waiting.remove(&(until, id.to_owned()));
        }
    }

    /// Those whose time has come. They wait until they are begun.
    pub(super) fn due(&self, now: Instant) -> Vec<String> {
        self.waiting.iter().take_while(|(until, _)| *until <= now).map(|(_, id)| id.clone()).collect()
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.first().map(|(until, _)| *until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_mail_is_in_work_or_waits_and_is_begun_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut open = Open::default();
        assert!(open.begin("a", start) && open.begin("b", start) && !open.begin("a", at(99)));
        open.wait("b", at(20));
        open.wait("a", at(10));
        assert_eq!((open.next(), open.due(at(9)), open.due(at(10))), (Some(at(10)), vec![], vec!["a".to_owned()]));
        assert!(!open.begin("a", at(9)) && open.begin("a", at(10)));
        assert_eq!(open.next(), Some(at(20)));
        open.wait("b", at(30));
        assert_eq!((open.next(), open.due(at(29))), (Some(at(30)), vec![]), "it waits once");
        open.end("a");
        open.end("b");
        assert_eq!((open.next(), open.states.len(), open.waiting.len()), (None, 0, 0));
        open.read_to(7);
        open.read_to(3);
        assert_eq!(open.place(), 7);
    }
}
