//! A local Slack: the Web API, Socket Mode and the HTTP events of one workspace, on ports of the loopback.
//!
//! It holds what Slack holds (people, channels, messages, modals, home tabs, files), plays the people of the workspace, and
//! notes every call that breaks a documented rule: a test ends with [`Slack::no_violations`]. Trouble comes on demand: rate
//! limits, failing and hanging calls, answers that are lost after the call took effect, sockets that go deaf.

mod check;
mod elements;
mod events;
mod files;
mod methods;
mod person;
mod queries;
mod socket;
mod state;
mod views;
mod web;

#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot};

pub use self::{
    events::{Answered, Signed},
    person::{Person, Said},
    state::{APP, AckSeen, BOT, BOT_ID, Call, Channel, Ephemeral, Post, StoredFile, TEAM, User, View},
};
use self::{
    socket::Order,
    state::{Effect, Planned, State},
};

/// The token for everything but opening sockets.
pub const BOT_TOKEN: &str = "xoxb-1-local";
/// The token for opening sockets.
pub const APP_TOKEN: &str = "xapp-1-local";
/// What HTTP events are signed with.
pub const SIGNING_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
/// A channel the app is in.
pub const TEAM_CHANNEL: &str = "C0TEAM";
/// A channel the app is not in.
pub const OTHER_CHANNEL: &str = "C0OTHER";
/// How long an envelope may wait for its acknowledgement, and a trigger for its modal.
pub const THREE_SECONDS: Duration = Duration::from_secs(3);

/// How envelopes reach the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Over the sockets it opened.
    Socket,
    /// As signed requests to this address.
    Http(String),
}

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429, to be tried again after so long (whole seconds on the wire).
    RateLimited(Duration),
    /// This status, without a sensible body.
    Status(u16),
    /// A refusal by this name, such as `invalid_auth`.
    Refused(String),
    /// No answer ever, and no effect.
    Hang,
    /// The call takes effect and the connection breaks before the answer is out.
    LostAnswer,
}

/// What became of an envelope.
#[derive(Clone, Debug, PartialEq)]
pub enum Ack {
    /// Acknowledged in time, with this payload (null without one).
    Given(Value),
    /// Not acknowledged within three seconds.
    Missing,
    /// Nobody was there to take it.
    Lost,
}

/// An envelope on its way.
#[derive(Debug)]
pub struct Delivered {
    /// Its id.
    pub id: String,
    /// The whole of it.
    pub envelope: Value,
    /// When it was sent.
    pub at: Instant,
    ack: oneshot::Receiver<Ack>,
}

impl Delivered {
    /// What became of it.
    pub async fn outcome(self) -> Ack {
        self.ack.await.unwrap_or(Ack::Lost)
    }

    /// The payload of its acknowledgement.
    ///
    /// # Panics
    /// If it was not acknowledged in time.
    pub async fn acked(self) -> Value {
        let id = self.id.clone();
        match self.outcome().await {
            Ack::Given(payload) => payload,
            other => panic!("envelope {id} was not acknowledged: {other:?}"),
        }
    }
}

