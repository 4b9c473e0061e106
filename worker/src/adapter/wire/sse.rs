//! Server-sent events, from bytes in any pieces.

use crate::agent::Failure;

/// The longest event, in bytes.
const EVENT_BYTES: usize = 16 * 1024 * 1024;

/// Puts events together.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// A line that has not ended yet.
    line: Vec<u8>,
    data: String,
    has_data: bool,
}

impl Decoder {
    /// Takes bytes; returns the data of the events that they complete.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> Result<Vec<String>, Failure> {
        let mut events = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.line(&line, &mut events);
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() + self.data.len() > EVENT_BYTES {
            return Err(Failure::Server { detail: format!("an event of more than {EVENT_BYTES} bytes") });
        }
        Ok(events)
    }

    fn line(&mut self, line: &[u8], events: &mut Vec<String>) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                events.push(std::mem::take(&mut self.data));
            }
            return;
        }
        // Every event says in its data what it is; its name, its id and comments are not needed.
        if let Some(data) = line.strip_prefix(b"data:") {
            if std::mem::replace(&mut self.has_data, true) {
                self.data.push('\n');
            }
            self.data.push_str(&String::from_utf8_lossy(data.strip_prefix(b" ").unwrap_or(data)));
        }
    }

    #[cfg(test)]
    pub(crate) fn is_untouched(&self) -> bool {
        self.line.is_empty() && !self.has_data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_however_the_bytes_were_cut() {
        let stream = ": hello\r\nevent: x\r\ndata: {\"a\":\r\ndata: \"ä\"}\r\n\r\nid: 7\n\ndata:[DONE]\n\n".as_bytes();
        for size in 1..stream.len() {
            let mut decoder = Decoder::default();
            let events: Vec<String> = stream.chunks(size).flat_map(|piece| decoder.take(piece).unwrap()).collect();
            assert_eq!(events, ["{\"a\":\n\"ä\"}", "[DONE]"], "pieces of {size}");
            assert!(decoder.is_untouched());
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut decoder = Decoder::default();
        let piece = vec![b'x'; 1024 * 1024];
        assert!((0..20).any(|_| decoder.take(&piece).is_err()));
    }
}
