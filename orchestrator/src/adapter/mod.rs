//! One room per outside system.

pub mod bus;
pub mod clock;
mod folder;
pub mod mail;
mod review;
pub mod shadow;
pub mod shelf;
pub mod slack;
pub mod sqlite;
pub mod web;
