//! Money and tokens, as people read them: `$0.0123 / $2.00 · 41k tok`.

use bus_schemas::v1::{
    agent::Resource,
    api::{LimitView, SpendView},
};

use super::style::{Paint, Style};
pub(super) use crate::{
    figures::{amount, usd},
    words::figures::{bare, estimate},
};

/// Percent of a limit from which on it is shown in yellow, and in red.
const NEAR: (u32, u32) = (80, 95);

/// What a limit is called.
pub(super) const fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::Usd => "money",
        Resource::Tokens => "tokens",
        Resource::VmMs => "VM time",
        Resource::WallMs => "time",
        Resource::Turns => "turns",
    }
}

/// What was spent, in one line; empty if there is nothing to say.
pub(super) fn spend(style: Style, view: &SpendView) -> String {
    let limit = |resource| view.limits.iter().find(|limit| limit.resource == resource);
    let near = |limit: Option<&LimitView>, text: String| match limit {
        Some(limit) if limit.warned >= NEAR.1 => style.paint(Paint::Red, text),
        Some(limit) if limit.warned >= NEAR.0 => style.paint(Paint::Yellow, text),
        _ => text,
    };
    let mut parts = Vec::new();
    let money = limit(Resource::Usd);
    if view.calls > 0 || money.is_some() {
        let assumed = if view.price_assumed { "~" } else { "" };
        let most = money.map(|limit| format!(" / {}", usd(limit.limit))).unwrap_or_default();
        parts.push(near(money, format!("{assumed}{}{most}", usd(view.usd_nanos))));
    }
    let tokens = limit(Resource::Tokens);
    if view.calls > 0 || tokens.is_some() {
        let most = tokens.map(|limit| format!(" / {}", amount(limit.limit))).unwrap_or_default();
        parts.push(near(tokens, format!("{}{most} tok", amount(view.tokens))));
    }
    for other in view.limits.iter().filter(|limit| !matches!(limit.resource, Resource::Usd | Resource::Tokens)) {
        if other.warned > 0 {
            parts.push(near(Some(other), format!("{} {} %", name(other.resource), percent(other))));
        }
    }
    parts.join(&style.paint(Paint::Dim, " · "))
}

/// How much of a limit is used.
pub(super) fn percent(limit: &LimitView) -> u64 {
    let percent = u128::from(limit.used) * 100 / u128::from(limit.limit.max(1));
    u64::try_from(percent).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_stands_beside_its_limit() {
        let plain = Style { colour: false };
        assert_eq!(spend(plain, &SpendView::default()), "");
        let limits = vec![
            LimitView { resource: Resource::Usd, used: 12_300_000, limit: 2_000_000_000, warned: 0 },
            LimitView { resource: Resource::VmMs, used: 81, limit: 100, warned: 80 },
        ];
        let view = SpendView { calls: 3, tokens: 41_000, usd_nanos: 12_300_000, limits, ..SpendView::default() };
        assert_eq!(spend(plain, &view), "$0.0123 / $2.00 · 41k tok · VM time 81 %");
    }
}
