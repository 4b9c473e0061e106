//! Trees in, changes out.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
};

use bus_schemas::v1::{
    guest::{DELETIONS_ENTRY, RefusalCode},
    task::CheckSpec,
};
use tokio::io::AsyncReadExt;
use vm_pool::adapter::session::SessionError;

use super::rig::{
    Entry::{Device, File, Link},
    Rig, bash, identity, soon, tar_of,
};

/// What came out: deletions, and path → (mode, content or link target).
pub(super) async fn changes(rig: &Rig) -> (Vec<String>, BTreeMap<String, (u32, String)>) {
    let mut tar = Vec::new();
    let mut stream = rig.session.collect(64 << 20, soon()).await.expect("changes");
    stream.read_to_end(&mut tar).await.expect("the whole tar");
    let mut archive = tar::Archive::new(tar.as_slice());
    let mut entries = archive.entries().expect("a tar").map(|entry| {
        let mut entry = entry.expect("an entry");
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut content = String::new();
        match entry.link_name_bytes() {
            Some(target) => content = format!("-> {}", String::from_utf8_lossy(&target)),
            None => drop(entry.read_to_string(&mut content).expect("content")),
        }
        (path, (entry.header().mode().expect("mode"), content))
    });
    let (name, (_, deletions)) = entries.next().expect("the deletions");
    assert_eq!(name, DELETIONS_ENTRY);
    (serde_json::from_str(&deletions).expect("a list"), entries.collect())
}

fn written(list: &[(&str, u32, &str)]) -> BTreeMap<String, (u32, String)> {
    list.iter().map(|(path, mode, content)| ((*path).to_string(), (*mode, (*content).to_string()))).collect()
}

#[tokio::test]
async fn a_tree_arrives_as_it_is() {
    let mut rig = Rig::with(&[
        ("src/main.rs", File(0o644, b"fn main() {}\n")),
        ("run.sh", File(0o755, b"#!/bin/sh\n")),
        ("secret", File(0o400, b"x")),
        ("dangling", Link("/no/such/../place")),
        ("gr\u{fc}\u{df}e \u{1f600}.txt", File(0o644, b"hi")),
        ("new\nline", File(0o644, b"nl")),
        (".git/HEAD", File(0o644, b"ref: refs/heads/main\n")),
    ])
    .await;
    let root = rig.workspace();
    let mode = |path: &str| fs::symlink_metadata(root.join(path)).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode("run.sh"), mode("secret"), mode("src/main.rs")), (0o755, 0o400, 0o644));
    assert_eq!(fs::read_link(root.join("dangling")).expect("a link").as_os_str().as_bytes(), b"/no/such/../place");
    assert_eq!(fs::read(root.join("gr\u{fc}\u{df}e \u{1f600}.txt")).expect("there"), b"hi");
    assert_eq!(fs::read(root.join("new\nline")).expect("there"), b"nl");
    assert!(root.join(".git/HEAD").exists());
    let owners =
        || ["dangling", "src", "secret"].map(|path| fs::symlink_metadata(root.join(path)).expect("there").uid());
    let own = rustix::process::getuid().as_raw();
    assert_eq!(owners(), [own; 3], "a program runs as the worker's own user");
    let check = CheckSpec { name: "mine".into(), run: "test -O src -a -O secret".into(), timeout_ms: 60_000 };
    let results = rig.check(&[check], 1_000).await;
    assert_eq!(results[0].exit_code, Some(0), "{results:?}");
    assert_eq!(owners(), [if own == 0 { 65534 } else { own }; 3], "checks run as an ordinary user");
}

#[tokio::test]
async fn what_changed_comes_out_and_nothing_else() {
    let mut rig = Rig::with(&[
        ("same.txt", File(0o644, b"same")),
        ("edited.txt", File(0o644, b"old")),
        ("mode.sh", File(0o644, b"#!/bin/sh\n")),
        ("gone.txt", File(0o644, b"x")),
        ("dir/gone.txt", File(0o644, b"x")),
        ("dir/stays.txt", File(0o644, b"x")),
        ("renamed/from.txt", File(0o644, b"moved")),
        ("link", Link("same.txt")),
        ("file-then-dir", File(0o644, b"f")),
        ("dir-then-file/inner", File(0o644, b"f")),
        ("lost\nline", File(0o644, b"f")),
        (".git/HEAD", File(0o644, b"h")),
    ])
    .await;
    let finished = rig
        .run(bash(
            r#"printf new > edited.txt
chmod 755 mode.sh
rm -r gone.txt dir/gone.txt $'lost\nline'
mv renamed/from.txt renamed/to.txt
ln -sfn ../outside link
rm file-then-dir && mkdir file-then-dir && echo in > file-then-dir/x
rm -r dir-then-file && echo now > dir-then-file
mkdir -p 'süß/empty' && echo 1 > $'süß/a\nb'
touch -d '2001-01-01' 'old file' && ln mode.sh hard
echo x > .git/HEAD; mkdir sub sub/.git; echo y > sub/.git/config; echo z > sub/kept
mkfifo pipe; long=$(printf 'd%.0s' {1..120}); mkdir "$long"; echo l > "$long/$long"
ln -s "$long/$long/$long" longlink"#,
        ))
        .await;
    assert_eq!(finished.exit_code, Some(0), "{}", rig.text("stderr"));
    let (deleted, changed) = changes(&rig).await;
    let gone = ["dir/gone.txt", "dir-then-file/inner", "file-then-dir", "gone.txt", "lost\nline", "renamed/from.txt"];
    let mut sorted = deleted;
    sorted.sort();
    let mut expected: Vec<String> = gone.iter().map(|path| (*path).to_string()).collect();
    expected.sort();
    assert_eq!(sorted, expected);
    let long = "d".repeat(120);
    assert_eq!(
        changed,
        written(&[
            ("edited.txt", 0o644, "new"),
            ("mode.sh", 0o755, "#!/bin/sh\n"),
            ("renamed/to.txt", 0o644, "moved"),
            ("link", 0o777, "-> ../outside"),
            ("file-then-dir/x", 0o644, "in\n"),
            ("dir-then-file", 0o644, "now\n"),
            ("süß/a\nb", 0o644, "1\n"),
            ("old file", 0o644, ""),
            ("hard", 0o755, "#!/bin/sh\n"),
            ("sub/kept", 0o644, "z\n"),
            (&format!("{long}/{long}"), 0o644, "l\n"),
            ("longlink", 0o777, &format!("-> {long}/{long}/{long}")),
        ])
    );
}

