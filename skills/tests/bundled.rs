//! The skills that come with the program: as the standard wants them, nothing odd in them, and their scripts do what
//! their evals say.

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt as _, path::PathBuf};

use skills::{Catalog, Evals, Severity, Skill, Source, perform, scan, validate};

const NAMES: [&str; 8] = [
    "analyze-csv-json",
    "document-code",
    "repair-failing-tests",
    "review-git-change",
    "split-repository-into-tasks",
    "triage-logs",
    "upgrade-dependencies",
    "write-release-notes",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("catalog")
}

fn catalog() -> Catalog {
    Catalog::discover(&[(Source::Bundled, root())])
}

fn each(look: impl Fn(&Skill)) {
    catalog().iter().for_each(look);
}

#[test]
fn all_of_them_are_there_and_documented() {
    let catalog = catalog();
    let names: Vec<_> = catalog.iter().map(|skill| skill.name.as_str()).collect();
    assert_eq!((names.as_slice(), catalog.notices()), (&NAMES[..], &[][..]));
    let doc = std::fs::read_to_string(root().join("../../docs/skills.md")).unwrap();
    for name in NAMES {
        assert!(doc.contains(&format!("| `{name}` |")), "docs/skills.md lacks {name}");
    }
}

#[test]
fn they_are_as_the_standard_wants_them() {
    each(|skill| assert_eq!(validate(&skill.folder), [], "{}", skill.name));
}

#[test]
fn a_scan_finds_nothing_above_a_remark() {
    each(|skill| {
        let found = scan(&skill.folder).unwrap();
        let loud: Vec<_> = found.iter().filter(|found| found.severity > Severity::Info).collect();
        assert!(loud.is_empty(), "{}: {loud:#?}", skill.name);
    });
}

#[test]
fn their_scripts_can_be_run_in_a_guest() {
    each(|skill| {
        let packed = skills::pack(skill).unwrap();
        let scripts: Vec<_> = packed.files.iter().filter(|file| file.path.starts_with("scripts/")).collect();
        assert!(!scripts.is_empty(), "{} does work of its own", skill.name);
        for script in scripts {
            let path = skill.folder.join(&script.path);
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("#!/usr/bin/env python3\n"), "{}", path.display());
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert!(mode & 0o111 != 0, "{} is not executable", path.display());
            assert!(text.lines().count() < 300, "{} is long", path.display());
            let named = std::fs::read_to_string(skill.folder.join("SKILL.md")).unwrap().contains(&script.path);
            assert!(named, "{} says nothing of {}", skill.name, script.path);
            for import in imports(&text) {
                assert!(STANDARD.contains(&import.as_str()), "{} imports {import}", path.display());
            }
        }
    });
}

/// What of Python's standard library they use: a guest has nothing else.
const STANDARD: [&str; 18] = [
    "argparse",
    "ast",
    "collections",
    "csv",
    "datetime",
    "gzip",
    "hashlib",
    "json",
    "math",
    "os",
    "re",
    "shutil",
    "subprocess",
    "sys",
    "tomllib",
    "statistics",
    "decimal",
    "itertools",
];

fn imports(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| {
        let line = line.trim();
        line.strip_prefix("import ").or_else(|| line.strip_prefix("from ")?.split(" import").next())
    });
    lines.flat_map(|names| names.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>()).collect()
}

#[test]
fn every_eval_says_what_is_expected_and_its_checks_pass() {
    each(|skill| {
        let evals = Evals::load(&skill.folder).unwrap_or_else(|error| panic!("{}: {error}", skill.name));
        assert_eq!(evals.skill_name, skill.name);
        assert!(evals.evals.len() >= 3, "{} has {} evals", skill.name, evals.evals.len());
        let ids: BTreeSet<u32> = evals.evals.iter().map(|eval| eval.id).collect();
        assert_eq!(ids.len(), evals.evals.len(), "{}", skill.name);
        for eval in &evals.evals {
            assert!(!eval.prompt.is_empty() && eval.expected_output.len() > 20, "{} {}", skill.name, eval.id);
            assert!(!eval.checks.is_empty(), "{} {}", skill.name, eval.id);
            let outcome = perform(&skill.folder, eval).unwrap();
            assert!(outcome.failures.is_empty(), "{} {}: {}", skill.name, eval.id, outcome.failures.join("\n"));
        }
    });
}

#[test]
fn an_eval_that_does_not_hold_is_told() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path();
    std::fs::create_dir(folder.join("evals")).unwrap();
    let text = r#"{"skill_name": "x", "evals": [
        {"id": 1, "prompt": "p", "expected_output": "o", "checks": [
            {"run": "echo no", "stdout": ["yes"], "absent": ["no"], "exit": 1, "json": {"/a": 1}}]},
        {"id": 2, "prompt": "p", "expected_output": "o", "setup": "false"},
        {"id": 3, "prompt": "p", "expected_output": "o", "files": ["../../etc/passwd"]},
        {"id": 4, "prompt": "p", "expected_output": "o", "checks": [
            {"run": "echo '{\"a\": 2}'; test \"$HOME\" = \"$PWD\"; env", "json": {"/a": 2}}]}
    ]}"#;
    std::fs::write(folder.join("evals/evals.json"), text).unwrap();
    let evals = Evals::load(folder).unwrap().evals;
    assert_eq!(perform(folder, &evals[0]).unwrap().failures.len(), 4);
    assert!(perform(folder, &evals[1]).unwrap().failures[0].starts_with("the setup fails"));
    assert!(perform(folder, &evals[2]).is_err(), "files stay inside the skill");
    let said = perform(folder, &evals[3]).unwrap().failures.join("\n");
    assert!(
        said.contains("prints no JSON") && !said.contains("CARGO"),
        "nothing of this process's environment: {said}"
    );
}
