//! Mail: what people write, understood.

pub mod reply;
