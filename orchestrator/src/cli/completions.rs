//! `baton completions`

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{CliError, Context, Exit, args::Cli};

pub(super) fn completions(context: &Context, shell: Shell) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "baton", &mut script);
    context.ui.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
