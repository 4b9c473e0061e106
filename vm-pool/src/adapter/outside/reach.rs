//! What attempts ask of it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bus_schemas::{
    id::AttemptRef,
    v1::{
        agent::{EgressRecord, ModelBrief, Role, Spend},
        guest::Service,
    },
};
use futures::future::BoxFuture;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{adapter::session::DataStream, port::Purse};

/// What this host lets guests reach.
pub trait Outside: fmt::Debug + Send + Sync {
    /// The models that an agent of this role may use, the preferred one first; `models`, if it names some, else the role's.
    ///
    /// # Errors
    /// One sentence for people: why there is none.
    fn briefs(&self, role: Role, models: &[String]) -> Result<Vec<ModelBrief>, String>;

    /// What people should know: a sentence each, with the way out.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// Lets one attempt's guest in.
    fn admit(&self, visitor: Visitor) -> Arc<dyn Reach>;
}

/// Whose guest it is, and what it may reach.
pub struct Visitor {
    /// The attempt.
    pub attempt: AttemptRef,
    /// The models it may call, as `provider/model`.
    pub models: Vec<String>,
    /// What the proxy lets through.
    pub network: Vec<String>,
    /// The names of the secrets that the proxy uses on its behalf.
    pub secrets: Vec<String>,
    /// Where each of them goes, as it was agreed to.
    pub secret_terms: BTreeMap<String, String>,
    /// Who pays for model calls.
    pub purse: Arc<dyn Purse>,
    /// Lines for the attempt's log.
    pub log: mpsc::Sender<String>,
    /// Ends every connection.
    pub stop: CancellationToken,
    /// When the attempt's time is up.
    pub deadline: Option<Instant>,
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor").field("attempt", &self.attempt).field("models", &self.models).finish_non_exhaustive()
    }
}

/// What one attempt's guest reaches, and what that came to.
pub trait Reach: fmt::Debug + Send + Sync {
    /// Serves a connection until it ends.
    fn connect(&self, service: Service, stream: DataStream) -> BoxFuture<'static, ()>;
    /// What its model calls cost so far.
    fn spent(&self) -> Spend;
    /// The connections it asked for.
    fn egress(&self) -> Vec<EgressRecord>;
    /// Waits until the cost of every model call is told to whoever pays.
    fn settled(&self) -> BoxFuture<'_, ()>;
}
