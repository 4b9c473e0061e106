//! The host service that owns the virtual machines.

pub mod adapter;
pub mod port;
