//! One step under way: the plan being changed, and what comes of it. Every change of a task goes through
//! [`Change::edit`], which keeps the plan's indexes true.

use std::collections::{HashSet, VecDeque};

use bus_schemas::{
    id::{ApprovalId, TaskId},
    time::UnixMs,
};

use super::{
    command::Command,
    event::PolicySpec,
    policy,
    rejected::Rejected,
    request::{Approval, Asking, Subject},
    state::{Plan, ProjectState},
    task::{Task, TaskState},
    timer::{self, Timer},
};
use crate::ledger;

/// What came of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What to do, in this order.
    pub commands: Vec<Command>,
    /// The tasks that changed (or are new), each once.
    pub touched: Vec<TaskId>,
    /// The project's own state, result or applies changed.
    pub project_changed: bool,
    /// The requests that are new, decided now, or changed otherwise (somebody agreed, asked, handed their say on, saw it), each
    /// once.
    pub approvals: Vec<ApprovalId>,
    /// Tasks that are gone: another plan took the place of theirs before it started. Not in `touched`.
    pub removed: Vec<TaskId>,
    /// What is used of the project's budget changed, or its limits.
    pub spent: bool,
}

impl Outcome {
    /// Nothing changed: the event was known already.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) struct Change<'a> {
    pub(super) plan: &'a mut Plan,
    pub(super) at: UnixMs,
    /// The event's kind, for rejections.
    pub(super) event: &'static str,
    commands: Vec<Command>,
    touched: Vec<usize>,
    seen: HashSet<usize>,
    announced: HashSet<usize>,
    project_changed: bool,
    project_announced: bool,
    approvals: Vec<ApprovalId>,
    pub(super) removed: Vec<TaskId>,
    spent: bool,
    ended: VecDeque<usize>,
    was_settled: bool,
}

impl<'a> Change<'a> {
    pub(super) fn new(plan: &'a mut Plan, at: UnixMs, event: &'static str) -> Self {
        let was_settled = plan.is_settled();
        Self {
            plan,
            at,
            event,
            commands: Vec::new(),
            touched: Vec::new(),
            seen: HashSet::new(),
            announced: HashSet::new(),
            project_changed: false,
            project_announced: false,
            approvals: Vec::new(),
            removed: Vec::new(),
            spent: false,
            ended: VecDeque::new(),
            was_settled,
        }
    }

    /// Closes the step: the feed commands come last.
    pub(super) fn finish(mut self) -> Outcome {
        let only_people = self.plan.outstanding == 0 && self.plan.ready.is_empty() && !self.plan.pending.is_empty();
        let runs = self.plan.state.is_active() && !only_people;
        self.plan.wall.run(runs, self.at);
        let plan = &*self.plan;
        self.project_changed |= plan.is_settled() != self.was_settled;
        let ids: Vec<(usize, TaskId)> =
            self.touched.iter().filter_map(|n| Some((*n, plan.tasks.get(*n)?.spec.task_id))).collect();
        for (number, task_id) in &ids {
            if self.announced.contains(number) {
                self.commands.push(Command::TaskChanged { task_id: *task_id });
            }
        }
        if self.project_announced {
            self.commands.push(Command::ProjectChanged);
        }
        Outcome {
            commands: self.commands,
            touched: ids.into_iter().map(|(_, task_id)| task_id).collect(),
            project_changed: self.project_changed,
            approvals: self.approvals,
            removed: self.removed,
            spent: self.spent,
        }
    }

    pub(super) fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// The number of a task that is not final.
    pub(super) fn open_task(&self, task_id: TaskId) -> Result<(usize, &Task), Rejected> {
        let event = self.event;
        let number = self.plan.numbers.get(&task_id).copied().ok_or(Rejected::UnknownTask { task_id, event })?;
        let task = self.plan.tasks.get(number).ok_or(Rejected::UnknownTask { task_id, event })?;
        if task.state.is_final() {
            return Err(Rejected::Final { task_id, state: task.state, event });
        }
        Ok((number, task))
    }

    pub(super) const fn wrong_state(&self, task: &Task) -> Rejected {
        Rejected::WrongState { task_id: task.spec.task_id, state: task.state, event: self.event }
    }

