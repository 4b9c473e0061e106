//! The key does not go down to the guest, even if the provider repeats it.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::secret::Secret;

/// Shorter keys are words like `none` or `dummy`; to black them out would harm honest text.
const SHORTEST: usize = 12;

/// Replaces keys in a stream, across its frames, by as many `x`.
pub(in crate::adapter) struct Redactor {
    keys: Vec<Secret>,
    /// The end of the last frame, as it came, if a key could go on from there.
    held: BytesMut,
    /// Which of its bytes belong to a key that was found already: one key may be a part of another.
    found: Vec<bool>,
    /// So many bytes are always held back, whatever they are; `None`: only what may be the beginning of a key.
    always: Option<usize>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Redactor {
    pub(super) fn new(key: Option<&Secret>) -> Self {
        let keys = key.filter(|key| key.needle().len() >= SHORTEST).cloned().into_iter().collect();
        Self { keys, held: BytesMut::new(), found: Vec::new(), always: None }
    }

    /// All of these are blacked out, however short they are. What is passed on, and when, depends on the number of bytes
    /// alone: if only the beginning of a key were held back, a guest that has its guesses repeated would read from the
    /// sizes of the pieces which guess goes on like the key.
    pub(in crate::adapter) fn of(keys: Vec<Secret>) -> Self {
        let longest = keys.iter().map(|key| key.needle().len()).max().unwrap_or_default();
        Self { keys, held: BytesMut::new(), found: Vec::new(), always: Some(longest.saturating_sub(1)) }
    }

    /// Takes a frame in; gives what can be passed on now (perhaps nothing).
    pub(in crate::adapter) fn push(&mut self, frame: Bytes) -> Bytes {
        if self.always.is_none() && self.held.is_empty() && !self.keys.iter().any(|key| has_any(&frame, key.needle())) {
            return frame;
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(&frame);
        self.found.resize(all.len(), false);
        let mut keep = 0;
        for key in &self.keys {
            mark(&all, key.needle(), &mut self.found);
            keep = keep.max(overlap(&all, key.needle()));
        }
        let keep = self.always.map_or(keep, |always| always.min(all.len()));
        self.held = all.split_off(all.len() - keep);
        let held = self.found.split_off(all.len());
        black_out(&mut all, &std::mem::replace(&mut self.found, held));
        all.freeze()
    }

    /// What was held back at the end.
    pub(in crate::adapter) fn finish(&mut self) -> Bytes {
        let mut rest = std::mem::take(&mut self.held);
        black_out(&mut rest, &std::mem::take(&mut self.found));
        rest.freeze()
    }

    /// A whole text.
    pub(in crate::adapter) fn whole(&mut self, text: Bytes) -> Bytes {
        let mut out = BytesMut::from(self.push(text).as_ref());
        out.extend_from_slice(&self.finish());
        out.freeze()
    }
}

/// Whether the needle, or the beginning of it at the very end, is in `text`.
fn has_any(text: &[u8], needle: &[u8]) -> bool {
    overlap(text, needle) > 0 || find(text, needle).is_some()
}

/// Marks every place of the needle.
fn mark(text: &[u8], needle: &[u8], found: &mut [bool]) {
    let mut from = 0;
    while let Some(at) = find(&text[from..], needle) {
        found[from + at..from + at + needle.len()].fill(true);
        from += at + 1;
    }
}

fn black_out(text: &mut [u8], found: &[bool]) {
    text.iter_mut().zip(found).filter(|(_, found)| **found).for_each(|(byte, _)| *byte = b'x');
}

/// Where the needle is in `text`.
pub(super) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle.first()?;
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| byte == first) {
        if text[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// How many bytes at the end of `text` are a beginning of the needle, but not all of it.
fn overlap(text: &[u8], needle: &[u8]) -> usize {
    let most = text.len().min(needle.len().saturating_sub(1));
    (1..=most).rev().find(|&n| text.ends_with(&needle[..n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "sk-canary-sk-canary-7";

    fn through(frames: &[&[u8]]) -> Vec<u8> {
        let mut redactor = Redactor::new(Secret::new(KEY).as_ref());
        let mut out = Vec::new();
        for frame in frames {
            out.extend_from_slice(&redactor.push(Bytes::copy_from_slice(frame)));
        }
        out.extend_from_slice(&redactor.finish());
        out
    }

    #[test]
    fn an_event_is_not_held_back() {
        let mut redactor = Redactor::new(Secret::new(KEY).as_ref());
        assert_eq!(redactor.push(Bytes::from_static(b"data: sk-can\n\n")), "data: sk-can\n\n");
        assert_eq!(redactor.push(Bytes::from_static(b"data: s")), "data: ");
        assert_eq!(redactor.push(Bytes::from_static(b"un\n\n")), "sun\n\n");
    }

    #[test]
    fn what_is_passed_on_says_nothing_of_a_guess() {
        let keys = ["canary-1", "Y2FuYXJ5LTE"].map(|key| Secret::new(key).unwrap());
        let sizes = |frames: &[&'static str]| -> Vec<usize> {
            let mut redactor = Redactor::of(keys.to_vec());
            let mut sizes: Vec<usize> =
                frames.iter().map(|frame| redactor.push(Bytes::from_static(frame.as_bytes())).len()).collect();
            sizes.push(redactor.finish().len());
            sizes
        };
        assert_eq!(sizes(&["AAAAAAAAAAAAc", "d"]), sizes(&["AAAAAAAAAAAAz", "d"]));
        assert_eq!(sizes(&["AAAAAAAAAAAAc", "d"]), [3, 1, 10], "one less than the longest");
        for guess in ["canary-1canary-1", "Y2FuYXJ5LTxxxxxx", "----------canary", "----------------"] {
            assert_eq!(sizes(&["AAAAc", guess, "", "1"]), [0, 11, 0, 1, 10], "{guess}");
        }
    }

    #[test]
    fn a_key_that_is_part_of_another_does_not_hide_it() {
        let keys = ["pass-word", "user:pass-word-1", "d-1x"].map(|key| Secret::new(key).unwrap());
        let text = b"[user:pass-word-1x user:pass-word pass-w";
        for cut in 1..text.len() {
            let mut redactor = Redactor::of(keys.to_vec());
            let mut out = redactor.push(Bytes::copy_from_slice(&text[..cut])).to_vec();
            out.extend_from_slice(&redactor.push(Bytes::copy_from_slice(&text[cut..])));
            out.extend_from_slice(&redactor.finish());
            assert_eq!(String::from_utf8(out).unwrap(), "[xxxxxxxxxxxxxxxxx user:xxxxxxxxx pass-w", "{cut}");
        }
    }

    #[test]
    fn short_keys_are_words() {
        let mut redactor = Redactor::new(Secret::new("none").as_ref());
        assert_eq!(redactor.whole(Bytes::from_static(b"none")), "none");
    }

    proptest! {
        #[test]
        fn whatever_the_cuts_the_key_is_gone_and_the_rest_is_not(
            parts in proptest::collection::vec(prop_oneof![Just(KEY.to_owned()), "[a-ns-]{0,12}"], 1..8),
            cuts in proptest::collection::vec(1_usize..9, 1..60),
        ) {
            let text = parts.concat();
            let mut frames = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (frame, after) = rest.split_at(cut.min(rest.len()));
                frames.push(frame);
                rest = after;
            }
            frames.push(rest);
            let out = through(&frames);
            prop_assert_eq!(out.len(), text.len());
            prop_assert!(find(&out, KEY.as_bytes()).is_none());
            let want = text.replace(KEY, &"x".repeat(KEY.len()));
            prop_assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}
