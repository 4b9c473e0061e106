//! `Authentication-Results` of servers we were told to believe (RFC 8601). All others are as if they were not there.

use super::{
    fields::Field,
    received::{self, is_one_of},
};

/// What a server that is believed found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The From is genuine, and how that is known.
    Pass(String),
    /// It is not, or not by what this server looked at.
    Fail(String),
}

/// One finding: `dkim=pass header.d=example.org`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Finding {
    method: String,
    result: String,
    properties: Vec<(String, String)>,
}

impl Finding {
    fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether one of its properties names exactly this domain, as a domain or behind an `@`.
    fn is_of(&self, names: &[&str], domain: &str) -> bool {
        names.iter().filter_map(|name| self.property(name)).any(|value| {
            let found = value.rsplit_once('@').map_or(value, |(_, domain)| domain);
            found.trim_end_matches('.').eq_ignore_ascii_case(domain)
        })
    }
}

/// What the servers we believe say about a From of this domain. Only the topmost lines count, and only above all servers we do
/// not believe: who sends a mail can write such lines, too, but not above those.
pub(super) fn judge(fields: &[Field], servers: &[String], received: &[String], domain: &str) -> Option<Said> {
    let mut found: Option<(String, Vec<Finding>)> = None;
    let mut is_topmost = true;
    for field in fields {
        match field.name.as_str() {
            "received" => {
                let line = received::read(&field.value);
                let named = |by: &str| is_one_of(received, by) || is_one_of(servers, by);
                let is_ours = received::is_believed(&line, is_topmost, named);
                is_topmost = false;
                // What is below the line with which a mail came to us from elsewhere was there when it came: its sender can have
                // written it, in whatever name. Only a handing over inside our own servers is passed.
                let is_border = !line.is_local && line.helo.is_some();
                if found.is_some() || !is_ours || is_border {
                    break;
                }
            }
            "authentication-results" => {
                let Some((id, findings)) = read(&field.value) else { continue };
                if !is_one_of(servers, &id) {
                    continue;
                }
                match &mut found {
                    Some((known, all)) if *known == id => all.extend(findings),
                    Some(_) => break,
                    None => found = Some((id, findings)),
                }
            }
            _ => {}
        }
    }
    let (id, findings) = found?;
    Some(weigh(&id, &findings, domain))
}

fn weigh(id: &str, findings: &[Finding], domain: &str) -> Said {
    let of = |method: &'static str| findings.iter().filter(move |finding| finding.method == method);
    let dmarc: Vec<&Finding> = of("dmarc").filter(|finding| finding.result != "none").collect();
    if !dmarc.is_empty() {
        if dmarc.iter().all(|finding| finding.result == "pass" && finding.is_of(&["header.from"], domain)) {
            return Said::Pass(format!("DMARC pass, says {id}"));
        }
        let results: Vec<&str> = dmarc.iter().map(|finding| finding.result.as_str()).collect();
        return Said::Fail(format!("{id} says dmarc={}", results.join(", ")));
    }
    if of("dkim").any(|finding| finding.result == "pass" && finding.is_of(&["header.d", "header.i"], domain)) {
        return Said::Pass(format!("DKIM pass (d={domain}), says {id}"));
    }
    if of("spf").any(|finding| finding.result == "pass" && finding.is_of(&["smtp.mailfrom"], domain)) {
        return Said::Pass(format!("SPF pass ({domain}), says {id}"));
    }
    Said::Fail(format!("{id} says nothing that speaks for {domain}"))
}

/// The server's id and its findings; `None` if the line is broken.
fn read(value: &str) -> Option<(String, Vec<Finding>)> {
    let parts = parts(value)?;
    let (first, rest) = parts.split_first()?;
    let id = first.split_ascii_whitespace().next()?;
    if id.contains('=') {
        return None;
    }
    let findings = rest.iter().filter_map(|part| {
        let mut words = part.split_ascii_whitespace();
        let (method, result) = words.next()?.split_once('=')?;
        let method = method.split_once('/').map_or(method, |(method, _)| method);
        let properties = words.filter_map(|word| word.split_once('='));
        Some(Finding {
            method: method.to_ascii_lowercase(),
            result: result.to_ascii_lowercase(),
            properties: properties.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        })
    });
    Some((id.trim_end_matches('.').to_ascii_lowercase(), findings.collect()))
}

