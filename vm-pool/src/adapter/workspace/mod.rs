//! The host side of a workspace: git, and never git on anything a guest made.
//!
//! ```text
//! object store ──absorb──► store (bare, one per project) ──snapshot──► tar ──► guest
//!                              ▲                                               │
//!                              └──── import (validated paths, fast-import) ◄── tar of changes
//! ```
//! Trees go out through `ls-tree` and `cat-file`, not through a checkout: attributes and filters must not touch a byte.
//! Changes come in as data: every path is validated ([`path`]), then `git fast-import` writes blobs and the commit.
//! Everything here blocks: call it off the async threads.

mod error;
mod extensions;
mod git;
mod globs;
mod import;
mod listing;
mod manifest;
pub mod path;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;

pub use error::WorkspaceError;
pub use globs::Globs;
pub use import::{Committed, ImportRequest, import};
pub use snapshot::Snapshots;
pub use store::Store;
