//! A host in memory.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use bus_schemas::v1::{
    agent::{AgentWork, ModelBrief, Structured, Wire},
    guest::{AttemptAssignment, DataHeader, FromGuest, Rejuvenate, Service, StreamAnswer},
    task::{LogSource, Note, Program},
};
use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    Request, Response,
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    adapter::{
        calls::Asker,
        checkpoint::Checkpoints,
        data::{self, Stream},
        manifest::Manifest,
        output::Budget,
    },
    harness::{builtin, desk::Desk},
    port::{Layout, Machine, MachineError},
};

/// What the model server does.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Answers; the pieces, and whether it ends well.
    Answer { status: u16, kind: &'static str, pieces: Vec<String>, cut: bool },
    /// A message: text and calls, written in the wire's way.
    Message { text: String, calls: Vec<(String, Value)> },
    /// Never answers.
    Silence,
}

impl Reply {
    pub(super) fn status(status: u16, body: Value) -> Self {
        Self::Answer { status, kind: "application/json", pieces: vec![body.to_string()], cut: false }
    }

    pub(super) fn sse(stream: String) -> Self {
        Self::Answer { status: 200, kind: "text/event-stream", pieces: vec![stream], cut: false }
    }

    /// The same in the wire's way, broken off in the middle.
    pub(super) fn cut(reply: &Self) -> Self {
        let Self::Message { text, calls } = reply else { panic!("nothing to cut") };
        let stream = chat_stream(text, calls);
        let half = stream.floor_char_boundary(stream.len() / 2);
        Self::Answer { status: 200, kind: "text/event-stream", pieces: vec![stream[..half].to_owned()], cut: true }
    }
}

pub(super) fn text(text: &str) -> Reply {
    Reply::Message { text: text.into(), calls: Vec::new() }
}

pub(super) fn call(text: &str, name: &str, input: Value) -> Reply {
    Reply::Message { text: text.into(), calls: vec![(name.into(), input)] }
}

pub(super) fn hand_off(report: Value) -> Reply {
    call("", "hand_off", report)
}

fn messages_stream(text: &str, calls: &[(String, Value)]) -> String {
    let mut events =
        vec![json!({"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 0}}})];
    events.push(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}));
    events.push(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}));
    for (at, (name, input)) in calls.iter().enumerate() {
        let block = json!({"type": "tool_use", "id": format!("t{at}"), "name": name, "input": {}});
        events.push(json!({"type": "content_block_start", "index": at + 1, "content_block": block}));
        let delta = json!({"type": "input_json_delta", "partial_json": input.to_string()});
        events.push(json!({"type": "content_block_delta", "index": at + 1, "delta": delta}));
    }
    let reason = if calls.is_empty() { "end_turn" } else { "tool_use" };
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9}}));
    events.push(json!({"type": "message_stop"}));
    events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())).collect()
}

fn chat_stream(text: &str, calls: &[(String, Value)]) -> String {
    let chunk =
        |delta: Value, finish: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let mut events = vec![chunk(json!({"content": text}), Value::Null)];
    for (at, (name, input)) in calls.iter().enumerate() {
        let call =
            json!({"index": at, "id": format!("c{at}"), "function": {"name": name, "arguments": input.to_string()}});
        events.push(chunk(json!({"tool_calls": [call]}), Value::Null));
    }
    events.push(chunk(json!({}), json!(if calls.is_empty() { "stop" } else { "tool_calls" })));
    events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>() + "data: [DONE]\n\n"
}

pub(super) fn brief(name: &str, wire: Wire, structured: Structured) -> ModelBrief {
    ModelBrief { name: name.into(), wire, context_tokens: 50_000, max_output_tokens: 2000, structured, caching: true }
}

/// What the host has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) agent: String,
    pub(super) tool: String,
    /// Streams of output that have ended.
    pub(super) ended: usize,
    pub(super) requests: Vec<Value>,
    pub(super) transcript: Vec<u8>,
    pub(super) order: Vec<String>,
    /// Turns that were saved with files.
    pub(super) changes: u32,
    replies: VecDeque<(Wire, Reply)>,
    silent: bool,
}

type Shared = Arc<Mutex<Seen>>;

#[derive(Debug)]
struct Folder(Layout);

impl Machine for Folder {
    fn rejuvenate(&self, identity: &Rejuvenate) -> Result<i64, MachineError> {
        Ok(identity.wall_ns)
    }

    fn layout(&self) -> &Layout {
        &self.0
    }

    fn prepare(&self) -> Result<(), MachineError> {
        Ok(())
    }
}

/// A guest and its host.
pub(super) struct Rig {
    root: tempfile::TempDir,
    seen: Shared,
    models: Vec<ModelBrief>,
    /// How replies are written.
    pub(super) wire: Wire,
    pub(super) notes: Vec<Note>,
    pub(super) told: mpsc::UnboundedSender<Note>,
    heard: Option<mpsc::UnboundedReceiver<Note>>,
    pub(super) stop: CancellationToken,
    pub(super) last: Option<FromGuest>,
}

impl Rig {
    pub(super) fn new(models: Vec<ModelBrief>) -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["workspace", "exchange", "home", "skills"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        let (told, heard) = mpsc::unbounded_channel();
        Self {
            root,
            seen: Arc::default(),
            models,
            wire: Wire::Messages,
            notes: Vec::new(),
            told,
            heard: Some(heard),
            stop: CancellationToken::new(),
            last: None,
        }
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        let wire = self.wire;
        self.host().replies.push_back((wire, reply));
    }

