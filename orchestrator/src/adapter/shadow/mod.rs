//! A project's shadow repository: a bare git repository that holds the folder as it was, every handoff, and the result.
//!
//! ```text
//! the user's folder ──import──► shadow repository ──bundle──► hosts ──absorb──► merge ──► result
//!        ▲                                                                                  │
//!        └────── write_folder ◄── plan_apply (folder as it is now, three-way merged) ◄──────┘
//! ```
//!
//! The folder is only read, until an apply (or its undo) writes exactly the paths that differ. Git never runs with the
//! user's configuration and never touches a file of the folder itself: content goes in and out byte by byte.
//! Everything here blocks; call it off the async threads.

mod apply;
mod blobs;
mod bundle;
mod diff;
mod error;
mod folder;
mod git;
mod history;
mod import;
mod inputs;
mod merge;
mod path;
mod record;
mod repos;
mod scan;
#[cfg(test)]
mod tests;
mod undo;
mod write;

pub use apply::ApplyPlan;
pub use error::{ApplyError, ImportError, InputsError};
pub use import::Imported;
pub use inputs::InputFile;
pub use repos::ShadowRepos;
pub use scan::FolderLimits;
pub use write::WriteReport;
