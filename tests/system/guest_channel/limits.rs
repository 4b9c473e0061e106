//! Programs that want too much.

use std::fs;

use super::rig::{Rig, bash};
use bus_schemas::v1::task::CheckSpec;

/// Processes whose command line names `text`, zombies aside.
fn running(text: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let lines = processes.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(text)).collect()
}

#[tokio::test]
async fn two_hundred_megabytes_pass_a_small_limit_by() {
    let mut rig = Rig::with(&[]).await;
    let mut work = bash("head -c 200000000 /dev/zero | tr '\\0' x; echo; echo 'the end'; echo err >&2");
    work.output_bytes = 100_000;
    let finished = rig.run(work).await;
    assert_eq!(finished.exit_code, Some(0));
    assert_eq!(finished.output_bytes, 200_000_000 + 1 + 8 + 4);
    let sent = rig.text("stdout").len() + rig.text("stderr").len();
    assert_eq!(sent, 100_000);
    assert_eq!(finished.summary, "the end", "kept although it was not sent");
}

#[tokio::test]
async fn a_host_that_reads_nothing_holds_the_program_up_but_not_for_ever() {
    let mut rig = Rig::with(&[]).await;
    let mut work = bash("yes");
    work.output_bytes = u64::MAX / 2;
    work.wall_ms = 500;
    rig.session.assign(bus_schemas::v1::guest::Assignment::Attempt(work)).await.expect("assigned");
    let finished = rig.session.finished(super::rig::soon()).await.expect("finished");
    assert!(finished.timed_out);
    // Queue, windows, sockets and pipe hold some megabytes; `yes` makes gigabytes in that time.
    assert!(finished.output_bytes < 64 << 20, "{} bytes were buffered", finished.output_bytes);
    let rest = rig.session.collect(1 << 20, super::rig::soon()).await;
    assert!(rest.is_ok(), "the session lives: {rest:?}");
    rig.printed.clear();
}

#[tokio::test]
async fn the_time_limit_asks_first_and_then_insists() {
    let mut rig = Rig::with(&[]).await;
    let mut polite = bash("trap 'echo tidy; exit 3' TERM; echo begun; sleep 1000 & wait");
    polite.wall_ms = 500;
    let finished = rig.run(polite).await;
    assert_eq!((finished.exit_code, finished.timed_out), (Some(3), true));
    assert_eq!(rig.text("stdout"), "begun\ntidy\n");
    assert_eq!(finished.summary, "stopped at its time limit of 1 s");
    let mut deaf = bash("trap '' TERM; sleep 1000 & sleep 1000");
    deaf.wall_ms = 300;
    let finished = rig.run(deaf).await;
    assert_eq!((finished.exit_code, finished.signal, finished.timed_out), (None, Some(9), true));
}

#[tokio::test]
async fn what_a_program_leaves_running_is_killed_and_does_not_hold_up_the_end() {
    let mut rig = Rig::with(&[]).await;
    let marker = rig.root.join("left-behind");
    let script = format!(
        "cp \"$(command -v sleep)\" {0}/sleep-copy 2>/dev/null || true\n(exec -a {0} sleep 1000) &\necho done",
        marker.display()
    );
    let finished = rig.run(bash(&script)).await;
    assert_eq!(finished.exit_code, Some(0));
    assert_eq!(running(&marker.display().to_string()), Vec::<String>::new());
}

/// Checks, because here there is no cgroup: the limit is the user's, and it does not bind root, as whom a program may run.
#[tokio::test]
async fn forking_without_end_meets_the_limit_and_is_gone_afterwards() {
    let mut rig = Rig::with(&[]).await;
    let exchange = rig.exchange().display().to_string();
    let check = |program: &str, timeout_ms| CheckSpec {
        name: "forks".into(),
        run: format!("exec python3 -c '{program}' {exchange}"),
        timeout_ms,
    };
    let counted = "import os, time\nmade = 0\ntry:\n    for _ in range(2000):\n        if os.fork() == 0:\n            \
                   time.sleep(1000)\n            os._exit(0)\n        made += 1\nexcept OSError as error:\n    \
                   print(\"refused\", error.errno)\nprint(\"made\", made, flush=True)\n";
    let results = rig.check(&[check(counted, 60_000)], 10_000).await;
    assert_eq!(results[0].exit_code, Some(0), "{results:?}");
    assert!(results[0].output_tail.starts_with("refused 11\n"), "{results:?}");
    assert_eq!(running(&exchange), Vec::<String>::new());

    let storm = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n";
    let results = rig.check(&[check(storm, 700)], 10_000).await;
    assert!(results[0].timed_out);
    assert_eq!(running(&exchange), Vec::<String>::new());
}
