//! What the bundled skills say about plans is what the plan file's checks accept.

use std::{collections::BTreeMap, fs, path::Path};

use bus_schemas::v1::api::PlanSource;
use orchestrator::planfile;
use skills::Catalog;

fn findings(text: &str) -> Vec<String> {
    let source =
        PlanSource { file: "plan.json".to_owned(), text: text.to_owned(), scripts: BTreeMap::new(), folder: None };
    let report = planfile::check(&source, &Catalog::default());
    report.findings.into_iter().map(|finding| format!("{}: {}", finding.code, finding.message)).collect()
}

#[test]
fn the_skill_that_plans_knows_the_format() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../skills/catalog/split-repository-into-tasks");
    let reference = fs::read_to_string(folder.join("references/plan-format.md")).unwrap();
    let example = reference.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(findings(example), Vec::<String>::new());
    assert_eq!(findings(&fs::read_to_string(folder.join("evals/files/good.json")).unwrap()), Vec::<String>::new());
    let bad = findings(&fs::read_to_string(folder.join("evals/files/bad.json")).unwrap());
    assert!(bad.iter().any(|finding| finding.starts_with("cycle")) && bad.len() > 3, "{bad:?}");
}
