//! Plan to YAML: the way back, for people who edit a plan.

use bus_schemas::v1::plan::Plan;

/// A plan as a file that people can edit.
///
/// # Errors
/// It does not become JSON.
pub fn yaml(plan: &Plan) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    write_value(&mut text, &pruned(serde_json::to_value(plan)?), 0);
    Ok(text)
}

/// Without members that say nothing.
fn pruned(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().map(|(key, value)| (key, pruned(value)));
            let says = |value: &Value| match value {
                Value::Null => false,
                Value::Object(map) => !map.is_empty(),
                _ => true,
            };
            Value::Object(kept.filter(|(_, value)| says(value)).collect())
        }
        other => other,
    }
}

/// Block style, texts of several lines as `|` blocks; everything that could be mistaken is quoted as JSON, which YAML reads.
fn write_value(text: &mut String, value: &serde_json::Value, indent: usize) {
    use serde_json::Value;
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                text.push_str(&format!("{pad}{}:", scalar(key)));
                write_member(text, value, indent);
            }
        }
        Value::Array(list) => {
            for value in list {
                let mut inner = String::new();
                match value {
                    Value::Object(map) if !map.is_empty() => {
                        write_value(&mut inner, value, indent + 2);
                        text.push_str(&format!("{pad}- {}", inner.trim_start()));
                    }
                    other => {
                        text.push_str(&format!("{pad}-"));
                        write_member(text, other, indent);
                    }
                }
            }
        }
        other => text.push_str(&format!("{pad}{other}\n")),
    }
}

fn write_member(text: &mut String, value: &serde_json::Value, indent: usize) {
    use serde_json::Value;
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            write_value(text, value, indent + 2);
        }
        Value::Array(list) if !list.is_empty() => {
            text.push('\n');
            write_value(text, value, indent + 2);
        }
        Value::String(line) if is_block(line) => {
            let keep = if line.ends_with('\n') { "|" } else { "|-" };
            text.push_str(&format!(" {keep}\n"));
            for line in line.trim_end_matches('\n').split('\n') {
                let pad = if line.is_empty() { String::new() } else { " ".repeat(indent + 2) };
                text.push_str(&format!("{pad}{line}\n"));
            }
        }
        Value::String(line) => text.push_str(&format!(" {}\n", scalar(line))),
        other => text.push_str(&format!(" {other}\n")),
    }
}

/// Several lines that a `|` block gives back as they are.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n'])
        && !text
            .chars()
            .any(|c| c != '\n' && (c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')))
}

/// Plain where YAML cannot take it for anything else, quoted otherwise.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/'))
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { serde_json::Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use bus_schemas::v1::api::PlanSource;
    use skills::Catalog;

    use super::*;
    use crate::planfile;

    fn round(text: &str) -> (Plan, String) {
        let source = |text: &str| PlanSource { text: text.to_owned(), ..PlanSource::default() };
        let plan = planfile::check(&source(text), &Catalog::default()).plan.unwrap();
        let yaml = yaml(&plan).unwrap();
        let report = planfile::check(&source(&yaml), &Catalog::default());
        assert_eq!(report.plan.as_ref(), Some(&plan), "{yaml}\n{:?}", report.findings);
        (plan, yaml)
    }

    #[test]
    fn a_plan_survives_being_written_as_yaml() {
        let (_, yaml) = round(
            "version: 1\ntitle: 'a: b # c'\ngoal: |\n  two\n  lines\nbudget: { usd: 2.5, wall: 1h }\ntasks:\n- id: a\n  run: |\n    echo 1\n\n      indented\n    echo 2\n  checks: ['true', {name: n, run: 'x: y'}]\n- id: b\n  needs: [a]\n  agent: { instructions: \"one\\n\\ttwo \\n\", may_replan: true, max_turns: 7 }\n  foreach: { list: [1, 'no', {k: [null, -1.5]}, []] }\n  env: { A: '', B: 'null' }\n",
        );
        assert!(yaml.contains("run: |\n      echo 1\n"), "{yaml}");
        round(
            "version: 1\ntitle: t\ntasks: [{id: a, run: \"  leading\\nspace\"}, {id: b, run: \"ends\\n\\n\"}, {id: c, run: \"\\u00e9\\u2028x\\ny\"}]",
        );
    }
}
