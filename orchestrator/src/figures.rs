//! Figures as people read them, at the terminal and in Slack. Pure.

/// Billionths of a dollar: `$0.0123`, `$2.00`.
#[must_use]
pub fn usd(nanos: u64) -> String {
    if nanos == 0 || nanos >= 1_000_000_000 {
        // Rounded to cents.
        let cents = nanos / 10_000_000 + u64::from(nanos % 10_000_000 >= 5_000_000);
        return format!("${}.{:02}", cents / 100, cents % 100);
    }
    let tenth_mills = (nanos / 100_000 + u64::from(nanos % 100_000 >= 50_000)).max(1);
    format!("${}.{:04}", tenth_mills / 10_000, tenth_mills % 10_000)
}

/// `812`, `41k`, `1.2M`.
#[must_use]
pub fn amount(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..10_000 => format!("{}.{}k", number / 1_000, number % 1_000 / 100),
        10_000..1_000_000 => format!("{}k", number / 1_000),
        1_000_000..10_000_000 => format!("{}.{}M", number / 1_000_000, number % 1_000_000 / 100_000),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// A duration: `0.4s`, `12s`, `3m 05s`, `2h 10m`, `4d 3h`.
#[must_use]
pub fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..10 => format!("{}.{}s", seconds, ms % 1000 / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A size: `0 B`, `1.5 KiB`, `10 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut unit = None;
    let mut tenths = bytes.saturating_mul(10);
    for name in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = Some(name);
    }
    match unit {
        None => format!("{bytes} B"),
        Some(name) if tenths < 100 => format!("{}.{} {name}", tenths / 10, tenths % 10),
        Some(name) => format!("{} {name}", tenths / 10),
    }
}

/// `1 task`, `2 tasks`.
#[must_use]
pub fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// `low`, or `low to high`.
#[must_use]
pub fn range(low: String, high: &str) -> String {
    if low == high { low } else { format!("{low} to {high}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        let dollars: Vec<String> = [0, 1, 12_345_678, 999_999_999, 2_000_000_000, 12_345_000_000].map(usd).into();
        assert_eq!(dollars, ["$0.00", "$0.0001", "$0.0123", "$1.0000", "$2.00", "$12.35"]);
        let amounts: Vec<String> = [0, 999, 1_234, 41_000, 1_250_000, 41_000_000].map(amount).into();
        assert_eq!(amounts, ["0", "999", "1.2k", "41k", "1.2M", "41M"]);
        let spans: Vec<String> = [400, 12_000, 185_000, 7_800_000, 356_400_000].map(span).into();
        assert_eq!(spans, ["0.4s", "12s", "3m 05s", "2h 10m", "4d 3h"]);
        let sizes: Vec<String> = [0, 1023, 1024, 1536, 10_240, 5 << 20, 3 << 40].map(size).into();
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10 KiB", "5.0 MiB", "3.0 TiB"]);
        assert_eq!((count(1, "task").as_str(), count(0, "task").as_str()), ("1 task", "0 tasks"));
        assert_eq!((range("1s".to_owned(), "1s").as_str(), range("1s".to_owned(), "2s").as_str()), ("1s", "1s to 2s"));
    }
}
