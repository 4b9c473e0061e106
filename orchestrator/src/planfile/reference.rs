//! What a compiled expression refers to, and how deep its loops go: one walk over its tree.

use super::cost::Cost;
use cel::{
    Program,
    common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo},
};

/// Names that CEL itself defines as values: its types.
const TYPE_NAMES: [&str; 12] =
    ["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "optional", "string", "type", "uint"];

/// Functions that a plan's expressions can call; operators are not in the list.
pub(crate) const FUNCTIONS: [&str; 20] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "hasValue",
    "int",
    "of",
    "ofNonZeroValue",
    "none",
    "optional",
    "or",
    "orValue",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
    "value",
];

/// A name from outside that an expression uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The first name: `needs`, `item`, or one that does not exist. For a call of an unknown function: its name.
    pub root: String,
    /// The key after `needs`, if it is written down.
    pub key: Option<String>,
    /// The field after the key, if there is one: `needs.scan.result` has `result`.
    pub field: Option<String>,
    /// Where in the expression the first name is, in bytes.
    pub offset: usize,
    /// Where the field is, or what goes wrong with it.
    pub field_offset: usize,
    /// It is a function's name.
    pub is_function: bool,
}

/// An expression's outline.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) references: Vec<Reference>,
    /// How many loops there are.
    pub(super) loops: usize,
    /// How many loops are inside each other at most.
    pub(super) nesting: usize,
    /// What evaluating it may cost.
    pub(super) cost: Cost,
}

/// Walks an expression. The CEL parser limits its depth, so recursion is safe.
pub(super) fn references_of(program: &Program) -> Shape {
    let mut walk = Walk {
        info: program.source_info(),
        bound: Vec::new(),
        elements: Vec::new(),
        depth: 0,
        shape: Shape::default(),
    };
    walk.visit(program.expression());
    walk.shape
}

struct Walk<'a> {
    info: &'a SourceInfo,
    /// Names that loops around this place define.
    bound: Vec<&'a str>,
    /// The names of elements, and whether they come from outside as they are: then they are no lists.
    elements: Vec<(&'a str, bool)>,
    depth: usize,
    shape: Shape,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, node: &'a IdedExpr) {
        self.shape.cost.add(node, self.depth, &self.elements);
        if let Some((key, field)) = needs_path(node)
            && !self.bound.contains(&"needs")
        {
            self.record(node, "needs", Some(key), field, false);
            return;
        }
        // One field of any other name: `spend.usd`.
        if let Some((Expr::Ident(name), field)) = access(node).map(|(inner, field)| (&inner.expr, field))
            && !self.bound.contains(&name.as_str())
            && !name.starts_with('@')
            && name != "needs"
        {
            self.record(node, name, None, Some(field), false);
            return;
        }
        match &node.expr {
            Expr::Ident(name) => {
                let known = name.starts_with('@') || self.bound.contains(&name.as_str());
                if !known && !TYPE_NAMES.contains(&name.as_str()) {
                    self.record(node, name, None, None, false);
                }
            }
            Expr::Select(select) => self.visit(&select.operand),
            Expr::Call(call) => self.call(node, call),
            Expr::Comprehension(comprehension) => {
                self.visit(&comprehension.iter_range);
                self.visit(&comprehension.accu_init);
                let (outside, elements) = (self.bound.len(), self.elements.len());
                let is_plain = matches!(comprehension.iter_range.expr, Expr::Ident(_) | Expr::Select(_));
                self.elements.push((&comprehension.iter_var, is_plain));
                self.bound.push(&comprehension.iter_var);
                self.bound.push(&comprehension.accu_var);
                self.bound.extend(comprehension.iter_var2.as_deref());
                self.depth += 1;
                self.shape.loops += 1;
                self.shape.nesting = self.shape.nesting.max(self.depth);
                self.visit(&comprehension.loop_cond);
                self.visit(&comprehension.loop_step);
                self.depth -= 1;
                self.visit(&comprehension.result);
                self.bound.truncate(outside);
                self.elements.truncate(elements);
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.visit(element)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(structure) => structure.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn entry(&mut self, entry: &'a EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key);
                self.visit(&entry.value);
            }
        }
    }

    fn call(&mut self, node: &'a IdedExpr, call: &'a CallExpr) {
        let name = call.func_name.as_str();
        let is_operator = name.contains(['_', '@', '!', '?']) && !name.chars().all(|c| c.is_alphanumeric());
        let last = name.rsplit('.').next().unwrap_or(name);
        if !is_operator && !FUNCTIONS.contains(&last) {
            self.record(node, name, None, None, true);
        }
        if let Some(target) = &call.target {
            self.visit(target);
        }
        call.args.iter().for_each(|argument| self.visit(argument));
    }

    fn record(&mut self, node: &IdedExpr, root: &str, key: Option<&str>, field: Option<&str>, is_function: bool) {
        let start = |node: &IdedExpr| self.info.offset_for(node.id).map_or(0, |(start, _)| start as usize);
        let text = self.info.source.as_str();
        let mut offset = start(innermost(node));
        if is_function {
            // A call's place is its parenthesis; the name is before it.
            let before = text.get(..start(node)).unwrap_or_default().trim_end();
            offset = if before.ends_with(root) { before.len() - root.len() } else { start(node) };
        }
        let field_offset = start(node) + usize::from(text.get(start(node)..).is_some_and(|rest| rest.starts_with('.')));
        self.shape.references.push(Reference {
            root: root.to_owned(),
            key: key.map(str::to_owned),
            field: field.map(str::to_owned),
            offset,
            field_offset,
            is_function,
        });
    }
}

/// The first name of a path.
fn innermost(node: &IdedExpr) -> &IdedExpr {
    let mut node = node;
    while let Some((inner, _)) = access(node) {
        node = inner;
    }
    node
}

/// `needs.key`, `needs["key"]` and one field after it.
fn needs_path(node: &IdedExpr) -> Option<(&str, Option<&str>)> {
    if let Some(key) = needs_key(node) {
        return Some((key, None));
    }
    let (inner, field) = access(node)?;
    Some((needs_key(inner)?, Some(field)))
}

fn needs_key(node: &IdedExpr) -> Option<&str> {
    let (inner, key) = access(node)?;
    matches!(&inner.expr, Expr::Ident(name) if name == "needs").then_some(key)
}

/// `x.name`, `x["name"]`, `x.?name`, `x[?"name"]`.
fn access(node: &IdedExpr) -> Option<(&IdedExpr, &str)> {
    match &node.expr {
        Expr::Select(select) => Some((&select.operand, &select.field)),
        Expr::Call(call) if matches!(call.func_name.as_str(), "_[_]" | "_[?_]" | "_?._") => {
            match call.args.as_slice() {
                [inner, IdedExpr { expr: Expr::Literal(LiteralValue::String(name)), .. }] => {
                    Some((inner, name.inner()))
                }
                _ => None,
            }
        }
        _ => None,
    }
}
