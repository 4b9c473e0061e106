//! Plan files: reading, checking and lowering. Nothing here touches the disk: texts come in, findings and specs go out.

pub mod expression;
pub mod lower;
pub mod reference;
mod tree;
