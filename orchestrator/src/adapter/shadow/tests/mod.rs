//! Real git, real folders.

#![expect(clippy::unwrap_used, reason = "tests")]

mod apply;
mod import;
mod property;
mod refuse;
mod support;
mod travel;
