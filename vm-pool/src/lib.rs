//! The host service that owns the virtual machines.

pub mod port;
