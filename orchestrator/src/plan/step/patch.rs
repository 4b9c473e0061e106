//! Changes of a running plan, and skills: what agents propose and others decide.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bus_schemas::id::{ApprovalId, ClaimNonce, TaskId};

use super::limit::person;
use crate::{
    ledger::{Decided, Decision},
    plan::{
        change::Change,
        command::Command,
        event::{PatchSpec, PolicySpec, TaskSpec},
        graph::TaskGraph,
        policy::{self, NOTE_BYTES},
        rejected::Rejected,
        request::{Asking, Subject},
        state::{Patch, PatchState, ProjectState},
        task::{Note, Task, TaskState},
    },
};

/// Something an agent proposes.
pub(super) struct Offering<'a> {
    pub(super) number: u32,
    pub(super) nonce: ClaimNonce,
    pub(super) asking: Asking<'a>,
}

/// A patch that fits: the plan as it will be.
struct Fitting {
    graph: TaskGraph,
    dropped: BTreeSet<usize>,
    rewired: BTreeMap<usize, Vec<TaskId>>,
}

impl Change<'_> {
    pub(super) fn patch_proposed(
        &mut self,
        task_id: TaskId,
        spec: &PatchSpec,
        offering: &Offering<'_>,
    ) -> Result<(), Rejected> {
        let approval_id = offering.asking.approval_id;
        let (number, _) = self.fenced(task_id, offering.number, offering.nonce)?;
        self.fresh(approval_id)?;
        if self.plan.state != ProjectState::Working {
            return Err(Rejected::WrongProjectState { state: self.plan.state, event: self.event });
        }
        if let Some(approval_id) = self.pending_patch() {
            return Err(Rejected::PatchPending { approval_id });
        }
        self.fit(spec).map_err(|problem| Rejected::BadPatch { problem })?;
        self.heard(number, offering.nonce);
        self.plan.patches.insert(approval_id, Patch { task_id, spec: spec.clone(), state: PatchState::Pending });
        let policy = self.plan.replan_policy.clone().unwrap_or_else(|| ask(None));
        let subject = Subject::Patch { task_id, number: offering.number };
        if !self.request(&offering.asking, subject, &policy) {
            self.apply_patch(approval_id);
        }
        self.touch_project();
        Ok(())
    }

    pub(super) fn pending_patch(&self) -> Option<ApprovalId> {
        let pending = |id: &&ApprovalId| self.plan.patches.contains_key(*id);
        self.plan.pending.iter().find(pending).copied()
    }

    /// The agent that proposed it is told, if its task is not over.
    pub(super) fn carry_out_patch(&mut self, approval_id: ApprovalId, decision: &Decision) {
        if decision.verdict == Decided::Approved {
            self.apply_patch(approval_id);
        } else {
            let reason = format!("{} {}: {}", decision.by, decision.verdict.word(), decision.note);
            self.void_patch(approval_id, &reason);
        }
        let Some(patch) = self.plan.patches.get(&approval_id) else { return };
        let said = match &patch.state {
            PatchState::Void(reason) => format!("Your change of the plan is not in force: {reason}"),
            _ => "Your change of the plan is in force.".to_owned(),
        };
        self.answer(patch.task_id, approval_id, &decision.by, &said);
        self.touch_project();
        self.settle();
    }

    pub(in crate::plan) fn void_patch(&mut self, approval_id: ApprovalId, reason: &str) {
        if let Some(patch) = self.plan.patches.get_mut(&approval_id) {
            patch.state = PatchState::Void(policy::bounded(reason, NOTE_BYTES));
        }
    }

    pub(super) fn skill_proposed(
        &mut self,
        task_id: TaskId,
        name: &str,
        offering: &Offering<'_>,
    ) -> Result<(), Rejected> {
        let (number, _) = self.fenced(task_id, offering.number, offering.nonce)?;
        self.fresh(offering.asking.approval_id)?;
        self.heard(number, offering.nonce);
        self.plan.skills.insert(offering.asking.approval_id, name.to_owned());
        let subject = Subject::Skill { task_id, number: offering.number };
        self.request(&offering.asking, subject, &ask(None));
        Ok(())
    }

    /// A skill outlives its project: it can be admitted after the end.
    pub(super) fn carry_out_skill(&mut self, approval_id: ApprovalId, task_id: TaskId, decision: &Decision) {
        let name = self.plan.skills.get(&approval_id).cloned().unwrap_or_default();
        let said = match decision.verdict {
            Decided::Approved => format!("The skill {name} is admitted."),
            verdict => format!("The skill {name} is not admitted ({}): {}", verdict.word(), decision.note),
        };
        if decision.verdict == Decided::Approved {
            self.command(Command::AdmitSkill { approval_id, name });
        }
        self.answer(task_id, approval_id, &decision.by, &said);
    }

    fn answer(&mut self, task_id: TaskId, approval_id: ApprovalId, by: &str, said: &str) {
        let Some(number) = self.plan.numbers.get(&task_id).copied() else { return };
        let text = policy::bounded(said, NOTE_BYTES);
        self.tell(number, &Note { id: format!("approval-{approval_id}"), from: by.to_owned(), text });
    }

    /// Puts a change into force if it still fits the plan as it stands now.
    fn apply_patch(&mut self, approval_id: ApprovalId) {
        let Some(spec) = self.plan.patches.get(&approval_id).map(|patch| patch.spec.clone()) else { return };
        let Fitting { graph, dropped, rewired } = match self.fit(&spec) {
            Ok(fitting) => fitting,
            Err(problem) => return self.void_patch(approval_id, &format!("it no longer fits: {problem}")),
        };
        self.plan.graph = graph;
        for number in dropped {
            self.edit(number, |task| task.dropped = true);
            self.end(number, TaskState::Skipped, "a change of the plan dropped it");
        }
        let first = self.plan.tasks.len();
        for spec in &spec.add {
            let number = self.plan.tasks.len();
            self.plan.numbers.insert(spec.task_id, number);
            self.plan.tasks.push(Task::new(spec.clone(), 0, self.at));
            self.plan.open += 1;
            self.touch(number);
        }
        let changed: Vec<usize> = rewired.keys().copied().chain(first..self.plan.tasks.len()).collect();
        for (number, needs) in rewired {
            self.edit(number, |task| {
                task.spec.needs = needs;
                task.state = TaskState::Blocked;
                task.base_commit = None;
            });
        }
        for number in &changed {
            let needs = self.plan.graph.needs(*number);
            let open = |need: &&usize| self.task(**need).is_some_and(|task| !task.state.is_final());
            let waiting_for = needs.iter().filter(open).count();
            self.edit(*number, |task| task.waiting_for = waiting_for);
        }
        if let Some(patch) = self.plan.patches.get_mut(&approval_id) {
            patch.state = PatchState::Applied;
        }
        self.command(Command::PatchApplied { approval_id });
        for number in changed {
            self.unblock(number);
        }
        self.settle();
    }

    /// Whether a change fits the plan as it stands now; else why not, for its author.
    fn fit(&self, patch: &PatchSpec) -> Result<Fitting, String> {
        if *patch == PatchSpec::default() {
            return Err("the patch changes nothing".to_owned());
        }
        let added = self.added(&patch.add)?;
        let number = |id: &TaskId| self.plan.numbers.get(id).or_else(|| added.get(id)).copied();
        let known = |id: &TaskId| number(id).ok_or_else(|| format!("{id} is no task of the plan"));
        let mut dropped = BTreeSet::new();
        for id in &patch.drop {
            let place = known(id)?;
            self.unstarted(place, id)?;
            dropped.insert(place);
        }
        let mut needs: Vec<Vec<usize>> = (0..self.plan.tasks.len()).map(|n| self.plan.graph.needs(n)).collect();
        needs.extend(patch.add.iter().map(|_| Vec::new()));
        let mut rewired = BTreeMap::new();
        for (id, wanted) in &patch.needs {
            let place = known(id)?;
            let task = self.unstarted(place, id)?;
            if task.asked.is_some() || dropped.contains(&place) {
                return Err(format!("{} cannot be rewired: it is dropped, or about to start", task.spec.key));
            }
            rewired.insert(place, wanted.clone());
        }
        let new = patch.add.iter().filter_map(|spec| Some((number(&spec.task_id)?, spec.needs.clone())));
        for (place, wanted) in rewired.clone().into_iter().chain(new) {
            let wanted = wanted.iter().map(|need| self.usable(known(need)?, &dropped));
            let wanted = wanted.collect::<Result<Vec<_>, String>>()?;
            needs.get_mut(place).map(|needs| *needs = wanted).unwrap_or_default();
        }
        for place in &dropped {
            let left = self.plan.graph.successors(*place).into_iter().filter(|next| !dropped.contains(next));
            let still = left.filter(|next| needs.get(*next).is_some_and(|needs| needs.contains(place)));
            let open = |next: &usize| self.task(*next).is_some_and(|task| !task.state.is_final());
            if let Some(task) = still.filter(open).find_map(|next| self.task(next)) {
                return Err(format!("{} still needs {}, which is dropped", task.spec.key, self.key(*place)));
            }
            needs.get_mut(*place).map(Vec::clear).unwrap_or_default();
        }
        let keys = self.plan.tasks.iter().map(|task| &task.spec).chain(&patch.add).map(|spec| spec.key.as_str());
        let graph = TaskGraph::build(&keys.collect::<Vec<_>>(), &needs).map_err(|e| e.to_string())?;
        Ok(Fitting { graph, dropped, rewired })
    }

    /// The numbers that new tasks get.
    fn added(&self, add: &[TaskSpec]) -> Result<HashMap<TaskId, usize>, String> {
        let mut keys: HashSet<&str> = self.plan.tasks.iter().map(|task| task.spec.key.as_str()).collect();
        let mut added = HashMap::new();
        for (place, spec) in add.iter().enumerate() {
            let twice = added.insert(spec.task_id, self.plan.tasks.len() + place).is_some();
            if twice || self.plan.numbers.contains_key(&spec.task_id) || !keys.insert(spec.key.as_str()) {
                return Err(format!("task {} is there already", spec.key));
            }
            if spec.kind.is_helper() {
                return Err(format!("task {} is none that a plan can have", spec.key));
            }
        }
        Ok(added)
    }

    /// A task of the plan itself that nobody has begun.
    fn unstarted(&self, number: usize, id: &TaskId) -> Result<&Task, String> {
        let task = self.task(number).ok_or_else(|| format!("{id} is new in this patch"))?;
        let key = &task.spec.key;
        if task.parent.is_some() || task.spec.kind.is_helper() {
            return Err(format!("{key} is not a task of the plan itself"));
        }
        if task.attempt > 0 || !matches!(task.state, TaskState::Blocked | TaskState::Ready) {
            return Err(format!("{key} has started: it is {}", task.state));
        }
        Ok(task)
    }

    /// A task that others can be made to need.
    fn usable(&self, number: usize, dropped: &BTreeSet<usize>) -> Result<usize, String> {
        let Some(task) = self.task(number) else { return Ok(number) };
        let key = &task.spec.key;
        if dropped.contains(&number) {
            return Err(format!("{key} is dropped and cannot be needed"));
        }
        if task.parent.is_some() || task.spec.kind.is_helper() || task.dropped {
            return Err(format!("{key} is not a task of the plan itself"));
        }
        if task.ended_badly() {
            return Err(format!("{key} is {} and cannot be needed", task.state));
        }
        Ok(number)
    }

    fn key(&self, number: usize) -> String {
        self.task(number).map(|task| task.spec.key.clone()).unwrap_or_default()
    }
}

/// A person is asked, whatever the plan says.
fn ask(deadline_ms: Option<u64>) -> PolicySpec {
    person(&PolicySpec { name: String::new(), asks: false, deadline_ms })
}
