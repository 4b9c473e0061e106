//! The core's tests: one module per arrow group, and a model world for what must hold whatever happens.

mod agents;
mod approvals;
mod arrows;
mod budgets;
mod foreach;
mod graph;
mod invariants;
mod invariants_agents;
mod limits;
mod model;
mod model_agents;
mod model_people;
mod patches;
mod pauses;
mod planning;
mod projects;
mod support;
