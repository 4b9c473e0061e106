//! The system tests: real servers, real VMs, the whole of Baton.
//!
//! Everything below [`vm`] boots real VMs; `cargo xtask test --fast` leaves those out.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod guest_channel;
mod layering;
mod mail;
mod orchestrator;
mod slack;
mod vm;
