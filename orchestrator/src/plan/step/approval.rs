//! What people say about requests, and what becomes of it. Who may decide, and when it is decided, is the
//! [ledger](crate::ledger)'s.

use bus_schemas::id::{ApprovalId, TaskId};

use crate::{
    ledger::{self, Decided, Decision, Risk},
    plan::{
        change::Change,
        command::Command,
        event::{RememberSpec, Verdict},
        rejected::Rejected,
        request::{Approval, Remembered, Subject},
        state::BudgetWait,
        task::{Note, TaskState},
    },
};

/// What somebody says.
pub(super) struct Deciding<'a> {
    pub(super) verdict: Verdict,
    pub(super) digest: &'a str,
    pub(super) by: &'a str,
    pub(super) channel: &'a str,
    pub(super) note: &'a str,
    pub(super) remember: Option<&'a RememberSpec>,
}

impl Change<'_> {
    pub(super) fn approval_decided(
        &mut self,
        approval_id: ApprovalId,
        deciding: &Deciding<'_>,
    ) -> Result<(), Rejected> {
        let Deciding { verdict, digest, by, channel, note, remember } = *deciding;
        let verdict = match verdict {
            Verdict::Approved => ledger::Verdict::Approved,
            Verdict::ChangesRequested => ledger::Verdict::ChangesRequested,
            Verdict::Rejected => ledger::Verdict::Rejected,
        };
        self.moved(approval_id, ledger::Fact::Voted { verdict, digest, by, channel, note })?;
        if let Some(approval) = self.plan.approvals.get_mut(&approval_id) {
            approval.wish = remember.map(|spec| (by.to_owned(), spec.clone())).or_else(|| approval.wish.take());
        }
        self.remember(approval_id);
        self.settle();
        Ok(())
    }

    /// The next instant of a request has come.
    pub(super) fn approval_due(&mut self, approval_id: ApprovalId) -> Result<(), Rejected> {
        self.moved(approval_id, ledger::Fact::Due)?;
        self.remember(approval_id);
        self.settle();
        Ok(())
    }

    /// The same delegation again is nothing.
    pub(super) fn approval_delegated(&mut self, approval_id: ApprovalId, by: &str, to: &str) -> Result<(), Rejected> {
        self.unless_known(approval_id, ledger::Fact::Delegated { by, to })
    }

    /// The same view again is nothing.
    pub(super) fn approval_viewed(&mut self, approval_id: ApprovalId, by: &str, channel: &str) -> Result<(), Rejected> {
        self.unless_known(approval_id, ledger::Fact::Viewed { by, channel })
    }

    /// Moves a request; what it knows already changes nothing.
    fn unless_known(&mut self, approval_id: ApprovalId, fact: ledger::Fact<'_>) -> Result<(), Rejected> {
        self.known(approval_id)?;
        match self.move_request(approval_id, fact) {
            Ok(()) | Err(ledger::Rejected::Known) => Ok(()),
            Err(rejected) => Err(self.refused(approval_id, rejected)),
        }
    }

    pub(super) fn remembered_revoked(
        &mut self,
        approval_id: ApprovalId,
        by: &str,
        channel: &str,
    ) -> Result<(), Rejected> {
        self.known(approval_id)?;
        let remembered = self.plan.approvals.get_mut(&approval_id).and_then(|approval| approval.remembered.as_mut());
        let problem = "its decision is not remembered: there is nothing to take back";
        let remembered = remembered.ok_or(Rejected::CannotRemember { approval_id, problem })?;
        if remembered.revoked.is_some() {
            let problem = "that its decision is remembered was taken back before";
            return Err(Rejected::CannotRemember { approval_id, problem });
        }
        remembered.revoked = Some((by.to_owned(), channel.to_owned()));
        self.named(approval_id);
        self.command(Command::Reshow { approval_id });
        Ok(())
    }

    /// Takes something into a request, and carries out what is decided by it.
    fn moved(&mut self, approval_id: ApprovalId, fact: ledger::Fact<'_>) -> Result<(), Rejected> {
        self.known(approval_id)?;
        let wait = self.plan.budget_waits.get(&approval_id).cloned();
        self.move_request(approval_id, fact).map_err(|rejected| self.refused(approval_id, rejected))?;
        let Some(approval) = self.plan.approvals.get(&approval_id) else { return Ok(()) };
        if let Some(decision) = approval.decision.clone() {
            let subject = approval.subject;
            self.carry_out(approval_id, subject, decision, wait.as_ref());
        }
        Ok(())
    }

    pub(super) fn known(&self, approval_id: ApprovalId) -> Result<&Approval, Rejected> {
        let event = self.event;
        self.plan.approvals.get(&approval_id).ok_or(Rejected::UnknownApproval { approval_id, event })
    }

    /// The decision counts for later requests if people made it and it is of a kind that can.
    fn remember(&mut self, approval_id: ApprovalId) {
        let at = self.at;
        let Some(approval) = self.plan.approvals.get_mut(&approval_id) else { return };
        let Some(decision) = &approval.request.decision else { return };
        let route = &approval.request.route;
        let approved = decision.verdict == Decided::Approved && route.asks();
        let can = approved && approval.request.asked.can_remember() && route.risk != Risk::High;
        let wish = approval.wish.take().filter(|(_, spec)| can && spec.until > at);
        approval.remembered = wish.map(|(by, spec)| Remembered { by, spec, revoked: None });
    }

    fn refused(&self, approval_id: ApprovalId, rejected: ledger::Rejected) -> Rejected {
        let event = self.event;
        match rejected {
            ledger::Rejected::Decided(decision) => Rejected::NotPending { approval_id, decision },
            ledger::Rejected::DigestMismatch => Rejected::DigestMismatch { approval_id },
            ledger::Rejected::Expired { expires_at } => Rejected::Expired { approval_id, expires_at },
            ledger::Rejected::NoteRequired => Rejected::NoteRequired { approval_id },
            ledger::Rejected::CannotSendBack(asked) => Rejected::WrongVerdict { approval_id, subject: asked.word() },
            ledger::Rejected::NotEligible { by } => Rejected::NotEligible { approval_id, by },
            ledger::Rejected::NotYet { by, from } => Rejected::NotYet { approval_id, by, from },
            ledger::Rejected::SelfApproval { by } => Rejected::SelfApproval { approval_id, by },
            ledger::Rejected::HandedOn { by, to } => Rejected::HandedOn { approval_id, by, to },
            ledger::Rejected::AlreadyVoted { by } => Rejected::AlreadyVoted { approval_id, by },
            ledger::Rejected::BadDelegation(problem) => Rejected::BadDelegation { approval_id, problem },
            ledger::Rejected::NotDue | ledger::Rejected::Known => {
                let next =
                    self.plan.approvals.get(&approval_id).and_then(|approval| ledger::next_at(&approval.request));
                Rejected::NotDue { event, not_before: next }
            }
        }
    }

    fn carry_out(&mut self, approval_id: ApprovalId, subject: Subject, decision: Decision, wait: Option<&BudgetWait>) {
        match subject {
            Subject::Plan => self.carry_out_plan(approval_id, &decision),
            Subject::Handoff { task_id, .. } => self.carry_out_handoff(approval_id, task_id, decision),
            Subject::Question { task_id, .. } => self.carry_out_question(approval_id, task_id, &decision),
            Subject::Capability { task_id, .. } if self.plan.effects.contains_key(&approval_id) => {
                self.carry_out_effect(approval_id, task_id, &decision);
            }
            Subject::Capability { task_id, .. } => self.carry_out_capability(approval_id, task_id, &decision),
            Subject::Budget { .. } => {
                if let Some(wait) = wait {
                    self.carry_out_budget(wait, &decision);
                }
            }
            Subject::Patch { .. } => self.carry_out_patch(approval_id, &decision),
            Subject::Skill { task_id, .. } => self.carry_out_skill(approval_id, task_id, &decision),
            Subject::Apply => self.carry_out_apply(approval_id, &decision),
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
