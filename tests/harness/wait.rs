//! Waiting for conditions. The deadline is there to end a broken test, not to measure anything.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits until `condition` yields something.
///
/// # Panics
/// After `deadline`, naming `what` was waited for.
pub async fn until<T, F, Fut>(what: &str, deadline: Duration, mut condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain for {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
