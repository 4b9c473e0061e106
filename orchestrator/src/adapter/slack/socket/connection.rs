//! One connection, from its address to its end.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{Error, Message, protocol::WebSocketConfig},
};
use tokio_util::sync::CancellationToken;

use super::SocketSettings;
use crate::{
    adapter::{
        clock::SystemClock,
        slack::{Envelope, Kind, Receiver, SlackWeb, hand::hand},
    },
    port::Clock as _,
};

/// Envelopes in hand at the same time; more are left to Slack, which sends them again.
const IN_HAND: usize = 256;
/// The largest message. Slack's are some kilobytes.
const LARGEST: usize = 4 << 20;
/// Closing politely takes no longer.
const FAREWELL: Duration = Duration::from_secs(3);
/// A frame that cannot be written in this time will not be.
const WRITE: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a connection tells its keeper.
#[derive(Debug)]
pub(super) enum Happening {
    /// Slack said hello.
    Hello,
    /// Slack will close it.
    Leaving(String),
    /// It is no more.
    Ended(String),
}

pub(super) struct Connection<W, R> {
    pub(super) id: u64,
    pub(super) web: W,
    pub(super) receiver: R,
    pub(super) settings: SocketSettings,
    pub(super) tell: mpsc::Sender<(u64, Happening)>,
    pub(super) close: CancellationToken,
}

impl<W: SlackWeb, R: Receiver> Connection<W, R> {
    pub(super) async fn run(self) {
        let close = self.close.clone();
        let opened = tokio::select! {
            opened = open(&self.web, &self.settings) => opened,
            () = close.cancelled() => Err("it was closed".to_owned()),
        };
        let why = match opened {
            Ok(socket) => self.serve(socket).await,
            Err(why) => why,
        };
        self.say(Happening::Ended(why)).await;
    }

    async fn say(&self, happening: Happening) {
        // A keeper that stops does not listen any more.
        let _ = self.tell.send((self.id, happening)).await;
    }

