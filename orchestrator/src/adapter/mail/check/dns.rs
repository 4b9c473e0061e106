//! What the DNS says about our own domain: whether mail for it comes to us, and whether others believe ours.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::signature::{Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};

use super::{Finding, Part};
use crate::{
    adapter::mail::auth::Dns,
    config::{Dkim, Mail},
};

const MX: Part = Part("mx", "mail for our address finds its server");
const SPF: Part = Part("spf", "others see which servers may send for us");
const DMARC: Part = Part("dmarc", "others know what to do with mail that only says it is ours");
const DKIM: Part = Part("dkim", "others can check our signature");

pub(super) async fn look(mail: &Mail, domain: &str, dns: &Dns) -> Vec<Finding> {
    let mut findings = vec![mx(domain, dns).await, spf(domain, dns).await, dmarc(domain, dns).await];
    findings.extend(match &mail.dkim {
        Some(dkim) => vec![self::dkim(dkim, domain, dns).await],
        None => Vec::new(),
    });
    findings
}

async fn mx(domain: &str, dns: &Dns) -> Finding {
    match dns.mx(domain).await {
        Err(why) => MX.wrong(why, "look at the network, and at mail.dns"),
        Ok(hosts) if hosts.is_empty() => MX.warning(
            format!("{domain} has no MX record"),
            format!("publish one: {domain} MX 10 <the mail server's name>"),
        ),
        // RFC 7505.
        Ok(hosts) if hosts.iter().all(String::is_empty) => MX.wrong(
            format!("{domain} says that it takes no mail (MX 0 .)"),
            format!("publish the mail server's name instead: {domain} MX 10 <the mail server's name>"),
        ),
        Ok(hosts) => MX.ok(hosts.join(", ")),
    }
}

/// The records of a name that begin so.
async fn records(dns: &Dns, name: &str, tag: &str) -> Result<Vec<String>, String> {
    let is_one = |text: &String| {
        text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))
            && text[tag.len()..].chars().next().is_none_or(|next| next == ';' || next.is_whitespace())
    };
    Ok(dns.txt(name).await?.into_iter().filter(is_one).collect())
}

async fn spf(domain: &str, dns: &Dns) -> Finding {
    match records(dns, domain, "v=spf1").await {
        Err(why) => SPF.wrong(why, "look at the network, and at mail.dns"),
        Ok(found) => match found.as_slice() {
            [] => SPF.warning(
                format!("{domain} has no SPF record"),
                format!("publish one that names the server we send over: {domain} TXT \"v=spf1 mx -all\""),
            ),
            [one] if has_term(one, &["all", "+all"]) => {
                SPF.wrong(format!("{one}: everybody may send for {domain}"), "end it with -all")
            }
            [one] if has_term(one, &["?all"]) => {
                SPF.warning(format!("{one}: it says nothing of those it does not name"), "end it with -all or ~all")
            }
            [one] => SPF.ok(one.clone()),
            more => {
                SPF.wrong(format!("{domain} has {} SPF records: none counts", more.len()), "put them together into one")
            }
        },
    }
}

/// Whether one of these words is in a record.
fn has_term(record: &str, words: &[&str]) -> bool {
    record.split_whitespace().any(|term| words.iter().any(|word| term.eq_ignore_ascii_case(word)))
}

async fn dmarc(domain: &str, dns: &Dns) -> Finding {
    let mut above = Some(domain);
    // The record of a domain above speaks for those below it that have none.
    while let Some(at) = above {
        let name = format!("_dmarc.{at}");
        let found = match records(dns, &name, "v=DMARC1").await {
            Err(why) => return DMARC.wrong(why, "look at the network, and at mail.dns"),
            Ok(found) => found,
        };
        let shown = |record: &str| if at == domain { record.to_owned() } else { format!("{record} (of {at})") };
        match found.as_slice() {
            [] => above = at.split_once('.').map(|(_, above)| above).filter(|above| above.contains('.')),
            [one] if policy(one, at == domain) == "none" => {
                return DMARC.warning(
                    format!("{}: others let forged mail in our name pass", shown(one)),
                    "once our own mail passes, set p=quarantine or p=reject",
                );
            }
            [one] => return DMARC.ok(shown(one)),
            more => {
                return DMARC.wrong(format!("{name} has {} DMARC records: none counts", more.len()), "leave one");
            }
        }
    }
    DMARC.warning(
        format!("{domain} has no DMARC record"),
        format!("publish one: _dmarc.{domain} TXT \"v=DMARC1; p=quarantine\"; without it others may take forged mail for ours"),
    )
}