/// The parts between `;`, without comments. Whatever stands in quotes is one word: its blanks and `;` do not count, and it is
/// marked so that it can never look like a finding.
fn parts(value: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let (mut depth, mut is_quoted) = (0_u32, false);
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        let part = parts.last_mut()?;
        match c {
            '\\' if is_quoted || depth > 0 => {
                let escaped = chars.next()?;
                if is_quoted && depth == 0 && !escaped.is_whitespace() {
                    part.push(escaped);
                }
            }
            '"' if depth == 0 => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth = depth.checked_sub(1)?,
            _ if depth > 0 => {}
            ';' if !is_quoted => parts.push(String::new()),
            c if is_quoted && c.is_whitespace() => part.push('_'),
            c => part.push(c),
        }
    }
    (depth == 0 && !is_quoted).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "from x.org (x.org [192.0.2.7]) by mx.a.org (Postfix) with ESMTPS id 1; x";
    const FOREIGN: &str = "from y.org (y.org [192.0.2.8]) by mx.evil.org with ESMTP; x";

    fn said(lines: &[(&str, &str)]) -> Option<Said> {
        let fields: Vec<Field> =
            lines.iter().map(|(name, value)| Field { name: (*name).to_owned(), value: (*value).to_owned() }).collect();
        judge(&fields, &["mx.a.org".to_owned()], &[], "x.org")
    }

    fn one(value: &str) -> Option<Said> {
        said(&[("authentication-results", value)])
    }

    #[test]
    fn a_believed_server_vouches_for_exactly_this_domain() {
        for (value, passes) in [
            ("mx.a.org; dmarc=pass (p=reject) header.from=x.org; dkim=pass header.d=y.org", true),
            ("mx.a.org 1; spf=fail smtp.mailfrom=z.org; DMARC/1=Pass header.from=X.org", true),
            ("mx.a.org; dmarc=pass header.from=evil.org", false),
            ("mx.a.org; dmarc=pass", false),
            ("mx.a.org; dmarc=fail header.from=x.org; dkim=pass header.d=x.org", false),
            ("mx.a.org; dmarc=pass header.from=x.org; dmarc=fail header.from=x.org", false),
            ("mx.a.org; dmarc=none header.from=x.org; dkim=pass header.d=x.org header.s=s", true),
            ("mx.a.org; dkim=pass header.i=@x.org", true),
            ("mx.a.org; dkim=pass header.d=evil-x.org", false),
            ("mx.a.org; dkim=fail header.d=x.org; spf=pass smtp.mailfrom=bob@x.org", true),
            ("mx.a.org; spf=pass smtp.mailfrom=bob@evil.org smtp.helo=x.org", false),
            ("mx.a.org; spf=pass smtp.mailfrom=\"a; dmarc=pass header.from=x.org\"@evil.org", false),
            ("mx.a.org; spf=fail (; dmarc=pass header.from=x.org) smtp.mailfrom=evil.org", false),
            ("mx.a.org; none", false),
        ] {
            let said = one(value).unwrap();
            assert_eq!(matches!(said, Said::Pass(_)), passes, "{value}: {said:?}");
        }
    }

    #[test]
    fn foreign_and_broken_lines_are_not_there() {
        for value in [
            "mx.evil.org; dmarc=pass header.from=x.org",
            "mx.a.org.evil.org; dmarc=pass header.from=x.org",
            "spf=pass smtp.mailfrom=x.org; dmarc=pass header.from=x.org",
            "mx.a.org; dmarc=pass header.from=x.org (unclosed",
            "mx.a.org; dmarc=pass header.from=x.org \"unclosed",
            "",
        ] {
            assert_eq!(one(value), None, "{value}");
        }
    }

    #[test]
    fn only_what_no_sender_could_write_counts() {
        let pass = ("authentication-results", "mx.a.org; dmarc=pass header.from=x.org");
        let fail = ("authentication-results", "mx.a.org; dmarc=fail header.from=x.org");
        let other = ("authentication-results", "mx.a.org; spf=pass smtp.mailfrom=x.org");
        let (ours, foreign) = (("received", OURS), ("received", FOREIGN));
        let passes = |lines: &[_]| matches!(said(lines), Some(Said::Pass(_)));
        assert!(passes(&[pass, ours]) && passes(&[pass, foreign]));
        assert_eq!(said(&[ours, pass]), None, "there when the mail came to us");
        assert!(passes(&[other, pass, ours, foreign]), "a server may write several lines");
        assert_eq!(said(&[foreign, pass]), None, "below a server we do not believe");
        let own = ("received", "from mx.a.org by host-7 with LMTP id 3; x");
        let inside = ("received", "by mx.a.org with SMTP id q1; x");
        assert!(passes(&[own, pass, ours]) && passes(&[inside, pass, ours]), "below our own servers' lines");
        assert_eq!(said(&[own, ours, pass]), None);
        assert_eq!(said(&[own, foreign, pass]), None);
        assert_eq!(said(&[ours, foreign, pass]), None);
        assert!(!passes(&[fail, pass, ours]) && !passes(&[fail, ours, pass]), "the topmost lines say it");
        assert!(!passes(&[fail, foreign, pass]));
    }
}
