//! A team that works in Slack: the orchestrator as a process, a local Slack, simulated hosts.

mod check;
mod contents;
mod crash;
mod decisions;
mod edits;
mod folders;
mod http;
mod policies;
mod questions;
mod race;
mod remembered;
mod reminders;
mod rig;
mod starting;
mod status;
mod trouble;
