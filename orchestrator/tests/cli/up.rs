//! The supervisor: children come back, and go with it.

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use orchestrator::{
    adapter::web::get_status,
    config::{self, Config},
    paths::{Env, Paths, private_dir},
    supervise::{
        Event, Happening, Lock, Roster, Spec, Supervisor, end_leftovers, find, holder, prepare, roster_path, tail,
    },
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{sync::mpsc, time::timeout};

use crate::world::{PATIENCE, World, until, write};

fn paths(world: &World) -> Paths {
    let mut env: Env = std::env::vars_os().collect();
    env.insert("BATON_HOME".into(), world.dir.path().into());
    let paths = Paths::from_env(&env).unwrap();
    for dir in [&paths.state_dir, &paths.runtime_dir, &paths.log_dir()] {
        private_dir(dir).unwrap();
    }
    paths
}

fn script(name: &'static str, text: &str) -> Spec {
    let args = vec!["-c".into(), text.into()];
    Spec {
        name,
        program: "/bin/sh".into(),
        args,
        grace: Duration::from_secs(10),
        health_url: None,
        env: &[],
        withheld: Vec::new(),
    }
}

async fn next(events: &mut mpsc::Receiver<Event>) -> Event {
    timeout(PATIENCE, events.recv()).await.unwrap().unwrap()
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn pid_of(events: &mut mpsc::Receiver<Event>, wanted: &str) -> u32 {
    loop {
        let event = next(events).await;
        if let (true, Happening::Started { pid }) = (event.name == wanted, event.what) {
            return pid;
        }
    }
}

#[tokio::test]
async fn what_is_withheld_is_not_in_a_childs_environment() {
    let world = World::bare();
    let paths = paths(&world);
    let (mut supervisor, mut events) = Supervisor::new(&paths, env!("CARGO_BIN_EXE_baton").into());
    let told = "echo \"${CARGO_PKG_NAME-nothing} ${CARGO_MANIFEST_DIR-nothing}\"; exec sleep 600";
    let child = Spec { withheld: vec!["CARGO_PKG_NAME".into()], ..script("quiet", told) };
    supervisor.start(child);
    let _ = pid_of(&mut events, "quiet").await;
    let log = paths.log_dir().join("quiet.log");
    until("it says what it knows", || !tail(&log, 9).is_empty()).await;
    assert_eq!(tail(&log, 9), [format!("nothing {}", env!("CARGO_MANIFEST_DIR"))]);
    supervisor.stop().await;
}

#[tokio::test]
async fn a_killed_child_comes_back_and_stopping_goes_backwards() {
    let world = World::bare();
    let paths = paths(&world);
    let (mut supervisor, mut events) = Supervisor::new(&paths, env!("CARGO_BIN_EXE_baton").into());
    supervisor.start(script("first", "echo hello; exec sleep 600"));
    supervisor.start(script("second", "exec sleep 600"));
    let first = pid_of(&mut events, "first").await;
    let _ = pid_of(&mut events, "second").await;
    let log = paths.log_dir().join("first.log");
    until("its output is in the log", || tail(&log, 9) == ["hello"]).await;
    signal(first, Signal::KILL);
    let ended = next(&mut events).await;
    assert!(matches!(&ended.what, Happening::Ended { how, .. } if how.contains("signal: 9")), "{ended:?}");
    let again = pid_of(&mut events, "first").await;
    assert_ne!(again, first);
    assert_eq!(Roster::read(&roster_path(&paths))["first"].restarts, 1);
    until("its output follows in the log", || tail(&log, 9) == ["hello", "hello"]).await;
    supervisor.stop().await;
    assert!(!alive(again));
    assert_eq!([next(&mut events).await.name, next(&mut events).await.name], ["second", "first"]);
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_killed() {
    let world = World::bare();
    let (mut supervisor, mut events) = Supervisor::new(&paths(&world), env!("CARGO_BIN_EXE_baton").into());
    let mut stubborn = script("stubborn", "trap '' TERM; while :; do sleep 600; done");
    stubborn.grace = Duration::from_millis(200);
    supervisor.start(stubborn);
    let pid = pid_of(&mut events, "stubborn").await;
    timeout(PATIENCE, supervisor.stop()).await.unwrap();
    assert!(!alive(pid));
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_tried_again_and_said() {
    let world = World::bare();
    let paths = paths(&world);
    let (mut supervisor, mut events) = Supervisor::new(&paths, env!("CARGO_BIN_EXE_baton").into());
    supervisor.start(Spec { program: "/nothing/here".into(), ..script("absent", "") });
    let _ = pid_of(&mut events, "absent").await;
    let _ = pid_of(&mut events, "absent").await;
    let log = tail(&paths.log_dir().join("absent.log"), 9).join("\n");
    assert!(log.contains("run /nothing/here"), "{log}");
    supervisor.stop().await;
}

#[tokio::test]
async fn leftovers_are_ended_but_never_a_stranger() {
    let world = World::bare();
    let paths = paths(&world);
    let sleep = || std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let (mut left, mut stranger) = (sleep(), sleep());
    let started = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse::<u64>().unwrap()
    };
    let roster = serde_json::json!({
        "left": { "pid": left.id(), "started": started(left.id()), "restarts": 0, "last_end": null },
        // The same process id, but the process of the roster was started at another time.
        "reused": { "pid": stranger.id(), "started": started(stranger.id()) + 1, "restarts": 0, "last_end": null },
    });
    write(&roster_path(&paths), &roster.to_string());
    assert_eq!(timeout(PATIENCE, end_leftovers(&paths)).await.unwrap(), ["left"]);
    assert!(!left.wait().unwrap().success());
    assert!(alive(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(end_leftovers(&paths).await.is_empty());
}

#[tokio::test]
async fn one_supervisor_at_a_time() {
    let world = World::bare();
    let paths = paths(&world);
    assert_eq!(holder(&paths), None);
    let lock = Lock::take(&paths).unwrap().unwrap();
    assert_eq!(holder(&paths), Some(std::process::id()));
    assert!(Lock::take(&paths).unwrap().is_none());
    let ran = world.baton(&["up"]).await.expect(0);
    assert!(ran.err.contains("already running"), "{ran:?}");
    drop(lock);
    assert_eq!(holder(&paths), None);
    assert!(world.baton(&["down"]).await.expect(0).err.contains("nothing was running"));
}

#[tokio::test]
async fn up_without_a_nats_server_says_how_to_get_one() {
    let world = World::bare();
    write(&world.path("config/baton.toml"), "[bus]\nnats_server = '/nothing/here'\n");
    let ran = world.baton(&["up"]).await.expect(7);
    assert!(ran.err.contains("/nothing/here") || ran.err.contains("baton-vm-pool"), "{ran:?}");
    assert!(ran.err.contains("cargo xtask setup") || ran.err.contains("cargo build"), "{ran:?}");
}

/// A supervisor that is killed takes its children with it: `baton up` as a process, a script as its host service.
#[tokio::test]
async fn children_die_with_a_killed_supervisor_and_up_works_again() {
    let world = World::bare();
    let own = world.path("bin");
    install(&own);
    let up = |world: &World| {
        let mut command = world.command(&[]);
        let mut real = tokio::process::Command::new(own.join("baton"));
        real.args(["up", "--json"]).env_clear().kill_on_drop(true);
        real.envs(command.as_std_mut().get_envs().filter_map(|(key, value)| Some((key, value?))));
        real.env("BATON_BUS_URL", "nats://127.0.0.1:1");
        real.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    let paths = paths(&world);
    let mut first = up(&world);
    let child = || Roster::read(&roster_path(&paths)).get("orchestrator").and_then(|entry| entry.pid);
    until("the orchestrator was started", || child().is_some()).await;
    signal(first.id().unwrap(), Signal::KILL);
    first.wait().await.unwrap();
    until("the lock is free", || holder(&paths).is_none()).await;
    let left = child();
    until("its child is gone", || left.is_none_or(|pid| !alive(pid))).await;
    let mut second = up(&world);
    until("the second runs", || holder(&paths) == second.id()).await;
    let ran = world.baton(&["down"]).await.expect(0);
    assert!(ran.err.contains("stopped"), "{ran:?}");
    timeout(PATIENCE, second.wait()).await.unwrap().unwrap();
}

/// `baton` in a folder of its own, with a host service that only waits.
fn install(own: &Path) {
    std::fs::create_dir_all(own).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_baton"), own.join("baton")).unwrap();
    write(&own.join("baton-vm-pool"), "#!/bin/sh\nexec sleep 600\n");
    std::fs::set_permissions(own.join("baton-vm-pool"), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A real server: it starts from the written configuration, a killed and a frozen one are replaced.
#[tokio::test]
async fn the_managed_nats_server_comes_back() {
    let world = World::bare();
    let paths = paths(&world);
    let env: Env = std::env::vars_os().collect();
    let (config, _) = config::load(&paths, None, &env, Vec::new()).unwrap_or_else(|_| (Config::default(), Vec::new()));
    let server = find(&config, &paths, &env).expect("a nats-server: `cargo xtask setup` installs one");
    let managed = prepare(&paths).unwrap();
    let (mut supervisor, mut events) = Supervisor::new(&paths, env!("CARGO_BIN_EXE_baton").into());
    supervisor.start(managed.spec(&server));
    let first = pid_of(&mut events, "nats").await;
    healthy(&managed.health_url).await;
    signal(first, Signal::KILL);
    let second = pid_of(&mut events, "nats").await;
    healthy(&managed.health_url).await;
    signal(second, Signal::STOP);
    let third = pid_of(&mut events, "nats").await;
    healthy(&managed.health_url).await;
    assert!(second != third && !alive(second));
    supervisor.stop().await;
    assert!(!alive(third));
}

async fn healthy(url: &str) {
    let asking = async {
        while !get_status(url, Duration::from_secs(2)).await.is_ok_and(|(status, _)| status == 200) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, asking).await.unwrap();
}
