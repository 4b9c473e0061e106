//! Mail: what people write, understood. Pure: no clock, no file, no network.

pub mod allow;
pub mod letter;
pub mod reply;