/// What the servers, the drivers and the tests share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    runtime: tokio::runtime::Handle,
    api: String,
    sockets: SocketAddr,
    http: reqwest::Client,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A local Slack on a thread of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Slack {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl Slack {
    /// Starts a workspace with four people (`U0ANN`, `U0BOB`, `U0EVE`, `U0STRANGER`), and two channels that it shares with
    /// another one, of which `U0FOREIGN` is.
    ///
    /// # Panics
    /// If the machine has no ports.
    #[must_use]
    pub fn start() -> Self {
        // Building an HTTP client asks for one, even if it never speaks TLS; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the local Slack");
        let listen = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port for the local Slack");
            listener.set_nonblocking(true).expect("a listener that does not block");
            let address = listener.local_addr().expect("its address");
            let entered = runtime.enter();
            let listener = TcpListener::from_std(listener).expect("a listener");
            drop(entered);
            (listener, address)
        };
        let ((web, api), (links, sockets)) = (listen(), listen());
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new()),
            runtime: runtime.handle().clone(),
            api: format!("http://{api}/api"),
            sockets,
            http: reqwest::Client::new(),
        });
        runtime.spawn(web::serve(web, Arc::clone(&shared)));
        runtime.spawn(socket::serve(links, Arc::clone(&shared)));
        Self { shared, runtime: Some(runtime) }
    }

    /// The base of the Web API's methods.
    #[must_use]
    pub fn api_url(&self) -> String {
        self.shared.api.clone()
    }

    /// The `[slack]` section of `baton.toml`.
    #[must_use]
    pub fn config(&self) -> String {
        format!(
            "[slack]\napp_token = \"{APP_TOKEN}\"\nbot_token = \"{BOT_TOKEN}\"\napi_url = \"{}\"\nchannel = \"{TEAM_CHANNEL}\"\n",
            self.api_url()
        )
    }

    /// Sends everything as signed HTTP requests from now on.
    pub fn over_http(&self, url: &str) {
        self.shared.state().transport = Transport::Http(url.to_owned());
    }

    /// Subscribes the app to exactly these events.
    pub fn subscribes(&self, events: &[&str]) {
        self.shared.state().events = events.iter().map(|e| (*e).to_owned()).collect();
    }

    /// The scopes the bot token has.
    pub fn grants(&self, scopes: &str) {
        self.shared.state().scopes = scopes.to_owned();
    }

    /// The next so many calls of a method go wrong. `*` is every method.
    pub fn fails(&self, method: &str, times: u32, fault: Fault) {
        self.shared.state().faults.push(Planned { method: method.to_owned(), fault, left: times });
    }

    /// Nothing goes wrong from now on.
    pub fn is_well(&self) {
        self.shared.state().faults.clear();
    }

    /// The app is known to be down (or not): envelopes it does not acknowledge are no fault of its.
    pub fn expects_deafness(&self, is_deaf: bool) {
        self.shared.state().is_deaf = is_deaf;
    }

    /// Deletes a channel.
    pub fn deletes_channel(&self, channel: &str) {
        if let Some(channel) = self.shared.state().channels.get_mut(channel) {
            channel.deleted = true;
        }
    }

    /// How many sockets are open.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.shared.state().links.iter().filter(|link| !link.frozen).count()
    }

    /// How many sockets were ever opened.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.state().connections
    }

    /// Every open socket goes deaf: it stays open, and nothing that comes over it is read or answered any more.
    pub fn freezes(&self) {
        self.order(&Order::Freeze);
        self.shared.state().links.iter_mut().for_each(|link| link.frozen = true);
    }

    /// Tells every socket that it will be closed, as Slack does to refresh them, and closes it.
    pub fn refreshes(&self, reason: &str) {
        self.order(&Order::Disconnect(reason.to_owned()));
    }

    /// Cuts every socket without a word.
    pub fn cuts(&self) {
        self.order(&Order::Cut);
    }

    /// Sends this text to the app as it is.
    pub fn sends_raw(&self, text: &str) {
        self.order(&Order::Text(text.to_owned()));
    }

    fn order(&self, order: &Order) {
        for link in &self.shared.state().links {
            let _ = link.orders.send(order.clone());
        }
    }

    /// Sends an envelope of any kind with any payload.
    #[must_use]
    pub fn sends(&self, kind: &str, payload: Value) -> Delivered {
        self.shared.deliver(kind, payload, Effect::Nothing)
    }

    /// Sends the same envelope again.
    #[must_use]
    pub fn sends_again(&self, delivered: &Delivered) -> Delivered {
        self.shared.redeliver(delivered.envelope.clone())
    }

    /// A person of the workspace.
    #[must_use]
    pub fn person(&self, id: &str) -> Person<'_> {
        Person::new(self, id)
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::ZERO);
        }
        if std::thread::panicking() {
            self.tell_story();
        }
    }
}
