//! A provider of tokens: what a mail program gets an access token from, and what Dovecot asks whether it is good.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::tables::Tables;

/// The client the token endpoint knows.
pub const CLIENT_ID: &str = "baton-client";
/// Its secret.
pub const CLIENT_SECRET: &str = "baton-client-secret";

pub(super) async fn serve(listener: TcpListener, tables: Tables) {
    let routes = Router::new()
        .route("/token", post(token))
        .route("/introspect", post(introspect).get(introspect))
        .route("/health", get(|| async { "ok" }))
        .with_state(tables);
    let _ = axum::serve(listener, routes).await;
}

/// A form's field; tokens of the test need no decoding.
fn field<'a>(form: &'a str, name: &str) -> Option<&'a str> {
    form.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// RFC 6749, sections 4.4 and 6: a new access token for a refresh token.
async fn token(State(tables): State<Tables>, form: String) -> (StatusCode, Json<Value>) {
    let refused = |status, error: &str| (status, Json(json!({ "error": error })));
    let mut held = tables.lock();
    held.refreshed += 1;
    if field(&form, "client_id") != Some(CLIENT_ID) || field(&form, "client_secret") != Some(CLIENT_SECRET) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    if field(&form, "grant_type") != Some("refresh_token") {
        return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let refresh = field(&form, "refresh_token").unwrap_or_default();
    let Some(owner) = held.refresh.get(refresh).cloned() else {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let access = format!("access-{}", held.refreshed);
    held.tokens.insert(access.clone(), owner.clone());
    let mut granted = json!({ "access_token": access, "token_type": "Bearer", "expires_in": held.lasts });
    if held.rotates {
        let fresh = format!("refresh-{}", held.refreshed);
        held.refresh.remove(refresh);
        held.refresh.insert(fresh.clone(), owner);
        granted["refresh_token"] = fresh.into();
    }
    (StatusCode::OK, Json(granted))
}

/// RFC 7662: whether a token is good, and whose it is.
async fn introspect(State(tables): State<Tables>, form: String) -> Json<Value> {
    let owner = field(&form, "token").and_then(|token| tables.lock().tokens.get(token).cloned());
    Json(owner.map_or_else(|| json!({ "active": false }), |owner| json!({ "active": true, "username": owner })))
}
