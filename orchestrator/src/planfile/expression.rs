//! The expressions of a plan (`when`, `foreach.from`): compiling, what they refer to, evaluating. The language is
//! CEL, which has no loops but over lists and no effects; what is left to bound is bounded here.

use std::{collections::BTreeMap, collections::HashMap, sync::Arc};

use bus_schemas::{
    json::Json,
    v1::{plan::Foreach, task::NeedHandoff},
};
use cel::{Context, Program, Value, objects::Key};

use super::{
    lower::DEFAULT_FOREACH_MAX,
    reference::{Reference, Shape, references_of},
};

/// The longest expression, in bytes: far beyond what a person can read.
const MAX_BYTES: usize = 4096;
/// `map`, `filter`, `all`, `exists` inside each other: two are enough for a list of lists.
const MAX_NESTING: usize = 2;
/// `map`, `filter`, `all`, `exists` in one expression: each may multiply its input.
const MAX_LOOPS: usize = 4;
/// Values in the input together: a scan's result with tens of thousands of files.
const MAX_INPUT_VALUES: usize = 200_000;
/// Passes through the innermost loop: about a second.
const MAX_PASSES: usize = 1_000_000;
/// Steps that the conditions of one policy may cost together for one request, as their cost is counted, for everybody
/// else waits while a request is routed: three tests of each of 5,000 paths.
const MAX_STEPS: u64 = 150_000;
/// Values in the output together; stops a small expression from making a huge list.
const MAX_OUTPUT_VALUES: usize = 200_000;
/// The longest message taken over from the CEL library, in characters; it may quote whole values.
const MAX_MESSAGE_CHARS: usize = 300;

/// What can go wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It is not CEL.
    #[error("the expression does not parse: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
        /// Where in the expression, in bytes, if known.
        offset: Option<usize>,
    },
    /// It is longer, or has more loops, than is allowed.
    #[error("the expression is too large: {limit}")]
    TooComplex {
        /// The limit.
        limit: String,
    },
    /// What it works on, or what it yields, is too large.
    #[error("the expression works on too much data: {limit}")]
    TooMuchData {
        /// The limit.
        limit: String,
    },
    /// It fails on this input.
    #[error("the expression fails: {message}")]
    Evaluation {
        /// Why.
        message: String,
    },
    /// It yields another type than its place needs.
    #[error("the expression yields {got}, not {want}")]
    WrongType {
        /// What it must yield.
        want: &'static str,
        /// What it yields.
        got: String,
    },
    /// A `foreach` yields more elements than its `max`.
    #[error("the list has {len} elements, more than the {max} that `foreach.max` allows")]
    TooManyElements {
        /// How many.
        len: usize,
        /// How many are allowed.
        max: u32,
    },
}

/// What an expression may look at.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The handoffs of the needed tasks, by their keys.
    pub needs: &'a BTreeMap<String, NeedHandoff>,
    /// The element, for a child of `foreach`.
    pub item: Option<&'a Json>,
}

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    program: Program,
    shape: Shape,
}

impl Expression {
    /// Compiles CEL.
    ///
    /// # Errors
    /// [`ExpressionError::Syntax`] or [`ExpressionError::TooComplex`].
    pub fn compile(text: &str) -> Result<Self, ExpressionError> {
        if text.len() > MAX_BYTES {
            return Err(too_complex(format!("at most {MAX_BYTES} bytes")));
        }
        let program = Program::compile(text).map_err(|errors| syntax_error(text, &errors))?;
        let shape = references_of(&program);
        if shape.nesting > MAX_NESTING {
            return Err(too_complex(format!("at most {MAX_NESTING} of map, filter, all, exists inside each other")));
        }
        if shape.loops > MAX_LOOPS {
            return Err(too_complex(format!("at most {MAX_LOOPS} of map, filter, all, exists")));
        }
        Ok(Self { program, shape })
    }

