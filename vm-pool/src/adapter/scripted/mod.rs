//! A model server that follows a script: it speaks Anthropic Messages, OpenAI chat completions and OpenAI responses from
//! one file, with faults on demand, and checks the requests it gets. For tests and demos; the format is in
//! `docs/scripted-models.md`.

mod cache;
mod chat;
mod expect;
mod messages;
mod request;
mod responses;
mod script;
mod server;
mod speak;
#[cfg(test)]
mod tests;

pub use expect::Expect;
pub use request::Asked;
pub use script::{Call, Conversation, Fault, Kind, Script, Turn, Usage};
pub use server::{Running, Seen, serve};
