//! The core's tests: one module per arrow group, and a model world for what must hold whatever happens.

mod agents;
mod approvals;
mod arrows;
mod asking;
mod budgets;
mod capabilities;
mod effects;
mod foreach;
mod graph;
mod invariants;
mod invariants_agents;
mod limits;
mod model;
mod model_agents;
mod model_effects;
mod model_people;
mod patches;
mod pauses;
mod planning;
mod projects;
mod results;
mod support;
mod votes;
