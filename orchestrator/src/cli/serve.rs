//! `baton serve`: the orchestrator behind the API.

use std::{ffi::OsStr, path::PathBuf};

use bus_schemas::nats::BusOptions;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use toml::Value;
use tracing_subscriber::EnvFilter;

use super::{CliError, Context, Exit, args::ServeArgs, error::chain};
use crate::{
    adapter::{
        shadow::FolderLimits,
        slack::{Access, Patience, bridge::Settings},
        web::{self, Listeners, ServerError},
    },
    config::{Config, Overrides, Secret},
    paths::{self, Paths, private_dir},
    planfile::ModelConfig,
    service::{MailOptions, OrchestratorOptions, SlackOptions, StartError, start},
};

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        Self::new(Exit::Environment, "not_started", chain(&error), Some("see `baton doctor`"))
    }
}

impl From<ServerError> for CliError {
    fn from(error: ServerError) -> Self {
        let exit = if matches!(error, ServerError::InUse { .. }) { Exit::Refused } else { Exit::Environment };
        Self::new(exit, "not_listening", chain(&error), None)
    }
}

/// How long an orderly stop may take.
const STOP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

pub(super) async fn serve(context: &Context, args: ServeArgs) -> Result<Exit, CliError> {
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
    let starting = start(options(context, &config, &paths, &nats_url)?);
    let (service, running) = tokio::select! {
        started = starting => started?,
        _ = terminate.recv() => return Ok(Exit::Ok),
        _ = interrupt.recv() => return Ok(Exit::Ok),
    };
    tracing::info!(socket = %socket.display(), tcp = ?tcp, "serving");
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
        tracing::info!("stopping");
    });
    let slack = match slack_options(&config) {
        Some(options) => match service.bridge_slack(&paths.state_dir, options).await {
            Ok(slack) => Some(slack),
            Err(why) => {
                // Work goes on: requests can be decided on the command line.
                tracing::error!("Slack is off until the next start: {why} (`baton slack check` looks at all of it)");
                None
            }
        },
        None => None,
    };
    let mail = match mail_options(&config) {
        Some(options) => match service.bridge_mail(&paths.state_dir, options).await {
            Ok(mail) => Some(mail),
            Err(why) => {
                tracing::error!("mail is off until the next start: {why} (`baton mail check` looks at all of it)");
                None
            }
        },
        None => None,
    };
    let token = config.orchestrator.token.as_ref().map(Secret::expose);
    let served = web::serve(listeners, service, token, shutdown).await;
    let slack = async {
        if let Some(slack) = slack {
            slack.stop().await;
        }
    };
    let mail = async {
        if let Some(mail) = mail {
            mail.stop().await;
        }
    };
    tokio::join!(slack, mail);
    // What is committed is safe whether or not this ends well; a bus that is gone must not keep the process.
    if tokio::time::timeout(STOP_TIMEOUT, running.stop()).await.is_err() {
        tracing::warn!("stopped without waiting any longer");
    }
    served?;
    Ok(Exit::Ok)
}

fn options(context: &Context, config: &Config, paths: &Paths, nats_url: &str) -> Result<OrchestratorOptions, CliError> {
    let bus = BusOptions::with_credentials_file(nats_url, config.bus.credentials.as_deref(), "baton")
        .map_err(|error| CliError::new(Exit::Invalid, "credentials", chain(&error), None))?;
    let mut options = OrchestratorOptions::new(paths.state_dir.clone(), bus);
    options.folder_limits = FolderLimits {
        max_file_mib: config.folder.max_file_mib,
        max_total_mib: config.folder.max_total_mib,
        max_files: config.folder.max_files,
    };
    options.models = ModelConfig { models: config.models.clone(), providers: config.providers.clone() };
    // A configuration that was loaded has been checked.
    options.rules =
        config.rules().map_err(|error| CliError::new(Exit::Invalid, "config_invalid", error.to_string(), None))?;
    options.effects =
        config.effects().map_err(|error| CliError::new(Exit::Invalid, "config_invalid", error.to_string(), None))?;
    options.env = context.env.clone();
    options.secrets = secrets(config);
    options.home = context.env.get(OsStr::new("HOME")).map(PathBuf::from);
    options.data_home = paths::data_home(&context.env);
    options.bundled_skills = paths::bundled_skills();
    Ok(options)
}

/// What Slack needs, if it is configured.
fn slack_options(config: &Config) -> Option<SlackOptions> {
    let slack = &config.slack;
    if slack.is_begun() {
        let state = if slack.is_on() { "Slack" } else { "Slack is off" };
        for complaint in slack.complaints() {
            tracing::warn!("{state}: {complaint}");
        }
    }
    let bot_token = slack.bot_token.clone().filter(|_| slack.is_on())?;
    let settings = Settings {
        channel: slack.channel.clone(),
        max_snippet_bytes: usize::try_from(slack.max_snippet_bytes).unwrap_or(usize::MAX),
        status_every: slack.status_pause(),
        allow_everyone: slack.allow_everyone,
        folders: slack.folders.clone(),
        secrets: secrets(config),
        ..Settings::default()
    };
    Some(SlackOptions {
        access: Access {
            api_url: slack.api_url.clone(),
            bot_token,
            app_token: slack.app_token.clone(),
            patience: Patience::default(),
        },
        events: slack.signing_secret.clone().zip(slack.events_listen),
        settings,
    })
}

/// What mail needs, if it is configured.
fn mail_options(config: &Config) -> Option<MailOptions> {
    let mail = config.mail.is_on().then(|| config.mail.clone())?;
    for complaint in mail.complaints() {
        tracing::warn!("mail: {complaint}");
    }
    Some(MailOptions { mail, has_slack: config.slack.is_on(), secrets: secrets(config) })
}

/// None of these is ever to be seen in a channel or a mail, wherever an agent may have found it.
fn secrets(config: &Config) -> Vec<String> {
    let (slack, mail) = (&config.slack, &config.mail);
    let known = [
        &config.orchestrator.token,
        &slack.bot_token,
        &slack.app_token,
        &slack.signing_secret,
        &mail.password,
        &mail.smtp_password,
        &mail.oauth_client_secret,
        &mail.oauth_refresh_token,
        &mail.webhooks.postmark,
        &mail.webhooks.mailgun,
    ];
    let never = slack.never.iter().chain(&mail.never);
    known.into_iter().flatten().chain(never).map(|secret| secret.expose().to_owned()).collect()
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
        CliError::new(
            Exit::Invalid,
            "config_invalid",
            detail,
            Some("for example \"info\" or \"info,orchestrator=debug\""),
        )
    })?;
    // Only a second call in one process can fail, and the first subscriber is as good.
    // A supervisor that was killed leaves a closed pipe behind: complaining about it there would panic.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .log_internal_errors(false)
        .try_init();
    Ok(())
}
