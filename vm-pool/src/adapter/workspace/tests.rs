//! Trees go out and changes come in, with a real git.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use bus_schemas::{
    id::ProjectId,
    v1::{guest::DELETIONS_ENTRY, handoff::ChangeKind},
};
use proptest::prelude::{any, prop_assert, proptest};
use tar::{Builder, EntryType, Header};
use uuid::Uuid;

use super::{
    Committed, Globs, ImportRequest, Snapshots, Store, WorkspaceError, import,
    path::{check, check_target, shown},
};

struct Lab {
    dir: tempfile::TempDir,
    store: Store,
    project: ProjectId,
    base: String,
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "safe.directory=*"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A store whose base commit holds what trips a checkout up.
fn lab() -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    git(&source, &["init", "-q", "-b", "main"]);
    fs::create_dir_all(source.join("src/deep")).unwrap();
    fs::write(source.join("crlf.txt"), b"one\r\ntwo\r\nthree\n").unwrap();
    fs::write(source.join("ident.txt"), b"$Id$\n").unwrap();
    fs::write(source.join("empty"), b"").unwrap();
    fs::write(source.join("src/deep/bin"), [0_u8, 255, 10, 13]).unwrap();
    fs::write(source.join("src/über name"), "text\n").unwrap();
    fs::write(source.join("tool.sh"), "#!/bin/sh\n").unwrap();
    fs::write(source.join("d".repeat(80)), "x").unwrap();
    fs::create_dir_all(source.join("l".repeat(90))).unwrap();
    fs::write(source.join("l".repeat(90)).join("m".repeat(90)), "long").unwrap();
    fs::set_permissions(source.join("tool.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("src/deep", source.join("link")).unwrap();
    git(&source, &["add", "-A"]);
    git(&source, &["commit", "-q", "-m", "raw"]);
    // The attributes come after the content, so that the blobs hold what a conversion would have changed.
    fs::write(source.join(".gitattributes"), "*.txt text eol=crlf ident\n").unwrap();
    git(&source, &["add", ".gitattributes"]);
    git(&source, &["commit", "-q", "-m", "base"]);
    let base = git(&source, &["rev-parse", "HEAD"]);
    git(&source, &["update-ref", &format!("refs/baton/{base}"), &base]);
    let bundle = dir.path().join("base.bundle");
    git(&source, &["bundle", "create", "-q", bundle.to_str().unwrap(), &format!("refs/baton/{base}")]);

    let store = Store::open(&dir.path().join("repos")).unwrap();
    let project = ProjectId::from_uuid(Uuid::from_u128(7));
    assert!(!store.has(project, &base));
    store.absorb(project, &base, &bundle).unwrap();
    assert!(store.has(project, &base));
    Lab { dir, store, project, base }
}

impl Lab {
    fn repo(&self) -> PathBuf {
        self.store.repo(self.project).unwrap()
    }

    fn unpack(&self, commit: &str, inputs: &[&str]) -> PathBuf {
        let inputs: Vec<String> = inputs.iter().map(|&i| i.to_owned()).collect();
        let snapshots = Snapshots::open(&self.dir.path().join("trees"), self.dir.path(), 1 << 20).unwrap();
        let tar = snapshots.tar(&self.repo(), commit, &inputs).unwrap();
        let out = tempfile::tempdir_in(self.dir.path()).unwrap().keep();
        tar::Archive::new(tar).unpack(&out).unwrap();
        out
    }

    fn import(&self, tar: &mut File) -> Result<Committed, WorkspaceError> {
        let request = ImportRequest {
            base: &self.base,
            limit_bytes: 10_000,
            message: "task \"x\"\n",
            at_s: 1_000,
            scratch: self.dir.path(),
        };
        import(&self.repo(), tar, &request)
    }

    fn content(&self, commit: &str, path: &str) -> Vec<u8> {
        super::git::run(&self.repo(), "cat-file", ["blob", &format!("{commit}:{path}")], &[]).unwrap()
    }
}

enum Item<'a> {
    Deleted(&'a [&'a str]),
    File(&'a [u8], u32, &'a [u8]),
    Link(EntryType, &'a [u8], &'a [u8]),
    Other(EntryType, &'a [u8]),
}

fn tar_of(items: &[Item<'_>]) -> File {
    let mut tar = Builder::new(tempfile::tempfile().unwrap());
    let mut put = |kind, path: &[u8], target: &[u8], mode, body: &[u8]| {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(body.len() as u64);
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
        header.set_cksum();
        tar.append(&header, body).unwrap();
    };
    for item in items {
        match item {
            Item::Deleted(paths) => {
                let list = serde_json::to_vec(paths).unwrap();
                put(EntryType::Regular, DELETIONS_ENTRY.as_bytes(), b"", 0o644, &list);
            }
            Item::File(path, mode, body) => put(EntryType::Regular, path, b"", *mode, body),
            Item::Link(kind, path, target) => put(*kind, path, target, 0o777, b""),
            Item::Other(kind, path) => put(*kind, path, b"", 0o644, b""),
        }
    }
    let mut file = tar.into_inner().unwrap();
    file.flush().unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn a_tree_goes_out_byte_for_byte_whatever_its_attributes_say() {
    let lab = lab();
    let out = lab.unpack(&lab.base, &[]);
    assert_eq!(fs::read(out.join("crlf.txt")).unwrap(), b"one\r\ntwo\r\nthree\n");
    assert_eq!(fs::read(out.join("ident.txt")).unwrap(), b"$Id$\n");
    assert_eq!(fs::read(out.join("empty")).unwrap(), b"");
    assert_eq!(fs::read(out.join("src/deep/bin")).unwrap(), [0, 255, 10, 13]);
    assert_eq!(fs::read(out.join("src/über name")).unwrap(), b"text\n");
    assert_eq!(fs::read(out.join("l".repeat(90)).join("m".repeat(90))).unwrap(), b"long");
    assert_eq!(fs::metadata(out.join("tool.sh")).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::metadata(out.join("empty")).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_link(out.join("link")).unwrap(), Path::new("src/deep"));
}

#[test]
fn the_git_beside_the_tree_is_whole_and_clean() {
    let lab = lab();
    let out = lab.unpack(&lab.base, &[]);
    assert_eq!(git(&out, &["status", "--porcelain"]), "");
    assert_eq!(git(&out, &["rev-parse", "HEAD"]), lab.base);
    assert_eq!(git(&out, &["log", "--format=%s"]), "base\nraw");
    git(&out, &["fsck", "--strict"]);
    fs::write(out.join("new"), "x").unwrap();
    git(&out, &["add", "new"]);
    git(&out, &["commit", "-q", "-m", "in the guest"]);
}

#[test]
fn inputs_leave_everything_else_out_history_too() {
    let lab = lab();
    let out = lab.unpack(&lab.base, &["src/", "*.sh"]);
    let mut names: Vec<String> =
        fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["src", "tool.sh"]);
    assert!(out.join("src/deep/bin").exists());
}

#[test]
fn a_snapshot_is_built_once_and_pruned_when_others_need_the_room() {
    let lab = lab();
    let dir = lab.dir.path().join("trees");
    let snapshots = Snapshots::open(&dir, lab.dir.path(), 0).unwrap();
    let count = || fs::read_dir(&dir).unwrap().count();
    let mut first = snapshots.tar(&lab.repo(), &lab.base, &[]).unwrap();
    snapshots.tar(&lab.repo(), &lab.base, &[]).unwrap();
    assert_eq!(count(), 1);
    snapshots.tar(&lab.repo(), &lab.base, &["src".to_owned()]).unwrap();
    assert_eq!(count(), 1);
    // Whoever holds it can read it to the end.
    let mut bytes = Vec::new();
    first.read_to_end(&mut bytes).unwrap();
    assert!(bytes.len() > 1024);
}

#[test]
fn changes_come_in_as_a_commit_and_go_on_as_a_bundle() {
    let lab = lab();
    let mut tar = tar_of(&[
        Item::Deleted(&["ident.txt", "src"]),
        Item::File(b"crlf.txt", 0o644, b"one\r\nchanged\n"),
        Item::File(b"new/\xc3\xa4 \"q\" \\b", 0o4755, b"#!\n"),
        Item::Link(EntryType::Symlink, b"new/up", b"../tool.sh"),
        Item::Link(EntryType::Link, b"copy", b"crlf.txt"),
        Item::File(b"new/empty", 0o600, b""),
    ]);
    let Committed { commit, changed, lines_added, lines_removed } = lab.import(&mut tar).unwrap();
    assert_eq!((lines_added, lines_removed), lines_by_git(&lab.repo(), &lab.base, &commit));
    assert!(lines_added >= 4 && lines_removed >= 2, "{lines_added} {lines_removed}");
    let seen: Vec<(String, ChangeKind, u64)> = changed.into_iter().map(|c| (c.path, c.kind, c.bytes)).collect();
    let want = [
        ("copy", ChangeKind::Added, 13),
        ("crlf.txt", ChangeKind::Modified, 13),
        ("ident.txt", ChangeKind::Deleted, 0),
        ("new/empty", ChangeKind::Added, 0),
        ("new/up", ChangeKind::Added, 10),
        ("new/ä \"q\" \\b", ChangeKind::Added, 3),
        ("src/deep/bin", ChangeKind::Deleted, 0),
        ("src/über name", ChangeKind::Deleted, 0),
    ];
    assert_eq!(seen, want.map(|(p, k, b)| (p.to_owned(), k, b)));
    assert_eq!(lab.content(&commit, "crlf.txt"), b"one\r\nchanged\n");
    let shown = git(&lab.repo(), &["log", "-1", "--format=%an <%ae> %at|%P|%B", &commit]);
    assert_eq!(shown, format!("baton <baton@localhost> 1000|{}|task \"x\"", lab.base));
    let listing = git(&lab.repo(), &["ls-tree", &commit, "new/"]);
    assert!(listing.contains("100755 blob") && listing.contains("120000 blob") && !listing.contains("104755"));

    // The same changes make the same commit.
    assert_eq!(lab.import(&mut tar).unwrap().commit, commit);

    // Another host has the base and gets the rest as a bundle.
    let other = Store::open(&lab.dir.path().join("other")).unwrap();
    let bundle = lab.dir.path().join("next.bundle");
    lab.store.bundle(lab.project, &commit, std::slice::from_ref(&lab.base), &bundle).unwrap();
    assert!(other.absorb(lab.project, &commit, &bundle).is_err(), "the base is missing there");
    assert!(!other.has(lab.project, &commit));
    other.absorb(lab.project, &lab.base, &lab.dir.path().join("base.bundle")).unwrap();
    other.absorb(lab.project, &commit, &bundle).unwrap();
    assert!(other.has(lab.project, &commit));
    let out = lab.unpack(&commit, &[]);
    assert_eq!(fs::read_link(out.join("new/up")).unwrap(), Path::new("../tool.sh"));
    assert_eq!(git(&out, &["status", "--porcelain"]), "");
}

/// As a person would count them.
fn lines_by_git(repo: &Path, base: &str, commit: &str) -> (u64, u64) {
    let shown = git(repo, &["diff", "--numstat", "--no-renames", base, commit]);
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
    shown
        .lines()
        .map(|line| line.split('\t'))
        .fold((0, 0), |(added, removed), mut fields| (added + number(fields.next()), removed + number(fields.next())))
}

#[test]
fn lines_are_counted_and_large_or_binary_files_have_none() {
    let lab = lab();
    let lines = |items: &[Item<'_>]| {
        let committed = lab.import(&mut tar_of(items)).unwrap();
        (committed.lines_added, committed.lines_removed)
    };
    assert_eq!(lines(&[Item::File(b"a", 0o644, b"1\n2\n3"), Item::File(b"b c", 0o644, b"1\n")]), (4, 0));
    assert_eq!(lines(&[Item::File(b"a", 0o644, b"1\0\n2\n")]), (0, 0));
    let (added, removed) = lines(&[Item::Deleted(&["crlf.txt"])]);
    assert!(added == 0 && removed > 0, "{removed}");
}

#[test]
fn no_change_is_the_base() {
    let lab = lab();
    for items in [vec![], vec![Item::File(b"empty", 0o644, b"")], vec![Item::Deleted(&["never/was"])]] {
        let committed = lab.import(&mut tar_of(&items)).unwrap();
        let nothing = Committed { commit: lab.base.clone(), changed: vec![], lines_added: 0, lines_removed: 0 };
        assert_eq!(committed, nothing);
    }
}

#[test]
fn a_file_may_become_a_folder_and_a_folder_a_file() {
    let lab = lab();
    let mut tar = tar_of(&[
        Item::File(b"empty/now/below", 0o644, b"1"),
        Item::File(b"src", 0o644, b"2"),
        Item::Other(EntryType::Directory, b"link/"),
        Item::File(b"link/file", 0o644, b"3"),
    ]);
    let commit = lab.import(&mut tar).unwrap().commit;
    assert_eq!(lab.content(&commit, "empty/now/below"), b"1");
    assert_eq!(lab.content(&commit, "src"), b"2");
    assert_eq!(lab.content(&commit, "link/file"), b"3");
}

#[test]
fn what_a_guest_must_not_hand_over_is_refused_by_name() {
    let lab = lab();
    let refs = || git(&lab.repo(), &["for-each-ref"]);
    let before = refs();
    let bad: Vec<(Vec<Item<'_>>, &str)> = vec![
        (vec![Item::File(b"../up", 0o644, b"")], "\"../up\": has a . or .."),
        (vec![Item::File(b"a/../../up", 0o644, b"")], "has a . or .."),
        (vec![Item::File(b"./a", 0o644, b"")], "has a . or .."),
        (vec![Item::File(b"/etc/passwd", 0o644, b"")], "is absolute"),
        (vec![Item::File(b"a//b", 0o644, b"")], "empty component"),
        (vec![Item::File(b"a\nb", 0o644, b"")], "\"a\\nb\": has control"),
        (vec![Item::File(b"a\x1b[2J", 0o644, b"")], "has control"),
        (vec![Item::File(b"a\xff", 0o644, b"")], "\"a\\xff\": is not UTF-8"),
        (vec![Item::File(b".git/hooks/post-checkout", 0o755, b"")], "reaches into .git"),
        (vec![Item::File(b"sub/.GiT/config", 0o644, b"")], "reaches into .git"),
        (vec![Item::Other(EntryType::Char, b"null")], "is a device"),
        (vec![Item::Other(EntryType::Block, b"sda")], "is a device"),
        (vec![Item::Other(EntryType::Fifo, b"pipe")], "is a pipe"),
        (vec![Item::Other(EntryType::Continuous, b"c")], "is neither"),
        (vec![Item::Link(EntryType::Link, b"h", b"/etc/passwd")], "hard link"),
        (vec![Item::Link(EntryType::Link, b"h", b"tool.sh")], "hard link"),
        (vec![Item::Link(EntryType::Symlink, b"s", b"/etc")], "absolute"),
        (vec![Item::Link(EntryType::Symlink, b"s", b"..")], "out of the folder"),
        (vec![Item::Link(EntryType::Symlink, b"a/s", b"../../x")], "out of the folder"),
        (vec![Item::Link(EntryType::Symlink, b"s", b".git/config")], "into .git"),
        (
            vec![Item::Link(EntryType::Symlink, b"s", b"src"), Item::File(b"s/x", 0o644, b"")],
            "\"s/x\": goes through a symbolic link",
        ),
        (vec![Item::File(b"link/x", 0o644, b"")], "through a symbolic link of the base"),
        (vec![Item::File(b"f", 0o644, b""), Item::File(b"f/x", 0o644, b"")], "lies below a file"),
        (vec![Item::File(b"f", 0o644, b""), Item::File(b"f", 0o644, b"2")], "listed twice"),
        (vec![Item::Deleted(&["../x"])], "has a . or .."),
        (vec![Item::Deleted(&[".git"])], "reaches into .git"),
        (vec![Item::File(&[b'n'; 100], 0o644, &[0; 10_001])], "larger than 10000 bytes"),
    ];
    for (items, reason) in bad {
        let error = lab.import(&mut tar_of(&items)).map(|c| c.commit).map_err(|e| e.to_string());
        assert!(error.as_ref().is_err_and(|e| e.contains(reason)), "{error:?} lacks {reason:?}");
    }
    assert_eq!(refs(), before, "nothing was written");
    let mut garbage = tempfile::tempfile().unwrap();
    garbage.write_all(&[b'x'; 4096]).unwrap();
    assert!(matches!(lab.import(&mut garbage), Err(WorkspaceError::BadTar { .. })));
}

/// A header of an extension that claims `claimed` bytes, with `body` after it; then a file.
fn tar_with_extension(kind: EntryType, claimed: u64, body: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(claimed);
    header.set_cksum();
    file.write_all(header.as_bytes()).unwrap();
    file.write_all(body).unwrap();
    // What is claimed is a hole: a reader that believed it would take it into memory.
    let end = 512 + claimed.next_multiple_of(512);
    file.set_len(end).unwrap();
    file.seek(std::io::SeekFrom::Start(end)).unwrap();
    let mut tail = tar_of(&[Item::File(b"f", 0o644, b"x")]);
    std::io::copy(&mut tail, &mut file).unwrap();
    file
}

#[test]
fn an_extension_header_that_would_fill_the_memory_is_not_read() {
    let lab = lab();
    let kinds = [EntryType::XHeader, EntryType::XGlobalHeader, EntryType::GNULongName, EntryType::GNULongLink];
    for kind in kinds {
        let error = lab.import(&mut tar_with_extension(kind, 1 << 40, b"")).unwrap_err();
        assert!(matches!(&error, WorkspaceError::BadTar { detail } if detail.contains("1099511627776")), "{error}");
    }
    // One that fits means what it says.
    let long = "n".repeat(200);
    let record = format!("210 path={long}\n");
    assert_eq!(record.len(), 210);
    let mut tar = tar_with_extension(EntryType::XHeader, 210, record.as_bytes());
    let committed = lab.import(&mut tar).unwrap();
    assert_eq!(committed.changed.iter().map(|c| c.path.as_str()).collect::<Vec<_>>(), [long.as_str()]);
    // What would hide headers from the first look is refused: a size that overrides the header's.
    let mut tar = tar_with_extension(EntryType::XHeader, 10, b"10 size=0\n");
    let error = lab.import(&mut tar).unwrap_err();
    assert!(error.to_string().contains("sets a size"), "{error}");
}

#[test]
fn nasty_paths_are_told_from_odd_ones() {
    for odd in
        ["a", "ä/ß", "-rf", "a b", "...", "a..b", ".gitignore", ".github/x", "git", "a\\b", "😀", "~", "*", "\"'"]
    {
        assert_eq!(check(odd.as_bytes()), Ok(odd));
    }
    for nasty in [
        "",
        ".",
        "..",
        "/",
        "a/",
        "/a",
        "a//b",
        "a/./b",
        "a/..",
        "a\0b",
        "a\tb",
        "a\u{7f}",
        "a\u{85}b",
        "a\u{202e}txt",
        ".git",
        ".GIT/x",
        ".git. ",
        "x/.git./y",
        "git~1",
        "GIT~1/x",
        ".git::$INDEX_ALLOCATION",
        ".g\u{200c}it",
        "\u{feff}.git",
    ] {
        assert!(check(nasty.as_bytes()).is_err(), "{nasty:?}");
    }
    assert!(check("x".repeat(256).as_bytes()).is_err());
    assert!(check("x/".repeat(2048).as_bytes()).is_err());
    assert!(check_target("a/b", b"../c").is_ok());
    assert!(check_target("a/b", b"c/./d").is_ok());
    // `s` may be a link to `.`, and then `s/..` is outside.
    assert!(check_target("a", b"s/../t").is_err());
    assert_eq!(shown(b"a\x00\xfe\"\xc3\xa4"), "\"a\\u{0}\\xfe\\\"ä\"");
}

#[test]
fn a_bad_glob_is_named() {
    let error = Globs::new(&["a[".to_owned()]).map(drop).map_err(|e| e.to_string());
    assert!(error.is_err_and(|e| e.contains("\"a[\"")));
}

#[test]
fn globs_mean_files_and_whole_folders() {
    let globs = Globs::new(&["report/".to_owned(), "*.md".to_owned(), "a/**/z".to_owned()]).unwrap();
    for path in ["report/x", "report/x/y", "READ.md", "a/z", "a/b/c/z"] {
        assert!(globs.matches(path.as_bytes()), "{path}");
    }
    for path in ["reports/x", "docs/READ.md", "z"] {
        assert!(!globs.matches(path.as_bytes()), "{path}");
    }
    assert!(Globs::new(&[".".to_owned()]).unwrap().matches(b"x/y"));
}

proptest! {
    /// An accepted path never leaves the folder when it is joined to it.
    #[test]
    fn an_accepted_path_stays_inside(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(text) = check(&bytes) {
            let path = Path::new(text);
            prop_assert!(path.components().all(|c| matches!(c, std::path::Component::Normal(_))));
            prop_assert!(!text.contains('\n'));
        }
    }

    /// An accepted link target never leaves the folder, even if every name in it were a link to the folder itself.
    #[test]
    fn an_accepted_target_stays_inside(link in "[a-c](/[a-c]){0,3}", target in "(\\.\\./|\\./|[a-c]/){0,5}[a-c]?") {
        if check_target(&link, target.as_bytes()).is_ok() {
            let mut depth = link.matches('/').count() as i64;
            for component in target.split('/') {
                match component {
                    ".." => depth -= 1,
                    "" | "." => {}
                    _ => depth = 0,
                }
                prop_assert!(depth >= 0);
            }
        }
    }
}
