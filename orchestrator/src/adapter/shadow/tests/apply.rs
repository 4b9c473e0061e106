//! Applying, and taking back.

use std::fs;

use bus_schemas::v1::handoff::ChangeKind;

use super::support::{World, chmod, link, photograph, put};
use crate::adapter::shadow::{
    ApplyError, WriteReport,
    blobs::Blobs,
    diff::tree_changes,
    folder::{Folder, temp_name},
    record::Record,
    write::Writer,
};

/// A folder with a bit of everything, and a result that changes most of it.
fn rich() -> (World, String, String) {
    let world = World::new();
    world.put("edit.txt", "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n");
    world.put("private", "secret");
    world.put("tool", "#!/bin/sh\n");
    world.put("gone/deep/file", "bye");
    world.put("file-to-dir", "f");
    world.put("dir-to-file/a", "a");
    world.put("dir-to-file/b/c", "c");
    world.put("quiet", "untouched");
    link(&world.folder, "link", "quiet");
    fs::create_dir(world.folder.join("out")).unwrap();
    chmod(&world.folder, "private", 0o640);
    chmod(&world.folder, "gone/deep", 0o700);
    chmod(&world.folder, "gone/deep/file", 0o600);
    let base = world.import().commit;
    let result = world.handoff(&base, |folder| {
        put(folder, "edit.txt", "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\nseven\r\n");
        put(folder, "private", "more secret");
        chmod(folder, "tool", 0o755);
        fs::remove_dir_all(folder.join("gone")).unwrap();
        fs::remove_file(folder.join("file-to-dir")).unwrap();
        put(folder, "file-to-dir/x/y", "y");
        fs::remove_dir_all(folder.join("dir-to-file")).unwrap();
        put(folder, "dir-to-file", "now a file");
        put(folder, "out/report", b"\0\xff");
        put(folder, "new/deep/ü", "n");
        fs::remove_file(folder.join("link")).unwrap();
        link(folder, "link", "tool");
    });
    (world, base, result)
}

#[test]
fn apply_and_undo_come_back_to_the_same_bytes_and_modes() {
    let (world, base, result) = rich();
    let before = photograph(&world.folder);
    let plan = world.plan(&base, &result);
    assert_eq!(photograph(&world.folder), before, "planning writes nothing");
    assert_eq!((plan.conflicts.len(), plan.merged_with_yours.len()), (0, 0));
    let after = plan.after_commit.unwrap();
    let report = world.repos.write_folder(world.project, &plan.before_commit, &after, &world.folder).unwrap();
    assert_eq!(report, WriteReport { written: plan.changed.len() as u64, already_right: 0 });

    assert_eq!(fs::read(world.folder.join("edit.txt")).unwrap(), b"1\r\n2\r\n3\r\n4\r\n5\r\n6\r\nseven\r\n");
    let now = photograph(&world.folder);
    let mode = |path: &str| now[path].0 & 0o777;
    assert_eq!(mode("private"), 0o640, "permission bits are kept");
    assert_eq!(mode("tool"), 0o755);
    assert!(!now.contains_key("gone"), "emptied folders go");
    assert_eq!(now["dir-to-file"].1, b"now a file");
    assert_eq!(now["file-to-dir/x/y"].1, b"y");
    assert_eq!(now["link"].1, b"tool");
    assert_eq!(world.content(&world.import().commit), world.content(&after));

    let again = world.repos.write_folder(world.project, &plan.before_commit, &after, &world.folder).unwrap();
    assert_eq!(again, WriteReport { written: 0, already_right: report.written });
    let view = world.repos.undo(world.project, &plan.before_commit, &after, &world.folder, false).unwrap();
    assert_eq!(view.changed.len(), plan.changed.len());
    assert!(view.changed.iter().any(|change| change.path == "new/deep/ü" && change.kind == ChangeKind::Deleted));
    assert_eq!(photograph(&world.folder), before);
    world.repos.undo(world.project, &plan.before_commit, &after, &world.folder, false).unwrap();
    assert_eq!(photograph(&world.folder), before, "twice is once");
}

