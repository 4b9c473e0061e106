use std::{collections::BTreeMap as Map, os::unix::fs::PermissionsExt as _, sync::Arc};

use uuid::Uuid;

use super::*;

/// A folder for the runner and one for the effects' own files.
struct Bench {
    dir: tempfile::TempDir,
    runner: Arc<Processes>,
}

impl Bench {
    fn new(env: &[(&str, &str)], secrets: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let env = env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
        let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let runner = Arc::new(Processes::new(dir.path().join("effects"), env, secrets));
        fs::create_dir(dir.path().join("work")).unwrap();
        Self { dir, runner }
    }

    /// A script in the working folder.
    fn order(&self, script: &str, arguments: &[&str]) -> EffectOrder {
        let folder = self.dir.path().join("work");
        let file = folder.join("run.sh");
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let words = ["./run.sh"].iter().chain(arguments);
        EffectOrder {
            name: "run".to_owned(),
            argv: words.map(|word| (*word).to_owned()).collect(),
            folder: Some(folder.to_str().unwrap().to_owned()),
            timeout_ms: 600_000,
            ..EffectOrder::default()
        }
    }

    async fn run(&self, order: &EffectOrder) -> EffectDone {
        self.runner.run(id(1), order).await.unwrap()
    }
}

fn id(n: u128) -> ApprovalId {
    ApprovalId::from_uuid(Uuid::from_u128(n))
}

#[tokio::test]
async fn every_word_arrives_as_it_is() {
    let bench = Bench::new(&[], &[]);
    let words = ["a b", "", "$(touch x)", "`touch x`", "; touch x", "*", "\"'", "--x={y}", "ä\u{202e}"];
    let done = bench.run(&bench.order("for word in \"$@\"; do printf '[%s]' \"$word\"; done", &words)).await;
    assert_eq!(done.ending, EffectEnding::Exited { code: 0 });
    assert_eq!(done.output_tail, words.map(|word| format!("[{word}]")).concat());
    assert_eq!(done.output_bytes, done.output_tail.len() as u64);
    assert_eq!(done.output_sha256, digest::of_bytes(done.output_tail.as_bytes()));
    let files: Vec<_> = fs::read_dir(bench.dir.path().join("work")).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing read them as a command: {files:?}");
}

#[tokio::test]
async fn the_environment_is_bare_but_for_what_is_passed_on_and_that_is_not_shown() {
    let bench = Bench::new(&[("TOKEN", "hunter2-long"), ("OTHER", "other")], &["canary-1234"]);
    let order = EffectOrder { env: vec!["TOKEN".to_owned()], ..bench.order("env; echo canary-1234", &[]) };
    let done = bench.run(&order).await;
    let lines = done.output_tail.lines().filter_map(|line| line.split_once('='));
    let env: Map<&str, &str> = lines.collect();
    assert_eq!(env.get("TOKEN"), Some(&"[withheld]"));
    // `PWD` and the like are the shell's own.
    let names: Vec<&str> =
        env.keys().copied().filter(|name| !matches!(*name, "PWD" | "OLDPWD" | "SHLVL" | "_")).collect();
    assert_eq!(names, ["HOME", "LANG", "PATH", "TOKEN"]);
    assert!(done.output_tail.ends_with("[withheld]"), "{}", done.output_tail);
    let missing = EffectOrder { env: vec!["GONE".to_owned()], ..order };
    let done = bench.runner.run(id(2), &missing).await.unwrap();
    let detail = "the variable GONE is not set where Baton runs".to_owned();
    assert_eq!(done.ending, EffectEnding::NotStarted { detail });
}

#[tokio::test]
async fn values_that_are_passed_on_leave_no_rest_in_what_is_printed() {
    let values = [("LONG", "hunter2-and-more"), ("PART", "hunter2"), ("LINE", "seventeen-17\n"), ("PIN", "4711")];
    let odd = [("BELL", "rings\u{7}twice"), ("RED", "\u{1b}[31mcrimson")];
    let bench = Bench::new(&[&values[..], &odd[..]].concat(), &["hunter2"]);
    let script = r#"echo "$LONG" "$PART" "$LINE." "pin=$PIN" 147110 "$BELL" "$RED""#;
    let env = ["LONG", "PART", "LINE", "PIN", "BELL", "RED"].map(str::to_owned).to_vec();
    let done = bench.run(&EffectOrder { env, ..bench.order(script, &[]) }).await;
    let printed = "[withheld] [withheld] [withheld]\n. pin=[withheld] 147110 [withheld] [withheld]";
    assert_eq!(done.output_tail, printed);
}

#[tokio::test]
async fn a_folder_of_its_own_is_empty_and_gone_afterwards() {
    let bench = Bench::new(&[], &[]);
    let argv = ["sh", "-c", "ls -A; pwd; touch x; exit 3"].map(str::to_owned).to_vec();
    let order = EffectOrder { argv, folder: None, ..bench.order("", &[]) };
    let done = bench.run(&order).await;
    assert_eq!(done.ending, EffectEnding::Exited { code: 3 });
    assert!(done.output_tail.ends_with("/folder") && !done.output_tail.contains('\n'), "{}", done.output_tail);
    assert!(!Path::new(&done.output_tail).exists());
    // What was printed stays, for people; and says that it may have run.
    assert_eq!(bench.runner.left(id(1), &order).await, done.output_tail);
    assert_eq!(bench.runner.run(id(1), &order).await, Err(MayHaveRun));
}

