//! The HTTP+JSON API of `baton serve`: the server side (routes over a [`crate::port::Service`]) and its first client.
//!
//! [`bus_schemas::v1::api`] is the API as data; nothing here adds a field to it.

mod client;
mod event_stream;
mod extract;
mod guard;
mod ledger;
mod mail;
mod peer;
mod probe;
mod problem;
mod router;
mod server;

pub(in crate::adapter) use client::http;
pub use client::{Client, ClientError, Endpoint, Items};
pub use peer::login;
pub use probe::get_status;
pub(in crate::adapter) use probe::root;
pub use problem::problem;
pub use router::router;
pub use server::{Listeners, ServerError, serve};
