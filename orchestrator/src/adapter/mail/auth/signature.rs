//! Which DKIM signatures count: those that cover everything we act on.

use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DnsError, Error,
    common::crypto::{Algorithm, CryptoError},
    dkim::{DkimError, Signature},
};

use super::fields::{self, Field};

/// At most so many signatures are looked at: each costs a look into the DNS.
const MOST: usize = 8;

/// What became of one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It is valid and covers what we act on.
    Counts,
    /// It does not count: why, with the way out.
    Not(String),
    /// Its key cannot be got now.
    Later(String),
}

/// Leaves only signatures of domains that could speak for this one, and not too many.
pub(super) fn narrow(message: &mut AuthenticatedMessage<'_>, domain: &str) -> Vec<String> {
    let mut others = Vec::new();
    message.dkim_headers.retain(|header| {
        let is_kin = is_kin(&header.header.d, domain);
        if !is_kin && others.len() < MOST {
            others.push(header.header.d.to_ascii_lowercase());
        }
        is_kin
    });
    message.dkim_headers.truncate(MOST);
    others
}

/// Whether two domains can be of the same organisation: they are the same, or one is below the other. Two that are only below the
/// same one need not be (`co.uk`). (Whether they are, DMARC says.)
pub(super) fn is_kin(one: &str, other: &str) -> bool {
    let plain = |domain: &str| domain.trim_end_matches('.').to_ascii_lowercase();
    let (one, other) = (plain(one), plain(other));
    let is_below = |low: &str, high: &str| {
        high.contains('.') && low.strip_suffix(high).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    is_below(&one, &other) || is_below(&other, &one)
}

/// Where our address stands in a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addressed {
    /// The field.
    pub(super) field: &'static str,
    /// A token stands behind its `+`: what the mail is about is said there, and not by the thread it is in.
    pub(super) is_detailed: bool,
}

/// Judges one.
pub(super) fn judge(output: &DkimOutput<'_>, fields: &[Field], addressed: Addressed) -> Judged {
    let Some(signature) = output.signature() else {
        return Judged::Not("there is a signature that cannot be read".to_owned());
    };
    let name = format!("the signature of {} (selector {})", shown(&signature.d), shown(&signature.s));
    match output.result() {
        DkimResult::Pass => match weakness(signature, fields, addressed) {
            None => Judged::Counts,
            Some(why) => Judged::Not(format!("{name} {why}")),
        },
        DkimResult::TempError(error) => Judged::Later(format!("{name} cannot be checked now: {error}")),
        DkimResult::Neutral(error) | DkimResult::Fail(error) | DkimResult::PermError(error) => {
            Judged::Not(format!("{name} {}", trouble(error, signature)))
        }
        DkimResult::None => Judged::Not(format!("{name} says nothing")),
    }
}

/// Why a valid signature does not count.
fn weakness(signature: &Signature, fields: &[Field], addressed: Addressed) -> Option<String> {
    if signature.a == Algorithm::RsaSha1 {
        return Some("uses rsa-sha1, which can be forged: let the server sign with rsa-sha256".to_owned());
    }
    if signature.l > 0 {
        return Some(LENGTH.to_owned());
    }
    let signs = |name: &str| signature.h.iter().any(|signed| signed.eq_ignore_ascii_case(name));
    for name in ["From", "Date", "Message-ID"] {
        if !signs(name) || !fields::has(fields, name) {
            return Some(format!("does not cover {name}: such a mail could be sent again, changed"));
        }
    }
    let thread: &[&str] = if addressed.is_detailed { &[] } else { &["In-Reply-To", "References"] };
    for name in ["To", "Subject", addressed.field].iter().chain(thread) {
        if fields::has(fields, name) && !signs(name) {
            return Some(format!(
                "does not cover {name}: anybody could have changed it on its way. Add {name} to the signed headers, or name our own \
                 mail exchanger in mail.trusted_results"
            ));
        }
    }
    None
}

const LENGTH: &str = "covers only the beginning of the text (l=): anybody could have added to it. Switch l= off";

fn trouble(error: &Error, signature: &Signature) -> String {
    let record = format!("{}._domainkey.{}", shown(&signature.s), shown(&signature.d));
    match error {
        Error::Dkim(DkimError::FailedBodyHashMatch) => {
            "does not match the text: it was changed on its way (a mailing list, a scanner, somebody)".to_owned()
        }
        Error::Crypto(CryptoError::FailedVerification | CryptoError::Library(_)) => {
            format!(
                "does not match the headers: they were changed on their way, or the key in the TXT record {record} is another"
            )
        }
        Error::Dkim(DkimError::SignatureExpired) => "has expired: send the mail again".to_owned(),
        Error::Dkim(DkimError::SignatureLength) => LENGTH.to_owned(),
        Error::Dkim(DkimError::RevokedPublicKey) => {
            format!("was made with a key that was withdrawn (TXT record {record})")
        }
        Error::Dns(DnsError::RecordNotFound(_)) => {
            format!("names a key that is not there: publish the TXT record {record}")
        }
        Error::Dns(_) | Error::ParseError | Error::Base64 | Error::Crypto(_) => {
            format!("names a key that cannot be used: look at the TXT record {record} ({error})")
        }
        error => format!("does not hold: {error}"),
    }
}

/// What is wrong with signatures that could not even be read.
pub(super) fn unreadable(message: &AuthenticatedMessage<'_>) -> Option<String> {
    message.errors.iter().find_map(|header| match &header.header {
        Error::Dkim(DkimError::SignatureLength) => Some(format!("a signature {LENGTH}")),
        Error::Dkim(error) => Some(format!("a signature cannot be used: {error}")),
        _ => None,
    })
}

/// A name a stranger wrote, for people.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| c.is_ascii_graphic()).take(80).collect();
    if shown.is_empty() {
        shown.push('?');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kin_are_the_same_or_one_below_the_other() {
        for (one, other, is) in [
            ("x.org", "x.org", true),
            ("X.org.", "mail.x.ORG", true),
            ("a.x.org", "b.x.org", false),
            ("evil.co.uk", "bank.co.uk", false),
            ("x.org", "a.x.org", true),
            ("evilx.org", "x.org", false),
            ("x.org.evil.net", "x.org", false),
            ("org", "x.org", false),
        ] {
            assert_eq!(is_kin(one, other), is, "{one} {other}");
        }
    }
}