    /// Serves until the connection ends; says why.
    async fn serve(&self, mut socket: Socket) -> String {
        let (acks, mut waiting) = mpsc::channel::<String>(IN_HAND);
        let mut in_hand = JoinSet::new();
        let mut pings = interval(self.settings.ping_every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut hello_by = Some(Instant::now() + self.settings.connect);
        let why = loop {
            let silent = heard + self.settings.silence;
            tokio::select! {
                frame = socket.next() => {
                    heard = Instant::now();
                    let text = match frame {
                        None => break "Slack closed it".to_owned(),
                        Some(Err(error)) => break told(&error),
                        Some(Ok(Message::Close(_))) => break "Slack closed it".to_owned(),
                        Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
                        Some(Ok(Message::Binary(bytes))) => String::from_utf8_lossy(&bytes).into_owned(),
                        // tungstenite answers pings by itself.
                        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    };
                    match sort(&text) {
                        Frame::Hello => {
                            if hello_by.take().is_some() {
                                self.say(Happening::Hello).await;
                            }
                        }
                        Frame::Disconnect(why) => self.say(Happening::Leaving(why)).await,
                        Frame::Envelope { id, answers, envelope } if in_hand.len() < IN_HAND => {
                            let (receiver, acks) = (self.receiver.clone(), acks.clone());
                            let within = self.settings.answer_within;
                            in_hand.spawn(take(receiver, *envelope, id, answers, within, acks));
                        }
                        Frame::Envelope { .. } => {
                            tracing::warn!("too many envelopes at once: this one is left to Slack, which sends it again");
                        }
                    }
                }
                Some(ack) = waiting.recv() => {
                    if let Err(why) = write(&mut socket, Message::text(ack)).await {
                        break why;
                    }
                }
                _ = pings.tick() => {
                    if let Err(why) = write(&mut socket, Message::Ping(bytes::Bytes::from_static(b"baton"))).await {
                        break why;
                    }
                }
                () = sleep_until(silent) => {
                    break format!("nothing was heard for {} ms", self.settings.silence.as_millis());
                }
                () = sleep_until(hello_by.unwrap_or(silent)), if hello_by.is_some() => {
                    break "Slack did not say hello".to_owned();
                }
                _ = in_hand.join_next(), if !in_hand.is_empty() => {}
                () = self.close.cancelled() => {
                    farewell(&mut socket, &mut in_hand, &mut waiting).await;
                    return "it was replaced".to_owned();
                }
            }
        };
        // What is in hand goes on by itself: it is kept, or Slack sends it again.
        in_hand.detach_all();
        why
    }
}

async fn open<W: SlackWeb>(web: &W, settings: &SocketSettings) -> Result<Socket, String> {
    let limit = settings.connect;
    let late = |what: &str| format!("{what} took longer than {} ms", limit.as_millis());
    let address = timeout(limit, web.open_socket()).await.map_err(|_| late("asking for an address"))?;
    let address = address.map_err(|error| error.to_string())?;
    timeout(limit, connect(&address, settings)).await.map_err(|_| late("connecting"))?
}

/// Opens a connection, waits for `hello` and closes it. What Slack sent meanwhile is not acknowledged: it sends that again.
pub(super) async fn probe<W: SlackWeb>(web: &W, settings: &SocketSettings) -> Result<(), String> {
    let mut socket = open(web, settings).await?;
    let greeted = async {
        while let Some(frame) = socket.next().await {
            match frame {
                Ok(Message::Text(text)) if matches!(sort(text.as_str()), Frame::Hello) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(told(&error)),
            }
        }
        Err("Slack closed it".to_owned())
    };
    timeout(settings.connect, greeted).await.map_err(|_| "Slack did not say hello".to_owned())??;
    // It is well whether or not it closes politely.
    let _ = timeout(FAREWELL, socket.close(None)).await;
    Ok(())
}

/// Lets acknowledgements under way go out, then closes.
async fn farewell(socket: &mut Socket, in_hand: &mut JoinSet<()>, waiting: &mut mpsc::Receiver<String>) {
    let polite = async {
        while !in_hand.is_empty() {
            tokio::select! {
                _ = in_hand.join_next() => {}
                Some(ack) = waiting.recv() => write(socket, Message::text(ack)).await?,
            }
        }
        while let Ok(ack) = waiting.try_recv() {
            write(socket, Message::text(ack)).await?;
        }
        socket.close(None).await.map_err(|error| told(&error))
    };
    if !matches!(timeout(FAREWELL, polite).await, Ok(Ok(()))) {
        tracing::debug!("an old connection to Slack did not close politely");
    }
    in_hand.detach_all();
}

async fn write(socket: &mut Socket, message: Message) -> Result<(), String> {
    match timeout(WRITE, socket.send(message)).await {
        Ok(sent) => sent.map_err(|error| told(&error)),
        Err(_) => Err("it cannot be written to any more".to_owned()),
    }
}

/// Hands one envelope over and acknowledges it, once it is kept.
async fn take<R: Receiver>(
    receiver: R,
    envelope: Envelope,
    id: Option<String>,
    answers: bool,
    within: Duration,
    acks: mpsc::Sender<String>,
) {
    let key = envelope.key.clone();
    match hand(&receiver, envelope, within).await {
        Ok(reply) => {
            let Some(id) = id else { return };
            let ack = match reply.filter(|_| answers) {
                Some(payload) => json!({ "envelope_id": id, "payload": payload }),
                None => json!({ "envelope_id": id }),
            };
            // A connection that is gone acknowledges nothing: Slack sends it again, and it is known then.
            let _ = acks.send(ack.to_string()).await;
        }
        Err(why) => tracing::error!(key, why, "an envelope of Slack was not kept and is not acknowledged"),
    }
}

async fn connect(address: &str, settings: &SocketSettings) -> Result<Socket, String> {
    let url = Url::parse(address).map_err(|_| "the address Slack gave is not a URL".to_owned())?;
    let connector = match (&settings.tls, url.scheme()) {
        (Some(tls), "wss") => Connector::Rustls(tls.clone()),
        (None, "ws") => Connector::Plain,
        _ => return Err("the address Slack gave is not wss://".to_owned()),
    };
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    let connecting = connect_async_tls_with_config(address, Some(config), true, Some(connector));
    connecting.await.map(|(socket, _)| socket).map_err(|error| told(&error))
}

/// An error in words, without the address, which is a ticket.
fn told(error: &Error) -> String {
    match error {
        Error::Url(_) => "its address cannot be connected to".to_owned(),
        Error::Http(response) => format!("Slack answered with HTTP status {}", response.status()),
        Error::ConnectionClosed | Error::AlreadyClosed => "Slack closed it".to_owned(),
        other => other.to_string(),
    }
}

enum Frame {
    Hello,
    Disconnect(String),
    Envelope { id: Option<String>, answers: bool, envelope: Box<Envelope> },
}

fn sort(text: &str) -> Frame {
    let now = SystemClock.now();
    let mut whole: Value = match serde_json::from_str(text) {
        Ok(whole) => whole,
        Err(error) => {
            let envelope = Box::new(Envelope::unreadable(text, format!("it is not JSON: {error}"), now));
            return Frame::Envelope { id: None, answers: false, envelope };
        }
    };
    let word = |key: &str| whole.get(key).and_then(Value::as_str).map(str::to_owned);
    let (kind, id) = (word("type").unwrap_or_default(), word("envelope_id"));
    match kind.as_str() {
        "hello" => return Frame::Hello,
        "disconnect" => return Frame::Disconnect(word("reason").unwrap_or_else(|| "no reason".to_owned())),
        _ => {}
    }
    let answers = whole.get("accepts_response_payload").and_then(Value::as_bool).unwrap_or_default();
    let envelope = match (Kind::of(&kind), whole.get_mut("payload").map(Value::take)) {
        (Kind::Unknown, _) => {
            let shown: String = kind.chars().take(40).collect();
            Envelope::unreadable(text, format!("envelopes of the type `{shown}` are not known"), now)
        }
        (_, None) => Envelope::unreadable(text, "the envelope has no payload".to_owned(), now),
        (kind, Some(payload)) => Envelope::new(kind, payload, id.as_deref(), now),
    };
    Frame::Envelope { id, answers, envelope: Box::new(envelope) }
}
