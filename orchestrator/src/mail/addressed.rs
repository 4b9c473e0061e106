//! To which of our addresses a mail was written: the one place where what stands behind our `+` is looked for.
//!
//! Who hands a signed mail on can choose its envelope, write `Delivered-To`, `X-Original-To` and `Envelope-To` into it, and add a
//! second line of recipients that the signature does not cover. So there is one order, and what stands first is all that counts:
//!
//! 1. `To`, if a token stands behind our `+` there;
//! 2. `Cc`, if one stands there;
//! 3. `To`, if it names us at all;
//! 4. `Cc`, if it does.
//!
//! The place that counts is the one a signature must cover, or the mail is not genuine. Where neither names us, an admin let the
//! mail pass: then the envelope says it, as the server in front of us wrote it, and after it the lines of servers.

use super::{
    address::{is_ours, plus},
    letter::{Address, Delivery, Letter},
    token,
};

/// Where our address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// In `To`.
    To,
    /// In `Cc`.
    Cc,
}

impl Line {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::To => "To",
            Self::Cc => "Cc",
        }
    }

    fn of(self, letter: &Letter) -> &[Address] {
        match self {
            Self::To => &letter.to,
            Self::Cc => &letter.cc,
        }
    }
}

/// The line that counts, and whether a token stands in it; `None` if none names us.
#[must_use]
pub fn line(letter: &Letter, ours: &str) -> Option<(Line, bool)> {
    let has_token =
        |address: &Address| plus(ours, &address.address).is_some_and(|detail| token::looks_like_plus(&detail));
    let lines = [Line::To, Line::Cc];
    let tokened = lines.into_iter().find(|line| line.of(letter).iter().any(has_token));
    let named = || lines.into_iter().find(|line| line.of(letter).iter().any(|one| is_ours(ours, &one.address)));
    tokened.map(|line| (line, true)).or_else(|| named().map(|line| (line, false)))
}

/// What stands behind our `+` where it counts, each once.
#[must_use]
pub fn details(letter: &Letter, delivery: &Delivery, ours: &str) -> Vec<String> {
    let of = |addresses: &mut dyn Iterator<Item = &str>| {
        let mut found = Vec::new();
        for detail in addresses.filter_map(|address| plus(ours, address)) {
            if !found.contains(&detail) {
                found.push(detail);
            }
        }
        found
    };
    if let Some((line, _)) = line(letter, ours) {
        return of(&mut line.of(letter).iter().map(|one| one.address.as_str()));
    }
    let envelope = of(&mut delivery.rcpt_to.iter().map(String::as_str));
    if envelope.is_empty() { of(&mut letter.delivered_to.iter().map(String::as_str)) } else { envelope }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::mail::letter;

    const OURS: &str = "baton@works.example";

    fn at(head: &str, rcpt_to: &[&str]) -> (Option<(Line, bool)>, String) {
        let letter = letter::read(format!("From: ann@example.org\r\n{head}\r\n\r\nhello\r\n").as_bytes());
        let delivery =
            Delivery { rcpt_to: rcpt_to.iter().map(|one| (*one).to_owned()).collect(), ..Delivery::default() };
        (line(&letter, OURS), details(&letter, &delivery, OURS).join(" "))
    }

    #[test]
    fn what_stands_first_is_all_that_counts() {
        let [own, foreign] = [1, 2].map(|id| token::plus(&[3; 32], Uuid::from_u128(id)));
        let us = |detail: &str| format!("baton+{detail}@works.example");
        let (mine, theirs) = (us(&own), us(&foreign));
        for foreign in [
            format!("Cc: {theirs}"),
            format!("Delivered-To: {theirs}"),
            format!("X-Original-To: {theirs}"),
            format!("Envelope-To: {theirs}"),
        ] {
            let found = at(&format!("{foreign}\r\nTo: {mine}"), &[&theirs]);
            assert_eq!(found, (Some((Line::To, true)), own.clone()), "{foreign}");
        }
        let in_cc = at(&format!("To: {OURS}\r\nCc: {mine}\r\nDelivered-To: {theirs}"), &[&theirs]);
        assert_eq!(in_cc, (Some((Line::Cc, true)), own.clone()));
        let plain = at(&format!("To: {OURS}\r\nDelivered-To: {theirs}"), &[&theirs]);
        assert_eq!(plain, (Some((Line::To, false)), String::new()), "who chose the envelope chooses nothing");
        assert_eq!(at(&format!("To: {OURS}\r\nCc: {}", us("website")), &[]).1, "", "an unsigned Cc chooses no preset");
        assert_eq!(at(&format!("To: {}, {}", us("website"), us("website")), &[]).1, "website");
        assert_eq!(
            at(&format!("To: x@y.z\r\nCc: {}", us("website")), &[]),
            (Some((Line::Cc, false)), "website".into())
        );
        let elsewhere = format!("To: list@x.org\r\nDelivered-To: {theirs}");
        assert_eq!(at(&elsewhere, &[&mine]), (None, own), "an admin let it pass");
        assert_eq!(at(&elsewhere, &[]), (None, foreign));
    }
}
