use super::*;

const TABLE: &str = r#"
groups: { leads: [ann, bob, eve], ops: [carl] }
policies:
  careful:
    no_self_approval: true
    deadline: 2d
    rules:
      - { name: docs, when: 'paths.all(p, p.startsWith("docs/")) && lines < 200', decide: auto }
      - { name: costly, when: 'spend.usd > 5.0 || risk == "high"', decide: { quorum: { n: 2, of: leads } } }
    decide: { any_of: [ { person: ann }, { after: { wait: 4h, who: { group: ops } } } ] }
  watching:
    decide: ask
    rules:
      - { name: small, when: 'lines < 5', decide: auto, shadow: true }
  broken:
    rules: [ { name: first, when: 'paths[3] == "x"', decide: auto } ]
    decide: { quorum: { n: 2, of: leads } }
cases:
  - name: documents go through
    policy: careful
    request: { paths: [docs/a.md], lines_added: 10, checks: { total: 1, passed: 1 } }
    expect: { decide: auto, rule: docs, risk: low }
  - name: keys need two
    policy: careful
    request: { paths: [server.pem], started_by: bob, checks: { total: 1, passed: 1 } }
    expect:
      decide: ask
      rule: costly
      risk: high
      needs: two of leads (ann, bob, eve)
      eligible: [eve, ann]
      excluded: [bob]
  - name: anything else is for ann
    policy: careful
    request: { paths: [src/a.rs], started_by: carl }
    expect: { decide: ask, rule: "", needs: "ann, or one of ops (carl) after 4h", eligible: [ann], excluded: [carl] }
  - name: a rule that only watches
    policy: watching
    request: { lines_added: 1 }
    expect: { decide: ask, shadow: ["small: auto"] }
  - name: an error asks the most that the policy asks
    policy: broken
    request: { paths: [a] }
    expect: { decide: ask, needs: "two of leads (ann, bob, eve)", problem: "rule `first`" }
"#;

fn report(text: &str) -> CaseReport {
    test_cases("t.yaml", text, &Rules::default())
}

#[test]
fn a_table_passes_where_policies_say_what_is_expected() {
    let report = report(TABLE);
    assert_eq!(report.findings, []);
    assert_eq!(report.cases.len(), 5);
    for case in &report.cases {
        assert_eq!(case.mismatches, [], "{}", case.name);
    }
    assert!(report.passed());
}

#[test]
fn what_is_not_as_expected_is_listed() {
    let report = report(&TABLE.replace("rule: docs, risk: low", "rule: other, risk: high"));
    assert!(!report.passed());
    let mismatch = |field: &str, expected: &str, got: &str| Mismatch {
        field: field.to_owned(),
        expected: expected.to_owned(),
        got: got.to_owned(),
    };
    assert_eq!(report.cases[0].mismatches, [mismatch("rule", "other", "docs"), mismatch("risk", "high", "low")]);
    assert_eq!(report.cases[0].line, 19);
    let silent = self::report(&TABLE.replace(", problem: \"rule `first`\"", ""));
    assert_eq!(silent.cases[4].mismatches[0].field, "problem", "an error nobody expects is a failure");
}

