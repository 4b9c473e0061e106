//! A team that works by mail: the orchestrator as a process, a real Postfix and Dovecot, a local name server, simulated hosts.

mod bounces;
mod check;
mod edits;
mod forgery;
mod handover;
mod journey;
mod links;
mod load;
mod loops;
mod mailbox;
mod replies;
mod restarts;
mod rig;
mod webhooks;
mod written;
