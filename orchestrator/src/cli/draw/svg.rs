//! A plan as one SVG file: layers from left to right, nothing loaded from elsewhere, readable on light and dark.

use std::{collections::HashMap, fmt::Write};

use bus_schemas::v1::plan::{Plan, Task};

use super::{
    super::findings::clean,
    layout::{Layout, lay_out},
    marks::{asks, counted, cut, marks},
};

const BOX_WIDTH: f64 = 216.0;
const BOX_HEIGHT: f64 = 62.0;
const LAYER_GAP: f64 = 72.0;
const MARGIN: f64 = 24.0;
/// Title and counts above the graph.
const HEAD_HEIGHT: f64 = 64.0;
/// Characters that fit into a box, by line.
const ID_CHARS: usize = 24;
const TITLE_CHARS: usize = 30;
/// Plans with more tasks are summed up: a picture with more boxes shows nothing.
const MAX_TASKS: usize = 300;
/// Boxes shown of a layer that is summed up, one of them for the rest.
const BOXES_PER_LAYER: usize = 10;
/// Layers shown of a plan that is summed up.
const LAYERS: usize = 40;

const STYLE: &str = "svg{color-scheme:light dark}\
text{font-family:system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#1f2328}\
.back{fill:#ffffff}.title{font-size:18px;font-weight:600}.small{font-size:12px;fill:#59636e}\
.box{fill:#f6f8fa;stroke:#8c959f;stroke-width:1}.asks{stroke:#bf8700;stroke-width:2}\
.each{fill:#eaeef2;stroke:#8c959f;stroke-width:1}.id{font-size:14px;font-weight:600}\
.edge{fill:none;stroke:#8c959f;stroke-width:1.5}.tip{fill:#8c959f}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#0d1117}.small{fill:#9198a1}\
.box{fill:#161b22;stroke:#6e7681}.asks{stroke:#d29922}.each{fill:#21262d;stroke:#6e7681}\
.edge{stroke:#6e7681}.tip{fill:#6e7681}}";

/// What a box stands for.
enum Shown<'a> {
    Task(&'a Task),
    /// This many tasks that are not shown.
    More(usize),
}

/// Draws a plan; `layers` are task ids by depth, as in a plan report.
#[must_use]
pub fn svg(plan: &Plan, layers: &[Vec<String>]) -> String {
    let (shown, layer_of) = choose(plan, layers);
    let numbers: HashMap<&str, usize> = shown
        .iter()
        .enumerate()
        .filter_map(|(number, shown)| match shown {
            Shown::Task(task) => Some((task.id.as_str(), number)),
            Shown::More(_) => None,
        })
        .collect();
    let edges: Vec<(usize, usize)> = shown
        .iter()
        .enumerate()
        .filter_map(|(number, shown)| match shown {
            Shown::Task(task) => Some((number, task)),
            Shown::More(_) => None,
        })
        .flat_map(|(to, task)| {
            task.needs.iter().filter_map(|need| numbers.get(need.as_str())).map(move |from| (*from, to))
        })
        .collect();
    let layout = lay_out(&layer_of, &edges, BOX_HEIGHT);
    let depth = layer_of.iter().max().map_or(0, |last| last + 1);
    draw(plan, layers, &shown, &layer_of, &edges, &layout, depth)
}

/// The boxes, and the layer of each.
fn choose<'a>(plan: &'a Plan, layers: &[Vec<String>]) -> (Vec<Shown<'a>>, Vec<usize>) {
    let tasks: HashMap<&str, &Task> = plan.tasks.iter().map(|task| (task.id.as_str(), task)).collect();
    let is_large = plan.tasks.len() > MAX_TASKS;
    let (mut shown, mut layer_of) = (Vec::new(), Vec::new());
    for (number, layer) in layers.iter().enumerate().take(if is_large { LAYERS } else { usize::MAX }) {
        let most = if is_large && layer.len() > BOXES_PER_LAYER { BOXES_PER_LAYER - 1 } else { layer.len() };
        for task in layer.iter().take(most).filter_map(|id| tasks.get(id.as_str())) {
            shown.push(Shown::Task(task));
            layer_of.push(number);
        }
        if layer.len() > most {
            shown.push(Shown::More(layer.len() - most));
            layer_of.push(number);
        }
    }
    (shown, layer_of)
}

