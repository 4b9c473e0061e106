//! Applies that cannot be written, or not to the end.

use std::fs;

use super::support::{World, chmod, photograph, put};
use crate::adapter::shadow::{ApplyError, folder::temp_name};

/// A result that changes `a`, empties `gone`, and adds `new/deep` and `z`.
fn small() -> (World, String, String) {
    let world = World::new();
    world.put("a", "1");
    world.put("gone/x", "x");
    fs::create_dir(world.folder.join("empty")).unwrap();
    chmod(&world.folder, "gone", 0o700);
    let base = world.import().commit;
    let result = world.handoff(&base, |folder| {
        put(folder, "a", "2");
        fs::remove_dir_all(folder.join("gone")).unwrap();
        put(folder, "empty/new", "n");
        put(folder, "z", "z");
    });
    (world, base, result)
}

#[test]
fn planning_finds_what_stands_in_the_way() {
    let world = World::new();
    world.put(".gitignore", "out\n");
    world.put("a", "1");
    let base = world.import().commit;
    world.put("out/keep", "precious");
    let result = world.handoff(&base, |folder| {
        fs::remove_file(folder.join(".gitignore")).unwrap();
        fs::remove_dir_all(folder.join("out")).unwrap();
        put(folder, "out", "a file");
    });
    let before = photograph(&world.folder);
    match world.repos.plan_apply(world.project, &base, &result, &world.folder) {
        Err(ApplyError::Obstructed { paths }) => assert_eq!(paths, ["out"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(photograph(&world.folder), before);
    fs::remove_dir_all(world.folder.join("out")).unwrap();
    assert!(world.plan(&base, &result).after_commit.is_some());
}

#[test]
fn what_fails_before_the_first_path_has_not_begun() {
    let (world, base, result) = small();
    let plan = world.plan(&base, &result);
    let (from, to) = (plan.before_commit, plan.after_commit.unwrap());
    let begun = || world.repos.has_begun(world.project, &from, &to).unwrap();
    let write = || world.repos.write_folder(world.project, &from, &to, &world.folder);

    world.put("a", "edited");
    assert!(matches!(write(), Err(ApplyError::ChangedMeanwhile { .. })));
    assert!(!begun());
    world.put("a", "1");

    let away = world.dir.path().join("away");
    fs::rename(&world.folder, &away).unwrap();
    assert!(matches!(write(), Err(ApplyError::Import(_))));
    assert!(!begun());
    fs::rename(&away, &world.folder).unwrap();

    let before = photograph(&world.folder);
    let undone = world.repos.undo(world.project, &from, &to, &world.folder, false).unwrap();
    assert_eq!((undone.changed.len(), photograph(&world.folder)), (0, before), "there is nothing to take back");
    write().unwrap();
    assert!(begun());
}

#[test]
fn an_error_at_the_very_first_path_leaves_no_trace() {
    let world = World::new();
    world.put("a", "1");
    let base = world.import().commit;
    let result = world.handoff(&base, |folder| put(folder, "a", "2"));
    // Something that the checks do not see: the name of the temporary file is taken by a folder.
    fs::create_dir(world.folder.join(temp_name("a"))).unwrap();
    let before = photograph(&world.folder);
    world.repos.write_folder(world.project, &base, &result, &world.folder).unwrap_err();
    assert!(!world.repos.has_begun(world.project, &base, &result).unwrap());
    assert_eq!(photograph(&world.folder), before);
}

#[test]
fn a_half_written_folder_goes_on_or_is_put_back_exactly() {
    for goes_on in [false, true] {
        let (world, base, result) = small();
        let obstacle = world.folder.join(temp_name("z"));
        let clean = photograph(&world.folder);
        let plan = world.plan(&base, &result);
        let (from, to) = (plan.before_commit, plan.after_commit.unwrap());
        let begun = || world.repos.has_begun(world.project, &from, &to).unwrap();
        let write = || world.repos.write_folder(world.project, &from, &to, &world.folder);
        let undo = || world.repos.undo(world.project, &from, &to, &world.folder, false).unwrap();
        fs::create_dir(&obstacle).unwrap();
        let obstructed = photograph(&world.folder);
        for _ in 0..2 {
            write().unwrap_err();
            assert!(begun());
            assert_eq!(fs::read_to_string(world.folder.join("a")).unwrap(), "2");
            assert!(!world.folder.join("gone/x").exists() && !world.folder.join("z").exists());
        }
        if goes_on {
            fs::remove_dir(&obstacle).unwrap();
            write().unwrap();
            assert_eq!(fs::read_to_string(world.folder.join("z")).unwrap(), "z");
        }
        undo();
        assert_eq!(photograph(&world.folder), if goes_on { clean.clone() } else { obstructed });
        assert!(!begun());

        // The same apply begins anew, with a record of its own.
        if obstacle.exists() {
            fs::remove_dir(&obstacle).unwrap();
        }
        chmod(&world.folder, "a", 0o600);
        let before = photograph(&world.folder);
        write().unwrap();
        undo();
        assert_eq!(photograph(&world.folder), before);
    }
}

#[test]
fn what_the_person_put_in_the_place_of_a_new_file_stays_when_the_rest_is_put_back() {
    let (world, base, result) = small();
    let plan = world.plan(&base, &result);
    let (from, to) = (plan.before_commit, plan.after_commit.unwrap());
    fs::create_dir(world.folder.join(temp_name("z"))).unwrap();
    world.repos.write_folder(world.project, &from, &to, &world.folder).unwrap_err();
    world.put("z/mine", "mine");
    world.repos.undo(world.project, &from, &to, &world.folder, false).unwrap();
    assert_eq!(fs::read_to_string(world.folder.join("z/mine")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(world.folder.join("a")).unwrap(), "1");
    assert!(world.folder.join("gone/x").exists() && !world.folder.join("empty/new").exists());
}
