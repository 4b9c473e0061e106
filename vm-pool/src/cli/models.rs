//! `baton-vm-pool models …`.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use tokio::net::TcpListener;
use vm_pool::{
    adapter::{
        gateway::Gateway,
        governor::Governors,
        probe::{self, names, table},
        scripted::{Script, serve},
    },
    config::load_models,
    governor::Tuning,
};

/// How long a call waits for a provider that is busy, or not there, in milliseconds.
const HOLD_MS: u64 = 10_000;

/// `models …`.
#[derive(Debug, Args)]
pub(super) struct Models {
    #[command(subcommand)]
    verb: Verb,
    /// TOML file with the sections [models] and [providers].
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a few small, real calls to each model and say what works; exit code 1 if one cannot be used.
    Check(CheckArguments),
    /// Serve a scripted model until SIGTERM or SIGINT; exit code 1 if a request was not as the script expects.
    Script(ScriptArguments),
}

#[derive(Debug, Args)]
struct CheckArguments {
    /// Models to check, as provider/model. Default: all that the configuration names.
    models: Vec<String>,
}

#[derive(Debug, Args)]
struct ScriptArguments {
    /// The script (docs/scripted-models.md).
    file: PathBuf,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Print nothing but the base URL, with `/v1`, on one line.
    #[arg(long)]
    print_url: bool,
}

impl Models {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.verb {
            Verb::Check(arguments) => check(arguments, self.config.as_deref(), self.json).await,
            Verb::Script(arguments) => script(arguments, self.json).await,
        }
    }
}

async fn check(arguments: CheckArguments, config: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let setup = load_models(config, std::env::vars_os())?;
    let mut models: Vec<String> = arguments.models.iter().map(|name| setup.models.full_name(name)).collect();
    if models.is_empty() {
        models = names(&setup);
    }
    if models.is_empty() {
        bail!("no model is configured: set models.default in baton.toml, see docs/models.md");
    }
    // Who checks wants to know that a provider is busy, not to wait until it is not.
    let tuning = Tuning { hold_ms: HOLD_MS, ..Tuning::default() };
    let env = |name: &str| std::env::var(name).ok();
    let gateway = Gateway::new(&setup, env, &Governors::default().tuned(tuning))?;
    let reports = probe::check(&gateway, &models).await;
    let text = if json {
        let lines = reports.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>().context("JSON")?;
        lines.join("\n") + "\n"
    } else {
        table(&reports)
    };
    print(&text)?;
    let lost: Vec<&str> = reports.iter().filter(|report| !report.usable).map(|report| report.model.as_str()).collect();
    if lost.is_empty() { Ok(()) } else { bail!("agents cannot use {}", lost.join(", ")) }
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("print")
}

async fn script(arguments: ScriptArguments, json: bool) -> anyhow::Result<()> {
    let script = read(&arguments.file)?;
    let script_models = script.model_names();
    let model = script_models.first().cloned().unwrap_or_default();
    let mut stopped = super::stop_signals()?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("listen on {}: choose another address with --listen", arguments.listen))?;
    let running = serve(script, listener).context("serve")?;
    let url = format!("{}/v1", running.url);
    let text = if json {
        format!("{}\n", serde_json::json!({ "url": url, "models": script_models }))
    } else if arguments.print_url {
        format!("{url}\n")
    } else {
        format!("A scripted model at {url}; in baton.toml:\n\n[models]\nendpoint = \"{url}\"\ndefault = \"{model}\"\n")
    };
    print(&text)?;
    let _ = stopped.wait_for(|stop| *stop).await;
    let failures = running.failures();
    if failures.is_empty() {
        return Ok(());
    }
    bail!(
        "{} of {} requests were not as the script expects:\n{}",
        failures.len(),
        running.requests().len(),
        failures.join("\n")
    )
}

fn read(file: &Path) -> anyhow::Result<Script> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    Script::parse(&text).map_err(|why| anyhow::anyhow!("{}: {why}", file.display()))
}
