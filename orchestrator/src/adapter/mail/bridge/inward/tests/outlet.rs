//! A way out that writes down what it is asked to say.

use std::sync::{Arc, Mutex};

use bus_schemas::id::ProjectId;

use super::{super::Outlet, lock};
use crate::{
    adapter::mail::{Kept, Story, bridge::Say},
    mail::bounce::Bounce,
};

#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// Each name once for each address, as the store keeps them.
    pub said: Vec<Say>,
    pub bounces: Vec<Bounce>,
    pub threads: Vec<(ProjectId, String, String, Option<String>)>,
    /// Who wants no more news of what.
    pub quiet: Vec<(ProjectId, String)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Recorder(Arc<Mutex<Recorded>>);

impl Recorder {
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Recorded) -> T) -> T {
        look(&mut lock(&self.0))
    }

    /// Everything that was said: to whom, what.
    pub(super) fn said(&self) -> Vec<(String, String)> {
        self.with(|recorded| recorded.said.iter().map(|said| (said.to.address.clone(), words(&said.story))).collect())
    }

    /// What was said last.
    pub(super) fn last(&self) -> Say {
        self.with(|recorded| recorded.said.last().cloned()).expect("something was said")
    }

    /// What was said last, in words.
    pub(super) fn words(&self) -> String {
        words(&self.last().story)
    }
}

/// A story, short.
fn words(story: &Story) -> String {
    match story {
        Story::Started { left_out, .. } => format!("started, without [{}]", left_out.join(", ")),
        Story::Outcome { approval } => {
            format!("outcome {:?}", approval.decision.as_ref().map(|decision| decision.verdict))
        }
        Story::AskBack { why, .. } => format!("ask back: {why}"),
        Story::Refused { what, why, hint } => format!("{what}: {why} ({})", hint.as_deref().unwrap_or_default()),
        Story::Done { said } => said.clone(),
        Story::Status { .. } => "status".to_owned(),
        other => format!("{other:?}"),
    }
}

impl Outlet for Recorder {
    async fn say(&self, said: Say) -> Kept<()> {
        self.with(|recorded| {
            let is_known = recorded.said.iter().any(|one| one.name == said.name && one.to.address == said.to.address);
            if !is_known {
                recorded.said.push(said);
            }
        });
        Ok(())
    }

    async fn bounced(&self, bounce: &Bounce) -> Kept<String> {
        self.with(|recorded| recorded.bounces.push(bounce.clone()));
        Ok("it came back".to_owned())
    }

    async fn begin_thread(&self, project_id: ProjectId, person: &str, subject: &str, id: Option<&str>) -> Kept<()> {
        let begun = (project_id, person.to_owned(), subject.to_owned(), id.map(str::to_owned));
        self.with(|recorded| recorded.threads.push(begun));
        Ok(())
    }

    async fn quieten(&self, project_id: ProjectId, person: &str) -> Kept<()> {
        self.with(|recorded| recorded.quiet.push((project_id, person.to_owned())));
        Ok(())
    }
}
