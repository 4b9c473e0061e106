//! Calls a model through the host's gateway: one stream of the data port, one HTTP exchange.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bus_schemas::v1::{
    agent::ModelBrief,
    guest::{DataHeader, Service},
};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{ACCEPT, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use super::{
    console::Console,
    data::Opener,
    wire::{self, Decoder, Reader, Request, failure},
};
use crate::{
    agent::{Answer, Failure, Message},
    tool::call::ToolSpec,
};

/// The gateway may hold a request back for minutes, and a slow model may read a long context for as long.
const HEAD_WAIT: Duration = Duration::from_secs(20 * 60);
/// A stream that is silent for so long is broken.
const IDLE_WAIT: Duration = Duration::from_secs(5 * 60);
/// The longest answer, in bytes on the wire.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// The longest error that is read, in bytes.
const ERROR_BYTES: usize = 256 * 1024;

/// The models of an attempt.
#[derive(Debug)]
pub(crate) struct Models {
    opener: Opener,
    briefs: Vec<ModelBrief>,
    /// Those that want `max_completion_tokens`.
    completion_tokens: Mutex<BTreeSet<usize>>,
}

impl Models {
    pub(crate) fn new(opener: Opener, briefs: Vec<ModelBrief>) -> Self {
        Self { opener, briefs, completion_tokens: Mutex::default() }
    }

    pub(crate) fn brief(&self, model: usize) -> Option<&ModelBrief> {
        self.briefs.get(model)
    }

    /// Asks a model. What it says goes to `live` as it comes.
    pub(crate) async fn call(
        &self,
        model: usize,
        system: &str,
        tools: &[ToolSpec],
        context: &[Arc<Message>],
        live: &Console,
    ) -> Result<Answer, Failure> {
        let refused = |detail: &str| Failure::Refused { detail: detail.into() };
        let brief = self.briefs.get(model).ok_or_else(|| refused("there is no such model"))?;
        let completion_tokens = self.completion_tokens().contains(&model);
        let request = Request { brief, system, tools, context, completion_tokens };
        let answered = self.exchange(&request, live).await;
        match answered {
            // Some models of one provider want another word for the same.
            Err(Failure::Refused { detail }) if !completion_tokens && detail.contains("max_completion_tokens") => {
                self.completion_tokens().insert(model);
                self.exchange(&Request { completion_tokens: true, ..request }, live).await
            }
            answered => answered,
        }
    }

    fn completion_tokens(&self) -> std::sync::MutexGuard<'_, BTreeSet<usize>> {
        self.completion_tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(&self, request: &Request<'_>, live: &Console) -> Result<Answer, Failure> {
        let cut = |error: io::Error| Failure::Cut { detail: format!("reach the host's gateway: {error}") };
        let body = wire::body(request)?;
        let stream = self.opener.open(&DataHeader::Connect { service: Service::Models }).await.map_err(cut)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Whoever stops waiting for the answer ends the connection, too.
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let request_line = hyper::Request::builder()
            .method(Method::POST)
            .uri(wire::path(request.brief.wire))
            .header(HOST, "models")
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream")
            .header("anthropic-version", "2023-06-01")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::Refused { detail: error.to_string() })?;
        let head = tokio::time::timeout(HEAD_WAIT, sender.send_request(request_line)).await;
        let response = head.map_err(|_| Failure::Cut { detail: "no answer came".into() })?.map_err(broken)?;
        let (head, mut body) = response.into_parts();
        if !head.status.is_success() {
            let body = collect(&mut body, ERROR_BYTES).await.unwrap_or_default();
            return Err(failure(head.status.as_u16(), &body));
        }
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/event-stream") {
            return read(request.brief, &mut body, live).await;
        }
        wire::whole(request.brief, &collect(&mut body, ANSWER_BYTES).await?)
    }
}

/// Reads a streamed answer to its end.
async fn read(brief: &ModelBrief, body: &mut Incoming, live: &Console) -> Result<Answer, Failure> {
    let (mut decoder, mut reader) = (Decoder::default(), Reader::new(brief));
    let mut length = 0;
    while let Some(bytes) = piece(body).await? {
        length += bytes.len();
        if length > ANSWER_BYTES {
            return Err(too_large());
        }
        for event in decoder.take(&bytes)? {
            if let Some(text) = reader.event(&event)? {
                live.print(text.as_bytes()).await;
            }
        }
    }
    reader.finish()
}

async fn collect(body: &mut Incoming, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    while let Some(bytes) = piece(body).await? {
        if all.len() + bytes.len() > limit {
            return Err(too_large());
        }
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

async fn piece(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    loop {
        let frame = tokio::time::timeout(IDLE_WAIT, body.frame()).await;
        match frame.map_err(|_| Failure::Cut { detail: "it fell silent".into() })? {
            None => return Ok(None),
            Some(Err(error)) => return Err(broken(error)),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

fn broken(error: hyper::Error) -> Failure {
    Failure::Cut { detail: error.to_string() }
}

fn too_large() -> Failure {
    Failure::Server { detail: format!("an answer of more than {ANSWER_BYTES} bytes") }
}
