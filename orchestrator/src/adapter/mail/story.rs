//! What a mail of ours says, before it has words.

use bus_schemas::{
    time::UnixMs,
    v1::api::{ApprovalView, DiffView, ProjectView},
};
use serde::{Deserialize, Serialize};

/// Something that happened, for a mail of news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// When.
    pub at: UnixMs,
    /// Of which project: its title.
    pub project: String,
    /// One sentence.
    pub said: String,
}

/// What a mail of ours says.
#[derive(Clone, Debug)]
pub enum Story {
    /// A mail began a project.
    Started {
        /// It.
        project: Box<ProjectView>,
        /// What of the mail did not come along, with reasons.
        left_out: Vec<String>,
    },
    /// Somebody is asked.
    Request {
        /// What.
        approval: Box<ApprovalView>,
        /// Of which project.
        project: Box<ProjectView>,
        /// What changes, for a handoff or a result.
        diff: Option<Box<DiffView>>,
        /// The how-manieth reminder this is; 0 for the request itself.
        reminder: u32,
    },
    /// A request somebody was asked about is closed, by whomever.
    Outcome {
        /// The request.
        approval: Box<ApprovalView>,
    },
    /// A reply could not be understood for certain: nothing was done.
    AskBack {
        /// The request it was about.
        approval: Option<Box<ApprovalView>>,
        /// Why.
        why: String,
    },
    /// Something was refused: what, why, the way out.
    Refused {
        /// What was wanted.
        what: String,
        /// Why not.
        why: String,
        /// The way out.
        hint: Option<String>,
    },
    /// Something was done: one or two sentences.
    Done {
        /// They.
        said: String,
    },
    /// How a project is.
    Status {
        /// It.
        project: Box<ProjectView>,
    },
    /// A project ended: well or badly.
    Result {
        /// It.
        project: Box<ProjectView>,
        /// What it changed.
        diff: Option<Box<DiffView>>,
    },
    /// What happened since the last mail.
    Digest {
        /// The oldest first.
        news: Vec<News>,
    },
}
