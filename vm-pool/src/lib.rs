//! The host service that owns the virtual machines.

pub mod adapter;
pub mod attempt;
pub mod config;
pub mod driver;
pub mod governor;
pub mod lease;
pub mod pool;
pub mod port;
