//! The tools of the built-in agent: what it can do in its computer, and how it speaks with people and with other tasks.

pub mod call;
