//! A host's session and a worker, joined by two socket pairs: the whole guest channel without a VM.

mod agent;
mod attempt;
mod control;
mod host;
mod limits;
mod restore;
mod rig;
mod services;
mod skills;
mod workspace;
