//! The pool's ways to the outside: one room per outside system.

pub mod bus;
pub mod calls;
pub mod checkpoints;
mod child;
pub mod claims;
pub mod controls;
pub mod egress;
mod ending;
pub mod gateway;
pub mod governor;
mod governor_link;
pub mod image;
mod objects;
pub mod outside;
pub mod probe;
pub mod qemu;
pub mod scripted;
pub mod session;
pub mod workspace;
