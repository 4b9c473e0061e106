//! Real git, real folders.

mod apply;
mod import;
mod property;
mod refuse;
mod support;
mod travel;
