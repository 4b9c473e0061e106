//! `read`, `write`, `edit`.

use std::{fs, os::unix::fs::symlink};

use serde_json::json;

use super::Rig;

#[tokio::test]
async fn lines_come_with_their_numbers_in_pieces() {
    let rig = Rig::new();
    rig.put("a.txt", "one\ntwo\r\nthree");
    assert_eq!(rig.ok("read", json!({"path": "a.txt"})).await, "     1\tone\n     2\ttwo\n     3\tthree\n");
    let text = rig.ok("read", json!({"path": "a.txt", "offset": 2, "limit": 1})).await;
    assert_eq!(text, "     2\ttwo\n[there is more: go on with offset 3]\n");
    assert_eq!(rig.err("read", json!({"path": "a.txt", "offset": 4})).await, "a.txt has only 3 lines; `offset` is 4");
    rig.put("empty", "");
    assert_eq!(rig.ok("read", json!({"path": "empty"})).await, "empty is empty");
    let absolute = rig.at("a.txt").display().to_string();
    assert!(rig.ok("read", json!({"path": absolute})).await.starts_with("     1\tone"));
}

#[tokio::test]
async fn long_files_and_lines_are_shown_within_bounds() {
    let rig = Rig::new();
    rig.put("long", (1..=5000).map(|n| format!("line {n}\n")).collect::<String>());
    let text = rig.ok("read", json!({"path": "long"})).await;
    assert!(
        text.ends_with("  2000\tline 2000\n[there is more: go on with offset 2001]\n"),
        "{}",
        &text[text.len() - 99..]
    );
    rig.put("wide", format!("{}\nshort\n", "x".repeat(3_000_000)));
    let text = rig.ok("read", json!({"path": "wide"})).await;
    assert!(text.len() < 2100 && text.contains(" [… 3000000 bytes]\n     2\tshort\n"), "{}", text.len());
    // Larger than what is read whole.
    rig.put("huge", (1..=1_500_000).map(|n| format!("line {n}\n")).collect::<String>());
    let text = rig.ok("read", json!({"path": "huge", "offset": 1_499_999})).await;
    assert_eq!(text, "1499999\tline 1499999\n1500000\tline 1500000\n");
    let text = rig.err("edit", json!({"path": "huge", "old": "line 7\n", "new": ""})).await;
    assert!(text.starts_with("huge is larger than 8388608 bytes"), "{text}");
    let text = rig.err("write", json!({"path": "huge", "content": ""})).await;
    assert!(text.contains("remove it first"), "{text}");
}

#[tokio::test]
async fn folders_are_listed() {
    let rig = Rig::new();
    rig.put("b/inner", "x");
    rig.put("a.txt", "12345");
    symlink("a.txt", rig.at("link")).unwrap();
    assert_eq!(rig.ok("read", json!({"path": "."})).await, "a.txt (5 bytes)\nb/\nlink -> a.txt");
    fs::create_dir(rig.at("none")).unwrap();
    assert_eq!(rig.ok("read", json!({"path": "none"})).await, "none is an empty folder");
    fs::create_dir(rig.at("many")).unwrap();
    for n in 0..600 {
        rig.put(&format!("many/{n:03}"), "");
    }
    let text = rig.ok("read", json!({"path": "many"})).await;
    assert!(text.contains("\n499 (0 bytes)\n[100 more entries are not shown"), "{text}");
}

