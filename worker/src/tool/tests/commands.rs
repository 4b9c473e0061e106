//! `exec` and its relatives.

use std::{fs, path::Path, time::Duration};

use serde_json::json;

use super::Rig;

#[tokio::test]
async fn a_command_runs_in_the_workspace_and_says_how_it_ended() {
    let rig = Rig::new();
    let text =
        rig.ok("exec", json!({"command": "pwd; echo oops >&2; echo $COLOR $BATON_TASK $BATON_ATTEMPT; exit 3"})).await;
    let (head, output) = text.split_once('\n').unwrap();
    assert!(head.starts_with("exit code 3 after 0."), "{head}");
    assert_eq!(output, format!("{}\noops\nred build 2\n", rig.at("").display().to_string().trim_end_matches('/')));
    let text = rig.ok("exec", json!({"command": "kill -SEGV $$"})).await;
    assert!(text.starts_with("ended by signal 11 after ") && text.ends_with("\n(no output)"), "{text}");
    rig.put("sub/x", "");
    assert!(rig.ok("exec", json!({"command": "ls", "folder": "sub"})).await.ends_with("\nx\n"));
    let text = rig.ok("exec", json!({"command": "read line && echo \"got $line\" || echo 'nothing to read'"})).await;
    assert!(text.ends_with("\nnothing to read\n"), "{text}");
    assert!(rig.tools.changed_since_checkpoint());
    rig.tools.checkpointed();
    assert!(!rig.tools.changed_since_checkpoint());
}

#[tokio::test]
async fn programs_are_told_where_the_proxy_is() {
    let rig = Rig::new();
    let text = rig
        .ok("exec", json!({"command": "echo $HTTP_PROXY $HTTPS_PROXY $http_proxy $https_proxy $NO_PROXY $no_proxy"}))
        .await;
    let proxy = "http://127.0.0.1:4128";
    let around = "127.0.0.1,localhost,::1";
    assert!(text.ends_with(&format!("\n{proxy} {proxy} {proxy} {proxy} {around} {around}\n")), "{text}");
}

#[tokio::test]
async fn there_is_no_terminal() {
    let rig = Rig::new();
    let text = rig.ok("exec", json!({"command": "test -t 0 || test -t 1 || test -t 2 || echo none"})).await;
    assert!(text.ends_with("\nnone\n"), "{text}");
}

#[tokio::test]
async fn bad_commands_are_told_why() {
    let rig = Rig::new();
    assert_eq!(rig.err("exec", json!({"command": "  "})).await, "`command` is empty");
    assert_eq!(rig.err("exec", json!({"command": "a\u{0}b"})).await, "`command` has a zero byte in it");
    assert_eq!(rig.err("exec", json!({"command": "ls", "folder": "nowhere"})).await, "nowhere does not exist");
    rig.put("file", "x");
    assert_eq!(rig.err("exec", json!({"command": "ls", "folder": "file"})).await, "file is not a folder");
    let text = rig.err("exec", json!({"command": "ls", "timeout_s": 0})).await;
    assert_eq!(text, "`timeout_s` must be a whole number from 1 to 3600, not 0");
    let text = rig.err("exec", json!({"command": "x".repeat(200_000)})).await;
    assert!(text.contains("at most 122880 are taken: `write` a script"), "{text}");
}

#[tokio::test]
async fn a_workspace_that_was_removed_is_named() {
    let rig = Rig::new();
    rig.ok("exec", json!({"command": "rm -rf \"$BATON_WORKSPACE\""})).await;
    assert_eq!(rig.err("exec", json!({"command": "ls"})).await, "the workspace does not exist");
    assert!(
        rig.err("exec", json!({"command": "ls", "background": true})).await.contains("the workspace does not exist")
    );
    let text = rig.ok("exec", json!({"command": "mkdir -p \"$BATON_WORKSPACE\" && echo back", "folder": "/"})).await;
    assert!(text.ends_with("\nback\n"));
    rig.ok("exec", json!({"command": "ls"})).await;
}

#[tokio::test]
async fn ten_megabytes_of_output_are_shown_in_part_and_kept_whole() {
    let rig = Rig::new();
    let text =
        rig.ok("exec", json!({"command": "head -c 10000000 /dev/zero | tr '\\0' x | fold -w 99; echo the end"})).await;
    assert!(text.len() < 17 * 1024 && text.ends_with("xthe end\n"), "{}", text.len());
    let path = text.split("all of it is in ").nth(1).unwrap().split(" …]").next().unwrap();
    assert!(path.starts_with(&rig.root.path().join("exchange/spill").display().to_string()));
    let kept = fs::metadata(path).unwrap().len();
    assert!(kept > 10_000_000, "{kept}");
    assert!(rig.ok("read", json!({"path": path, "offset": 100_000, "limit": 2})).await.starts_with("100000\txxx"));
}

#[tokio::test]
async fn binary_output_is_not_shown() {
    let rig = Rig::new();
    let text = rig.ok("exec", json!({"command": "head -c 3000000 /dev/zero"})).await;
    assert!(text.contains("\nbinary output of 3000000 bytes; all of it is in ") && text.len() < 600, "{text}");
}

