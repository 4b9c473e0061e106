//! Reading server-sent events (WHATWG HTML, 9.2): bytes in, events out.

use serde::de::DeserializeOwned;

use super::ClientError;

/// One event is one JSON object; the largest is a log chunk or a batch of task views.
const MAX_EVENT_BYTES: usize = 32 * 1024 * 1024;

/// Takes bytes as they come and gives the data of whole events.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    pending: Vec<u8>,
    data: String,
}

impl Decoder {
    /// Adds bytes; returns the data of every event they complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, ClientError> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() + self.data.len() > MAX_EVENT_BYTES {
            return Err(ClientError::Protocol { operation: "read events", detail: "an event is too large".to_owned() });
        }
        let mut events = Vec::new();
        let mut start = 0;
        while let Some(length) = self.pending.get(start..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let line = self.pending.get(start..start + length).unwrap_or_default();
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
            start += length + 1;
            if line.is_empty() {
                if !self.data.is_empty() {
                    events.push(std::mem::take(&mut self.data));
                }
            } else if let Some(data) = line.strip_prefix("data:") {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            }
            // `id`, `event` and comments: the JSON carries its own sequence and kind.
        }
        self.pending.drain(..start);
        Ok(events)
    }
}

/// The event's JSON as a value.
pub(super) fn decode<T: DeserializeOwned>(data: &str) -> Result<T, ClientError> {
    serde_json::from_str(data)
        .map_err(|error| ClientError::Protocol { operation: "read events", detail: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_any_split() -> Result<(), ClientError> {
        let text = ": hello\n\nid: 1\r\nevent: a\r\ndata: {\"a\":\r\ndata: \"ü\"}\r\n\r\ndata:x\n\n:\n\n";
        for size in 1..text.len() {
            let mut decoder = Decoder::default();
            let mut events = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                events.extend(decoder.push(chunk)?);
            }
            assert_eq!(events, ["{\"a\":\n\"ü\"}", "x"], "in pieces of {size}");
        }
        Ok(())
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut decoder = Decoder::default();
        let piece = vec![b'x'; 1024 * 1024];
        assert!((0..64).any(|_| decoder.push(&piece).is_err()));
    }
}
