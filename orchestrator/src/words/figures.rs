//! Figures as people read them, on whatever channel.

use bus_schemas::v1::{agent::Resource, api::EstimateView};

pub use crate::figures::{amount, count, range, size, span, usd};

/// An amount of a resource in its unit.
#[must_use]
pub fn of_resource(resource: Resource, number: u64) -> String {
    match resource {
        Resource::Usd => usd(number),
        Resource::Tokens => format!("{} tokens", amount(number)),
        Resource::VmMs => format!("{} VM time", span(number)),
        Resource::WallMs => span(number),
        Resource::Turns => count(usize::try_from(number).unwrap_or(usize::MAX), "model call"),
    }
}

/// An amount of a resource without its unit: for where [`name`] says it already.
#[must_use]
pub fn bare(resource: Resource, number: u64) -> String {
    match resource {
        Resource::Usd => usd(number),
        Resource::Tokens => amount(number),
        Resource::VmMs | Resource::WallMs => span(number),
        Resource::Turns => number.to_string(),
    }
}

/// How much of a limit is used, its unit said once: `41k of 100k tokens`, `5 of 60 model calls`.
#[must_use]
pub fn of_limit(resource: Resource, used: u64, limit: u64) -> String {
    format!("{} of {}", bare(resource, used), of_resource(resource, limit))
}

/// What a limit is called.
#[must_use]
pub const fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::Usd => "money",
        Resource::Tokens => "tokens",
        Resource::VmMs => "VM time",
        Resource::WallMs => "time",
        Resource::Turns => "model calls",
    }
}

/// What a plan may cost.
#[must_use]
pub fn estimate(view: &EstimateView) -> String {
    let time = range(span(view.wall_ms_low), &span(view.wall_ms_high));
    if view.agent_tasks == 0 {
        return format!("{time}, no model calls");
    }
    let tokens = range(amount(view.tokens_low), &amount(view.tokens_high));
    let money = if view.priced {
        range(usd(view.usd_nanos_low), &usd(view.usd_nanos_high))
    } else {
        "price unknown".to_owned()
    };
    format!("{money}, {tokens} tokens, {time} (retries and waiting for people not counted)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(of_resource(Resource::Turns, 1), "1 model call");
        let limits = [
            (Resource::Usd, 312_300_000, 2_000_000_000, "$0.3123 of $2.00"),
            (Resource::Tokens, 41_000, 100_000, "41k of 100k tokens"),
            (Resource::VmMs, 185_000, 7_800_000, "3m 05s of 2h 10m VM time"),
            (Resource::WallMs, 185_000, 7_800_000, "3m 05s of 2h 10m"),
            (Resource::Turns, 5, 60, "5 of 60 model calls"),
            (Resource::Turns, 1, 1, "1 of 1 model call"),
        ];
        for (resource, used, limit, words) in limits {
            assert_eq!(of_limit(resource, used, limit), words, "the unit is said once");
        }
    }
}
