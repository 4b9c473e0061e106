//! What crosses the bus and the guest channel, as plain data.
//!
//! Four groups of words live here, and nothing else:
//! - [`id`], [`time`], [`json`]: the atoms every message is made of;
//! - [`envelope`], [`subject`], [`stream`]: how a message travels over NATS;
//! - [`v1`]: the messages of protocol version 1, and the framing of the guest channel;
//! - [`settings`], [`secrets`]: the configuration that more than one service reads; [`prices`]: what model calls cost.
//!
//! With `--no-default-features` the crate needs serde and uuid alone. The feature `schema` derives JSON Schemas,
//! the feature `nats` adds [`nats`], the only module of this crate that speaks to a server.
//!
//! # Adding or changing a message
//! 1. Within version 1, a change may only *add*: a new message, or a new field with `#[serde(default)]`.
//! 2. Add or extend the golden file in `tests/golden/v1/`. A released golden file is never edited: it must decode for ever.
//! 3. Run `cargo xtask schemas` so that `docs/schemas/` follows; the test suite fails while it does not.
//! 4. Readers ignore unknown fields and refuse an unknown major version (see [`envelope::Envelope`]).

#[cfg(feature = "nats")]
pub mod nats;

pub mod envelope;
pub mod frame;
pub mod id;
pub mod json;
pub mod prices;
pub mod secrets;
pub mod settings;
pub mod stream;
pub mod subject;
pub mod time;
pub mod v1;
