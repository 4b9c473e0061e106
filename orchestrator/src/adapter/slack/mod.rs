//! Slack: what people see and press there is a view of the journal, never a truth of its own.
//!
//! `view` draws everything that is shown, purely.

pub mod view;
