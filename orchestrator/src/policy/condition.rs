//! The conditions of rules: CEL over [`Facts`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::Facts;
use crate::planfile::{
    expression::{Expression, ExpressionError, Steps, Variables},
    reference::{FUNCTIONS, Reference},
};

/// The variables of conditions, with their fields where they have some.
pub const VARIABLES: [(&str, &[&str]); 20] = [
    ("asked_by", &[]),
    ("capability", &["kind", "name"]),
    ("checks", &["total", "passed", "failed"]),
    ("deleted", &[]),
    ("edited_by", &[]),
    ("hosts", &[]),
    ("isolation", &[]),
    ("kind", &[]),
    ("lines", &[]),
    ("lines_added", &[]),
    ("lines_removed", &[]),
    ("paths", &[]),
    ("project", &["title", "folder", "owner", "channel"]),
    ("questions", &[]),
    ("risk", &[]),
    ("secrets", &[]),
    ("spend", &["usd", "tokens", "vm_seconds"]),
    ("started_by", &[]),
    ("task", &["key", "title", "network", "agent", "attempt"]),
    ("tasks", &[]),
];

/// A compiled condition that names only what there is.
#[derive(Debug)]
pub struct Condition(Expression);

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCondition {
    /// Where in the text, in bytes, if known.
    pub offset: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// Words that may have been meant, the nearest first; empty if nothing comes close.
    pub known: Vec<&'static str>,
    /// The word that is not known, if that is what is wrong.
    pub word: Option<String>,
}

impl Condition {
    /// Compiles CEL, and checks every name in it.
    ///
    /// # Errors
    /// [`BadCondition`].
    pub fn compile(text: &str) -> Result<Self, BadCondition> {
        let expression = Expression::compile(text).map_err(|error| {
            let offset = match &error {
                ExpressionError::Syntax { offset, .. } => *offset,
                _ => None,
            };
            BadCondition { offset, message: error.to_string(), known: Vec::new(), word: None }
        })?;
        match expression.references().iter().find_map(unknown) {
            Some(bad) => Err(bad),
            None => Ok(Self(expression)),
        }
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// A sentence; also if it yields anything but true or false.
    pub fn holds(&self, facts: &Facts, risk: &str) -> Result<bool, String> {
        self.holds_within(&Variables::new(facts.variables(risk)), &mut Steps::default())
    }

    /// Whether it holds; what looking may cost is taken off `steps`.
    ///
    /// # Errors
    /// A sentence; also if it could cost more than that.
    pub fn holds_within(&self, variables: &Variables, steps: &mut Steps) -> Result<bool, String> {
        self.0.evaluate_over(variables, steps).map_err(|error| error.to_string())
    }
}

/// Conditions that were compiled, by their text: each is compiled once. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Conditions(Arc<Mutex<HashMap<String, Arc<Condition>>>>);

/// Conditions that are kept: those of plans come and go.
const KEPT: usize = 1000;

impl Conditions {
    /// The condition that a text says.
    ///
    /// # Errors
    /// [`BadCondition`].
    pub fn get(&self, text: &str) -> Result<Arc<Condition>, BadCondition> {
        let known = |kept: &HashMap<String, Arc<Condition>>| kept.get(text).cloned();
        if let Some(condition) = known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(condition);
        }
        let condition = Arc::new(Condition::compile(text)?);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        Ok(Arc::clone(kept.entry(text.to_owned()).or_insert(condition)))
    }
}

