//! [`Hypervisor`] over QEMU.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bus_schemas::v1::{handoff::Isolation, task::Machine};

use super::{
    command::{self, Engine, Parts},
    folder::{self, RunFolder},
    probe, process,
    qmp::Qmp,
    vm::{self, QemuVm},
};
use crate::{
    adapter::image::{ImageError, ImageFolder, compose_initramfs, copy_sparse, scratch_template},
    port::{Accelerator, Channels, Hypervisor, StartError},
};

/// The least memory the guest's kernel and worker can live in, in MiB.
const MIN_MEMORY_MIB: u32 = 128;

/// Where things are.
#[derive(Clone, Debug)]
pub struct QemuOptions {
    /// The QEMU program; a bare name is looked up in `PATH`.
    pub qemu: PathBuf,
    /// The folder of image folders, as `deploy/vm/build-base.sh` fills it (`$XDG_CACHE_HOME/baton/images`).
    pub images_dir: PathBuf,
    /// For what can be made or found out again: initramfs, formatted disks, the accelerator.
    pub cache_dir: PathBuf,
    /// For run folders. Best on the same file system as `cache_dir`, so that disks can be cloned.
    pub run_dir: PathBuf,
    /// The static `baton-worker`.
    pub worker_binary: PathBuf,
    /// The flavour that the accelerators are tried with. It must be built; others are looked for when they are asked for.
    pub image: String,
}

impl QemuOptions {
    /// The usual layout: images and caches in `cache_dir`, run folders in `state_dir`, `qemu-system-x86_64` from
    /// `PATH`, flavour `base`.
    #[must_use]
    pub fn new(cache_dir: &Path, state_dir: &Path, worker_binary: &Path) -> Self {
        Self {
            qemu: "qemu-system-x86_64".into(),
            images_dir: cache_dir.join("images"),
            cache_dir: cache_dir.to_owned(),
            run_dir: state_dir.join("vms"),
            worker_binary: worker_binary.to_owned(),
            image: "base".to_owned(),
        }
    }
}

/// Starts VMs as QEMU processes.
#[derive(Debug)]
pub struct QemuHypervisor {
    launcher: Launcher,
    engine: Engine,
    accelerator: Accelerator,
}

impl QemuHypervisor {
    /// Checks what VMs are made of and finds the strongest accelerator that boots one: some 2 s the first time, more if a stronger one
    /// has to fail first; milliseconds once it is remembered.
    ///
    /// # Errors
    /// [`StartError`]: no image, no static worker, no QEMU, or no accelerator that works; the detail names the way out.
    pub async fn open(options: QemuOptions) -> Result<Self, StartError> {
        let launcher = Launcher { options, tsc_khz: host_tsc_khz(), bootable: Arc::default() };
        // Whatever the probe remembers: a worker or an image that does not fit is told now, not at the first lease.
        let (known, options) = (Arc::clone(&launcher.bootable), launcher.options.clone());
        blocking("prepare a VM", move || {
            bootable(&known, &options, &options.image).map(drop).map_err(|error| image_error(&error))
        })
        .await?;
        let (engine, note) = probe::strongest(&launcher).await?;
        let isolation = if engine == Engine::Tcg { Isolation::Emulated } else { Isolation::Hardware };
        let accelerator = Accelerator { name: engine.name(), note, isolation };
        Ok(Self { launcher, engine, accelerator })
    }
}

impl Hypervisor for QemuHypervisor {
    type Vm = QemuVm;

    fn accelerator(&self) -> &Accelerator {
        &self.accelerator
    }

    async fn start(&self, machine: &Machine) -> Result<(QemuVm, Channels), StartError> {
        self.launcher.launch(self.engine, machine).await
    }

    async fn sweep(&self) -> Result<usize, StartError> {
        let run_dir = self.launcher.options.run_dir.clone();
        blocking("sweep leftover VMs", move || {
            folder::sweep(&run_dir).map_err(|error| file_error("sweep leftover VMs", &error))
        })
        .await
    }
}

/// Starts a VM with a given accelerator.
#[derive(Debug)]
pub(super) struct Launcher {
    pub(super) options: QemuOptions,
    tsc_khz: Option<u64>,
    /// By flavour: looked up and composed once, because reading and hashing them is not free and nothing changes under a
    /// running process.
    bootable: Arc<Mutex<HashMap<String, (ImageFolder, PathBuf)>>>,
}

