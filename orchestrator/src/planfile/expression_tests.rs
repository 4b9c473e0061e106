use std::collections::BTreeMap;

use bus_schemas::{
    json::Json,
    v1::{
        plan::Foreach,
        task::{NeedHandoff, TaskState},
    },
};

use super::{Expression, ExpressionError, Input, elements};

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

fn needs() -> BTreeMap<String, NeedHandoff> {
    let scan = NeedHandoff {
        state: TaskState::Completed,
        summary: "found three".to_owned(),
        result: Some(json(r#"{"files": ["a.csv", "b.csv"], "count": 2, "ratio": 0.5, "nested": [[1, 2], [3]]}"#)),
        changed_paths: vec!["out/list.json".to_owned()],
        results: Vec::new(),
        report: None,
    };
    let each = NeedHandoff {
        state: TaskState::Unverified,
        summary: String::new(),
        result: None,
        changed_paths: Vec::new(),
        results: vec![json(r#"{"rows": 3}"#), json("null"), json(r#"{"rows": 9}"#)],
        report: None,
    };
    BTreeMap::from([("scan".to_owned(), scan), ("per-file".to_owned(), each)])
}

fn when(text: &str) -> Result<bool, ExpressionError> {
    let item = json(r#"{"name": "x", "size": 7}"#);
    Expression::compile(text)?.evaluate_bool(Input { needs: &needs(), item: Some(&item) })
}

fn from(text: &str) -> Result<Vec<Json>, ExpressionError> {
    Expression::compile(text)?.evaluate_list(Input { needs: &needs(), item: None }, 10)
}

#[test]
fn conditions_see_the_needed_tasks_and_the_item() {
    for truth in [
        "true",
        "needs.scan.result.count > 1",
        "needs.scan.result.count == 2 && needs.scan.result.ratio < 1.0",
        r#"needs.scan.state == "completed""#,
        r#"needs["per-file"].state == "unverified""#,
        r#"needs["per-file"].result == null"#,
        r#"needs.scan.changed_paths.exists(p, p.startsWith("out/"))"#,
        r#"needs["per-file"].results.exists(r, r != null && r.rows > 8)"#,
        "has(needs.scan.result.files) && !has(needs.scan.result.other)",
        r#"size(needs.scan.result.files) == 2 && "a.csv" in needs.scan.result.files"#,
        r#"item.size == 7 && item.name.contains("x") && needs.scan.summary.endsWith("three")"#,
        "needs.all(key, needs[key].state != 'failed')",
    ] {
        assert_eq!(when(truth), Ok(true), "{truth}");
    }
    assert_eq!(when("needs.scan.result.count > 2"), Ok(false));
}

#[test]
fn lists_come_out_as_json() {
    assert_eq!(from("needs.scan.result.files").unwrap(), [json(r#""a.csv""#), json(r#""b.csv""#)]);
    let rows = from(r#"needs["per-file"].results.filter(r, r != null).map(r, {"rows": r.rows, "big": r.rows > 5})"#);
    assert_eq!(rows.unwrap(), [json(r#"{"rows": 3, "big": false}"#), json(r#"{"rows": 9, "big": true}"#)]);
    assert_eq!(
        from("[1, 2.5, true, null, 3u]").unwrap(),
        [json("1"), json("2.5"), json("true"), json("null"), json("3")]
    );
    assert_eq!(from("[]").unwrap(), []);
}

#[test]
fn a_list_in_the_plan_needs_no_expression() {
    let foreach = Foreach { list: Some(vec![Json::Int(1), Json::Int(2)]), from: None, max: None };
    let empty = BTreeMap::new();
    assert_eq!(elements(&foreach, Input { needs: &empty, item: None }).unwrap(), [Json::Int(1), Json::Int(2)]);
    let from = Foreach { list: None, from: Some("needs.scan.result.files".to_owned()), max: Some(1) };
    let found = elements(&from, Input { needs: &needs(), item: None });
    assert_eq!(found, Err(ExpressionError::TooManyElements { len: 2, max: 1 }));
}

#[test]
fn another_type_than_the_place_needs_is_an_error() {
    for (text, got) in [("1", "int"), ("'true'", "string"), ("null", "null"), ("[true]", "list")] {
        assert_eq!(
            when(text),
            Err(ExpressionError::WrongType { want: "true or false", got: got.to_owned() }),
            "{text}"
        );
    }
    assert_eq!(from("needs.scan.result"), Err(ExpressionError::WrongType { want: "a list", got: "map".to_owned() }));
    assert_eq!(from("[b'x']"), Err(ExpressionError::WrongType { want: "plain data", got: "bytes".to_owned() }));
}

#[test]
fn failures_while_evaluating_are_readable() {
    let error = when("needs.scan.result.missing > 1").unwrap_err();
    assert!(matches!(&error, ExpressionError::Evaluation { message } if message.contains("missing")), "{error}");
    let error = when("1 / 0 == 1").unwrap_err();
    assert!(matches!(&error, ExpressionError::Evaluation { .. }), "{error}");
    let error = when("needs.scan.result.files > 3").unwrap_err();
    assert!(error.to_string().chars().count() < 400, "{error}");
}

#[test]
fn a_parse_error_knows_its_place() {
    let Err(ExpressionError::Syntax { offset, .. }) = Expression::compile("needs.scan.result.count >") else {
        panic!("it parsed");
    };
    assert_eq!(offset, Some(25));
    assert!(matches!(Expression::compile(""), Err(ExpressionError::Syntax { .. })));
    assert!(matches!(Expression::compile(&"(".repeat(4000)), Err(ExpressionError::Syntax { .. })));
}

#[test]
fn what_could_take_for_ever_is_refused() {
    let long = format!("[{}]", "1,".repeat(4096));
    assert!(matches!(Expression::compile(&long), Err(ExpressionError::TooComplex { .. })));
    let deep = "[1].map(a, [1].map(b, [1].map(c, c)))";
    assert!(matches!(Expression::compile(deep), Err(ExpressionError::TooComplex { .. })));
    let many = "[1].map(a, a).map(a, a).map(a, a).map(a, a).map(a, a)";
    assert!(matches!(Expression::compile(many), Err(ExpressionError::TooComplex { .. })));

    let mut wide = needs();
    wide.get_mut("scan").unwrap().result = Some(Json::List(vec![Json::Int(1); 2000]));
    let twice = Expression::compile("needs.scan.result.map(a, needs.scan.result.map(b, a + b))").unwrap();
    let refused = twice.evaluate_list(Input { needs: &wide, item: None }, 5000);
    assert!(matches!(refused, Err(ExpressionError::TooMuchData { .. })), "{refused:?}");
    let once = Expression::compile("needs.scan.result.map(a, a + 1)").unwrap();
    assert_eq!(once.evaluate_list(Input { needs: &wide, item: None }, 5000).unwrap().len(), 2000);
}

#[test]
fn references_are_found_wherever_they_are() {
    let text = r#"needs.scan.result.x > 1 && needs["per-file"].results.all(r, r.a == item.b) && other(zero)"#;
    let expression = Expression::compile(text).unwrap();
    let found: Vec<_> = expression
        .references()
        .iter()
        .map(|r| (r.root.as_str(), r.key.as_deref(), r.field.as_deref(), r.is_function))
        .collect();
    assert_eq!(
        found,
        [
            ("needs", Some("scan"), Some("result"), false),
            ("needs", Some("per-file"), Some("results"), false),
            ("item", None, Some("b"), false),
            ("other", None, None, true),
            ("zero", None, None, false),
        ]
    );
    assert!(expression.uses_item());
    let shadowed = Expression::compile("[1].all(item, item == 1)").unwrap();
    assert!(shadowed.references().is_empty());
    assert!(!shadowed.uses_item());
}

#[test]
fn every_function_that_the_check_lets_through_exists() {
    for text in [
        "bool('true')",
        "bytes('x') == b'x'",
        "double(1) == 1.0",
        "dyn(1) == 1",
        "'ab'.endsWith('b') && 'ab'.startsWith('a') && 'ab'.contains('a')",
        "int('3') == 3 && uint(3) == 3u",
        "optional.of(1).hasValue() && !optional.none().hasValue() && !optional.ofNonZeroValue(0).hasValue()",
        "optional.none().orValue(2) == 2 && optional.none().or(optional.of(3)).value() == 3",
        "size('abc') == 3 && 'abc'.size() == 3",
        "string(1) == '1'",
        "type(1) == int",
    ] {
        let expression = Expression::compile(text).unwrap();
        assert!(expression.references().is_empty(), "{text}: {:?}", expression.references());
        assert_eq!(when(text), Ok(true), "{text}");
    }
}
