//! The API and the commands, against an orchestrator that is all memory.

mod api;
mod commands;
mod fake;
mod following;
mod up;
mod world;
