//! The proxy between a guest and the outside: HTTP/1.1, `CONNECT host:port` and absolute `http://` URLs. A task's allow-list
//! decides, by default nothing passes; names are resolved here, and what resolves to a private address is refused. Every
//! attempt is recorded with the rule that decided. A plain request to a host of a secret that the task was granted goes on over
//! https with that secret, which the guest never has.

mod access;
mod address;
mod forward;
mod lend;
mod resolve;
mod rules;
mod secrets;
mod serve;
mod splice;
#[cfg(test)]
mod tests;

pub use access::EgressAccess;
pub use rules::Rules;
pub use secrets::Secrets;
pub use serve::serve;
