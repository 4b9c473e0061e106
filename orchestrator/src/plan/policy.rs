//! Rules that need no state: how long to wait before the next attempt, how a request is decided, how long a note may be.

use bus_schemas::id::TaskId;

use super::event::{PolicySpec, TaskSpec};
use crate::ledger::Route;

/// The most of a failure's detail that is kept as a note to the next attempt, in bytes.
pub const NOTE_BYTES: usize = 4096;

/// The jitter around a backoff, in thousandths: ±20 %.
const JITTER_PERMILLE: u64 = 200;

/// The delay before the attempt that follows the `failures`-th failed one (counted from 1), in milliseconds:
/// the task's backoff, doubled for each failure after the first, at most its longest delay, spread by ±20 % so that tasks
/// that failed together do not come back together. The spread comes from a hash of the task and the attempt, so that a
/// journal replays to the same instants. What the spread lifts over the longest delay is mirrored below it.
#[must_use]
pub fn backoff_ms(spec: &TaskSpec, failures: u32) -> u64 {
    let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    let longest = spec.max_backoff_ms;
    let nominal = spec.backoff_ms.saturating_mul(doubled).min(longest);
    let spread = hash(spec.task_id, failures) % (2 * JITTER_PERMILLE + 1);
    let permille = u128::from(1000 - JITTER_PERMILLE + spread);
    let jittered = u64::try_from(u128::from(nominal) * permille / 1000).unwrap_or(u64::MAX);
    if jittered > longest { longest - (jittered - longest).min(longest) } else { jittered }
}

/// How a request is decided where nobody worked that out: a policy that asks asks anybody.
#[must_use]
pub fn route(policy: &PolicySpec) -> Route {
    if !policy.asks {
        return Route::auto(&policy.name);
    }
    Route { deadline_ms: policy.deadline_ms, ..Route::anyone(&policy.name) }
}

/// `text`, cut to at most `bytes` at the end of a character.
#[must_use]
pub fn bounded(text: &str, bytes: usize) -> String {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default().to_owned()
}

/// FNV-1a over the id and the number, finished as in `SplitMix64`: the standard library's hasher may change between releases.
fn hash(task_id: TaskId, number: u32) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in task_id.as_uuid().as_bytes().iter().chain(&number.to_le_bytes()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
