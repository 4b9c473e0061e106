//! What mails and pages say.

pub mod page;

use bus_schemas::time::UnixMs;

/// What a mail or a page must know beside its story.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Our address.
    pub address: String,
    /// The page on which this request can be seen and decided.
    pub link: Option<String>,
    /// The page on which this person asks for no more news.
    pub quiet_link: Option<String>,
    /// An answer to this mail is read: it decides, or goes to the project.
    pub can_reply: bool,
    /// Now.
    pub now: UnixMs,
    /// What must never be seen.
    pub secrets: Vec<String>,
    /// Who gets it: a member's name, or `email:address`.
    pub person: String,
}
