//! The rooms that touch the world: one per outside system.

pub mod workspace;
