//! What goes out: who is to hear of what, written down whole, then sent until it is there.
//!
//! [`follow`] reads the feed of all projects and marks what changed; [`requests`] and [`projects`] look at what is *now* and say
//! what was not said yet: every mail has a name, and one of a name goes to one address once. So an event that is seen twice, or
//! never, does no harm. [`news`] puts together what happened between start and end. [`send`] hands mails on, again after
//! trouble; what no server takes, or comes back, goes to [`fail`], which looks for another way to somebody who may decide.

mod fail;
mod follow;
mod news;
mod people;
mod projects;
mod requests;
mod say;
mod send;
#[cfg(test)]
mod tests;

pub use say::{Recipient, Say};

pub(super) use crate::adapter::mail::mime::Auto;
