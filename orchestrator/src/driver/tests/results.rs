//! Results that people are asked about, from the last handoff to the folder.

use bus_schemas::v1::{api::ApprovalView, approval::ApprovalSubject};

use super::*;
use crate::plan::event::Verdict;

/// A project that ends with something else than it began with, and the request about that.
async fn offered(rig: &mut Rig, title: &str) -> (ProjectId, ApprovalView) {
    let text = format!(r#"{{"version":1,"title":"{title}","apply":"ask","tasks":[{{"id":"one","run":"true"}}]}}"#);
    let project_id = rig.project_of(&text).await.unwrap();
    let attempt = rig.offered(1).await.attempt;
    let Observation::Handoff(mut ready) = handoff(attempt, 1, String::new()) else { panic!("no handoff") };
    ready.handoff.commit = "1".repeat(40);
    rig.deliver(Ok(Observation::Handoff(ready))).await;
    let about = |view: &ApprovalView| matches!(view.subject, ApprovalSubject::Apply);
    let asked = until(|| async { rig.store.approvals(false).await.unwrap().into_iter().find(about) }).await;
    let asked = rig.store.approval(asked.approval_id).await.unwrap().unwrap();
    (project_id, asked)
}

fn decision(asked: &ApprovalView, verdict: Verdict, note: &str) -> Fact {
    Fact::ApprovalDecided {
        approval_id: asked.approval_id,
        verdict,
        digest: asked.digest.clone(),
        by: "ann".to_owned(),
        channel: "cli".to_owned(),
        note: note.to_owned(),
        remember: None,
    }
}

#[tokio::test]
async fn an_approved_result_is_written_as_it_was_shown() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), Notes::default()).await;
    let (project_id, asked) = offered(&mut rig, "t").await;
    let offer = asked.apply.clone().unwrap();
    assert_eq!((offer.folder.as_str(), offer.lines_added, offer.result_commit), ("/f", 3, "1".repeat(40)));
    assert!(rig.notes.written.lock().unwrap().is_empty(), "nothing before somebody agrees");
    rig.handle.ask(project_id, decision(&asked, Verdict::Approved, ""), None).await.unwrap();
    until(|| async { (rig.kinds(project_id).await.last() == Some(&"apply_finished")).then_some(()) }).await;
    assert_eq!(rig.notes.written.lock().unwrap().as_slice(), ["then"]);
    let audit = rig.store.audit(0, Some(project_id)).await.unwrap();
    let applied = audit.iter().find(|entry| entry.kind == "result.applied").unwrap();
    assert_eq!(
        (applied.actor.as_str(), applied.channel.as_str()),
        ("ann", "cli"),
        "whose decision it was, and over what"
    );
    until(|| async { rig.store.unsettled().await.unwrap().is_empty().then_some(()) }).await;
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_rejected_result_and_one_without_a_folder_are_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), Notes::default()).await;
    let (project_id, asked) = offered(&mut rig, "gone").await;
    rig.handle.ask(project_id, decision(&asked, Verdict::Approved, ""), None).await.unwrap();
    until(|| async { (rig.kinds(project_id).await.last() == Some(&"apply_refused")).then_some(()) }).await;
    rig.tasks.stop().await;

    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), Notes::default()).await;
    let (project_id, asked) = offered(&mut rig, "t").await;
    rig.handle.ask(project_id, decision(&asked, Verdict::Rejected, "not today"), None).await.unwrap();
    until(|| async { rig.store.unsettled().await.unwrap().is_empty().then_some(()) }).await;
    assert!(!rig.kinds(project_id).await.contains(&"apply_started"));
    assert!(rig.notes.written.lock().unwrap().is_empty());
    rig.tasks.stop().await;
}

#[tokio::test]
async fn who_comes_second_hears_of_the_first_decision_only_once_it_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), Notes::default()).await;
    let (project_id, asked) = offered(&mut rig, "t").await;
    let by = |who: &str, note: &str| {
        let Fact::ApprovalDecided { approval_id, verdict, digest, channel, .. } =
            decision(&asked, Verdict::Approved, "")
        else {
            panic!("a decision")
        };
        let (by, note) = (who.to_owned(), note.to_owned());
        Fact::ApprovalDecided { approval_id, verdict, digest, by, channel, note, remember: None }
    };
    // The disk has no room for what ann writes; bob comes in the same turn.
    rig.store.limit_pages(1).await.unwrap();
    let long = "x".repeat(1_000_000);
    let both = (rig.handle.ask(project_id, by("ann", &long), None), rig.handle.ask(project_id, by("bob", ""), None));
    let (ann, bob) = tokio::join!(both.0, both.1);
    assert!(matches!(ann, Err(Refusal::Journal(_))), "{ann:?}");
    assert!(matches!(bob, Err(Refusal::Journal(_))), "nothing was decided before him: {bob:?}");
    rig.store.limit_pages(1_000_000).await.unwrap();
    rig.handle.ask(project_id, by("bob", ""), None).await.unwrap();
    let decided = rig.store.approval(asked.approval_id).await.unwrap().unwrap().decision.unwrap();
    assert_eq!(decided.by, "bob");
    rig.tasks.stop().await;
}
