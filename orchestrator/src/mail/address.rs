//! Mail addresses, made comparable. What could be taken for another address is none.

use super::letter::Address;

/// The longest address, and the longest part before the `@` (RFC 5321).
const LONGEST: (usize, usize) = (254, 64);

/// Reads `Ann <ann@example.org>` or `ann@example.org`.
#[must_use]
pub fn parse(text: &str) -> Option<Address> {
    let text = text.trim();
    let (name, address) = match text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"').trim(), address),
        None => ("", text),
    };
    Some(Address { name: one_line(name, 200), address: normal(address)? })
}

/// An address as it is compared: lower case, the domain in A-labels. `None` for what is no plain address: quoted local parts,
/// address literals, letters that become others when they are made small.
#[must_use]
pub fn normal(address: &str) -> Option<String> {
    let address = address.trim();
    let (local, domain) = address.rsplit_once('@')?;
    if local.is_empty() || local.len() > LONGEST.1 || domain.is_empty() {
        return None;
    }
    let fits = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '!' | '#' | '$' | '%' | '&' | '\'' | '*' | '+' | '-' | '/' | '=' | '?' | '^' | '_' | '`' | '{' | '|' | '}'
        | '~' | '.' => true,
        // The Kelvin sign would become a `k`: nobody's name is made of another's.
        _ if !c.is_ascii() => c.is_alphanumeric() && c.to_lowercase().all(|small| !small.is_ascii()),
        _ => false,
    };
    if !local.chars().all(fits) || local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return None;
    }
    let host = host(domain)?;
    let normal = format!("{}@{host}", local.to_lowercase());
    (normal.len() <= LONGEST.0).then_some(normal)
}

/// A domain in A-labels, lower case.
fn host(domain: &str) -> Option<String> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let ascii = idna::domain_to_ascii(domain).ok()?;
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
    };
    ascii.split('.').all(is_label).then_some(ascii)
}

/// What stands behind our `+`, if `other` is our address with one.
#[must_use]
pub fn plus(ours: &str, other: &str) -> Option<String> {
    let (ours, other) = (normal(ours)?, normal(other)?);
    let (local, domain) = ours.split_once('@')?;
    let rest = other.strip_prefix(local)?.strip_prefix('+')?;
    let (detail, at) = rest.rsplit_once('@')?;
    (at == domain && !detail.is_empty()).then(|| detail.to_owned())
}

/// Whether an address is ours, with a `+` or without.
#[must_use]
pub fn is_ours(ours: &str, other: &str) -> bool {
    plus(ours, other).is_some() || normal(ours).is_some_and(|ours| normal(other).is_some_and(|other| other == ours))
}

/// The part behind the `@`; empty if there is none.
#[must_use]
pub fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// A text on one line, without what shows nothing or turns the line around, cut at so many characters.
#[must_use]
pub fn one_line(text: &str, chars: usize) -> String {
    let hides =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let mut line = String::with_capacity(text.len().min(chars));
    let mut count = 0;
    for c in text.chars() {
        let c = if c.is_control() || c.is_whitespace() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
        if hides(c) || (c == ' ' && (line.is_empty() || line.ends_with(' '))) {
            continue;
        }
        if count == chars {
            break;
        }
        line.push(c);
        count += 1;
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_compared_in_one_form() {
        let cases: [(&str, Option<&str>); 22] = [
            ("Ann@Example.ORG", Some("ann@example.org")),
            (" ann@example.org ", Some("ann@example.org")),
            ("ann+tag@example.org", Some("ann+tag@example.org")),
            ("ann@example.org.", Some("ann@example.org")),
            ("ann@bücher.example", Some("ann@xn--bcher-kva.example")),
            ("ann@XN--BCHER-KVA.example", Some("ann@xn--bcher-kva.example")),
            // A full-width letter is the letter, and a Cyrillic one is another domain.
            ("ann@ｅxample.org", Some("ann@example.org")),
            ("ann@еxample.org", Some("ann@xn--xample-2of.org")),
            ("jürgen@example.org", Some("jürgen@example.org")),
            ("\u{212a}ate@example.org", None),
            ("\u{130}nge@example.org", None),
            ("ann@", None),
            ("@example.org", None),
            ("ann", None),
            ("\"ann\"@example.org", None),
            ("a b@example.org", None),
            ("a..b@example.org", None),
            (".a@example.org", None),
            ("ann@[127.0.0.1]", None),
            ("ann@exa mple.org", None),
            ("ann\r\nBcc: x@example.org", None),
            ("ann@-example.org", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(normal(text).as_deref(), wanted, "{text:?}");
        }
        assert_eq!(normal(&format!("{}@example.org", "a".repeat(65))), None);
    }

    #[test]
    fn names_stand_beside_addresses() {
        let ann = parse("\"Smith, Ann\" <Ann@example.org>").unwrap();
        assert_eq!((ann.name.as_str(), ann.address.as_str()), ("Smith, Ann", "ann@example.org"));
        assert_eq!(parse("ann@example.org").unwrap().name, "");
        assert_eq!(parse("eve@evil.example <ann@example.org>").unwrap().address, "ann@example.org");
        assert_eq!(parse("ann@example.org <nobody>"), None);
    }

    #[test]
    fn what_stands_behind_our_plus() {
        let ours = "baton@example.org";
        for (other, wanted) in [
            ("baton+abc@example.org", Some("abc")),
            ("Baton+ABC@EXAMPLE.org", Some("abc")),
            ("baton+a+b@example.org", Some("a+b")),
            ("baton@example.org", None),
            ("baton+@example.org", None),
            ("baton+abc@example.com", None),
            ("batons+abc@example.org", None),
            ("xbaton+abc@example.org", None),
            ("baton+abc@evil.example@example.org", None),
        ] {
            assert_eq!(plus(ours, other).as_deref(), wanted, "{other}");
        }
        assert!(is_ours(ours, "BATON@example.org") && is_ours(ours, "baton+x@example.org"));
        assert!(!is_ours(ours, "ann@example.org"));
        assert_eq!((domain("a@b.c"), domain("nothing")), ("b.c", ""));
    }

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(one_line("  a\r\nBcc: b\t\u{202e}c\u{2028}d  ", 100), "a Bcc: b c d");
        assert_eq!(one_line("äöü", 2), "äö");
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_what_is_read_stays_as_it_is(text in any::<String>()) {
            if let Some(read) = normal(&text) {
                prop_assert_eq!(normal(&read), Some(read.clone()));
                prop_assert!(!read.contains(|c: char| c.is_whitespace() || c.is_control()));
            }
            drop(parse(&text));
            prop_assert!(!one_line(&text, 50).contains(['\r', '\n']));
        }
    }
}
