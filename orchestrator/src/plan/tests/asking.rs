//! Questions of people to the agent whose work a request is about.

use super::{
    agents::{agent, clarifier},
    support::{World, approval, asking, nonce, policy, spec, task},
};
use crate::plan::{
    BudgetSpec, Command, Outcome, ProjectState, Rejected, TaskState,
    event::{Fact, TaskKind, TaskSpec, Verdict},
    pick,
};

impl World {
    /// Somebody asks about a request; clarifier `n` answers for task `of`.
    fn question(&mut self, request: u128, n: u128, of: u128) -> Result<Outcome, Rejected> {
        self.step(Fact::ApprovalQuestioned {
            approval_id: approval(request),
            by: "ann".to_owned(),
            channel: "slack".to_owned(),
            question: "why so?".to_owned(),
            clarifier: Box::new(TaskSpec { needs: vec![task(of)], ..clarifier(n) }),
        })
    }

    fn answer(&mut self, n: u128, text: &str) -> Outcome {
        let number = self.work(n, n);
        let (approval_id, commit) = (self.fresh(), "one".to_owned());
        let (answer, digest) = (Some(text.to_owned()), String::new());
        let (task_id, nonce, proven, vm_ms, route) = (task(n), nonce(n), false, 0, None);
        let fact =
            Fact::HandoffReceived { task_id, number, nonce, commit, proven, digest, approval_id, vm_ms, answer, route };
        self.step(fact).unwrap()
    }

    fn answers(&self, request: u128) -> Vec<Option<String>> {
        let questions = &self.plan.approval(approval(request)).unwrap().questions;
        questions.iter().map(|question| question.answer.clone()).collect()
    }
}

/// An agent's handoff waits as request 1001.
fn waiting() -> World {
    let mut world = World::new(vec![TaskSpec { policy: policy(true), ..agent(1, &[]) }, spec(2, &[1])]);
    world.finish(1, "one");
    assert_eq!(world.task(1).approval_id, Some(approval(1001)));
    world
}

fn problem(result: Result<Outcome, Rejected>) -> String {
    match result {
        Err(Rejected::CannotAsk { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_agent_answers_and_the_decision_stays_with_people() {
    let mut world = waiting();
    let outcome = world.question(1001, 50, 1).unwrap();
    assert!(outcome.commands.contains(&Command::Reshow { approval_id: approval(1001) }));
    assert_eq!((world.answers(1001), world.state(50)), (vec![None], TaskState::Ready));
    assert_eq!(world.task(50).base_commit.as_deref(), Some("one"), "as it stood when it handed on");
    assert!(problem(world.question(1001, 51, 1)).contains("waits for its answer"));
    let outcome = world.answer(50, "because it is blue");
    assert!(outcome.commands.contains(&Command::Reshow { approval_id: approval(1001) }));
    assert!(outcome.approvals.contains(&approval(1001)));
    assert_eq!(world.answers(1001), [Some("because it is blue".to_owned())]);
    assert_eq!((world.state(1), world.state(2)), (TaskState::InputRequired, TaskState::Blocked), "nothing is decided");
    world.decide(1, Verdict::Approved, "").unwrap();
    assert_eq!(world.state(2), TaskState::Ready);
    assert!(matches!(world.question(1001, 52, 1), Err(Rejected::NotPending { .. })));
    world.finish(2, "two");
    assert_eq!(world.plan.state(), ProjectState::Completed);
    assert_eq!(world.plan.result_commit(), Some("two"));
}

#[test]
fn a_decision_does_not_wait_for_the_answer() {
    for verdict in [Verdict::Approved, Verdict::ChangesRequested, Verdict::Rejected] {
        let mut world = waiting();
        world.question(1001, 50, 1).unwrap();
        world.work(50, 50);
        let outcome = world.decide(1, verdict, "blue").unwrap();
        assert_eq!(world.state(50), TaskState::Canceled);
        assert!(
            outcome
                .commands
                .iter()
                .any(|c| matches!(c, Command::CancelAttempt { task_id, .. } if *task_id == task(50)))
        );
        assert!(world.answers(1001)[0].as_ref().unwrap().contains("decided before"));
    }
    let mut world = waiting();
    world.question(1001, 50, 1).unwrap();
    world.cancel(Some(1)).unwrap();
    assert_eq!((world.state(50), world.plan.open_tasks()), (TaskState::Canceled, 0));
}

#[test]
fn that_there_is_no_answer_is_said_and_it_can_be_asked_again_but_not_for_ever() {
    let mut world = waiting();
    world.question(1001, 50, 1).unwrap();
    world.work(50, 50);
    world.fail(50, 1, 50, false).unwrap();
    assert_eq!(world.answers(1001), [Some("there is no answer: t50 is failed".to_owned())]);
    for n in 51..55 {
        world.question(1001, n, 1).unwrap();
        world.answer(n, " ");
        assert_eq!(world.answers(1001).last().unwrap().as_deref(), Some("there is no answer: it says nothing"));
    }
    assert!(problem(world.question(1001, 55, 1)).contains("5 questions were asked"));
}

#[test]
fn where_there_is_no_agent_nobody_can_be_asked() {
    let mut world = World::new(vec![asking(1, &[]), spec(2, &[1])]);
    world.finish(1, "one");
    assert!(problem(world.question(1001, 50, 1)).contains("no agent"));
    assert!(matches!(world.question(5, 50, 1), Err(Rejected::UnknownApproval { .. })));
    let mut plan = World::asked(vec![agent(1, &[])]);
    assert!(problem(plan.question(super::support::PLAN_APPROVAL, 50, 1)).contains("no agent"));
    let mut world = waiting();
    assert!(problem(world.question(1001, 50, 2)).contains("must need t1 alone"));
    assert!(problem(world.question(1001, 2, 1)).contains("cannot be added"));
}

#[test]
fn a_planner_answers_before_its_plan_is_approved_and_stays_when_another_takes_its_place() {
    let mut world = World::planned(true, BudgetSpec::default());
    world.finish(1, "plan");
    world.propose(Some(1), vec![spec(10, &[]), spec(11, &[10])], true).unwrap();
    let request = world.plan.pending_approvals().next().unwrap().approval_id;
    let number = request.as_uuid().as_u128();
    world.question(number, 50, 1).unwrap();
    assert_eq!(world.plan.state(), ProjectState::AwaitingApproval);
    assert_eq!(pick([&world.plan].into_iter(), 3, world.now).len(), 1, "only who answers is offered");
    world.answer(50, "two steps are enough");
    assert_eq!(world.answers(number), [Some("two steps are enough".to_owned())]);
    world.question(number, 51, 1).unwrap();
    world.work(51, 51);
    let outcome = world.propose(None, vec![spec(20, &[])], true).unwrap();
    assert_eq!(outcome.removed, [task(10), task(11)]);
    assert_eq!((world.state(50), world.state(51)), (TaskState::Unverified, TaskState::Canceled));
    assert!(outcome.touched.contains(&task(51)) && outcome.touched.contains(&task(20)));
    assert!(world.plan.tasks().iter().filter(|task| task.spec.kind == TaskKind::Clarifier).count() == 2);
    let request = world.plan.pending_approvals().next().unwrap().approval_id;
    let digest = world.plan.approval(request).unwrap().digest.clone();
    world.decide_as(request, &digest, Verdict::Approved, "").unwrap();
    world.finish(20, "done");
    assert_eq!((world.plan.state(), world.plan.result_commit()), (ProjectState::Completed, Some("done")));
}
