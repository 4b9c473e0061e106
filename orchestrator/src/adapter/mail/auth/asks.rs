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

/// By a mail's beginning. Only of a header that is there to its end, and could be read, it is known that nobody but the sender's own
/// domain will be asked.
pub(super) fn of(head: &[u8], delivery: &Delivery) -> Asks {
    let is_whole = head.windows(2).any(|two| two == b"\n\n") || head.windows(4).any(|four| four == b"\r\n\r\n");
    // Where it was cut off, the last line is none.
    let end = if is_whole { head.len() } else { head.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) };
    let (fields, is_read) = fields::read(&head[..end]).map_or((Vec::new(), false), |fields| (fields, is_whole));
    let mut from = fields.iter().filter(|field| field.name == "from");
    let address = from.next().and_then(|from| address::parse(&from.value));
    let own = address.map(|from| address::domain(&from.address).to_owned()).unwrap_or_default();
    let signatures = || fields.iter().filter(|field| field.name == "dkim-signature");
    let signers = signatures().filter_map(|field| tag(field, "d"));
    let path = delivery.mail_from.clone().or_else(|| return_path(&fields));
    let path = path.as_deref().map(|path| address::domain(path).to_ascii_lowercase());
    let mut domains: Vec<String> = signers
        .filter(|domain| is_kin(domain, &own))
        .take(MOST)
        .chain(path.filter(|path| is_kin(path, &own)))
        .chain([own.clone()])
        .collect();
    domains.sort();
    domains.dedup();
    let evidence: Vec<String> = signatures().filter_map(|field| tag(field, "s")).take(MOST).collect();
    Asks { is_own: is_read && domains.len() == 1, domains, evidence: evidence.join(" ") }
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
        let foreign = format!("Return-Path: <a@evil.test>\r\nDKIM-Signature: v=1; d=evil.test; s=k1\r\n{from}\r\n");
        assert_eq!(asks(&foreign), ("x.org".into(), true, "k1".into()));
        let kin = format!("DKIM-Signature: v=1; d=m.\r\n x.org; s=K2\r\n{from}\r\n");
        assert_eq!(asks(&kin), ("m.x.org x.org".into(), false, "k2".into()));
        assert_eq!(asks("no header"), (String::new(), false, String::new()));
        // Of what was cut off, and of what cannot be read, nobody knows whom it asks.
        let padded = format!("{from}X-Pad: {}", "x".repeat(9));
        assert_eq!(asks(&padded), ("x.org".into(), false, String::new()));
        assert_eq!(asks(&format!("{from}no field\r\n\r\n")), (String::new(), false, String::new()));
        // However many signatures there are, the return path is asked about, too.
        let many = "DKIM-Signature: v=1; d=x.org; s=k\r\n".repeat(9);
        let hidden = format!("Return-Path: <a@m.x.org>\r\n{many}{from}\r\n");
        assert_eq!(asks(&hidden).0, "m.x.org x.org");
    }
}
