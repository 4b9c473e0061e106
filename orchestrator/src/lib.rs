//! Plans, dispatches, records and applies.

pub mod adapter;
pub mod cli;
pub mod digest;
pub mod driver;
pub mod plan;
pub mod planfile;
pub mod port;
pub mod service;
