//! The messages of protocol version 1.
//!
//! [`plan`] is the plan file and the plan on the bus; [`task`] is what hosts are offered and what they report;
//! [`handoff`] is what a task hands on; [`approval`] is what people are asked; [`host`] is how hosts show themselves;
//! [`agent`] is work for an AI agent, [`skill`] what people are shown of its skills, [`call`] what hosts ask while it runs,
//! [`effect`] what is done outside for it;
//! [`guest`] is the channel between a host and the worker in its VM; [`api`] is the HTTP API of `baton serve`, with [`apply`] and
//! [`work`]; [`policy`] is who approves what, [`ledger`] what is said about approvals, [`mail`] what came and went by mail.

pub mod agent;
pub mod api;
pub mod apply;
pub mod approval;
pub mod call;
pub mod effect;
pub mod guest;
pub mod handoff;
pub mod host;
pub mod ledger;
pub mod mail;
pub mod plan;
pub mod policy;
pub mod project;
pub mod skill;
pub mod task;
pub mod work;
