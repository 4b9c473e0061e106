//! Exit codes: one per class of outcome, the same for every command.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// It worked, and the answer is no: the project failed, was canceled or rejected; rebuilding found differences.
    Negative = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The input is wrong: plan, folder, configuration.
    Invalid = 3,
    /// The id names nothing, or more than one thing.
    NotFound = 4,
    /// It must not be done now: another digest, decided already, a conflict with the person's own changes.
    Refused = 5,
    /// No orchestrator answers.
    Unreachable = 6,
    /// The machine lacks something: a program, memory, a folder that can be written.
    Environment = 7,
    /// A bug or a failing disk: what no other code says.
    Internal = 70,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// Every code, for the documentation's test.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Negative,
        Self::Usage,
        Self::Invalid,
        Self::NotFound,
        Self::Refused,
        Self::Unreachable,
        Self::Environment,
        Self::Internal,
        Self::Interrupted,
    ];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The class of an API problem: by its code where the status is not enough, else by its status.
    #[must_use]
    pub fn of_problem(code: &str, status: u16) -> Self {
        match (code, status) {
            ("ambiguous" | "ambiguous_id", _) | (_, 404 | 410) => Self::NotFound,
            (_, 401 | 403 | 409 | 412 | 423) => Self::Refused,
            (_, 503 | 507) => Self::Environment,
            (_, 400..=499) => Self::Invalid,
            _ => Self::Internal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_differ_and_are_documented() {
        let codes: HashSet<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes.len(), Exit::ALL.len());
        let doc = include_str!("../../../docs/cli.md");
        for exit in Exit::ALL {
            assert!(doc.contains(&format!("| {} |", exit.code())), "docs/cli.md lacks exit code {}", exit.code());
        }
    }

    #[test]
    fn problems_have_classes() {
        assert_eq!(Exit::of_problem("not_found", 404), Exit::NotFound);
        assert_eq!(Exit::of_problem("ambiguous", 409), Exit::NotFound);
        assert_eq!(Exit::of_problem("digest_mismatch", 409), Exit::Refused);
        assert_eq!(Exit::of_problem("plan_invalid", 422), Exit::Invalid);
        assert_eq!(Exit::of_problem("disk_full", 507), Exit::Environment);
        assert_eq!(Exit::of_problem("internal", 500), Exit::Internal);
    }
}
