//! One room per outside system.

pub mod shadow;
pub mod web;
