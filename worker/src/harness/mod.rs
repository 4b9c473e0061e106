//! The programs that are a task's mind, one file per kind, and the checks that look at what came of it.

pub(crate) mod builtin;
pub(crate) mod checks;
pub(crate) mod desk;
mod error;
pub(crate) mod script;

pub(crate) use error::HarnessError;