#[test]
fn an_interrupted_apply_goes_on_or_is_taken_back_wherever_it_stopped() {
    let (world, base, result) = rich();
    let before = photograph(&world.folder);
    let plan = world.plan(&base, &result);
    let (from, to) = (plan.before_commit, plan.after_commit.unwrap());
    let changes = tree_changes(&world.git(), &from, &to).unwrap();
    for stop in 0..=changes.len() {
        for go_on in [true, false] {
            let folder = Folder::open(&world.folder).unwrap();
            Record::take(&folder, &changes).unwrap().save(&world.git(), &from, &to).unwrap();
            // The first removals and additions, as a crash would leave them.
            let mut order: Vec<_> = changes.clone();
            order.sort_by_key(|change| change.after.is_some());
            let done = &order[..stop];
            Writer::new(&folder, Blobs::open(&world.git()).unwrap(), done, None).write(false).unwrap();
            put(&world.folder, &temp_name("quiet"), "half");
            put(&world.folder, &temp_name("edit.txt"), "half");
            fs::remove_file(world.folder.join(temp_name("quiet"))).unwrap();
            if go_on {
                let report = world.repos.write_folder(world.project, &from, &to, &world.folder).unwrap();
                assert_eq!(report.already_right, stop as u64);
                assert_eq!(world.content(&world.import().commit), world.content(&to));
            }
            world.repos.undo(world.project, &from, &to, &world.folder, false).unwrap();
            assert_eq!(photograph(&world.folder), before, "stopped after {stop}, go on: {go_on}");
        }
    }
}

#[test]
fn the_users_edits_elsewhere_stay_and_in_the_same_file_are_merged_and_said() {
    let (world, base, result) = rich();
    world.put("quiet", "edited by the person");
    world.put("brand-new", "by the person");
    world.put("edit.txt", "one\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n");
    let before = photograph(&world.folder);
    let plan = world.plan(&base, &result);
    assert_eq!(plan.merged_with_yours, ["edit.txt"]);
    assert!(!plan.changed.iter().any(|change| change.path == "quiet" || change.path == "brand-new"));
    let after = plan.after_commit.unwrap();
    world.repos.write_folder(world.project, &plan.before_commit, &after, &world.folder).unwrap();
    let merged = fs::read(world.folder.join("edit.txt")).unwrap();
    assert_eq!(merged, b"one\r\n2\r\n3\r\n4\r\n5\r\n6\r\nseven\r\n");
    assert_eq!(fs::read(world.folder.join("quiet")).unwrap(), b"edited by the person");
    world.repos.undo(world.project, &plan.before_commit, &after, &world.folder, false).unwrap();
    assert_eq!(photograph(&world.folder), before);
}

#[test]
fn conflicts_are_shown_and_nothing_is_written() {
    let (world, base, result) = rich();
    world.put("edit.txt", "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\nSIEBEN\r\n");
    world.put("out/report", b"\0mine");
    world.put("tool", "#!/bin/bash\n");
    let before = photograph(&world.folder);
    let plan = world.plan(&base, &result);
    assert_eq!(photograph(&world.folder), before);
    assert_eq!((plan.after_commit.as_ref(), plan.changed.len()), (None, 0));
    let shown: Vec<_> = plan.conflicts.iter().map(|it| (it.path.as_str(), it.kind.as_str())).collect();
    assert_eq!(shown, [("edit.txt", "content"), ("out/report", "binary")]);
    assert_eq!(
        plan.conflicts[0].text,
        "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n<<<<<<< your folder\r\nSIEBEN\r\n=======\r\nseven\r\n>>>>>>> the result\r\n"
    );
    assert_eq!(plan.conflicts[1].text, "warning: Cannot merge binary files: out/report (your folder vs. the result)");
    assert_eq!(plan.view(&world.folder, true).conflicts, plan.conflicts);
}