    /// What it refers to outside itself.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        &self.shape.references
    }

    /// It speaks of `item`.
    #[must_use]
    pub fn uses_item(&self) -> bool {
        self.references().iter().any(|reference| reference.root == "item")
    }

    /// Evaluates a `when`.
    ///
    /// # Errors
    /// [`ExpressionError`]; [`ExpressionError::WrongType`] if it yields anything but true or false.
    pub fn evaluate_bool(&self, input: Input<'_>) -> Result<bool, ExpressionError> {
        match self.evaluate(input)? {
            Value::Bool(value) => Ok(value),
            other => Err(wrong_type("true or false", &other)),
        }
    }

    /// Evaluates a condition over variables of its own; what that may cost is taken off `steps` first, and once what it cost
    /// to make the variables.
    ///
    /// # Errors
    /// [`ExpressionError`]; [`ExpressionError::TooMuchData`] if it could cost more than that, and
    /// [`ExpressionError::WrongType`] if it yields anything but true or false.
    pub fn evaluate_over(&self, variables: &Variables, steps: &mut Steps) -> Result<bool, ExpressionError> {
        let Variables { context, size } = variables;
        if !steps.is_begun {
            steps.take(size.values as u64)?;
            steps.is_begun = true;
        }
        steps.take(self.shape.cost.steps(size.longest, size.longest_text))?;
        let result = self.program.execute(context);
        match result.map_err(|error| ExpressionError::Evaluation { message: cut(&error.to_string()) })? {
            Value::Bool(value) => Ok(value),
            other => Err(wrong_type("true or false", &other)),
        }
    }

    /// Evaluates a `foreach.from` that may yield at most `max` elements.
    ///
    /// # Errors
    /// [`ExpressionError`]; [`ExpressionError::WrongType`] if it yields anything but a list.
    pub fn evaluate_list(&self, input: Input<'_>, max: u32) -> Result<Vec<Json>, ExpressionError> {
        let list = match self.evaluate(input)? {
            Value::List(list) => list,
            other => return Err(wrong_type("a list", &other)),
        };
        if list.len() > max as usize {
            return Err(ExpressionError::TooManyElements { len: list.len(), max });
        }
        let mut budget = MAX_OUTPUT_VALUES;
        list.iter().map(|value| to_json(value, &mut budget)).collect()
    }

    fn evaluate(&self, input: Input<'_>) -> Result<Value, ExpressionError> {
        let mut size = Size::default();
        let needs: HashMap<Key, Value> =
            input.needs.iter().map(|(key, need)| (text_key(key), need_value(need, &mut size))).collect();
        let item = input.item.map(|item| to_value(item, &mut size));
        self.bound(&size)?;
        let mut context = Context::default();
        context.add_variable_from_value("needs", map(needs));
        if let Some(item) = item {
            context.add_variable_from_value("item", item);
        }
        let result = self.program.execute(&context);
        result.map_err(|error| ExpressionError::Evaluation { message: cut(&error.to_string()) })
    }

    /// Refuses an input on which the expression could take very long: CEL has no step limit of its own.
    fn bound(&self, size: &Size) -> Result<(), ExpressionError> {
        if size.values > MAX_INPUT_VALUES {
            return Err(ExpressionError::TooMuchData {
                limit: format!("at most {MAX_INPUT_VALUES} values in `needs`"),
            });
        }
        let depth = u32::try_from(self.shape.nesting).unwrap_or(u32::MAX);
        if size.longest.saturating_pow(depth) > MAX_PASSES {
            return Err(ExpressionError::TooMuchData {
                limit: format!("{depth} loops inside each other over lists of up to {} elements", size.longest),
            });
        }
        Ok(())
    }
}

/// The elements of a `foreach`: its `list`, or what its `from` yields.
///
/// # Errors
/// [`ExpressionError`].
pub fn elements(foreach: &Foreach, input: Input<'_>) -> Result<Vec<Json>, ExpressionError> {
    if let Some(list) = &foreach.list {
        return Ok(list.clone());
    }
    let from = foreach.from.as_deref().unwrap_or_default();
    Expression::compile(from)?.evaluate_list(input, foreach.max.unwrap_or(DEFAULT_FOREACH_MAX))
}

/// What conditions look at, made ready once for all of them.
pub struct Variables {
    context: Context<'static, 'static>,
    size: Size,
}

impl Variables {
    /// Makes values ready, by their names.
    #[must_use]
    pub fn new(values: BTreeMap<String, Json>) -> Self {
        let (mut context, mut size) = (Context::default(), Size::default());
        for (name, value) in values {
            context.add_variable_from_value(name, to_value(&value, &mut size));
        }
        Self { context, size }
    }
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Variables").field("size", &self.size).finish_non_exhaustive()
    }
}

/// What evaluating may still cost.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    left: u64,
    /// What it cost to make the variables is taken off.
    is_begun: bool,
}

impl Default for Steps {
    fn default() -> Self {
        Self { left: MAX_STEPS, is_begun: false }
    }
}

impl Steps {
    fn take(&mut self, steps: u64) -> Result<(), ExpressionError> {
        let limit = || format!("it could take {steps} steps, and {} are left of {MAX_STEPS}", self.left);
        self.left = self.left.checked_sub(steps).ok_or_else(|| ExpressionError::TooMuchData { limit: limit() })?;
        Ok(())
    }
}

/// How much there is to work on.
#[derive(Debug, Default)]
struct Size {
    values: usize,
    longest: usize,
    /// Bytes of the longest text.
    longest_text: usize,
}

