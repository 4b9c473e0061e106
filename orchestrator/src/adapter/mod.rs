//! One room per outside system.

pub mod bus;
pub mod clock;
pub mod shadow;
pub mod sqlite;
pub mod web;