/// The flavour's image and initramfs.
fn bootable(
    known: &Mutex<HashMap<String, (ImageFolder, PathBuf)>>,
    options: &QemuOptions,
    flavour: &str,
) -> Result<(ImageFolder, PathBuf), ImageError> {
    let known_one = known.lock().ok().and_then(|known| known.get(flavour).cloned());
    // Caches may be emptied at any time.
    if let Some(found) = known_one.filter(|(image, initramfs)| initramfs.exists() && image.kernel().exists()) {
        return Ok(found);
    }
    let image = ImageFolder::find(&options.images_dir, flavour)?;
    let initramfs = compose_initramfs(&options.cache_dir, &image, &options.worker_binary)?;
    if let Ok(mut known) = known.lock() {
        known.insert(flavour.to_owned(), (image.clone(), initramfs.clone()));
    }
    Ok((image, initramfs))
}

impl Launcher {
    pub(super) async fn launch(&self, engine: Engine, machine: &Machine) -> Result<(QemuVm, Channels), StartError> {
        let (folder, parts) = self.prepare(engine, machine).await?;
        let arguments = command::arguments(&parts);
        let started = process::start(&self.options.qemu, arguments, &folder.log())
            .await
            .map_err(|error| file_error("start QEMU", &error))?;
        let qmp = match Qmp::connect(started.qmp).await {
            Ok(qmp) => qmp,
            Err(error) => return Err(dead_on_arrival(started.child, &folder, &error.to_string()).await),
        };
        let channels = Channels { control: started.control, data: started.data };
        Ok((QemuVm::new(started.child, qmp, folder), channels))
    }

    /// Everything that touches the disk, away from the runtime's threads.
    async fn prepare(&self, engine: Engine, machine: &Machine) -> Result<(RunFolder, Parts), StartError> {
        let (options, machine, tsc_khz) = (self.options.clone(), machine.clone(), self.tsc_khz);
        let known = Arc::clone(&self.bootable);
        blocking("prepare a VM", move || {
            let (image, initramfs) = bootable(&known, &options, &machine.image).map_err(|error| image_error(&error))?;
            let template =
                scratch_template(&options.cache_dir, machine.disk_mib).map_err(|error| image_error(&error))?;
            let folder =
                RunFolder::create(&options.run_dir).map_err(|error| file_error("create a VM's run folder", &error))?;
            folder.check_room(machine.disk_mib).map_err(|error| file_error("create a VM's scratch disk", &error))?;
            copy_sparse(&template, &folder.scratch()).map_err(|error| image_error(&error))?;
            let parts = Parts {
                engine,
                name: folder.name(),
                cpus: machine.cpus,
                memory_mib: machine.memory_mib.max(MIN_MEMORY_MIB),
                kernel: image.kernel(),
                initramfs,
                base: image.root(),
                scratch: folder.scratch(),
                tsc_khz,
            };
            Ok((folder, parts))
        })
        .await
    }
}

/// QEMU ended before it said a word: its standard error says why.
async fn dead_on_arrival(mut child: tokio::process::Child, folder: &RunFolder, error: &str) -> StartError {
    let _ = child.kill().await;
    let said = vm::log_tail(folder);
    let exhausted = said.contains("Cannot allocate memory") || said.contains("cannot set up guest memory");
    let missing = said.contains("setpriv") && said.contains("No such file");
    let way_out = if missing { "; install it (apt-get install qemu-system-x86)" } else { "" };
    let detail = if said.is_empty() { error.to_owned() } else { format!("{error}: {said}{way_out}") };
    StartError { operation: "start QEMU", detail, exhausted }
}

async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StartError { operation, detail: error.to_string(), exhausted: false }),
    }
}

pub(super) fn file_error(operation: &'static str, error: &io::Error) -> StartError {
    let exhausted =
        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::OutOfMemory);
    StartError { operation, detail: error.to_string(), exhausted }
}

pub(super) fn image_error(error: &ImageError) -> StartError {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    StartError { operation: "prepare a VM", detail: format!("{error}{cause}"), exhausted: error.disk_full() }
}

fn host_tsc_khz() -> Option<u64> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let base = std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/base_frequency").ok();
    command::tsc_khz(&cpuinfo, base.and_then(|khz| khz.trim().parse().ok()))
}
