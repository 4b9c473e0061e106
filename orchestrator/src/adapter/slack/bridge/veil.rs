//! What is known by heart and never goes out is taken away from what is shown *before* anything is cut or escaped: half a
//! secret is one that nobody recognises any more. What goes out is looked at once more, as it is.

use bus_schemas::{
    id::ApprovalId,
    v1::api::{ApprovalView, Problem},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{answers, core::Bridge, desk::Desk};
use crate::{
    adapter::slack::{
        SlackWeb,
        view::{secrets, text},
    },
    port::{
        Service,
        waiting::{Waiting, Waits},
    },
};

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// A request as people may see it.
    pub(super) async fn request(&self, approval_id: ApprovalId) -> Result<ApprovalView, Problem> {
        let view = self.0.service.approval(&approval_id.to_string()).await?;
        self.veiled(&view)
    }

    /// The first of some of the requests that wait, as people may see them.
    pub(super) async fn waiting(&self, which: Waiting, limit: usize) -> Result<Waits, Problem> {
        let found = self.0.service.waiting(which, limit).await?;
        Ok(Waits { requests: self.veiled(&found.requests)?, ..found })
    }

    /// Something the orchestrator said, as people may see it.
    pub(super) fn veiled<T: Serialize + DeserializeOwned>(&self, value: &T) -> Result<T, Problem> {
        self.hidden(value).ok_or_else(|| Problem {
            code: "unshowable".to_owned(),
            status: 500,
            detail: "it cannot be shown safely in Slack".to_owned(),
            hint: Some("`baton approvals` shows it".to_owned()),
            findings: Vec::new(),
        })
    }

    /// What went wrong, as people may see it.
    pub(super) fn told(&self, problem: &Problem) -> Problem {
        self.veiled(problem).unwrap_or_else(|unshowable| unshowable)
    }

    /// What went wrong, in its own words.
    pub(super) fn plain(&self, problem: &Problem) -> String {
        answers::plain(&self.told(problem))
    }

    /// The same without the secrets that are known by heart.
    pub(super) fn hidden<T: Serialize + DeserializeOwned>(&self, value: &T) -> Option<T> {
        match text::hide(value, &self.0.settings.secrets) {
            Ok(hidden) => Some(hidden),
            Err(error) => {
                tracing::error!(%error, "Slack: something cannot be shown safely, so it is not shown");
                None
            }
        }
    }

    /// Blocks without the secrets that are known by heart.
    pub(super) fn shown(&self, blocks: &[Value]) -> Vec<Value> {
        blocks.iter().filter_map(|block| self.hidden(block)).collect()
    }

    /// Text without the secrets that are known by heart.
    pub(super) fn without_known(&self, text: &str) -> String {
        secrets::without(text, &self.0.settings.secrets)
    }
}
