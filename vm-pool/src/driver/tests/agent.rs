//! An agent that plays a script in a fake guest, and what it reaches.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bus_schemas::{
    time::UnixMs,
    v1::{
        agent::{EgressRecord, ModelBrief, Pause, Report, Role, Spend, Structured, Wire},
        call::GuestCall,
        guest::{AttemptAssignment, DataHeader, Finished, FromGuest, Service, StreamAnswer, ToGuest},
        handoff::Usage,
        task::{FailureReason, LogSource},
    },
};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{broadcast, mpsc, watch},
};

use super::guest::{Inside, Opener, Stream};
use crate::{
    adapter::{
        bus::fresh_id,
        outside::{Outside, Reach, Visitor},
        session::DataStream,
    },
    port::Denied,
};

/// What an agent does, one after the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Act {
    /// Prints.
    Say(LogSource, String),
    /// Connects, sends, and reads to the end.
    Connect(Service, String),
    /// Opens so many connections and holds them.
    Hold(usize),
    /// Saves a turn; with the files, if there are some.
    Save(u32, String, BTreeMap<String, String>),
    /// Opens a stream with this header, sends so many bytes, and keeps it or closes it.
    Raw(DataHeader, usize, bool),
    /// Opens a stream that begins with no header.
    Garbage,
    /// Asks the orchestrator.
    Ask(GuestCall),
    /// Says something on the control port.
    Tell(Box<FromGuest>),
    /// Waits for a note.
    Hear,
    /// Waits until something was seen.
    Await(String),
    /// Says that it pauses.
    Pause(Pause),
    /// Gives up.
    GiveUp(FailureReason),
    /// Hands on; whether it used tools.
    HandOff(bool),
    /// Its VM ends.
    Crash,
}

/// One agent at work.
pub(super) struct Agent {
    pub(super) opener: Opener,
    pub(super) says: mpsc::Sender<FromGuest>,
    pub(super) hears: broadcast::Receiver<ToGuest>,
    pub(super) inside: Arc<Inside>,
    pub(super) dead: Arc<watch::Sender<bool>>,
    pub(super) calls: u64,
}

/// Connects to a service, says `text`, and reads what comes back.
pub(super) async fn connect(opener: &Opener, service: Service, text: &str) -> String {
    let mut stream = opener.open(&DataHeader::Connect { service }).await;
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.flush().await;
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said).await;
    format!("{service:?}: {said}")
}

async fn answered(stream: &mut Stream) -> Option<StreamAnswer> {
    let length = stream.read_u32().await.ok()?;
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await.ok()?;
    serde_json::from_slice(&body).ok()
}

impl Agent {
    pub(super) async fn work(mut self, acts: Vec<Act>, attempt: AttemptAssignment) {
        let seen = self.inside.seen.clone();
        let models: Vec<&str> = attempt.models.iter().map(|model| model.name.as_str()).collect();
        seen.add(format!("attempt {} with {}", attempt.attempt, models.join(" ")));
        // Both outputs are open from the first word to the last.
        let mut outputs = Vec::new();
        for source in [LogSource::Agent, LogSource::Tool] {
            outputs.push((source, self.opener.open(&DataHeader::Output { source }).await));
        }
        let mut held = Vec::new();
        for act in acts {
            match act {
                Act::Say(source, text) => {
                    let (_, stream) = outputs.iter_mut().find(|(of, _)| *of == source).unwrap();
                    let _ = stream.write_all(text.as_bytes()).await;
                    let _ = stream.flush().await;
                }
                Act::Connect(service, text) => seen.add(connect(&self.opener, service, &text).await),
                Act::Hold(count) => self.hold(count, &mut held).await,
                Act::Save(turn, text, files) => self.save(turn, &text, files).await,
                Act::Raw(header, count, close) => {
                    let mut stream = self.opener.open(&header).await;
                    let _ = stream.write_all(&vec![b'x'; count]).await;
                    let _ = stream.flush().await;
                    if close {
                        let _ = stream.shutdown().await;
                        seen.add(format!("raw: {:?}", answered(&mut stream).await));
                    } else {
                        held.push(stream);
                    }
                }
                Act::Garbage => held.push(self.opener.open_raw(b"\xff\xff\xff\xff GET / HTTP/1.1\r\n\r\n").await),
                Act::Ask(call) => self.ask(call).await,
                Act::Tell(message) => drop(self.says.send(*message).await),
                Act::Hear => {
                    while let Ok(message) = self.hears.recv().await {
                        if let ToGuest::Tell { note } = message {
                            seen.add(format!("heard {}", note.text));
                            break;
                        }
                    }
                }
                Act::Await(line) => seen.wait(&line).await,
                Act::Crash => drop(self.dead.send(true)),
                Act::Pause(pause) => {
                    let usage = Usage { tool_calls: 3, vm_ms: u64::MAX, ..Usage::default() };
                    return self.end(outputs, FromGuest::Paused { pause, usage }).await;
                }
                Act::GiveUp(reason) => {
                    let detail = "no use".to_owned();
                    return self.end(outputs, FromGuest::GaveUp { reason, detail, usage: Usage::default() }).await;
                }
                Act::HandOff(used_tools) => {
                    let report = Report { goal: "g".into(), done: "all of it".into(), ..Report::default() };
                    let finished =
                        Finished { exit_code: Some(0), report: Some(report), used_tools, ..Finished::default() };
                    return self.end(outputs, FromGuest::Finished(finished)).await;
                }
            }
        }
        // Nothing more to do, and nobody is told.
        std::future::pending().await
    }

