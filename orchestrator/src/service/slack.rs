//! Slack, put together: the two ways in, the Web API, the bridge between them and the orchestrator.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::orchestrator::Orchestrator;
use crate::{
    adapter::{
        clock::SystemClock,
        slack::{
            Access, Morphism,
            bridge::{Bridge, Settings, World},
            events,
            socket::{self, SocketSettings, SocketState},
            view::modal::Choice,
        },
        sqlite::{SlackDesk, SlackStore},
    },
    config::Secret,
};

/// How long the bridge may take to end.
const STOP: Duration = Duration::from_secs(5);

/// What Slack needs.
#[derive(Debug)]
pub struct SlackOptions {
    /// Tokens, and where the API is. With an app token, Socket Mode is used.
    pub access: Access,
    /// What HTTP events are signed with, and where they come in.
    pub events: Option<(Secret, SocketAddr)>,
    /// How the bridge behaves.
    pub settings: Settings,
}

/// Slack at work.
pub struct Slack {
    bridge: Bridge<Orchestrator, Morphism, SlackDesk>,
    inward: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    /// How the socket is.
    pub socket: watch::Receiver<SocketState>,
    /// Where HTTP events come in, if they do.
    pub events: Option<SocketAddr>,
}

impl std::fmt::Debug for Slack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slack").field("bridge", &self.bridge).field("events", &self.events).finish_non_exhaustive()
    }
}

impl Slack {
    /// Takes nothing more in, then ends the bridge. What is not finished is kept for the next start.
    pub async fn stop(self) {
        self.inward.cancel();
        for task in self.tasks {
            // One that broke has nothing more to end.
            drop(task.await);
        }
        if tokio::time::timeout(STOP, self.bridge.stop()).await.is_err() {
            tracing::warn!(
                "Slack: stopped without waiting any longer; what was under way is finished at the next start"
            );
        }
    }
}

impl Orchestrator {
    /// Starts the bridge to Slack. That Slack cannot be reached is no error: it is tried again and again.
    ///
    /// # Errors
    /// A sentence: its database, an address or this machine's certificates are not as they should be.
    pub async fn bridge_slack(&self, data_dir: &Path, options: SlackOptions) -> Result<Slack, String> {
        let SlackOptions { access, events, mut settings } = options;
        settings.batch = self.rules.approvals.batch;
        let choice = |name: &String| Choice { name: name.clone(), ..Choice::default() };
        settings.policies = self.rules.policies.keys().map(choice).collect();
        let with_socket = access.app_token.is_some();
        let web = Morphism::new(&access)?;
        let slack = SlackStore::open(data_dir).map_err(|error| format!("open slack.db: {error}"))?;
        let bridge = Bridge::new(World {
            service: self.clone(),
            web: web.clone(),
            desk: SlackDesk { slack, journal: self.store.clone() },
            people: Arc::new(self.rules.people.clone()),
            clock: Arc::new(SystemClock),
            settings,
        });
        let inward = CancellationToken::new();
        let (told, state) = watch::channel(SocketState::Connecting { after: None });
        let mut tasks = Vec::new();
        let listening = match events {
            Some((secret, address)) => {
                let listener = TcpListener::bind(address)
                    .await
                    .map_err(|error| format!("listen for Slack's events on {address}: {error}"))?;
                let bound = listener.local_addr().ok();
                let served = events::serve(listener, secret, bridge.clone(), inward.clone());
                tasks.push(tokio::spawn(async move {
                    if let Err(error) = served.await {
                        tracing::error!(%error, "Slack: HTTP events do not come in any more");
                    }
                }));
                bound
            }
            None => None,
        };
        if with_socket {
            let settings = SocketSettings::new(&web)?;
            tasks.push(tokio::spawn(socket::run(web, bridge.clone(), settings, told, inward.clone())));
        }
        bridge.run();
        Ok(Slack { bridge, inward, tasks, socket: state, events: listening })
    }
}
