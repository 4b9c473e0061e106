use std::{fs, os::unix::fs::symlink, path::Path};

use super::{Catalog, NoticeKind, Source};
use crate::roots::roots_for;

fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn skill(name: &str, description: &str) -> String {
    format!("---\nname: {name}\ndescription: {description}\n---\n# {name}\n")
}

fn messages(catalog: &Catalog, kind: NoticeKind) -> Vec<String> {
    catalog.notices().iter().filter(|notice| notice.kind == kind).map(|notice| notice.message.clone()).collect()
}

#[test]
fn the_first_root_wins_and_the_rest_is_named() {
    let room = tempfile::tempdir().unwrap();
    let (folder, home, bundled) = (room.path().join("p"), room.path().join("h"), room.path().join("b"));
    put(&folder, ".agents/skills/pdf/SKILL.md", &skill("pdf", "from agents"));
    put(&folder, ".claude/skills/pdf/SKILL.md", &skill("pdf", "from claude"));
    put(&folder, "skills/group/csv/SKILL.md", &skill("csv", "from the folder"));
    put(&home, ".agents/skills/csv/SKILL.md", &skill("csv", "from home"));
    put(&home, ".agents/skills/web/SKILL.md", &skill("web", "from home"));
    put(&bundled, "git/SKILL.md", &skill("git", "bundled"));

    let catalog = Catalog::discover(&roots_for(Some(&folder), Some(&home), Some(&bundled)));
    let found: Vec<_> = catalog.iter().map(|s| (s.name.as_str(), s.description.as_str(), s.source)).collect();
    assert_eq!(
        found,
        [
            ("csv", "from the folder", Source::Project),
            ("git", "bundled", Source::Bundled),
            ("pdf", "from agents", Source::Project),
            ("web", "from home", Source::User),
        ]
    );
    assert_eq!(messages(&catalog, NoticeKind::Shadowed).len(), 2);
    assert!(messages(&catalog, NoticeKind::Untidy).is_empty());
    assert_eq!(catalog.roots().len(), 7);
    assert!(catalog.get("nothing").is_none());
}

#[test]
fn untidy_skills_load_and_broken_ones_do_not() {
    let room = tempfile::tempdir().unwrap();
    let root = room.path();
    put(root, "other/SKILL.md", &skill("Mis_Named", "d"));
    put(root, "nameless/SKILL.md", "---\ndescription: d\n---\n");
    put(root, "wordy/SKILL.md", &skill("wordy", &"x".repeat(1025)));
    put(root, "colon/SKILL.md", &skill("colon", "use when: needed"));
    put(root, "silent/SKILL.md", "---\nname: silent\n---\n");
    put(root, "broken/SKILL.md", "---\nname: [\n---\n");
    put(root, "headless/SKILL.md", "# nothing\n");
    put(root, "big/SKILL.md", &"x".repeat(600 * 1024));
    put(root, "empty/README.md", "no skill");

    let catalog = Catalog::discover(&[(Source::User, root.to_owned())]);
    let names: Vec<_> = catalog.iter().map(|skill| skill.name.as_str()).collect();
    assert_eq!(names, ["Mis_Named", "colon", "nameless", "wordy"]);
    let left_out = messages(&catalog, NoticeKind::LeftOut);
    assert_eq!(left_out.len(), 4, "{left_out:?}");
    let untidy = messages(&catalog, NoticeKind::Untidy).join("\n");
    for part in ["not the folder's", "lower-case", "gives no name", "longer than 1024", "not valid YAML"] {
        assert!(untidy.contains(part), "{part}: {untidy}");
    }
}

#[test]
fn links_are_never_followed() {
    let room = tempfile::tempdir().unwrap();
    let root = room.path().join("skills");
    put(room.path(), "elsewhere/SKILL.md", &skill("elsewhere", "d"));
    put(room.path(), "secret", "s3cret");
    put(&root, "real/SKILL.md", &skill("real", "d"));
    symlink(room.path().join("secret"), root.join("real/notes.txt")).unwrap();
    symlink(room.path().join("elsewhere"), root.join("elsewhere")).unwrap();
    fs::create_dir(root.join("head")).unwrap();
    symlink(room.path().join("elsewhere/SKILL.md"), root.join("head/SKILL.md")).unwrap();

    let catalog = Catalog::discover(&[(Source::Project, root)]);
    let names: Vec<_> = catalog.iter().map(|skill| skill.name.as_str()).collect();
    assert_eq!(names, ["real"]);
    assert_eq!(messages(&catalog, NoticeKind::LeftOut).len(), 2);
    assert_eq!(messages(&catalog, NoticeKind::Untidy), ["`notes.txt` is a link or no plain file; it is not read"]);
}

