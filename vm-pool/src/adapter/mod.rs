//! The pool's ways to the outside: one room per outside system.

pub mod bus;
mod cancellations;
pub mod claims;
pub mod egress;
mod ending;
pub mod image;
pub mod qemu;
pub mod scripted;
pub mod session;
pub mod workspace;
