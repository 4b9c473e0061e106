//! The digest that binds a decision to what was shown: SHA-256 over canonical JSON.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// SHA-256 over `value` as JSON with sorted keys and without blanks, as 64 lower-case hex digits.
///
/// # Errors
/// Those of [`serde_json`], for a value that is not JSON (a map with keys that are not strings).
pub fn of<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let canonical = serde_json::to_vec(&sorted(serde_json::to_value(value)?))?;
    Ok(of_bytes(&canonical))
}

/// SHA-256 over bytes, as `sha256sum` prints it.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Maps sorted by key, all the way down: does not rely on how `serde_json` was built.
fn sorted(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(sorted).collect()),
        scalar => scalar,
    }
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_does_not_matter_and_the_content_does() -> Result<(), serde_json::Error> {
        let one: serde_json::Value = serde_json::from_str(r#"{"b": [1, {"y": 2, "x": 1}], "a": "ä"}"#)?;
        let two: serde_json::Value = serde_json::from_str(r#"{"a":"ä","b":[1,{"x":1,"y":2}]}"#)?;
        assert_eq!(of(&one)?, of(&two)?);
        let other: serde_json::Value = serde_json::from_str(r#"{"a":"ä","b":[1,{"x":1,"y":3}]}"#)?;
        assert_ne!(of(&one)?, of(&other)?);
        assert_eq!(of(&serde_json::json!({}))?, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        Ok(())
    }
}
