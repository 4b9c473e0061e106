use std::{collections::BTreeMap, fmt::Write, fs, path::Path, time::Instant};

use bus_schemas::{
    settings::Provider,
    v1::{
        api::{PlanReport, PlanSource, Severity},
        plan::Plan,
    },
};
use proptest::prelude::{any, prop, prop_assert, proptest};
use serde_json::Value;
use skills::Catalog;

use super::{
    ModelConfig, check, json_schema, policies, runnable, script_files,
    shape::{self, Field, Shape},
};

fn source(text: &str) -> PlanSource {
    PlanSource { file: "plan.yaml".to_owned(), text: text.to_owned(), scripts: BTreeMap::new(), folder: None }
}

fn report(text: &str) -> PlanReport {
    check(&source(text), &Catalog::default())
}

fn root() -> &'static Path {
    Path::new("..")
}

#[test]
fn a_sound_plan_is_read_with_its_layers() {
    let text = "version: 1\ntitle: t\ntasks:\n  - { id: c, needs: [a, b], run: x, checks: [y] }\n  - { id: a, run: x, checks: [y] }\n  \
                - { id: b, needs: [a], run: { python: x }, checks: [{ name: n, run: y }], foreach: { list: [1, {k: [v]}] } }\n";
    let report = report(text);
    assert_eq!(report.findings, []);
    assert_eq!(report.layers, [["a"], ["b"], ["c"]]);
    let plan = report.plan.unwrap();
    assert_eq!(plan.tasks.len(), 3);
    let expected: Plan = serde_json::from_str(
        r#"{"version": 1, "title": "t", "tasks": [
            {"id": "c", "needs": ["a", "b"], "run": "x", "checks": ["y"]}, {"id": "a", "run": "x", "checks": ["y"]},
            {"id": "b", "needs": ["a"], "run": {"python": "x"}, "checks": [{"name": "n", "run": "y"}],
             "foreach": {"list": [1, {"k": ["v"]}]}}]}"#,
    )
    .unwrap();
    assert_eq!(plan, expected);
}

#[test]
fn json_is_a_plan_file_too() {
    let json = serde_json::to_string_pretty(&report("version: 1\ntitle: t\ntasks: [{ id: a, run: x }]").plan).unwrap();
    let again = report(&json);
    assert!(again.plan.is_some(), "{:?}", again.findings);
    assert_eq!(serde_json::to_string_pretty(&again.plan).unwrap(), json);
}

#[test]
fn agents_need_a_model_and_know_their_provider() {
    let text = "version: 1\ntitle: t\ntasks:\n  - id: a\n    agent: { instructions: do it, harness: builtin }\n    checks: [x]\n";
    let report = report(text);
    assert_eq!(report.findings, []);
    let plan = report.plan.unwrap();
    let mut config = ModelConfig::default();
    let findings = runnable(&plan, &source(text), &config);
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].code.as_str(), findings[0].line, findings[0].column), ("no_model", 5, 5));
    assert_eq!(findings[0].severity, Severity::Error);
    assert!(findings[0].hint.as_ref().unwrap().contains("endpoint = "));
    config.models.default = Some("anthropic/claude-sonnet-4-5".to_owned());
    assert_eq!(runnable(&plan, &source(text), &config), []);

    let named = text.replace("do it,", "do it, model: nowhere/m,");
    let found = |config: &ModelConfig| {
        let plan = self::report(&named).plan.unwrap();
        let findings = runnable(&plan, &source(&named), config);
        findings.into_iter().map(|finding| (finding.code, finding.severity)).collect::<Vec<_>>()
    };
    assert_eq!(found(&config), [("unknown_provider".to_owned(), Severity::Warning)]);
    config.providers.insert("nowhere".to_owned(), Provider::default());
    assert_eq!(found(&config), []);
    let scripts = "version: 1\ntitle: t\ntasks: [{ id: a, run: x }]";
    assert_eq!(runnable(&self::report(scripts).plan.unwrap(), &source(scripts), &ModelConfig::default()), []);
}

#[test]
fn script_files_are_named_once() {
    let text = "tasks:\n  - run: { file: b.py }\n  - run: { file: a.sh }\n  - run: { file: b.py }\n  - run: x\n  \
                - run: { file: ../up }\n  - run: { file: /abs }\n";
    assert_eq!(script_files(text), ["b.py", "a.sh"]);
    assert!(script_files("tasks: [").is_empty() && script_files("").is_empty() && script_files("7").is_empty());
}

