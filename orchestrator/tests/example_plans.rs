//! The example plans are plans: nothing to find fault with, and every script they name is there.

use std::{collections::BTreeMap, error::Error, fs, path::PathBuf};

use bus_schemas::v1::api::PlanSource;
use orchestrator::planfile::{ModelConfig, check, runnable, script_files};
use skills::Catalog;

#[test]
fn example_plans_are_free_of_findings() -> Result<(), Box<dyn Error>> {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    for (name, layers) in [("repo-audit", 2), ("data-report", 5)] {
        let folder = examples.join(name);
        let text = fs::read_to_string(folder.join("plan.yaml"))?;
        let mut scripts = BTreeMap::new();
        for file in script_files(&text) {
            scripts.insert(file.clone(), fs::read_to_string(folder.join(&file))?);
        }
        let source = PlanSource { file: "plan.yaml".to_owned(), text, scripts, folder: None };
        let report = check(&source, &Catalog::default());
        assert_eq!(report.findings, [], "{name}");
        let plan = report.plan.ok_or("no plan")?;
        assert_eq!(runnable(&plan, &source, &ModelConfig::default()), [], "{name}");
        assert_eq!(report.layers.len(), layers, "{name}");
    }
    Ok(())
}
