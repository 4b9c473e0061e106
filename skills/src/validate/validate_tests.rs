use std::{fs, path::Path};

use super::validate;
use crate::finding::Severity;

const GOOD: &str =
    "---\nname: tidy-up\ndescription: Tidies a folder up. Use it when a folder is a mess.\n---\n# Tidy up\n";

fn room() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn put(folder: &Path, path: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Codes and lines of what is found in a skill `tidy-up` with this `SKILL.md`.
fn found(text: impl AsRef<[u8]>) -> Vec<(&'static str, u32, Severity)> {
    let room = room();
    put(room.path(), "tidy-up/SKILL.md", text);
    put(room.path(), "tidy-up/references/a.md", "a");
    let found = validate(&room.path().join("tidy-up"));
    found.into_iter().map(|found| (found.code, found.line, found.severity)).collect()
}

fn head(lines: &str) -> String {
    format!("---\n{lines}\n---\n# Text\n")
}

#[track_caller]
fn only(text: impl AsRef<[u8]>, code: &str, line: u32, severity: Severity) {
    let found = found(text);
    assert_eq!(
        found.iter().map(|one| (one.0, one.1, one.2)).collect::<Vec<_>>(),
        [(code_of(&found, code), line, severity)]
    );
}

fn code_of(found: &[(&'static str, u32, Severity)], code: &str) -> &'static str {
    found.iter().map(|one| one.0).find(|one| *one == code).unwrap_or("not found")
}

#[test]
fn a_good_skill_has_no_findings() {
    assert_eq!(found(GOOD), []);
    let full = "name: tidy-up\ndescription: \"Tidies up: folders, files. Use when asked.\"\nlicense: Apache-2.0\n\
                compatibility: Needs python3\nmetadata:\n  author: baton\n  version: \"1\"\nallowed-tools: Bash Read";
    assert_eq!(found(head(full)), []);
    // 1024 characters, and many more bytes.
    assert_eq!(found(head(&format!("name: tidy-up\ndescription: {}", "ä".repeat(1024)))), []);
}

#[test]
fn names_are_checked() {
    let named = |name: &str| head(&format!("name: {name}\ndescription: Tidies a folder up, when asked."));
    for (name, codes) in [
        ("Tidy-up", vec!["bad_name", "name_not_folder"]),
        ("tidy--up", vec!["bad_name", "name_not_folder"]),
        ("-tidy", vec!["bad_name", "name_not_folder"]),
        ("tidy_up", vec!["bad_name", "name_not_folder"]),
        ("other", vec!["name_not_folder"]),
        ("../../etc", vec!["name_escapes"]),
        ("\"a/b\"", vec!["name_escapes"]),
        (&"x".repeat(65), vec!["long_name", "name_not_folder"]),
    ] {
        let mut got: Vec<_> = found(named(name)).into_iter().map(|one| (one.0, one.1)).collect();
        got.sort_unstable();
        assert_eq!(got, codes.into_iter().map(|code| (code, 2)).collect::<Vec<_>>(), "{name}");
    }
    only(head("description: Tidies a folder up, when asked."), "no_name", 1, Severity::Error);
}

#[test]
fn texts_have_lengths_and_types() {
    let with = |line: &str| head(&format!("name: tidy-up\ndescription: Tidies a folder up, when asked.\n{line}"));
    only(head("name: tidy-up"), "no_description", 1, Severity::Error);
    only(head("name: tidy-up\ndescription:"), "no_description", 3, Severity::Error);
    only(head("name: tidy-up\ndescription: short"), "short_text", 3, Severity::Warning);
    only(head(&format!("name: tidy-up\ndescription: {}", "x".repeat(1025))), "long_text", 3, Severity::Error);
    only(with(&format!("compatibility: {}", "x".repeat(501))), "long_text", 4, Severity::Error);
    only(with("license:"), "empty_field", 4, Severity::Error);
    only(with("allowed-tools: [Bash, Read]"), "bad_type", 4, Severity::Error);
    only(with("metadata: text"), "bad_type", 4, Severity::Error);
    only(with("metadata:\n  version: 1.0"), "bad_metadata", 5, Severity::Warning);
    only(with("metadata:\n  list: [a]"), "bad_metadata", 5, Severity::Error);
    only(with("version: 1"), "unknown_field", 4, Severity::Error);
    only(with("license: MIT\nlicense: MIT"), "duplicate_field", 5, Severity::Error);
}

#[test]
fn heads_that_are_none_are_told() {
    only("# Only text\n", "no_head", 1, Severity::Error);
    only("---\nname: tidy-up\n", "no_head", 1, Severity::Error);
    only("---\n- a\n---\ntext", "no_mapping", 1, Severity::Error);
    only("---\nname: tidy-up\ndescription: [\n---\ntext", "bad_yaml", 4, Severity::Error);
    only(head("name: tidy-up\ndescription: Use when: a folder is a mess."), "bad_yaml", 1, Severity::Error);
    only(head(&format!("name: tidy-up\nlicense: {}", "x".repeat(40_000))), "long_head", 1, Severity::Error);
    only(b"---\nname: tidy-up\n\xff\n---\n", "not_utf8", 3, Severity::Error);
}

#[test]
fn bodies_are_short_and_name_what_is_there() {
    let with = |body: &str| format!("---\nname: tidy-up\ndescription: Tidies a folder up, when asked.\n---\n{body}");
    only(with("\n\n"), "empty_body", 5, Severity::Warning);
    only(with(&"line\n".repeat(501)), "long_body", 5, Severity::Warning);
    assert_eq!(
        found(with("See [a](references/a.md#part), [b](https://example.org), [c](#c) and [d](references/).\n")),
        []
    );
    assert_eq!(found(with("```\n[x](missing.md)\n```\nand `[y](missing.md)`\n")), []);
    only(with("one\nSee [a](references/b.md)."), "missing_file", 6, Severity::Error);
    only(with("one\ntwo\nSee [a](../other/b.md)."), "link_outside", 7, Severity::Error);
    only(with("See [a](/etc/passwd)."), "link_outside", 5, Severity::Error);
    only(with("Run `python3 scripts/none.py`."), "missing_file", 5, Severity::Warning);
    assert_eq!(found(with("Run `cat references/a.md`.")), []);
}

#[test]
fn files_are_bounded_and_plain() {
    let room = room();
    let folder = room.path().join("tidy-up");
    put(&folder, "SKILL.md", GOOD);
    put(&folder, "references/deep/x.md", "x");
    put(&folder, "evals/files/x/y.csv", "x");
    std::os::unix::fs::symlink("/etc/passwd", folder.join("passwd")).unwrap();
    let codes: Vec<_> = validate(&folder).into_iter().map(|found| (found.code, found.file)).collect();
    assert_eq!(codes, [("link", "passwd".to_owned()), ("deep_file", "references/deep/x.md".to_owned())]);

    fs::remove_file(folder.join("passwd")).unwrap();
    fs::File::create(folder.join("SKILL.md")).unwrap().set_len(100_000_000).unwrap();
    let codes: Vec<_> = validate(&folder).into_iter().map(|found| (found.code, found.file)).collect();
    assert!(codes.contains(&("too_large", "SKILL.md".to_owned())), "{codes:?}");
    fs::remove_file(folder.join("SKILL.md")).unwrap();
    assert_eq!(validate(&folder)[0].code, "no_skill_md");
    assert_eq!(validate(&room.path().join("nowhere"))[0].code, "not_readable");
    // A relative folder has a name, too.
    assert!(!validate(Path::new(".")).iter().any(|found| found.code == "not_readable"));
}
