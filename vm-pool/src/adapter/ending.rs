//! An ending that fits into one message.

use bus_schemas::{
    subject::EventKind,
    v1::{
        agent::AttemptPaused,
        task::{AttemptFailed, FailureReason, HandoffReady},
    },
};

use super::{bus::wrap, claims::Ending};

/// What is kept of a failure's texts when it has to be short, in bytes.
const SHORT_BYTES: usize = 2 * 1024;

impl Ending {
    /// Itself, if its envelope has at most `limit` bytes; else a short failure in its place, under the same claim: a
    /// message that the server refuses for its size would be refused for ever.
    #[must_use]
    pub fn fitted(self, limit: usize) -> Self {
        let bytes = match &self {
            Self::Handoff(envelope) => serde_json::to_vec(envelope),
            Self::Failed(envelope) => serde_json::to_vec(envelope),
            Self::Paused(envelope) => serde_json::to_vec(envelope),
        }
        .map_or(usize::MAX, |text| text.len());
        if bytes <= limit {
            return self;
        }
        let (at, body) = match self {
            Self::Handoff(envelope) => (envelope.sent_at, too_large(envelope.body, bytes, limit)),
            Self::Failed(envelope) => (envelope.sent_at, shortened(envelope.body)),
            Self::Paused(envelope) => (envelope.sent_at, unpausable(envelope.body, bytes)),
        };
        let short = wrap(EventKind::Failed, 0, body.attempt, body.nonce, at, body);
        Self::Failed(Box::new(short))
    }
}

fn too_large(ready: HandoffReady, bytes: usize, limit: usize) -> AttemptFailed {
    let HandoffReady { attempt, nonce, handoff } = ready;
    let detail = format!(
        "the handoff does not fit into a message: it has {bytes} bytes with {} changed paths in it, and the limit is \
         {limit} bytes; narrow the task's outputs, list caches and build output in .gitignore or remove them before the \
         program ends, or hand many files over as one archive",
        handoff.changed_paths.len()
    );
    AttemptFailed {
        attempt,
        nonce,
        reason: FailureReason::ChangesTooLarge,
        detail,
        output_tail: String::new(),
        evidence: Vec::new(),
        usage: handoff.usage,
    }
}

/// The texts of a pause are cut when it leaves the guest; what is longer still is nothing that a person could be asked.
fn unpausable(paused: AttemptPaused, bytes: usize) -> AttemptFailed {
    let AttemptPaused { attempt, nonce, usage, .. } = paused;
    let detail = format!("the agent paused with a question of {bytes} bytes, which fits into no message");
    AttemptFailed {
        attempt,
        nonce,
        reason: FailureReason::BadResult,
        detail,
        output_tail: String::new(),
        evidence: Vec::new(),
        usage,
    }
}

fn shortened(failed: AttemptFailed) -> AttemptFailed {
    let mut detail = failed.detail;
    detail.truncate((0..=SHORT_BYTES.min(detail.len())).rev().find(|&at| detail.is_char_boundary(at)).unwrap_or(0));
    detail.push_str(" (shortened; the checks' evidence was too large for a message)");
    AttemptFailed { detail, output_tail: String::new(), evidence: Vec::new(), ..failed }
}

#[cfg(test)]
mod tests {
    use bus_schemas::{
        envelope::Envelope,
        id::{AttemptRef, ClaimNonce, ProjectId, TaskId},
        time::UnixMs,
        v1::handoff::{ChangeKind, ChangedPath, Handoff, Isolation, Usage},
    };
    use uuid::Uuid;

    use super::*;

    fn attempt() -> AttemptRef {
        AttemptRef {
            project_id: ProjectId::from_uuid(Uuid::from_u128(1)),
            task_id: TaskId::from_uuid(Uuid::from_u128(2)),
            number: 1,
        }
    }

    fn nonce() -> ClaimNonce {
        ClaimNonce::from_uuid(Uuid::from_u128(3))
    }

    #[test]
    fn a_handoff_of_too_many_paths_says_what_to_do() {
        let change = |n| ChangedPath { path: format!("cache/{n}"), kind: ChangeKind::Added, bytes: 1 };
        let handoff = Handoff {
            summary: String::new(),
            commit: "c".repeat(40),
            base_commit: "b".repeat(40),
            changed_paths: (0..1_000).map(change).collect(),
            lines_added: 0,
            lines_removed: 0,
            artifacts: vec![],
            result: None,
            open_questions: vec![],
            report: None,
            egress: vec![],
            evidence: vec![],
            usage: Usage { vm_ms: 7, ..Usage::default() },
            isolation: Isolation::Emulated,
        };
        let body = HandoffReady { attempt: attempt(), nonce: nonce(), handoff };
        let ending = Ending::Handoff(Box::new(wrap(EventKind::Handoff, 0, attempt(), nonce(), UnixMs(5), body)));
        assert_eq!(ending.clone().fitted(1_000_000), ending);
        let Ending::Failed(failed) = ending.fitted(10_000) else { panic!("it does not fit") };
        assert_eq!((failed.body.reason, failed.sent_at), (FailureReason::ChangesTooLarge, UnixMs(5)));
        assert_eq!((failed.body.attempt, failed.body.nonce, failed.body.usage.vm_ms), (attempt(), nonce(), 7));
        for part in ["1000 changed paths", "10000 bytes", ".gitignore", "outputs"] {
            assert!(failed.body.detail.contains(part), "{:?} lacks {part:?}", failed.body.detail);
        }
    }

    #[test]
    fn a_failure_that_is_too_long_keeps_its_word() {
        let body = AttemptFailed {
            attempt: attempt(),
            nonce: nonce(),
            reason: FailureReason::CheckFailed,
            detail: "ä".repeat(50_000),
            output_tail: "x".repeat(50_000),
            evidence: vec![],
            usage: Usage::default(),
        };
        let ending = Ending::Failed(Box::new(Envelope::new(crate::adapter::bus::fresh_id(), UnixMs(1), body)));
        let Ending::Failed(failed) = ending.fitted(10_000) else { panic!("a failure stays one") };
        assert_eq!(failed.body.reason, FailureReason::CheckFailed);
        assert!(serde_json::to_vec(&failed).unwrap().len() < 10_000);
    }
}