#[test]
fn a_file_plan_needs_its_scripts() {
    let text = "version: 1\ntitle: t\ntasks: [{ id: a, run: { file: s.py }, checks: [x] }]";
    assert!(report(text).plan.is_none());
    let scripts = BTreeMap::from([("s.py".to_owned(), "print(1)".to_owned())]);
    assert_eq!(check(&PlanSource { scripts, ..source(text) }, &Catalog::default()).findings, []);
}

/// The fields of a mapping in the JSON Schema: name → required.
fn schema_fields(schema: &Value, definition: Option<&str>) -> BTreeMap<String, bool> {
    let object = definition.map_or(schema, |name| &schema["$defs"][name]);
    let required = object["required"].as_array().cloned().unwrap_or_default();
    let names = object["properties"].as_object().unwrap().keys();
    names.map(|name| (name.clone(), required.contains(&Value::from(name.as_str())))).collect()
}

fn table_fields(shape: &Shape) -> BTreeMap<String, bool> {
    let fields: &[Field] = match shape {
        Shape::Map(fields) | Shape::TextOr(_, fields) => fields,
        _ => &[],
    };
    fields.iter().map(|field| (field.name.to_owned(), field.is_required)).collect()
}

#[test]
fn the_table_of_fields_and_the_wire_types_agree() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let script = Shape::Map(shape::SCRIPT_FIELDS);
    for (definition, shape) in [
        (None, &shape::PLAN),
        (Some("Defaults"), &shape::DEFAULTS),
        (Some("Policy"), &policies::POLICY),
        (Some("Rule"), &policies::RULE),
        (Some("Who"), &Shape::Map(policies::WHO_FIELDS)),
        (Some("Quorum"), &policies::QUORUM),
        (Some("After"), &policies::AFTER),
        (Some("Escalation"), &policies::ESCALATION),
        (Some("Task"), &shape::TASK),
        (Some("Script"), &script),
        (Some("Agent"), &shape::AGENT),
        (Some("NamedCheck"), &shape::CHECK),
        (Some("Retries"), &shape::RETRIES),
        (Some("Budget"), &shape::BUDGET),
        (Some("Foreach"), &shape::FOREACH),
        (Some("Resources"), &shape::RESOURCES),
    ] {
        assert_eq!(schema_fields(&schema, definition), table_fields(shape), "{definition:?}");
    }
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let file = root().join("docs/schemas/plan.schema.json");
    if std::env::var_os("BATON_BLESS").is_some() {
        fs::write(&file, json_schema()).unwrap();
    }
    let committed = fs::read_to_string(file).unwrap_or_default();
    assert!(committed == json_schema(), "docs/schemas/plan.schema.json is out of date: run `cargo xtask schemas`");
}

/// The ```` ```yaml ```` blocks of a Markdown text.
fn yaml_blocks(text: &str) -> Vec<String> {
    let blocks = text.split("\n```yaml\n").skip(1);
    blocks.map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned() + "\n").collect()
}

/// A block that shows a task or a part of a plan is put into a plan: examples in the document stay short.
fn completed(block: &str) -> String {
    if block.contains("version: 1") {
        return block.to_owned();
    }
    if block.starts_with("- id:") {
        return format!("version: 1\ntitle: example\ntasks:\n{block}");
    }
    format!("version: 1\ntitle: example\ntasks: [{{ id: example, run: \"true\", checks: [\"true\"] }}]\n{block}")
}

#[test]
fn every_example_of_the_document_is_sound() {
    let text = fs::read_to_string(root().join("docs/plan-file.md")).unwrap();
    let blocks = yaml_blocks(&text);
    assert!(blocks.len() >= 8, "{} blocks", blocks.len());
    let skills = [(skills::Source::Project, root().join("tests/fixtures/plans/skills"))];
    for block in blocks {
        let plan = completed(&block);
        let scripts = script_files(&plan).into_iter().map(|file| (file, "true".to_owned())).collect();
        let report = check(&PlanSource { scripts, ..source(&plan) }, &Catalog::discover(&skills));
        assert_eq!(report.findings, [], "{plan}");
    }
}

#[test]
fn the_document_names_every_field() {
    let text = fs::read_to_string(root().join("docs/plan-file.md")).unwrap();
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let definitions = schema["$defs"].as_object().unwrap();
    let objects = definitions.values().filter(|definition| definition["properties"].is_object()).chain([&schema]);
    for name in objects.flat_map(|object| object["properties"].as_object().unwrap().keys()) {
        assert!(text.contains(&format!("`{name}`")), "docs/plan-file.md does not describe `{name}`");
    }
}

