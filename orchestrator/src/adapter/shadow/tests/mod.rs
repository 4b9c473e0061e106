//! Real git, real folders.

mod apply;
mod import;
mod inputs;
mod property;
mod refuse;
mod stopped;
mod support;
mod travel;
