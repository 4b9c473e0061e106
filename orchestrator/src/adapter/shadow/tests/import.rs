//! Copying in.

use std::process::Command;

use super::support::{World, chmod, link, photograph_with_times, put, user_git};

#[test]
fn every_byte_mode_link_and_name_arrives() {
    let world = World::new();
    let all: Vec<u8> = (0..=255).collect();
    let files: &[(&str, &[u8])] = &[
        (".gitattributes", b"* text=auto eol=crlf filter=shout ident\n*.bin merge=evil\n"),
        (".hidden/.more", b"x"),
        ("crlf.txt", b"a\r\nb\r\n"),
        ("mixed.txt", b"a\r\nb\n$Id$\r"),
        ("empty", b""),
        ("all.bin", &all),
        ("no newline", b"end"),
        ("sp ace/\"quote\\back", b"q"),
        ("grün/日本語/🦀.txt", b"u"),
        ("e\u{301}", b"decomposed"),
        ("-dash", b"d"),
        ("nested/.git/config", b"[core]\n"),
        ("nested/file", b"kept"),
    ];
    for (path, content) in files {
        world.put(path, content);
    }
    world.put("run.sh", "#!/bin/sh\n");
    chmod(&world.folder, "run.sh", 0o750);
    link(&world.folder, "to-empty", "empty");
    link(&world.folder, ".hidden/up", "../run.sh");
    link(&world.folder, "dangling", "not/there");
    let before = photograph_with_times(&world.folder);
    let imported = world.import();
    assert_eq!(photograph_with_times(&world.folder), before, "the folder was touched");

    let content = world.content(&imported.commit);
    for (path, bytes) in files.iter().filter(|(path, _)| !path.contains(".git/")) {
        assert_eq!(content.get(*path), Some(&("100644".to_owned(), bytes.to_vec())), "{path}");
    }
    assert_eq!(content["run.sh"].0, "100755");
    assert_eq!(content["to-empty"], ("120000".to_owned(), b"empty".to_vec()));
    assert_eq!(content[".hidden/up"], ("120000".to_owned(), b"../run.sh".to_vec()));
    assert_eq!(content["dangling"], ("120000".to_owned(), b"not/there".to_vec()));
    assert!(!content.keys().any(|path| path.contains(".git/")));
    assert_eq!(imported.files, content.len() as u64);
    assert_eq!(imported.bytes, content.values().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
    assert_eq!(imported.warnings, Vec::<String>::new());
    assert_eq!(world.import(), imported, "the same folder gives the same commit");
}

/// Runs the test above again in a process whose git configuration is out to break it.
#[test]
fn the_users_git_configuration_has_no_say() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), "hooks/reference-transaction", "#!/bin/sh\nexit 1\n");
    chmod(home.path(), "hooks/reference-transaction", 0o755);
    put(home.path(), "attributes", "* text eol=crlf filter=shout working-tree-encoding=UTF-16\n");
    put(home.path(), "ignore", "*\n");
    let config = format!(
        "[core]\n autocrlf = true\n eol = crlf\n attributesFile = {home}/attributes\n excludesFile = {home}/ignore\n \
         hooksPath = {home}/hooks\n[filter \"shout\"]\n clean = tr a-z A-Z\n smudge = tr A-Z a-z\n required = true\n\
         [commit]\n gpgSign = true\n[init]\n templateDir = {home}\n defaultObjectFormat = sha256\n",
        home = home.path().display()
    );
    put(home.path(), ".gitconfig", &config);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "adapter::shadow::tests::import::every_byte_mode_link_and_name_arrives"])
        .env("HOME", home.path())
        .env("GIT_CONFIG_GLOBAL", home.path().join(".gitconfig"))
        .env("GIT_DIR", "/nonexistent")
        .env("GIT_OBJECT_DIRECTORY", "/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn an_empty_folder_is_an_empty_commit() {
    let world = World::new();
    let imported = world.import();
    assert_eq!((imported.files, imported.bytes), (0, 0));
    assert!(world.content(&imported.commit).is_empty());
}

#[test]
fn ignore_files_hold_without_git_and_batonignore_too() {
    let world = World::new();
    world.put(".gitignore", "target/\n*.log\n!keep.log\n");
    world.put("sub/.gitignore", "local\n");
    world.put(".batonignore", "/secret\n");
    for path in ["target/x", "a.log", "keep.log", "sub/local", "sub/kept", "secret", "sub/secret"] {
        world.put(path, path);
    }
    let content = world.content(&world.import().commit);
    let paths: Vec<&str> = content.keys().map(String::as_str).collect();
    assert_eq!(paths, [".batonignore", ".gitignore", "keep.log", "sub/.gitignore", "sub/kept", "sub/secret"]);
}