fn many_tasks(count: usize) -> String {
    let mut yaml = "version: 1\ntitle: large\ntasks:\n".to_owned();
    for number in 0..count {
        let needs =
            if number < 100 { String::new() } else { format!("\n    needs: [t{}, t{}]", number - 100, number - 99) };
        writeln!(
            yaml,
            "  - id: t{number}\n    title: Task number {number}\n    run: |\n      echo {number}\n      true\n    outputs: [out/{number}.txt]\n    \
             checks: [test -s out/{number}.txt]{needs}"
        )
        .unwrap();
    }
    yaml
}

#[test]
fn secrets_are_those_of_the_configuration() {
    let plan = |names: &str| {
        format!("version: 1\ntitle: t\ntasks:\n  - {{ id: a, run: x, checks: [y], secrets: [{names}] }}\n")
    };
    let secrets = [("github".to_owned(), bus_schemas::secrets::SecretSetup::default())].into();
    let site = crate::policy::Rules::default().with_secrets(secrets);
    let under = |names: &str| super::check_under(&source(&plan(names)), &Catalog::default(), Some(&site));
    let sound = under("github");
    assert_eq!((sound.findings, sound.plan.unwrap().tasks[0].secrets.clone()), (vec![], vec!["github".to_owned()]));
    let shown = |names: &str| {
        let finding = under(names).findings.remove(0);
        format!("{}:{} {} ({})", finding.line, finding.column, finding.message, finding.hint.unwrap_or_default())
    };
    assert_eq!(shown("gitub"), "4:45 there is no secret `gitub` (did you mean `github`?)");
    let unknown =
        "4:45 there is no secret `aws` (add `[secrets.aws]` to baton.toml, with `env` or `file`, and `hosts`)";
    assert_eq!(shown("aws"), unknown);
    assert!(!shown("\"Canary 123\"").contains("anary"), "somebody may have written the secret itself");
    assert!(shown("github, github").starts_with("4:53 `github` is there twice"), "{}", shown("github, github"));
    assert_eq!(report(&plan("aws")).findings, [], "without a configuration nothing is known of it");
}

/// Prints how long it takes (`cargo test -- --nocapture`); how fast it is must not decide whether tests pass.
#[test]
fn ten_thousand_tasks_are_checked() {
    let text = many_tasks(10_000);
    let started = Instant::now();
    let report = report(&text);
    println!("10,000 tasks, {} KiB: checked in {:?}", text.len() / 1024, started.elapsed());
    assert_eq!(report.findings, []);
    assert_eq!(report.layers.iter().map(Vec::len).sum::<usize>(), 10_000);
}

#[test]
fn a_large_plan_full_of_mistakes_gets_a_short_report() {
    let text = many_tasks(3_000).replace("run: |", "runs: |").replace("needs: [t", "needs: [x");
    let report = report(&text);
    assert!(report.plan.is_none());
    assert!(report.findings.len() < 500, "{}", report.findings.len());
    assert!(report.findings.iter().any(|finding| finding.message.contains("more findings of this kind")));
}

#[test]
fn a_chain_of_tasks_with_the_same_outputs_is_quick_to_check() {
    let mut yaml = "version: 1\ntitle: chain\ntasks:\n".to_owned();
    for number in 0..5_000_u32 {
        let needs = number.checked_sub(1).map(|before| format!(", needs: [t{before}]")).unwrap_or_default();
        writeln!(yaml, "  - {{ id: t{number}, run: x, checks: [x], outputs: [report.md]{needs} }}").unwrap();
    }
    assert_eq!(report(&yaml).findings, []);
}

proptest! {
    #[test]
    fn no_text_makes_the_check_panic(text in "\\PC{0,400}") {
        let report = report(&text);
        prop_assert!(report.plan.is_some() || !report.findings.is_empty());
    }

    #[test]
    fn no_bytes_make_the_check_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let report = report(&String::from_utf8_lossy(&bytes));
        prop_assert!(report.plan.is_some() || !report.findings.is_empty());
    }

    /// Close to a plan, so that the checks behind the parser are reached.
    #[test]
    fn no_damage_to_a_plan_makes_the_check_panic(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), "[-\\[\\]{}:,#&*!|>'\"% \n\tab0.]{0,3}"), 1..6)
    ) {
        let mut text: Vec<char> = include_str!("../../../tests/fixtures/plans/bad/expressions.yaml").chars().collect();
        for (at, new) in cuts {
            let at = at.index(text.len());
            text.splice(at..(at + 1).min(text.len()), new.chars());
        }
        let text: String = text.into_iter().collect();
        let report = report(&text);
        prop_assert!(!report.findings.is_empty());
        let lines = text.lines().count() + 1;
        prop_assert!(report.findings.iter().all(|finding| finding.line as usize <= lines));
    }
}
