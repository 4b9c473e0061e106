use super::*;

const ANTHROPIC: &str = "https://api.anthropic.com/v1";
const ROUTER: &str = "https://openrouter.ai/api/v1";

fn of(kind: ProviderKind, url: &str, model: &str) -> Priced {
    price_of(kind, url, model, None)
}

#[test]
fn a_known_model_costs_its_list_price_to_the_nano_dollar() {
    let sonnet = of(ProviderKind::Anthropic, ANTHROPIC, "claude-sonnet-4-5-20250929");
    assert!(!sonnet.assumed);
    let tokens = Tokens { input: 1_000, output: 100, cache_write_5m: 10, cache_write_1h: 20, cache_read: 500 };
    // 3 $/M in, 15 out, 3.75 and 6 into the cache, 0.30 from it.
    assert_eq!(sonnet.cost(&tokens), 3_000_000 + 1_500_000 + 37_500 + 120_000 + 150_000);
    let mini = of(ProviderKind::Openai, "https://api.openai.com/v1", "gpt-4o-mini-2024-07-18");
    assert_eq!((mini.price.input, mini.price.cache_read, mini.price.output), (150, 75, 600));
}

#[test]
fn a_long_request_costs_more_from_its_first_token_on() {
    let sonnet = of(ProviderKind::Anthropic, ANTHROPIC, "claude-sonnet-4-5");
    let call = |input, cache_read| sonnet.cost(&Tokens { input, cache_read, output: 10, ..Tokens::default() });
    assert_eq!(call(200_000, 0), 200_000 * 3_000 + 10 * 15_000);
    assert_eq!(call(200_000, 1), 200_000 * 6_000 + 600 + 10 * 22_500);
}

#[test]
fn a_longer_name_is_another_model() {
    let price = |model| of(ProviderKind::Openai, "https://api.openai.com/v1", model);
    assert_eq!(price("gpt-5").price.input, 1_250);
    assert_eq!(price("gpt-5-2025-08-07").price.input, 1_250);
    assert_eq!(price("gpt-5-mini").price.input, 250);
    for unknown in ["gpt-5.9", "gpt-5-giant", "gpt-50", "claude-opus-4-5", ""] {
        assert!(price(unknown).assumed, "{unknown}");
        assert_eq!(price(unknown).price, dearest(Some(ProviderKind::Openai)), "{unknown}");
    }
    let opus = of(ProviderKind::Anthropic, ANTHROPIC, "claude-opus-4-7");
    assert!(opus.assumed, "a version nobody has heard of is not an old one with a date");
    assert_eq!(opus.price.output, 75_000);
    assert_eq!(of(ProviderKind::Anthropic, ANTHROPIC, "claude-opus-4-5-20251101").price.output, 25_000);
    assert_eq!(of(ProviderKind::Anthropic, ANTHROPIC, "claude-3-5-haiku-latest").price.input, 800);
}

#[test]
fn resellers_are_priced_by_name_and_flagged() {
    let routed = of(ProviderKind::OpenaiCompatible, ROUTER, "anthropic/claude-sonnet-4.5");
    assert_eq!((routed.price.input, routed.assumed), (3_000, true));
    let other = of(ProviderKind::OpenaiCompatible, ROUTER, "somebody/something");
    assert_eq!((other.price, other.assumed), (dearest(None), true));
}

#[test]
fn local_servers_cost_nothing() {
    for url in [
        "http://127.0.0.1:8080/v1",
        "http://localhost:11434/v1",
        "http://[::1]:8080",
        "http://10.1.2.3/v1",
        "http://192.168.0.4:80/v1",
        "http://[fd00::1]:80/v1",
        "http://ollama:11434/v1",
        "https://gpu.internal/v1",
    ] {
        assert!(is_local(url), "{url}");
        assert_eq!(of(ProviderKind::OpenaiCompatible, url, "gpt-5"), Priced::default());
    }
    let remote = [
        "https://api.openai.com/v1",
        "https://8.8.8.8/v1",
        "https://localhost.evil.com",
        "https://[2001:db8::1]/",
        "x",
    ];
    for url in remote {
        assert!(!is_local(url), "{url}");
    }
}

#[test]
fn the_settings_win_over_everything() {
    let mut settings = ModelSettings { usd_per_million_input: Some(0.15), ..ModelSettings::default() };
    let found = price_of(ProviderKind::OpenaiCompatible, "http://127.0.0.1/v1", "m", Some(&settings));
    let want = Price { input: 150, output: 750, cache_write_5m: 187, cache_write_1h: 300, cache_read: 15 };
    assert_eq!((found.price, found.assumed), (want, false));
    settings.usd_per_million_output = Some(0.6);
    settings.usd_per_million_cache_read = Some(0.0);
    let found = price_of(ProviderKind::OpenaiCompatible, ROUTER, "m", Some(&settings));
    assert_eq!((found.price.output, found.price.cache_read, found.assumed), (600, 0, false));
    let partly = ModelSettings { usd_per_million_output: Some(1.0), ..ModelSettings::default() };
    let found = price_of(ProviderKind::Anthropic, ANTHROPIC, "claude-haiku-4-5", Some(&partly));
    assert_eq!((found.price.input, found.price.output, found.assumed), (1_000, 1_000, false));
    let dear = ModelSettings { usd_per_million_input: Some(1e300), ..ModelSettings::default() };
    assert_eq!(price_of(ProviderKind::Openai, ROUTER, "m", Some(&dear)).price.input, u64::MAX);
    for nonsense in [f64::NAN, -1.0, f64::INFINITY] {
        let settings = ModelSettings { usd_per_million_input: Some(nonsense), ..ModelSettings::default() };
        assert_eq!(price_of(ProviderKind::Openai, ROUTER, "m", Some(&settings)).price.input, 0);
    }
}

#[test]
fn no_sum_overflows() {
    let all = Tokens {
        input: u64::MAX,
        output: u64::MAX,
        cache_write_5m: u64::MAX,
        cache_write_1h: u64::MAX,
        cache_read: u64::MAX,
    };
    assert_eq!(of(ProviderKind::Anthropic, ANTHROPIC, "claude-sonnet-4").cost(&all), u64::MAX);
}

#[test]
fn the_table_is_sound() {
    for (at, entry) in TABLE.iter().enumerate() {
        assert!(entry.price.output >= entry.price.input && entry.price.input > 0, "{}", entry.name);
        assert!(entry.price.cache_read <= entry.price.input, "{}", entry.name);
        assert_eq!(entry.as_of.len(), "2025-11-24".len());
        assert!(!TABLE[..at].iter().any(|earlier| earlier.name == entry.name), "{} is there twice", entry.name);
    }
    for (kind, _) in SOURCES {
        assert!(TABLE.iter().any(|entry| entry.kind == kind));
    }
}
