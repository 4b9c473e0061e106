//! What people do in the model world: they agree, refuse, ask, hand their say on, and apply results by hand.

use bus_schemas::id::{ApprovalId, TaskId};

use super::{
    agents::clarifier,
    model::Model,
    support::{approval, leads},
};
use crate::{
    ledger::{AtDeadline, Route, Ruling, Who},
    plan::{
        Subject,
        event::{Fact, RememberScope, RememberSpec, TaskSpec, Verdict},
    },
};

const PEOPLE: [&str; 4] = ["ann", "bob", "carl", "dan"];

impl Model {
    /// How a request is decided: by several people, with reminders and somebody who may decide later; or as the policy says.
    pub(super) fn route(&mut self) -> Option<Box<Route>> {
        let serial = self.serial();
        let later = Who::After { wait_ms: 2_000, who: Box::new(Who::Person("dan".to_owned())) };
        let who = match serial % 4 {
            0 => leads(2),
            1 => Who::AnyOf(vec![leads(3), later]),
            2 => Who::AllOf(vec![leads(1), Who::Anyone]),
            _ => return None,
        };
        let to = Who::Person("dan".to_owned());
        Some(Box::new(Route {
            ruling: Ruling::Ask(who),
            deadline_ms: serial.is_multiple_of(3).then_some(20_000),
            reminder_ms: serial.is_multiple_of(5).then_some(3_000),
            at_deadline: if serial.is_multiple_of(2) {
                AtDeadline::Escalate { to, for_ms: 5_000 }
            } else {
                AtDeadline::Reject
            },
            ..Route::anyone("careful")
        }))
    }

    /// The same for a handoff; a task whose policy asks nobody has none.
    pub(super) fn route_of(&mut self, task_id: TaskId) -> Option<Box<Route>> {
        let asks = self.plan.task(task_id).is_some_and(|task| task.spec.policy.asks);
        if asks { self.route() } else { None }
    }

    fn any_pending(&self, which: usize) -> Option<(ApprovalId, Subject, String)> {
        let mut pending = self.plan.pending_approvals().map(|one| (one.approval_id, one.subject, one.digest.clone()));
        pending.nth(which % self.plan.pending_approvals().count().max(1))
    }

    /// Somebody who can approve it and has not yet.
    fn approver(&self, approval_id: ApprovalId) -> Option<&'static str> {
        let request = &self.plan.approval(approval_id)?.request;
        let eligible = request.eligible(self.now);
        let voted = |person: &str| request.votes.iter().any(|vote| vote.by == person);
        let handed_on = |person: &str| request.delegations.iter().any(|one| one.from == person);
        let mut open = PEOPLE.into_iter().filter(|person| !voted(person) && !handed_on(person));
        open.find(|person| eligible.as_ref().is_none_or(|eligible| eligible.contains(*person)))
    }

    /// Approves a request that somebody can approve now; false if there is none.
    pub(super) fn agree(&mut self) -> bool {
        let places = 0..self.plan.pending_approvals().count();
        let able = |place: &usize| {
            let pending = self.plan.pending_approvals().nth(*place);
            pending.is_some_and(|one| self.approver(one.approval_id).is_some())
        };
        let Some(place) = places.into_iter().find(able) else { return false };
        self.decide(place, 1);
        true
    }

    /// Those who could have approved a request handed their say to people who said yes for others: somebody ends it.
    pub(super) fn refuse(&mut self) -> bool {
        let Some((approval_id, _, digest)) = self.any_pending(0) else { return false };
        for by in PEOPLE {
            let (verdict, channel, note) = (Verdict::Rejected, "cli".to_owned(), "stuck".to_owned());
            let (by, digest) = (by.to_owned(), digest.clone());
            self.say(Fact::ApprovalDecided { approval_id, verdict, digest, by, channel, note, remember: None });
        }
        assert!(self.plan.approval(approval_id).unwrap().decision.is_some(), "nobody can end it");
        true
    }

    pub(super) fn decide(&mut self, which: usize, how: usize) {
        let Some((approval_id, subject, digest)) = self.any_pending(which) else { return };
        let verdict = match (how, subject) {
            (0, _) if !matches!(subject, Subject::Plan) || self.plan.planner().is_some() => Verdict::ChangesRequested,
            (2, subject) if subject != Subject::Plan => Verdict::Rejected,
            _ => Verdict::Approved,
        };
        let digest = if how == 3 { "another".to_owned() } else { digest };
        let approver = self.approver(approval_id).filter(|_| how != 5);
        let by = approver.unwrap_or(PEOPLE[which % 4]).to_owned();
        let (channel, note) = ("cli".to_owned(), "because".to_owned());
        let until = self.now.plus_ms(9_000);
        let remember = (how == 4).then_some(RememberSpec { scope: RememberScope::Folder, until });
        self.say(Fact::ApprovalDecided { approval_id, verdict, digest, by, channel, note, remember });
        if which.is_multiple_of(5) {
            let (by, channel) = ("eve".to_owned(), "cli".to_owned());
            self.say(Fact::RememberedRevoked { approval_id, by, channel });
        }
    }

    /// Somebody asks the agent about its handoff or its plan, in vain or not.
    pub(super) fn question(&mut self, which: usize) {
        let Some((approval_id, subject, _)) = self.any_pending(which) else { return };
        let about = match subject {
            Subject::Plan => self.plan.planner().map(|planner| planner.spec.task_id),
            subject => subject.attempt().map(|(task_id, _)| task_id),
        };
        let serial = self.serial();
        let clarifier = Box::new(TaskSpec { needs: about.into_iter().collect(), ..clarifier(serial) });
        let (by, channel, question) = ("ann".to_owned(), "slack".to_owned(), "why so?".to_owned());
        self.say(Fact::ApprovalQuestioned { approval_id, by, channel, question, clarifier });
    }

    pub(super) fn delegate(&mut self, which: usize) {
        let Some((approval_id, _, _)) = self.any_pending(which) else { return };
        let (by, to) = (PEOPLE[which % 4].to_owned(), PEOPLE[which / 4 % 4].to_owned());
        self.say(Fact::ApprovalDelegated { approval_id, by, to, channel: "cli".to_owned() });
    }

    pub(super) fn view(&mut self, which: usize) {
        let Some((approval_id, _, _)) = self.any_pending(which) else { return };
        let (by, channel) = (PEOPLE[which % 4].to_owned(), "email".to_owned());
        self.say(Fact::ApprovalViewed { approval_id, by, channel });
    }

    pub(super) fn offer_result(&mut self, answer: usize) {
        if answer == 0 {
            return self.say(Fact::ApplyRefused { detail: "no folder".to_owned() });
        }
        let approval_id = approval(self.serial());
        let route = self.route().unwrap_or_else(|| Box::new(Route::auto("auto")));
        self.say(Fact::ApplyOffered { approval_id, digest: "result".to_owned(), route });
    }

    pub(super) fn apply(&mut self, answer: usize) {
        if answer == 0 {
            return self.say(Fact::ApplyRefused { detail: "a file is in the way".to_owned() });
        }
        self.apply_by_hand(0);
    }

    pub(super) fn apply_by_hand(&mut self, which: usize) {
        let (by, before_commit, after_commit) = ("ann".to_owned(), "before".to_owned(), "after".to_owned());
        if which.is_multiple_of(3) {
            self.say(Fact::ApplyStarted { by, channel: String::new(), before_commit, after_commit });
        } else if which.is_multiple_of(2) {
            self.say(Fact::ApplyUndone { by, channel: String::new() });
        }
    }
}
