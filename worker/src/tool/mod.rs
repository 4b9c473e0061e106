//! The tools of the built-in agent: what it can do in its computer, and how it speaks with people and with other tasks.
//!
//! One file per tool, each with its `spec` (what a model is told) and its `call`. What they share is in [`bench`](self), what keeps
//! them within bounds in `spill`, `files` and `input`. A tool never fails but for the reason that it tells the model.

mod access;
mod background;
mod bench;
mod bounce;
pub mod call;
mod edit;
mod effect;
mod exec;
mod files;
mod hand_off;
mod input;
mod person;
mod plan;
mod propose_skill;
mod read;
mod search;
mod skill;
mod spill;
#[cfg(test)]
mod tests;
mod todo;
mod toolbox;
mod write;

pub(crate) use bench::Bench;
pub(crate) use toolbox::Toolbox;
