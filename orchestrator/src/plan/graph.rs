//! Which task needs which: a directed graph without cycles. Tasks are numbered in plan order, from 0.

use std::collections::{HashMap, HashSet};

use bus_schemas::id::TaskId;
use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
};

use super::event::TaskSpec;

/// Why tasks do not make a graph that can be worked on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two tasks have the same id or key.
    #[error("task {key} is there twice")]
    DuplicateTask {
        /// The key of the second one.
        key: String,
    },
    /// A task needs one that is not there.
    #[error("task {key} needs {need}, which is not in the plan")]
    UnknownNeed {
        /// The task.
        key: String,
        /// What it needs.
        need: String,
    },
    /// Tasks need each other in a circle.
    #[error("tasks need each other in a circle: {}", keys.join(" -> "))]
    Cycle {
        /// The circle: each task needs the one before it, and the first needs the last.
        keys: Vec<String>,
    },
}

/// The graph; an edge leads from a needed task to the one that needs it.
#[derive(Clone, Debug, Default)]
pub struct TaskGraph {
    graph: DiGraph<(), ()>,
}

impl TaskGraph {
    /// Builds the graph of tasks with the given keys; `needs[n]` are the numbers of the tasks that task `n` needs
    /// (one named twice counts once). Takes time in proportion to tasks and needs.
    ///
    /// # Errors
    /// [`GraphError::UnknownNeed`] for a number that is no task, [`GraphError::Cycle`] with the keys of one circle.
    pub fn build(keys: &[&str], needs: &[Vec<usize>]) -> Result<Self, GraphError> {
        let mut graph = DiGraph::with_capacity(keys.len(), needs.iter().map(Vec::len).sum());
        for _ in keys {
            graph.add_node(());
        }
        let mut this = Self { graph };
        for (number, needed) in needs.iter().enumerate() {
            if let Some(unknown) = needed.iter().find(|need| **need >= keys.len()) {
                let key = keys.get(number).copied().unwrap_or_default().to_owned();
                return Err(GraphError::UnknownNeed { key, need: unknown.to_string() });
            }
            this.connect(number, needed);
        }
        match this.find_cycle() {
            None => Ok(this),
            Some(cycle) => {
                let keys = cycle.into_iter().filter_map(|n| keys.get(n)).map(|key| (*key).to_owned()).collect();
                Err(GraphError::Cycle { keys })
            }
        }
    }

    /// Builds the graph of a project's tasks.
    ///
    /// # Errors
    /// As [`TaskGraph::build`], and [`GraphError::DuplicateTask`].
    pub fn of(specs: &[TaskSpec]) -> Result<Self, GraphError> {
        let mut numbers: HashMap<TaskId, usize> = HashMap::with_capacity(specs.len());
        let mut keys = Vec::with_capacity(specs.len());
        let mut seen = HashSet::with_capacity(specs.len());
        for (number, spec) in specs.iter().enumerate() {
            if numbers.insert(spec.task_id, number).is_some() || !seen.insert(spec.key.as_str()) {
                return Err(GraphError::DuplicateTask { key: spec.key.clone() });
            }
            keys.push(spec.key.as_str());
        }
        let mut needs = Vec::with_capacity(specs.len());
        for spec in specs {
            let mut needed = Vec::with_capacity(spec.needs.len());
            for need in &spec.needs {
                let number = numbers.get(need).copied();
                needed.push(
                    number.ok_or_else(|| GraphError::UnknownNeed { key: spec.key.clone(), need: need.to_string() })?,
                );
            }
            needs.push(needed);
        }
        Self::build(&keys, &needs)
    }

    /// Adds a task that needs the given ones and is needed by none; its number is the count of tasks before.
    /// Numbers that are no task are left out.
    pub fn add_task(&mut self, needs: &[usize]) -> usize {
        let number = self.graph.add_node(()).index();
        let needs: Vec<usize> = needs.iter().copied().filter(|need| *need < number).collect();
        self.connect(number, &needs);
        number
    }

    /// How many tasks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// There is no task.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.graph.node_count() == 0
    }

    /// The tasks that need this one, in plan order.
    #[must_use]
    pub fn successors(&self, number: usize) -> Vec<usize> {
        self.neighbors(number, Direction::Outgoing)
    }

    /// The tasks this one needs, in plan order, each once.
    #[must_use]
    pub fn needs(&self, number: usize) -> Vec<usize> {
        self.neighbors(number, Direction::Incoming)
    }

    /// How many tasks this one needs.
    #[must_use]
    pub fn needs_count(&self, number: usize) -> usize {
        self.graph.neighbors_directed(NodeIndex::new(number), Direction::Incoming).count()
    }

    /// The tasks by depth (Kahn 1962): the first layer needs nothing, every other only tasks of layers before it. The
    /// tasks of one layer could all be worked on at the same time.
    #[must_use]
    pub fn layers(&self) -> Vec<Vec<usize>> {
        self.peel().0
    }

    fn connect(&mut self, number: usize, needs: &[usize]) {
        let mut needs = needs.to_vec();
        needs.sort_unstable();
        needs.dedup();
        for need in needs {
            self.graph.add_edge(NodeIndex::new(need), NodeIndex::new(number), ());
        }
    }

    fn neighbors(&self, number: usize, direction: Direction) -> Vec<usize> {
        let neighbors = self.graph.neighbors_directed(NodeIndex::new(number), direction);
        let mut numbers: Vec<usize> = neighbors.map(NodeIndex::index).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Takes away layer after layer; returns the layers and, per task, how many of its needs were never taken away
    /// (more than zero: it is on a circle or behind one).
    fn peel(&self) -> (Vec<Vec<usize>>, Vec<usize>) {
        let mut missing: Vec<usize> = (0..self.len()).map(|number| self.needs_count(number)).collect();
        let mut layer: Vec<usize> = (0..self.len()).filter(|number| missing.get(*number) == Some(&0)).collect();
        let mut layers = Vec::new();
        while !layer.is_empty() {
            let mut next = Vec::new();
            for number in &layer {
                for successor in self.graph.neighbors(NodeIndex::new(*number)).map(NodeIndex::index) {
                    if let Some(count) = missing.get_mut(successor) {
                        *count -= 1;
                        if *count == 0 {
                            next.push(successor);
                        }
                    }
                }
            }
            next.sort_unstable();
            layers.push(std::mem::replace(&mut layer, next));
        }
        (layers, missing)
    }

    /// One circle, if there is any. Every task that was not taken away needs another such task: walking along these
    /// must come back to a task already seen, and from there on the walk is the circle.
    fn find_cycle(&self) -> Option<Vec<usize>> {
        let (_, missing) = self.peel();
        let stuck = |number: &usize| missing.get(*number).is_some_and(|count| *count > 0);
        let mut walk: Vec<usize> = Vec::new();
        let mut place: HashMap<usize, usize> = HashMap::new();
        let mut number = (0..self.len()).find(stuck)?;
        loop {
            if let Some(start) = place.insert(number, walk.len()) {
                let mut cycle = walk.split_off(start);
                cycle.reverse();
                return Some(cycle);
            }
            walk.push(number);
            number = self.needs(number).into_iter().find(stuck)?;
        }
    }
}

impl PartialEq for TaskGraph {
    fn eq(&self, other: &Self) -> bool {
        let edges = |this: &Self| this.graph.raw_edges().iter().map(|e| (e.source(), e.target())).collect::<Vec<_>>();
        self.len() == other.len() && edges(self) == edges(other)
    }
}