    async fn end(&self, outputs: Vec<(LogSource, Stream)>, message: FromGuest) {
        for (_, mut stream) in outputs {
            let _ = stream.shutdown().await;
        }
        let _ = self.says.send(message).await;
    }

    async fn save(&self, turn: u32, text: &str, files: BTreeMap<String, String>) {
        let with_changes = !files.is_empty();
        let header = DataHeader::Checkpoint { turn, transcript_bytes: text.len() as u64, with_changes };
        let mut stream = self.opener.open(&header).await;
        let _ = stream.write_all(text.as_bytes()).await;
        if with_changes {
            self.inside.changed(files);
            let _ = stream.write_all(&self.inside.changes()).await;
        }
        let _ = stream.shutdown().await;
        self.inside.seen.add(format!("saving {turn}"));
        self.inside.seen.add(match answered(&mut stream).await {
            Some(StreamAnswer::Done) => format!("saved {turn}"),
            Some(StreamAnswer::Failed { detail }) => format!("not saved {turn}: {detail}"),
            None => format!("no answer to {turn}"),
        });
    }

    async fn hold(&self, count: usize, held: &mut Vec<Stream>) {
        let mut refused = 0;
        for _ in 0..count {
            let mut stream = self.opener.open(&DataHeader::Connect { service: Service::Models }).await;
            let _ = stream.write_all(b"wait").await;
            // Served ones say so; others end.
            let mut first = [0];
            match stream.read_exact(&mut first).await {
                Ok(_) => held.push(stream),
                Err(_) => refused += 1,
            }
        }
        self.inside.seen.add(format!("held {}, refused {refused}", count - refused));
    }

    async fn ask(&mut self, call: GuestCall) {
        self.calls += 1;
        let id = self.calls;
        let _ = self.says.send(FromGuest::Call { id, call }).await;
        while let Ok(message) = self.hears.recv().await {
            if let ToGuest::Answer { id: of, answer } = message
                && of == id
            {
                return self.inside.seen.add(format!("answer: {answer:?}"));
            }
        }
    }
}

/// A model that costs 7 a call, and a network that has what a task lists.
#[derive(Debug, Default)]
pub(super) struct FakeOutside;

#[derive(Debug)]
struct FakeReach {
    visitor: Arc<Visitor>,
    books: Arc<Mutex<(Spend, Vec<EgressRecord>)>>,
}

impl Outside for FakeOutside {
    fn briefs(&self, _: Role, models: &[String]) -> Result<Vec<ModelBrief>, String> {
        if models.iter().any(|model| model == "none/such") {
            return Err("no provider none".to_owned());
        }
        Ok(vec![ModelBrief {
            name: "fake/model".into(),
            wire: Wire::Messages,
            context_tokens: 1_000,
            max_output_tokens: 100,
            structured: Structured::Tools,
            caching: false,
        }])
    }

    fn admit(&self, visitor: Visitor) -> Arc<dyn Reach> {
        Arc::new(FakeReach { visitor: Arc::new(visitor), books: Arc::default() })
    }
}

impl Reach for FakeReach {
    fn connect(&self, service: Service, mut stream: DataStream) -> BoxFuture<'static, ()> {
        let (visitor, books) = (Arc::clone(&self.visitor), Arc::clone(&self.books));
        Box::pin(async move {
            let mut asked = [0; 64];
            let count = stream.read(&mut asked).await.unwrap_or(0);
            let asked = String::from_utf8_lossy(&asked[..count]).into_owned();
            let said = match service {
                Service::Models if asked == "wait" => {
                    let _ = stream.write_all(b"w").await;
                    return visitor.stop.cancelled().await;
                }
                Service::Models => {
                    let (id, spend) = (fresh_id(), Spend { calls: 1, usd_nanos: 7, ..Spend::default() });
                    match visitor.purse.reserve(id, Spend { usd_nanos: 9, ..spend }).await {
                        Ok(()) => {
                            let spent = books.lock().unwrap().0.plus(&spend);
                            books.lock().unwrap().0 = spent;
                            visitor.purse.settle(id, spend).await;
                            format!("you said {asked}")
                        }
                        Err(Denied::Limit { resource, limit, .. }) => format!("denied {resource:?} {limit}"),
                        Err(Denied::Stale) => "stale".to_owned(),
                        Err(Denied::Failed { detail }) => format!("failed: {detail}"),
                    }
                }
                Service::Proxy => {
                    let allowed = visitor.network.contains(&asked);
                    let rule = if allowed { asked.clone() } else { "default deny".to_owned() };
                    let _ = visitor.log.send(format!("{asked}: {rule}")).await;
                    let record =
                        EgressRecord { target: asked, rule, allowed, at: UnixMs(1), sent_bytes: 0, received_bytes: 0 };
                    books.lock().unwrap().1.push(record);
                    if allowed { "connected".to_owned() } else { "refused".to_owned() }
                }
            };
            let _ = stream.write_all(said.as_bytes()).await;
            let _ = stream.shutdown().await;
        })
    }

    fn spent(&self) -> Spend {
        self.books.lock().unwrap().0
    }

    fn egress(&self) -> Vec<EgressRecord> {
        self.books.lock().unwrap().1.clone()
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
