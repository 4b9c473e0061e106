//! Waiting where the kernel offers nothing to wait on.

use std::{thread, time::Duration};

/// Short beside anything a person or a host notices, long beside a look at a file in `/sys`.
const PAUSE: Duration = Duration::from_millis(5);

/// Until the next look at a condition. Blocks the thread.
#[expect(
    clippy::disallowed_methods,
    reason = "disks and ports appear, and hosts come back, without telling anybody here"
)]
pub(super) fn look_again() {
    thread::sleep(PAUSE);
}
