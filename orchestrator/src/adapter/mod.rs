//! One room per outside system.

pub mod bus;
pub mod clock;
pub mod effects;
mod folder;
mod lanes;
pub mod mail;
mod marks;
mod review;
pub mod shadow;
pub mod shelf;
pub mod slack;
pub mod sqlite;
pub mod web;
