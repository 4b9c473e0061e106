//! From arguments to a command, and from its outcome to an exit code.

use std::{env, process::ExitCode};

use bus_schemas::v1::approval::Verdict;
use clap::{Parser as _, error::ErrorKind};
use tokio::runtime::{Builder, Runtime};

use super::{
    CliError, Context, Exit, Ui, answer, apply, approvals, approve,
    args::{Cli, Command},
    ask, audit, budget, cancel, child, completions, dead_letters,
    decide::{self, Say},
    diff, doctor, down, hosts, logs, mail, models, plan, policy, ps, rebuild, remembered, replay, run, serve, skills,
    slack, status, tell, up, watch,
};
use crate::paths::Env;

/// Worker threads of `serve`: its work is waiting, and the journal has a thread of its own.
const SERVE_THREADS: usize = 2;

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let env: Env = env::vars_os().collect();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &env).into(),
    };
    let ui = Ui::detect(cli.global.json, &env);
    let context = Context { ui, env, global: cli.global };
    let result = runtime(&cli.command).and_then(|runtime| runtime.block_on(perform(&context, cli.command)));
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            if !error.is_broken_pipe() {
                ui.error(&error);
            }
            error.exit.into()
        }
    }
}

/// Help and version are not errors; the rest is told in the form that was asked for.
fn usage(error: &clap::Error, env: &Env) -> Exit {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return Exit::Ok;
    }
    if env::args_os().any(|argument| argument == "--json") {
        let text = error.to_string();
        let detail = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Ui::detect(true, env).error(&CliError::new(Exit::Usage, "usage", detail, Some("see `baton --help`")));
    } else {
        let _ = error.print();
    }
    Exit::Usage
}

/// One thread is enough for a client; and children must be started by a thread that lives as long as the process,
/// because the kernel ties their death signal to it.
fn runtime(command: &Command) -> Result<Runtime, CliError> {
    let mut builder = match command {
        Command::Serve(_) => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(SERVE_THREADS);
            builder
        }
        _ => Builder::new_current_thread(),
    };
    builder
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Exit::Environment, "runtime", format!("start the runtime: {error}"), None))
}

async fn perform(context: &Context, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Up(args) => up::up(context, &args).await,
        Command::Down => down::down(context).await,
        Command::Serve(args) => serve::serve(context, args).await,
        Command::Run(args) => run::run(context, &args).await,
        Command::Plan(command) => plan::plan(context, command).await,
        Command::Policy(command) => policy::policy(context, command),
        Command::Ps => ps::ps(context).await,
        Command::Status(args) => status::status(context, &args.project).await,
        Command::Watch { project, until_asked } => watch::watch(context, &project, until_asked).await,
        Command::Logs(args) => logs::logs(context, &args).await,
        Command::Approvals(args) => approvals::approvals(context, &args).await,
        Command::Approve(args) => approve::approve(context, args).await,
        Command::Ask { id, question } => ask::ask(context, &id, question).await,
        Command::Delegate { id, to } => ask::delegate(context, &id, to).await,
        Command::Remembered { command } => remembered::remembered(context, command).await,
        Command::Audit(args) => audit::audit(context, args).await,
        Command::Reject { id, reason, digest } => {
            let say = Say { verdict: Verdict::Rejected, note: reason, remember: None };
            decide::decide(context, &id, say, digest.as_deref()).await
        }
        Command::RequestChanges { id, note, digest } => {
            let say = Say { verdict: Verdict::ChangesRequested, note, remember: None };
            decide::decide(context, &id, say, digest.as_deref()).await
        }
        Command::Answer { id, text } => answer::answer(context, &id, &text).await,
        Command::Tell { target, text } => tell::tell(context, &target, text).await,
        Command::Budget(args) => budget::budget(context, &args).await,
        Command::Models { rest } => models::models(context, &rest),
        Command::Cancel { project, task, reason } => cancel::cancel(context, &project, task, reason).await,
        Command::Diff { project, task } => diff::diff(context, &project, task.as_deref()).await,
        Command::Apply { project, dry_run } => apply::apply(context, &project, dry_run).await,
        Command::Undo { project, force } => apply::undo(context, &project, force).await,
        Command::Replay(args) => replay::replay(context, &args.project).await,
        Command::DeadLetters => dead_letters::dead_letters(context).await,
        Command::Rebuild => rebuild::rebuild(context).await,
        Command::Doctor => doctor::doctor(context).await,
        Command::Hosts => hosts::hosts(context).await,
        Command::Skills(command) => skills::skills(context, command),
        Command::Slack(command) => slack::slack(context, command).await,
        Command::Mail(command) => mail::mail(context, command).await,
        Command::Completions { shell } => completions::completions(context, shell),
        Command::Child(args) => child::child(&args),
    }
}
