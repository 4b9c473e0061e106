//! Mail: what people write, understood. Pure: no clock, no file, no network.

pub mod letter;
pub mod reply;
pub mod token;
