//! One room per outside system.

pub mod bus;
pub mod clock;
mod folder;
mod review;
pub mod mail;
pub mod shadow;
pub mod shelf;
pub mod slack;
pub mod sqlite;
pub mod web;
