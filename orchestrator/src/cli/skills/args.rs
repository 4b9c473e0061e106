//! The grammar of `baton skills`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Commands about skills.
#[derive(Clone, Debug, Subcommand)]
pub enum SkillsCommand {
    /// List the skills that can be used here
    List {
        /// Where
        #[command(flatten)]
        here: Here,
    },
    /// Show a skill: what it says, its files, how it stands to the lockfile
    Show {
        /// Its name
        name: String,
        /// Where
        #[command(flatten)]
        here: Here,
    },
    /// Check skills strictly, after the Agent Skills standard
    Validate(ChosenArgs),
    /// Look through skills' files for what malicious skills do
    Scan(ChosenArgs),
    /// Add skills from a folder, an archive, or a git repository
    Add(AddArgs),
    /// Admit skills as they are now
    Lock(LockArgs),
    /// Say whether skills are as they were admitted
    Verify {
        /// Their names; without them all
        names: Vec<String>,
        /// Where
        #[command(flatten)]
        here: Here,
    },
    /// Copy skills to where other tools look for them
    Export(ExportArgs),
    /// Remove an added skill
    Remove {
        /// Its name
        name: String,
        /// From your own skills, not the project's
        #[arg(long)]
        user: bool,
        /// Although it is not as it was admitted
        #[arg(long)]
        force: bool,
        /// Where
        #[command(flatten)]
        here: Here,
    },
    /// List a skill's evals, or run their checks that need no model
    Eval {
        /// Its name
        name: String,
        /// Run the skill's scripts on this machine
        #[arg(long)]
        run: bool,
        /// Where
        #[command(flatten)]
        here: Here,
    },
}

/// Where skills are looked for.
#[derive(Clone, Debug, Args)]
pub struct Here {
    /// The project's folder (default: this one)
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// Some skills.
#[derive(Clone, Debug, Args)]
pub struct ChosenArgs {
    /// Names of skills, or folders; without them every skill of the project
    pub skills: Vec<String>,
    /// Where
    #[command(flatten)]
    pub here: Here,
}

/// Arguments of `add`.
#[derive(Clone, Debug, Args)]
pub struct AddArgs {
    /// A folder, a .tar, .tar.gz, .tgz or .zip, or URL[#FOLDER][@REF] of a git repository
    pub source: String,
    /// Only the skill of this name (again for more)
    #[arg(long = "skill", value_name = "NAME")]
    pub skills: Vec<String>,
    /// Every skill there is
    #[arg(long, conflicts_with = "skills")]
    pub all: bool,
    /// To your own skills, not the project's
    #[arg(long)]
    pub user: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Although there are findings of severity error
    #[arg(long)]
    pub accept: bool,
    /// Over another skill of the name
    #[arg(long)]
    pub replace: bool,
    /// Where
    #[command(flatten)]
    pub here: Here,
}

/// Arguments of `lock`.
#[derive(Clone, Debug, Args)]
pub struct LockArgs {
    /// Their names
    #[arg(required_unless_present = "all")]
    pub names: Vec<String>,
    /// Every skill of the project (with --user: every skill of yours)
    #[arg(long)]
    pub all: bool,
    /// Into your own lockfile, not the project's
    #[arg(long)]
    pub user: bool,
    /// Although there are findings of severity error
    #[arg(long)]
    pub accept: bool,
    /// Where
    #[command(flatten)]
    pub here: Here,
}

/// Arguments of `export`.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// Their names
    #[arg(required_unless_present = "all")]
    pub names: Vec<String>,
    /// Every skill that can be used here
    #[arg(long)]
    pub all: bool,
    /// `claude`, `codex` or `agents` for that tool's folder in the project, or a folder
    #[arg(long, value_name = "TOOL|DIR", default_value = "claude")]
    pub to: String,
    /// Over what was changed there
    #[arg(long)]
    pub replace: bool,
    /// Where
    #[command(flatten)]
    pub here: Here,
}
