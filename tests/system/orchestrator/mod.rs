//! The orchestrator over a real nats-server, with simulated hosts: what it records, what it survives.

mod flow;
mod rig;
mod survives;
