//! From what a host observed to what the core is told.

use bus_schemas::{
    id::{AttemptRef, ClaimNonce, ProjectId},
    v1::handoff::Handoff,
};

use super::{
    detail::{Detail, FailureDetail},
    words,
};
use crate::{
    digest,
    plan::event::Fact,
    port::{Ids, bus::Observation},
};

/// The longest text of a guest that is kept in the journal, in bytes: hosts bound it, too, but are not trusted to.
const TEXT_BYTES: usize = 16 * 1024;

/// What the core is told of an observation, and what belongs beside it.
///
/// # Errors
/// A sentence, if its content cannot be accepted.
pub(super) fn fact_of(observation: Observation, ids: &dyn Ids) -> Result<(ProjectId, Fact, Option<Detail>), String> {
    match observation {
        Observation::Claimed(claimed) => {
            let AttemptRef { project_id, task_id, number } = claimed.attempt;
            let fact = Fact::AttemptClaimed { task_id, number, nonce: claimed.nonce, host_id: claimed.host_id };
            Ok((project_id, fact, None))
        }
        Observation::Progress(progress) => {
            let AttemptRef { project_id, task_id, number } = progress.attempt;
            let stage = words::word(&progress.stage);
            Ok((project_id, Fact::AttemptStaged { task_id, number, nonce: progress.nonce, stage }, None))
        }
        Observation::Handoff(ready) => handoff(ready.attempt, ready.nonce, ready.handoff, ids),
        Observation::Paused(paused) => Err(format!("{} paused, and pauses are not understood", paused.attempt)),
        Observation::Failed(failed) => {
            let AttemptRef { project_id, task_id, number } = failed.attempt;
            let fact = Fact::AttemptFailed {
                task_id,
                number,
                nonce: failed.nonce,
                reason: words::word(&failed.reason),
                detail: crate::plan::policy::bounded(&failed.detail, TEXT_BYTES),
                retryable: failed.reason.is_retryable(),
                vm_ms: failed.usage.vm_ms,
            };
            let detail = FailureDetail {
                output_tail: crate::plan::policy::bounded(&failed.output_tail, TEXT_BYTES),
                evidence: failed.evidence,
                usage: failed.usage,
            };
            Ok((project_id, fact, Some(Detail::Failure(detail))))
        }
    }
}

fn handoff(
    attempt: AttemptRef,
    nonce: ClaimNonce,
    handoff: Handoff,
    ids: &dyn Ids,
) -> Result<(ProjectId, Fact, Option<Detail>), String> {
    if !is_commit(&handoff.commit) {
        return Err(format!("handoff of {attempt}: {:?} is not a commit id", handoff.commit));
    }
    let digest = digest::of(&handoff).map_err(|e| format!("handoff of {attempt}: {e}"))?;
    let fact = Fact::HandoffReceived {
        task_id: attempt.task_id,
        number: attempt.number,
        nonce,
        commit: handoff.commit.clone(),
        proven: handoff.is_proven(),
        digest,
        approval_id: bus_schemas::id::ApprovalId::from_uuid(ids.next()),
        vm_ms: handoff.usage.vm_ms,
        answer: None,
    };
    Ok((attempt.project_id, fact, Some(Detail::Handoff(Box::new(handoff)))))
}

/// 40 lower-case hex digits.
fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
