//! Signed tokens: the id of a mail of ours, with a mark that only we can make. One for the address behind our `+`, one for
//! the link that decides, one for the link that ends news. None of them is good for another.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

/// The bytes of an id.
const ID: usize = 16;
/// The bytes of the mark in an address: there is not room for more.
const PLUS_MARK: usize = 9;
/// The bytes of the mark in a link.
const LINK_MARK: usize = 16;
/// How tokens are written: no letter differs only by its case, and none needs quoting in an address or a URL.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What a token is for.
#[derive(Clone, Copy)]
enum Use {
    Plus,
    Link,
    Quiet,
}

impl Use {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Plus => b"baton mail v1 plus",
            Self::Link => b"baton mail v1 link",
            Self::Quiet => b"baton mail v1 quiet",
        }
    }

    const fn mark(self) -> usize {
        match self {
            Self::Plus => PLUS_MARK,
            Self::Link | Self::Quiet => LINK_MARK,
        }
    }
}

/// The token for an address: 40 characters.
#[must_use]
pub fn plus(key: &[u8; 32], id: Uuid) -> String {
    write(key, id, Use::Plus)
}

/// The id in a token of an address, in large or small letters, if we made it.
#[must_use]
pub fn read_plus(key: &[u8; 32], text: &str) -> Option<Uuid> {
    read(key, text, Use::Plus)
}

/// The token for the page of a mail: 52 characters.
#[must_use]
pub fn link(key: &[u8; 32], id: Uuid) -> String {
    write(key, id, Use::Link)
}

/// The id in a token of a page, if we made it.
#[must_use]
pub fn read_link(key: &[u8; 32], text: &str) -> Option<Uuid> {
    read(key, text, Use::Link)
}

/// The token for the page that ends news: 52 characters.
#[must_use]
pub fn quiet(key: &[u8; 32], id: Uuid) -> String {
    write(key, id, Use::Quiet)
}

/// The id in a token that ends news, if we made it.
#[must_use]
pub fn read_quiet(key: &[u8; 32], text: &str) -> Option<Uuid> {
    read(key, text, Use::Quiet)
}

/// Whether a text has the form of a token of an address, whoever made it.
#[must_use]
pub fn looks_like_plus(text: &str) -> bool {
    text.len() == encoded_len(ID + PLUS_MARK) && decode(text).is_some()
}

fn mac(key: &[u8; 32], id: &[u8], of: Use) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(of.name());
    mac.update(&[0]);
    mac.update(id);
    Some(mac)
}

fn write(key: &[u8; 32], id: Uuid, of: Use) -> String {
    let mut bytes = id.as_bytes().to_vec();
    if let Some(mac) = mac(key, id.as_bytes(), of) {
        bytes.extend_from_slice(&mac.finalize().into_bytes()[..of.mark()]);
    }
    encode(&bytes)
}

fn read(key: &[u8; 32], text: &str, of: Use) -> Option<Uuid> {
    if text.len() != encoded_len(ID + of.mark()) {
        return None;
    }
    let bytes = decode(text)?;
    let (id, mark) = bytes.split_at_checked(ID)?;
    if mark.len() != of.mark() {
        return None;
    }
    mac(key, id, of)?.verify_truncated_left(mark).ok()?;
    Uuid::from_slice(id).ok()
}

const fn encoded_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(encoded_len(bytes.len()));
    let (mut pending, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        pending = (pending << 8 | u32::from(*byte)) & 0xfff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(pending >> bits));
        }
    }
    if bits > 0 {
        text.push(letter(pending << (5 - bits)));
    }
    text
}

fn letter(value: u32) -> char {
    char::from(ALPHABET[(value & 31) as usize])
}

/// What [`encode`] wrote, and nothing else: bits behind the last byte are zero.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut pending, mut bits) = (0_u32, 0_u32);
    for c in text.bytes() {
        let value = match c {
            b'a'..=b'z' => c - b'a',
            b'A'..=b'Z' => c - b'A',
            b'2'..=b'7' => c - b'2' + 26,
            _ => return None,
        };
        pending = (pending << 5 | u32::from(value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((pending >> bits & 0xff) as u8);
        }
    }
    (bits < 5 && pending & ((1 << bits) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn id() -> Uuid {
        Uuid::from_u128(0x0193_abcd_0001_7000_8000_0123_4567_89ab)
    }

    #[test]
    fn tokens_fit_and_are_read_back() {
        let (plus_token, link_token, quiet_token) = (plus(&KEY, id()), link(&KEY, id()), quiet(&KEY, id()));
        assert_eq!((plus_token.len(), link_token.len(), quiet_token.len()), (40, 52, 52));
        assert_eq!(read_plus(&KEY, &plus_token), Some(id()));
        assert_eq!(
            read_plus(&KEY, &plus_token.to_uppercase()),
            Some(id()),
            "a server may change the case of an address"
        );
        assert_eq!((read_link(&KEY, &link_token), read_quiet(&KEY, &quiet_token)), (Some(id()), Some(id())));
        assert!(looks_like_plus(&plus_token) && !looks_like_plus(&link_token) && !looks_like_plus("website"));
    }

    #[test]
    fn a_token_is_good_for_one_thing_and_under_one_key() {
        let (plus_token, link_token, quiet_token) = (plus(&KEY, id()), link(&KEY, id()), quiet(&KEY, id()));
        assert_eq!(read_quiet(&KEY, &link_token), None);
        assert_eq!(read_link(&KEY, &quiet_token), None);
        assert_eq!(read_plus(&[8; 32], &plus_token), None);
        assert_eq!(read_link(&[8; 32], &link_token), None);
    }

    #[test]
    fn what_is_forged_is_no_token() {
        let token = plus(&KEY, id());
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'a' { b'b' } else { b'a' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(read_plus(&KEY, &forged), None, "{at}");
        }
        for text in
            ["", "a", &token[1..], &format!("{token}a"), &format!("{}1", &token[1..]), &"a".repeat(40), &"ä".repeat(20)]
        {
            assert_eq!(read_plus(&KEY, text), None, "{text}");
        }
        // The last letter of a link has four bits that say nothing: only zeros are taken.
        let link_token = link(&KEY, id());
        let accepted = ALPHABET.iter().filter(|last| {
            let text = format!("{}{}", &link_token[..51], char::from(**last));
            read_link(&KEY, &text).is_some()
        });
        assert_eq!(accepted.count(), 1);
    }

    proptest! {
        #[test]
        fn every_id_comes_back(bits in any::<u128>(), key in any::<[u8; 32]>()) {
            let id = Uuid::from_u128(bits);
            prop_assert_eq!(read_plus(&key, &plus(&key, id)), Some(id));
            prop_assert_eq!(read_link(&key, &link(&key, id)), Some(id));
        }

        #[test]
        fn nothing_else_is_read(text in "[a-z2-7]{40}|[a-z2-7]{52}|\\PC*") {
            prop_assert_eq!(read_plus(&KEY, &text), None);
            prop_assert_eq!(read_link(&KEY, &text), None);
            prop_assert_eq!(read_quiet(&KEY, &text), None);
        }
    }
}
