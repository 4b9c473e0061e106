//! Mail, put together: the store, the mailbox, the server that takes ours, webhooks and pages, and the bridge between them and the
//! orchestrator.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::orchestrator::Orchestrator;
use crate::{
    adapter::{
        mail::{
            Desk as _,
            auth::MailAuth,
            bridge::{Bridge, Settings, World},
            imap::{self, ImapSettings, ImapState},
            ingress::{Doors, Web},
            listen,
            smtp::Smtp,
        },
        sqlite::{MailLimits, MailStore},
    },
    config::{Mail as MailConfig, News},
    mail::address,
};

/// How long the bridge may take to end: a mail that is being handed over gets this time.
const STOP: Duration = Duration::from_secs(8);

/// What mail needs.
#[derive(Clone, Debug)]
pub struct MailOptions {
    /// `[mail]`, with an address.
    pub mail: MailConfig,
    /// There is Slack, too.
    pub has_slack: bool,
    /// What must never be seen in a mail: passwords, tokens, canaries.
    pub secrets: Vec<String>,
}

type MailBridge = Bridge<Orchestrator, MailStore, MailAuth, Smtp>;

/// Mail at work.
pub struct Mail {
    bridge: MailBridge,
    inward: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    /// How the mailbox is; `None` if there is none.
    pub mailbox: Option<watch::Receiver<ImapState>>,
    /// Where webhooks come in and pages are, if they are.
    pub listening: Option<SocketAddr>,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("bridge", &self.bridge).field("listening", &self.listening).finish_non_exhaustive()
    }
}

impl Mail {
    /// Takes nothing more in, then ends the bridge. What is not finished is kept for the next start.
    pub async fn stop(self) {
        self.inward.cancel();
        for task in self.tasks {
            // One that broke has nothing more to end.
            drop(task.await);
        }
        if tokio::time::timeout(STOP, self.bridge.stop()).await.is_err() {
            tracing::warn!(
                "mail: stopped without waiting any longer; what was under way is finished at the next start"
            );
        }
    }
}

impl Orchestrator {
    /// Starts mail. That a mail server cannot be reached is no error: it is tried again and again.
    ///
    /// # Errors
    /// A sentence: the database, an address, a password, a key or this machine's certificates are not as they should be.
    pub async fn bridge_mail(&self, data_dir: &Path, options: MailOptions) -> Result<Mail, String> {
        let MailOptions { mut mail, has_slack, secrets } = options;
        mail.state_dir = Some(data_dir.to_owned());
        let ours = mail.address.as_deref().ok_or("mail.address is not set")?;
        let ours = address::normal(ours).ok_or_else(|| format!("mail.address {ours:?} is no plain address"))?;
        let verifier = MailAuth::new(&mail.dns, &mail.trusted_results, &mail.trusted_received, &ours)?;
        let transport = Smtp::new(&mail)?;
        let mailbox = ImapSettings::new(&mail)?;
        let store = MailStore::open(data_dir).map_err(|error| format!("open mail.db: {}", with_causes(&error)))?;
        let store = store.with_limits(MailLimits {
            bytes: mail.quarantine_mib.saturating_mul(1024 * 1024),
            count: mail.quarantine_mails,
        });
        let key = store.key().await.map_err(|error| error.to_string())?;
        let bridge = Bridge::new(World {
            service: self.clone(),
            desk: store.clone(),
            verifier,
            transport,
            people: Arc::new(self.rules.people.clone()),
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
            settings: self.mail_settings(&mail, ours, has_slack, secrets, key),
        });
        let listener = match mail.listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let fetch = if listener.is_some() { Some(Web::new()?) } else { None };
        // From now on nothing can go wrong any more.
        let (told, state) = watch::channel(ImapState::default());
        let mailbox = mailbox.map(|settings| (settings, told));
        let state = mailbox.is_some().then_some(state);
        if !self.open_mail(Arc::new(bridge.room(state.clone()))) {
            return Err("mail is started already".to_owned());
        }
        let inward = CancellationToken::new();
        let mut tasks = Vec::new();
        bridge.run();
        let listening = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some((listener, fetch)) = listener.zip(fetch) {
            let doors = Doors {
                intake: bridge.clone(),
                fetch,
                clock: Arc::clone(&self.clock),
                webhooks: mail.webhooks.clone(),
                max_mail: usize::try_from(mail.max_mail_mib.saturating_mul(1024 * 1024)).unwrap_or(usize::MAX),
            };
            tasks.push(tokio::spawn(listen::serve(listener, doors, inward.clone())));
        }
        if let Some((settings, told)) = mailbox {
            let rung = bridge.clone();
            let bell = move || rung.ring();
            tasks.push(tokio::spawn(imap::run(settings, store, bell, told, inward.clone())));
        }
        tracing::info!(address = bridge.address(), listening = ?listening, "mail is open");
        Ok(Mail { bridge, inward, tasks, mailbox: state, listening })
    }

    fn mail_settings(
        &self,
        mail: &MailConfig,
        address: String,
        has_slack: bool,
        secrets: Vec<String>,
        key: [u8; 32],
    ) -> Settings {
        let news = match mail.news {
            News::Off => None,
            News::Each => Some(Duration::ZERO),
            News::Digest(ms) => Some(Duration::from_millis(ms)),
        };
        Settings {
            address,
            name: mail.name.clone(),
            // Without a server there is nothing behind a link.
            public_url: mail.public_url.clone().filter(|_| mail.listen.is_some()),
            allow: mail.allow.iter().map(|rule| rule.trim().to_lowercase()).collect(),
            requests: mail.requests,
            has_slack,
            news,
            folders: mail.folders.clone(),
            refuse_types: mail.refuse_types.clone(),
            allow_packed: mail.allow_packed.clone(),
            per_sender: mail.per_sender,
            per_hour: mail.per_hour,
            per_thread: mail.per_thread,
            presets: self.rules.presets.keys().cloned().collect(),
            secrets,
            key,
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("listen for webhooks and pages of mail on {address}: {error}"))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
