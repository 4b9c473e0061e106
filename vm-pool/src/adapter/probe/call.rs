//! A call the way a guest makes it: HTTP on a stream that the gateway serves.

use std::{sync::Arc, time::Duration};

use bus_schemas::{
    id::{AttemptRef, MessageId, ProjectId, TaskId},
    v1::agent::{Spend, Wire},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

use super::wire::path;
use crate::{
    adapter::gateway::{Access, Gateway, Meter},
    port::{Denied, Purse},
};

/// A model on a slow machine takes its time.
const WAIT: Duration = Duration::from_secs(180);
const BUFFER_BYTES: usize = 64 * 1024;
/// The longest text of a provider that is repeated.
const SHOWN_CHARS: usize = 300;

/// Whoever checks pays.
struct Own;

impl Purse for Own {
    fn reserve(&self, _: MessageId, _: Spend) -> BoxFuture<'_, Result<(), Denied>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn settle(&self, _: MessageId, _: Spend) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Sends a request; the answer's text.
pub(super) async fn send(gateway: &Gateway, model: &str, wire: Wire, body: &Value) -> Result<String, String> {
    let sent = tokio::time::timeout(WAIT, sent(gateway, model, wire, body)).await;
    sent.unwrap_or_else(|_| Err(format!("no answer within {} s", WAIT.as_secs())))
}

async fn sent(gateway: &Gateway, model: &str, wire: Wire, body: &Value) -> Result<String, String> {
    let attempt = AttemptRef {
        project_id: ProjectId::from_uuid(Uuid::now_v7()),
        task_id: TaskId::from_uuid(Uuid::now_v7()),
        number: 1,
    };
    let (log, _) = mpsc::channel(1);
    let access = Arc::new(Access {
        attempt,
        models: vec![model.to_owned()],
        purse: Arc::new(Own),
        meter: Meter::default(),
        stop: CancellationToken::new(),
        log,
        deadline: None,
    });
    let (client, guest) = tokio::io::duplex(BUFFER_BYTES);
    let (serving, serves) = (gateway.clone(), Arc::clone(&access));
    let _serving = AbortOnDropHandle::new(tokio::spawn(async move { serving.serve(guest, serves).await }));
    let broken = |error: hyper::Error| format!("the connection broke: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(client)).await.map_err(broken)?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let mut request =
        Request::post(path(wire)).header(header::HOST, "models").header(header::CONTENT_TYPE, "application/json");
    if wire == Wire::Messages {
        request = request.header("anthropic-version", "2023-06-01");
    }
    let request = request.body(Full::new(Bytes::from(body.to_string()))).map_err(|e| e.to_string())?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let text = match response.into_body().collect().await {
        Ok(whole) => String::from_utf8_lossy(&whole.to_bytes()).into_owned(),
        Err(_) => return Err("the answer broke off".to_owned()),
    };
    if status != StatusCode::OK {
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        let message = value["error"]["message"].as_str().or_else(|| value["error"].as_str()).unwrap_or(&text);
        return Err(format!("{}: {}", status.as_u16(), clean(message)));
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(value) if !value["error"].is_null() => Err(format!(
            "200, but with an error: {}",
            clean(value["error"]["message"].as_str().unwrap_or("no message"))
        )),
        _ => Ok(text),
    }
}

/// A provider's words, fit for a line on a terminal.
pub(super) fn clean(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect()
}
