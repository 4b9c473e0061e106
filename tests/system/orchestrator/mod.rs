//! The orchestrator over a real nats-server, with simulated hosts: what it records, what it survives.

mod agents;
mod apply;
mod effects;
mod flow;
mod people;
mod planning;
mod rig;
mod survives;