    pub(super) fn task(&self, number: usize) -> Option<&Task> {
        self.plan.tasks.get(number)
    }

    /// Names a task as changed (or new) without a change of its state.
    pub(super) fn touch(&mut self, number: usize) {
        if self.seen.insert(number) {
            self.touched.push(number);
        }
    }

    /// Changes a task and keeps ready set, timers and counters in step with it.
    pub(super) fn edit(&mut self, number: usize, change: impl FnOnce(&mut Task)) {
        let plan = &mut *self.plan;
        let Some(task) = plan.tasks.get_mut(number) else { return };
        let (state, attempt) = (task.state, task.attempt);
        for timer in timer::deadlines(number, task) {
            plan.timers.remove(&timer);
        }
        if state == TaskState::Ready {
            plan.ready.remove(&(task.ready_at, number));
        }
        plan.outstanding -= u32::from(task.is_outstanding());

        change(task);

        for timer in timer::deadlines(number, task) {
            plan.timers.insert(timer);
        }
        if task.state == TaskState::Ready {
            plan.ready.insert((task.ready_at, number));
        }
        plan.outstanding += u32::from(task.is_outstanding());
        if task.state != state {
            task.changed_at = self.at;
            if task.state.is_final() {
                task.ended_at = Some(self.at);
                plan.open -= 1;
                self.ended.push_back(number);
            }
        }
        if task.state != state || task.attempt != attempt {
            self.announced.insert(number);
        }
        self.touch(number);
    }

    /// Ends a task that has nothing to hand on. A request about it is closed, an attempt at it withdrawn.
    pub(super) fn end(&mut self, number: usize, state: TaskState, reason: &str) {
        let Some(task) = self.task(number) else { return };
        let (task_id, attempt, approval_id) = (task.spec.task_id, task.attempt, task.approval_id);
        if task.is_outstanding() {
            let reason = reason.to_owned();
            self.attempt_over(number, None);
            self.command(Command::CancelAttempt { task_id, number: attempt, reason });
        }
        if let Some(approval_id) = approval_id.filter(|approval_id| self.leave_budget(number, *approval_id)) {
            self.close(approval_id, reason);
        }
        self.edit(number, |task| {
            task.state = state;
            reason.clone_into(&mut task.reason);
            task.approval_id = None;
            task.asked = None;
        });
    }

    /// Ends a task whose successors can go on.
    pub(super) fn complete(&mut self, number: usize, proven: bool, commit: String) {
        self.edit(number, |task| {
            task.state = if proven { TaskState::Completed } else { TaskState::Unverified };
            task.reason.clear();
            task.commit = Some(commit);
            task.approval_id = None;
            task.asked = None;
        });
    }

    pub(super) fn set_project(&mut self, state: ProjectState, reason: String) {
        self.plan.state = state;
        self.plan.reason = reason;
        self.plan.changed_at = self.at;
        self.project_changed = true;
        self.project_announced = true;
    }

    /// What is used of the project's budget changed, or its limits.
    pub(super) const fn spent(&mut self) {
        self.spent = true;
    }

    /// An id that no request has yet.
    pub(super) fn fresh(&self, approval_id: ApprovalId) -> Result<(), Rejected> {
        let known = self.plan.approvals.contains_key(&approval_id);
        if known { Err(Rejected::DuplicateApproval { approval_id }) } else { Ok(()) }
    }

    /// The project changed, its state did not.
    pub(super) const fn touch_project(&mut self) {
        self.project_changed = true;
        self.project_announced = true;
    }

    /// Records a request; where nobody has to be asked it is approved at once, and nobody is told.
    /// Returns whether people are asked.
    pub(super) fn request(&mut self, asking: &Asking<'_>, subject: Subject, fallback: &PolicySpec) -> bool {
        let approval_id = asking.approval_id;
        let route = asking.route.cloned().unwrap_or_else(|| policy::route(fallback));
        let (request, commands) =
            ledger::ask(approval_id, subject.asked(), asking.digest.to_owned(), route, self.at);
        let asks = request.decision.is_none();
        if asks {
            self.plan.pending.insert(approval_id);
        }
        self.plan.timers.extend(ledger::next_at(&request).map(|at| (at, Timer::Approval(approval_id))));
        self.plan.approvals.insert(approval_id, Approval::new(subject, request));
        self.named(approval_id);
        self.tell_of(approval_id, &commands);
        asks
    }