fn draw(
    plan: &Plan,
    layers: &[Vec<String>],
    shown: &[Shown<'_>],
    layer_of: &[usize],
    edges: &[(usize, usize)],
    layout: &Layout,
    depth: usize,
) -> String {
    let width = (left(depth) - LAYER_GAP + MARGIN).max(480.0);
    let height = HEAD_HEIGHT + layout.height + 2.0 * MARGIN;
    let title = cut(&clean(&plan.title), 80);
    let mut out = String::new();
    line(
        &mut out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{}\">",
            escape(&title)
        ),
    );
    line(&mut out, format_args!("<style>{STYLE}</style>"));
    line(&mut out, format_args!("<rect class=\"back\" width=\"{width:.0}\" height=\"{height:.0}\"/>"));
    line(&mut out, format_args!("<text class=\"title\" x=\"{MARGIN}\" y=\"38\">{}</text>", escape(&title)));
    let counts =
        format!("{} in {}{}", counted(plan.tasks.len(), "task"), counted(layers.len(), "layer"), hidden(layers, depth));
    line(&mut out, format_args!("<text class=\"small\" x=\"{MARGIN}\" y=\"60\">{counts}</text>"));
    for ((from, to), passages) in edges.iter().zip(&layout.passages) {
        edge(&mut out, layer_of, layout, *from, *to, passages);
    }
    for ((shown, layer), middle) in shown.iter().zip(layer_of).zip(&layout.boxes) {
        let (x, y) = (left(*layer), down(*middle) - BOX_HEIGHT / 2.0);
        match shown {
            Shown::Task(task) => task_box(&mut out, plan, task, x, y),
            Shown::More(count) => line(
                &mut out,
                format_args!(
                    "<text class=\"small\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">… and {} more</text>",
                    x + BOX_WIDTH / 2.0,
                    y + BOX_HEIGHT / 2.0,
                    counted(*count, "task")
                ),
            ),
        }
    }
    out.push_str("</svg>\n");
    out
}

fn hidden(layers: &[Vec<String>], depth: usize) -> String {
    match layers.len().saturating_sub(depth) {
        0 => String::new(),
        count => format!(" (the last {} not shown)", counted(count, "layer")),
    }
}

fn edge(out: &mut String, layer_of: &[usize], layout: &Layout, from: usize, to: usize, passages: &[f64]) {
    let middle = |number: usize| down(layout.boxes.get(number).copied().unwrap_or_default());
    let layer = |number: usize| layer_of.get(number).copied().unwrap_or_default();
    let (mut x, mut y) = (left(layer(from)) + BOX_WIDTH, middle(from));
    let mut path = format!("M{x:.1} {y:.1}");
    let mut bend = |path: &mut String, to_x: f64, to_y: f64| {
        let half = (x + to_x) / 2.0;
        let _ = write!(path, " C{half:.1} {y:.1} {half:.1} {to_y:.1} {to_x:.1} {to_y:.1}");
        (x, y) = (to_x, to_y);
    };
    for (passage, between) in passages.iter().zip(layer(from) + 1..) {
        bend(&mut path, left(between), down(*passage));
        bend(&mut path, left(between) + BOX_WIDTH, down(*passage));
    }
    let (tip_x, tip_y) = (left(layer(to)), middle(to));
    bend(&mut path, tip_x - 7.0, tip_y);
    line(out, format_args!("<path class=\"edge\" d=\"{path}\"/>"));
    let (base, above, below) = (tip_x - 8.0, tip_y - 4.0, tip_y + 4.0);
    line(
        out,
        format_args!(
            "<path class=\"tip\" d=\"M{tip_x:.1} {tip_y:.1} L{base:.1} {above:.1} L{base:.1} {below:.1} Z\"/>"
        ),
    );
}

fn task_box(out: &mut String, plan: &Plan, task: &Task, x: f64, y: f64) {
    let title = task.title.as_deref().unwrap_or_default();
    let class = if asks(plan, task).is_some() { "box asks" } else { "box" };
    let whole = if title.is_empty() { task.id.clone() } else { format!("{}: {title}", task.id) };
    line(out, format_args!("<g><title>{}</title>", escape(&clean(&whole))));
    if task.foreach.is_some() {
        line(
            out,
            format_args!(
                "<rect class=\"each\" x=\"{:.1}\" y=\"{:.1}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"8\"/>",
                x + 5.0,
                y + 5.0
            ),
        );
    }
    line(
        out,
        format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"8\"/>"
        ),
    );
    let mut texts = vec![("id", cut(&task.id, ID_CHARS))];
    texts.extend(Some(("small", cut(&clean(title), TITLE_CHARS))).filter(|(_, title)| !title.is_empty()));
    texts.push(("small", cut(&clean(&marks(plan, task).join(" · ")), TITLE_CHARS)));
    let mut baseline = y + if texts.len() == 2 { 28.0 } else { 20.0 };
    for (class, text) in texts {
        let x = x + 12.0;
        line(out, format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{baseline:.1}\">{}</text>", escape(&text)));
        baseline += 16.5;
    }
    out.push_str("</g>\n");
}

fn left(layer: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a plan has far fewer than 2^52 layers")]
    let layer = layer as f64;
    MARGIN + layer * (BOX_WIDTH + LAYER_GAP)
}

fn down(middle: f64) -> f64 {
    HEAD_HEIGHT + MARGIN + middle
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML knows no such characters, escaped or not.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}
