//! One route per row of the table in [`bus_schemas::v1::api`].

use std::convert::Infallible;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    middleware,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use bus_schemas::v1::api::{
    ApplyRequest, BudgetRequest, CancelRequest, EditPlanRequest, NewProject, PlanSource, Problem, TellRequest,
    UndoRequest,
};
use futures::{Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    extract::{Body, Params},
    guard, ledger, mail,
    peer::Peer,
    problem::{ApiError, problem},
};
use crate::port::Service;

/// A plan with its scripts is the largest body there is.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// What every route can reach.
#[derive(Clone)]
pub(super) struct Api<S> {
    pub(super) service: S,
    /// Ends the streams, which would otherwise hold the server open.
    shutdown: CancellationToken,
}

/// The whole API over `service`. Streams end when `shutdown` is cancelled.
pub fn router<S: Service>(service: S, shutdown: CancellationToken) -> Router {
    Router::new()
        .route("/v1/health", get(health::<S>))
        .route("/v1/hosts", get(hosts::<S>))
        .route("/v1/projects", get(projects::<S>).post(create_project::<S>))
        .route("/v1/projects/{id}", get(project::<S>))
        .route("/v1/projects/{id}/events", get(events::<S>))
        .route("/v1/projects/{id}/logs", get(logs::<S>))
        .route("/v1/projects/{id}/journal", get(journal::<S>))
        .route("/v1/projects/{id}/diff", get(diff::<S>))
        .route("/v1/projects/{id}/plan", get(plan::<S>).post(edit_plan::<S>))
        .route("/v1/projects/{id}/tell", post(tell::<S>))
        .route("/v1/projects/{id}/budget", post(budget::<S>))
        .route("/v1/projects/{id}/cancel", post(cancel::<S>))
        .route("/v1/projects/{id}/apply", post(apply::<S>))
        .route("/v1/projects/{id}/undo", post(undo::<S>))
        .route("/v1/plans/check", post(check_plan::<S>))
        .route("/v1/dead-letters", get(dead_letters::<S>))
        .route("/v1/rebuild", post(rebuild::<S>))
        .merge(ledger::routes::<S>())
        .merge(mail::routes::<S>())
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(MAX_BODY_BYTES as u64, guard::small))
        .with_state(Api { service, shutdown })
}

async fn no_route(uri: Uri) -> ApiError {
    ApiError(problem(404, "no_route", format!("the API has nothing at {}", uri.path()), None))
}

async fn no_method(method: Method, uri: Uri) -> ApiError {
    ApiError(problem(405, "no_method", format!("{} does not take {method}", uri.path()), None))
}

pub(super) type Answer = Result<Response, ApiError>;

/// A value as JSON, a problem as itself.
pub(super) fn answer<T: Serialize>(result: Result<T, Problem>) -> Answer {
    result.map(|value| Json(value).into_response()).map_err(ApiError)
}

async fn health<S: Service>(State(api): State<Api<S>>) -> Answer {
    answer(api.service.health().await)
}

async fn hosts<S: Service>(State(api): State<Api<S>>) -> Answer {
    answer(api.service.hosts().await)
}

async fn projects<S: Service>(State(api): State<Api<S>>) -> Answer {
    answer(api.service.projects().await)
}

async fn create_project<S: Service>(State(api): State<Api<S>>, peer: Peer, Body(mut new): Body<NewProject>) -> Answer {
    new.owner = peer.person(api.service.trusts_names(), &new.channel, new.owner)?;
    let (project, is_new) = api.service.start_project(new).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(project)).into_response())
}

async fn project<S: Service>(State(api): State<Api<S>>, Path(id): Path<String>) -> Answer {
    answer(api.service.project(&id).await)
}

#[derive(Deserialize)]
struct EventsParams {
    after: Option<u64>,
}

async fn events<S: Service>(
    State(api): State<Api<S>>,
    Path(id): Path<String>,
    Params(params): Params<EventsParams>,
    headers: HeaderMap,
) -> Answer {
    let seen = headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let after = seen.max(params.after).unwrap_or(0);
    let feed = api.service.feed(&id, after).await?;
    Ok(stream(feed, api.shutdown, |event| (event.sequence.to_string(), event.kind.clone())))
}

