//! One room per outside system.

pub mod clock;
pub mod sqlite;
