//! What model calls cost: a dated table of list prices, and the rules for everything that is not in it.
//!
//! All prices are whole nano-dollars (billionths of a US dollar) per token: one dollar per million tokens is 1000.
//!
//! 1. A price in the settings wins; what it leaves open follows from it by the usual multiples.
//! 2. A server on this machine or in a private network costs nothing.
//! 3. A model of its own vendor is looked up by its name: the name in the table, or that name and a date behind it.
//! 4. The same name at another vendor is taken at the same price, and the price is *assumed*.
//! 5. Anything else costs what the dearest model of the table does, of the same vendor if that is known, and is *assumed*.

use crate::{
    settings::{ModelSettings, ProviderKind},
    v1::agent::Tokens,
};

/// Nano-dollars per token of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Read at full price.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Put into a cache for 5 minutes.
    pub cache_write_5m: u64,
    /// Put into a cache for an hour.
    pub cache_write_1h: u64,
    /// Served by a cache.
    pub cache_read: u64,
}

impl Price {
    /// What these tokens cost, in nano-dollars.
    #[must_use]
    pub const fn of(&self, tokens: &Tokens) -> u64 {
        self.input
            .saturating_mul(tokens.input)
            .saturating_add(self.output.saturating_mul(tokens.output))
            .saturating_add(self.cache_write_5m.saturating_mul(tokens.cache_write_5m))
            .saturating_add(self.cache_write_1h.saturating_mul(tokens.cache_write_1h))
            .saturating_add(self.cache_read.saturating_mul(tokens.cache_read))
    }
}

/// The price of a model, and how sure it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Priced {
    /// The price.
    pub price: Price,
    /// What a request with a longer input costs: from so many input tokens on (all kinds), this price for all of it.
    pub long: Option<(u64, Price)>,
    /// It is not known; a dear one was taken.
    pub assumed: bool,
}

