//! Bodies and queries whose errors are [`Problem`](bus_schemas::v1::api::Problem)s that name the field.

use axum::{
    Json,
    extract::{
        FromRequest, FromRequestParts, Query, Request,
        rejection::{JsonRejection, QueryRejection},
    },
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::{
    guard::too_large,
    problem::{ApiError, problem},
};

/// A JSON body.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(ApiError(match &rejection {
                JsonRejection::JsonDataError(_) | JsonRejection::JsonSyntaxError(_) => {
                    problem(400, "bad_request", format!("request body: {}", place(&rejection.body_text())), None)
                }
                JsonRejection::MissingJsonContentType(_) => problem(
                    415,
                    "bad_request",
                    "request body is not declared as JSON",
                    Some("send the header `content-type: application/json`"),
                ),
                _ if rejection.status().as_u16() == 413 => too_large(),
                _ => problem(rejection.status().as_u16(), "bad_request", rejection.body_text(), None),
            })),
        }
    }
}

/// The useful end of serde's message: `field: what at line 1 column 2`.
fn place(text: &str) -> &str {
    text.split_once(": ").map_or(text, |(_, rest)| rest)
}

/// A query string.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Query::<T>::from_request_parts(parts, state).await.map(|Query(params)| Self(params)).map_err(
            |rejection: QueryRejection| {
                ApiError(problem(400, "bad_request", format!("query: {}", place(&rejection.body_text())), None))
            },
        )
    }
}
