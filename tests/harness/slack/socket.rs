//! Socket Mode: envelopes over sockets that the app opened, each to be acknowledged within three seconds.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};
use tokio_tungstenite::tungstenite::{
    Message,
    handshake::server::{ErrorResponse, Request, Response},
};

use super::{
    Ack, Delivered, Shared, THREE_SECONDS, Transport,
    state::{APP, AckSeen, Effect, Link, State, Waiting},
};

/// How often Slack pings.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How often an event is sent in all.
const MAX_TRIES: u64 = 4;

/// What a socket is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Text(String),
    Freeze,
    Disconnect(String),
    Cut,
}

/// Takes sockets.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(socket(stream, Arc::clone(&shared)));
    }
}

async fn socket(stream: TcpStream, shared: Arc<Shared>) {
    let mut ticket = String::new();
    // The error type of the handshake is given.
    #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        ticket = request.uri().query().unwrap_or_default().to_owned();
        Ok(response)
    };
    let Ok(link) = tokio_tungstenite::accept_hdr_async(stream, look).await else { return };
    let ticket = ticket.split('&').find_map(|part| part.strip_prefix("ticket=")).unwrap_or_default().to_owned();
    let (orders, inbox) = mpsc::unbounded_channel();
    let id = {
        let mut state = shared.state();
        if !state.tickets.remove(&ticket) {
            state.violation(format!("socket: the ticket {ticket:?} is unknown or was used"));
            return;
        }
        state.connections += 1;
        let id = state.connections;
        let hello = json!({
            "type": "hello", "num_connections": state.links.len() + 1,
            "debug_info": { "host": "applink-local", "build_number": 1, "approximate_connection_time": 18_060 },
            "connection_info": { "app_id": APP },
        });
        let _ = orders.send(Order::Text(hello.to_string()));
        state.links.push(Link { id, orders, frozen: false });
        id
    };
    shared.send_undelivered();
    talk(link, inbox, &shared, id).await;
    shared.forget_link(id);
}

async fn talk(
    mut link: tokio_tungstenite::WebSocketStream<TcpStream>,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    shared: &Arc<Shared>,
    id: u64,
) {
    let mut pings = tokio::time::interval(PING_EVERY);
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                Some(Order::Text(text)) => {
                    if link.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
                // The socket stays open; nothing that comes is read, so nothing is answered: not even a ping.
                Some(Order::Freeze) => loop {
                    match inbox.recv().await {
                        Some(Order::Cut) | None => return,
                        Some(_) => {}
                    }
                },
                Some(Order::Disconnect(reason)) => {
                    let notice = json!({ "type": "disconnect", "reason": reason, "debug_info": { "host": "applink-local" } });
                    let _ = link.send(Message::text(notice.to_string())).await;
                    let _ = link.close(None).await;
                    // What the app still acknowledges counts.
                    while let Some(Ok(message)) = link.next().await {
                        hear(shared, &message);
                    }
                    return;
                }
                Some(Order::Cut) | None => return,
            },
            _ = pings.tick() => {
                let _ = link.send(Message::Ping(format!("Ping from local {id}").into_bytes().into())).await;
            }
            message = link.next() => match message {
                Some(Ok(message)) => hear(shared, &message),
                Some(Err(_)) | None => return,
            },
        }
    }
}

fn hear(shared: &Arc<Shared>, message: &Message) {
    let Message::Text(text) = message else { return };
    let Ok(ack) = serde_json::from_str::<Value>(text.as_str()) else {
        return shared.state().violation(format!("socket: no JSON came: {text}"));
    };
    let Some(id) = ack["envelope_id"].as_str() else {
        return shared.state().violation(format!("socket: what came acknowledges nothing: {text}"));
    };
    shared.acknowledged(id, ack["payload"].clone());
}

impl Shared {
    /// Sends something new to the app.
    pub(super) fn deliver(self: &Arc<Self>, kind: &str, payload: Value, effect: Effect) -> Delivered {
        let id = self.state().fresh("envelope-");
        let mut envelope = json!({ "envelope_id": id, "type": kind, "payload": payload });
        envelope["accepts_response_payload"] = (kind != "events_api").into();
        if kind == "events_api" {
            envelope["retry_attempt"] = 0.into();
            envelope["retry_reason"] = "".into();
        }
        self.dispatch(envelope, effect)
    }

    /// Sends an envelope as it is, once more.
    pub(super) fn redeliver(self: &Arc<Self>, envelope: Value) -> Delivered {
        self.dispatch(envelope, Effect::Nothing)
    }

