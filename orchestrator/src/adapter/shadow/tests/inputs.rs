use std::{fs, path::Path};

use super::support::{World, put};
use crate::adapter::shadow::{
    FolderLimits, InputFile,
    error::InputsError,
    import::write_commit,
    scan::{Wanted, scan},
};

fn file(name: &str, content: &str) -> InputFile {
    InputFile { name: name.to_owned(), content: content.as_bytes().to_vec() }
}

/// Commits what `edit` makes of the base's files.
fn handoff(world: &World, base: &str, edit: impl FnOnce(&Path)) -> String {
    let work = tempfile::tempdir_in(world.dir.path()).unwrap();
    world.content(base).into_iter().for_each(|(path, (_, content))| put(work.path(), &path, content));
    edit(work.path());
    let work = work.path().canonicalize().unwrap();
    let everything = scan(&work, FolderLimits::default(), &Wanted::default()).unwrap();
    write_commit(&world.git(), &work, &everything.items, &[base.to_owned()], "A handoff\n").unwrap()
}

/// The first free one of a name's variants.
fn unique(name: &str, is_taken: &dyn Fn(&str) -> bool) -> String {
    let mut candidates = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{n}-{name}")));
    candidates.find(|candidate| !is_taken(candidate)).unwrap()
}

fn with(world: &World, commit: &str, files: &[InputFile]) -> Result<String, InputsError> {
    world.repos.with_inputs(world.project, commit, files, &unique)
}

fn paths(world: &World, commit: &str) -> Vec<String> {
    world.content(commit).into_keys().collect()
}

#[test]
fn inputs_are_in_the_first_commit_and_never_in_the_folder() {
    let world = World::new();
    world.put("a.txt", "one\n");
    let imported = world.import().commit;
    let base = with(&world, &imported, &[file("data.csv", "1,2\n"), file("b.pdf", "\0")]).unwrap();
    assert_eq!(paths(&world, &base), ["a.txt", "inputs/b.pdf", "inputs/data.csv"]);
    // An agent reads them, changes one, removes one, makes a file beside them, and does its work.
    let result = handoff(&world, &base, |work| {
        fs::write(work.join("inputs/data.csv"), "changed\n").unwrap();
        fs::remove_file(work.join("inputs/b.pdf")).unwrap();
        fs::write(work.join("inputs/derived.txt"), "new\n").unwrap();
        fs::write(work.join("a.txt"), "two\n").unwrap();
    });
    let plan = world.repos.plan_apply(world.project, &base, &result, &world.folder).unwrap();
    let changed: Vec<&str> = plan.changed.iter().map(|change| change.path.as_str()).collect();
    assert_eq!((changed, plan.conflicts.len()), (vec!["a.txt", "inputs/derived.txt"], 0));
    let after = plan.after_commit.unwrap();
    world.repos.write_folder(world.project, &plan.before_commit, &after, &world.folder).unwrap();
    assert_eq!(fs::read_to_string(world.folder.join("a.txt")).unwrap(), "two\n");
    assert!(!world.folder.join("inputs/data.csv").exists() && !world.folder.join("inputs/b.pdf").exists());
    assert_eq!(fs::read_to_string(world.folder.join("inputs/derived.txt")).unwrap(), "new\n", "its own work");
    // The same commit travels to hosts with its history.
    assert!(crate::port::Shadow::bundle(&world.repos, world.project, &base).unwrap().parents.is_empty());
}

#[test]
fn files_of_the_folder_keep_their_names() {
    let world = World::new();
    world.put("inputs/data.csv", "mine\n");
    let imported = world.import().commit;
    let base = with(&world, &imported, &[file("DATA.csv", "theirs\n")]).unwrap();
    assert_eq!(paths(&world, &base), ["inputs/2-DATA.csv", "inputs/data.csv"]);
    let result = handoff(&world, &base, |work| {
        fs::write(work.join("inputs/data.csv"), "better\n").unwrap();
        fs::write(work.join("inputs/2-DATA.csv"), "worse\n").unwrap();
    });
    let plan = world.repos.plan_apply(world.project, &base, &result, &world.folder).unwrap();
    let changed: Vec<&str> = plan.changed.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(changed, ["inputs/data.csv"]);
}

#[test]
fn a_file_in_the_place_of_the_inputs_is_not_replaced() {
    let world = World::new();
    world.put("inputs", "a file\n");
    let imported = world.import().commit;
    assert!(matches!(with(&world, &imported, &[file("a", "x")]), Err(InputsError::Taken)));
    let world = World::new();
    let imported = world.import().commit;
    for name in ["../a", "a/b", ".git", "a\nb"] {
        assert!(matches!(with(&world, &imported, &[file(name, "x")]), Err(InputsError::BadName { .. })), "{name}");
    }
}
