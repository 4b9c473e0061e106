//! An earlier attempt's changes, put over a fresh workspace.

use std::{fs, os::unix::fs::PermissionsExt};

use bus_schemas::v1::guest::{Assignment, DELETIONS_ENTRY, DataHeader};
use tokio::io::AsyncReadExt;
use vm_pool::adapter::session::SessionError;

use super::{
    rig::{
        Entry::{self, Device, File, Link},
        Rig, bash, soon, tar_of,
    },
    workspace::changes,
};

const TREE: [(&str, Entry<'static>); 8] = [
    ("same.txt", File(0o644, b"same")),
    ("edited.txt", File(0o644, b"old")),
    ("mode.sh", File(0o644, b"#!/bin/sh\n")),
    ("gone/deep/a.txt", File(0o644, b"x")),
    ("link", Link("same.txt")),
    ("file-then-dir", File(0o644, b"f")),
    ("dir-then-file/inner/x", File(0o644, b"f")),
    ("link-then-dir", Link("same.txt")),
];

async fn restore(rig: &Rig, tar: &[u8]) -> Result<(), SessionError> {
    rig.session.send(&DataHeader::Restore, tar, soon()).await
}

#[tokio::test]
async fn a_restored_tree_has_the_changes_it_was_made_of() {
    let mut rig = Rig::with(&TREE).await;
    let script = "printf newer > edited.txt; chmod 755 mode.sh; rm -r gone dir-then-file file-then-dir link link-then-dir\n\
                  mkdir -p file-then-dir link-then-dir new/deep; echo 1 > file-then-dir/a; echo 2 > link-then-dir/b\n\
                  echo f > dir-then-file; ln -s /nowhere link; echo n > new/deep/n.txt; chmod 400 new/deep/n.txt";
    assert_eq!(rig.run(bash(script)).await.exit_code, Some(0), "{}", rig.text("stderr"));
    let mut tar = Vec::new();
    rig.session.collect(1 << 20, soon()).await.expect("changes").read_to_end(&mut tar).await.expect("a tar");
    let before = changes(&rig).await;

    let mut next = Rig::with(&TREE).await;
    restore(&next, &tar).await.expect("restored");
    assert_eq!(changes(&next).await, before, "what counts as changed is still counted from the workspace as it came");
    let root = next.workspace();
    assert!(!root.join("gone").exists(), "folders that were emptied are gone, too");
    let mode = |path: &str| fs::metadata(root.join(path)).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode("mode.sh"), mode("new/deep/n.txt")), (0o755, 0o400));
    // Twice is as good as once, and work goes on from there.
    restore(&next, &tar).await.expect("restored again");
    assert_eq!(changes(&next).await, before);
    next.run(bash("printf old > edited.txt")).await;
    assert!(changes(&next).await.1.contains_key("edited.txt"));
}

fn listed(list: &str, tree: &[(&str, Entry<'_>)]) -> Vec<u8> {
    let mut all = vec![(DELETIONS_ENTRY, File(0o644, list.as_bytes()))];
    all.extend_from_slice(tree);
    tar_of(&all)
}

#[tokio::test]
async fn changes_that_reach_outside_are_refused_and_leave_no_workspace() {
    let rig = Rig::with(&[("way", Link("../outside")), ("kept.txt", File(0o644, b"k"))]).await;
    let outside = rig.root.join("outside");
    fs::create_dir(&outside).expect("a folder");
    fs::write(outside.join("precious"), "p").expect("a file");
    let whole = listed("[]", &[("a", File(0o644, b"a"))]);
    let again = tar_of(&[("way", Link("../outside")), ("kept.txt", File(0o644, b"k"))]);
    for tar in [
        listed("[\"../outside/precious\"]", &[]),
        listed("[\"/etc/hostname-of-nobody\"]", &[]),
        listed("[]", &[("way/escaped", File(0o644, b"x"))]),
        listed("[]", &[("../escaped", File(0o644, b"x"))]),
        listed("[]", &[("in", Link("../outside")), ("in/escaped", File(0o644, b"x"))]),
        listed("[]", &[(".git/hooks/post-checkout", File(0o755, b"x"))]),
        listed("[]", &[("device", Device)]),
        listed("{}", &[]),
        tar_of(&[("a", File(0o644, b"a"))]),
        tar_of(&[]),
        whole[..whole.len() - 1024].to_vec(),
    ] {
        match restore(&rig, &tar).await {
            Err(SessionError::Refused { .. }) => {}
            other => panic!("{other:?}"),
        }
        rig.session.assign(Assignment::Attempt(bash("true"))).await.expect("sent");
        match rig.session.finished(soon()).await {
            Err(SessionError::Refused { detail, .. }) => assert_eq!(detail, "there is no workspace yet"),
            other => panic!("{other:?}"),
        }
        rig.push(&again).await.expect("the workspace comes again");
    }
    restore(&rig, &whole).await.expect("restored");
    // What is behind a link is not there.
    restore(&rig, &listed("[\"way/precious\"]", &[])).await.expect("restored");
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 1);
    assert!(!rig.root.join("escaped").exists());
}
