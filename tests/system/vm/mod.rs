//! Tests that boot real VMs.

mod agents;
mod bad_input;
mod crash;
mod examples;
mod full_disk;
mod machine;
mod project;