    /// Takes something into a request and keeps timers and indexes in step with it.
    pub(super) fn move_request(
        &mut self,
        approval_id: ApprovalId,
        fact: ledger::Fact<'_>,
    ) -> Result<(), ledger::Rejected> {
        let Some(approval) = self.plan.approvals.get_mut(&approval_id) else { return Err(ledger::Rejected::NotDue) };
        let before = ledger::next_at(&approval.request);
        let commands = ledger::step(&mut approval.request, ledger::Event { at: self.at, fact })?;
        let after = ledger::next_at(&approval.request);
        let decided = approval.request.decision.is_some();
        if let Some(at) = before {
            self.plan.timers.remove(&(at, Timer::Approval(approval_id)));
        }
        self.plan.timers.extend(after.map(|at| (at, Timer::Approval(approval_id))));
        self.named(approval_id);
        self.tell_of(approval_id, &commands);
        if decided && self.plan.pending.remove(&approval_id) {
            self.close_question(approval_id);
            if let Some(wait) = self.plan.budget_waits.remove(&approval_id) {
                self.plan.budgets_asked.remove(&(wait.owner, wait.resource));
            }
        }
        Ok(())
    }

    /// Names a request as changed.
    pub(super) fn named(&mut self, approval_id: ApprovalId) {
        if !self.approvals.contains(&approval_id) {
            self.approvals.push(approval_id);
        }
    }

    fn tell_of(&mut self, approval_id: ApprovalId, commands: &[ledger::Command]) {
        for command in commands {
            self.command(match command {
                ledger::Command::Ask => Command::Ask { approval_id },
                ledger::Command::Decided => Command::Tell { approval_id },
                ledger::Command::Changed => Command::Reshow { approval_id },
                ledger::Command::Remind => Command::Remind { approval_id },
                ledger::Command::Widened => Command::Widen { approval_id },
            });
        }
    }

    /// Whoever answered for a request that is decided now need not answer any more.
    fn close_question(&mut self, approval_id: ApprovalId) {
        let approval = self.plan.approvals.get_mut(&approval_id);
        let last = approval.and_then(|approval| approval.questions.last_mut());
        let Some(open) = last.filter(|question| question.answer.is_none()) else { return };
        open.answer = Some("there is no answer: the request was decided before".to_owned());
        let clarifier = self.plan.numbers.get(&open.clarifier).copied();
        if let Some(number) = clarifier.filter(|number| self.task(*number).is_some_and(|task| !task.state.is_final())) {
            self.end(number, TaskState::Canceled, "the request it was asked about is decided");
        }
    }

    /// Closes a request because what it is about was stopped.
    pub(super) fn close(&mut self, approval_id: ApprovalId, reason: &str) {
        self.shut(approval_id, "cancel", reason);
    }

    /// Closes a request because something else took the place of what it is about.
    pub(super) fn void(&mut self, approval_id: ApprovalId, reason: &str) {
        self.shut(approval_id, "void", reason);
    }

    fn shut(&mut self, approval_id: ApprovalId, channel: &str, reason: &str) {
        if !self.plan.pending.contains(&approval_id) {
            return;
        }
        self.void_patch(approval_id, reason);
        // It is pending, so closing it is taken.
        drop(self.move_request(approval_id, ledger::Fact::Closed { channel, reason }));
    }

    /// Tasks have other numbers now: `kept` lists the former ones in their new order.
    pub(super) fn renumber(&mut self, kept: &[usize]) {
        let now = |before: &usize| kept.iter().position(|number| number == before);
        self.touched = self.touched.iter().filter_map(now).collect();
        self.seen = self.seen.iter().filter_map(now).collect();
        self.announced = self.announced.iter().filter_map(now).collect();
    }

    /// The next task that ended in this step and whose end has not been told to those that wait for it.
    pub(super) fn next_ended(&mut self) -> Option<usize> {
        self.ended.pop_front()
    }
}
