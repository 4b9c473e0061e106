//! The worker's ways to the outside: the two ports, the tree, the processes.

pub(crate) mod blocking;
pub(crate) mod changes;
pub(crate) mod control;
pub(crate) mod data;
pub(crate) mod exchange;
pub(crate) mod identity;
pub(crate) mod manifest;
pub(crate) mod output;
pub(crate) mod process;
pub(crate) mod unpack;
