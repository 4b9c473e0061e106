//! The gateway between a guest's stream and a provider on this machine.

mod config;
mod hygiene;
mod limits;
mod metering;
mod passing;
mod tls;
mod world;
