//! The key in a certificate (X.509, DER in PEM). Who is trusted is decided by where it was got; here it is only taken apart.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bus_schemas::time::UnixMs;
use jiff::{civil::DateTime, tz::TimeZone};

/// Tags of DER.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `rsaEncryption` (RFC 8017), as the content of an algorithm: its id and NULL.
const RSA: [u8; 13] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// An RSA key, and when it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// `RSAPublicKey`, as ring takes it.
    pub(super) key: Vec<u8>,
    from: UnixMs,
    to: UnixMs,
}

impl Certificate {
    /// Reads the first certificate of a PEM text; `None` if there is none with an RSA key.
    pub(super) fn read(pem: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(pem).ok()?;
        let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
        let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
        let der = BASE64_STANDARD.decode(body.split_whitespace().collect::<String>()).ok()?;
        // Certificate → TBSCertificate (RFC 5280, 4.1).
        let mut outer = Der(Der(&der).take(SEQUENCE)?);
        let mut tbs = Der(outer.take(SEQUENCE)?);
        if tbs.tag() == Some(VERSION) {
            tbs.take(VERSION)?;
        }
        tbs.take(INTEGER)?;
        let (_signature, _issuer) = (tbs.take(SEQUENCE)?, tbs.take(SEQUENCE)?);
        let mut validity = Der(tbs.take(SEQUENCE)?);
        let (from, to) = (validity.time()?, validity.time()?);
        let _subject = tbs.take(SEQUENCE)?;
        let mut info = Der(tbs.take(SEQUENCE)?);
        if info.take(SEQUENCE)? != RSA {
            return None;
        }
        // The first byte says how many bits of the last one are not used.
        let key = info.take(BIT_STRING)?.strip_prefix(&[0])?.to_vec();
        Some(Self { key, from, to })
    }

    /// Whether it is good at an instant.
    pub(super) const fn is_good(&self, at: UnixMs) -> bool {
        self.from.0 <= at.0 && at.0 <= self.to.0
    }
}

/// What is left of a DER value's content.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The content of the next value, if it has this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
                (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (found == tag).then_some(content)
    }

    fn time(&mut self) -> Option<UnixMs> {
        let tag = self.tag()?;
        let text = std::str::from_utf8(self.take(tag)?).ok()?.strip_suffix('Z')?;
        let text = match tag {
            // Two digits of the year: until 2049 (RFC 5280, 4.1.2.5.1).
            UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
            UTC_TIME => format!("19{text}"),
            GENERALIZED_TIME => text.to_owned(),
            _ => return None,
        };
        let at = DateTime::strptime("%Y%m%d%H%M%S", text).ok()?.to_zoned(TimeZone::UTC).ok()?;
        Some(UnixMs(at.timestamp().as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &[u8] = include_bytes!("tests/sns.pem");

    #[test]
    fn the_key_is_found() {
        let certificate = Certificate::read(PEM).unwrap();
        assert_eq!(certificate.key, include_bytes!("tests/sns.pub.der"));
        let at = |text: &str| UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        assert!(certificate.is_good(at("2027-01-15T00:00:00Z")) && certificate.is_good(at("2049-01-01T00:00:00Z")));
        assert!(!certificate.is_good(at("2019-01-01T00:00:00Z")) && !certificate.is_good(at("2100-01-01T00:00:00Z")));
    }

    #[test]
    fn what_is_broken_is_none() {
        let text = std::str::from_utf8(PEM).unwrap();
        assert_eq!(Certificate::read(b""), None);
        assert_eq!(Certificate::read(text.replace("CERTIFICATE", "PUBLIC KEY").as_bytes()), None);
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let der = BASE64_STANDARD.decode(body).unwrap();
        let framed = |der: &[u8]| {
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----", BASE64_STANDARD.encode(der))
        };
        assert!(Certificate::read(framed(&der).as_bytes()).is_some());
        for end in 0..der.len() {
            let cut = Certificate::read(framed(&der[..end]).as_bytes());
            assert_eq!(cut, None, "cut at {end}");
        }
        // Whatever one byte becomes, reading it ends.
        for at in 0..der.len() {
            let mut other = der.clone();
            other[at] ^= 0xff;
            let read = Certificate::read(framed(&other).as_bytes());
            assert!(at > 1 || read.is_none(), "{at}");
        }
    }
}
