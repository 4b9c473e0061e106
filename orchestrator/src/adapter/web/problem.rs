//! Errors as `application/problem+json`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bus_schemas::v1::api::Problem;

/// A problem without findings.
#[must_use]
pub fn problem(status: u16, code: &str, detail: impl Into<String>, hint: Option<&str>) -> Problem {
    Problem {
        code: code.to_owned(),
        status,
        detail: detail.into(),
        hint: hint.map(str::to_owned),
        findings: Vec::new(),
    }
}

/// A problem on its way out.
#[derive(Debug)]
pub(super) struct ApiError(pub(super) Problem);

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
