//! The `baton` command line.

pub mod draw;
pub mod findings;
