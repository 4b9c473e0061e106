//! Who may write to us, and who only looks as if they might.

use std::collections::BTreeMap;

/// The fewest characters of a name for which one other character already makes a lookalike, and for which two do.
const LIKE_BY_ONE: usize = 4;
const LIKE_BY_TWO: usize = 10;

/// Somebody who may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The member whose address it is.
    pub member: Option<String>,
    /// The rule that lets them, for people: `ann's address`, `@example.org`.
    pub rule: String,
}

/// Who may write: members by their addresses, others by addresses and domains.
#[derive(Clone, Debug, Default)]
pub struct Allow {
    /// Address → member.
    members: BTreeMap<String, String>,
    addresses: Vec<String>,
    domains: Vec<String>,
}

impl Allow {
    /// `rules` are addresses, and domains as `@example.org`; `members` are addresses with the member's name.
    pub fn new<'a>(rules: &[String], members: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut allow = Self::default();
        for (address, member) in members {
            allow.members.insert(plain(address), member.to_owned());
        }
        for rule in rules {
            let rule = plain(rule);
            match rule.strip_prefix('@') {
                Some(domain) => allow.domains.push(domain.to_owned()),
                None => allow.addresses.push(rule),
            }
        }
        allow
    }

    /// Whether somebody with this address may write. Only exactly this address, or exactly this domain; not one below it.
    #[must_use]
    pub fn who(&self, address: &str) -> Option<Who> {
        let address = plain(address);
        if let Some(member) = self.members.get(&address) {
            return Some(Who { member: Some(member.clone()), rule: format!("{member}'s address") });
        }
        if self.addresses.contains(&address) {
            return Some(Who { member: None, rule: address });
        }
        let domain = domain(&address);
        let rule = self.domains.iter().find(|known| *known == domain && !domain.is_empty())?;
        Some(Who { member: None, rule: format!("@{rule}") })
    }

    /// The allowed address or domain that one which is not allowed resembles, so much that people could take it for that.
    #[must_use]
    pub fn lookalike(&self, address: &str) -> Option<String> {
        if self.who(address).is_some() {
            return None;
        }
        let address = plain(address);
        let (local, theirs) = address.rsplit_once('@')?;
        let known = || self.members.keys().chain(&self.addresses);
        let same = known().find(|known| {
            let (ours, domain) = known.rsplit_once('@').unwrap_or_default();
            domain == theirs && is_near(&skeleton(local), &skeleton(ours))
        });
        if let Some(known) = same {
            return Some(known.clone());
        }
        let of_rules = self.domains.iter().map(|ours| (ours.as_str(), format!("@{ours}")));
        let of_addresses = known().map(|known| (domain(known), known.clone()));
        of_rules.chain(of_addresses).find(|(ours, _)| resembles(theirs, ours)).map(|(_, rule)| rule)
    }
}

/// Whether a domain looks like one of ours. One below ours does not: it is ours.
fn resembles(theirs: &str, ours: &str) -> bool {
    if theirs == ours || theirs.strip_suffix(ours).is_some_and(|rest| rest.ends_with('.')) {
        return false;
    }
    let (their_shape, our_shape) = (skeleton(theirs), skeleton(ours));
    if is_near(&their_shape, &our_shape) {
        return true;
    }
    // Ours with something around it: `example.org.evil.net`, `example-org.net`.
    let around = [our_shape.clone(), our_shape.replace('.', "-")];
    if our_shape.len() > LIKE_BY_ONE && around.iter().any(|ours| their_shape.contains(ours.as_str())) {
        return true;
    }
    // Our name with another ending, or with a word beside it: `example.com`, `example-mail.org`.
    let (their_name, our_name) = (name(&their_shape), name(&our_shape));
    our_name.chars().count() >= LIKE_BY_ONE
        && (is_near(their_name, our_name) || their_name.split('-').any(|word| word == our_name))
}

/// The label before the last one.
fn name(domain: &str) -> &str {
    let mut labels = domain.rsplit('.');
    labels.next();
    labels.next().unwrap_or(domain)
}

