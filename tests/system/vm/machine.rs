//! The hypervisor and the guest's PID 1, without the pool around them.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use bus_schemas::v1::{
    guest::{Assignment, Rejuvenate},
    handoff::Isolation,
    task::{CheckSpec, Machine},
};
use harness::{paths, wait::until};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    time::Instant,
};
use vm_pool::{
    adapter::{
        qemu::{QemuHypervisor, QemuOptions, QemuVm},
        session::Session,
    },
    port::{Hypervisor as _, Vm as _},
};

/// Far longer than anything here takes; reaching it is a failure.
const DEADLINE: Duration = Duration::from_secs(120);

fn soon() -> Instant {
    Instant::now() + DEADLINE
}

fn options(state: &Path) -> QemuOptions {
    QemuOptions::new(&paths::cache(), state, &paths::dist().join("baton-worker"))
}

fn small() -> Machine {
    Machine { cpus: 1, memory_mib: 320, disk_mib: 256, image: "base".into() }
}

async fn boot(hypervisor: &QemuHypervisor) -> (QemuVm, Session) {
    let (mut vm, channels) = hypervisor.start(&small()).await.expect("start a VM");
    let session = Session::open(channels);
    let hello = tokio::select! {
        hello = session.hello(soon()) => hello.expect("hello"),
        reason = vm.exited() => panic!("the VM is gone: {reason}"),
    };
    assert!(hello.frozen, "{hello:?}");
    (vm, session)
}

/// An identity whose entropy is the same for every guest: what differs between guests afterwards differs by itself.
fn identity(number: u32) -> Rejuvenate {
    Rejuvenate {
        entropy: format!("{}==", "A".repeat(86)),
        wall_ns: 1_700_000_000_000_000_000,
        hostname: format!("guest-{number}"),
        machine_id: format!("{number:032x}"),
        lease_token: format!("lease-{number}"),
    }
}

/// Runs one command line in a rejuvenated guest with an empty tree; what it printed.
async fn ask(session: &Session, run: &str) -> String {
    session.push_workspace(std::io::Cursor::new(vec![0; 1024]), soon()).await.expect("push an empty tree");
    let check = CheckSpec { name: "ask".into(), run: run.into(), timeout_ms: 60_000 };
    let checks = Assignment::Checks { checks: vec![check], env: [].into(), output_bytes: 65_536 };
    session.assign(checks).await.expect("assign");
    let results = session.checks_finished(1, soon()).await.expect("finish");
    assert_eq!(results[0].exit_code, Some(0), "{results:?}");
    results[0].output_tail.clone()
}

