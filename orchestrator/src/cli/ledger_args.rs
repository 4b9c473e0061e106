//! The grammar of the commands about requests to people.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `approvals`.
#[derive(Clone, Debug, Args)]
pub struct ApprovalsArgs {
    /// The request to show (any unique prefix)
    pub id: Option<String>,
    /// Also those that are decided
    #[arg(long)]
    pub all: bool,
    /// How often people are asked, and how they decide
    #[arg(long, conflicts_with_all = ["id", "all"])]
    pub stats: bool,
}

/// Arguments of `approve`.
#[derive(Clone, Debug, Args)]
pub struct ApproveArgs {
    /// The requests; several are shown together and decided one by one
    #[arg(value_name = "ID", required_unless_present = "batch")]
    pub ids: Vec<String>,
    /// All that wait and have this key: requests that are alike, see `baton approvals`
    #[arg(long, value_name = "KEY", conflicts_with = "ids")]
    pub batch: Option<String>,
    /// Only if the digest (or its first 8 or more digits) is this
    #[arg(long)]
    pub digest: Option<String>,
    /// A note for the record
    #[arg(long, default_value = "")]
    pub note: String,
    /// Let it count for later requests about the same thing, for so long, such as 8h (never where the risk is high)
    #[arg(long, value_name = "SPAN")]
    pub remember: Option<String>,
    /// For which later requests
    #[arg(long, value_enum, default_value = "project", requires = "remember")]
    pub scope: Scope,
}

/// For which later requests a decision counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// Of the same project
    Project,
    /// Of every project of the same folder
    Folder,
}

/// Commands about remembered decisions.
#[derive(Clone, Debug, Subcommand)]
pub enum RememberedCommand {
    /// Take one back: it counts for no later request
    Revoke {
        /// The request whose decision it was
        id: String,
    },
}

/// Arguments of `audit`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AuditArgs {
    /// What to do; without it the log is printed
    #[command(subcommand)]
    pub command: Option<AuditCommand>,
    /// Only this project's entries
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
}

/// Commands about the audit log.
#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that nothing in it was edited, left out or slipped in
    Verify {
        /// Also that it still holds the entry with this hash, which an earlier check printed
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
    /// Write it to a file, one JSON object per line
    Export {
        /// The file
        file: PathBuf,
    },
}
