//! How hosts show themselves.

use serde::{Deserialize, Serialize};

use super::handoff::Isolation;
use crate::{
    envelope::Message,
    id::{AttemptRef, ClaimNonce, HostId},
};

/// A host's sign of life, on core NATS: at least every [`crate::stream::BEAT_INTERVAL_MS`], and at once when its slots change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Beat {
    /// Which host.
    pub host_id: HostId,
    /// Its name for people (the machine's host name).
    pub name: String,
    /// The pool whose offers it takes.
    pub pool: String,
    /// How many attempts it works on at most; 0 while it drains or has no working VM.
    pub slots: u32,
    /// The attempts it works on now. An attempt that is claimed but absent here is lost.
    pub attempts: Vec<HeldAttempt>,
    /// Booted spare VMs.
    pub spares: u32,
    /// What runs its VMs: `kvm`, `hvf` or `tcg`.
    pub accelerator: String,
    /// Why a stronger accelerator is not used; empty if the strongest is.
    #[serde(default)]
    pub accelerator_note: String,
    /// How strongly its VMs are isolated.
    pub isolation: Isolation,
    /// What is wrong with it, for people; empty if nothing.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// An attempt a host holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeldAttempt {
    /// Which attempt.
    pub attempt: AttemptRef,
    /// Which claim of it.
    pub nonce: ClaimNonce,
}

impl Message for Beat {
    const KIND: &'static str = "host.beat";
}
