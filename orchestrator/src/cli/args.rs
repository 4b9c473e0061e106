//! The command line's grammar.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::{
    ledger_args::{ApprovalsArgs, ApproveArgs, AuditArgs, RememberedCommand},
    mail_args::MailCommand,
};

/// Delegate long projects to agents that each have a computer of their own.
#[derive(Debug, Parser)]
#[command(name = "baton", version, propagate_version = true, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Print one JSON value per line, errors as JSON on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Where the orchestrator is: its Unix socket, or http://HOST:PORT (with BATON_TOKEN)
    #[arg(long, global = true, env = "BATON_SOCKET", value_name = "PATH|URL")]
    pub socket: Option<String>,
    /// Another configuration file, read after the standard one
    #[arg(long, global = true, env = "BATON_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Who you are: only where names are trusted (no members, or approvals.trust_cli_names)
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub person: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything on this machine: NATS, orchestrator, host service
    Up(UpArgs),
    /// Stop what `up` started
    Down,
    /// Run the orchestrator alone, in the foreground
    Serve(ServeArgs),
    /// Start a project from a plan file, or from a goal of which an agent makes a plan
    Run(RunArgs),
    /// Look at plans, and edit one that waits for approval
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Test approval policies, or list those of the configuration
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// List projects
    Ps,
    /// Show a project and its tasks
    Status(ProjectArgs),
    /// Follow a project until it ends
    Watch {
        /// The project (any unique prefix)
        project: String,
        /// Return as soon as a request waits for a person
        #[arg(long)]
        until_asked: bool,
    },
    /// Print what a project's tasks printed
    Logs(LogsArgs),
    /// List requests that wait for a person, or show one
    Approvals(ApprovalsArgs),
    /// Approve what is asked
    Approve(ApproveArgs),
    /// Refuse a plan or a handoff for good
    Reject {
        /// The request
        id: String,
        /// Why; the people who look later will read it
        #[arg(long)]
        reason: String,
        /// Only if the digest (or its first 8 or more digits) is this
        #[arg(long)]
        digest: Option<String>,
    },
    /// Send a handoff back: the next attempt gets the note
    RequestChanges {
        /// The request
        id: String,
        /// What must be different
        #[arg(long)]
        note: String,
        /// Only if the digest (or its first 8 or more digits) is this
        #[arg(long)]
        digest: Option<String>,
    },
    /// Answer an agent's question
    Answer {
        /// The request
        id: String,
        /// The answer; a number takes one of the suggested ones
        text: String,
    },
    /// Ask the agent about what a request is about, before deciding
    Ask {
        /// The request
        id: String,
        /// The question
        question: String,
    },
    /// Hand your say about a request to somebody else
    Delegate {
        /// The request
        id: String,
        /// To whom: a member's name
        #[arg(long, value_name = "NAME")]
        to: String,
    },
    /// List decisions that count for later requests, or take one back
    Remembered {
        /// What to do; without it they are listed
        #[command(subcommand)]
        command: Option<RememberedCommand>,
    },
    /// Print, check or export the audit log of requests and decisions
    Audit(AuditArgs),
    /// Say something to an agent: it hears it at its next turn
    Tell {
        /// PROJECT, PROJECT/TASK, or the key of a task that only one open project has
        #[arg(value_name = "TARGET")]
        target: String,
        /// What
        text: String,
    },
    /// Show what was spent beside its limits, or set limits
    Budget(BudgetArgs),
    /// Look at models: what is configured, what works, a scripted server
    #[command(disable_help_flag = true)]
    Models {
        /// What `baton-vm-pool models` takes: `check`, `script FILE` …
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<std::ffi::OsString>,
    },
    /// Stop a project, or one task of it
    Cancel {
        /// The project
        project: String,
        /// Only this task, by its key
        #[arg(long, value_name = "KEY")]
        task: Option<String>,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Show what a project (or one task's handoff) changes
    Diff {
        /// The project
        project: String,
        /// Only this task, by its key
        #[arg(long, value_name = "KEY")]
        task: Option<String>,
    },
    /// Put a project's result into its folder (three-way; your own changes stay)
    Apply {
        /// The project
        project: String,
        /// Only say what would happen
        #[arg(long)]
        dry_run: bool,
    },
    /// Take the last apply back: the folder's files get their earlier bytes
    Undo {
        /// The project
        project: String,
        /// Also files that were changed after the apply (their present content is lost)
        #[arg(long)]
        force: bool,
    },
    /// Print a project's journal as a timeline
    Replay(ProjectArgs),
    /// List messages that were set aside because they could not be read
    DeadLetters,
    /// Make the projections again from the journal, and say whether they differed
    Rebuild,
    /// Check everything Baton needs on this machine
    Doctor,
    /// List hosts
    Hosts,
    /// Find, check, add and admit skills
    #[command(subcommand)]
    Skills(super::skills::SkillsCommand),
    /// Slack: check the app, its tokens and its channel
    #[command(subcommand)]
    Slack(SlackCommand),
    /// Mail: what came and went, what was put aside, how a reply is read
    #[command(subcommand)]
    Mail(MailCommand),
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// A child process of `up`: dies with it.
    #[command(hide = true)]
    Child(ChildArgs),
}

/// Arguments of `up`.
#[derive(Clone, Debug, Args)]
pub struct UpArgs {
    /// Return as soon as everything is healthy
    #[arg(long, short)]
    pub detach: bool,
    /// Attempts this host works on at the same time
    #[arg(long, value_name = "N")]
    pub slots: Option<u32>,
    /// Booted spare VMs
    #[arg(long, value_name = "N")]
    pub spares: Option<u32>,
    /// Leaves the terminal (how `--detach` starts it).
    #[arg(long, hide = true)]
    pub background: bool,
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// The NATS server
    #[arg(long, value_name = "URL")]
    pub nats_url: Option<String>,
    /// A file with its user and password
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// Listen on TCP as well
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
}

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The plan file, or the goal in words
    #[arg(value_name = "PLAN|GOAL", required_unless_present = "file")]
    pub plan: Option<String>,
    /// The plan file, whatever its name looks like
    #[arg(long, short, value_name = "PLAN", conflicts_with = "plan")]
    pub file: Option<String>,
    /// The most the whole project may spend on model calls, in US dollars
    #[arg(long, value_name = "N")]
    pub budget_usd: Option<f64>,
    /// The most model tokens of the whole project
    #[arg(long, value_name = "N")]
    pub budget_tokens: Option<u64>,
    /// Who approves the plan an agent makes of a goal: `ask` or `auto`
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// The folder to work on; it changes only when you say `baton apply`
    #[arg(long, value_name = "DIR")]
    pub folder: PathBuf,
    /// Approve the plan with the same breath
    #[arg(long, short)]
    pub yes: bool,
    /// Follow the project until it ends (the default)
    #[arg(long, conflicts_with = "detach")]
    pub watch: bool,
    /// Return as soon as it is started
    #[arg(long, short)]
    pub detach: bool,
}

