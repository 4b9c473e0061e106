//! `Received` lines: who handed a mail to whom, as the server that took it wrote it.

use std::net::IpAddr;

use super::fields::Field;

/// What a `Received` line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// The server that wrote it.
    pub(super) by: Option<String>,
    /// The address it was handed the mail from.
    pub(super) ip: Option<IpAddr>,
    /// What that one called itself.
    pub(super) helo: Option<String>,
    /// It came over LMTP, so from a server of ours to its own mailboxes.
    pub(super) is_local: bool,
}

/// From where a mail came to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// The address.
    pub(super) ip: IpAddr,
    /// What it called itself.
    pub(super) helo: String,
}

/// Reads one. What is not understood is not there.
pub(super) fn read(value: &str) -> Received {
    let mut words = Words { rest: value };
    let mut received = Received::default();
    let mut word = words.next();
    if matches!(&word, Some(Word::Atom(atom)) if atom.eq_ignore_ascii_case("from")) {
        let Some(Word::Atom(helo)) = words.next() else { return received };
        word = words.next();
        let mut comment = None;
        while let Some(Word::Comment(text)) = word {
            comment.get_or_insert(text);
            word = words.next();
        }
        received.ip = client(helo, comment);
        received.helo = Some(helo.to_owned());
    }
    if !matches!(&word, Some(Word::Atom(atom)) if atom.eq_ignore_ascii_case("by")) {
        return Received::default();
    }
    if let Some(Word::Atom(by)) = words.next() {
        received.by = Some(by.trim_end_matches('.').to_ascii_lowercase());
    }
    let mut is_with = false;
    for word in words {
        let Word::Atom(atom) = word else { continue };
        if is_with {
            received.is_local = atom.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("lmtp"));
            break;
        }
        is_with = atom.eq_ignore_ascii_case("with");
    }
    received
}

/// The address in `helo (name [address])`, or, as Exim writes it, in `[address] (helo=…)`. The part the client chose itself is
/// never looked at.
fn client(helo: &str, comment: Option<&str>) -> Option<IpAddr> {
    let comment = comment?;
    let said = comment.split_ascii_whitespace().filter(|word| !word.contains('='));
    let mut addresses = said.clone().filter_map(bracketed);
    if let Some(found) = addresses.next() {
        return addresses.next().is_none().then_some(found);
    }
    if comment.trim_start().starts_with("helo=") {
        return bracketed(helo);
    }
    comment.trim().parse().ok()
}

/// `[192.0.2.1]`, `[IPv6:2001:db8::1]`, `[192.0.2.1]:25`.
fn bracketed(word: &str) -> Option<IpAddr> {
    let inner = word.trim_start_matches('(').strip_prefix('[')?.split_once(']')?.0;
    let plain = inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case("ipv6:")).map_or(inner, |_| &inner[5..]);
    plain.parse().ok()
}

enum Word<'a> {
    Atom(&'a str),
    Comment(&'a str),
}

/// Words and comments, until the `;` before the date.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() || self.rest.starts_with(';') {
            return None;
        }
        if !self.rest.starts_with('(') {
            let end = self.rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ';')).unwrap_or(self.rest.len());
            let (atom, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(Word::Atom(atom));
        }
        let mut depth = 0_u32;
        for (at, c) in self.rest.char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let comment = &self.rest[1..at];
                self.rest = &self.rest[at + 1..];
                return Some(Word::Comment(comment));
            }
        }
        None
    }
}

/// Whether a server's name is one of those; `*` at an end stands for anything: `*.example.org`.
pub(super) fn is_one_of(names: &[String], name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    names.iter().any(|known| {
        let known = known.trim().trim_end_matches('.').to_ascii_lowercase();
        if let Some(end) = known.strip_prefix('*') {
            return !end.is_empty() && name.ends_with(end);
        }
        known.strip_suffix('*').map_or(name == known, |start| !start.is_empty() && name.starts_with(start))
    })
}

/// Whether a line was written by a server we believe. The topmost one of all may be a delivery into a mailbox by a server whose
/// name nobody told us: that line is our mailbox's own.
pub(super) fn is_believed(line: &Received, is_topmost: bool, trusted: impl Fn(&str) -> bool) -> bool {
    (is_topmost && line.is_local) || line.by.as_deref().is_some_and(trusted)
}