#[test]
fn what_git_tracks_is_copied_even_if_ignored_unless_batonignore_hides_it() {
    let world = World::new();
    world.put("kept.log", "1");
    world.put("big.log", "2");
    user_git(&world.folder, &["init", "-q"]);
    user_git(&world.folder, &["add", "-f", "."]);
    user_git(&world.folder, &["commit", "-qm", "one"]);
    world.put(".gitignore", "*.log\n");
    world.put(".batonignore", "big.log\n");
    world.put("new.log", "3");
    let content = world.content(&world.import().commit);
    let paths: Vec<&str> = content.keys().map(String::as_str).collect();
    assert_eq!(paths, [".batonignore", ".gitignore", "kept.log"]);
}

#[test]
fn the_history_of_a_work_tree_is_the_parent() {
    let world = World::new();
    user_git(&world.folder, &["init", "-q"]);
    assert!(world.import().warnings.is_empty(), "a repository without commits is nothing to warn about");
    world.put("a", "1");
    user_git(&world.folder, &["add", "."]);
    user_git(&world.folder, &["commit", "-qm", "one"]);
    world.put("a", "2");
    user_git(&world.folder, &["commit", "-qam", "two"]);
    world.put("a", "not committed");
    let before = photograph_with_times(&world.folder);
    let imported = world.import();
    assert_eq!(photograph_with_times(&world.folder), before, "the folder was touched");
    let head = user_git(&world.folder, &["rev-parse", "HEAD"]);
    assert_eq!(world.git().parents(&imported.commit).unwrap(), std::slice::from_ref(&head));
    let subjects = world.git().run("log", &["log", "--format=%s", &head]).unwrap().text();
    assert_eq!(subjects, "two\none");
    assert_eq!(world.content(&imported.commit)["a"].1, b"not committed");
    assert!(imported.warnings.is_empty());

    // A linked work tree has its history in another folder.
    let linked = world.dir.path().join("linked");
    user_git(&world.folder, &["worktree", "add", "-q", linked.to_str().unwrap(), "HEAD~1"]);
    let imported = world.repos.import(world.project, &linked).unwrap();
    let head = user_git(&linked, &["rev-parse", "HEAD"]);
    assert_eq!(world.git().parents(&imported.commit).unwrap(), [head]);
}

#[test]
fn a_shallow_history_is_kept_as_far_as_it_goes_and_travels() {
    let world = World::new();
    let origin = world.dir.path().join("origin");
    put(&origin, "a", "0");
    user_git(&origin, &["init", "-q"]);
    user_git(&origin, &["add", "."]);
    for round in ["1", "2", "3", "4"] {
        put(&origin, "a", round);
        user_git(&origin, &["commit", "-qam", round]);
    }
    let clone = world.dir.path().join("clone");
    let url = format!("file://{}", origin.display());
    user_git(world.dir.path(), &["clone", "-q", "--depth", "2", &url, clone.to_str().unwrap()]);
    let imported = world.repos.import(world.project, &clone).unwrap();
    assert_eq!(imported.warnings, ["the folder's git history is shallow: only its 2 newest commits are known"]);
    let subjects = world.git().run("log", &["log", "--format=%s", &format!("{}^", imported.commit)]).unwrap().text();
    assert_eq!(subjects, "4\n3");
    let elsewhere = World::new();
    use crate::port::Shadow;
    let bundle = world.repos.bundle(world.project, &imported.commit).unwrap();
    elsewhere.repos.absorb(elsewhere.project, &imported.commit, &bundle.bytes).unwrap();
    assert_eq!(elsewhere.content(&imported.commit)["a"].1, b"4");
}

#[test]
fn a_broken_git_folder_is_a_warning_and_submodules_stay_out() {
    let world = World::new();
    world.put("a", "1");
    world.put(".git", "gitdir: /nowhere\n");
    let imported = world.import();
    assert_eq!(imported.files, 1);
    let [warning] = imported.warnings.as_slice() else { panic!("{:?}", imported.warnings) };
    assert!(warning.starts_with("the folder's git history is left out: git rev-parse: "), "{warning}");

    let world = World::new();
    let library = world.dir.path().join("library");
    put(&library, "code", "x");
    user_git(&library, &["init", "-q"]);
    user_git(&library, &["add", "."]);
    user_git(&library, &["commit", "-qm", "code"]);
    world.put("a", "1");
    user_git(&world.folder, &["init", "-q"]);
    user_git(&world.folder, &["submodule", "--quiet", "add", library.to_str().unwrap(), "lib"]);
    user_git(&world.folder, &["add", "."]);
    user_git(&world.folder, &["commit", "-qm", "with library"]);
    let imported = world.import();
    assert_eq!(imported.warnings, ["submodules are not copied: lib"]);
    assert_eq!(world.content(&imported.commit).into_keys().collect::<Vec<_>>(), [".gitmodules", "a"]);
}
