//! Effects in the model world: what is started may end, or nobody sees how; nothing is done twice.

use std::collections::{BTreeMap, BTreeSet};

use bus_schemas::id::ApprovalId;

use super::{model::Model, support::approval};
use crate::plan::{
    EffectState,
    effect::{EffectEnded, EffectEnding, EffectStarted, EffectUnknown, EffectVoided},
    event::{Fact, PauseSpec},
};

/// What was done outside.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// How often each effect was run.
    runs: BTreeMap<ApprovalId, u32>,
    /// Commands to run something that were handed out: again means by another process.
    handed: BTreeSet<ApprovalId>,
}

/// What an agent asks for: now and then something that cannot be done.
pub(super) fn effect_of(serial: u128) -> PauseSpec {
    let problem = serial.is_multiple_of(3).then(|| "there is no such effect".to_owned());
    PauseSpec::Effect { name: format!("effect-{}", serial % 2), problem }
}

impl Model {
    pub(super) fn start_effect(&mut self, approval_id: ApprovalId, answer: usize) {
        let started = Fact::EffectStarted(EffectStarted { approval_id, argv: Vec::new() });
        let voided = Fact::EffectVoided(EffectVoided { approval_id, reason: "it was changed".to_owned() });
        let fact = if answer == 0 { voided } else { started };
        self.old.push(fact.clone());
        self.say(fact);
    }

    /// As the outbox does: the first time it runs, and may end with its process; any other time it may have run.
    pub(super) fn run_effect(&mut self, approval_id: ApprovalId, answer: usize) {
        let runs = self.plan.effect(approval_id).is_some_and(|effect| effect.state == EffectState::Running);
        if self.outside.handed.insert(approval_id) {
            assert!(runs, "run, and not written down as started");
            *self.outside.runs.entry(approval_id).or_default() += 1;
            if answer != 2 {
                let ended = EffectEnded {
                    approval_id,
                    ending: EffectEnding::Exited { code: 0 },
                    output_tail: "done".to_owned(),
                    output_sha256: String::new(),
                    output_bytes: 4,
                };
                self.old.push(Fact::EffectEnded(ended.clone()));
                return self.say(Fact::EffectEnded(ended));
            }
        }
        let (question_id, digest, route) = (approval(self.serial()), "unknown".to_owned(), self.route());
        let unknown = Fact::EffectUnknown(EffectUnknown { approval_id, question_id, digest, route });
        self.old.push(unknown.clone());
        self.say(unknown);
    }

    /// Once for each approval, and never without one.
    pub(super) fn check_effects(&self) {
        for (approval_id, runs) in &self.outside.runs {
            assert_eq!(*runs, 1, "run twice");
            let approved = self.plan.approval(*approval_id).and_then(|approval| approval.decision.as_ref());
            assert!(approved.is_some_and(|decision| decision.verdict == crate::ledger::Decided::Approved));
        }
        for approval in self.plan.approvals() {
            let Some(effect) = self.plan.effect(approval.approval_id) else { continue };
            assert_ne!(effect.state, EffectState::Running, "nobody knows that nobody knows");
            let ran = self.outside.runs.contains_key(&approval.approval_id);
            assert_eq!(ran, matches!(effect.state, EffectState::Ended | EffectState::Unknown), "{effect:?}");
        }
    }
}