#[tokio::test]
async fn the_time_limit_ends_a_command_with_all_it_started() {
    let rig = Rig::new();
    let text =
        rig.err("exec", json!({"command": "echo begun; sleep 1000 & echo $! > child; wait", "timeout_s": 1})).await;
    assert!(
        text.starts_with("stopped after ") && text.contains("at its time limit of 1 s; for what runs longer"),
        "{text}"
    );
    assert!(text.ends_with("\nbegun\n"), "{text}");
    assert!(is_gone(rig.text("child").trim()));
}

#[tokio::test]
async fn what_a_command_leaves_running_ends_with_it() {
    let rig = Rig::new();
    let text = rig.ok("exec", json!({"command": "sleep 1000 & echo $! > child; echo done"})).await;
    assert!(text.ends_with("\ndone\n"));
    assert!(is_gone(rig.text("child").trim()));
}

#[tokio::test]
async fn a_stop_ends_a_command() {
    let rig = Rig::new();
    let running = rig.result("exec", json!({"command": "echo $$ > self; sleep 1000"}));
    let stopping = async {
        until(|| rig.at("self").exists()).await;
        rig.stop.cancel();
    };
    let (result, ()) = tokio::join!(running, stopping);
    assert!(result.text.starts_with("stopped (signal 9) after "), "{}", result.text);
}

#[tokio::test]
async fn a_background_command_is_written_to_and_read_from() {
    let rig = Rig::new();
    let begin = "echo ready; while read -r line; do echo \"got $line\"; done; echo bye";
    let text = rig.ok("exec", json!({"command": begin, "background": true})).await;
    assert!(text.starts_with("bg1 runs: echo ready; while"), "{text}");
    let mut seen = text;
    while !seen.contains("ready") {
        seen.push_str(&rig.ok("exec_output", json!({"id": "bg1", "wait_s": 20})).await);
    }
    assert!(rig.tools.changed_since_checkpoint());
    rig.tools.checkpointed();
    assert!(rig.tools.changed_since_checkpoint(), "it may change files any time");
    rig.ok("exec_input", json!({"id": "bg1", "text": "one\n"})).await;
    assert_eq!(
        rig.ok("exec_output", json!({"id": "bg1", "wait_s": 20})).await,
        "bg1 runs: ".to_string() + begin + "\ngot one\n"
    );
    assert!(rig.ok("exec_output", json!({"id": "bg1"})).await.ends_with("(no new output)"));
    let text = rig.ok("exec_input", json!({"id": "bg1", "text": "two\n", "close": true})).await;
    assert_eq!(text, "4 bytes written to bg1, and its input is closed");
    let mut seen = String::new();
    while !seen.contains("bg1 is over, exit code 0 after ") {
        seen.push_str(&rig.ok("exec_output", json!({"id": "bg1", "wait_s": 20})).await);
    }
    assert!(seen.contains("got two\n") && seen.contains("bye\n"), "{seen}");
    assert!(rig.err("exec_input", json!({"id": "bg1", "text": "x"})).await.starts_with("bg1 is over, exit code 0"));
}

#[tokio::test]
async fn background_commands_are_stopped_with_all_they_started() {
    let rig = Rig::new();
    rig.ok("exec", json!({"command": "sleep 1000 & echo $! > child; echo up; wait", "background": true})).await;
    until(|| rig.at("child").exists() && !rig.text("child").is_empty()).await;
    let text = rig.ok("exec_stop", json!({"id": "bg1"})).await;
    assert!(text.starts_with("bg1 is over, stopped (signal 9) after "), "{text}");
    assert!(is_gone(rig.text("child").trim()));
    let text = rig.err("exec_stop", json!({"id": "bg7"})).await;
    assert_eq!(text, "no background command has the id `bg7`; there are: bg1");
}

#[tokio::test]
async fn one_that_fails_at_once_is_seen_to_fail() {
    let rig = Rig::new();
    let text = rig.ok("exec", json!({"command": "echo no such luck; exit 4", "background": true})).await;
    assert!(text.starts_with("bg1 is over, exit code 4 after ") && text.ends_with("\nno such luck\n"), "{text}");
}

#[tokio::test]
async fn the_end_of_the_attempt_ends_what_runs_in_the_background() {
    let rig = Rig::new();
    for name in ["one", "two"] {
        rig.ok("exec", json!({"command": format!("echo $$ > {name}; sleep 1000"), "background": true})).await;
        until(|| rig.at(name).exists() && !rig.text(name).is_empty()).await;
    }
    let (one, two) = (rig.text("one"), rig.text("two"));
    rig.tools.close().await;
    assert!(is_gone(one.trim()) && is_gone(two.trim()));
}

#[tokio::test]
async fn calls_run_side_by_side() {
    let rig = Rig::new();
    let meet = |own: &str, other: &str| json!({"command": format!("touch {own}; until test -e {other}; do sleep 0.01; done; echo met"), "timeout_s": 60});
    let (one, two) = tokio::join!(rig.ok("exec", meet("a", "b")), rig.ok("exec", meet("b", "a")));
    assert!(one.ends_with("\nmet\n") && two.ends_with("\nmet\n"));
}

fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("in time");
}