#[test]
fn a_file_one_side_needs_and_the_other_removed_is_a_conflict() {
    let world = World::new();
    world.put("a", "1");
    world.put("b", "1");
    world.put("c/d", "1");
    let base = world.import().commit;
    let result = world.handoff(&base, |folder| {
        fs::remove_file(folder.join("a")).unwrap();
        put(folder, "b", "2");
        put(folder, "e", "file");
    });
    world.put("a", "still needed");
    fs::remove_file(world.folder.join("b")).unwrap();
    world.put("e/f", "folder");
    let conflicts = world.plan(&base, &result).conflicts;
    let shown: Vec<_> = conflicts.iter().map(|it| (it.path.as_str(), it.kind.as_str())).collect();
    assert_eq!(shown, [("a", "modify/delete"), ("b", "modify/delete"), ("e", "file/directory")]);
    assert!(conflicts[0].text.contains("a deleted in the result and modified in your folder"), "{}", conflicts[0].text);
}

#[test]
fn a_change_follows_a_file_the_person_renamed() {
    let world = World::new();
    let lines = |last: &str| format!("one\ntwo\nthree\nfour\nfive\n{last}\n");
    world.put("old", lines("six"));
    let base = world.import().commit;
    let result = world.handoff(&base, |folder| put(folder, "old", lines("SIX")));
    fs::rename(world.folder.join("old"), world.folder.join("new")).unwrap();
    let before = photograph(&world.folder);
    let plan = world.plan(&base, &result);
    assert_eq!(plan.merged_with_yours, ["new"]);
    let after = plan.after_commit.unwrap();
    world.repos.write_folder(world.project, &plan.before_commit, &after, &world.folder).unwrap();
    assert_eq!(fs::read_to_string(world.folder.join("new")).unwrap(), lines("SIX"));
    world.repos.undo(world.project, &plan.before_commit, &after, &world.folder, false).unwrap();
    assert_eq!(photograph(&world.folder), before);
}

#[test]
fn a_long_conflict_is_cut_to_the_place_that_matters() {
    let world = World::new();
    let long = "ü line\n".repeat(10_000);
    world.put("long", format!("{long}end\n"));
    let base = world.import().commit;
    let result = world.handoff(&base, |folder| put(folder, "long", format!("{long}theirs\n")));
    world.put("long", format!("{long}mine\n"));
    let text = &world.plan(&base, &result).conflicts[0].text;
    assert!(text.len() <= 16 << 10);
    assert!(text.starts_with("ü line\nü line\nü line\n<<<<<<< your folder\nmine\n"), "{text}");
}

#[test]
fn an_ignored_file_is_never_overwritten_unseen() {
    let world = World::new();
    world.put(".gitignore", "*.out\n");
    world.put("a", "1");
    let base = world.import().commit;
    world.put(".batonignore", "nothing\n");
    let result = world.handoff(&base, |folder| {
        fs::remove_file(folder.join(".gitignore")).unwrap();
        put(folder, "same.out", "same");
        put(folder, "other.out", "from the result");
    });
    world.put("same.out", "same");
    world.put("other.out", "precious");
    let plan = world.plan(&base, &result);
    let shown: Vec<_> = plan.conflicts.iter().map(|it| (it.path.as_str(), it.kind.as_str())).collect();
    assert_eq!(shown, [("other.out", "add/add")]);

    fs::remove_file(world.folder.join("other.out")).unwrap();
    let before = photograph(&world.folder);
    let plan = world.plan(&base, &result);
    let after = plan.after_commit.unwrap();
    assert!(!plan.changed.iter().any(|change| change.path == "same.out"));
    world.repos.write_folder(world.project, &plan.before_commit, &after, &world.folder).unwrap();
    world.repos.undo(world.project, &plan.before_commit, &after, &world.folder, false).unwrap();
    assert_eq!(photograph(&world.folder), before, "the file that was the same is not taken away");
}

