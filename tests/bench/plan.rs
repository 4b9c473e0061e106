//! A plan of 10,000 tasks: from its text to its layers, and the graph alone.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use bus_schemas::v1::api::PlanSource;
use orchestrator::{plan::graph::TaskGraph, planfile};

use crate::report::{Report, percentile};

/// Tasks of the plan.
pub const TASKS: usize = 10_000;
/// Tasks per layer.
const WIDTH: usize = 100;
const SAMPLES: usize = 7;

/// Measures checking the text, and building and layering the graph.
pub fn plan(report: &mut Report) -> Result<()> {
    let source =
        PlanSource { file: "plan.yaml".to_owned(), text: wide_plan(TASKS), scripts: BTreeMap::new(), folder: None };
    report.at_most("plan: size of its text", to_f64(source.text.len()) / 1_048_576.0, "MiB", None);
    let skills = skills::Catalog::default();
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let start = Instant::now();
        let checked = planfile::check(&source, &skills);
        samples.push(start.elapsed());
        ensure!(checked.plan.is_some(), "the plan is refused: {:?}", checked.findings.first());
        ensure!(checked.layers.len() == TASKS / WIDTH, "{} layers", checked.layers.len());
    }
    spread(report, "plan: text of 10,000 tasks checked and layered", &mut samples, Some(200.0));

    let keys: Vec<String> = (0..TASKS).map(|n| format!("t{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let needs: Vec<Vec<usize>> = (0..TASKS).map(needs_of).collect();
    samples.clear();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        let layers = TaskGraph::build(&keys, &needs)?.layers();
        samples.push(start.elapsed());
        ensure!(layers.len() == TASKS / WIDTH, "{} layers", layers.len());
    }
    spread(report, "plan: its graph alone built and layered", &mut samples, None);
    Ok(())
}

fn spread(report: &mut Report, name: &str, samples: &mut [Duration], target: Option<f64>) {
    samples.sort_unstable();
    report.at_most(&format!("{name}, min"), percentile(samples, 0), "ms", None);
    report.at_most(&format!("{name}, median"), percentile(samples, 50), "ms", target);
}

/// Layers of [`WIDTH`] tasks; each needs two of the layer before, has a check and an output of its own.
pub fn wide_plan(tasks: usize) -> String {
    let mut text = "version: 1\ntitle: wide\napproval: auto\ntasks:\n".to_owned();
    for number in 0..tasks {
        let needs: Vec<String> = needs_of(number).into_iter().map(|need| format!("t{need}")).collect();
        let needs = needs.join(", ");
        let _ = write!(
            text,
            "  - id: t{number}\n    title: Task number {number}\n    needs: [{needs}]\n    run: |\n      echo {number} > \
             out/t{number}.txt\n    outputs: [out/t{number}.txt]\n    checks: [test -s out/t{number}.txt]\n"
        );
    }
    text
}

fn needs_of(number: usize) -> Vec<usize> {
    let Some(before) = (number / WIDTH).checked_sub(1) else { return Vec::new() };
    let place = number % WIDTH;
    vec![before * WIDTH + place, before * WIDTH + (place + 1) % WIDTH]
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
const fn to_f64(number: usize) -> f64 {
    number as f64
}
