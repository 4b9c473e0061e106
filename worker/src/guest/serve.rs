//! The serving worker's process: both ports, then the driver.

use anyhow::Context as _;
use bus_schemas::v1::guest::{CONTROL_PORT, DATA_PORT};

use super::{init, machine::GuestMachine, ports::open_port};

/// Serves the host until it hangs up.
///
/// # Errors
/// When a port cannot be opened or the driver fails.
pub async fn serve_host() -> anyhow::Result<()> {
    init::spare_from_memory_shortage()?;
    // A session of its own has no terminal, and so has none that programs could take. It fails where that is so already.
    let _ = rustix::process::setsid();
    // Both before the driver starts: the host speaks on the data port as soon as it got a hello.
    let data = open_port(DATA_PORT)?;
    let control = open_port(CONTROL_PORT)?;
    crate::driver::serve(control, data, GuestMachine::default()).await.context("serve the host")
}
