//! Whether this machine's timer runs.
//!
//! An emulated machine has one timer, the local APIC's, and its kernel measures it against the time stamp counter for 100 ms at
//! boot. A host that lets the machine wait for as long just then makes the measured timer look as if it stood still, and the
//! kernel goes on without any ("APIC frequency too slow, disabling apic timer"). Such a guest boots, says hello and answers
//! pings; whatever sleeps in it sleeps for ever. So PID 1 looks first, without sleeping, and gives the machine up.

use std::{io, thread, time::Duration};

use rustix::{
    io::{Errno, read},
    time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
        timerfd_settime,
    },
};

use crate::port::MachineError;

/// What the timer is set to.
const SOON: Duration = Duration::from_millis(5);
/// A timer that did not come after so long, though it was looked at so often, does not run. Both, because a machine that its host
/// lets wait finds much time gone between two looks.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOKS: u32 = 1_000;
/// Even if the clock stands still, too: some seconds.
const MOST_LOOKS: u32 = 1_000_000;

/// Sets a timer and looks for it.
///
/// # Errors
/// If it does not come: everything that waits for time would wait for ever.
pub(super) fn check() -> Result<(), MachineError> {
    let at = |operation| move |errno: Errno| MachineError::at(operation)(errno.into());
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)
        .map_err(at("create a timer"))?;
    let once = Itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(SOON) };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once).map_err(at("set a timer"))?;
    let has_come = || read(&timer, &mut [0u8; 8]).is_ok();
    if comes(has_come, || monotonic(clock_gettime(ClockId::Monotonic))) {
        return Ok(());
    }
    let detail = "no timer interrupt comes: the kernel found the machine's timer too slow, because the host was too busy at that moment";
    Err(MachineError::at("check the machine's timer")(io::Error::other(detail)))
}

/// Looks until it has come, or must have.
fn comes(mut has_come: impl FnMut() -> bool, mut now: impl FnMut() -> Duration) -> bool {
    let since = now();
    for look in 0..MOST_LOOKS {
        if has_come() {
            return true;
        }
        if look >= LOOKS && now().saturating_sub(since) > PATIENCE {
            return false;
        }
        thread::yield_now();
    }
    false
}

fn timespec(duration: Duration) -> Timespec {
    // Both are far below what the fields hold.
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

fn monotonic(time: Timespec) -> Duration {
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_timer_that_runs_is_found_to_run() {
        check().unwrap();
    }

    #[test]
    fn a_timer_that_does_not_run_is_given_up_after_a_second() {
        let passed = Cell::new(Duration::ZERO);
        let now = || {
            passed.set(passed.get() + Duration::from_micros(10));
            passed.get()
        };
        assert!(!comes(|| false, now));
        assert!(passed.get() > PATIENCE && passed.get() < PATIENCE * 2, "{:?}", passed.get());
    }

    #[test]
    fn a_machine_that_had_to_wait_itself_is_looked_at_again() {
        let (passed, looks) = (Cell::new(0), Cell::new(0));
        let now = || Duration::from_secs(passed.replace(passed.get() + 60));
        let comes_at_last = || looks.replace(looks.get() + 1) == LOOKS - 1;
        assert!(comes(comes_at_last, now), "a minute between two looks proves nothing");
    }

    #[test]
    fn a_clock_that_stands_still_does_not_keep_it_for_ever() {
        assert!(!comes(|| false, || Duration::ZERO));
    }
}
