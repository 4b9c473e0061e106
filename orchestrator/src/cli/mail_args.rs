//! The grammar of the commands about mail.

use std::path::PathBuf;

use bus_schemas::v1::api::LetterState;
use clap::{Args, Subcommand, ValueEnum};

/// Commands about mail.
#[derive(Clone, Debug, Subcommand)]
pub enum MailCommand {
    /// Print what a reply says, without what it quotes and signs with
    Parse {
        /// The mail as it came, with its headers; `-` reads it from stdin
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
    },
    /// Look at the mailbox, the server that sends, and our own domain; a mail goes out and must come back
    Check {
        /// Send no mail
        #[arg(long)]
        no_send: bool,
    },
    /// List mails that came in, and what became of them
    Log(LogArgs),
    /// Show a mail that came in
    Show {
        /// The mail (any unique prefix)
        id: String,
        /// Print it as it came, to the byte
        #[arg(long)]
        raw: bool,
    },
    /// List mails that were put aside, with the reason
    Quarantine,
    /// Let a mail that was put aside pass: it is acted on as if its sender were genuine
    Release {
        /// The mail (any unique prefix)
        id: String,
    },
    /// Throw a mail away that was put aside
    Drop {
        /// The mail (any unique prefix)
        id: String,
    },
    /// List mails of ours, and how far they are
    Outbox {
        /// At most so many, the newest first
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
}

/// Arguments of `mail log`.
#[derive(Clone, Debug, Args)]
pub struct LogArgs {
    /// Only those in this state
    #[arg(long, value_enum)]
    pub state: Option<State>,
    /// At most so many, the newest first
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
}

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Kept and not yet acted on
    Kept,
    /// Put aside
    Quarantined,
    /// Let pass by an admin, and not yet acted on
    Released,
    /// Acted on, or nothing to do
    Done,
    /// Thrown away by an admin
    Dropped,
}

impl From<State> for LetterState {
    fn from(state: State) -> Self {
        match state {
            State::Kept => Self::Kept,
            State::Quarantined => Self::Quarantined,
            State::Released => Self::Released,
            State::Done => Self::Done,
            State::Dropped => Self::Dropped,
        }
    }
}
