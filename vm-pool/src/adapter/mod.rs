//! The pool's ways to the outside: one room per outside system.

pub mod bus;
pub mod claims;
pub mod image;
pub mod qemu;
pub mod session;
pub mod workspace;
