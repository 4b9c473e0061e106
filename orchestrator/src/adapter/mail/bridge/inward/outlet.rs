//! What the inward half asks of the outward one.

use std::future::Future;

use bus_schemas::id::ProjectId;

use super::super::{core::Bridge, outward::Say};
use crate::{
    adapter::mail::{Desk, Kept, Transport, Verifier},
    mail::bounce::Bounce,
    port::Service,
};

/// The way out: what is said by mail, and what becomes of it.
pub(in super::super) trait Outlet: Clone + Send + Sync + 'static {
    /// Says something by mail, once for its name and address.
    fn say(&self, said: Say) -> impl Future<Output = Kept<()>> + Send;
    /// A server says what became of a mail of ours; the answer is for people.
    fn bounced(&self, bounce: &Bounce) -> impl Future<Output = Kept<String>> + Send;
    /// A project began with a person's mail: what they hear of it belongs to that thread.
    fn begin_thread(
        &self,
        project_id: ProjectId,
        person: &str,
        subject: &str,
        message_id: Option<&str>,
    ) -> impl Future<Output = Kept<()>> + Send;
    /// A person wants no more news of a project.
    fn quieten(&self, project_id: ProjectId, person: &str) -> impl Future<Output = Kept<()>> + Send;
}

impl<S: Service, D: Desk, V: Verifier, T: Transport> Outlet for Bridge<S, D, V, T> {
    async fn say(&self, said: Say) -> Kept<()> {
        Self::say(self, said).await
    }

    async fn bounced(&self, bounce: &Bounce) -> Kept<String> {
        Self::bounced(self, bounce).await
    }

    async fn begin_thread(
        &self,
        project_id: ProjectId,
        person: &str,
        subject: &str,
        message_id: Option<&str>,
    ) -> Kept<()> {
        self.change_thread(project_id, person, |thread| {
            if thread.is_start {
                return;
            }
            thread.is_start = true;
            subject.clone_into(&mut thread.subject);
            if let Some(id) = message_id.filter(|id| !thread.references.iter().any(|known| known == id)) {
                // The mail that began it is the oldest.
                thread.references.insert(0, id.to_owned());
            }
        })
        .await
    }

    async fn quieten(&self, project_id: ProjectId, person: &str) -> Kept<()> {
        self.change_thread(project_id, person, |thread| thread.is_quiet = true).await
    }
}
