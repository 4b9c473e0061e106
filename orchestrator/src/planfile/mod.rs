//! Plan files: reading, checking and lowering. Nothing here touches the disk: texts come in, findings and specs go out.
//!
//! ```text
//! text ─ tree ─▶ nodes with places ─┬─ shape: every field's type and range
//!                                   ├─ rules: names, scripts, skills, budgets; policies
//!                                   ├─ order: ids, needs, circles, layers       ─▶ findings, and the wire Plan
//!                                   ├─ condition: the expressions                       │
//!                                   └─ overlap: outputs of parallel tasks               ▼
//!                                                             lower: defaults filled in, specs for the core
//! ```

pub(crate) mod check;
mod condition;
mod cost;
pub(crate) mod finding;
mod glob;
mod limits;
mod models;
mod order;
mod overlap;
pub(crate) mod policies;
mod rules;
mod schema;
pub(crate) mod shape;
pub(crate) mod tree;
mod yaml;

#[cfg(test)]
mod tests;

pub mod estimate;
pub mod expression;
pub mod lower;
pub mod patch;
pub mod planner;
pub mod reference;

pub use bus_schemas::settings::ModelSetup as ModelConfig;
pub use check::{check, check_under, script_files};
pub use limits::network_problem;
pub use lower::{Lowered, lower};
pub use models::{no_planner, runnable};
pub use schema::json_schema;
pub use yaml::yaml;
