//! NATS: what goes out (`outgoing`), what comes in (`intake`, `beats`), calls of hosts (`calls`), output of attempts (`logs`).

mod beats;
mod calls;
mod intake;
mod link;
mod logs;
mod outgoing;

pub use intake::decode;
pub use link::{Link, connect};
pub use logs::{LogEnd, Logs};
pub use outgoing::NatsBus;