/// Whether a process has a file of `folder` on its command line.
fn in_use(folder: &Path) -> bool {
    let needle = folder.display().to_string();
    std::fs::read_dir("/proc").expect("/proc").flatten().any(|entry| {
        entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit())
            && std::fs::read(entry.path().join("cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&needle))
    })
}

fn run_folders(state: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(state.join("vms")).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[tokio::test]
async fn two_guests_are_two_machines() {
    let state = tempfile::tempdir().expect("a folder");
    let mut options = options(state.path());
    // A cache of its own, so that the accelerators are tried now and not remembered from an earlier test.
    options.cache_dir = state.path().join("cache");
    let hypervisor = QemuHypervisor::open(options).await.expect("open the hypervisor");
    let accelerator = hypervisor.accelerator();
    match accelerator.name {
        "kvm" => assert_eq!((accelerator.isolation, accelerator.note.as_str()), (Isolation::Hardware, "")),
        "tcg" => {
            assert_eq!(accelerator.isolation, Isolation::Emulated);
            assert!(accelerator.note.contains("kvm: "), "why not kvm? {}", accelerator.note);
        }
        other => panic!("{other} on Linux"),
    }
    assert!(run_folders(state.path()).is_empty(), "the probe left something");

    let ((first_vm, first), (second_vm, second)) = tokio::join!(boot(&hypervisor), boot(&hypervisor));
    first.rejuvenate(&identity(1), soon()).await.expect("rejuvenate the first");
    second.rejuvenate(&identity(2), soon()).await.expect("rejuvenate the second");
    let question = "cat /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | od -An -tx1; \
                    hostname; cat /etc/machine-id; date +%Y; id -u; ls /sys/class/net";
    let (one, two) = tokio::join!(ask(&first, question), ask(&second, question));
    let (one, two): (Vec<_>, Vec<_>) = (one.lines().collect(), two.lines().collect());
    assert_eq!((one.len(), two.len()), (7, 7), "{one:?} {two:?}");
    assert_ne!(one[0], two[0], "boot ids");
    assert_ne!(one[1], two[1], "random bytes");
    assert_eq!((one[2], two[2]), ("guest-1", "guest-2"));
    assert_eq!((one[3], two[3]), (identity(1).machine_id.as_str(), identity(2).machine_id.as_str()));
    assert_eq!(one[4..], ["2023", "1000", "lo"], "clock, user, network");

    // A second lease's identity replaces the first one's.
    first.rejuvenate(&identity(3), soon()).await.expect("rejuvenate again");
    let again = ask(&first, question).await;
    let again: Vec<_> = again.lines().collect();
    assert_ne!(again[0], one[0], "boot ids");
    assert_eq!(again[2], "guest-3");

    first_vm.kill().await;
    drop(second_vm);
    assert!(run_folders(state.path()).is_empty(), "a VM left something");
}

#[tokio::test]
async fn a_vm_pauses_resumes_and_says_why_it_ended() {
    let state = tempfile::tempdir().expect("a folder");
    let hypervisor = QemuHypervisor::open(options(state.path())).await.expect("open the hypervisor");
    let (mut vm, session) = boot(&hypervisor).await;
    vm.pause().await.expect("pause");
    let silent = session.ping(Instant::now() + Duration::from_millis(500)).await;
    assert!(silent.is_err(), "a paused guest answered");
    vm.resume().await.expect("resume");
    session.ping(soon()).await.expect("an answer after resume");

    // The host hangs up: the worker ends, PID 1 powers off, and the VM says so.
    drop(session);
    let reason = tokio::time::timeout(DEADLINE, vm.exited()).await.expect("the guest powers off");
    assert!(reason.contains("powered off"), "{reason}");
    vm.kill().await;
    assert!(run_folders(state.path()).is_empty());
}

#[tokio::test]
async fn a_vm_dies_with_its_owner_and_its_folder_is_swept() {
    let state = tempfile::tempdir().expect("a folder");
    let mut owner = tokio::process::Command::new(env!("CARGO_BIN_EXE_owner"))
        .arg(state.path())
        .arg(paths::cache())
        .arg(paths::dist().join("baton-worker"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("start the owner");
    let mut lines = BufReader::new(owner.stdout.take().expect("its output")).lines();
    while lines.next_line().await.expect("the owner's output").expect("the owner ended") != "up" {}
    let folders = run_folders(state.path());
    assert_eq!(folders.len(), 1);
    assert!(in_use(&folders[0]));

    let hypervisor = QemuHypervisor::open(options(state.path())).await.expect("open the hypervisor");
    assert_eq!(hypervisor.sweep().await.expect("sweep"), 0, "the owner lives");

    owner.start_kill().expect("kill -9");
    owner.wait().await.expect("reap the owner");
    until("the VM to die", DEADLINE, || async { (!in_use(&folders[0])).then_some(()) }).await;
    assert_eq!(hypervisor.sweep().await.expect("sweep"), 1);
    assert!(run_folders(state.path()).is_empty());
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let state = tempfile::tempdir().expect("a folder");
    let refused = |change: &dyn Fn(&mut QemuOptions)| {
        let mut options = options(state.path());
        change(&mut options);
        async { QemuHypervisor::open(options).await.expect_err("it cannot open").to_string() }
    };
    let error = refused(&|options| options.qemu = "/nonexistent/qemu".into()).await;
    assert!(error.contains("qemu-system-x86"), "{error}");
    let error = refused(&|options| options.images_dir = state.path().to_owned()).await;
    assert!(error.contains("cargo xtask image"), "{error}");
    let error = refused(&|options| options.worker_binary = "/bin/sh".into()).await;
    assert!(error.contains("dynamically linked") && error.contains("cargo xtask build"), "{error}");
}
