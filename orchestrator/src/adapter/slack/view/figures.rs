//! Figures as people in Slack read them.

use bus_schemas::v1::agent::Resource;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(of_resource(Resource::Turns, 1), "1 model call");
    }
}
