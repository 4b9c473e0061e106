use std::fmt::Write;

use bus_schemas::v1::{
    api::PlanSource,
    plan::{Foreach, Plan},
};
use skills::Catalog;

use super::{svg, text};
use crate::planfile;

fn drawn(yaml: &str) -> (Plan, Vec<Vec<String>>) {
    let source = PlanSource { file: "plan.yaml".to_owned(), text: yaml.to_owned(), ..empty() };
    let report = planfile::check(&source, &Catalog::default());
    (report.plan.unwrap_or_else(|| panic!("{:?}", report.findings)), report.layers)
}

fn empty() -> PlanSource {
    PlanSource { file: String::new(), text: String::new(), scripts: Default::default(), folder: None }
}

const AUDIT: &str = r#"
version: 1
title: Audit of a repository <&> "quoted"
goal: |
  Say what is in the folder.
  In detail.
policies: { lead: { decide: ask }, robot: { decide: auto } }
tasks:
  - { id: inventory, title: Count the files, run: "true", checks: ["true"] }
  - { id: largest, title: Find the largest files, run: "true", checks: ["true"], approval: robot }
  - { id: licences, run: "true", checks: ["true", "true"], foreach: { list: [mit, bsd, gpl] } }
  - { id: secrets, title: Look for things that should not be in a repository and say where they are, run: "true" }
  - id: explain
    title: Explain what was found
    needs: [secrets]
    agent: { instructions: Explain. }
    checks: ["true"]
    approval: ask
    when: needs.secrets.result.count > 0
  - { id: per-file, needs: [inventory], run: "true", foreach: { from: needs.inventory.result.files } }
  - { id: report, title: Merge everything, needs: [inventory, largest, licences, secrets, explain, per-file], run: "true", checks: ["true"], approval: lead }
"#;

fn large(tasks: usize) -> (Plan, Vec<Vec<String>>) {
    let mut yaml = "version: 1\ntitle: Large\ntasks:\n".to_owned();
    for number in 0..tasks {
        let needs = match (number / 100, number % 100) {
            (0, _) => String::new(),
            (_, 0) => format!(", needs: [t{}]", number - 100),
            (_, _) => format!(", needs: [t{}, t{}]", number - 101, number - 100),
        };
        writeln!(yaml, "  - {{ id: t{number}, run: \"true\", checks: [\"true\"]{needs} }}").unwrap();
    }
    drawn(&yaml)
}

#[test]
fn a_plan_is_drawn_as_text() {
    let (plan, layers) = drawn(AUDIT);
    insta::assert_snapshot!("text", text(&plan, &layers));
}

#[test]
fn a_plan_is_drawn_as_svg() {
    let (plan, layers) = drawn(AUDIT);
    insta::assert_snapshot!("svg", svg(&plan, &layers));
}

#[test]
fn lines_fit_whatever_the_plan_says() {
    let (mut plan, layers) = drawn(AUDIT);
    for task in &mut plan.tasks {
        task.title = Some("\u{1b}[31m\u{202e}".to_owned() + &"wide ".repeat(60));
        task.foreach = Some(Foreach { list: None, from: None, max: None });
        task.needs = vec!["a-rather-long-name-of-a-task".to_owned(); 40];
    }
    let drawn = text(&plan, &layers);
    assert!(drawn.lines().all(|line| line.chars().count() <= 100), "{drawn}");
    assert!(!drawn.contains(['\u{1b}', '\u{202e}']));
    assert!(drawn.contains("more"));
    let image = svg(&plan, &layers);
    assert!(!image.contains(['\u{1b}', '\u{202e}']));
}

#[test]
fn a_large_plan_is_summed_up() {
    let (plan, layers) = large(10_000);
    let drawn = text(&plan, &layers);
    assert!(drawn.lines().count() < 300, "{} lines", drawn.lines().count());
    assert!(drawn.contains("10,000 tasks in 100 layers, at most 100 at the same time"), "{drawn}");
    assert!(drawn.contains("… and 95 tasks more") && drawn.contains("… and 80 layers more"), "{drawn}");
    let image = svg(&plan, &layers);
    assert!(image.len() < 500_000, "{} bytes", image.len());
    assert!(image.contains("… and 91 tasks more") && image.contains("the last 60 layers not shown"));
}

#[test]
fn nothing_to_draw_is_no_failure() {
    let (mut plan, _) = drawn(AUDIT);
    plan.tasks.clear();
    assert!(text(&plan, &[]).contains("0 tasks in 0 layers"));
    assert!(svg(&plan, &[]).ends_with("</svg>\n"));
}
