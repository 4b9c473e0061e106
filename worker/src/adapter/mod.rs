//! The worker's ways to the outside: the two ports, the tree, the processes, the loopback addresses of the host's services.

pub(crate) mod blocking;
pub(crate) mod calls;
pub(crate) mod changes;
pub(crate) mod checkpoint;
pub(crate) mod console;
pub(crate) mod control;
pub(crate) mod data;
pub(crate) mod environment;
pub(crate) mod exchange;
pub(crate) mod identity;
pub(crate) mod loopback;
pub(crate) mod manifest;
pub(crate) mod model;
pub(crate) mod output;
pub(crate) mod process;
pub(crate) mod restore;
pub(crate) mod skills;
pub(crate) mod unpack;
pub(crate) mod wire;