#[tokio::test]
async fn what_is_no_text_is_told_and_nothing_is_waited_for() {
    let rig = Rig::new();
    rig.put("image", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let text = rig.err("read", json!({"path": "image"})).await;
    assert!(text.starts_with("image is a binary file of 16 bytes; it begins with 89 50 4e 47"), "{text}");
    rustix::fs::mknodat(rustix::fs::CWD, rig.at("pipe"), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    symlink("loop-b", rig.at("loop-a")).unwrap();
    symlink("loop-a", rig.at("loop-b")).unwrap();
    symlink("gone", rig.at("dangling")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(rig.at("socket")).unwrap();
    rig.put("file", "x");
    for (path, why) in [
        ("pipe", "pipe is a named pipe, not a file"),
        ("socket", "socket is a socket, not a file"),
        ("/dev/zero", "/dev/zero is a device, not a file"),
        ("loop-a", "loop-a: symbolic links that lead in a circle"),
        ("dangling", "dangling is a symbolic link to gone, which does not exist"),
        ("missing/too", "missing/too does not exist"),
        ("file/below", "file/below: a part of the path is a file, not a folder"),
    ] {
        assert_eq!(rig.err("read", json!({"path": path})).await, why);
        assert!(rig.result("write", json!({"path": path, "content": "x"})).await.is_error || path == "missing/too");
        if path != "missing/too" {
            assert!(rig.result("edit", json!({"path": path, "old": "a", "new": "b"})).await.is_error, "{path}");
        }
    }
    assert_eq!(rig.text("missing/too"), "x", "folders on the way are made");
    assert!(rig.err("write", json!({"path": "missing", "content": "x"})).await.contains("missing is a folder"));
    assert!(rig.err("read", json!({"path": "a\u{0}b"})).await.contains("is no path"));
    assert!(rig.err("read", json!({"path": "x/".repeat(4000)})).await.contains("is no path"));
}

#[tokio::test]
async fn proc_files_are_read_as_far_as_they_go() {
    let rig = Rig::new();
    assert!(rig.ok("read", json!({"path": "/proc/self/status"})).await.contains("\tName:"));
    assert!(rig.ok("read", json!({"path": "/proc/version"})).await.contains("Linux"));
    assert!(rig.result("read", json!({"path": "/proc/self/mem"})).await.is_error);
}

#[tokio::test]
async fn a_file_is_written_and_may_be_written_again() {
    let rig = Rig::new();
    let text = rig.ok("write", json!({"path": "new/deep/a.txt", "content": "one\ntwo\n"})).await;
    assert_eq!(text, "new/deep/a.txt: new, 2 lines, 8 bytes");
    rig.ok("write", json!({"path": "new/deep/a.txt", "content": "three\n"})).await;
    assert_eq!(rig.text("new/deep/a.txt"), "three\n");
    assert!(rig.result("write", json!({"path": "b", "content": ""})).await.may_have_changed);
    rig.ok("write", json!({"path": "~/note", "content": "n"})).await;
    assert!(rig.root.path().join("home/note").exists());
}

#[tokio::test]
async fn a_file_that_was_not_read_or_changed_since_is_not_touched() {
    let rig = Rig::new();
    rig.put("a.txt", "one\n");
    let edit = json!({"path": "a.txt", "old": "one", "new": "1"});
    let unread = "a.txt was not read yet: `read` it first";
    assert_eq!(rig.err("edit", edit.clone()).await, unread);
    assert_eq!(rig.err("write", json!({"path": "a.txt", "content": "x"})).await, unread);
    rig.ok("read", json!({"path": "a.txt"})).await;
    rig.ok("exec", json!({"command": "echo one and more > a.txt"})).await;
    let stale = "a.txt has changed since it was read: `read` it again";
    assert_eq!(rig.err("edit", edit.clone()).await, stale);
    assert_eq!(rig.err("write", json!({"path": "a.txt", "content": "x"})).await, stale);
    assert_eq!(rig.text("a.txt"), "one and more\n");
    // By another name, it is the same file.
    symlink("a.txt", rig.at("other")).unwrap();
    rig.ok("read", json!({"path": "other"})).await;
    let text = rig.ok("edit", edit).await;
    assert_eq!(text, "a.txt: edited\n     1\t1 and more");
    rig.ok("edit", json!({"path": "other", "old": "1", "new": "2"})).await;
    assert_eq!(rig.text("a.txt"), "2 and more\n");
    assert!(fs::symlink_metadata(rig.at("other")).unwrap().is_symlink());
}

#[tokio::test]
async fn edits_are_exact() {
    let rig = Rig::new();
    rig.put("a.rs", "fn a() {\n    x();\n}\nfn b() {\n    x();\n}\n");
    rig.ok("read", json!({"path": "a.rs"})).await;
    let edit = |old: &str, new: &str| json!({"path": "a.rs", "old": old, "new": new});
    let text = rig.err("edit", edit("    x();", "y();")).await;
    assert_eq!(
        text,
        "`old` is in a.rs 2 times (lines 2, 5): take in more of what is around the one you mean, or set `replace_all`"
    );
    assert_eq!(rig.err("edit", edit("z();", "y();")).await, "`old` is not in a.rs");
    let text = rig.err("edit", edit("  fn b() {\n  x();", "")).await;
    assert!(text.starts_with("`old` is not in a.rs. Its first line is like line 4, but"), "{text}");
    assert_eq!(rig.err("edit", edit("", "y")).await, "`old` is empty: to make or fill a file use `write`");
    assert_eq!(rig.err("edit", edit("x", "x")).await, "`old` and `new` are the same");
    rig.ok("edit", edit("fn b() {\n    x();", "fn b() {\n    y();")).await;
    rig.ok("edit", json!({"path": "a.rs", "old": "();", "new": "(1);", "replace_all": true})).await;
    assert_eq!(rig.text("a.rs"), "fn a() {\n    x(1);\n}\nfn b() {\n    y(1);\n}\n");
    rig.ok("edit", edit("fn a() {\n    x(1);\n}\n", "")).await;
    assert_eq!(rig.text("a.rs"), "fn b() {\n    y(1);\n}\n");
}

#[tokio::test]
async fn line_ends_of_the_file_are_kept() {
    let rig = Rig::new();
    rig.put("dos.txt", "one\r\ntwo\r\nthree\r\n");
    rig.ok("read", json!({"path": "dos.txt"})).await;
    rig.ok("edit", json!({"path": "dos.txt", "old": "one\ntwo\n", "new": "1\n2\n"})).await;
    assert_eq!(rig.text("dos.txt"), "1\r\n2\r\nthree\r\n");
}

#[tokio::test]
async fn the_mode_of_a_file_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let rig = Rig::new();
    rig.put("run.sh", "echo a\n");
    fs::set_permissions(rig.at("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    rig.ok("read", json!({"path": "run.sh"})).await;
    rig.ok("edit", json!({"path": "run.sh", "old": "a", "new": "b"})).await;
    assert_eq!(fs::metadata(rig.at("run.sh")).unwrap().permissions().mode() & 0o777, 0o755);
}

#[tokio::test]
async fn edits_side_by_side_do_not_lose_each_other() {
    let rig = Rig::new();
    let names: Vec<String> = (0..16).map(|n| format!("word{n:02}")).collect();
    rig.put("words", names.join("\n"));
    rig.ok("read", json!({"path": "words"})).await;
    let edits =
        names.iter().map(|name| rig.ok("edit", json!({"path": "words", "old": name, "new": format!("done-{name}")})));
    futures::future::join_all(edits).await;
    assert_eq!(rig.text("words").matches("done-word").count(), 16);
}
