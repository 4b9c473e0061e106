//! Whose name servers a check of a mail would ask, seen without asking anybody.

use super::{
    fields::{self, Field},
    signature::is_kin,
};
use crate::{
    adapter::mail::Asks,
    mail::{address, letter::Delivery},
};

/// The most signatures that are named.
const MOST: usize = 8;

/// By a mail's beginning. Where that cannot be read, nobody will be asked.
pub(super) fn of(head: &[u8], delivery: &Delivery) -> Asks {
    let fields = fields::read(head).unwrap_or_default();
    let mut from = fields.iter().filter(|field| field.name == "from");
    let address = from.next().and_then(|from| address::parse(&from.value));
    let own = address.map(|from| address::domain(&from.address).to_owned()).unwrap_or_default();
    let signatures = || fields.iter().filter(|field| field.name == "dkim-signature");
    let signers = signatures().filter_map(|field| tag(field, "d"));
    let path = delivery.mail_from.clone().or_else(|| return_path(&fields));
    let path = path.as_deref().map(|path| address::domain(path).to_ascii_lowercase());
    let mut domains: Vec<String> =
        signers.chain(path).filter(|domain| is_kin(domain, &own)).take(MOST).chain([own.clone()]).collect();
    domains.sort();
    domains.dedup();
    let evidence: Vec<String> = signatures().filter_map(|field| tag(field, "s")).take(MOST).collect();
    Asks { is_own: domains.len() == 1, domains, evidence: evidence.join(" ") }
}

/// A tag of a signature, in small letters.
fn tag(field: &Field, name: &str) -> Option<String> {
    let value = field.value.split(';').find_map(|part| part.split_once('=').filter(|(known, _)| known.trim() == name));
    value.map(|(_, value)| value.split_whitespace().collect::<String>().to_ascii_lowercase())
}

/// The envelope's sender, as the server wrote it that delivered the mail: above all `Received` lines, else its sender wrote it.
pub(super) fn return_path(fields: &[Field]) -> Option<String> {
    let above = fields.iter().take_while(|field| field.name != "received");
    let path = above.filter(|field| field.name == "return-path").map(|field| field.value.trim());
    path.map(|value| value.trim_matches(['<', '>']).to_owned()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_domains_that_could_vouch_are_asked() {
        let asks = |head: &str| {
            let asks = of(head.as_bytes(), &Delivery::default());
            (asks.domains.join(" "), asks.is_own, asks.evidence)
        };
        let from = "From: Ann <ann@X.org>\r\n";
        assert_eq!(asks(&format!("{from}\r\nDKIM-Signature: d=m.x.org")), ("x.org".into(), true, String::new()));
        let foreign = format!("Return-Path: <a@evil.test>\r\nDKIM-Signature: v=1; d=evil.test; s=k1\r\n{from}");
        assert_eq!(asks(&foreign), ("x.org".into(), true, "k1".into()));
        let kin = format!("DKIM-Signature: v=1; d=m.\r\n x.org; s=K2\r\n{from}");
        assert_eq!(asks(&kin), ("m.x.org x.org".into(), false, "k2".into()));
        assert_eq!(asks("no header"), (String::new(), true, String::new()));
    }
}
