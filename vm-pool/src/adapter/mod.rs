//! The pool's ways to the outside: one room per outside system.

pub mod session;
