//! The command line: a pure function of what the VM is made of.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use bus_schemas::v1::guest::{CONTROL_PORT, DATA_PORT};

/// What the guest may have printed last, in bytes; QEMU keeps it in memory, so a chatty guest fills no disk.
pub(super) const CONSOLE_BYTES: u32 = 64 * 1024;
/// The descriptors that the process inherits (`process.rs` puts them there).
pub(super) const CONTROL_FD: u32 = 3;
pub(super) const DATA_FD: u32 = 4;
pub(super) const QMP_FD: u32 = 5;
/// The console's name in QMP.
pub(super) const CONSOLE: &str = "console";
/// QEMU's cache of translated code, in MiB. Its default grows to 1 GiB; measured with git, python and ripgrep, more than this
/// brings nothing.
const CODE_CACHE_MIB: u32 = 128;

/// How a guest's instructions are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// Linux' hardware virtualisation.
    Kvm,
    /// macOS' hardware virtualisation.
    Hvf,
    /// Emulation.
    Tcg,
}

impl Engine {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Hvf => "hvf",
            Self::Tcg => "tcg",
        }
    }
}

/// What a VM is made of.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub engine: Engine,
    pub name: String,
    pub cpus: u32,
    pub memory_mib: u32,
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
    pub base: PathBuf,
    pub scratch: PathBuf,
    /// What the time stamp counter counts in a millisecond; `None` lets the guest find out.
    pub tsc_khz: Option<u64>,
}

/// The guest kernel's command line.
///
/// `no_timer_check` and `tsc_early_khz` are for emulation: without them a guest on a loaded host hangs while it compares its clocks.
/// `tsc=reliable` gives it the fine clock from the start and for good; else it begins with one of 4 ms, to which it also returns if a
/// loaded host makes the fine one look wrong.
/// No hardware but virtio's is looked for; nothing is printed but warnings. `mitigations=off`: they protect programs in
/// a guest from each other, and here they are one and the same tenant's.
fn kernel_command_line(parts: &Parts) -> String {
    let mut line = String::from(
        "earlyprintk=serial,ttyS0,115200,keep 8250.nr_uarts=0 quiet loglevel=4 panic=-1 printk.devkmsg=on \
         no_timer_check mitigations=off audit=0 lsm= cryptomgr.notests random.trust_cpu=on rcupdate.rcu_expedited=1",
    );
    line.push_str(&format!(" nr_cpus={}", parts.cpus.max(1)));
    if let (Engine::Tcg, Some(khz)) = (parts.engine, parts.tsc_khz) {
        line.push_str(&format!(" tsc_early_khz={khz} tsc=reliable"));
    }
    line
}

/// A block device's backend as JSON, because a path may hold commas, which the short form would need doubled.
fn disk(name: &str, path: &Path, read_only: bool) -> OsString {
    let mut file = serde_json::json!({ "driver": "file", "filename": path.to_string_lossy(), "read-only": read_only });
    if !read_only {
        // The scratch disk ends with the VM: what the guest flushes need not reach the platter, what it frees is given back.
        file["discard"] = "unmap".into();
    }
    let node = serde_json::json!({
        "driver": "raw", "node-name": name, "read-only": read_only, "file": file,
        "discard": "unmap", "cache": { "no-flush": !read_only },
    });
    node.to_string().into()
}

/// QEMU's arguments, without the program's name.
pub(super) fn arguments(parts: &Parts) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    let mut add = |flag: &str, value: OsString| {
        all.push(flag.into());
        all.push(value);
    };
    add("-name", format!("{},debug-threads=on", parts.name).into());
    // The backend has a name so that a template can one day put a file in its place.
    add("-machine", "microvm,acpi=on,rtc=on,memory-backend=mem0".into());
    let (accel, cpu) = match parts.engine {
        Engine::Tcg => (format!("tcg,tb-size={CODE_CACHE_MIB}"), "max"),
        Engine::Kvm | Engine::Hvf => (parts.engine.name().to_owned(), "host"),
    };
    add("-accel", accel.into());
    add("-cpu", cpu.into());
    add("-smp", parts.cpus.max(1).to_string().into());
    add("-m", format!("{}M", parts.memory_mib).into());
    add("-object", format!("memory-backend-ram,id=mem0,size={}M", parts.memory_mib).into());
    add("-kernel", parts.kernel.clone().into());
    add("-initrd", parts.initramfs.clone().into());
    add("-append", kernel_command_line(parts).into());
    add("-chardev", format!("ringbuf,id={CONSOLE},size={CONSOLE_BYTES}").into());
    add("-serial", format!("chardev:{CONSOLE}").into());
    add("-device", "virtio-serial-device,max_ports=3".into());
    for (id, fd, port, number) in [("control", CONTROL_FD, CONTROL_PORT, 1), ("data", DATA_FD, DATA_PORT, 2)] {
        add("-chardev", format!("socket,id={id},fd={fd}").into());
        add("-device", format!("virtserialport,chardev={id},name={port},nr={number}").into());
    }
    add("-object", "rng-builtin,id=rng0".into());
    add("-device", "virtio-rng-device,rng=rng0".into());
    add("-blockdev", disk("base", &parts.base, true));
    add("-device", "virtio-blk-device,drive=base,serial=baton-base".into());
    add("-blockdev", disk("scratch", &parts.scratch, false));
    // `report`: when the host's disk is full the guest gets an error. The default would stop the VM, which looks like a hang.
    add("-device", "virtio-blk-device,drive=scratch,serial=baton-scratch,werror=report,rerror=report".into());
    add("-chardev", format!("socket,id=qmp,fd={QMP_FD}").into());
    add("-mon", "chardev=qmp,mode=control".into());
    // A guest that ends leaves the process paused until its console was read.
    add("-action", "reboot=shutdown,shutdown=pause,panic=pause".into());
    add("-display", "none".into());
    add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny".into());
    all.push("-nodefaults".into());
    all.push("-no-user-config".into());
    all
}

