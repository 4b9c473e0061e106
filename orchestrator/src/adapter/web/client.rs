//! The API's first client.

mod ledger;
mod mail;

use std::{collections::VecDeque, path::PathBuf, pin::Pin, time::Duration};

use bus_schemas::v1::{
    api::{
        ApplyRequest, ApplyView, BudgetRequest, CancelRequest, DeadLetterView, DiffView, EditPlanRequest, FeedEvent,
        Health, HostView, JournalEntry, NewProject, PlanReport, PlanSource, PlanView, Problem, ProjectView,
        RebuildReport, TellRequest, TellView, UndoRequest,
    },
    task::LogChunk,
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    event_stream::{Decoder, decode},
    probe::root,
};
use crate::config::Secret;

/// A socket that takes this long to answer belongs to a hung process.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// Where an orchestrator is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// On this machine.
    Unix(PathBuf),
    /// Over TCP.
    Http {
        /// `http://host:port`
        url: String,
        /// Its token, if it wants one.
        token: Option<Secret>,
    },
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Http { url, .. } => f.write_str(url),
        }
    }
}

/// A call did not give an answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody is there.
    #[error("no orchestrator answers at {endpoint}: {reason}")]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// It was there and went away in the middle.
    #[error("{operation}: the connection was lost: {reason}")]
    Lost {
        /// What was under way.
        operation: &'static str,
        /// Why.
        reason: String,
    },
    /// It answered with a problem.
    #[error("{}", .0.detail)]
    Problem(Problem),
    /// It answered something else than the API says.
    #[error("{operation}: {detail}")]
    Protocol {
        /// What was asked.
        operation: &'static str,
        /// What is wrong.
        detail: String,
    },
}

/// Items of a stream as they come; ends when the server ends it.
pub type Items<T> = Pin<Box<dyn Stream<Item = Result<T, ClientError>> + Send>>;

/// Speaks to one orchestrator. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    endpoint: Endpoint,
}

impl Client {
    /// A client; nothing is connected yet.
    ///
    /// # Errors
    /// [`ClientError::Protocol`] if the endpoint is not a URL.
    pub fn new(endpoint: Endpoint) -> Result<Self, ClientError> {
        let invalid = |detail: String| ClientError::Protocol { operation: "set up the client", detail };
        let builder = http().connect_timeout(CONNECT_TIMEOUT);
        let (builder, base) = match &endpoint {
            Endpoint::Unix(path) => (builder.unix_socket(path.clone()), "http://baton".to_owned()),
            Endpoint::Http { url, .. } => (builder, url.clone()),
        };
        let http = builder.build().map_err(|error| invalid(error.to_string()))?;
        let base = Url::parse(&base).map_err(|error| invalid(format!("{base}: {error}")))?;
        if base.cannot_be_a_base() {
            return Err(invalid(format!("{base} is not an http address")));
        }
        Ok(Self { http, base, endpoint })
    }

