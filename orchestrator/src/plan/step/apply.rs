//! The end of a project: its result, and the writing of it into the folder.

use bus_schemas::id::ApprovalId;

use super::{limit::person, prepare::distinct};
use crate::{
    ledger::{Decided, Decision},
    plan::{
        change::Change,
        command::Command,
        event::{CommitId, PolicySpec},
        policy::{self, NOTE_BYTES},
        rejected::Rejected,
        request::{Approval, Asking, Subject},
        state::{Apply, ProjectState},
        task::{Task, TaskState},
    },
};

impl Change<'_> {
    /// Ends the project once every task is final.
    pub(super) fn conclude(&mut self) {
        if matches!(self.plan.state, ProjectState::Planning | ProjectState::AwaitingApproval) {
            return self.conclude_planning();
        }
        if self.plan.open > 0 || self.plan.state != ProjectState::Working || self.plan.merging_result {
            return;
        }
        if let Some(reason) = self.what_went_wrong() {
            if let Some(approval_id) = self.pending_patch() {
                self.close(approval_id, &reason);
            }
            self.set_project(ProjectState::Failed, reason);
            return;
        }
        if self.pending_patch().is_some() {
            return;
        }
        let last = (0..self.plan.tasks.len()).filter(|number| !self.is_helper(*number) && !self.is_consumed(*number));
        let parents = distinct(last.filter_map(|number| self.task(number)), &self.plan.base_commit);
        match parents.as_slice() {
            [commit] => self.complete_project(commit.clone()),
            _ => {
                self.plan.merging_result = true;
                self.touch_project();
                self.command(Command::MergeResult { parents });
            }
        }
    }

    /// Names the first task that ended badly by itself (not only skipped for another), and how many there are.
    fn what_went_wrong(&self) -> Option<String> {
        let by_itself =
            |task: &&Task| task.ended_badly() && task.state != TaskState::Skipped && !task.spec.kind.is_helper();
        let mut bad = self.plan.tasks.iter().filter(by_itself);
        let first = bad.next()?;
        let more = bad.count();
        let tail = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        Some(format!("task {} is {}{tail}", first.spec.key, first.state))
    }

    /// What it hands on is for another task, not for the result.
    fn is_helper(&self, number: usize) -> bool {
        self.task(number).is_some_and(|task| task.spec.kind.is_helper())
    }

    /// What the task handed on is in what a later task handed on.
    fn is_consumed(&self, number: usize) -> bool {
        let done = |number: usize| self.task(number).is_some_and(|task| task.state.is_done());
        let parent = self.task(number).and_then(|task| task.parent);
        let goes_on = |next: usize| done(next) && !self.is_helper(next);
        parent.is_some_and(done) || self.plan.graph.successors(number).into_iter().any(goes_on)
    }

    fn complete_project(&mut self, commit: CommitId) {
        self.plan.merging_result = false;
        let offers = self.plan.offers_result && commit != self.plan.base_commit;
        self.plan.result_commit = Some(commit);
        self.set_project(ProjectState::Completed, String::new());
        if offers {
            self.plan.offering_result = true;
            self.command(Command::OfferResult);
        }
    }

    /// People are asked whether the result is put into the folder, unless the policy asks nobody.
    pub(super) fn apply_offered(&mut self, asking: &Asking<'_>) -> Result<(), Rejected> {
        if !self.plan.offering_result {
            return Err(self.wrong_apply("the result is offered or applied already, or there is none"));
        }
        self.fresh(asking.approval_id)?;
        self.plan.offering_result = false;
        let fallback = person(&PolicySpec { name: String::new(), asks: false, deadline_ms: None });
        if !self.request(asking, Subject::Apply, &fallback) {
            self.command(Command::ApplyResult { approval_id: asking.approval_id });
        }
        self.touch_project();
        Ok(())
    }

    /// The executor puts in what is stored under the digest; where it is refused, nothing is written.
    pub(super) fn carry_out_apply(&mut self, approval_id: ApprovalId, decision: &Decision) {
        let Decision { verdict, by, note, .. } = decision;
        match verdict {
            Decided::Approved => self.command(Command::ApplyResult { approval_id }),
            Decided::Expired => self.not_applied(note),
            Decided::Rejected | Decided::ChangesRequested => self.not_applied(&format!("{by}: {note}")),
        }
    }

    fn not_applied(&mut self, why: &str) {
        let reason = format!("the result is not put into the folder: {why}");
        self.plan.reason = policy::bounded(&reason, NOTE_BYTES);
        self.touch_project();
    }

    /// The result could not be offered or, though approved, not be put into the folder. Who wants it
    /// there says so again: with an approval it is applied, without one it is offered once more.
    pub(super) fn apply_refused(&mut self, detail: &str) -> Result<(), Rejected> {
        let asked = self.plan.offering_result || self.result_is_approved();
        if !asked || self.plan.standing_apply().is_some() {
            return Err(self.wrong_apply("nobody asked for the result to be put into the folder, or it is"));
        }
        self.plan.offering_result = false;
        self.not_applied(detail);
        Ok(())
    }

    /// Somebody wants a result in the folder that people approve and that could not be offered to them: once more.
    pub(super) fn apply_wanted(&mut self) -> Result<(), Rejected> {
        if self.plan.state != ProjectState::Completed || !self.is_guarded() {
            return Err(self.wrong_apply("nobody has to approve it"));
        }
        let was_offered = self.plan.approvals.values().any(|approval| approval.subject == Subject::Apply);
        if was_offered || self.plan.offering_result {
            return Err(self.wrong_apply("the result is offered already"));
        }
        self.plan.offering_result = true;
        self.touch_project();
        self.command(Command::OfferResult);
        Ok(())
    }

    /// The result comes into the folder only if those approved it whom the policy names.
    fn is_guarded(&self) -> bool {
        let result = self.plan.result_commit.as_ref();
        self.plan.offers_result && result.is_some_and(|commit| *commit != self.plan.base_commit)
    }

    fn result_is_approved(&self) -> bool {
        let about_result = |approval: &&Approval| approval.subject == Subject::Apply;
        let decisions = self.plan.approvals.values().filter(about_result).filter_map(|about| about.decision.as_ref());
        decisions.into_iter().any(|decision| decision.verdict == Decided::Approved)
    }

    pub(super) fn result_merged(&mut self, commit: &str) -> Result<(), Rejected> {
        self.merging()?;
        self.complete_project(commit.to_owned());
        Ok(())
    }

    pub(super) fn result_merge_failed(&mut self, reason: &str) -> Result<(), Rejected> {
        self.merging()?;
        self.plan.merging_result = false;
        self.set_project(ProjectState::Failed, reason.to_owned());
        Ok(())
    }

    const fn merging(&self) -> Result<(), Rejected> {
        if self.plan.merging_result {
            Ok(())
        } else {
            Err(Rejected::WrongProjectState { state: self.plan.state, event: self.event })
        }
    }

    pub(super) fn apply_started(&mut self, by: &str, before: &str, after: &str) -> Result<(), Rejected> {
        if self.plan.state != ProjectState::Completed {
            return Err(Rejected::WrongProjectState { state: self.plan.state, event: self.event });
        }
        if self.plan.standing_apply().is_some() {
            return Err(self.wrong_apply("the result is applied already"));
        }
        if self.is_guarded() && !self.result_is_approved() {
            return Err(self.wrong_apply("those who approve it have not"));
        }
        self.plan.reason.clear();
        self.plan.applies.push(Apply {
            by: by.to_owned(),
            before_commit: before.to_owned(),
            after_commit: after.to_owned(),
            started_at: self.at,
            finished_at: None,
            stalled: None,
            stopped: None,
            undone: None,
        });
        self.touch_project();
        self.command(Command::WriteFolder { before_commit: before.to_owned(), after_commit: after.to_owned() });
        Ok(())
    }

    pub(super) fn apply_finished(&mut self) -> Result<(), Rejected> {
        let at = self.at;
        let apply = self.unfinished_apply()?;
        apply.finished_at = Some(at);
        apply.stalled = None;
        self.touch_project();
        Ok(())
    }

    /// Nothing was written: the result can be applied again as if it had never been tried.
    pub(super) fn apply_stopped(&mut self, detail: &str) -> Result<(), Rejected> {
        let at = self.at;
        let problem = "some of it may be written already";
        if self.unfinished_apply()?.stalled.is_some() {
            return Err(self.wrong_apply(problem));
        }
        self.unfinished_apply()?.stopped = Some((at, detail.to_owned()));
        self.touch_project();
        Ok(())
    }

    pub(super) fn apply_stalled(&mut self, detail: &str) -> Result<(), Rejected> {
        self.unfinished_apply()?.stalled = Some(detail.to_owned());
        self.touch_project();
        Ok(())
    }

    pub(super) fn apply_resumed(&mut self) -> Result<(), Rejected> {
        let apply = self.unfinished_apply()?;
        if apply.stalled.take().is_none() {
            return Err(self.wrong_apply("it is being written"));
        }
        let (before_commit, after_commit) = (apply.before_commit.clone(), apply.after_commit.clone());
        self.touch_project();
        self.command(Command::WriteFolder { before_commit, after_commit });
        Ok(())
    }

    /// An unfinished apply can be taken back, too: otherwise what blocks it would block everything.
    pub(super) fn apply_undone(&mut self, by: &str) -> Result<(), Rejected> {
        let at = self.at;
        match self.plan.applies.last_mut().filter(|apply| apply.stands()) {
            Some(apply) => apply.undone = Some((at, by.to_owned())),
            None => return Err(self.wrong_apply("no apply to undo")),
        }
        self.touch_project();
        Ok(())
    }

    fn unfinished_apply(&mut self) -> Result<&mut Apply, Rejected> {
        let missing = self.wrong_apply("no apply is under way");
        let last = self.plan.applies.last_mut();
        last.filter(|apply| apply.stands() && apply.finished_at.is_none()).ok_or(missing)
    }

    const fn wrong_apply(&self, problem: &'static str) -> Rejected {
        Rejected::WrongApply { event: self.event, problem }
    }
}
