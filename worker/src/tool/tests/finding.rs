//! `search`.

use std::{fs, os::unix::fs::symlink};

use serde_json::json;

use super::Rig;

fn rig() -> Rig {
    let rig = Rig::new();
    rig.put("src/main.rs", "fn main() {\n    let sum = add(1, 2);\n    println!(\"{sum}\");\n}\n");
    rig.put("src/deep/util.rs", "pub fn add(a: i32, b: i32) -> i32 { a + b }\n");
    rig.put("README.md", "Adds numbers.\n");
    rig.put("target/out.rs", "fn add() {}\n");
    rig.put(".gitignore", "target/\n");
    rig.put(".hidden/add.txt", "add me\n");
    rig.put(".git/add", "add\n");
    rig.put("blob.bin", b"add\0\0\0add");
    rig
}

#[tokio::test]
async fn lines_are_found_in_files_that_are_not_ignored() {
    let rig = rig();
    let text = rig.ok("search", json!({"pattern": r"\badd\("})).await;
    assert_eq!(
        text,
        "src/deep/util.rs:1:pub fn add(a: i32, b: i32) -> i32 { a + b }\nsrc/main.rs:2:    let sum = add(1, 2);\n\
         [1 binary or unreadable files were passed over]"
    );
    let text = rig.ok("search", json!({"pattern": "ADD", "ignore_case": true, "name": "*.md"})).await;
    assert_eq!(text, "README.md:1:Adds numbers.");
    assert!(rig.ok("search", json!({"pattern": "add me"})).await.starts_with(".hidden/add.txt:1:add me"));
    assert!(rig.ok("search", json!({"pattern": "fn add", "all": true})).await.contains("target/out.rs:1:fn add() {}"));
    let text = rig.ok("search", json!({"pattern": "sum = ", "context": 1})).await;
    assert!(
        text.starts_with("src/main.rs-1-fn main() {\nsrc/main.rs:2:    let sum = add(1, 2);\nsrc/main.rs-3-"),
        "{text}"
    );
    let text = rig.ok("search", json!({"pattern": "nowhere"})).await;
    assert!(text.starts_with("nothing found in . (ignored files were left out)"), "{text}");
    assert_eq!(rig.ok("search", json!({"pattern": "^fn", "path": "src/main.rs"})).await, "src/main.rs:1:fn main() {");
}

#[tokio::test]
async fn files_are_found_by_name() {
    let rig = rig();
    assert_eq!(rig.ok("search", json!({"name": "*.rs"})).await, "src/deep/util.rs\nsrc/main.rs");
    assert_eq!(rig.ok("search", json!({"name": "src/*.rs"})).await, "src/main.rs");
    assert_eq!(rig.ok("search", json!({"name": "**/util.rs"})).await, "src/deep/util.rs");
    assert_eq!(rig.ok("search", json!({"name": "*.rs", "path": "src/deep"})).await, "src/deep/util.rs");
    assert!(rig.ok("search", json!({"name": "add"})).await.starts_with("nothing found"), "nothing of git's");
}

#[tokio::test]
async fn results_are_bounded() {
    let rig = Rig::new();
    rig.put("many", "match\n".repeat(10_000));
    let text = rig.ok("search", json!({"pattern": "match", "limit": 3})).await;
    assert!(text.starts_with("many:1:match\nmany:2:match\nmany:3:match\n["), "{text}");
    rig.put("wide", format!("{}match{}\n", "x".repeat(1_000_000), "y".repeat(1_000_000)));
    rig.put("wide2", format!("match{}\nmatch\n", "y".repeat(1_000_000)));
    let text = rig.ok("search", json!({"pattern": "match", "name": "wide*"})).await;
    assert!(text.starts_with("wide2:1:matchyyy") && text.contains(" …\nwide2:2:match"), "{text:.400}");
    for n in 0..600 {
        rig.put(&format!("names/a-rather-long-name-for-a-file-{n}"), "");
    }
    let text = rig.ok("search", json!({"name": "a-rather*", "limit": 500})).await;
    assert!(text.ends_with("[500 matches; there may be more: narrow the search, or raise `limit`]"));
}

#[tokio::test]
async fn bad_searches_are_told_why() {
    let rig = Rig::new();
    assert!(rig.err("search", json!({"pattern": "(unclosed"})).await.contains("is no regular expression"));
    assert!(rig.err("search", json!({"pattern": "(a{1000}){1000}"})).await.contains("is no regular expression"));
    assert!(rig.err("search", json!({"name": "a[b"})).await.contains("is no glob"));
    assert_eq!(rig.err("search", json!({"pattern": "x", "path": "nowhere"})).await, "nowhere does not exist");
    assert!(rig.err("search", json!({})).await.contains("needs `pattern`"));
}

#[tokio::test]
async fn pipes_and_links_in_circles_hold_nothing_up() {
    let rig = Rig::new();
    rustix::fs::mknodat(rustix::fs::CWD, rig.at("pipe"), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    symlink(".", rig.at("circle")).unwrap();
    symlink("loop", rig.at("loop")).unwrap();
    rig.put("a", "found\n");
    assert_eq!(rig.ok("search", json!({"pattern": "found"})).await, "a:1:found");
    assert_eq!(rig.err("search", json!({"pattern": "x", "path": "pipe"})).await, "pipe is a named pipe, not a file");
    fs::remove_file(rig.at("pipe")).unwrap();
}
