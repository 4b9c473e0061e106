//! A team that works in Slack: the orchestrator as a process, a local Slack, simulated hosts.

mod contents;
mod crash;
mod decisions;
mod http;
mod policies;
mod questions;
mod race;
mod rig;
mod starting;
mod status;
mod trouble;
