//! Counts the work, so that tests can hold it against the size of the input without a clock.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Notes that so much was looked at.
#[cfg(test)]
pub(super) fn tick(steps: usize) {
    STEPS.with(|all| all.set(all.get() + steps));
}

/// Notes nothing outside tests.
#[cfg(not(test))]
pub(super) fn tick(_steps: usize) {}

/// What was noted since the last call.
#[cfg(test)]
pub(in crate::mail) fn taken() -> usize {
    STEPS.with(|all| all.replace(0))
}