impl PartialEq for Conditions {
    /// What was compiled so far says nothing about the rules.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

fn unknown(reference: &Reference) -> Option<BadCondition> {
    let bad = |offset: usize, message: String, known: Vec<&'static str>, word: &str| {
        Some(BadCondition { offset: Some(offset), message, known, word: Some(word.to_owned()) })
    };
    let root = reference.root.as_str();
    if reference.is_function {
        let known = FUNCTIONS.into_iter().chain(["all", "exists", "filter", "has", "map"]).collect();
        return bad(reference.offset, format!("there is no function `{root}`"), known, root);
    }
    let Some((_, fields)) = VARIABLES.iter().find(|(name, _)| *name == root) else {
        let known = VARIABLES.iter().map(|(name, _)| *name).collect();
        return bad(reference.offset, format!("there is no `{root}`"), known, root);
    };
    let field = reference.field.as_deref().filter(|field| !fields.is_empty() && !fields.contains(field))?;
    bad(reference.field_offset, format!("`{root}` has no `{field}`"), fields.to_vec(), field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Asked;

    #[test]
    fn every_variable_is_listed_and_every_listed_one_is_there() {
        let facts = Facts::of(Asked::Handoff);
        let there: Vec<String> = facts.variables("low").into_keys().collect();
        let listed: Vec<&str> = VARIABLES.iter().map(|(name, _)| *name).collect();
        assert_eq!(there, listed);
        for (name, fields) in VARIABLES.iter() {
            for field in *fields {
                let text = format!("{name}.{field} == {name}.{field}");
                assert_eq!(Condition::compile(&text).unwrap().holds(&facts, "low"), Ok(true), "{text}");
            }
        }
    }

    #[test]
    fn conditions_look_at_what_is_asked() {
        let facts = Facts {
            paths: vec!["docs/a.md".to_owned(), "docs/b.md".to_owned()],
            lines_added: 7,
            ..Facts::of(Asked::Handoff)
        };
        let holds = |text: &str| Condition::compile(text).unwrap().holds(&facts, "low");
        assert_eq!(holds(r#"paths.all(p, p.startsWith("docs/")) && lines < 200 && risk == "low""#), Ok(true));
        assert_eq!(holds("spend.usd > 5.0 || checks.failed > 0"), Ok(false));
        assert!(holds("lines").unwrap_err().contains("true or false"));
        assert!(holds("paths[7] == \"x\"").is_err());
    }

    #[test]
    fn a_text_is_compiled_once() {
        let conditions = Conditions::default();
        let first = conditions.get("lines < 5").unwrap();
        assert!(Arc::ptr_eq(&first, &conditions.get("lines < 5").unwrap()));
        assert!(conditions.get("lines <").is_err());
        for number in 0..=KEPT {
            conditions.get(&format!("lines < {number}")).unwrap();
        }
        assert!(conditions.0.lock().unwrap().len() <= KEPT);
        assert_eq!(first.holds(&Facts::of(Asked::Handoff), "low"), Ok(true), "whoever has it keeps it");
    }

    #[test]
    fn what_would_hold_up_everything_else_is_not_looked_at() {
        let paths = |count: usize| Facts {
            paths: (0..count).map(|number| format!("src/module/file{number}.rs")).collect(),
            ..Facts::of(Asked::Handoff)
        };
        let holds = |text: &str, count: usize| Condition::compile(text).unwrap().holds(&paths(count), "low");
        for (text, most) in [
            (r#"paths.all(p, p.startsWith("src/")) && lines < 200"#, 2_000),
            (r#"paths.exists(p, p == "Cargo.toml" || p == started_by || p.endsWith(".rs"))"#, 1_000),
            (r#"paths.filter(p, p.startsWith("src/")).size() > 3"#, 1_000),
            (r#"paths.all(p, p in ["a", "b", "c"] || risk == "low")"#, 1_000),
            (r#"paths.map(p, p + "x").size() > 3"#, 1_000),
            ("paths.all(p, p in paths)", 50),
            ("paths.map(p, paths).size() > 1", 50),
            ("paths.all(p, [paths, paths] == [paths, paths])", 20),
            ("paths.all(p, paths.exists(q, q == p))", 30),
        ] {
            assert_eq!(holds(text, most), Ok(true), "{text} over {most}");
            let refused = holds(text, most * 100).unwrap_err();
            assert!(refused.contains("too much data"), "{text}: {refused}");
        }
        // What a long text makes of few paths: sums of sums, a text per path that is as long as it gets.
        let sums = format!("paths.all(p, ({}) != \"\")", vec!["p"; 60].join(" + "));
        assert!(holds(&sums, 1_000).unwrap_err().contains("too much data"));
        let long = Facts { paths: vec!["x".repeat(4_000); 3_000], ..Facts::of(Asked::Handoff) };
        let contains = Condition::compile(r#"paths.all(p, !p.contains("y"))"#).unwrap();
        assert!(contains.holds(&long, "low").unwrap_err().contains("too much data"));
    }

    #[test]
    fn unknown_names_are_found_before_anything_is_asked() {
        let bad = |text: &str| Condition::compile(text).unwrap_err();
        let found = bad("lines < 5 && rsk == \"low\"");
        assert_eq!((found.offset, found.message.as_str()), (Some(13), "there is no `rsk`"));
        let found = bad("spend.dollars > 1.0");
        assert_eq!((found.message.as_str(), found.known.len()), ("`spend` has no `dollars`", 3));
        assert_eq!(bad("needs.a.result == 1").message, "there is no `needs`");
        assert_eq!(bad("lines <").word, None);
        assert_eq!(bad("matches(risk, \"x\")").message, "there is no function `matches`");
    }
}
