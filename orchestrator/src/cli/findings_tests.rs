//! Every bad plan in `tests/fixtures/plans/bad`, as a person sees what is wrong with it: `<name>.snap` beside it.

use std::{collections::BTreeMap, fs, path::PathBuf};

use bus_schemas::v1::api::{PlanSource, Severity};
use skills::{Catalog, Source};

use super::render;
use crate::planfile;

/// Relative to the crate, which is where tests run: the text is part of what is compared.
const FIXTURES: &str = "../tests/fixtures/plans";

fn source(name: &str, text: String) -> PlanSource {
    let scripts = [("scripts/scan.py", "print(1)"), ("scripts/hollow.sh", " \n")];
    let scripts = scripts.map(|(name, text)| (name.to_owned(), text.to_owned()));
    PlanSource { file: name.to_owned(), text, scripts: BTreeMap::from(scripts), folder: None }
}

#[test]
fn bad_plans_are_explained() {
    let catalog = Catalog::discover(&[(Source::Project, PathBuf::from(FIXTURES).join("skills"))]);
    let folder = PathBuf::from(FIXTURES).join("bad");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    assert!(names.len() >= 20, "{names:?}");
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(PathBuf::from("../..").join(FIXTURES).join("bad"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for name in names {
            let text = fs::read_to_string(folder.join(&name)).unwrap();
            let report = planfile::check(&source(&name, text.clone()), &catalog);
            let has_errors = report.findings.iter().any(|finding| finding.severity == Severity::Error);
            assert!(!report.findings.is_empty(), "{name}");
            assert_eq!(report.plan.is_none(), has_errors, "{name}");
            insta::assert_snapshot!(name.trim_end_matches(".yaml"), render(&report.findings, &text, false));
        }
    });
}
