//! The test harness: real servers on ephemeral ports, real programs in a home of their own, and waiting for conditions.
//!
//! Where things are comes from the environment that `cargo xtask test` sets: `BATON_DIST` (the three programs) and
//! `BATON_NATS_SERVER`. Without it the harness looks where `cargo xtask build` and `cargo xtask setup` put them.
#![expect(clippy::expect_used, clippy::print_stderr, reason = "a test harness fails by panicking and tells why")]

pub mod dns;
pub mod hostsim;
pub mod mail;
pub mod model;
pub mod nats;
pub mod paths;
pub mod serve;
pub mod slack;
pub mod wait;
pub mod world;
