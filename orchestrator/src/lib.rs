//! Plans, dispatches, records and applies.

pub mod cli;
pub mod plan;
pub mod planfile;
pub mod port;
