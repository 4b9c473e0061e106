//! The conditions of rules: CEL over [`Facts`].

use super::Facts;
use crate::planfile::{
    expression::{Expression, ExpressionError},
    reference::{FUNCTIONS, Reference},
};

/// The variables of conditions, with their fields where they have some.
pub const VARIABLES: [(&str, &[&str]); 19] = [
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
        self.0.evaluate_over(facts.variables(risk)).map_err(|error| error.to_string())
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