/// What the host's time stamp counter counts in a millisecond, from `/proc/cpuinfo` and, where there is one, the
/// processor's base frequency in kHz. In a VM the "cpu MHz" is the counter's own rate; on bare metal it wanders, and the base
/// frequency or the rate in the model's name is what the counter runs at.
pub(super) fn tsc_khz(cpuinfo: &str, base_khz: Option<u64>) -> Option<u64> {
    let field = |name: &str| {
        cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim())
        })
    };
    let virtual_machine = field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    let current = || field("cpu MHz").and_then(|mhz| decimal(mhz, 3));
    let named = || field("model name")?.rsplit_once("@ ")?.1.strip_suffix("GHz").and_then(|ghz| decimal(ghz, 6));
    if virtual_machine { current() } else { base_khz.or_else(named).or_else(current) }
}

/// `12.345` times ten to the `digits`, without floating point.
fn decimal(text: &str, digits: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut fraction: String = fraction.chars().take(digits).collect();
    while fraction.len() < digits {
        fraction.push('0');
    }
    format!("{whole}{fraction}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(engine: Engine) -> Parts {
        Parts {
            engine,
            name: "vm-1".into(),
            cpus: 2,
            memory_mib: 512,
            kernel: "/images/vmlinux".into(),
            initramfs: "/cache/i.cpio".into(),
            base: "/images/rootfs.erofs".into(),
            scratch: "/run/a,b/scratch.ext4".into(),
            tsc_khz: Some(2_600_000),
        }
    }

    fn text(parts: &Parts) -> String {
        arguments(parts).iter().map(|argument| argument.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_vm_has_no_network_and_no_way_to_start_programs() {
        for engine in [Engine::Kvm, Engine::Hvf, Engine::Tcg] {
            let line = text(&parts(engine));
            for forbidden in ["netdev", "-nic", "-net ", "hostfwd", "virtfs", "fsdev", "-bios"] {
                assert!(!line.contains(forbidden), "{forbidden} in {line}");
            }
            for wanted in ["-nodefaults", "-no-user-config", "spawn=deny", "elevateprivileges=deny"] {
                assert!(line.contains(wanted), "{wanted} not in {line}");
            }
        }
    }

    #[test]
    fn emulation_gets_the_clock_and_a_bounded_code_cache() {
        let emulated = text(&parts(Engine::Tcg));
        assert!(emulated.contains("tsc_early_khz=2600000") && emulated.contains("no_timer_check"));
        assert!(emulated.contains("tcg,tb-size=128") && emulated.contains("-cpu max"));
        let hardware = text(&parts(Engine::Kvm));
        assert!(
            !hardware.contains("tsc_early_khz") && hardware.contains("-accel kvm") && hardware.contains("-cpu host")
        );
    }

    #[test]
    fn the_base_is_read_only_and_paths_may_hold_commas() {
        let arguments = arguments(&parts(Engine::Tcg));
        let disks: Vec<serde_json::Value> = arguments
            .windows(2)
            .filter(|pair| pair[0] == "-blockdev")
            .filter_map(|pair| serde_json::from_str(&pair[1].to_string_lossy()).ok())
            .collect();
        assert_eq!(disks.len(), 2);
        assert_eq!((&disks[0]["node-name"], &disks[0]["read-only"]), (&"base".into(), &true.into()));
        assert_eq!((&disks[1]["node-name"], &disks[1]["read-only"]), (&"scratch".into(), &false.into()));
        assert_eq!(disks[1]["file"]["filename"], "/run/a,b/scratch.ext4");
    }

    #[test]
    fn the_counters_rate_is_read_where_it_is_true() {
        let machine = "model name\t: AMD EPYC\ncpu MHz\t\t: 2599.998\nflags\t\t: fpu tsc hypervisor lm\n";
        assert_eq!(tsc_khz(machine, Some(1_000_000)), Some(2_599_998));
        let metal = "model name\t: Intel(R) Xeon(R) CPU @ 2.20GHz\ncpu MHz\t\t: 3100.500\nflags\t\t: fpu tsc lm\n";
        assert_eq!(tsc_khz(metal, None), Some(2_200_000));
        assert_eq!(tsc_khz(metal, Some(2_100_000)), Some(2_100_000));
        let bare = "model name\t: AMD Ryzen 9\ncpu MHz\t\t: 3100.500\nflags\t\t: fpu tsc lm\n";
        assert_eq!(tsc_khz(bare, None), Some(3_100_500));
        assert_eq!(tsc_khz("", None), None);
    }
}