#[tokio::test]
async fn a_rewrite_of_the_same_size_with_the_old_time_is_seen() {
    let mut rig = Rig::with(&[("a.txt", File(0o644, b"one")), ("b.txt", File(0o644, b"two"))]).await;
    rig.run(bash("touch -r a.txt ref; printf eno > a.txt; touch -r ref a.txt; rm ref")).await;
    let (deleted, changed) = changes(&rig).await;
    assert_eq!((deleted, changed), (Vec::new(), written(&[("a.txt", 0o644, "eno")])));
}

#[tokio::test]
async fn an_untouched_tree_has_no_changes() {
    let mut rig = Rig::with(&[("a.txt", File(0o644, b"one")), ("l", Link("a.txt"))]).await;
    rig.run(bash("cat a.txt > /dev/null")).await;
    assert_eq!(changes(&rig).await, (Vec::new(), BTreeMap::new()));
}

#[tokio::test]
async fn too_many_changes_are_refused_by_name() {
    let mut rig = Rig::with(&[]).await;
    rig.run(bash("head -c 3000000 /dev/zero > big; echo small > small")).await;
    match rig.session.collect(1_000_000, soon()).await {
        Err(SessionError::Refused { code: RefusalCode::ChangesTooLarge, detail }) => {
            assert!(detail.contains("the largest file is big with 3000000 bytes"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    let (_, changed) = changes(&rig).await;
    assert_eq!(changed.len(), 2, "a larger limit still gets them");
}

#[tokio::test]
async fn the_estimate_is_never_below_the_tar() {
    let mut rig = Rig::with(&[]).await;
    let script = "for n in 1 99 100 101 511 512 513 1023; do head -c $n /dev/zero > f$n; \
                  ln -s \"$(printf 'x%.0s' $(seq 1 $n))\" l$n; p=$(printf 'p%.0s' $(seq 1 $((n % 200 + 1)))); echo > $p$n; done";
    assert_eq!(rig.run(bash(script)).await.exit_code, Some(0), "{}", rig.text("stderr"));
    // The smallest limit that is accepted must hold the whole tar, or reading fails.
    let (mut low, mut high) = (0_u64, 1 << 20);
    while low + 1 < high {
        let middle = u64::midpoint(low, high);
        match rig.session.collect(middle, soon()).await {
            Ok(mut stream) => {
                tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.expect("within its limit");
                high = middle;
            }
            Err(SessionError::Refused { code: RefusalCode::ChangesTooLarge, .. }) => low = middle,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(low > 10_000);
}

#[tokio::test]
async fn trees_that_reach_outside_are_refused_and_the_guest_lives_on() {
    let rig = Rig::frozen();
    rig.session.hello(soon()).await.expect("hello");
    rig.session.rejuvenate(&identity(), soon()).await.expect("rejuvenated");
    let outside = rig.root.join("outside");
    fs::create_dir(&outside).expect("a folder");
    let target = outside.display().to_string();
    let whole = tar_of(&[("a", File(0o644, b"a"))]);
    let hostile: [Vec<u8>; 7] = [
        tar_of(&[("../escaped", File(0o644, b"x"))]),
        tar_of(&[("a/../../escaped", File(0o644, b"x"))]),
        tar_of(&[("/tmp/baton-escaped", File(0o644, b"x"))]),
        tar_of(&[("way", Link(&target)), ("way/escaped", File(0o644, b"x"))]),
        tar_of(&[("twice", Link("outside")), ("twice/deep/escaped", File(0o644, b"x"))]),
        tar_of(&[("device", Device)]),
        whole[..whole.len() - 1024].to_vec(),
    ];
    for tar in hostile {
        match rig.push(&tar).await {
            Err(SessionError::Refused { code: RefusalCode::BadMessage, .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 0);
    assert!(!rig.root.join("escaped").exists());
    assert_eq!(rig.push(&whole).await.expect("workspace").entries, 1);
}

#[tokio::test]
async fn a_large_tree_makes_the_way_there_and_back() {
    let content: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut rig = Rig::with(&[("big.bin", File(0o644, &content))]).await;
    rig.run(bash("cat big.bin big.bin > twice.bin")).await;
    let mut tar = Vec::new();
    rig.session.collect(64 << 20, soon()).await.expect("changes").read_to_end(&mut tar).await.expect("tar");
    let mut archive = tar::Archive::new(tar.as_slice());
    let mut entry = archive.entries().expect("entries").nth(1).expect("one").expect("an entry");
    let mut twice = Vec::new();
    entry.read_to_end(&mut twice).expect("content");
    assert!(twice[..content.len()] == content[..] && twice[content.len()..] == content[..]);
}
