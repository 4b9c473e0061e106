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
use vm_pool::adapter::scripted::{Script, serve};

/// `models …`.
#[derive(Debug, Args)]
pub(super) struct Models {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve a scripted model until SIGTERM or SIGINT; exit code 1 if a request was not as the script expects.
    Script(ScriptArguments),
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
            Verb::Script(arguments) => script(arguments).await,
        }
    }
}

async fn script(arguments: ScriptArguments) -> anyhow::Result<()> {
    let script = read(&arguments.file)?;
    let model = script.model_names().remove(0);
    let mut stopped = super::stop_signals()?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("listen on {}: choose another address with --listen", arguments.listen))?;
    let running = serve(script, listener).context("serve")?;
    let url = format!("{}/v1", running.url);
    let text = if arguments.print_url {
        format!("{url}\n")
    } else {
        format!("A scripted model at {url}; in baton.toml:\n\n[models]\nendpoint = \"{url}\"\ndefault = \"{model}\"\n")
    };
    {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("print the URL")?;
    }
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