#[test]
fn what_changes_between_plan_and_write_stops_it_before_anything_is_written() {
    let (world, base, result) = rich();
    let plan = world.plan(&base, &result);
    let after = plan.after_commit.unwrap();
    let write = || world.repos.write_folder(world.project, &plan.before_commit, &after, &world.folder);
    let untouched = photograph(&world.folder);
    let expect_changed = |paths: &[&str]| {
        let before = photograph(&world.folder);
        match write() {
            Err(ApplyError::ChangedMeanwhile { paths: named }) => assert_eq!(named, paths),
            other => panic!("{other:?}"),
        }
        assert_eq!(photograph(&world.folder), before);
    };
    world.put("edit.txt", "edited");
    world.put("new/deep/ü", "mine");
    expect_changed(&["edit.txt", "new/deep/ü"]);
    world.put("edit.txt", "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n");
    fs::remove_dir_all(world.folder.join("new")).unwrap();

    let expect_in_the_way = |paths: &[&str]| {
        let before = photograph(&world.folder);
        match write() {
            Err(ApplyError::Obstructed { paths: named }) => assert_eq!(named, paths),
            other => panic!("{other:?}"),
        }
        assert_eq!(photograph(&world.folder), before);
    };
    world.put("dir-to-file/mine", "m");
    fs::create_dir(world.folder.join("dir-to-file/empty")).unwrap();
    expect_in_the_way(&["dir-to-file/empty", "dir-to-file/mine"]);
    fs::remove_file(world.folder.join("dir-to-file/mine")).unwrap();
    fs::remove_dir(world.folder.join("dir-to-file/empty")).unwrap();

    // A link in place of a folder is not followed.
    let outside = world.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    link(&world.folder, "new", outside.to_str().unwrap());
    expect_in_the_way(&["new"]);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    fs::remove_file(world.folder.join("new")).unwrap();

    assert_eq!(photograph(&world.folder), untouched);
    write().unwrap();
}

#[test]
fn undo_refuses_what_was_changed_after_the_apply_unless_forced() {
    let (world, base, result) = rich();
    let before = photograph(&world.folder);
    let plan = world.plan(&base, &result);
    let after = plan.after_commit.unwrap();
    world.repos.write_folder(world.project, &plan.before_commit, &after, &world.folder).unwrap();
    world.put("edit.txt", "edited after the apply");
    world.put("out/report", "edited after the apply");
    fs::remove_file(world.folder.join("private")).unwrap();
    let edited = photograph(&world.folder);
    let undo = |force| world.repos.undo(world.project, &plan.before_commit, &after, &world.folder, force);
    match undo(false) {
        Err(ApplyError::ChangedMeanwhile { paths }) => assert_eq!(paths, ["edit.txt", "out/report", "private"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(photograph(&world.folder), edited);
    undo(true).unwrap();
    assert_eq!(photograph(&world.folder), before);
}

#[test]
fn a_result_that_leads_out_of_the_folder_is_not_written() {
    let world = World::new();
    world.put("a", "1");
    let base = world.import().commit;
    let git = world.git();
    let blob = git.run_with("hash-object", &["hash-object", "-w", "--stdin"], b"../../outside").unwrap().text();
    let tree = format!("120000 blob {blob}\tlink\0");
    let tree = git.run_with("mktree", &["mktree", "-z"], tree.as_bytes()).unwrap().text();
    let result = git.commit_tree(&tree, std::slice::from_ref(&base), "bad\n").unwrap();
    let before = photograph(&world.folder);
    let planned = world.repos.plan_apply(world.project, &base, &result, &world.folder);
    assert!(matches!(planned, Err(ApplyError::UnsafePath { path }) if path == "link"));
    let written = world.repos.write_folder(world.project, &base, &result, &world.folder);
    assert!(matches!(written, Err(ApplyError::UnsafePath { path }) if path == "link"));
    assert_eq!(photograph(&world.folder), before);
    assert!(!world.repos.has_begun(world.project, &base, &result).unwrap());
}
