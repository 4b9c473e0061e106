//! What a host does while an agent works: models, checkpoints, calls.

use std::sync::{Arc, Mutex};

use bus_schemas::v1::{
    agent::{AgentWork, ModelBrief, Structured, Wire},
    call::GuestCall,
    guest::{AttemptAssignment, Service, StreamAnswer},
    task::Program,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use vm_pool::adapter::{
    scripted::{Running, Script, serve},
    session::{Asked, Wishes},
};

use super::rig::{bash, soon};

/// A turn as it was saved.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) number: u32,
    pub(super) changes: Option<Vec<u8>>,
}

/// All turns of an attempt, and the transcript that they make.
#[derive(Clone, Debug, Default)]
pub(super) struct Saved {
    pub(super) transcript: Vec<u8>,
    pub(super) turns: Vec<Turn>,
}

impl Saved {
    /// The newest changes.
    pub(super) fn changes(&self) -> Option<&Vec<u8>> {
        self.turns.iter().rev().find_map(|turn| turn.changes.as_ref())
    }
}

/// Serves a guest's wishes with a scripted model; calls are left to the test.
pub(super) struct Host {
    pub(super) model: Running,
    pub(super) saved: Arc<Mutex<Saved>>,
    pub(super) calls: mpsc::Receiver<Asked>,
    _tasks: JoinSet<()>,
}

impl Host {
    pub(super) async fn new(wishes: Wishes, script: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let model = serve(Script::parse(script).expect("a script"), listener).expect("a model");
        let saved: Arc<Mutex<Saved>> = Arc::default();
        let Wishes { mut connections, mut checkpoints, calls } = wishes;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Some(mut connection) = connections.recv().await {
                assert_eq!(connection.service, Service::Models);
                open.spawn(async move {
                    let mut upstream = TcpStream::connect(address).await.expect("the model");
                    let _ = tokio::io::copy_bidirectional(&mut connection.stream, &mut upstream).await;
                });
            }
        });
        let books = Arc::clone(&saved);
        tasks.spawn(async move {
            while let Some(mut turn) = checkpoints.recv().await {
                let mut lines = Vec::new();
                turn.transcript(&mut lines, soon()).await.expect("the transcript");
                let mut changes = None;
                if turn.with_changes {
                    let mut tar = Vec::new();
                    let mut stream = turn.changes(64 << 20, soon()).await.expect("changes");
                    stream.read_to_end(&mut tar).await.expect("a whole tar");
                    changes = Some(tar);
                }
                let number = turn.turn;
                {
                    let mut saved = books.lock().expect("the books");
                    saved.transcript.extend(lines);
                    saved.turns.push(Turn { number, changes });
                }
                turn.answer(&StreamAnswer::Done).await;
            }
        });
        Self { model, saved, calls, _tasks: tasks }
    }

    pub(super) fn saved(&self) -> Saved {
        self.saved.lock().expect("the books").clone()
    }

    /// The next call that is not about something else.
    pub(super) async fn call(&mut self) -> (u64, GuestCall) {
        let asked = tokio::time::timeout_at(soon(), self.calls.recv()).await.expect("in time").expect("a call");
        (asked.id, asked.call)
    }
}

/// An agent with one scripted model.
pub(super) fn agent(work: AgentWork) -> AttemptAssignment {
    let work = AgentWork { harness: "builtin".into(), max_turns: 12, ..work };
    let model = ModelBrief {
        name: "test/scripted".into(),
        wire: Wire::Messages,
        context_tokens: 100_000,
        max_output_tokens: 4_000,
        structured: Structured::Tools,
        caching: false,
    };
    AttemptAssignment { program: Program::Agent(work), models: vec![model], ..bash("") }
}
