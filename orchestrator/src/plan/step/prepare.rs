//! From blocked to ready: what a task starts from, `when`, `foreach`; and what the end of one task means for others.

use std::collections::HashSet;

use bus_schemas::id::TaskId;

use crate::plan::{
    budget::Ledger,
    change::Change,
    command::Command,
    event::{CommitId, TaskSpec},
    rejected::Rejected,
    state::ProjectState,
    task::{Asked, Task, TaskState},
};

impl Change<'_> {
    /// There is no plan yet: its planner starts.
    pub(in crate::plan) fn plan(&mut self) {
        self.begin(ProjectState::Planning);
    }

    /// The plan is approved: every task that waits for nothing goes on.
    pub(in crate::plan) fn start(&mut self) {
        self.begin(ProjectState::Working);
    }

    fn begin(&mut self, state: ProjectState) {
        self.set_project(state, String::new());
        for number in 0..self.plan.tasks.len() {
            self.unblock(number);
        }
        self.settle();
    }

    /// Tells those that wait for them about the tasks that ended in this step, and so on until nothing more ends.
    pub(in crate::plan) fn settle(&mut self) {
        while let Some(ended) = self.next_ended() {
            for successor in self.plan.graph.successors(ended) {
                self.need_ended(successor, ended);
            }
            let Some(task) = self.task(ended) else { continue };
            let (parent, clarifier) = (task.parent, task.clarifier);
            if let Some(parent) = parent {
                self.child_ended(parent);
            }
            // Nobody waits for its answer any more.
            if let Some(clarifier) = clarifier {
                self.end_open(clarifier, TaskState::Canceled, "the task that asked is over");
            }
            self.clarified(ended);
        }
        self.conclude();
    }

    fn need_ended(&mut self, number: usize, need: usize) {
        let Some(task) = self.plan.tasks.get_mut(number) else { return };
        // Children of a `foreach` start after what they need has ended, and count nothing.
        task.waiting_for = task.waiting_for.saturating_sub(1);
        if task.state != TaskState::Blocked {
            return;
        }
        let Some(need) = self.task(need) else { return };
        if need.ended_badly() {
            let reason = match need.state {
                TaskState::Skipped => need.reason.clone(),
                state => format!("needs {}, which is {state}", need.spec.key),
            };
            self.end(number, TaskState::Skipped, &reason);
        } else {
            self.unblock(number);
        }
    }

    /// Lets a task go on if the project works and nothing holds it: ready at once, or after its preparation.
    pub(super) fn unblock(&mut self, number: usize) {
        let Some(task) = self.task(number) else { return };
        let waits = task.waiting_for > 0 || task.asked.is_some() || task.clarifier.is_some();
        if !self.plan.state.is_active() || task.state != TaskState::Blocked || waits {
            return;
        }
        let needs = self.plan.graph.needs(number);
        let parents = distinct(needs.iter().filter_map(|need| self.task(*need)), &self.plan.base_commit);
        let (task_id, evaluate_when, expand) = (task.spec.task_id, task.spec.has_when, task.spec.is_foreach);
        match parents.as_slice() {
            [base_commit] if !evaluate_when && !expand => self.make_ready(number, base_commit.clone()),
            _ => {
                self.command(Command::Prepare { task_id, parents, evaluate_when, expand });
                self.edit(number, |task| task.asked = Some(Asked::Prepare));
            }
        }
    }

    pub(super) fn make_ready(&mut self, number: usize, base_commit: CommitId) {
        let at = self.at;
        self.edit(number, |task| {
            task.asked = None;
            task.base_commit = Some(base_commit);
            task.state = TaskState::Ready;
            task.ready_at = at;
        });
    }

    /// A task whose preparation was asked for.
    fn preparing(&self, task_id: TaskId) -> Result<(usize, &Task), Rejected> {
        let (number, task) = self.open_task(task_id)?;
        if task.asked == Some(Asked::Prepare) { Ok((number, task)) } else { Err(self.wrong_state(task)) }
    }

    pub(super) fn task_prepared(&mut self, task_id: TaskId, base: &str, when: bool) -> Result<(), Rejected> {
        let (number, task) = self.preparing(task_id)?;
        if when && task.spec.is_foreach {
            return Err(self.wrong_state(task));
        }
        if when {
            self.make_ready(number, base.to_owned());
        } else {
            self.edit(number, |task| task.when_was_false = true);
            self.end(number, TaskState::Skipped, "its `when` was false");
        }
        self.settle();
        Ok(())
    }

    pub(super) fn task_expanded(&mut self, task_id: TaskId, base: &str, specs: &[TaskSpec]) -> Result<(), Rejected> {
        let (number, task) = self.preparing(task_id)?;
        if !task.spec.is_foreach {
            return Err(self.wrong_state(task));
        }
        self.check_children(task_id, specs)?;
        let notes = task.notes.clone();
        let first = self.plan.tasks.len();
        for spec in specs {
            self.add_task(spec, base, |task| {
                task.parent = Some(number);
                // It uses its parent's budget and has none of its own.
                task.ledger = Ledger::default();
                task.notes.clone_from(&notes);
            });
        }
        let added = self.plan.tasks.len() - first;
        self.edit(number, |task| {
            task.asked = None;
            task.state = TaskState::Working;
            task.base_commit = Some(base.to_owned());
            task.children = (first..first + added).collect();
            task.open_children = added;
        });
        for child in first..first + added {
            self.start_child(child, base);
        }
        if added == 0 {
            self.complete(number, true, base.to_owned());
        }
        self.settle();
        Ok(())
    }

    fn check_children(&self, task_id: TaskId, specs: &[TaskSpec]) -> Result<(), Rejected> {
        let bad = |problem: String| Err(Rejected::BadChildren { task_id, problem });
        let mut ids = HashSet::new();
        for spec in specs {
            if self.plan.numbers.contains_key(&spec.task_id) || !ids.insert(spec.task_id) {
                return bad(format!("{} is there already", spec.key));
            }
            if spec.is_foreach {
                return bad(format!("{} is a foreach itself", spec.key));
            }
            let ended = |need: &TaskId| self.plan.task(*need).is_some_and(Task::ended_well);
            if let Some(need) = spec.needs.iter().find(|need| !ended(need)) {
                return bad(format!("{} needs {need}, which is not done", spec.key));
            }
        }
        Ok(())
    }

    /// Adds a task while the project works; what it needs is done: it waits for nothing.
    pub(super) fn add_task(&mut self, spec: &TaskSpec, base: &str, change: impl FnOnce(&mut Task)) -> usize {
        let plan = &mut *self.plan;
        let needs: Vec<usize> = spec.needs.iter().filter_map(|need| plan.numbers.get(need).copied()).collect();
        let number = plan.graph.add_task(&needs);
        plan.numbers.insert(spec.task_id, number);
        let mut task = Task::new(spec.clone(), 0, self.at);
        task.base_commit = Some(base.to_owned());
        change(&mut task);
        plan.tasks.push(task);
        plan.open += 1;
        self.touch(number);
        number
    }

    fn start_child(&mut self, number: usize, base: &str) {
        let Some(task) = self.task(number) else { return };
        if task.spec.has_when {
            let (task_id, parents) = (task.spec.task_id, vec![base.to_owned()]);
            self.command(Command::Prepare { task_id, parents, evaluate_when: true, expand: false });
            self.edit(number, |task| task.asked = Some(Asked::Prepare));
        } else {
            self.make_ready(number, base.to_owned());
        }
    }

    fn child_ended(&mut self, parent: usize) {
        let Some(task) = self.plan.tasks.get_mut(parent) else { return };
        task.open_children = task.open_children.saturating_sub(1);
        if task.open_children > 0 || task.state != TaskState::Working {
            return;
        }
        let Some(task) = self.task(parent) else { return };
        let base = task.base_commit.clone().unwrap_or_default();
        let children = || task.children.iter().filter_map(|child| self.task(*child));
        if let Some(bad) = children().find(|child| child.ended_badly()) {
            let reason = format!("{} is {}", bad.spec.key, bad.state);
            self.end(parent, TaskState::Failed, &reason);
            return;
        }
        let parents = distinct(children(), &base);
        let (task_id, proven) = (task.spec.task_id, all_proven(children()));
        match parents.as_slice() {
            [commit] => self.complete(parent, proven, commit.clone()),
            _ => {
                self.command(Command::MergeChildren { task_id, parents });
                self.edit(parent, |task| task.asked = Some(Asked::Merge));
            }
        }
    }

    pub(super) fn children_merged(&mut self, task_id: TaskId, commit: &str) -> Result<(), Rejected> {
        let (number, task) = self.open_task(task_id)?;
        if task.asked != Some(Asked::Merge) {
            return Err(self.wrong_state(task));
        }
        let proven = all_proven(task.children.iter().filter_map(|child| self.task(*child)));
        self.complete(number, proven, commit.to_owned());
        self.settle();
        Ok(())
    }

    pub(super) fn prepare_failed(&mut self, task_id: TaskId, reason: &str) -> Result<(), Rejected> {
        let (number, task) = self.open_task(task_id)?;
        if task.asked.is_none() {
            return Err(self.wrong_state(task));
        }
        self.end(number, TaskState::Failed, reason);
        self.settle();
        Ok(())
    }
}

fn all_proven<'a>(mut tasks: impl Iterator<Item = &'a Task>) -> bool {
    !tasks.any(|task| task.state == TaskState::Unverified)
}

/// The commits these tasks hand on, each once, in order. `base`, which every commit builds on, stands only if there is
/// no other: so there is always at least one.
pub(super) fn distinct<'a>(tasks: impl Iterator<Item = &'a Task>, base: &str) -> Vec<CommitId> {
    let mut seen = HashSet::new();
    let commits = tasks.filter_map(|task| task.commit.as_deref());
    let mut distinct: Vec<CommitId> =
        commits.filter(|commit| *commit != base && seen.insert(*commit)).map(str::to_owned).collect();
    if distinct.is_empty() {
        distinct.push(base.to_owned());
    }
    distinct
}
