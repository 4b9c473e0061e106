//! `models check`: real, small calls to every model of the configuration, through the very gateway that guests use, and what
//! came of them.

mod call;
mod check;
mod report;
#[cfg(test)]
mod tests;
mod wire;

pub use check::{check, names};
pub use report::{Check, Outcome, Probe, Report, table};