#[derive(Deserialize)]
struct LogsParams {
    task: Option<String>,
    #[serde(default)]
    follow: bool,
}

async fn logs<S: Service>(
    State(api): State<Api<S>>,
    Path(id): Path<String>,
    Params(params): Params<LogsParams>,
) -> Answer {
    let chunks = api.service.logs(&id, params.task.as_deref(), params.follow).await?;
    Ok(stream(chunks, api.shutdown, |chunk| {
        let attempt = chunk.attempt;
        (format!("{}/{}/{}", attempt.task_id, attempt.number, chunk.sequence), "attempt.log".to_owned())
    }))
}

/// Items as server-sent events, each with the id and the name that `label` gives it.
fn stream<T: Serialize + Send + 'static>(
    items: impl Stream<Item = T> + Send + 'static,
    shutdown: CancellationToken,
    label: impl Fn(&T) -> (String, String) + Send + 'static,
) -> Response {
    let events = items.take_until(shutdown.cancelled_owned()).map(move |item| {
        let (id, name) = label(&item);
        // Wire types always have a JSON form; if one had none, the client would see the gap as a comment.
        let event = Event::default().id(id).event(name).json_data(item);
        Ok::<_, Infallible>(event.unwrap_or_else(|_| Event::default().comment("item without a JSON form")))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

async fn journal<S: Service>(State(api): State<Api<S>>, Path(id): Path<String>) -> Answer {
    answer(api.service.journal(&id).await)
}

#[derive(Deserialize)]
struct DiffParams {
    task: Option<String>,
}

async fn diff<S: Service>(
    State(api): State<Api<S>>,
    Path(id): Path<String>,
    Params(params): Params<DiffParams>,
) -> Answer {
    answer(api.service.diff(&id, params.task.as_deref()).await)
}

async fn plan<S: Service>(State(api): State<Api<S>>, Path(id): Path<String>) -> Answer {
    answer(api.service.plan(&id).await)
}

async fn edit_plan<S: Service>(
    State(api): State<Api<S>>,
    peer: Peer,
    Path(id): Path<String>,
    Body(mut request): Body<EditPlanRequest>,
) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    answer(api.service.edit_plan(&id, request).await)
}

async fn tell<S: Service>(
    State(api): State<Api<S>>,
    peer: Peer,
    Path(id): Path<String>,
    Body(mut request): Body<TellRequest>,
) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    answer(api.service.tell(&id, request).await)
}

async fn budget<S: Service>(
    State(api): State<Api<S>>,
    peer: Peer,
    Path(id): Path<String>,
    Body(mut request): Body<BudgetRequest>,
) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    answer(api.service.budget(&id, request).await)
}

async fn cancel<S: Service>(
    State(api): State<Api<S>>,
    peer: Peer,
    Path(id): Path<String>,
    Body(mut request): Body<CancelRequest>,
) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    answer(api.service.cancel(&id, request).await)
}

async fn apply<S: Service>(
    State(api): State<Api<S>>,
    peer: Peer,
    Path(id): Path<String>,
    Body(mut request): Body<ApplyRequest>,
) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    answer(api.service.apply(&id, request).await)
}

async fn undo<S: Service>(
    State(api): State<Api<S>>,
    peer: Peer,
    Path(id): Path<String>,
    Body(mut request): Body<UndoRequest>,
) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    answer(api.service.undo(&id, request).await)
}

async fn check_plan<S: Service>(State(api): State<Api<S>>, Body(source): Body<PlanSource>) -> Answer {
    answer(api.service.check_plan(source).await)
}

async fn dead_letters<S: Service>(State(api): State<Api<S>>) -> Answer {
    answer(api.service.dead_letters().await)
}

async fn rebuild<S: Service>(State(api): State<Api<S>>) -> Answer {
    answer(api.service.rebuild().await)
}