/// From where a mail came to the servers we believe: the topmost line says it, deliveries into their own mailboxes aside. Below
/// a line we do not believe nothing counts, nor does what stands below the first handing over: its sender wrote it.
pub(super) fn border(fields: &[Field], trusted: &[String]) -> Option<Client> {
    for (at, field) in fields.iter().filter(|field| field.name == "received").enumerate() {
        let line = read(&field.value);
        if !is_believed(&line, at == 0, |by| is_one_of(trusted, by)) {
            return None;
        }
        if !line.is_local {
            return line.ip.map(|ip| Client { ip, helo: line.helo.unwrap_or_default() });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_word_is_read_not_the_clients() {
        for (value, ip) in [
            ("from mail.x.org (mail.x.org [192.0.2.7]) by mx.a.org (Postfix) with ESMTPS id 1; Mon", Some("192.0.2.7")),
            ("from x.org (unknown [IPv6:2001:db8::7]) by mx.a.org with ESMTP", Some("2001:db8::7")),
            ("from [203.0.113.9] (unknown [192.0.2.7]) by mx.a.org (Postfix)", Some("192.0.2.7")),
            ("from x.org ([192.0.2.7] helo=x.org) by mx.a.org with esmtp (Exim 4.96)", Some("192.0.2.7")),
            ("from [192.0.2.7] (helo=[203.0.113.9]) by mx.a.org with esmtp (Exim 4.96)", Some("192.0.2.7")),
            ("from [192.0.2.7]:4711 (helo=x.org) by mx.a.org with esmtp", Some("192.0.2.7")),
            ("from x.org (x.org [192.0.2.7] (may be forged)) by mx.a.org (8.15)", Some("192.0.2.7")),
            ("from x.org (192.0.2.7) by mx.a.org (10.1.1.1) with Microsoft SMTP Server", Some("192.0.2.7")),
            ("from x.org ([203.0.113.9] [192.0.2.7]) by mx.a.org", None),
            ("from x.org by mx.a.org (unknown [192.0.2.7]) by mx.a.org", None),
            ("from [192.0.2.7] by mx.a.org", None),
        ] {
            let read = read(value);
            assert_eq!(read.ip, ip.map(|ip| ip.parse().unwrap()), "{value}");
            assert_eq!(read.by.as_deref(), Some("mx.a.org"), "{value}");
        }
        let own = read("by 2002:a05:6a10 with SMTP id q1; Mon");
        assert_eq!((own.by.as_deref(), own.ip), (Some("2002:a05:6a10"), None));
        for broken in ["", "from", "from x", "(((", "from x.org (unclosed by mx.a.org", "with LMTP by mx.a.org"] {
            assert_eq!(read(broken).by, None, "{broken}");
        }
    }

    #[test]
    fn only_the_first_handing_over_counts() {
        let trusted = ["mx.a.org".to_owned(), "*.in.a.org".to_owned(), "2002:*".to_owned()];
        let border = |lines: &[&str]| {
            let field = |line: &&str| Field { name: "received".to_owned(), value: (*line).to_owned() };
            border(&lines.iter().map(field).collect::<Vec<_>>(), &trusted).map(|client| client.ip.to_string())
        };
        let real = "from evil.org (evil.org [192.0.2.66]) by mx.a.org (Postfix) with ESMTP id 1; x";
        let forged = "from x.org (x.org [192.0.2.7]) by mx.a.org (Postfix) with ESMTP id 2; x";
        let lmtp = "from mx.a.org ([127.0.0.1]) by box.in.a.org with LMTP id 3; x";
        let foreign = "from evil.org (evil.org [192.0.2.66]) by mx.provider.net with ESMTP; x";
        assert_eq!(border(&[real, forged]).as_deref(), Some("192.0.2.66"));
        assert_eq!(border(&[lmtp, real, forged]).as_deref(), Some("192.0.2.66"));
        assert_eq!(border(&[foreign, forged]), None, "what a foreign server hands on is not ours");
        assert_eq!(border(&[lmtp, foreign, forged]), None);
        let unnamed = "from mx.a.org by host-7 with LMTP id 3; x";
        assert_eq!(border(&[unnamed, real, forged]).as_deref(), Some("192.0.2.66"), "our mailbox's own line");
        assert_eq!(border(&[lmtp, unnamed, forged]), None, "only the topmost one is that");
        assert_eq!(border(&[unnamed, foreign, forged]), None);
        assert_eq!(
            border(&["by mx.a.org (Postfix, from userid 1000) id 9; x", forged]),
            None,
            "written on our own machine"
        );
        assert_eq!(border(&[]), None);
    }

    #[test]
    fn a_star_stands_at_an_end_only() {
        let names = ["*.x.org".to_owned(), "2002:*".to_owned(), "mx.Y.org.".to_owned(), "*".to_owned()];
        assert!(is_one_of(&names, "a.x.org") && is_one_of(&names, "2002:a05") && is_one_of(&names, "MX.y.org"));
        assert!(!is_one_of(&names, "x.org") && !is_one_of(&names, "evil.org"), "a star alone believes nobody");
    }
}
