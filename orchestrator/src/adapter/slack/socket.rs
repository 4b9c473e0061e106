//! Socket Mode: a connection of ours to Slack, over which envelopes come and are acknowledged. No public address is needed.
//!
//! A connection that falls silent is given up; one that Slack is about to close is replaced before it goes.

mod connection;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Morphism, Receiver, SlackWeb, hand::ANSWER_WITHIN, morphism::jittered, wire};
use connection::{Connection, Happening};

/// How a socket behaves.
#[derive(Clone, Debug)]
pub struct SocketSettings {
    /// Getting an address, connecting and hearing `hello`, each.
    pub connect: Duration,
    /// Between two pings of ours.
    pub ping_every: Duration,
    /// After so long without a word the other end is gone, whatever TCP thinks.
    pub silence: Duration,
    /// The first pause before connecting again; doubled each time.
    pub backoff: Duration,
    /// The longest.
    pub longest_backoff: Duration,
    /// A connection that lasted so long did not fail for the reason the one before failed for.
    pub settled: Duration,
    /// An envelope is acknowledged within this time.
    pub answer_within: Duration,
    tls: Option<Arc<ClientConfig>>,
}

impl SocketSettings {
    /// The usual ones, with the certificates for where `web` speaks to.
    ///
    /// # Errors
    /// This machine has no certificates.
    pub fn new(web: &Morphism) -> Result<Self, String> {
        let hosts = web.hosts();
        let tls = if hosts.plain() { None } else { Some(Arc::new(wire::tls(hosts)?)) };
        Ok(Self {
            connect: Duration::from_secs(15),
            ping_every: Duration::from_secs(10),
            silence: Duration::from_secs(35),
            backoff: Duration::from_millis(500),
            longest_backoff: Duration::from_secs(30),
            settled: Duration::from_secs(30),
            answer_within: ANSWER_WITHIN,
            tls,
        })
    }
}

/// How the socket is, for `doctor` and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketState {
    /// Not connected yet, or connecting again.
    Connecting {
        /// Why the connection before ended.
        after: Option<String>,
    },
    /// Slack said hello.
    Connected,
    /// It was told to stop.
    Stopped,
}

/// Keeps a connection until `stop`, and hands what comes over it to `receiver`. How it is can be seen in `state`.
pub async fn run<W: SlackWeb, R: Receiver>(
    web: W,
    receiver: R,
    settings: SocketSettings,
    state: watch::Sender<SocketState>,
    stop: CancellationToken,
) {
    let (tell, mut heard) = mpsc::channel(16);
    let mut keeper = Keeper {
        web,
        receiver,
        backoff: settings.backoff,
        settings,
        tell,
        tasks: JoinSet::new(),
        serving: None,
        coming: None,
        next_id: 0,
        not_before: Instant::now(),
    };
    loop {
        if keeper.coming.is_none() && (keeper.serving.is_none() || keeper.leaving()) {
            tokio::select! {
                () = sleep_until(keeper.not_before) => keeper.connect(),
                () = stop.cancelled() => break,
                Some(happening) = heard.recv() => keeper.hear(happening, &state),
            }
        } else {
            tokio::select! {
                Some(happening) = heard.recv() => keeper.hear(happening, &state),
                () = stop.cancelled() => break,
            }
        }
    }
    for one in keeper.serving.take().into_iter().chain(keeper.coming.take()) {
        one.close.cancel();
    }
    // Acknowledgements under way go out; a connection closes within a bounded time.
    while keeper.tasks.join_next().await.is_some() {}
    state.send_replace(SocketState::Stopped);
}

/// Whether a connection can be had: opens one, waits for Slack's hello, closes it.
///
/// # Errors
/// A sentence: why not.
pub async fn probe<W: SlackWeb>(web: &W, settings: &SocketSettings) -> Result<(), String> {
    connection::probe(web, settings).await
}

/// A connection, as its keeper sees it.
struct Kept {
    id: u64,
    close: CancellationToken,
    since: Instant,
    leaving: bool,
}

struct Keeper<W, R> {
    web: W,
    receiver: R,
    settings: SocketSettings,
    tell: mpsc::Sender<(u64, Happening)>,
    tasks: JoinSet<()>,
    /// Slack has said hello over it.
    serving: Option<Kept>,
    /// It is not so far yet.
    coming: Option<Kept>,
    next_id: u64,
    backoff: Duration,
    not_before: Instant,
}

impl<W: SlackWeb, R: Receiver> Keeper<W, R> {
    fn leaving(&self) -> bool {
        self.serving.as_ref().is_some_and(|one| one.leaving)
    }

    fn connect(&mut self) {
        // Ended ones leave their results here.
        while self.tasks.try_join_next().is_some() {}
        self.next_id += 1;
        let close = CancellationToken::new();
        let connection = Connection {
            id: self.next_id,
            web: self.web.clone(),
            receiver: self.receiver.clone(),
            settings: self.settings.clone(),
            tell: self.tell.clone(),
            close: close.clone(),
        };
        self.tasks.spawn(connection.run());
        self.coming = Some(Kept { id: self.next_id, close, since: Instant::now(), leaving: false });
    }

    fn hear(&mut self, (id, happening): (u64, Happening), state: &watch::Sender<SocketState>) {
        let is = |one: &Option<Kept>| one.as_ref().is_some_and(|one| one.id == id);
        match happening {
            Happening::Hello if is(&self.coming) => {
                let old = std::mem::replace(&mut self.serving, self.coming.take());
                if let Some(now) = &mut self.serving {
                    now.since = Instant::now();
                }
                if let Some(old) = old {
                    old.close.cancel();
                }
                state.send_replace(SocketState::Connected);
                tracing::info!(connection = id, "Slack is connected");
            }
            Happening::Leaving(why) if is(&self.serving) => {
                tracing::info!(connection = id, why, "Slack closes the connection soon: opening the next one");
                if let Some(serving) = &mut self.serving {
                    serving.leaving = true;
                }
            }
            Happening::Ended(why) if is(&self.serving) => {
                let settled = self.serving.take().is_some_and(|one| one.since.elapsed() >= self.settings.settled);
                self.pause(settled, id, why, state);
            }
            Happening::Ended(why) if is(&self.coming) => {
                self.coming = None;
                self.pause(false, id, why, state);
            }
            // A connection that was replaced.
            Happening::Hello | Happening::Leaving(_) | Happening::Ended(_) => {}
        }
    }

    fn pause(&mut self, settled: bool, id: u64, why: String, state: &watch::Sender<SocketState>) {
        if settled {
            self.backoff = self.settings.backoff;
        }
        let pause = jittered(self.backoff);
        self.backoff = (self.backoff * 2).min(self.settings.longest_backoff);
        self.not_before = Instant::now() + pause;
        tracing::warn!(connection = id, why, again_in_ms = pause.as_millis(), "the connection to Slack ended");
        if self.serving.is_none() {
            state.send_replace(SocketState::Connecting { after: Some(why) });
        }
    }
}
