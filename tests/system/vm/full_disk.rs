//! A host whose disk is full says so, in words a person can act on, and works again once there is room.

use std::{fs, io::Write as _, path::Path, process::Command};

use harness::world::World;

/// Says to this program that it may mount things: it runs in a mount namespace of its own.
const OWN_MOUNTS: &str = "BATON_TEST_OWN_MOUNTS";
/// The host's whole state folder, in MiB: room for one VM and little else.
const STATE_MIB: u64 = 600;
/// What is left when it is full, in MiB: enough for the claims journal, not for a VM.
const LEFT_MIB: u64 = 8;

const PLAN: &str = "version: 1\ntitle: Disk\ntasks:\n  - id: t\n    retries: { max: 0 }\n    run: echo done > done.txt\n    checks: [test -s done.txt]\n";

/// A small file system of its own needs the right to mount it: root has it, everybody else gets it in a user namespace. Either
/// way the mount is gone with the process.
#[test]
fn a_full_disk_fails_the_attempt_as_exhausted_and_room_heals_the_host() {
    if std::env::var_os(OWN_MOUNTS).is_some() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        return runtime.block_on(fill_and_free());
    }
    let namespaces = if rustix::process::getuid().is_root() { "-m" } else { "-rm" };
    let name = "vm::full_disk::a_full_disk_fails_the_attempt_as_exhausted_and_room_heals_the_host";
    let ran = Command::new("unshare")
        .arg(namespaces)
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture"])
        .env(OWN_MOUNTS, "1")
        .status()
        .expect("start unshare, of the package util-linux");
    assert!(ran.success(), "in namespaces of its own: {ran}");
}

async fn fill_and_free() {
    let mut world = World::new("[pool]\nslots = 1\nspares = 0\n");
    let state = world.home().join("state/pool");
    fs::create_dir_all(&state).expect("the state folder");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={STATE_MIB}m"), "tmpfs"])
        .arg(&state)
        .status()
        .expect("start mount");
    assert!(mounted.success(), "mount a small tmpfs: {mounted}");
    world.start().await;

    let filler = state.join("filler");
    fill(&state, &filler);
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let id = world.run(&world.plan("full", PLAN), &folder);
    let task = world.until_task(&id, "t", &["failed", "completed", "unverified"]).await;
    assert_eq!(task["state"], "failed", "{task:#}");
    assert_eq!(task["failure"]["reason"], "host_exhausted", "{task:#}");
    let detail = task["failure"]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("MiB left"), "what to do about it: {detail}");

    fs::remove_file(&filler).expect("make room");
    world.until_ready().await;
    let id = world.run(&world.plan("free", PLAN), &folder);
    let project = world.until_state(&id, &["completed", "failed"]).await;
    assert_eq!(project["state"], "completed", "{project:#}");
    world.down().await;
}

/// Writes `filler` until the file system has [`LEFT_MIB`] left.
fn fill(state: &Path, filler: &Path) {
    let mut file = fs::File::create(filler).expect("a file");
    let mebibyte = vec![0x5a; 1 << 20];
    loop {
        let disk = rustix::fs::statvfs(state).expect("ask the file system");
        if (disk.f_bavail * disk.f_frsize) >> 20 <= LEFT_MIB {
            return;
        }
        file.write_all(&mebibyte).expect("fill the disk");
    }
}
