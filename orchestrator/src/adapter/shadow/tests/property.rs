//! Whatever the folder, the result and the person's edits: apply and undo come back to where they began.

use std::{collections::BTreeMap, fs, path::Path};

use proptest::prelude::*;

use super::support::{World, chmod, link, photograph, put};

/// What a path is made into.
#[derive(Clone, Debug)]
enum Thing {
    File(Vec<u8>, u32),
    Link(&'static str),
    Nothing,
}

fn thing() -> impl Strategy<Value = Thing> {
    let lines = prop::collection::vec(prop::sample::select(vec!["a\n", "b\r\n", "\0", "ü", "c\n"]), 0..6);
    let mode = prop::sample::select(vec![0o644_u32, 0o600, 0o755, 0o700, 0o664]);
    prop_oneof![
        5 => (lines, mode).prop_map(|(lines, mode)| Thing::File(lines.concat().into_bytes(), mode)),
        1 => prop::sample::select(vec!["a", "nowhere"]).prop_map(Thing::Link),
        3 => Just(Thing::Nothing),
    ]
}

fn edits() -> impl Strategy<Value = BTreeMap<&'static str, Thing>> {
    let path = prop::sample::select(vec!["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "f/g/h", "ignored", "x y"]);
    prop::collection::btree_map(path, thing(), 0..7)
}

/// Makes a path into something, whatever was there.
fn make(folder: &Path, path: &str, thing: &Thing) {
    let full = folder.join(path);
    match fs::symlink_metadata(&full) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&full).unwrap(),
        Ok(_) => fs::remove_file(&full).unwrap(),
        Err(_) => {}
    }
    if matches!(thing, Thing::Nothing) {
        return;
    }
    for above in super::super::path::parents(path) {
        if fs::symlink_metadata(folder.join(above)).is_ok_and(|it| !it.is_dir()) {
            fs::remove_file(folder.join(above)).unwrap();
        }
    }
    match thing {
        Thing::File(content, mode) => {
            put(folder, path, content);
            chmod(folder, path, *mode);
        }
        Thing::Link(target) => {
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            link(folder, path, target);
        }
        Thing::Nothing => {}
    }
}

fn make_all(folder: &Path, edits: &BTreeMap<&'static str, Thing>) {
    for (path, thing) in edits {
        make(folder, path, thing);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn apply_and_undo_are_the_identity(start in edits(), result in edits(), mine in edits(), ignore in any::<bool>()) {
        let world = World::new();
        make_all(&world.folder, &start);
        if ignore {
            world.put(".gitignore", "ignored\n");
        }
        let base = world.import().commit;
        let result = world.handoff(&base, |folder| {
            make_all(folder, &result);
            put(folder, ".gitignore", "");
        });
        make_all(&world.folder, &mine);
        let before = photograph(&world.folder);
        let plan = world.plan(&base, &result);
        prop_assert_eq!(&photograph(&world.folder), &before);
        prop_assert_eq!(plan.after_commit.is_none(), !plan.conflicts.is_empty());
        if let Some(after) = plan.after_commit {
            let from = plan.before_commit;
            match world.repos.write_folder(world.project, &from, &after, &world.folder) {
                Ok(report) => {
                    prop_assert_eq!(report.written, plan.changed.len() as u64);
                    let now = world.plan(&from, &after);
                    prop_assert_eq!(now.changed, vec![], "nothing is left to do");
                    world.repos.undo(world.project, &from, &after, &world.folder, false).unwrap();
                }
                // Something unseen by git (an ignored file, an empty folder) stands in the way.
                Err(crate::adapter::shadow::ApplyError::Obstructed { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
            prop_assert_eq!(photograph(&world.folder), before);
        }
    }
}
