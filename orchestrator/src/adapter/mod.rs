//! One room per outside system.

pub mod web;