fn is_near(theirs: &str, ours: &str) -> bool {
    let may_differ = match ours.chars().count() {
        LIKE_BY_TWO.. => 2,
        LIKE_BY_ONE.. => 1,
        _ => 0,
    };
    theirs == ours || (may_differ > 0 && strsim::damerau_levenshtein(theirs, ours) <= may_differ)
}

fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// An address as it is compared: lower case, the domain as people read it.
fn plain(address: &str) -> String {
    let address: String = address.trim().chars().map(small).collect();
    let Some((local, domain)) = address.rsplit_once('@') else { return address };
    let labels: Vec<String> = domain.trim_end_matches('.').split('.').map(label).collect();
    format!("{local}@{}", labels.join("."))
}

/// Small, unless another alphabet's letter would become a Latin one: nobody's name is made of another's.
fn small(c: char) -> char {
    let mut small = c.to_lowercase();
    match (small.next(), small.next()) {
        (Some(small), None) if c.is_ascii() == small.is_ascii() => small,
        _ => c,
    }
}

fn label(label: &str) -> String {
    label.strip_prefix("xn--").and_then(from_punycode).unwrap_or_else(|| label.to_owned())
}

/// How it looks: letters of other alphabets, with marks, and digits become the Latin letters they are taken for.
fn skeleton(text: &str) -> String {
    let latin: String = text.chars().map(look).collect();
    latin.replace("rn", "m").replace("vv", "w").replace("cl", "d")
}

fn look(c: char) -> char {
    const ALIKE: [(&str, char); 26] = [
        ("а\u{251}αàáâãäåāăąạǎ4", 'a'),
        ("вьß", 'b'),
        ("сϲçćĉċč", 'c'),
        ("ԁđď", 'd'),
        ("еёєèéêëēĕėęěẹ3", 'e'),
        ("ƒ", 'f'),
        ("ɡցĝğġģ9", 'g'),
        ("һհĥħ", 'h'),
        ("і1ıíìîïĩīĭįɩιǀl", 'l'),
        ("јϳĵ", 'j'),
        ("кκķĸ", 'k'),
        ("ӏĺļľŀł|", 'l'),
        ("мṃ", 'm'),
        ("ոñńņňŉη", 'n'),
        ("о0οоօòóôõöøōŏőσ", 'o'),
        ("рρþ", 'p'),
        ("ԛզ", 'q'),
        ("гŕŗř", 'r'),
        ("ѕśŝşš5", 's'),
        ("тτţťŧ7", 't'),
        ("υսùúûüũūŭůűų", 'u'),
        ("ѵν", 'v'),
        ("ԝѡωŵ", 'w'),
        ("хχ×", 'x'),
        ("уүγýÿŷ", 'y'),
        ("źżž2", 'z'),
    ];
    match c {
        'i' => 'l',
        'a'..='h' | 'j'..='z' | '.' | '-' | '_' | '@' => c,
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(c as u32 - 0xfee0).map_or(c, |narrow| look(narrow.to_ascii_lowercase()))
        }
        c => ALIKE.iter().find(|(alike, _)| alike.contains(c)).map_or(c, |(_, latin)| *latin),
    }
}

