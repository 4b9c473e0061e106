//! The key does not go down to the guest, even if the provider repeats it.

use bytes::{Bytes, BytesMut};

use super::secret::Secret;

/// Shorter keys are words like `none` or `dummy`; to black them out would harm honest text.
const SHORTEST: usize = 12;

/// Replaces the key in a stream, across its frames, by as many `x`.
#[derive(Debug)]
pub(super) struct Redactor {
    key: Option<Secret>,
    /// The end of the last frame, if the key could go on from there.
    held: BytesMut,
}

impl Redactor {
    pub(super) fn new(key: Option<&Secret>) -> Self {
        let key = key.filter(|key| key.needle().len() >= SHORTEST).cloned();
        Self { key, held: BytesMut::new() }
    }

    /// Takes a frame in; gives what can be passed on now (perhaps nothing).
    pub(super) fn push(&mut self, frame: Bytes) -> Bytes {
        let Some(key) = &self.key else { return frame };
        let needle = key.needle();
        if self.held.is_empty() && !has_any(&frame, needle) {
            return frame;
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(&frame);
        black_out(&mut all, needle);
        let keep = overlap(&all, needle);
        self.held = all.split_off(all.len() - keep);
        all.freeze()
    }

    /// What was held back at the end.
    pub(super) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held).freeze()
    }

    /// A whole text.
    pub(super) fn whole(&mut self, text: Bytes) -> Bytes {
        let mut out = BytesMut::from(self.push(text).as_ref());
        out.extend_from_slice(&self.finish());
        out.freeze()
    }
}

/// Whether the needle, or the beginning of it at the very end, is in `text`.
fn has_any(text: &[u8], needle: &[u8]) -> bool {
    overlap(text, needle) > 0 || find(text, needle).is_some()
}

fn black_out(text: &mut [u8], needle: &[u8]) {
    let mut from = 0;
    while let Some(at) = find(&text[from..], needle) {
        text[from + at..from + at + needle.len()].fill(b'x');
        from += at + needle.len();
    }
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
