//! Skills on their way into a guest.

use std::{fs, os::unix::fs::PermissionsExt};

use bus_schemas::v1::guest::DataHeader;
use vm_pool::adapter::session::SessionError;

use super::rig::{
    Entry::{Device, File, Link},
    Rig, bash, identity, soon, tar_of,
};

async fn push(rig: &Rig, tar: &[u8]) -> Result<(), SessionError> {
    rig.session.send(&DataHeader::Skills, tar, soon()).await
}

#[tokio::test]
async fn skills_are_put_in_their_place_and_cannot_be_written() {
    let mut rig = Rig::with(&[]).await;
    // As a host sends them: one tar per skill, one behind the other.
    let mut tars =
        tar_of(&[("sums/SKILL.md", File(0o644, b"# Sums\n")), ("sums/bin/add", File(0o755, b"#!/bin/sh\n"))]);
    tars.extend(tar_of(&[("words/SKILL.md", File(0o666, b"# Words\n"))]));
    push(&rig, &tars).await.expect("skills");
    let root = rig.root.join("skills");
    let mode = |path: &str| fs::metadata(root.join(path)).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode("sums/SKILL.md"), mode("sums/bin/add"), mode("words/SKILL.md")), (0o444, 0o555, 0o444));
    assert_eq!((mode("sums"), mode(".")), (0o555, 0o555));
    // Another stream adds, and replaces by name.
    let more = tar_of(&[("words/OTHER.md", File(0o644, b"")), ("third/SKILL.md", File(0o644, b"# Third\n"))]);
    push(&rig, &more).await.expect("more skills");
    assert!(!root.join("words/SKILL.md").exists() && root.join("words/OTHER.md").exists());
    assert!(root.join("sums/SKILL.md").exists() && root.join("third/SKILL.md").exists());
    let finished = rig.run(bash(&format!("cat {}/sums/SKILL.md", root.display()))).await;
    assert_eq!((finished.exit_code, rig.text("stdout").as_str()), (Some(0), "# Sums\n"));
}

#[tokio::test]
async fn skills_that_reach_outside_are_refused_and_the_guest_lives_on() {
    let rig = Rig::with(&[]).await;
    let outside = rig.root.join("outside");
    fs::create_dir(&outside).expect("a folder");
    let target = outside.display().to_string();
    let whole = tar_of(&[("good/SKILL.md", File(0o644, b"x"))]);
    for (tar, why) in [
        (tar_of(&[("../outside/x", File(0o644, b"x"))]), "leaves"),
        (tar_of(&[("a/../../outside/x", File(0o644, b"x"))]), "leaves"),
        (tar_of(&[("/tmp/baton-escaped", File(0o644, b"x"))]), "leaves"),
        (tar_of(&[("a/way", Link(&target)), ("a/way/x", File(0o644, b"x"))]), "kind"),
        (tar_of(&[("a/device", Device)]), "kind"),
        (tar_of(&[("SKILL.md", File(0o644, b"x"))]), "outside a skill's folder"),
        (whole[..whole.len() - 1024].to_vec(), "cut"),
    ] {
        match push(&rig, &tar).await {
            Err(SessionError::Refused { detail, .. }) => assert!(detail.contains(why), "{detail}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 0);
    push(&rig, &whole).await.expect("skills");
}

#[tokio::test]
async fn a_frozen_guest_takes_no_skills() {
    let rig = Rig::frozen();
    rig.session.hello(soon()).await.expect("hello");
    assert!(push(&rig, &tar_of(&[])).await.is_err());
    let fresh = Rig::frozen();
    fresh.session.hello(soon()).await.expect("hello");
    fresh.session.rejuvenate(&identity(), soon()).await.expect("rejuvenated");
    push(&fresh, &tar_of(&[("a/SKILL.md", File(0o644, b"x"))])).await.expect("before the workspace, too");
}

#[tokio::test]
async fn skills_larger_than_they_may_be_are_refused_although_more_is_sent() {
    let rig = Rig::with(&[]).await;
    let large = vec![b'x'; 70 << 20];
    match push(&rig, &tar_of(&[("large/SKILL.md", File(0o644, &large))])).await {
        Err(SessionError::Refused { detail, .. }) => assert!(detail.contains("more than 67108864 bytes"), "{detail}"),
        other => panic!("{other:?}"),
    }
    push(&rig, &tar_of(&[("a/SKILL.md", File(0o644, b"x"))])).await.expect("skills");
}