/// Commands about policies.
#[derive(Clone, Debug, Subcommand)]
pub enum PolicyCommand {
    /// Run a table of requests against policies, and say which are not decided as expected
    Test {
        /// The table, in YAML
        file: PathBuf,
    },
    /// The policies of the configuration, and what they decide about
    List,
}

/// Commands about plans.
#[derive(Clone, Debug, Subcommand)]
pub enum PlanCommand {
    /// Say what is wrong with a plan
    Check {
        /// The plan file
        file: PathBuf,
        /// The project's folder, in which skills are looked for
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Draw a plan's tasks: of a file, or of a project
    Show {
        /// The plan file, or a project's id
        plan: String,
        /// Write a picture to this file
        #[arg(long, value_name = "OUT")]
        svg: Option<PathBuf>,
        /// Print the plan as YAML instead
        #[arg(long, conflicts_with = "svg")]
        yaml: bool,
    },
    /// Edit the plan of a project that waits for approval; what was asked about the one before is void
    Edit {
        /// The project
        project: String,
        /// Take this file instead of opening an editor ($VISUAL, $EDITOR)
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// Commands about Slack.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum SlackCommand {
    /// Say what is missing for Baton to work in Slack, and how to mend it
    Check,
}

/// A project.
#[derive(Clone, Debug, Args)]
pub struct ProjectArgs {
    /// The project: its id or a unique beginning of it
    pub project: String,
}

/// Arguments of `budget`.
#[derive(Clone, Debug, Args)]
pub struct BudgetArgs {
    /// PROJECT or PROJECT/TASK
    pub project: String,
    /// The task whose limits are set, by its key; without it the project's
    #[arg(long, value_name = "KEY")]
    pub task: Option<String>,
    /// The most US dollars for model calls
    #[arg(long, value_name = "N")]
    pub usd: Option<f64>,
    /// The most model tokens
    #[arg(long, value_name = "N")]
    pub tokens: Option<u64>,
    /// The most seconds of VM time
    #[arg(long, value_name = "N")]
    pub vm_seconds: Option<u64>,
    /// The longest time in all, such as 2h (waiting for people not counted)
    #[arg(long, value_name = "SPAN")]
    pub wall: Option<String>,
    /// The most model calls
    #[arg(long, value_name = "N")]
    pub turns: Option<u64>,
}

/// Arguments of `logs`.
#[derive(Clone, Debug, Args)]
pub struct LogsArgs {
    /// The project
    pub project: String,
    /// Only this task, by its key
    #[arg(long, value_name = "KEY")]
    pub task: Option<String>,
    /// Go on until the project (or the task) ends
    #[arg(long, short)]
    pub follow: bool,
}

/// Arguments of the hidden `child`.
#[derive(Clone, Debug, Args)]
pub struct ChildArgs {
    /// The process to die with
    #[arg(long)]
    pub parent: u32,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub program: Vec<std::ffi::OsString>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_the_documentation() {
        let doc = include_str!("../../../docs/cli.md");
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(
                doc.contains(&format!("`baton {}", command.get_name())),
                "docs/cli.md lacks {}",
                command.get_name()
            );
        }
    }
}