#[tokio::test]
async fn what_does_not_begin_says_so_and_leaves_nothing() {
    let bench = Bench::new(&[], &[]);
    let order = EffectOrder { argv: vec!["./none.sh".to_owned()], ..bench.order("", &[]) };
    for _ in 0..2 {
        let EffectEnding::NotStarted { detail } = bench.run(&order).await.ending else { panic!("it began") };
        assert!(detail.starts_with("./none.sh in /") && detail.contains("No such file"), "{detail}");
    }
}

#[tokio::test]
async fn the_time_limit_ends_the_whole_group() {
    let bench = Bench::new(&[], &[]);
    // Its child ignores the first signal; the pipe is closed when both are gone.
    let script =
        "trap '' TERM\n(trap '' TERM; echo child $$; while :; do sleep 0.1; done) &\nwhile :; do sleep 0.1; done";
    let order = EffectOrder { timeout_ms: 300, ..bench.order(script, &[]) };
    let done = bench.run(&order).await;
    assert_eq!(done.ending, EffectEnding::TimedOut);
    gone(&done).await;
}

/// The group that said `child ID` is gone.
async fn gone(done: &EffectDone) {
    let group = done.output_tail.strip_prefix("child ").and_then(|id| id.lines().next()?.parse().ok());
    let group = group.and_then(Pid::from_raw).unwrap();
    // Killed at once, reaped by whoever adopted it a moment later.
    while test_kill_process_group(group).is_ok() && !all_dead(group) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_it_leaves_behind_ends_with_it() {
    let bench = Bench::new(&[], &[]);
    let done = bench.run(&bench.order("echo child $$\n(while :; do sleep 0.1; done) &\nexit 4", &[])).await;
    assert_eq!(done.ending, EffectEnding::Exited { code: 4 });
    gone(&done).await;
}

#[tokio::test]
async fn at_the_time_limit_all_of_the_group_have_the_grace() {
    let bench = Bench::new(&[], &[]);
    // The program itself ends at once; its child first puts things in order.
    let child = "trap 'sleep 0.3; echo in order; exit' TERM; echo child $$; while :; do sleep 0.1; done";
    let order = bench.order(&format!("({child}) &\nwait"), &[]);
    let done = bench.run(&EffectOrder { timeout_ms: 300, ..order }).await;
    assert_eq!(done.ending, EffectEnding::TimedOut);
    assert!(done.output_tail.ends_with("in order"), "{}", done.output_tail);
    gone(&done).await;
}

/// Nothing of the group is there but what waits to be reaped.
fn all_dead(group: Pid) -> bool {
    let stats =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let mut members = stats.filter_map(|stat| {
        let fields: Vec<String> = stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect();
        (fields.get(2)?.parse() == Ok(group.as_raw_nonzero().get())).then(|| fields[0].clone())
    });
    members.all(|state| state == "Z" || state == "X")
}

#[tokio::test]
async fn much_output_is_cut_to_its_end() {
    let bench = Bench::new(&[], &[]);
    let done = bench.run(&bench.order("yes 0123456789abcdef | head -c 200000; echo; echo end", &[])).await;
    assert!(done.output_tail.len() <= TAIL && done.output_tail.ends_with("\nend"), "{}", done.output_tail.len());
    assert_eq!(done.output_bytes, 200_005);
    assert_eq!(done.output_sha256.len(), 64);
}

#[tokio::test]
async fn what_cannot_be_read_says_so() {
    let bench = Bench::new(&[], &[]);
    // It takes away the file that it prints into.
    let file = bench.dir.path().join("effects").join(id(1).to_string()).join(OUTPUT);
    let done = bench.run(&bench.order("echo x; rm \"$1\"", &[file.to_str().unwrap()])).await;
    assert_eq!(done.ending, EffectEnding::Exited { code: 0 });
    assert!(
        done.output_sha256.starts_with("what it printed could not be read: No such file"),
        "{}",
        done.output_sha256
    );
    assert_eq!(done.output_tail, format!("[{}]", done.output_sha256));
}

#[tokio::test]
async fn what_is_dropped_goes_on() {
    let bench = Bench::new(&[], &[]);
    let fifo = bench.dir.path().join("go");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    let order = bench.order(&format!("echo begun; cat {0} > /dev/null; echo on; echo x > {0}", fifo.display()), &[]);
    let (runner, given) = (Arc::clone(&bench.runner), order.clone());
    let task = tokio::spawn(async move { runner.run(id(1), &given).await });
    while bench.runner.left(id(1), &order).await != "begun" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    // It waits for this, prints more and says so.
    let told = tokio::task::spawn_blocking(move || {
        fs::write(&fifo, "go").unwrap();
        fs::read_to_string(&fifo).unwrap()
    });
    assert_eq!(told.await.unwrap(), "x\n");
    assert_eq!(bench.runner.left(id(1), &order).await, "begun\non");
}
