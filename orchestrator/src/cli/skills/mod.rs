//! `baton skills …`: Agent Skills on this machine. No orchestrator is asked.

mod add;
mod args;
mod check;
mod export;
mod list;
mod lock;
mod place;
mod reviews;
mod shown;

pub use args::SkillsCommand;
pub(super) use reviews::reviews;

use super::{CliError, Context, Exit};

pub(super) fn skills(context: &Context, command: SkillsCommand) -> Result<Exit, CliError> {
    match command {
        SkillsCommand::List { here } => list::list(context, &here),
        SkillsCommand::Show { name, here } => list::show(context, &name, &here),
        SkillsCommand::Validate(args) => check::strictly(context, &args),
        SkillsCommand::Scan(args) => check::scanned(context, &args),
        SkillsCommand::Add(args) => add::add(context, &args),
        SkillsCommand::Lock(args) => lock::lock(context, &args),
        SkillsCommand::Verify { names, here } => lock::verify(context, &names, &here),
        SkillsCommand::Export(args) => export::export(context, &args),
        SkillsCommand::Remove { name, user, force, here } => add::removed(context, &name, user, force, &here),
        SkillsCommand::Eval { name, run, here } => check::eval(context, &name, run, &here),
    }
}
