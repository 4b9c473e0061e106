//! From the core's ledgers to what readers see of them.

use bus_schemas::{
    time::UnixMs,
    v1::api::{LimitView, SpendView},
};

use super::{detail::Details, words};
use crate::plan::{Ledger, Plan, Resource, Task};

/// Percentages of a limit that readers are told of.
const MARKS: [u64; 4] = [100, 95, 80, 50];

/// What a project spent so far.
pub(super) fn of_project(plan: &Plan, details: &Details, at: UnixMs) -> SpendView {
    view(plan.ledger(), plan.wall_ms(at), details.price_assumed(None))
}

/// What a task spent so far.
pub(super) fn of_task(task: &Task, details: &Details, at: UnixMs) -> SpendView {
    view(&task.ledger, task.wall_ms(at), details.price_assumed(Some(task.spec.task_id)))
}

fn view(ledger: &Ledger, wall_ms: u64, price_assumed: bool) -> SpendView {
    let limit = |resource: Resource| {
        let limit = ledger.limits.limit(resource)?;
        let used = ledger.used(resource, wall_ms);
        let reaches = |mark: &&u64| u128::from(used) * 100 >= u128::from(limit) * u128::from(**mark);
        let warned = MARKS.iter().find(reaches).copied().unwrap_or(0);
        let resource = words::resource(resource);
        Some(LimitView { resource, used, limit, warned: u32::try_from(warned).unwrap_or(100) })
    };
    SpendView {
        calls: ledger.spent.calls,
        tokens: ledger.spent.tokens,
        usd_nanos: ledger.spent.usd_nanos,
        reserved_usd_nanos: ledger.reserved.usd_nanos,
        price_assumed,
        vm_ms: ledger.vm_ms,
        limits: Resource::ALL.into_iter().filter_map(limit).collect(),
    }
}
