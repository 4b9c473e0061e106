//! Where the boxes and lines of a layered drawing go, after Sugiyama, Tagawa and Toda (1981): an edge over several
//! layers gets a passage in each layer between, passages and boxes are ordered by the mean place of their neighbours,
//! and then moved towards them.

/// Sweeps over all layers, for the order as for the places; more change little.
const SWEEPS: usize = 8;
/// Height of a passage.
const PASSAGE_HEIGHT: f64 = 14.0;
/// Space between two things of one layer.
const GAP: f64 = 14.0;

/// A drawing's geometry, in its own units; y grows downwards.
#[derive(Debug)]
pub(super) struct Layout {
    /// The middle of every box.
    pub(super) boxes: Vec<f64>,
    /// For every edge the heights at which it passes the layers between its ends.
    pub(super) passages: Vec<Vec<f64>>,
    /// The lowest point.
    pub(super) height: f64,
}

/// A box or a passage.
struct Item {
    layer: usize,
    height: f64,
    before: Vec<usize>,
    after: Vec<usize>,
    middle: f64,
}

/// Lays out boxes of equal height; `layer_of[b]` is the layer of box `b`, and an edge leads from a box to one of a
/// later layer.
pub(super) fn lay_out(layer_of: &[usize], edges: &[(usize, usize)], box_height: f64) -> Layout {
    let mut items: Vec<Item> = layer_of.iter().map(|layer| item(*layer, box_height)).collect();
    let mut passages = Vec::with_capacity(edges.len());
    for (from, to) in edges {
        passages.push(connect(&mut items, *from, *to));
    }
    let depth = layer_of.iter().max().map_or(0, |last| last + 1);
    let mut layers: Vec<Vec<usize>> = vec![Vec::new(); depth];
    for (number, item) in items.iter().enumerate() {
        if let Some(layer) = layers.get_mut(item.layer) {
            layer.push(number);
        }
    }
    order(&mut items, &mut layers);
    place(&mut items, &layers);
    let top = items.iter().map(|item| item.middle - item.height / 2.0).fold(f64::INFINITY, f64::min);
    let top = if top.is_finite() { top } else { 0.0 };
    let height = items.iter().map(|item| item.middle + item.height / 2.0 - top).fold(0.0, f64::max);
    let middle = |number: usize| items.get(number).map_or(0.0, |item| item.middle - top);
    Layout {
        boxes: (0..layer_of.len()).map(middle).collect(),
        passages: passages.into_iter().map(|path| path.into_iter().map(middle).collect()).collect(),
        height,
    }
}

fn item(layer: usize, height: f64) -> Item {
    Item { layer, height, before: Vec::new(), after: Vec::new(), middle: 0.0 }
}

/// Adds the passages of an edge and joins them up; returns them.
fn connect(items: &mut Vec<Item>, from: usize, to: usize) -> Vec<usize> {
    let layer = |items: &[Item], number: usize| items.get(number).map_or(0, |item| item.layer);
    let (first, last) = (layer(items, from), layer(items, to));
    let mut path = Vec::new();
    let mut previous = from;
    for between in first + 1..last {
        items.push(item(between, PASSAGE_HEIGHT));
        let next = items.len() - 1;
        join(items, previous, next);
        path.push(next);
        previous = next;
    }
    join(items, previous, to);
    path
}

fn join(items: &mut [Item], from: usize, to: usize) {
    if let Some(item) = items.get_mut(from) {
        item.after.push(to);
    }
    if let Some(item) = items.get_mut(to) {
        item.before.push(from);
    }
}

/// Sorts every layer by the mean place of the neighbours, forwards and backwards in turn.
fn order(items: &mut [Item], layers: &mut [Vec<usize>]) {
    for layer in layers.iter() {
        stack(items, layer);
    }
    for sweep in 0..SWEEPS {
        let forwards = sweep % 2 == 0;
        let mut turn: Vec<usize> = (0..layers.len()).collect();
        if !forwards {
            turn.reverse();
        }
        for number in turn {
            let Some(layer) = layers.get_mut(number) else { continue };
            let mut keyed: Vec<(f64, usize)> = layer.iter().map(|n| (wish(items, *n, Some(forwards)), *n)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            *layer = keyed.into_iter().map(|(_, number)| number).collect();
            stack(items, layer);
        }
    }
}

/// Puts a layer's items below each other, around 0.
fn stack(items: &mut [Item], layer: &[usize]) {
    let total: f64 = layer.iter().filter_map(|number| items.get(*number)).map(|item| item.height + GAP).sum();
    let mut top = -total / 2.0;
    for number in layer {
        if let Some(item) = items.get_mut(*number) {
            item.middle = top + item.height / 2.0;
            top += item.height + GAP;
        }
    }
}

/// Moves items towards their neighbours, keeping order and gaps.
fn place(items: &mut [Item], layers: &[Vec<usize>]) {
    for sweep in 0..SWEEPS {
        let mut turn: Vec<&Vec<usize>> = layers.iter().collect();
        if sweep % 2 == 1 {
            turn.reverse();
        }
        for layer in turn {
            let wishes: Vec<f64> = layer.iter().map(|number| wish(items, *number, None)).collect();
            let mut free = f64::NEG_INFINITY;
            let mut shift = 0.0;
            for (number, wish) in layer.iter().zip(&wishes) {
                let Some(item) = items.get_mut(*number) else { continue };
                item.middle = wish.max(free + item.height / 2.0);
                free = item.middle + item.height / 2.0 + GAP;
                shift += wish - item.middle;
            }
            #[expect(clippy::cast_precision_loss, reason = "a layer has far fewer than 2^52 items")]
            let shift = shift / layer.len().max(1) as f64;
            for number in layer {
                if let Some(item) = items.get_mut(*number) {
                    item.middle += shift;
                }
            }
        }
    }
}

/// The mean place of the neighbours before (`Some(true)`), after (`Some(false)`) or on both sides; without any, its own.
fn wish(items: &[Item], number: usize, side: Option<bool>) -> f64 {
    let Some(item) = items.get(number) else { return 0.0 };
    let before = item.before.iter().filter(|_| side != Some(false));
    let after = item.after.iter().filter(|_| side != Some(true));
    let (mut sum, mut count) = (0.0, 0.0);
    for neighbour in before.chain(after).filter_map(|neighbour| items.get(*neighbour)) {
        sum += neighbour.middle;
        count += 1.0;
    }
    if count > 0.0 { sum / count } else { item.middle }
}
