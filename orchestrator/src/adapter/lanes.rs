//! Work in order for each person, side by side for different ones.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Lanes that work at the same time: what they wait for is SQLite and other programs, and none of that gets faster by more.
const ACTIVE: usize = 64;

/// A queue per name. Each runs one job at a time, in the order they came.
pub(super) struct Lanes<J> {
    queues: Arc<Mutex<HashMap<String, VecDeque<J>>>>,
    active: Arc<Semaphore>,
    emptied: Arc<Notify>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl<J> Clone for Lanes<J> {
    fn clone(&self) -> Self {
        Self {
            queues: Arc::clone(&self.queues),
            active: Arc::clone(&self.active),
            emptied: Arc::clone(&self.emptied),
            tasks: self.tasks.clone(),
            stop: self.stop.clone(),
        }
    }
}

impl<J: Send + 'static> Lanes<J> {
    pub(super) fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { queues: Arc::default(), active: Arc::new(Semaphore::new(ACTIVE)), emptied: Arc::default(), tasks, stop }
    }

    /// Puts a job at the end of a lane; `work` does this lane's jobs from then on, if it is not being worked on already.
    pub(super) fn push<W, F>(&self, lane: String, job: J, work: W)
    where
        W: Fn(J) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send,
    {
        let mut queues = self.lock();
        if let Some(queue) = queues.get_mut(&lane) {
            queue.push_back(job);
            return;
        }
        queues.insert(lane.clone(), VecDeque::from([job]));
        drop(queues);
        let lanes = self.clone();
        self.tasks.spawn(async move { lanes.run(&lane, work).await });
    }

    async fn run<W, F>(&self, lane: &str, work: W)
    where
        W: Fn(J) -> F + Send + Sync,
        F: Future<Output = ()> + Send,
    {
        while let Some(job) = self.next(lane) {
            let permit = tokio::select! {
                permit = self.active.acquire() => permit,
                () = self.stop.cancelled() => return,
            };
            work(job).await;
            drop(permit);
        }
    }

    /// Waits until no lane has anything to do.
    pub(super) async fn idle(&self) {
        while !self.lock().is_empty() {
            self.emptied.notified().await;
        }
    }

    /// The lane's next job; an empty lane is closed under the same lock, so that nothing is put into one nobody works on.
    fn next(&self, lane: &str) -> Option<J> {
        let mut queues = self.lock();
        let job = queues.get_mut(lane).and_then(VecDeque::pop_front);
        if job.is_none() || self.stop.is_cancelled() {
            queues.remove(lane);
            self.emptied.notify_one();
            return None;
        }
        job
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, VecDeque<J>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_lane_keeps_its_order_while_another_waits() {
        let tasks = TaskTracker::new();
        let lanes = Lanes::new(tasks.clone(), CancellationToken::new());
        let done = Arc::new(Mutex::new(Vec::new()));
        for (lane, job, ms) in [("ann", 1, 50), ("ann", 2, 1), ("bob", 3, 10)] {
            let done = Arc::clone(&done);
            lanes.push(lane.to_owned(), (job, ms), move |(job, ms)| {
                let done = Arc::clone(&done);
                async move {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    done.lock().unwrap().push(job);
                }
            });
        }
        tasks.close();
        tasks.wait().await;
        assert_eq!(*done.lock().unwrap(), [3, 1, 2]);
    }
}
