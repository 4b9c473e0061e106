//! A host's session and a worker, joined by two socket pairs: the whole guest channel without a VM.

mod attempt;
mod control;
mod limits;
mod rig;
mod workspace;
