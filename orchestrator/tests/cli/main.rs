//! The API and the commands, against an orchestrator that is all memory.
#![expect(clippy::unwrap_used, reason = "tests: helpers, too")]

mod agents;
mod api;
mod commands;
mod fake;
mod fixtures;
mod following;
mod ledger;
mod mail;
mod skills;
mod up;
mod world;
