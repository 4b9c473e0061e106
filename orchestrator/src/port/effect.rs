//! Effects, as the driver needs them: a program is run once and its end is told.

use bus_schemas::{id::ApprovalId, v1::effect::EffectOrder};
use futures::future::BoxFuture;

use crate::plan::effect::EffectEnding;

/// What came of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectDone {
    /// How it ended.
    pub ending: EffectEnding,
    /// The end of what it printed, a few kilobytes, without known secrets; or why it could not be read.
    pub output_tail: String,
    /// SHA-256 of what was kept of what it printed (of more than 64 MiB, only a last part is), lower-case hex. If it could
    /// not be read, a sentence says so here, too.
    pub output_sha256: String,
    /// How much it printed, in bytes.
    pub output_bytes: u64,
}

/// There are traces of an earlier run under this id: it may have happened, and nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it may have run before")]
pub struct MayHaveRun;

/// Runs effects on this machine.
pub trait EffectRunner: Send + Sync + 'static {
    /// Runs one to its end or its time limit; `id` is the request that was approved. Dropping the future ends nothing: what was
    /// started goes on.
    ///
    /// # Errors
    /// [`MayHaveRun`].
    fn run<'a>(&'a self, id: ApprovalId, order: &'a EffectOrder) -> BoxFuture<'a, Result<EffectDone, MayHaveRun>>;
    /// The end of what an effect printed whose end nobody saw, or why it could not be read; empty if it had printed nothing.
    fn left<'a>(&'a self, id: ApprovalId, order: &'a EffectOrder) -> BoxFuture<'a, String>;
}
