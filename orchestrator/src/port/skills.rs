//! Skills, as the driver and the service need them. Methods block: call them off the async threads.

use std::collections::BTreeMap;

use bus_schemas::v1::{
    api::{Finding, SkillProposal},
    skill::SkillReview,
};
use skills::Catalog;

/// Why skills were not kept: a sentence, naming the skill.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// A skill is not there, or cannot be used as it is.
    #[error("{0}")]
    Unusable(String),
    /// This machine could not keep it, for want of disk perhaps.
    #[error("{0}")]
    Host(String),
}

/// The skills of this machine, and those that projects were started with.
pub trait SkillShelf: Send + Sync + 'static {
    /// What a project in this folder can use.
    fn catalog(&self, folder: Option<&str>) -> Catalog;
    /// Packs skills and keeps them as they are now, so that a project in this folder works with what was approved.
    ///
    /// # Errors
    /// [`NotKept`].
    fn keep(&self, folder: &str, catalog: &Catalog, names: &[String]) -> Result<Vec<SkillReview>, NotKept>;
    /// The tar of a skill that was kept.
    ///
    /// # Errors
    /// A sentence, if it is not there.
    fn tar(&self, sha256: &str) -> Result<Vec<u8>, String>;
    /// Looks at a skill that an agent proposes.
    ///
    /// # Errors
    /// Why it cannot be proposed.
    fn examine(&self, files: BTreeMap<String, String>) -> Result<SkillProposal, Vec<Finding>>;
    /// Puts a proposed skill where this person's projects find it.
    ///
    /// # Errors
    /// A sentence.
    fn admit(&self, skill: &SkillProposal) -> Result<(), String>;
}
