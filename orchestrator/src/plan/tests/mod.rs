//! The core's tests: one module per arrow group, and a model world for what must hold whatever happens.

mod approvals;
mod arrows;
mod foreach;
mod graph;
mod invariants;
mod limits;
mod model;
mod projects;
mod support;
