//! What the journal calls each fact.

use super::Fact;

impl Fact {
    /// Its kind, as the journal spells it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ProjectCreated(_) => "project_created",
            Self::ApprovalDecided { .. } => "approval_decided",
            Self::ApprovalDelegated { .. } => "approval_delegated",
            Self::ApprovalViewed { .. } => "approval_viewed",
            Self::ApprovalQuestioned { .. } => "approval_questioned",
            Self::ApprovalDue { .. } => "approval_due",
            Self::RememberedRevoked { .. } => "remembered_revoked",
            Self::ApplyOffered { .. } => "apply_offered",
            Self::TaskPrepared { .. } => "task_prepared",
            Self::TaskExpanded { .. } => "task_expanded",
            Self::PrepareFailed { .. } => "prepare_failed",
            Self::ChildrenMerged { .. } => "children_merged",
            Self::AttemptOffered { .. } => "attempt_offered",
            Self::AttemptClaimed { .. } => "attempt_claimed",
            Self::AttemptStaged { .. } => "attempt_staged",
            Self::HandoffReceived { .. } => "handoff_received",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::AttemptPaused { .. } => "attempt_paused",
            Self::SpendReserved { .. } => "spend_reserved",
            Self::SpendSettled { .. } => "spend_settled",
            Self::BudgetReached { .. } => "budget_reached",
            Self::BudgetRaised { .. } => "budget_raised",
            Self::NoteTold { .. } => "note_told",
            Self::PlanProposed { .. } => "plan_proposed",
            Self::PlanUnusable { .. } => "plan_unusable",
            Self::PatchProposed { .. } => "patch_proposed",
            Self::SkillProposed { .. } => "skill_proposed",
            Self::EffectStarted(_) => "effect_started",
            Self::EffectVoided(_) => "effect_voided",
            Self::EffectEnded(_) => "effect_ended",
            Self::EffectUnknown(_) => "effect_unknown",
            Self::LimitReached { .. } => "limit_reached",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::ResultMerged { .. } => "result_merged",
            Self::ResultMergeFailed { .. } => "result_merge_failed",
            Self::ApplyWanted { .. } => "apply_wanted",
            Self::ApplyRefused { .. } => "apply_refused",
            Self::ApplyStarted { .. } => "apply_started",
            Self::ApplyFinished => "apply_finished",
            Self::ApplyStopped { .. } => "apply_stopped",
            Self::ApplyStalled { .. } => "apply_stalled",
            Self::ApplyResumed { .. } => "apply_resumed",
            Self::ApplyUndone { .. } => "apply_undone",
        }
    }
}