#[test]
fn what_is_wrong_with_a_table_has_a_place() {
    let wrong = |from: &str, to: &str| {
        let text = TABLE.replace(from, to);
        assert_ne!(text, TABLE, "{from}");
        let report = report(&text);
        let finding = report.findings.first().unwrap_or_else(|| panic!("{to}: nothing found")).clone();
        assert!(report.cases.is_empty());
        (finding.code, finding.line, finding.hint.unwrap_or_default())
    };
    let found = wrong("spend.usd > 5.0", "spend.dollar > 5.0");
    assert_eq!((found.0.as_str(), found.1), ("unknown_reference", 9));
    let found = wrong("policy: watching", "policy: watchin");
    assert_eq!((found.0.as_str(), found.1, found.2.as_str()), ("unknown_policy", 38, "did you mean `watching`?"));
    let found = wrong("of: leads } } }\n    decide", "of: laeds } } }\n    decide");
    assert_eq!((found.0.as_str(), found.1, found.2.as_str()), ("unknown_group", 9, "did you mean `leads`?"));
    assert_eq!(wrong("{ person: ann }", "{ person: ann, group: ops }").0, "one_of");
    assert_eq!(wrong("lines_added: 10", "lines_add: 10").0, "unknown_key");
    assert_eq!(wrong("n: 2, of: leads } } }\n    decide", "n: 4, of: leads } } }\n    decide").0, "unsatisfiable");
    assert_eq!(wrong("    deadline: 2d\n", "    at_deadline: approve\n").0, "no_deadline");
    assert_eq!(
        wrong("decide: { any_of: [ { person: ann }, {", "decide: { any_of: [ { person: ann, {").0,
        "yaml_syntax"
    );
}

#[test]
fn a_table_that_would_test_nothing_is_refused() {
    let found = |text: &str| {
        let report = report(text);
        assert!(!report.passed(), "{text}");
        report.findings.iter().map(|one| (one.code.clone(), one.line)).collect::<Vec<_>>()
    };
    let one = |code: &str, line: u32| vec![(code.to_owned(), line)];
    assert_eq!(found("cases: []"), one("no_cases", 1));
    assert_eq!(found("cases:\n  - { name: a, policy: ask, expect: {} }"), one("nothing_expected", 2));
    assert_eq!(
        found("always: nope\ncases:\n  - { name: a, policy: ask, expect: { decide: ask } }"),
        one("unknown_policy", 1)
    );
    let of = |request: &str| {
        found(&format!("cases:\n  - {{ name: a, policy: ask, request: {{ {request} }}, expect: {{ decide: ask }} }}"))
    };
    assert_eq!(of("capability: { kind: hots, name: x }"), one("bad_word", 2));
    assert_eq!(of("isolation: emulatd"), one("bad_word", 2));
    let group = "groups: { leads: [ann, 'b b'] }\ncases:\n  - { name: a, policy: ask, expect: { decide: ask } }";
    assert_eq!(found(group), one("bad_member", 1), "a name is not left out in silence");
}

#[test]
fn what_only_people_allow_is_asked_about_as_it_would_be_for_a_request() {
    let table = r#"
policies:
  lax: { decide: auto }
  own:
    decide: ask
    rules: [{ name: mirror, when: 'capability.kind == "secret" && capability.name == "mirror"', decide: auto }]
cases:
  - { name: a host, policy: lax, request: { kind: capability, capability: { kind: host, name: a.org } }, expect: { decide: auto } }
  - { name: a secret, policy: lax, request: { kind: capability, capability: { kind: secret, name: a } }, expect: { decide: ask } }
  - { name: its own rule, policy: own, request: { kind: capability, capability: { kind: secret, name: mirror } }, expect: { decide: auto, rule: mirror } }
  - { name: an effect, policy: lax, request: { kind: capability, capability: { kind: effect, name: a } }, expect: { decide: ask } }
  - { name: a question, policy: auto, request: { kind: question }, expect: { decide: ask } }
  - { name: a skill, policy: lax, request: { kind: skill }, expect: { decide: ask } }
"#;
    let report = report(table);
    assert!(report.passed(), "{report:?}");
}

#[test]
fn the_worked_example_of_the_document_passes() {
    let document = std::fs::read_to_string("../docs/approvals.md").unwrap();
    let tables: Vec<&str> = document.split("```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    let table = tables.iter().find(|table| table.contains("cases:")).unwrap();
    let report = report(table);
    assert!(report.passed() && report.cases.len() == 2, "{report:?}");
    for (name, _) in crate::policy::VARIABLES {
        assert!(document.contains(&format!("`{name}`")), "docs/approvals.md does not describe `{name}`");
    }
}