    pub(super) fn host(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    pub(super) fn workspace(&self) -> PathBuf {
        self.root.path().join("workspace")
    }

    /// Lets an agent work to its end.
    pub(super) async fn run(&mut self, transcript: Option<Vec<u8>>) -> FromGuest {
        let (guest, host) = tokio::io::duplex(64 * 1024);
        let (opener, _unasked, drive) = data::start(guest, yamux::Mode::Server);
        let (_opener, streams, host_drive) = data::start(host, yamux::Mode::Client);
        let mut tasks = JoinSet::new();
        tasks.spawn(drive);
        tasks.spawn(host_drive);
        tasks.spawn(serve(streams, Arc::clone(&self.seen)));
        let at = |name: &str| self.root.path().join(name);
        let layout = Layout {
            workspace: at("workspace"),
            exchange: at("exchange"),
            home: at("home"),
            skills: at("skills"),
            services: None,
        };
        let assignment = AttemptAssignment {
            task_key: "build".into(),
            title: "Build it".into(),
            goal: "A thing".into(),
            attempt: 1,
            program: Program::Agent(AgentWork { instructions: "Do it.".into(), max_turns: 20, ..AgentWork::default() }),
            env: Default::default(),
            item: None,
            needs: Default::default(),
            notes: self.notes.clone(),
            models: self.models.clone(),
            checks: Vec::new(),
            network: Vec::new(),
            secrets: Vec::new(),
            wall_ms: 600_000,
            output_bytes: 1 << 20,
            max_processes: 4096,
        };
        let before = Arc::new(Manifest::take(&layout.workspace).unwrap());
        let (out, _calls) = mpsc::channel(1);
        let loopback = "127.0.0.1:1".parse().unwrap();
        let desk = Desk {
            checkpoints: Checkpoints::new(opener.clone(), layout.workspace.clone(), before, false),
            machine: Arc::new(Folder(layout)),
            opener,
            assignment: Arc::new(assignment),
            transcript,
            notes: self.heard.take().expect("it runs once"),
            asker: Asker::new(out),
            budget: Arc::new(Budget::new(1 << 20)),
            models: loopback,
            proxy: loopback,
            label: "test".into(),
            stop: self.stop.clone(),
        };
        let last = Box::pin(builtin::run(desk)).await;
        self.last = Some(last.clone());
        last
    }

    /// Lets an agent work until the model server falls silent, and kills it then.
    pub(super) async fn run_until_silence(&mut self) {
        let seen = Arc::clone(&self.seen);
        let silence = async {
            while !seen.lock().unwrap().silent {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            last = self.run(None) => panic!("it ended: {last:?}"),
            () = silence => {}
        }
    }
}

async fn serve(mut streams: mpsc::Receiver<Stream>, seen: Shared) {
    let mut tasks = JoinSet::new();
    while let Some(mut stream) = streams.recv().await {
        let seen = Arc::clone(&seen);
        tasks.spawn(async move {
            match data::read_header(&mut stream).await.unwrap() {
                DataHeader::Output { source } => output(stream, source, &seen).await,
                DataHeader::Checkpoint { turn, transcript_bytes, with_changes } => {
                    let mut lines = vec![0; usize::try_from(transcript_bytes).unwrap()];
                    stream.read_exact(&mut lines).await.unwrap();
                    let mut tar = Vec::new();
                    stream.read_to_end(&mut tar).await.unwrap();
                    {
                        let mut seen = seen.lock().unwrap();
                        seen.transcript.extend(lines);
                        seen.changes += u32::from(with_changes);
                        seen.order.push(format!("save {turn}"));
                    }
                    data::answer(&mut stream, &StreamAnswer::Done).await.unwrap();
                }
                DataHeader::Connect { service: Service::Models } => {
                    let service = service_fn(move |request| answer(request, Arc::clone(&seen)));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                }
                other => panic!("{other:?}"),
            }
        });
    }
}

async fn output(mut stream: Stream, source: LogSource, seen: &Shared) {
    let mut buffer = vec![0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or_default();
        let mut seen = seen.lock().unwrap();
        if count == 0 {
            seen.ended += 1;
            return;
        }
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        match source {
            LogSource::Agent => seen.agent.push_str(&text),
            LogSource::Tool => seen.tool.push_str(&text),
            other => panic!("{other:?}"),
        }
    }
}

type Body = StreamBody<stream::Iter<std::vec::IntoIter<io::Result<Frame<Bytes>>>>>;

async fn answer(request: Request<Incoming>, seen: Shared) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let (wire, reply) = {
        let mut seen = seen.lock().unwrap();
        seen.requests.push(serde_json::from_slice(&body).unwrap());
        seen.order.push("model".into());
        let next = seen.replies.pop_front().expect("a reply for this request");
        seen.silent |= matches!(next.1, Reply::Silence);
        next
    };
    let (status, kind, pieces, cut) = match reply {
        Reply::Answer { status, kind, pieces, cut } => (status, kind, pieces, cut),
        Reply::Message { text, calls } => {
            let wanted = if wire == Wire::Messages { "/v1/messages" } else { "/v1/chat/completions" };
            assert_eq!(path, wanted);
            let stream =
                if wire == Wire::Messages { messages_stream(&text, &calls) } else { chat_stream(&text, &calls) };
            (200, "text/event-stream", vec![stream], false)
        }
        Reply::Silence => std::future::pending().await,
    };
    let mut frames: Vec<io::Result<Frame<Bytes>>> =
        pieces.into_iter().map(|piece| Ok(Frame::data(Bytes::from(piece)))).collect();
    if cut {
        frames.push(Err(io::Error::other("cut")));
    }
    let body = StreamBody::new(stream::iter(frames));
    Ok(Response::builder().status(status).header("content-type", kind).body(body).unwrap())
}