impl Size {
    fn add(&mut self, elements: usize) {
        self.values = self.values.saturating_add(1);
        self.longest = self.longest.max(elements);
    }
}

fn need_value(need: &NeedHandoff, size: &mut Size) -> Value {
    let state = serde_json::to_value(need.state).ok().and_then(|state| state.as_str().map(str::to_owned));
    let strings = |list: &[String], size: &mut Size| {
        size.add(list.len());
        size.values = size.values.saturating_add(list.len());
        Value::List(Arc::new(list.iter().map(|text| Value::from(text.as_str())).collect()))
    };
    let results = need.results.iter().map(|result| to_value(result, size)).collect::<Vec<_>>();
    size.add(results.len());
    map(HashMap::from([
        (text_key("state"), Value::from(state.unwrap_or_default())),
        (text_key("summary"), Value::from(need.summary.as_str())),
        (text_key("result"), to_value(need.result.as_ref().unwrap_or(&Json::Null), size)),
        (text_key("results"), Value::List(Arc::new(results))),
        (text_key("changed_paths"), strings(&need.changed_paths, size)),
    ]))
}

fn to_value(json: &Json, size: &mut Size) -> Value {
    match json {
        Json::List(list) => {
            size.add(list.len());
            Value::List(Arc::new(list.iter().map(|json| to_value(json, size)).collect()))
        }
        Json::Map(entries) => {
            size.add(entries.len());
            map(entries.iter().map(|(key, json)| (text_key(key), to_value(json, size))).collect())
        }
        scalar => {
            size.add(0);
            if let Json::Text(text) = scalar {
                size.longest_text = size.longest_text.max(text.len());
            }
            match scalar {
                Json::Bool(value) => Value::Bool(*value),
                Json::Int(value) => Value::Int(*value),
                Json::Float(value) => Value::Float(*value),
                Json::Text(value) => Value::from(value.as_str()),
                _ => Value::Null,
            }
        }
    }
}

fn to_json(value: &Value, budget: &mut usize) -> Result<Json, ExpressionError> {
    *budget = budget.checked_sub(1).ok_or_else(|| ExpressionError::TooMuchData {
        limit: format!("at most {MAX_OUTPUT_VALUES} values in the list"),
    })?;
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::Int(*value),
        #[expect(clippy::cast_precision_loss, reason = "JSON numbers beyond 64 bits are floats everywhere")]
        Value::UInt(value) => i64::try_from(*value).map_or(Json::Float(*value as f64), Json::Int),
        Value::Float(value) if value.is_finite() => Json::Float(*value),
        Value::String(value) => Json::Text(value.to_string()),
        Value::List(list) => Json::List(list.iter().map(|value| to_json(value, budget)).collect::<Result<_, _>>()?),
        Value::Map(map) => {
            let entries = map.map.iter().map(|(key, value)| Ok((key.to_string(), to_json(value, budget)?)));
            Json::Map(entries.collect::<Result<_, ExpressionError>>()?)
        }
        other => return Err(wrong_type("plain data", other)),
    })
}

fn map(entries: HashMap<Key, Value>) -> Value {
    Value::Map(cel::objects::Map { map: Arc::new(entries) })
}

fn text_key(key: &str) -> Key {
    Key::String(Arc::new(key.to_owned()))
}

fn wrong_type(want: &'static str, got: &Value) -> ExpressionError {
    ExpressionError::WrongType { want, got: got.type_of().to_string() }
}

fn too_complex(limit: String) -> ExpressionError {
    ExpressionError::TooComplex { limit }
}

/// The first of the parser's complaints; the others usually follow from it.
fn syntax_error(text: &str, errors: &cel::ParseErrors) -> ExpressionError {
    let Some(first) = errors.errors.first() else {
        return ExpressionError::Syntax { message: "no reason given".to_owned(), offset: None };
    };
    let line = usize::try_from(first.pos.0 - 1).ok();
    let column = usize::try_from(first.pos.1 - 1).unwrap_or(0);
    let start = line.map(|line| text.split_inclusive('\n').take(line).map(str::len).sum::<usize>());
    let offset = start.map(|start| (start + column).min(text.len()));
    // The parser goes on to list every token that could stand here; the place says more.
    let message = first.msg.trim_start_matches("Syntax error: ").split(" expecting ").next().unwrap_or_default();
    ExpressionError::Syntax { message: cut(&message.replace("'<EOF>'", "the end of the text")), offset }
}

fn cut(message: &str) -> String {
    let line = message.replace('\n', " ");
    match line.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
#[path = "expression_tests.rs"]
mod tests;
