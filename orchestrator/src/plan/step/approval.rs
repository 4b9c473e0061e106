//! Decisions.

use bus_schemas::id::{ApprovalId, TaskId};

use crate::plan::{
    change::Change,
    event::Verdict,
    rejected::Rejected,
    request::{Approval, Decided, Decision, Subject},
    task::{Note, TaskState},
};

/// A decision as it was made.
pub(super) struct Deciding<'a> {
    pub(super) verdict: Verdict,
    pub(super) digest: &'a str,
    pub(super) by: &'a str,
    pub(super) channel: &'a str,
    pub(super) note: &'a str,
}

impl Change<'_> {
    pub(super) fn approval_decided(
        &mut self,
        approval_id: ApprovalId,
        deciding: &Deciding<'_>,
    ) -> Result<(), Rejected> {
        let request = self.pending(approval_id)?;
        if request.digest != deciding.digest {
            return Err(Rejected::DigestMismatch { approval_id });
        }
        if let Some(expires_at) = request.expires_at.filter(|expires_at| *expires_at <= self.at) {
            return Err(Rejected::Expired { approval_id, expires_at });
        }
        if deciding.verdict != Verdict::Approved && deciding.note.trim().is_empty() {
            return Err(Rejected::NoteRequired { approval_id });
        }
        let answers = matches!(request.subject, Subject::Question { .. });
        if answers && deciding.note.trim().is_empty() {
            return Err(Rejected::NoteRequired { approval_id });
        }
        if deciding.verdict == Verdict::ChangesRequested
            && matches!(request.subject, Subject::Question { .. } | Subject::Budget { .. })
        {
            return Err(Rejected::WrongVerdict { approval_id, subject: request.subject.word() });
        }
        let verdict = match deciding.verdict {
            Verdict::Approved => Decided::Approved,
            Verdict::ChangesRequested => Decided::ChangesRequested,
            Verdict::Rejected => Decided::Rejected,
        };
        let subject = request.subject;
        let decision = Decision {
            verdict,
            by: deciding.by.to_owned(),
            channel: deciding.channel.to_owned(),
            note: deciding.note.to_owned(),
            decided_at: self.at,
        };
        self.carry_out(approval_id, subject, decision);
        Ok(())
    }

    pub(super) fn approval_expired(&mut self, approval_id: ApprovalId) -> Result<(), Rejected> {
        let request = self.pending(approval_id)?;
        if request.expires_at.is_none_or(|expires_at| self.at < expires_at) {
            return Err(Rejected::NotDue { event: self.event, not_before: request.expires_at });
        }
        let (subject, policy) = (request.subject, request.policy.clone());
        let decision = Decision {
            verdict: Decided::Expired,
            by: format!("policy:{policy}"),
            channel: "policy".to_owned(),
            note: "nobody decided in time".to_owned(),
            decided_at: self.at,
        };
        self.carry_out(approval_id, subject, decision);
        Ok(())
    }

    fn pending(&self, approval_id: ApprovalId) -> Result<&Approval, Rejected> {
        let event = self.event;
        let request = self.plan.approvals.get(&approval_id).ok_or(Rejected::UnknownApproval { approval_id, event })?;
        match &request.decision {
            Some(decision) => Err(Rejected::NotPending { approval_id, decision: Box::new(decision.clone()) }),
            None => Ok(request),
        }
    }

    fn carry_out(&mut self, approval_id: ApprovalId, subject: Subject, decision: Decision) {
        let wait = self.plan.budget_waits.get(&approval_id).cloned();
        self.decide(approval_id, decision.clone());
        match subject {
            Subject::Plan => self.carry_out_plan(approval_id, &decision),
            Subject::Handoff { task_id, .. } => self.carry_out_handoff(approval_id, task_id, decision),
            Subject::Question { task_id, .. } => self.carry_out_question(approval_id, task_id, &decision),
            Subject::Budget { .. } => {
                if let Some(wait) = wait {
                    self.carry_out_budget(&wait, &decision);
                }
            }
            Subject::Patch { .. } => self.carry_out_patch(approval_id, &decision),
            Subject::Skill { task_id, .. } => self.carry_out_skill(approval_id, task_id, &decision),
        }
    }

    fn carry_out_handoff(&mut self, approval_id: ApprovalId, task_id: TaskId, decision: Decision) {
        let Decision { verdict, by, note, .. } = decision;
        let Some(number) = self.plan.numbers.get(&task_id).copied() else { return };
        let at = self.at;
        match verdict {
            Decided::Approved => self.accept(number),
            Decided::ChangesRequested => self.edit(number, |task| {
                let asked_at = task.handoff.take().map_or(at, |handed| handed.received_at);
                task.waited_ms = task.waited_ms.saturating_add(at.since(asked_at));
                task.reason = format!("{by} requests changes");
                task.notes.push(Note { id: format!("approval-{approval_id}"), from: by, text: note });
                task.max_attempts = task.max_attempts.saturating_add(1);
                task.resume_from = task.attempt;
                task.approval_id = None;
                task.claim = None;
                task.state = TaskState::Ready;
                task.ready_at = at;
            }),
            Decided::Rejected | Decided::Expired => {
                let reason = if verdict == Decided::Expired { note } else { format!("{by}: {note}") };
                self.end(number, TaskState::Rejected, &reason);
                self.settle();
            }
        }
    }
}
