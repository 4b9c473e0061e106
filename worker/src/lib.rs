//! The process in the guest: serves its host over two ports, does one attempt or a set of checks, and hands back what came of it.

mod adapter;
pub mod agent;
pub mod bench;
pub mod driver;
pub mod guest;
mod harness;
pub mod port;
pub mod tool;
