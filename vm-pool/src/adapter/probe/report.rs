//! What came of the calls, for people and programs.

use bus_schemas::v1::agent::{Structured, Wire};
use serde::Serialize;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// An answer in one piece.
    Answer,
    /// An answer as a stream.
    Stream,
    /// A call of a tool.
    Tool,
    /// An answer by a JSON schema.
    Schema,
    /// What it says it used.
    Usage,
}

impl Probe {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 5] = [Self::Answer, Self::Stream, Self::Tool, Self::Schema, Self::Usage];

    const fn title(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Stream => "stream",
            Self::Tool => "tool call",
            Self::Schema => "json schema",
            Self::Usage => "usage",
        }
    }
}

/// How that went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It works.
    Works,
    /// It does not.
    Fails {
        /// Why; cleaned, it may be a provider's text.
        why: String,
    },
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub probe: Probe,
    /// How that went.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// As `provider/model`.
    pub model: String,
    /// The wire format that agents speak to it.
    pub wire: Option<Wire>,
    /// Other wire formats it speaks as well.
    pub also: Vec<Wire>,
    /// How agents bring it to act.
    pub structured: Structured,
    /// Why it could not even be tried.
    pub problem: Option<String>,
    /// What was tried.
    pub checks: Vec<Check>,
    /// What to change in `baton.toml`.
    pub advice: Option<String>,
    /// Agents can work with it as it is configured.
    pub usable: bool,
}

impl Report {
    pub(super) fn works(&self, probe: Probe) -> bool {
        self.checks.iter().any(|check| check.probe == probe && check.outcome == Outcome::Works)
    }
}

const fn name(wire: Wire) -> &'static str {
    match wire {
        Wire::Messages => "messages",
        Wire::ChatCompletions => "chat completions",
        Wire::Responses => "responses",
    }
}

/// The table that is printed.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let wide = reports.iter().map(|report| report.model.chars().count()).max().unwrap_or(0).max("model".len());
    let mut text = format!("{:wide$}  {:16}", "model", "wire");
    for probe in Probe::ALL {
        text.push_str(&format!("  {:11}", probe.title()));
    }
    text = text.trim_end().to_owned();
    text.push('\n');
    for report in reports {
        let mut line = format!("{:wide$}  {:16}", report.model, report.wire.map_or("-", name));
        for probe in Probe::ALL {
            let found = report.checks.iter().find(|check| check.probe == probe);
            let cell = match found {
                Some(Check { outcome: Outcome::Works, ms, .. }) if probe != Probe::Usage => format!("yes {ms} ms"),
                Some(Check { outcome: Outcome::Works, .. }) => "yes".to_owned(),
                Some(_) => "NO".to_owned(),
                None => "-".to_owned(),
            };
            line.push_str(&format!("  {cell:11}"));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for report in reports {
        let mut notes: Vec<String> = report.problem.iter().cloned().collect();
        for check in &report.checks {
            if let Outcome::Fails { why } = &check.outcome {
                notes.push(format!("{}: {why}", check.probe.title()));
            }
        }
        if !report.also.is_empty() {
            let also: Vec<&str> = report.also.iter().map(|wire| name(*wire)).collect();
            notes.push(format!("speaks {}, too", also.join(" and ")));
        }
        notes.extend(report.advice.iter().map(|advice| format!("→ {advice}")));
        if !notes.is_empty() {
            text.push_str(&format!("\n{}\n", report.model));
            notes.iter().for_each(|note| text.push_str(&format!("  {note}\n")));
        }
    }
    text
}
