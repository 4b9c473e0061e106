//! A process that owns a VM and waits to be killed: `owner STATE CACHE WORKER`. The system test
//! `a_vm_dies_with_its_owner_and_its_folder_is_swept` starts and kills it.
#![expect(clippy::print_stdout, reason = "the other process waits for it")]

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bus_schemas::v1::task::Machine;
use vm_pool::{
    adapter::qemu::{QemuHypervisor, QemuOptions},
    port::Hypervisor as _,
};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let mut next = |what: &'static str| arguments.next().context(what);
    let (state, cache, worker) = (next("a state folder")?, next("a cache folder")?, next("a worker")?);
    let hypervisor = QemuHypervisor::open(QemuOptions::new(&cache, &state, &worker)).await?;
    let machine = Machine { cpus: 1, memory_mib: 320, disk_mib: 256, image: "base".into() };
    let (_vm, _channels) = hypervisor.start(&machine).await?;
    println!("up");
    std::future::pending().await
}
