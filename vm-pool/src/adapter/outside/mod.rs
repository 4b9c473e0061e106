//! What guests can reach by way of this host: models, through the [gateway](super::gateway), and hosts on a task's
//! allow-list, through the [proxy](super::egress). Nothing else: a guest has no network card.

mod host;
mod reach;

pub use host::HostOutside;
pub use reach::{Outside, Reach, Visitor};
