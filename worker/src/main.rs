//! `baton-worker`: PID 1 of a guest, and the worker that PID 1 starts as `baton-worker serve`.

use std::process::ExitCode;

use anyhow::Context as _;

fn main() -> ExitCode {
    let ran = match std::env::args().nth(1).as_deref() {
        None => worker::guest::run_init().context("bring the guest up"),
        Some("serve") => serve(),
        Some("--version") => {
            #[expect(clippy::print_stdout, reason = "what was asked for")]
            {
                println!("baton-worker {}", env!("CARGO_PKG_VERSION"));
            }
            Ok(())
        }
        Some(other) => Err(anyhow::anyhow!("unknown argument {other}: `baton-worker` is started by a guest's kernel")),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            #[expect(clippy::print_stderr, reason = "the last word of a process that failed")]
            {
                eprintln!("baton-worker: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn serve() -> anyhow::Result<()> {
    // The console's tail is all that the host sees of this: terse, without colours, without a clock that is about to change.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .with_max_level(tracing::Level::WARN)
        .init();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the async runtime")?
        .block_on(worker::guest::serve_host())
}
