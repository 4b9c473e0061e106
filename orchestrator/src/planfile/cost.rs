//! What evaluating an expression may cost, worked out before it is evaluated: CEL has no step limit of its own.
//!
//! A step is about what looking at one name, or comparing two short texts, takes. What is inside loops counts for every pass;
//! what looks at a whole list, or copies one, counts for each of its elements; and where texts are long, everything counts
//! the more. The count may be too large; it is not too small.

use cel::common::ast::{CallExpr, Expr, IdedExpr};

/// Bytes of a text that are looked at in one step.
const TEXT_BYTES: u64 = 256;
/// Steps for an element of a list that is looked at, and of one that is copied.
const LOOK: u64 = 2;
const COPY: u64 = 10;

/// An expression's cost, as far as it is known without its input.
#[derive(Debug, Default)]
pub(super) struct Cost {
    /// What is worked out inside so many loops: none, one, two.
    nodes: Vec<u64>,
    /// The steps that it takes besides for each element of a list.
    scans: Vec<u64>,
    /// How many `+` there are: each may make a text or a list longer.
    sums: u64,
    /// The longest list that is written in it.
    written: u64,
}

impl Cost {
    /// Counts a node inside `depth` loops, without what is below it. `elements` says of names whether they are no lists;
    /// the last one of a name counts.
    pub(super) fn add(&mut self, node: &IdedExpr, depth: usize, elements: &[(&str, bool)]) {
        let is_element =
            |name: &str| elements.iter().rev().find(|(one, _)| *one == name).is_some_and(|(_, small)| *small);
        let (mut own, mut scan) = (1, 0);
        match &node.expr {
            Expr::List(list) => {
                self.written = self.written.max(list.elements.len() as u64);
                scan = COPY * list.elements.iter().filter(|one| may_be_list(one, &is_element)).count() as u64;
            }
            Expr::Map(map) => {
                let entries = map.entries.len() as u64;
                self.written = self.written.max(entries);
                scan = COPY * entries;
            }
            Expr::Call(call) => {
                let any_list = || call.args.iter().all(|one| may_be_list(one, &is_element));
                match call.func_name.rsplit('.').next().unwrap_or_default() {
                    "_+_" if !collects(call) => {
                        self.sums += 1;
                        own += self.sums;
                        scan = if any_list() { COPY } else { 0 };
                    }
                    // A list equals nothing but a list.
                    "_==_" | "_!=_" => scan = if any_list() { LOOK } else { 0 },
                    "@in" => {
                        let is_written = |of: &IdedExpr| matches!(of.expr, Expr::List(_) | Expr::Map(_));
                        scan = if call.args.last().is_some_and(is_written) { 0 } else { LOOK };
                    }
                    "dyn" | "of" | "ofNonZeroValue" | "or" | "orValue" | "value" => scan = COPY,
                    _ => {}
                }
            }
            _ => {}
        }
        if self.nodes.len() <= depth {
            self.nodes.resize(depth + 1, 0);
            self.scans.resize(depth + 1, 0);
        }
        if let (Some(nodes), Some(scans)) = (self.nodes.get_mut(depth), self.scans.get_mut(depth)) {
            *nodes += own;
            *scans += scan;
        }
    }

    /// The steps over lists and texts of at most these lengths.
    pub(super) fn steps(&self, longest: usize, longest_text: usize) -> u64 {
        let longest = (longest as u64).saturating_mul(1 + self.sums).max(self.written).max(1);
        let text = 1 + (longest_text as u64) / TEXT_BYTES;
        let mut passes = 1_u64;
        let mut steps = 0_u64;
        for (nodes, scans) in self.nodes.iter().zip(&self.scans) {
            let each = nodes.saturating_add(scans.saturating_mul(longest));
            steps = steps.saturating_add(each.saturating_mul(passes));
            passes = passes.saturating_mul(longest);
        }
        steps.saturating_mul(text)
    }
}

/// It is how `map` and `filter` collect what they yield: in place.
fn collects(call: &CallExpr) -> bool {
    call.args.first().is_some_and(|first| matches!(&first.expr, Expr::Ident(name) if name.starts_with('@')))
}

/// It may yield a list: whatever is not known to yield something else.
fn may_be_list(node: &IdedExpr, is_element: &impl Fn(&str) -> bool) -> bool {
    match &node.expr {
        Expr::Literal(_) => false,
        Expr::Ident(name) => !is_element(name),
        Expr::Call(call) => match call.func_name.as_str() {
            "_+_" => call.args.iter().all(|one| may_be_list(one, is_element)),
            "_&&_" | "_||_" | "!_" | "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" | "@in" | "size" | "string"
            | "startsWith" | "endsWith" | "contains" | "_-_" | "_*_" | "_/_" | "_%_" | "-_" => false,
            _ => true,
        },
        _ => true,
    }
}
