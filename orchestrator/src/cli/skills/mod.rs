//! `baton skills …`: Agent Skills on this machine. No orchestrator is asked.

mod reviews;

pub(super) use reviews::reviews;
