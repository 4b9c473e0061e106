//! `baton serve`: the orchestrator behind the API.

use std::{future::Future, path::PathBuf};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use toml::Value;
use tracing_subscriber::EnvFilter;

use super::{CliError, Context, Exit, args::ServeArgs, error::chain};
use crate::{
    adapter::web::{self, Listeners, ServerError},
    config::{Config, Overrides},
    paths::{Paths, private_dir},
    port::Service,
};

/// What an orchestrator is made from.
#[derive(Debug)]
pub struct Around {
    /// The configuration.
    pub config: Config,
    /// The folders; those for state exist.
    pub paths: Paths,
    /// Where NATS is.
    pub nats_url: String,
    /// A JSON file with user and password for it.
    pub credentials: Option<PathBuf>,
    /// Cancelled when everything must end.
    pub shutdown: CancellationToken,
}

/// Makes the orchestrator that `serve` puts behind the API.
pub trait Launch: Send + 'static {
    /// What answers the API.
    type Service: Service;

    /// Opens the journal, connects to the bus, starts the driver. The second value ends when all of it has ended after
    /// `around.shutdown`, or with the reason why it could not go on.
    ///
    /// # Errors
    /// A sentence: what could not be opened.
    fn launch(
        self,
        around: Around,
    ) -> impl Future<Output = Result<(Self::Service, impl Future<Output = Result<(), String>> + Send), CliError>> + Send;
}

impl From<ServerError> for CliError {
    fn from(error: ServerError) -> Self {
        let exit = if matches!(error, ServerError::InUse { .. }) { Exit::Refused } else { Exit::Environment };
        Self::new(exit, "not_listening", chain(&error), None)
    }
}

pub(super) async fn serve(context: &Context, args: ServeArgs, launch: impl Launch) -> Result<Exit, CliError> {
    let (config, paths) = context.config(flags(&args))?;
    let socket = context.socket(&config, &paths);
    logging(&config)?;
    for dir in [&paths.state_dir, &paths.runtime_dir] {
        private_dir(dir)?;
    }
    let Some(nats_url) = config.bus.url.clone() else {
        return Err(CliError::new(
            Exit::Usage,
            "no_bus",
            "no NATS server is named",
            Some("`baton up` runs one; or give --nats-url, or set bus.url"),
        ));
    };
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listeners = Listeners::bind(&socket, config.orchestrator.listen).await?;
    let tcp = listeners.tcp_address();
    let credentials = config.bus.credentials.clone();
    let token = config.orchestrator.token.clone();
    let around = Around { config, paths, nats_url, credentials, shutdown: shutdown.clone() };
    let launched = tokio::select! {
        launched = launch.launch(around) => launched,
        _ = terminate.recv() => return Ok(Exit::Ok),
        _ = interrupt.recv() => return Ok(Exit::Ok),
    };
    let (service, rest) = launched?;
    tracing::info!(socket = %socket.display(), tcp = ?tcp, "serving");
    let served = web::serve(listeners, service, token.as_ref().map(|token| token.expose()), shutdown.clone());
    let signals = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = shutdown.cancelled() => return,
        }
        tracing::info!("stopping");
        shutdown.cancel();
    };
    let rest = async {
        let ended = rest.await;
        // If the driver could not go on, an API without it must not stay.
        shutdown.cancel();
        ended
    };
    let (served, (), ended) = tokio::join!(served, signals, rest);
    served?;
    ended.map_err(|detail| CliError::new(Exit::Internal, "driver_ended", detail, None))?;
    Ok(Exit::Ok)
}

fn flags(args: &ServeArgs) -> Overrides {
    let path = |path: &PathBuf| Value::String(path.to_string_lossy().into_owned());
    let url = args.nats_url.as_ref().map(|url| ("bus.url", Value::String(url.clone())));
    let credentials = args.credentials.as_ref().map(|file| ("bus.credentials", path(file)));
    let listen = args.listen.as_ref().map(|address| ("orchestrator.listen", Value::String(address.clone())));
    url.into_iter().chain(credentials).chain(listen).collect()
}

/// The log goes to stderr, which `baton up` keeps in a file.
fn logging(config: &Config) -> Result<(), CliError> {
    let filter = EnvFilter::try_new(&config.orchestrator.log).map_err(|error| {
        let detail = format!("configuration orchestrator.log: {error}");
        CliError::new(Exit::Invalid, "config_invalid", detail, Some("for example \"info\" or \"info,orchestrator=debug\""))
    })?;
    // Only a second call in one process can fail, and the first subscriber is as good.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).try_init();
    Ok(())
}
