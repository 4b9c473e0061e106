//! What an agent remembers, kept where any host finds it: the transcript in parts, the changed files as a tar, and an
//! object that points to both and is overwritten at every turn. A turn is saved when that object is stored, not before.
//!
//! The transcript only grows. Its parts are merged like the digits of a binary counter: each is at least twice as large
//! as the next, so there are few, and no byte is stored again more often than its part doubled.

mod piece;
mod resume;
mod store;

pub use piece::Piece;
pub use resume::{Resumed, newest, verified};
pub use store::{Bounds, Checkpoints};
