//! How ids, words and bodies stand in columns.

use rusqlite::types::Type;
use serde::{Serialize, de::DeserializeOwned};

/// A column that cannot be read as what it should be.
#[derive(Debug)]
struct Unreadable(String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

fn unreadable(index: usize, detail: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(Unreadable(detail)))
}

/// The word of an enum without content, as serde writes it.
pub(super) fn word<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        Ok(other) => Err(rusqlite::Error::ToSqlConversionFailure(Box::new(Unreadable(format!("{other} is no word"))))),
        Err(error) => Err(rusqlite::Error::ToSqlConversionFailure(Box::new(error))),
    }
}

/// A body as JSON.
pub(super) fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

/// Reads a word back.
pub(super) fn get_word<T: DeserializeOwned>(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<T> {
    let text: String = row.get(index)?;
    serde_json::from_value(serde_json::Value::String(text)).map_err(|e| unreadable(index, e.to_string()))
}

/// Reads a word back that may be absent.
pub(super) fn get_word_opt<T: DeserializeOwned>(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(index)?;
    text.map(|text| {
        serde_json::from_value(serde_json::Value::String(text)).map_err(|e| unreadable(index, e.to_string()))
    })
    .transpose()
}

/// Reads a body back.
pub(super) fn get_json<T: DeserializeOwned>(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<T> {
    let text: String = row.get(index)?;
    serde_json::from_str(&text).map_err(|e| unreadable(index, e.to_string()))
}

/// Reads a body back that may be absent.
pub(super) fn get_json_opt<T: DeserializeOwned>(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(index)?;
    text.map(|text| serde_json::from_str(&text).map_err(|e| unreadable(index, e.to_string()))).transpose()
}

/// Reads an id.
pub(super) fn get_id(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<uuid::Uuid> {
    let text: String = row.get(index)?;
    uuid::Uuid::try_parse(&text).map_err(|e| unreadable(index, e.to_string()))
}

/// Reads an id that may be absent.
pub(super) fn get_id_opt(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Option<uuid::Uuid>> {
    let text: Option<String> = row.get(index)?;
    text.map(|text| uuid::Uuid::try_parse(&text).map_err(|e| unreadable(index, e.to_string()))).transpose()
}
