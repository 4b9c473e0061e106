//! Framing of the guest channel's control port: a four-byte big-endian length, then that many bytes of JSON.
//!
//! The codec is sans-IO: feed bytes in with [`Decoder::push`], take frames out with [`Decoder::next_frame`].

use std::fmt;

/// The largest frame either side accepts, in bytes. Bulk travels over the data port.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// A frame announced itself as longer than [`MAX_FRAME_BYTES`]: the peer is broken or hostile, the channel is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTooLong {
    /// The announced length in bytes.
    pub bytes: usize,
}

impl fmt::Display for FrameTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame of {} bytes is over the limit of {MAX_FRAME_BYTES}", self.bytes)
    }
}

impl std::error::Error for FrameTooLong {}

/// Puts the length in front of `body`.
///
/// # Errors
/// [`FrameTooLong`] if `body` is over the limit.
pub fn encode(body: &[u8]) -> Result<Vec<u8>, FrameTooLong> {
    let length = match u32::try_from(body.len()) {
        Ok(length) if body.len() <= MAX_FRAME_BYTES => length,
        _ => return Err(FrameTooLong { bytes: body.len() }),
    };
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(body);
    Ok(frame)
}

/// Cuts a stream of bytes into frames.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
}

impl Decoder {
    /// Adds bytes as they came from the port.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame's body, or `None` until more bytes come.
    ///
    /// # Errors
    /// [`FrameTooLong`] as soon as the announced length is known; the decoder is of no use afterwards.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, FrameTooLong> {
        let Some(head) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let bytes = u32::from_be_bytes(*head) as usize;
        if bytes > MAX_FRAME_BYTES {
            return Err(FrameTooLong { bytes });
        }
        if self.buffer.len() < 4 + bytes {
            return Ok(None);
        }
        let body = self.buffer[4..4 + bytes].to_vec();
        self.buffer.drain(..4 + bytes);
        Ok(Some(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let mut stream = encode(b"one").unwrap_or_default();
        stream.extend(encode(b"").unwrap_or_default());
        stream.extend(encode(b"three").unwrap_or_default());
        let mut decoder = Decoder::default();
        let mut seen = Vec::new();
        for byte in stream {
            decoder.push(&[byte]);
            while let Ok(Some(frame)) = decoder.next_frame() {
                seen.push(frame);
            }
        }
        assert_eq!(seen, [b"one".to_vec(), b"".to_vec(), b"three".to_vec()]);
    }

    #[test]
    fn an_announced_length_over_the_limit_is_refused_at_once() {
        let mut decoder = Decoder::default();
        decoder.push(&u32::MAX.to_be_bytes());
        assert_eq!(decoder.next_frame(), Err(FrameTooLong { bytes: u32::MAX as usize }));
    }
}
