//! One room per outside system.

pub mod bus;
pub mod clock;
mod folder;
pub mod shadow;
pub mod sqlite;
pub mod web;