    fn dispatch(self: &Arc<Self>, envelope: Value, effect: Effect) -> Delivered {
        let id = envelope["envelope_id"].as_str().unwrap_or_default().to_owned();
        let (told, ack) = oneshot::channel();
        let at = Instant::now();
        let delivered = Delivered { id: id.clone(), envelope: envelope.clone(), at, ack };
        let mut state = self.state();
        if let Transport::Http(url) = &state.transport {
            let url = url.clone();
            drop(state);
            self.runtime.spawn(super::events::post(Arc::clone(self), url, envelope, effect, told));
            return delivered;
        }
        state.counter += 1;
        let number = state.counter;
        // Slack does not know which sockets are deaf; the newest is as good as any.
        let link = state.links.iter().rev().find(|l| !l.frozen).or_else(|| state.links.last());
        let sent = link.map(|link| (link.id, link.orders.send(Order::Text(envelope.to_string())).is_ok()));
        let Some((link, true)) = sent else {
            state.not_taken(envelope);
            let _ = told.send(Ack::Lost);
            return delivered;
        };
        let waiting = Waiting { sent: at, link, number, effect, envelope, told: Some(told) };
        state.waiting.entry(id.clone()).or_default().push_back(waiting);
        drop(state);
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            tokio::time::sleep(THREE_SECONDS).await;
            shared.overdue(&id, number);
        });
        delivered
    }

    fn overdue(self: &Arc<Self>, id: &str, number: u64) {
        let mut state = self.state();
        let Some(list) = state.waiting.get_mut(id) else { return };
        let Some(place) = list.iter().position(|w| w.number == number) else { return };
        let Some(mut waiting) = list.remove(place) else { return };
        let frozen = state.links.iter().any(|l| l.id == waiting.link && l.frozen);
        if !frozen && !state.is_deaf {
            state.violation(format!("socket: {id} was not acknowledged within 3 s: {}", waiting.envelope["payload"]));
        }
        state.not_taken(waiting.envelope);
        drop(state);
        if let Some(told) = waiting.told.take() {
            let _ = told.send(Ack::Missing);
        }
        self.send_undelivered();
    }

    fn acknowledged(self: &Arc<Self>, id: &str, payload: Value) {
        let mut state = self.state();
        let Some(mut waiting) = state.waiting.get_mut(id).and_then(VecDeque::pop_front) else {
            let late = state.acks.iter().any(|a| a.envelope_id == id) || state.is_deaf;
            if !late {
                state.violation(format!("socket: {id} is acknowledged and waits for nothing"));
            }
            return;
        };
        state.take_ack(&waiting, payload.clone());
        drop(state);
        if let Some(told) = waiting.told.take() {
            let _ = told.send(Ack::Given(payload));
        }
    }

    /// What a socket that is gone took with it.
    fn forget_link(self: &Arc<Self>, id: u64) {
        let mut state = self.state();
        state.links.retain(|l| l.id != id);
        let mut lost = Vec::new();
        for list in state.waiting.values_mut() {
            let (gone, kept): (VecDeque<Waiting>, _) = list.drain(..).partition(|w| w.link == id);
            *list = kept;
            lost.extend(gone);
        }
        lost.iter().for_each(|waiting| state.not_taken(waiting.envelope.clone()));
        drop(state);
        for told in lost.into_iter().filter_map(|waiting| waiting.told) {
            let _ = told.send(Ack::Lost);
        }
        self.send_undelivered();
    }

    /// Events that nobody took come again; clicks and commands do not.
    pub(super) fn send_undelivered(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            if state.links.iter().all(|l| l.frozen) {
                return;
            }
            let Some(envelope) = state.undelivered.pop_front() else { return };
            drop(state);
            drop(self.redeliver(envelope));
        }
    }

    /// Sends the events that a call caused.
    pub(super) fn flush(self: &Arc<Self>) {
        let outgoing: Vec<Value> = self.state().outgoing.drain(..).collect();
        for payload in outgoing {
            drop(self.deliver("events_api", payload, Effect::Nothing));
        }
    }
}

impl State {
    /// Keeps an event for another try.
    pub(super) fn not_taken(&mut self, mut envelope: Value) {
        let tries = envelope["retry_attempt"].as_u64().unwrap_or(0) + 1;
        if envelope["type"] == "events_api" && tries < MAX_TRIES {
            envelope["retry_attempt"] = tries.into();
            envelope["retry_reason"] = "timeout".into();
            self.undelivered.push_back(envelope);
        }
    }

    /// Notes an acknowledgement, and does what it asks for.
    pub(super) fn take_ack(&mut self, waiting: &Waiting, payload: Value) {
        let id = waiting.envelope["envelope_id"].as_str().unwrap_or_default().to_owned();
        if !payload.is_null() && waiting.envelope["accepts_response_payload"] == false {
            self.violation(format!("socket: {id} takes no payload: {payload}"));
        }
        self.acks.push(AckSeen { envelope_id: id, payload: payload.clone(), took: waiting.sent.elapsed() });
        match &waiting.effect {
            Effect::Nothing => {}
            Effect::Submission(view) => self.after_submission(view, &payload),
            Effect::Command { user, channel } => self.after_command(user, channel, &payload),
        }
    }
}
