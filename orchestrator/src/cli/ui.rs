//! Where output goes: data to stdout, the rest to stderr, one JSON value per line if asked for.

use std::{
    ffi::OsStr,
    io::{self, IsTerminal as _, Write as _},
};

use serde::Serialize;

use super::{
    CliError,
    render::findings,
    style::{Paint, Style, clean},
};
use crate::paths::Env;

/// How this process may write.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    /// One JSON value per line on stdout.
    pub json: bool,
    pub(super) out_terminal: bool,
    pub(super) err_terminal: bool,
    pub(super) out: Style,
    pub(super) err: Style,
}

impl Ui {
    /// Looks at the terminal and at `NO_COLOR`, `CLICOLOR_FORCE` and `TERM`.
    #[must_use]
    pub fn detect(json: bool, env: &Env) -> Self {
        let set = |name: &str| env.get(OsStr::new(name)).is_some_and(|value| !value.is_empty());
        let dumb = env.get(OsStr::new("TERM")).is_some_and(|term| term == "dumb");
        let out_terminal = io::stdout().is_terminal();
        let err_terminal = io::stderr().is_terminal();
        let colour = |terminal: bool| !set("NO_COLOR") && (set("CLICOLOR_FORCE") || (terminal && !dumb)) && !json;
        Self {
            json,
            out_terminal,
            err_terminal: err_terminal && !dumb,
            out: Style { colour: colour(out_terminal) },
            err: Style { colour: colour(err_terminal) },
        }
    }

    /// A person sits at the terminal: a question can be asked, a live view be drawn.
    #[must_use]
    pub fn interactive(&self) -> bool {
        self.out_terminal && self.err_terminal && !self.json
    }

    /// Data: text, ended with a newline if it has none.
    ///
    /// # Errors
    /// Writing failed.
    pub fn data(&self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()?;
        Ok(())
    }

    /// Data: one JSON value on one line.
    ///
    /// # Errors
    /// Writing failed.
    pub fn json_line(&self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(value).map_err(io::Error::other)?;
        self.data(&text)
    }

    /// Says something to the person. Nobody listening is not an error.
    pub fn say(&self, text: &str) {
        if !self.json {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Shows an error.
    pub fn error(&self, error: &CliError) {
        let mut err = io::stderr().lock();
        if self.json {
            let text = serde_json::to_string(&error.problem).unwrap_or_default();
            let _ = writeln!(err, "{text}");
            return;
        }
        let problem = &error.problem;
        let _ = writeln!(err, "{} {}", self.err.paint(Paint::Red, "error:"), clean(&problem.detail));
        if !problem.findings.is_empty() {
            let _ = write!(err, "{}", findings(self.err, &problem.findings));
        }
        if let Some(hint) = &problem.hint {
            let _ = writeln!(err, "{} {}", self.err.paint(Paint::Cyan, " hint:"), clean(hint));
        }
    }

    /// Asks a yes-or-no question; anything but yes is no.
    ///
    /// # Errors
    /// Reading failed.
    pub fn confirm(&self, question: &str) -> Result<bool, CliError> {
        let mut err = io::stderr().lock();
        write!(err, "{question} [y/N] ")?;
        err.flush()?;
        drop(err);
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}
