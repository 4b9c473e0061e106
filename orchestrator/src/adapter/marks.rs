//! What has to be looked at again. Marked twice before it is looked at is looked at once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};

/// Things to look at, each not before an instant.
pub(super) struct Marks<T> {
    due: Mutex<BTreeMap<T, Instant>>,
    bell: Notify,
}

impl<T: Ord + Copy> Marks<T> {
    pub(super) fn new() -> Self {
        Self { due: Mutex::default(), bell: Notify::new() }
    }

    /// Look at it as soon as possible.
    pub(super) fn mark(&self, what: T) {
        self.mark_at(what, Instant::now());
    }

    /// Look at it at an instant; what is due earlier stays due earlier.
    pub(super) fn mark_at(&self, what: T, at: Instant) {
        let mut due = self.lock();
        let entry = due.entry(what).or_insert(at);
        *entry = (*entry).min(at);
        drop(due);
        self.bell.notify_one();
    }

    /// The next thing that is due, once there is one. One task takes.
    pub(super) async fn next(&self) -> T {
        loop {
            let first = self.first();
            match first {
                Some((what, at)) if at <= Instant::now() => {
                    self.lock().remove(&what);
                    return what;
                }
                Some((_, at)) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = self.bell.notified() => {}
                },
                None => self.bell.notified().await,
            }
        }
    }

    fn first(&self) -> Option<(T, Instant)> {
        self.lock().iter().min_by_key(|(_, at)| **at).map(|(what, at)| (*what, *at))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<T, Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_earliest_comes_first_and_once() {
        let marks = Marks::new();
        let start = Instant::now();
        marks.mark_at(1, start + Duration::from_secs(3));
        marks.mark_at(2, start + Duration::from_secs(1));
        marks.mark_at(1, start + Duration::from_secs(2));
        marks.mark_at(1, start + Duration::from_secs(9));
        assert_eq!((marks.next().await, marks.next().await), (2, 1));
        assert_eq!(Instant::now() - start, Duration::from_secs(2));
        assert!(tokio::time::timeout(Duration::from_secs(60), marks.next()).await.is_err());
    }
}
