//! The model gateway: the guest's only way to a model. It speaks HTTP/1.1 on any stream, puts the key in, forwards to
//! the provider, counts and prices what comes back, and keeps within the attempt's budget and the provider's limits.
//!
//! | Route | |
//! |---|---|
//! | `POST /v1/messages` | Anthropic Messages |
//! | `POST /v1/chat/completions`, `POST /v1/responses` | OpenAI |
//! | `GET /v1/models` | what this attempt may use |
//! | `GET /v1/responses` | 426: no WebSocket |
//! | anything else | 404 |
//!
//! What goes up is what the guest sent, but for: the value of the JSON member `model` (`provider/name` becomes `name`; no
//! other byte changes), `stream_options.include_usage: true` in a streamed chat completion (else nobody could say what it
//! cost), credentials (the guest's are dropped, the host's put in), `Accept-Encoding` and hop-by-hop headers. What comes
//! down is what the provider sent, frame by frame as it comes, but for hop-by-hop headers, cookies and the key itself,
//! should the provider repeat it. A broken answer is broken here, too; it is never ended as if it were whole.
//!
//! The gateway's own answers have the form of the wire that was asked and a JSON object `baton` with a `code`: `budget`,
//! `stale`, `rate_limited`, `provider_refused` (put into the provider's own body), `model_unknown`, `bad_request`,
//! `server_tools`, `not_reserved`.

mod access;
mod answer;
mod body;
mod brief;
mod forward;
mod headers;
mod provider;
mod redact;
mod request;
mod secret;
mod serve;
mod signals;
#[cfg(test)]
mod tests;
mod usage;

pub use access::{Access, Meter};
pub use provider::{Gateway, GatewayError};
pub(in crate::adapter) use redact::Redactor;
pub use secret::Secret;
