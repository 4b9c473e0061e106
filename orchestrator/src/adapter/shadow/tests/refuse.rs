//! What cannot be copied in is refused with a reason and a way out.

use std::{fs, os::unix::net::UnixListener, path::Path};

use super::support::{World, chmod, link};
use crate::adapter::shadow::{FolderLimits, ImportError, import::write_commit, scan};

fn refusal(world: &World) -> (ImportError, String) {
    let error = world.repos.import(world.project, &world.folder).unwrap_err();
    let text = error.to_string();
    (error, text)
}

#[test]
fn a_folder_that_is_none() {
    let world = World::new();
    let import = |path: &Path| world.repos.import(world.project, path).unwrap_err().to_string();
    let missing = world.dir.path().join("missing");
    assert_eq!(import(&missing), format!("folder {} does not exist: create it or correct the path", missing.display()));
    let file = world.dir.path().join("file");
    fs::write(&file, "x").unwrap();
    assert_eq!(import(&file), format!("{} is not a folder: give the folder that holds it", file.display()));
    assert_eq!(
        import(&file.join("below")),
        format!("{} is not a folder: give the folder that holds it", file.join("below").display())
    );
    assert_eq!(import(Path::new("folder")), "folder folder is not an absolute path: give the full path");
}

#[test]
fn too_much() {
    let world = World::new();
    // Sparse: a gigabyte that takes no room.
    fs::File::create(world.folder.join("big")).unwrap().set_len(1 << 30).unwrap();
    assert_eq!(
        refusal(&world).1,
        "file big is 1024 MiB, more than the 256 MiB a file may have: list it in .batonignore or raise max_file_mib"
    );
    world.put(".batonignore", "big\n");
    assert_eq!(world.import().files, 1);

    let world = World::with_limits(FolderLimits { max_file_mib: 2, max_total_mib: 3, max_files: 3 });
    for name in ["a", "b"] {
        fs::File::create(world.folder.join(name)).unwrap().set_len(2 << 20).unwrap();
    }
    assert!(matches!(refusal(&world).0, ImportError::TotalTooBig { limit_mib: 3, at, .. } if at == "b"));
    fs::remove_file(world.folder.join("b")).unwrap();
    for name in ["b", "c"] {
        world.put(name, "");
    }
    assert_eq!(world.import().files, 3);
    world.put("d", "");
    assert!(matches!(refusal(&world).0, ImportError::TooManyFiles { limit: 3, at, .. } if at == "d"));
}

#[test]
fn links_that_leave() {
    for (path, target) in [("out", "/etc/passwd"), ("sub/out", "../../x"), ("out", "sub/../../x")] {
        let world = World::new();
        world.put("sub/file", "x");
        link(&world.folder, path, target);
        assert_eq!(
            refusal(&world).1,
            format!("link {path} leads out of the folder to {target}: remove it or list it in .batonignore")
        );
        world.put(".batonignore", "out\n");
        assert_eq!(world.import().files, 2);
    }
    // No single text leaves, but the chain does.
    let world = World::new();
    link(&world.folder, "here", ".");
    link(&world.folder, "out", "here/..");
    assert!(matches!(refusal(&world).0, ImportError::LinkLeaves { path, .. } if path == "out"));
}

#[test]
fn things_that_are_no_files() {
    let world = World::new();
    let status = std::process::Command::new("mkfifo").arg(world.folder.join("pipe")).status().unwrap();
    assert!(status.success());
    assert_eq!(refusal(&world).1, "pipe is a named pipe, not a file: remove it or list it in .batonignore");
    let world = World::new();
    let _listener = UnixListener::bind(world.folder.join("socket")).unwrap();
    assert!(matches!(refusal(&world).0, ImportError::Special { kind: "socket", .. }));
}

#[test]
fn names_that_cannot_travel() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    for (name, message) in [
        (&b"a\nb"[..], "the name \"a\\nb\" contains control characters: rename it or list it in .batonignore"),
        (&b"a\x1bb"[..], "the name \"a\\u{1b}b\" contains control characters: rename it or list it in .batonignore"),
        (&b"a\xffb"[..], "the name \"a\\xFFb\" is not valid UTF-8: rename it or list it in .batonignore"),
    ] {
        let world = World::new();
        fs::write(world.folder.join(OsStr::from_bytes(name)), "x").unwrap();
        assert_eq!(refusal(&world).1, message);
    }
}

#[test]
fn a_file_or_folder_without_the_right_to_read() {
    let world = World::new();
    world.put("secret", "x");
    chmod(&world.folder, "secret", 0o000);
    chmod(world.dir.path(), "", 0o777);
    let refused = || {
        // Root may read everything, so the import runs as somebody else, in a thread of its own.
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    if rustix::process::geteuid().is_root() {
                        let nobody = rustix::fs::Uid::from_raw(65_534);
                        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
                    }
                    world.repos.import(world.project, &world.folder).unwrap_err()
                })
                .join()
                .unwrap()
        })
    };
    let error = refused();
    assert!(matches!(&error, ImportError::Unreadable { path, .. } if path == "secret"), "{error:?}");
    assert_eq!(error.to_string(), "cannot read secret: give yourself the right to read it or list it in .batonignore");
    fs::remove_file(world.folder.join("secret")).unwrap();
    world.put("closed/x", "x");
    chmod(&world.folder, "closed", 0o000);
    let error = refused();
    assert!(matches!(&error, ImportError::Unreadable { path, .. } if path == "closed"), "{error:?}");
    chmod(&world.folder, "closed", 0o755);
}

#[test]
fn a_file_that_changes_under_our_eyes() {
    type Change = fn(&Path);
    let changes: [Change; 4] = [
        |file| fs::write(file, "longer than before").unwrap(),
        |file| fs::write(file, "").unwrap(),
        |file| fs::remove_file(file).unwrap(),
        |file| {
            fs::remove_file(file).unwrap();
            std::os::unix::fs::symlink("other", file).unwrap();
        },
    ];
    for change in changes {
        let world = World::new();
        world.put("file", "content");
        world.put("other", "content");
        let git = world.repos.ensure(world.project).unwrap();
        let folder = world.folder.canonicalize().unwrap();
        let seen = scan::scan(&folder, FolderLimits::default(), &scan::Wanted::default()).unwrap();
        change(&world.folder.join("file"));
        let error = write_commit(&git, &folder, &seen.items, &[], "x\n").unwrap_err();
        assert!(
            matches!(&error, ImportError::Changed { path } | ImportError::Unreadable { path, .. } if path == "file"),
            "{error:?}"
        );
        let left: Vec<_> = fs::read_dir(git.dir().join("objects/pack")).unwrap().flatten().collect();
        assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("tmp_")), "{left:?}");
        // And the next try is not disturbed by the one that failed.
        world.import();
    }
}
