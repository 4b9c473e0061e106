//! The routes about mail.

use axum::{
    Router,
    extract::{Path, State},
    http::header,
    response::IntoResponse as _,
    routing::{get, post},
};
use bus_schemas::v1::api::{LetterQuery, LetterRequest};
use serde::Deserialize;

use super::{
    extract::{Body, Params},
    peer::Peer,
    router::{Answer, Api, answer},
};
use crate::port::Service;

pub(super) fn routes<S: Service>() -> Router<Api<S>> {
    Router::new()
        .route("/v1/mail", get(mail::<S>))
        .route("/v1/mail/letters", get(letters::<S>))
        .route("/v1/mail/letters/{id}", get(letter::<S>))
        .route("/v1/mail/letters/{id}/text", get(text::<S>))
        .route("/v1/mail/letters/{id}/release", post(release::<S>))
        .route("/v1/mail/letters/{id}/drop", post(discard::<S>))
        .route("/v1/mail/outbox", get(outbox::<S>))
}

async fn mail<S: Service>(State(api): State<Api<S>>) -> Answer {
    answer(api.service.mail().await)
}

async fn letters<S: Service>(State(api): State<Api<S>>, Params(query): Params<LetterQuery>) -> Answer {
    answer(api.service.letters(query).await)
}

async fn letter<S: Service>(State(api): State<Api<S>>, Path(id): Path<String>) -> Answer {
    answer(api.service.letter(&id).await)
}

async fn text<S: Service>(State(api): State<Api<S>>, Path(id): Path<String>) -> Answer {
    let text = api.service.letter_text(&id).await?;
    // Whoever opens this in a browser must not see a page that a stranger wrote.
    let headers = [
        (header::CONTENT_TYPE, "message/rfc822"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"mail.eml\""),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, text).into_response())
}

async fn release<S: Service>(
    State(api): State<Api<S>>,
    peer: Peer,
    Path(id): Path<String>,
    Body(mut request): Body<LetterRequest>,
) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    answer(api.service.release_letter(&id, request).await)
}

async fn discard<S: Service>(
    State(api): State<Api<S>>,
    peer: Peer,
    Path(id): Path<String>,
    Body(mut request): Body<LetterRequest>,
) -> Answer {
    request.by = peer.person(api.service.trusts_names(), &request.channel, request.by)?;
    answer(api.service.drop_letter(&id, request).await)
}

#[derive(Deserialize)]
struct OutboxParams {
    #[serde(default)]
    limit: u32,
}

async fn outbox<S: Service>(State(api): State<Api<S>>, Params(params): Params<OutboxParams>) -> Answer {
    answer(api.service.mail_outbox(params.limit).await)
}
