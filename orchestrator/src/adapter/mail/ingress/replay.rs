//! Signatures that do not cover the mail they come with are good for one mail only.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bus_schemas::time::UnixMs;

type Places = HashMap<String, Place>;

struct Place {
    /// The SHA-256 of the mail it came with.
    mail: [u8; 32],
    until: UnixMs,
    is_kept: bool,
}

/// The tokens of the last minutes. Only genuine ones get here, so that strangers cannot fill it.
#[derive(Default)]
pub(super) struct Replays(Arc<Mutex<Places>>);

/// Whether a token came before.
pub(super) enum Known {
    /// It did not.
    New(Taking),
    /// With this mail, which is kept.
    Same,
    /// With another mail.
    Other,
    /// With this mail, which is not kept yet.
    UnderWay,
}

/// A token's mail is being kept. Dropped before that is done, the token may come again.
pub(super) struct Taking {
    places: Arc<Mutex<Places>>,
    token: String,
    is_done: bool,
}

impl Replays {
    pub(super) fn begin(&self, token: String, mail: [u8; 32], until: UnixMs, now: UnixMs) -> Known {
        let mut places = locked(&self.0);
        places.retain(|_, place| place.until.0 >= now.0);
        match places.get(&token) {
            Some(place) if place.mail != mail => Known::Other,
            Some(place) if place.is_kept => Known::Same,
            Some(_) => Known::UnderWay,
            None => {
                places.insert(token.clone(), Place { mail, until, is_kept: false });
                Known::New(Taking { places: Arc::clone(&self.0), token, is_done: false })
            }
        }
    }
}

impl Taking {
    /// The mail is kept.
    pub(super) fn done(mut self) {
        self.is_done = true;
        if let Some(place) = locked(&self.places).get_mut(&self.token) {
            place.is_kept = true;
        }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        if !self.is_done {
            locked(&self.places).remove(&self.token);
        }
    }
}

fn locked(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_one_mail() {
        let replays = Replays::default();
        let begin = |mail: u8, now: i64| replays.begin("token".to_owned(), [mail; 32], UnixMs(now + 10), UnixMs(now));
        let Known::New(first) = begin(1, 0) else { panic!("it is new") };
        assert!(matches!(begin(1, 1), Known::UnderWay));
        assert!(matches!(begin(2, 1), Known::Other));
        drop(first);
        let Known::New(again) = begin(2, 2) else { panic!("nothing was kept: it may come again") };
        again.done();
        assert!(matches!(begin(2, 3), Known::Same));
        assert!(matches!(begin(1, 3), Known::Other));
        assert!(matches!(begin(1, 13), Known::New(_)), "by then its time is over, which is checked before");
    }
}
