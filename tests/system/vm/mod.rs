//! Tests that boot real VMs.

mod bad_input;
mod crash;
mod examples;
mod machine;
mod project;
