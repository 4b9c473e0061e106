//! The checks: in a second VM, on the tree as it was handed off.

use std::{collections::BTreeMap, time::Duration};

use bus_schemas::v1::{
    guest::Assignment,
    handoff::CheckEvidence,
    task::{FailureReason, Offer},
};
use tokio::time::Instant;

use super::{
    Desk, Failure, LogPump, Trace, cut_front, guest,
    output::TAIL_BYTES,
    work::{end, talk, tree},
};
use crate::{
    lease::{Leased, Leases},
    port::Vm,
};

/// What checks may take beyond the sum of their own limits.
const CHECKS_GRACE: Duration = Duration::from_secs(60);

/// Runs the checks in a second VM, on the tree as it was handed off.
pub(super) async fn check<V: Vm>(
    desk: &Desk,
    leases: &Leases<V>,
    mut leased: Leased<V>,
    offer: &Offer,
    commit: &str,
    log: &mut LogPump,
    trace: &Trace,
) -> Result<Vec<CheckEvidence>, Failure> {
    let tree = tree(desk, offer, commit.to_owned(), Vec::new()).await?;
    guest::prepare(&mut leased, tree).await?;
    leases.started(leased.lease).await;
    let limit: Duration = offer.checks.iter().map(|check| Duration::from_millis(check.timeout_ms)).sum();
    let deadline = Instant::now() + limit + CHECKS_GRACE;
    let assignment = Assignment::Checks {
        checks: offer.checks.clone(),
        env: BTreeMap::clone(&offer.env),
        output_bytes: offer.limits.output_bytes,
    };
    let count = offer.checks.len();
    let results = talk(&mut leased, log, trace, async |session| {
        session.assign(assignment).await?;
        session.checks_finished(count, deadline).await
    })
    .await?;
    let lease_id = leased.lease;
    end(leased, leases, trace).await;
    let evidence: Vec<CheckEvidence> = offer
        .checks
        .iter()
        .zip(results)
        .map(|(check, result)| CheckEvidence {
            name: check.name.clone(),
            run: check.run.clone(),
            passed: result.exit_code == Some(0) && !result.timed_out,
            exit_code: result.exit_code,
            timed_out: result.timed_out,
            wall_ms: result.wall_ms,
            output_tail: cut_front(result.output_tail, TAIL_BYTES),
            lease_id,
        })
        .collect();
    let failed: Vec<String> = evidence.iter().filter(|e| !e.passed).map(named).collect();
    if failed.is_empty() {
        return Ok(evidence);
    }
    let detail = format!("{} of {} checks did not pass: {}", failed.len(), evidence.len(), failed.join(", "));
    Err(Failure { reason: FailureReason::CheckFailed, detail, evidence })
}

/// The check's name, and that it was too slow: somebody who mends the wrong thing for that would look for long.
fn named(check: &CheckEvidence) -> String {
    if check.timed_out {
        format!("{} (timed out after {} s)", check.name, check.wall_ms / 1000)
    } else {
        check.name.clone()
    }
}
