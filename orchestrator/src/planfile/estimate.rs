//! What a plan may cost and how long it may take: a range, from a model simple enough to be said in a sentence.
//!
//! An agent's task takes [`TURNS`] turns (at most its `max_turns`). A turn reads [`INPUT_PER_TURN`] tokens, most of them
//! from the cache, writes [`OUTPUT_PER_TURN`], and takes [`TURN_MS`]. A script takes [`SCRIPT_MS`]. Tasks of one layer run
//! at the same time. Retries, and the time people take, are not counted; what a budget limits is never exceeded by more
//! than a call.

use std::collections::HashMap;

use bus_schemas::v1::{
    agent::{Role, Tokens},
    api::EstimateView,
    plan::{Plan, Task},
};

use super::{ModelConfig, lower::DEFAULT_MAX_TURNS};

/// Turns of an agent's task, few and many.
const TURNS: (u64, u64) = (6, 40);
/// Tokens read at full price, put into the cache and served by it, in one turn.
const INPUT_PER_TURN: (u64, u64, u64) = (1_000, 1_500, 12_000);
/// Tokens written in one turn.
const OUTPUT_PER_TURN: u64 = 600;
/// Time of a turn, its tools included, in milliseconds.
const TURN_MS: (u64, u64) = (5_000, 25_000);
/// Time of a script with its checks, in milliseconds.
const SCRIPT_MS: (u64, u64) = (3_000, 60_000);
/// Children of a `foreach` whose list is not known yet.
const UNKNOWN_CHILDREN: (u64, u64) = (1, 10);

/// Estimates. `layers` are task ids by depth; `price` is what tokens of a model cost in billionths of a dollar, `None` if
/// that is not known.
#[must_use]
pub fn estimate(
    plan: &Plan,
    layers: &[Vec<String>],
    config: &ModelConfig,
    price: &dyn Fn(&str, &Tokens) -> Option<u64>,
) -> EstimateView {
    let tasks: HashMap<&str, &Task> = plan.tasks.iter().map(|task| (task.id.as_str(), task)).collect();
    let default = config.models.of(Role::Worker).into_iter().next();
    let mut view = EstimateView { priced: true, ..EstimateView::default() };
    for task in &plan.tasks {
        let Some(agent) = &task.agent else { continue };
        view.agent_tasks += 1;
        let (few, many) = children(task);
        let most = u64::from(agent.max_turns.unwrap_or(DEFAULT_MAX_TURNS));
        let model = agent.model.as_ref().map(|name| config.models.full_name(name)).or_else(|| default.clone());
        for (times, turns, low) in [(few, TURNS.0.min(most), true), (many, TURNS.1.min(most), false)] {
            let tokens = of_turns(turns.saturating_mul(times));
            let cost = model.as_deref().and_then(|model| price(model, &tokens));
            view.priced &= cost.is_some();
            let (total, usd) = if low {
                (&mut view.tokens_low, &mut view.usd_nanos_low)
            } else {
                (&mut view.tokens_high, &mut view.usd_nanos_high)
            };
            *total = total.saturating_add(tokens.total());
            *usd = usd.saturating_add(cost.unwrap_or(0));
        }
    }
    for layer in layers {
        let times = layer.iter().filter_map(|id| tasks.get(id.as_str())).map(|task| wall(task));
        let longest = times.fold((0, 0), |most, one| (most.0.max(one.0), most.1.max(one.1)));
        view.wall_ms_low = view.wall_ms_low.saturating_add(longest.0);
        view.wall_ms_high = view.wall_ms_high.saturating_add(longest.1);
    }
    limit(plan, &mut view);
    view
}

fn of_turns(turns: u64) -> Tokens {
    let (input, cache_write_5m, cache_read) = INPUT_PER_TURN;
    Tokens {
        input: input.saturating_mul(turns),
        output: OUTPUT_PER_TURN.saturating_mul(turns),
        cache_write_5m: cache_write_5m.saturating_mul(turns),
        cache_write_1h: 0,
        cache_read: cache_read.saturating_mul(turns),
    }
}

fn children(task: &Task) -> (u64, u64) {
    match &task.foreach {
        None => (1, 1),
        Some(foreach) => foreach.list.as_ref().map_or_else(
            || {
                let most = u64::from(foreach.max.unwrap_or(u32::MAX));
                (UNKNOWN_CHILDREN.0.min(most), UNKNOWN_CHILDREN.1.min(most))
            },
            |list| (list.len() as u64, list.len() as u64),
        ),
    }
}

fn wall(task: &Task) -> (u64, u64) {
    match &task.agent {
        None => SCRIPT_MS,
        Some(agent) => {
            let most = u64::from(agent.max_turns.unwrap_or(DEFAULT_MAX_TURNS));
            (TURNS.0.min(most) * TURN_MS.0 + SCRIPT_MS.0, TURNS.1.min(most) * TURN_MS.1 + SCRIPT_MS.1)
        }
    }
}

/// The plan's budget is the most there will be.
fn limit(plan: &Plan, view: &mut EstimateView) {
    if let Some(tokens) = plan.budget.tokens {
        view.tokens_high = view.tokens_high.min(tokens);
        view.tokens_low = view.tokens_low.min(tokens);
    }
    if let Some(usd) = plan.budget.usd.map(super::lower::usd_nanos) {
        view.usd_nanos_high = view.usd_nanos_high.min(usd);
        view.usd_nanos_low = view.usd_nanos_low.min(usd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> EstimateView {
        let plan: Plan = serde_json::from_str(text).unwrap();
        let layers: Vec<Vec<String>> = plan.tasks.iter().map(|task| vec![task.id.clone()]).collect();
        let mut config = ModelConfig::default();
        config.models.default = Some("p/m".to_owned());
        estimate(&plan, &layers, &config, &|model, tokens| (model == "p/m").then(|| tokens.total() * 1000))
    }

    #[test]
    fn agents_cost_scripts_take_time_and_the_budget_is_the_most() {
        let scripts = of(r#"{"version": 1, "title": "t", "tasks": [{"id": "a", "run": "x"}]}"#);
        assert_eq!((scripts.agent_tasks, scripts.tokens_high, scripts.usd_nanos_high), (0, 0, 0));
        assert!(scripts.wall_ms_low < scripts.wall_ms_high && scripts.priced);
        let one = of(r#"{"version": 1, "title": "t", "tasks": [{"id": "a", "agent": {"instructions": "x"}}]}"#);
        assert!(one.tokens_low < one.tokens_high && one.usd_nanos_low == one.tokens_low * 1000);
        let three = of(
            r#"{"version": 1, "title": "t", "tasks": [{"id": "a", "agent": {"instructions": "x"}, "foreach": {"list": [1, 2, 3]}}]}"#,
        );
        assert_eq!((three.tokens_low, three.wall_ms_high), (one.tokens_low * 3, one.wall_ms_high));
        let limited = of(
            r#"{"version": 1, "title": "t", "budget": {"usd": 0.001}, "tasks": [{"id": "a", "agent": {"instructions": "x", "model": "q/m"}}]}"#,
        );
        assert!(!limited.priced && limited.usd_nanos_high <= 1_000_000);
    }
}
