//! Figures: collected, compared with their targets, printed as a table and written as JSON.

use std::{fs, path::Path, time::Duration};

use serde::Serialize;

/// One figure.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The most it may be (or the least, for rates).
    pub target: Option<f64>,
    /// Whether more is better.
    pub more_is_better: bool,
}

/// All figures of one run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// In the order they were measured.
    pub figures: Vec<Figure>,
    /// The one-minute load before the run.
    pub load_before: f64,
    /// The one-minute load after it.
    pub load_after: f64,
}

impl Report {
    /// A figure that should be at most `target`.
    pub fn at_most(&mut self, name: &str, value: f64, unit: &'static str, target: Option<f64>) {
        self.add(Figure { name: name.to_owned(), value, unit, target, more_is_better: false });
    }

    /// A figure that should be at least `target`.
    pub fn at_least(&mut self, name: &str, value: f64, unit: &'static str, target: Option<f64>) {
        self.add(Figure { name: name.to_owned(), value, unit, target, more_is_better: true });
    }

    /// Median and 99th percentile of durations, in milliseconds.
    pub fn spread(&mut self, name: &str, samples: &mut [Duration], p50: Option<f64>, p99: Option<f64>) {
        samples.sort_unstable();
        self.at_most(&format!("{name}, p50"), percentile(samples, 50), "ms", p50);
        self.at_most(&format!("{name}, p99"), percentile(samples, 99), "ms", p99);
    }

    fn add(&mut self, figure: Figure) {
        println!("{}", line(&figure));
        self.figures.push(figure);
    }

    /// Writes `latest.json` into the folder.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("latest.json"), serde_json::to_string_pretty(self)? + "\n")
    }

    /// How many figures missed their target.
    pub fn missed(&self) -> usize {
        self.figures.iter().filter(|f| met(f) == Some(false)).count()
    }
}

/// The `p`-th percentile (nearest rank) of sorted samples, in milliseconds.
pub fn percentile(sorted: &[Duration], p: usize) -> f64 {
    let rank = (sorted.len() * p).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map_or(f64::NAN, |d| d.as_secs_f64() * 1_000.0)
}

fn met(figure: &Figure) -> Option<bool> {
    let target = figure.target?;
    Some(if figure.more_is_better { figure.value >= target } else { figure.value <= target })
}

fn line(figure: &Figure) -> String {
    let target = figure.target.map_or_else(String::new, |t| {
        let sign = if figure.more_is_better { "≥" } else { "≤" };
        let verdict = if met(figure) == Some(true) { "met" } else { "MISSED" };
        format!("{sign} {t} {}: {verdict}", figure.unit)
    });
    format!("{:<58} {:>12.3} {:<5} {target}", figure.name, figure.value, figure.unit)
}

/// The one-minute load average.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|f| f.parse().ok()).unwrap_or(f64::NAN)
}