#[test]
fn bounds_hold() {
    let room = tempfile::tempdir().unwrap();
    let root = room.path();
    put(root, "1/2/3/4/5/SKILL.md", &skill("fine", "d"));
    put(root, "1/2/3/4/5x/6/SKILL.md", &skill("too-deep-to-be-seen", "d"));
    put(root, "huge/SKILL.md", &skill("huge", "d"));
    fs::File::create(root.join("huge/data.bin")).unwrap().set_len(33 << 20).unwrap();
    put(root, "nested/SKILL.md", &skill("nested", "d"));
    put(root, "nested/1/2/3/4/5/6/7", "");
    let catalog = Catalog::discover(&[(Source::User, root.to_owned())]);
    let names: Vec<_> = catalog.iter().map(|skill| skill.name.as_str()).collect();
    assert_eq!(names, ["fine"]);
    assert_eq!(
        messages(&catalog, NoticeKind::LeftOut),
        ["more than 32 MiB, `data.bin` is the largest file", "folders more than 6 deep"]
    );

    let crowd = tempfile::tempdir().unwrap();
    for number in 0..2100 {
        fs::create_dir(crowd.path().join(format!("{number:04}"))).unwrap();
    }
    put(crowd.path(), "2099/SKILL.md", &skill("2099", "d"));
    let catalog = Catalog::discover(&[(Source::User, crowd.path().to_owned())]);
    assert_eq!(catalog.iter().count(), 0);
    assert_eq!(messages(&catalog, NoticeKind::LeftOut), ["more than 2000 folders; the rest was not read"]);
}

#[test]
fn a_name_that_leads_out_of_its_folder_is_refused() {
    let room = tempfile::tempdir().unwrap();
    for (number, name) in
        ["../../etc", "/etc/passwd", "..", ".", ".hidden", "a/b", "a\\\\b", "a\\nb", "a\\u202eb"].iter().enumerate()
    {
        let text = format!("---\nname: \"{name}\"\ndescription: d\n---\n");
        put(room.path(), &format!("s{number}/SKILL.md"), &text);
    }
    put(room.path(), "long/SKILL.md", &skill(&"x".repeat(300), "d"));
    let catalog = Catalog::discover(&[(Source::Project, room.path().to_owned())]);
    assert_eq!(catalog.iter().map(|skill| &skill.name).collect::<Vec<_>>(), Vec::<&String>::new());
    let left_out = messages(&catalog, NoticeKind::LeftOut);
    assert_eq!(left_out.len(), 10, "{left_out:?}");
    assert!(left_out.iter().all(|message| message.contains("cannot be a folder's")), "{left_out:?}");
}

#[test]
fn a_huge_file_is_refused_unread() {
    let room = tempfile::tempdir().unwrap();
    // A file of holes: reading it would take 100 MB of memory and find no text.
    let huge = |path: &str| {
        let path = room.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().set_len(100_000_000).unwrap();
    };
    huge("body/SKILL.md");
    put(room.path(), "data/SKILL.md", &skill("data", "d"));
    huge("data/assets/blob.bin");
    let catalog = Catalog::discover(&[(Source::Project, room.path().to_owned())]);
    let left_out = messages(&catalog, NoticeKind::LeftOut);
    assert_eq!(left_out, ["SKILL.md: longer than 512 KiB", "more than 32 MiB, `assets/blob.bin` is the largest file"]);
}

#[test]
fn only_the_head_of_a_skill_is_read() {
    let room = tempfile::tempdir().unwrap();
    let mut bytes = skill("odd", "d").into_bytes();
    bytes.extend([b'x'; 40_000]);
    bytes.extend([0xff, 0xfe]);
    fs::create_dir(room.path().join("odd")).unwrap();
    fs::write(room.path().join("odd/SKILL.md"), bytes).unwrap();
    fs::create_dir(room.path().join("worse")).unwrap();
    fs::write(room.path().join("worse/SKILL.md"), b"---\nname: worse\ndescription: \xff\n---\n").unwrap();
    put(room.path(), "endless/SKILL.md", &format!("---\nname: endless\n{}", "# no end\n".repeat(10_000)));
    let catalog = Catalog::discover(&[(Source::Project, room.path().to_owned())]);
    assert_eq!(catalog.iter().map(|skill| skill.name.as_str()).collect::<Vec<_>>(), ["odd"]);
    let left_out = messages(&catalog, NoticeKind::LeftOut);
    assert_eq!(left_out, ["SKILL.md: the head is longer than 32768 bytes", "SKILL.md: is not UTF-8"]);
}

#[test]
fn a_projects_root_may_be_a_link_only_inside_the_project() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path().join("p");
    put(&folder, ".agents/skills/inside/SKILL.md", &skill("inside", "d"));
    put(room.path(), "outside/evil/SKILL.md", &skill("evil", "d"));
    fs::create_dir(folder.join(".claude")).unwrap();
    symlink("../.agents/skills", folder.join(".claude/skills")).unwrap();
    symlink(room.path().join("outside"), folder.join("skills")).unwrap();
    let catalog = Catalog::discover(&roots_for(Some(&folder), None, None));
    assert_eq!(catalog.iter().map(|skill| skill.name.as_str()).collect::<Vec<_>>(), ["inside"]);
    assert!(messages(&catalog, NoticeKind::Shadowed).is_empty(), "one folder over two roads is one folder");
    assert!(messages(&catalog, NoticeKind::LeftOut)[0].starts_with("leads out of the project's folder"));
}