/// What is to be done with forged mail of the domain itself, or of one below it.
fn policy(record: &str, is_own: bool) -> String {
    let tag = |wanted: &str| {
        let mut tags = record.split(';').filter_map(|tag| tag.split_once('='));
        tags.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, policy)| policy.trim())
    };
    let below = if is_own { None } else { tag("sp") };
    below.or_else(|| tag("p")).unwrap_or("none").to_ascii_lowercase()
}

async fn dkim(dkim: &Dkim, domain: &str, dns: &Dns) -> Finding {
    let own = match public_key(dkim) {
        Ok(own) => own,
        Err(why) => {
            return DKIM.wrong(why, "set mail.dkim.key to a private key in PEM form (RSA, or Ed25519 in PKCS #8)");
        }
    };
    let name = format!("{}._domainkey.{}", dkim.selector, dkim.domain);
    let publish = format!("publish {name} TXT \"{}\"", own.record());
    let found = match dns.txt(&name).await {
        Err(why) => return DKIM.wrong(why, "look at the network, and at mail.dns"),
        Ok(found) if found.is_empty() => return DKIM.wrong(format!("there is no TXT record {name}"), publish),
        Ok(found) => found,
    };
    if !found.iter().any(|record| own.is_in(record)) {
        return DKIM.wrong(format!("the TXT record {name} holds another key than mail.dkim.key"), publish);
    }
    let is_aligned = domain == dkim.domain || domain.ends_with(&format!(".{}", dkim.domain));
    if !is_aligned {
        let said = format!("we sign as {}, and write as {domain}: that does not speak for us", dkim.domain);
        return DKIM.wrong(said, format!("set mail.dkim.domain = {domain:?}"));
    }
    DKIM.ok(format!("{name} holds our key"))
}

/// The public half of the key we sign with.
enum Public {
    /// As RFC 8017 writes it; a record holds it within a larger structure.
    Rsa(Vec<u8>),
    Ed25519(Vec<u8>),
}

fn public_key(dkim: &Dkim) -> Result<Public, String> {
    let place = dkim.key.display();
    let pem = fs::read(&dkim.key).map_err(|error| format!("mail.dkim.key {place}: {error}"))?;
    let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| format!("mail.dkim.key {place}: {error}"))?;
    let rsa = match &der {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok(),
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
        _ => None,
    };
    if let Some(rsa) = rsa {
        return Ok(Public::Rsa(rsa.public_key().as_ref().to_vec()));
    }
    let PrivateKeyDer::Pkcs8(key) = &der else {
        return Err(format!("mail.dkim.key {place} is no key that can sign (RSA of 2048 bits or more)"));
    };
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der());
    let pair = pair
        .map_err(|_| format!("mail.dkim.key {place} is neither an RSA key of 2048 bits or more nor an Ed25519 key"))?;
    Ok(Public::Ed25519(pair.public_key().as_ref().to_vec()))
}

/// What stands around an RSA key in a record: `SEQUENCE { rsaEncryption, BIT STRING }`.
fn around(key: &[u8]) -> Vec<u8> {
    const ALGORITHM: [u8; 15] =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let bits = [&[0_u8][..], key].concat();
    let inner = [&ALGORITHM[..], &tagged(0x03, &bits)].concat();
    tagged(0x30, &inner)
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let short: Vec<u8> = length.iter().copied().skip_while(|byte| *byte == 0).collect();
    let mut out = vec![tag];
    match short.as_slice() {
        [] => out.push(0),
        [one] if *one < 0x80 => out.push(*one),
        more => {
            out.push(0x80 | u8::try_from(more.len()).unwrap_or_default());
            out.extend_from_slice(more);
        }
    }
    out.extend_from_slice(content);
    out
}

impl Public {
    fn record(&self) -> String {
        match self {
            Self::Rsa(key) => format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(around(key))),
            Self::Ed25519(key) => format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key)),
        }
    }

    fn is_in(&self, record: &str) -> bool {
        let mut tags = record.split(';').filter_map(|tag| tag.split_once('='));
        let held = tags.find(|(name, _)| name.trim() == "p").map(|(_, key)| key.split_whitespace().collect::<String>());
        let Some(held) = held.and_then(|held| STANDARD.decode(held).ok()).filter(|held| !held.is_empty()) else {
            return false;
        };
        match self {
            Self::Rsa(key) => held.ends_with(key),
            Self::Ed25519(key) => held == *key,
        }
    }
}
