//! The core's tests: one module per arrow group, and a model world for what must hold whatever happens.

#![expect(clippy::unwrap_used, reason = "tests")]

mod approvals;
mod arrows;
mod foreach;
mod graph;
mod invariants;
mod limits;
mod model;
mod projects;
mod support;