    /// Where it speaks to.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn request(&self, method: Method, segments: &[&str], query: &[(&str, String)]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().push("v1").extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        match &self.endpoint {
            Endpoint::Http { token: Some(token), .. } => request.bearer_auth(token.expose()),
            _ => request,
        }
    }

    async fn send(&self, operation: &'static str, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| {
            let reason = root(&error);
            if error.is_connect() || error.is_timeout() {
                ClientError::Unreachable { endpoint: self.endpoint.to_string(), reason }
            } else {
                ClientError::Lost { operation, reason }
            }
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.map_err(|error| ClientError::Lost { operation, reason: root(&error) })?;
        Err(serde_json::from_str(&text).map_or_else(
            |_| ClientError::Protocol { operation, detail: format!("answer {status} is not of this API") },
            ClientError::Problem,
        ))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        let response = self.send(operation, request).await?;
        let bytes = response.bytes().await.map_err(|error| ClientError::Lost { operation, reason: root(&error) })?;
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Protocol { operation, detail: error.to_string() })
    }

    async fn get<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, ClientError> {
        self.call(operation, self.request(Method::GET, segments, query)).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        segments: &[&str],
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        self.call(operation, self.request(Method::POST, segments, &[]).json(body)).await
    }

    async fn items<T: DeserializeOwned + Send + 'static>(
        &self,
        operation: &'static str,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<Items<T>, ClientError> {
        let response = self.send(operation, self.request(Method::GET, segments, query)).await?;
        Ok(Box::pin(decoded(operation, response.bytes_stream())))
    }

    /// `GET /v1/health`, with a time limit: a hung orchestrator is not a healthy one.
    ///
    /// # Errors
    /// [`ClientError`], as every method here.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.call("ask for health", self.request(Method::GET, &["health"], &[]).timeout(HEALTH_TIMEOUT)).await
    }

    /// `GET /v1/hosts`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn hosts(&self) -> Result<Vec<HostView>, ClientError> {
        self.get("list hosts", &["hosts"], &[]).await
    }

    /// `POST /v1/projects`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_project(&self, new: &NewProject) -> Result<ProjectView, ClientError> {
        self.post("start the project", &["projects"], new).await
    }

    /// `GET /v1/projects`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn projects(&self) -> Result<Vec<ProjectView>, ClientError> {
        self.get("list projects", &["projects"], &[]).await
    }

    /// `GET /v1/projects/{id}`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn project(&self, id: &str) -> Result<ProjectView, ClientError> {
        self.get("read the project", &["projects", id], &[]).await
    }

    /// `GET /v1/projects/{id}/events`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn feed(&self, id: &str, after: u64) -> Result<Items<FeedEvent>, ClientError> {
        self.items("follow the project", &["projects", id, "events"], &[("after", after.to_string())]).await
    }

    /// `GET /v1/projects/{id}/logs`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn logs(&self, id: &str, task: Option<&str>, follow: bool) -> Result<Items<LogChunk>, ClientError> {
        let mut query = vec![("follow", follow.to_string())];
        query.extend(task.map(|task| ("task", task.to_owned())));
        self.items("read logs", &["projects", id, "logs"], &query).await
    }

    /// `GET /v1/projects/{id}/journal`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn journal(&self, id: &str) -> Result<Vec<JournalEntry>, ClientError> {
        self.get("read the journal", &["projects", id, "journal"], &[]).await
    }

    /// `GET /v1/projects/{id}/diff`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn diff(&self, id: &str, task: Option<&str>) -> Result<DiffView, ClientError> {
        let query: Vec<_> = task.map(|task| ("task", task.to_owned())).into_iter().collect();
        self.get("read the diff", &["projects", id, "diff"], &query).await
    }

    /// `GET /v1/projects/{id}/plan`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn plan(&self, id: &str) -> Result<PlanView, ClientError> {
        self.get("read the plan", &["projects", id, "plan"], &[]).await
    }

    /// `POST /v1/projects/{id}/plan`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn edit_plan(&self, id: &str, request: &EditPlanRequest) -> Result<ProjectView, ClientError> {
        self.post("edit the plan", &["projects", id, "plan"], request).await
    }

    /// `POST /v1/projects/{id}/tell`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn tell(&self, id: &str, request: &TellRequest) -> Result<TellView, ClientError> {
        self.post("tell", &["projects", id, "tell"], request).await
    }

    /// `POST /v1/projects/{id}/budget`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn budget(&self, id: &str, request: &BudgetRequest) -> Result<ProjectView, ClientError> {
        self.post("set limits", &["projects", id, "budget"], request).await
    }

    /// `POST /v1/projects/{id}/cancel`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn cancel(&self, id: &str, request: &CancelRequest) -> Result<ProjectView, ClientError> {
        self.post("cancel", &["projects", id, "cancel"], request).await
    }

    /// `POST /v1/projects/{id}/apply`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn apply(&self, id: &str, request: &ApplyRequest) -> Result<ApplyView, ClientError> {
        self.post("apply", &["projects", id, "apply"], request).await
    }

    /// `POST /v1/projects/{id}/undo`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn undo(&self, id: &str, request: &UndoRequest) -> Result<ApplyView, ClientError> {
        self.post("undo", &["projects", id, "undo"], request).await
    }

    /// `POST /v1/plans/check`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn check_plan(&self, source: &PlanSource) -> Result<PlanReport, ClientError> {
        self.post("check the plan", &["plans", "check"], source).await
    }

    /// `GET /v1/dead-letters`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetterView>, ClientError> {
        self.get("list messages set aside", &["dead-letters"], &[]).await
    }

    /// `POST /v1/rebuild`
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn rebuild(&self) -> Result<RebuildReport, ClientError> {
        self.call("rebuild", self.request(Method::POST, &["rebuild"], &[])).await
    }
}

struct Reading<B> {
    bytes: B,
    decoder: Decoder,
    ready: VecDeque<String>,
}

/// The events in a body. After an error there is nothing more.
fn decoded<T: DeserializeOwned>(
    operation: &'static str,
    bytes: impl Stream<Item = reqwest::Result<Bytes>> + Send + Unpin,
) -> impl Stream<Item = Result<T, ClientError>> + Send {
    let start = Reading { bytes, decoder: Decoder::default(), ready: VecDeque::new() };
    stream::unfold(Some(start), move |state| async move {
        let mut reading = state?;
        loop {
            if let Some(data) = reading.ready.pop_front() {
                return match decode(&data) {
                    Ok(item) => Some((Ok(item), Some(reading))),
                    Err(error) => Some((Err(error), None)),
                };
            }
            match reading.bytes.next().await? {
                Ok(chunk) => match reading.decoder.push(&chunk) {
                    Ok(events) => reading.ready.extend(events),
                    Err(error) => return Some((Err(error), None)),
                },
                Err(error) => return Some((Err(ClientError::Lost { operation, reason: root(&error) }), None)),
            }
        }
    })
}

/// What every client begins with: no proxy of the environment, and cryptography named, which reqwest leaves to the program.
pub(in crate::adapter) fn http() -> reqwest::ClientBuilder {
    // It was installed before, the second time.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}
