//! The routes about requests to people.

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::IntoResponse as _,
    routing::{get, post},
};
use bus_schemas::v1::api::{AskRequest, BatchRequest, DecisionRequest, DelegateRequest, RevokeRequest, ViewedRequest};
use serde::Deserialize;

use super::{
    extract::{Body, Params},
    peer::Peer,
    router::{Answer, Api, answer},
};
use crate::port::Service;

pub(super) fn routes<S: Service>() -> Router<Api<S>> {
    Router::new()
        .route("/v1/approvals", get(approvals::<S>))
        .route("/v1/approvals/{id}", get(approval::<S>))
        .route("/v1/approvals/{id}/decision", post(decide::<S>))
        .route("/v1/approvals/{id}/ask", post(ask::<S>))
        .route("/v1/approvals/{id}/delegate", post(delegate::<S>))
        .route("/v1/approvals/{id}/viewed", post(viewed::<S>))
        .route("/v1/decisions", post(decisions::<S>))
        .route("/v1/remembered", get(remembered::<S>))
        .route("/v1/remembered/{id}/revoke", post(revoke::<S>))
        .route("/v1/fatigue", get(fatigue::<S>))
        .route("/v1/audit", get(audit::<S>))
        .route("/v1/audit/verify", get(verify::<S>))
}

#[derive(Deserialize)]
struct ApprovalsParams {
    #[serde(default)]
    all: bool,
}

async fn approvals<S: Service>(State(api): State<Api<S>>, Params(params): Params<ApprovalsParams>) -> Answer {
    let list = api.service.approvals_json(params.all).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], list).into_response())
}

async fn approval<S: Service>(State(api): State<Api<S>>, Path(id): Path<String>) -> Answer {
    answer(api.service.approval(&id).await)
}

async fn decide<S: Service>(
    State(api): State<Api<S>>,
    peer: Peer,
    Path(id): Path<String>,
    Body(mut request): Body<DecisionRequest>,
) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    answer(api.service.decide(&id, request).await)
}

async fn ask<S: Service>(
    State(api): State<Api<S>>,
    peer: Peer,
    Path(id): Path<String>,
    Body(mut request): Body<AskRequest>,
) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    answer(api.service.ask_agent(&id, request).await)
}

async fn delegate<S: Service>(
    State(api): State<Api<S>>,
    peer: Peer,
    Path(id): Path<String>,
    Body(mut request): Body<DelegateRequest>,
) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    answer(api.service.delegate(&id, request).await)
}

async fn viewed<S: Service>(
    State(api): State<Api<S>>,
    peer: Peer,
    Path(id): Path<String>,
    Body(mut request): Body<ViewedRequest>,
) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    api.service.viewed(&id, request).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn decisions<S: Service>(State(api): State<Api<S>>, peer: Peer, Body(mut request): Body<BatchRequest>) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    answer(api.service.decide_batch(request).await)
}

async fn remembered<S: Service>(State(api): State<Api<S>>) -> Answer {
    answer(api.service.remembered().await)
}

async fn revoke<S: Service>(
    State(api): State<Api<S>>,
    peer: Peer,
    Path(id): Path<String>,
    Body(mut request): Body<RevokeRequest>,
) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    answer(api.service.revoke(&id, request).await)
}

async fn fatigue<S: Service>(State(api): State<Api<S>>) -> Answer {
    answer(api.service.fatigue().await)
}

#[derive(Deserialize)]
struct AuditParams {
    #[serde(default)]
    after: u64,
    project: Option<String>,
}

async fn audit<S: Service>(State(api): State<Api<S>>, Params(params): Params<AuditParams>) -> Answer {
    answer(api.service.audit(params.after, params.project.as_deref()).await)
}

#[derive(Deserialize)]
struct VerifyParams {
    head: Option<String>,
}

async fn verify<S: Service>(State(api): State<Api<S>>, Params(params): Params<VerifyParams>) -> Answer {
    answer(api.service.verify_audit(params.head).await)
}