impl Priced {
    /// What one call with these tokens costs, in nano-dollars.
    #[must_use]
    pub const fn cost(&self, tokens: &Tokens) -> u64 {
        match &self.long {
            Some((above, price)) if tokens.total().saturating_sub(tokens.output) > *above => price.of(tokens),
            _ => self.price.of(tokens),
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Whose.
    pub kind: ProviderKind,
    /// The model's name, without a date at its end.
    pub name: &'static str,
    /// Its list price.
    pub price: Price,
    /// See [`Priced::long`].
    pub long: Option<(u64, Price)>,
    /// When the vendor's page said so.
    pub as_of: &'static str,
}

/// Where the prices were read.
pub const SOURCES: [(ProviderKind, &str); 2] = [
    (ProviderKind::Anthropic, "https://docs.claude.com/en/docs/about-claude/pricing"),
    (ProviderKind::Openai, "https://platform.openai.com/docs/pricing"),
];

/// Anthropic: a cache write costs 1.25 (5 minutes) and 2 times (1 hour) the input, a read a tenth.
const fn claude(name: &'static str, input: u64, output: u64, as_of: &'static str) -> Entry {
    let price = by_multiples(input, output);
    Entry { kind: ProviderKind::Anthropic, name, price, long: None, as_of }
}

/// The same, with a dearer input of more than 200,000 tokens: twice for what is read, one and a half for what is written.
const fn claude_long(name: &'static str, input: u64, output: u64, as_of: &'static str) -> Entry {
    let long = by_multiples(input * 2, output + output / 2);
    Entry { long: Some((200_000, long)), ..claude(name, input, output, as_of) }
}

/// OpenAI: a cache write costs what input does, a read has a price of its own.
const fn gpt(name: &'static str, input: u64, cache_read: u64, output: u64, as_of: &'static str) -> Entry {
    let price = Price { input, output, cache_write_5m: input, cache_write_1h: input, cache_read };
    Entry { kind: ProviderKind::Openai, name, price, long: None, as_of }
}

const fn by_multiples(input: u64, output: u64) -> Price {
    Price {
        input,
        output,
        cache_write_5m: input.saturating_mul(5) / 4,
        cache_write_1h: input.saturating_mul(2),
        cache_read: input / 10,
    }
}

const AUTUMN: &str = "2025-11-24";
const WINTER: &str = "2026-02-05";

/// The list prices.
pub const TABLE: [Entry; 44] = [
    claude("claude-opus-4-6", 5_000, 25_000, WINTER),
    claude("claude-opus-4-5", 5_000, 25_000, AUTUMN),
    claude("claude-opus-4-1", 15_000, 75_000, AUTUMN),
    claude("claude-opus-4-0", 15_000, 75_000, AUTUMN),
    claude("claude-opus-4", 15_000, 75_000, AUTUMN),
    claude_long("claude-sonnet-4-5", 3_000, 15_000, AUTUMN),
    claude_long("claude-sonnet-4-0", 3_000, 15_000, AUTUMN),
    claude_long("claude-sonnet-4", 3_000, 15_000, AUTUMN),
    claude("claude-3-7-sonnet", 3_000, 15_000, AUTUMN),
    claude("claude-3-5-sonnet", 3_000, 15_000, AUTUMN),
    claude("claude-haiku-4-5", 1_000, 5_000, AUTUMN),
    claude("claude-3-5-haiku", 800, 4_000, AUTUMN),
    claude("claude-3-opus", 15_000, 75_000, AUTUMN),
    Entry {
        kind: ProviderKind::Anthropic,
        name: "claude-3-haiku",
        price: Price { input: 250, output: 1_250, cache_write_5m: 300, cache_write_1h: 500, cache_read: 30 },
        long: None,
        as_of: AUTUMN,
    },
    gpt("gpt-5.2", 1_750, 175, 14_000, WINTER),
    gpt("gpt-5.2-codex", 1_750, 175, 14_000, WINTER),
    gpt("gpt-5.2-pro", 21_000, 21_000, 168_000, WINTER),
    gpt("gpt-5.1", 1_250, 125, 10_000, AUTUMN),
    gpt("gpt-5.1-codex", 1_250, 125, 10_000, AUTUMN),
    gpt("gpt-5.1-codex-mini", 250, 25, 2_000, AUTUMN),
    gpt("gpt-5", 1_250, 125, 10_000, AUTUMN),
    gpt("gpt-5-codex", 1_250, 125, 10_000, AUTUMN),
    gpt("gpt-5-mini", 250, 25, 2_000, AUTUMN),
    gpt("gpt-5-nano", 50, 5, 400, AUTUMN),
    gpt("gpt-5-pro", 15_000, 15_000, 120_000, AUTUMN),
    gpt("gpt-4.5-preview", 75_000, 37_500, 150_000, AUTUMN),
    gpt("gpt-4.1", 2_000, 500, 8_000, AUTUMN),
    gpt("gpt-4.1-mini", 400, 100, 1_600, AUTUMN),
    gpt("gpt-4.1-nano", 100, 25, 400, AUTUMN),
    gpt("gpt-4o-2024-05-13", 5_000, 5_000, 15_000, AUTUMN),
    gpt("gpt-4o", 2_500, 1_250, 10_000, AUTUMN),
    gpt("gpt-4o-mini", 150, 75, 600, AUTUMN),
    gpt("gpt-4-turbo", 10_000, 10_000, 30_000, AUTUMN),
    gpt("gpt-4", 30_000, 30_000, 60_000, AUTUMN),
    gpt("gpt-3.5-turbo", 500, 500, 1_500, AUTUMN),
    gpt("codex-mini-latest", 1_500, 375, 6_000, AUTUMN),
    gpt("o1-pro", 150_000, 150_000, 600_000, AUTUMN),
    gpt("o1", 15_000, 7_500, 60_000, AUTUMN),
    gpt("o1-mini", 1_100, 550, 4_400, AUTUMN),
    gpt("o3-pro", 20_000, 20_000, 80_000, AUTUMN),
    gpt("o3", 2_000, 500, 8_000, AUTUMN),
    gpt("o3-mini", 1_100, 550, 4_400, AUTUMN),
    gpt("o4-mini", 1_100, 275, 4_400, AUTUMN),
    gpt("o4-mini-deep-research", 2_000, 500, 8_000, AUTUMN),
];

/// The price of a model. `base_url` says whether its server is a local one.
#[must_use]
pub fn price_of(kind: ProviderKind, base_url: &str, model: &str, settings: Option<&ModelSettings>) -> Priced {
    let listed = || lookup(kind, base_url, model);
    let Some(settings) = settings else { return listed() };
    if let Some(input) = settings.usd_per_million_input.map(nanos) {
        let mut price =
            by_multiples(input, settings.usd_per_million_output.map_or_else(|| input.saturating_mul(5), nanos));
        overlay(&mut price, settings);
        return Priced { price, long: None, assumed: false };
    }
    let mut found = listed();
    overlay(&mut found.price, settings);
    found
}

fn overlay(price: &mut Price, settings: &ModelSettings) {
    let set = |into: &mut u64, from: Option<f64>| {
        if let Some(usd) = from {
            *into = nanos(usd);
        }
    };
    set(&mut price.output, settings.usd_per_million_output);
    set(&mut price.cache_write_5m, settings.usd_per_million_cache_write_5m);
    set(&mut price.cache_write_1h, settings.usd_per_million_cache_write_1h);
    set(&mut price.cache_read, settings.usd_per_million_cache_read);
}

/// Dollars per million tokens as nano-dollars per token; what is no price is 0.
#[expect(clippy::cast_possible_truncation, reason = "a float that is cast to an integer saturates")]
fn nanos(usd_per_million: f64) -> u64 {
    if usd_per_million.is_finite() && usd_per_million > 0.0 { (usd_per_million * 1_000.0).round() as u64 } else { 0 }
}

fn lookup(kind: ProviderKind, base_url: &str, model: &str) -> Priced {
    if is_local(base_url) {
        return Priced::default();
    }
    let vendors = kind != ProviderKind::OpenaiCompatible;
    // Resellers put the vendor in front and write versions with a dot.
    let name = if vendors { model } else { model.rsplit('/').next().unwrap_or(model) };
    let dashed = name.replace('.', "-");
    let found = TABLE.iter().filter(|entry| !vendors || entry.kind == kind).filter(|entry| {
        is_named(name, entry.name) || (entry.kind == ProviderKind::Anthropic && is_named(&dashed, entry.name))
    });
    match found.max_by_key(|entry| entry.name.len()) {
        Some(entry) => Priced { price: entry.price, long: entry.long, assumed: !vendors },
        None => Priced { price: dearest(vendors.then_some(kind)), long: None, assumed: true },
    }
}

/// The dearest price there is, of one vendor or of all.
#[must_use]
pub fn dearest(kind: Option<ProviderKind>) -> Price {
    let of_kind = TABLE.iter().filter(|entry| kind.is_none_or(|kind| entry.kind == kind));
    of_kind.map(|entry| entry.price).max_by_key(|price| (price.output, price.input)).unwrap_or_default()
}

/// `model` is `name`, or `name` with a date or `latest` behind it. A longer name is another model, whose price is not known.
fn is_named(model: &str, name: &str) -> bool {
    let Some(rest) = model.strip_prefix(name) else { return false };
    let Some(tail) = rest.strip_prefix(['-', '@']) else { return rest.is_empty() };
    let digits = tail.bytes().filter(u8::is_ascii_digit).count();
    tail == "latest" || (tail.bytes().all(|b| b.is_ascii_digit() || b == b'-') && matches!(digits, 4 | 8))
}

/// Whether a base URL is that of this machine or of a private network: calls there are not billed.
#[must_use]
pub fn is_local(base_url: &str) -> bool {
    let Some(host) = host_of(base_url) else { return false };
    if let Ok(address) = host.parse::<std::net::IpAddr>() {
        return match address {
            std::net::IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
            std::net::IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        };
    }
    // A name without a dot, and those that are reserved for networks of one's own, are nobody's on the internet.
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let own = [".localhost", ".local", ".internal", ".home.arpa", ".lan"];
    !name.is_empty() && (!name.contains('.') || own.iter().any(|tail| name.ends_with(tail)))
}

/// The host of a URL, without the brackets of an address.
#[must_use]
pub fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map(|(_, rest)| rest)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map(|(address, _)| address),
        None => host.split(':').next().filter(|host| !host.is_empty()),
    }
}

#[cfg(test)]
#[path = "prices_tests.rs"]
mod tests;
