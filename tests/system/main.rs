//! The system tests: real servers, real VMs, the whole of Baton.

mod layering;
