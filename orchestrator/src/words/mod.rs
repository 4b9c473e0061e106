//! Words for people, whichever channel they read on: figures, names of things, a plan as a drawing, what follows from a decision,
//! all that a request's card says; and what must not be shown. Pure: a channel adds its own markup.

pub mod card;
pub mod draft;
pub mod effect;
pub mod figures;
pub mod follow;
pub mod graph;
pub mod names;
#[cfg(test)]
pub(crate) mod samples;
pub mod secrets;