/// What stands behind `xn--`, decoded (RFC 3492).
fn from_punycode(coded: &str) -> Option<String> {
    const BASE: u32 = 36;
    let (basic, rest) = coded.rsplit_once('-').unwrap_or(("", coded));
    let mut out: Vec<char> = basic.chars().collect();
    let (mut n, mut i, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut digits = rest.bytes().peekable();
    if digits.peek().is_none() || !coded.is_ascii() {
        return None;
    }
    while digits.peek().is_some() {
        let before = i;
        let (mut weight, mut k) = (1_u32, BASE);
        loop {
            let digit = match digits.next()? {
                letter @ b'a'..=b'z' => u32::from(letter - b'a'),
                figure @ b'0'..=b'9' => u32::from(figure - b'0') + 26,
                _ => return None,
            };
            i = i.checked_add(digit.checked_mul(weight)?)?;
            let threshold = k.saturating_sub(bias).clamp(1, 26);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(BASE - threshold)?;
            k += BASE;
        }
        let count = u32::try_from(out.len()).ok()? + 1;
        let mut delta = if before == 0 { (i - before) / 700 } else { (i - before) / 2 };
        delta += delta / count;
        let mut steps = 0;
        while delta > 455 {
            delta /= 35;
            steps += BASE;
        }
        bias = steps + 36 * delta / (delta + 38);
        n = n.checked_add(i / count)?;
        i %= count;
        out.insert(usize::try_from(i).ok()?, char::from_u32(n)?);
        i += 1;
    }
    Some(out.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow() -> Allow {
        let rules =
            ["@Example.org", "bob@partner.net", "kim@partner.net", "@b\u{fc}cher.de", "@paypal.com"].map(str::to_owned);
        Allow::new(&rules, [("Ann.Smith@gmail.com", "ann"), ("eve@home.example", "eve")])
    }

    #[test]
    fn exactly_these_may_write() {
        let allow = allow();
        let rule = |address: &str| allow.who(address).map(|who| who.rule);
        assert_eq!(allow.who(" ann.smith@GMAIL.com ").unwrap().member.as_deref(), Some("ann"));
        assert_eq!(rule("anybody@example.ORG").as_deref(), Some("@example.org"));
        assert_eq!(rule("Bob@Partner.net").as_deref(), Some("bob@partner.net"));
        assert_eq!(rule("x@xn--bcher-kva.de").as_deref(), Some("@b\u{fc}cher.de"), "both writings of a domain are one");
        for address in [
            "ann.smith@example.com",
            "x@mail.example.org",
            "x@example.org.evil.net",
            "x@notexample.org",
            "ann@partner.net",
            "x@partner.net",
            "example.org",
            "@",
            "",
            "x@",
            "ann.smith+x@gmail.com",
            "\u{212a}im@partner.net",
        ] {
            assert_eq!(allow.who(address), None, "{address}");
        }
    }

    #[test]
    fn lookalikes_are_named() {
        let allow = allow();
        for (address, like) in [
            ("x@examp1e.org", "@example.org"),
            ("x@exarnple.org", "@example.org"),
            ("x@exampel.org", "@example.org"),
            ("x@example.com", "@example.org"),
            ("x@example-mail.org", "@example.org"),
            ("x@example.org.evil.net", "@example.org"),
            ("x@example-org.net", "@example.org"),
            ("x@login.example.co", "@example.org"),
            ("x@xn--exmple-4nf.org", "@example.org"),
            ("x@\u{435}xample.org", "@example.org"),
            ("x@paypaI.com", "@paypal.com"),
            ("x@xn--pypal-4ve.com", "@paypal.com"),
            ("x@p\u{430}yp\u{430}l.com", "@paypal.com"),
            ("x@bucher.de", "@b\u{fc}cher.de"),
            ("b0b@partner.net", "bob@partner.net"),
            ("bob@partnr.net", "bob@partner.net"),
            ("ann.srnith@gmail.com", "ann.smith@gmail.com"),
            ("annsmith@gmail.com", "ann.smith@gmail.com"),
        ] {
            assert_eq!(allow.lookalike(address).as_deref(), Some(like), "{address}");
        }
        for address in ["x@example.org", "x@mail.example.org", "joe@gmail.com", "x@weather.io", "x", ""] {
            assert_eq!(allow.lookalike(address), None, "{address}");
        }
    }

    #[test]
    fn punycode_is_read() {
        for (coded, text) in [
            ("bcher-kva", "b\u{fc}cher"),
            ("80ak6aa92e", "\u{430}\u{440}\u{440}\u{4cf}\u{435}"),
            ("fiq228c", "\u{4e2d}\u{6587}"),
        ] {
            assert_eq!(from_punycode(coded).as_deref(), Some(text), "{coded}");
        }
        for broken in ["", "-", "a-", "99999999999", "b\u{fc}-x", "a!"] {
            assert_eq!(from_punycode(broken), None, "{broken}");
        }
    }
}
