//! The host service that owns the virtual machines.

pub mod adapter;
pub mod pool;
pub mod port;
