//! Merges, bundles and differences.

use bus_schemas::v1::handoff::{ChangeKind, ChangedPath};

use super::support::{World, chmod, put, user_git};
use crate::port::{Shadow, ShadowError};

#[test]
fn merges_one_after_the_other() {
    let world = World::new();
    world.put("a", "1\n2\n3\n4\n5\n");
    let base = world.import().commit;
    let one = world.handoff(&base, |folder| put(folder, "a", "one\n2\n3\n4\n5\n"));
    let two = world.handoff(&base, |folder| put(folder, "a", "1\n2\n3\n4\nfive\n"));
    let three = world.handoff(&base, |folder| put(folder, "new/three", "3"));
    let merge = |commits: &[&String]| {
        world.repos.merge(world.project, &commits.iter().map(|commit| (*commit).clone()).collect::<Vec<_>>())
    };
    assert_eq!(merge(&[&one]).unwrap(), one);
    assert_eq!(merge(&[&base, &one, &base]).unwrap(), one, "what is contained already adds nothing");
    let all = merge(&[&one, &two, &three]).unwrap();
    assert_eq!(merge(&[&one, &two, &three]).unwrap(), all, "the same merge gives the same commit");
    let content = world.content(&all);
    assert_eq!(content["a"].1, b"one\n2\n3\n4\nfive\n");
    assert_eq!(content["new/three"].1, b"3");
    assert!(matches!(merge(&[]), Err(ShadowError::Git { .. })));
}

#[test]
fn a_conflict_names_every_path() {
    let world = World::new();
    world.put("text", "1\n");
    world.put("binary", b"\0\x01");
    world.put("gone", "1\n");
    let base = world.import().commit;
    let one = world.handoff(&base, |folder| {
        put(folder, "text", "one\n");
        put(folder, "binary", b"\0one");
        std::fs::remove_file(folder.join("gone")).unwrap();
        put(folder, "both", "one\n");
    });
    let two = world.handoff(&base, |folder| {
        put(folder, "text", "two\n");
        put(folder, "binary", b"\0two");
        put(folder, "gone", "2\n");
        put(folder, "both", "two\n");
        put(folder, "fine", "two\n");
    });
    match world.repos.merge(world.project, &[one, two]) {
        Err(ShadowError::Conflict { paths }) => assert_eq!(paths, ["binary", "both", "gone", "text"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bundles_carry_commits_to_another_machine() {
    let here = World::new();
    here.put("a", "1");
    user_git(&here.folder, &["init", "-q"]);
    user_git(&here.folder, &["add", "."]);
    user_git(&here.folder, &["commit", "-qm", "one"]);
    here.put("b", "2");
    let base = here.import().commit;
    let one = here.handoff(&base, |folder| put(folder, "c", "one"));
    let two = here.handoff(&base, |folder| put(folder, "d", "two"));
    let same = here.handoff(&two, |folder| put(folder, "d", "two"));
    let merged = here.repos.merge(here.project, &[one.clone(), same.clone()]).unwrap();

    let there = World::new();
    assert!(!there.repos.has(there.project, &base));
    let bundle = |commit: &str| here.repos.bundle(here.project, commit).unwrap();
    let take = |commit: &str| there.repos.absorb(there.project, commit, &bundle(commit).bytes);
    assert_eq!(bundle(&base).parents, Vec::<String>::new());
    assert_eq!(bundle(&one).parents, std::slice::from_ref(&base));
    assert_eq!(bundle(&merged).parents, [one.clone(), same.clone()]);
    assert!(matches!(take(&one), Err(ShadowError::Git { .. })), "its parent is not there");
    for commit in [&base, &one, &two, &same, &merged, &merged] {
        take(commit).unwrap();
        assert!(there.repos.has(there.project, commit));
    }
    assert_eq!(there.content(&merged), here.content(&merged));
    assert_eq!(there.git().run("log", &["log", "--format=%s", &format!("{base}^")]).unwrap().text(), "one");
    assert!(there.repos.absorb(there.project, &one, b"rubbish").is_err());
    assert!(there.repos.absorb(there.project, &one, &bundle(&two).bytes).is_err(), "another commit's bundle");
}

#[test]
fn only_commit_ids_reach_git() {
    let world = World::new();
    let base = world.import().commit;
    for bad in ["HEAD", "--help", "", &base[1..], &base.to_uppercase(), &format!("{base}^")] {
        assert!(!world.repos.has(world.project, bad), "{bad}");
        assert!(world.repos.bundle(world.project, bad).is_err(), "{bad}");
        assert!(world.repos.diff(world.project, &base, bad).is_err(), "{bad}");
        assert!(world.repos.merge(world.project, &[base.clone(), bad.to_owned()]).is_err(), "{bad}");
    }
    let unknown = "0123456789012345678901234567890123456789";
    assert!(!world.repos.has(world.project, unknown));
    assert!(world.repos.diff(world.project, &base, unknown).is_err());
    world.repos.remove(world.project).unwrap();
    assert!(!world.repos.has(world.project, &base));
    world.repos.remove(world.project).unwrap();
}

#[test]
fn differences_are_listed_and_shown() {
    let world = World::new();
    world.put("mode", "m");
    world.put("gone", "line one\nline two\nline three\n");
    world.put("text ü", "old\n");
    world.put("binary", b"\0\x01");
    let base = world.import().commit;
    let commit = world.handoff(&base, |folder| {
        chmod(folder, "mode", 0o755);
        std::fs::rename(folder.join("gone"), folder.join("moved")).unwrap();
        put(folder, "text ü", "new!\n");
        put(folder, "binary", b"\0\x02\x03");
    });
    let diff = world.repos.diff(world.project, &base, &commit).unwrap();
    let changed = |path: &str, kind, bytes| ChangedPath { path: path.to_owned(), kind, bytes };
    assert_eq!(
        diff.changed,
        [
            changed("binary", ChangeKind::Modified, 3),
            changed("gone", ChangeKind::Deleted, 0),
            changed("mode", ChangeKind::Modified, 1),
            changed("moved", ChangeKind::Added, 29),
            changed("text ü", ChangeKind::Modified, 5),
        ]
    );
    for part in
        ["rename to moved", "new mode 100755", "-old\n+new!\n", "a/text ü", "Binary files a/binary and b/binary"]
    {
        assert!(diff.text.contains(part), "{part} in {}", diff.text);
    }
    assert!(!diff.truncated);

    let long = world.handoff(&base, |folder| put(folder, "long", "0123456789\n".repeat(500_000)));
    let diff = world.repos.diff(world.project, &base, &long).unwrap();
    assert!(diff.truncated && diff.text.len() <= 4 << 20 && diff.text.ends_with("0123456789\n"));
}
