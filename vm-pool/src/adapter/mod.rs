//! The pool's ways to the outside: one room per outside system.

pub mod bus;
mod cancellations;
pub mod claims;
mod ending;
pub mod gateway;
pub mod governor;
mod governor_link;
pub mod image;
pub mod qemu;
pub mod session;
pub mod workspace;
