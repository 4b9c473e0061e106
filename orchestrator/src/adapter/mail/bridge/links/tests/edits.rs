//! Plans, edited behind links.

use bus_schemas::v1::{
    api::{Finding, Severity},
    plan::Run,
};

use super::*;
use crate::port::fake::problem;

const YAML: &str = "version: 1\ntitle: Other\ntasks:\n  - id: b\n    run: make\n";

fn edit(plan: &str) -> Filled {
    Filled { plan: plan.to_owned(), ..filled("edit", "") }
}

fn edits(rig: &Rig) -> usize {
    rig.service.known().edits.len()
}

/// The request about the new plan.
fn asks_next(rig: &Rig, change: impl FnOnce(&mut ApprovalView)) {
    let mut known = rig.service.known();
    let mut next = known.only().clone();
    (next.approval_id, next.digest) = (ApprovalId::from_uuid(Uuid::from_u128(3)), "next".to_owned());
    change(&mut next);
    known.next = Some(next);
}

#[tokio::test]
async fn whoever_may_edit_finds_the_plan_in_a_form() {
    let rig = rig();
    let page = rig.bridge.show(&rig.link).await.html;
    assert!(page.contains("name=\"plan\"") && page.contains("run: make") && page.contains("value=\"edit\""), "{page}");
    // Nobody's address by now, and not who started the project.
    rig.desk.lock().outs[0].person = "email:eve@example.org".to_owned();
    rig.desk.lock().outs[0].to = "eve@example.org".to_owned();
    let page = rig.bridge.show(&rig.link).await.html;
    assert!(page.contains("method=\"post\"") && !page.contains("name=\"plan\""), "{page}");
    rig.service.known().project.owner = "email:eve@example.org".to_owned();
    assert!(rig.bridge.show(&rig.link).await.html.contains("name=\"plan\""), "who started it may");
}

#[tokio::test]
async fn a_plan_that_cannot_be_shown_whole_is_edited_elsewhere() {
    let rig = rig();
    for run in ["a".repeat(70_000), ["Bearer ", "abcdefghijklmnopqrstuvwxyz0123456789"].concat()] {
        rig.service.known().only().plan.as_mut().unwrap().tasks[0].run = Some(Run::Bash(run));
        let page = rig.bridge.show(&rig.link).await.html;
        assert!(page.contains("baton plan edit") && !page.contains("name=\"plan\""), "{page}");
    }
}

#[tokio::test]
async fn an_edit_is_the_services_and_leads_to_the_new_request() {
    let rig = rig();
    asks_next(&rig, |_| {});
    let page = rig.bridge.decide(&rig.link, edit(YAML)).await;
    assert_eq!(page.answer, Answer::Ok);
    {
        let known = rig.service.known();
        let sent = &known.edits[0];
        assert_eq!((sent.by.as_str(), sent.channel.as_str(), sent.digest.as_str()), (ANN, "email", DIGEST));
        assert_eq!(sent.plan.text, YAML);
    }
    let mail = rig.desk.lock().outs.iter().find(|mail| mail.digest == "next").cloned().expect("a mail that asks");
    assert_eq!((mail.to.as_str(), mail.person.as_str()), (ANN, "ann"));
    let link = token::link(&KEY, mail.id);
    assert!(page.html.contains(&format!("href=\"{link}\"")), "{}", page.html);
    let next = rig.bridge.show(&link).await;
    assert!(next.html.contains("value=\"next\"") && next.html.contains("value=\"approve\""), "{}", next.html);
    // The old link says that it is void, and why.
    let old = rig.bridge.show(&rig.link).await;
    assert!(old.html.contains("Void") && old.html.contains("proposes another plan"), "{}", old.html);
    assert_eq!(rig.used().as_deref(), Some("You edited the plan."));
    // Pressed again, by who did not see the answer.
    let again = rig.bridge.decide(&rig.link, edit(YAML)).await;
    assert_eq!((again.answer, edits(&rig)), (Answer::Closed, 1));
    assert!(again.html.contains("title: Other"), "{}", again.html);
}

#[tokio::test]
async fn who_edited_and_may_not_approve_is_told_who_must() {
    let rig = rig();
    asks_next(&rig, |next| {
        next.route.excluded = vec!["ann".to_owned()];
        next.route.needs = "two of leads (ann, bob, eve)".to_owned();
    });
    let page = rig.bridge.decide(&rig.link, edit(YAML)).await;
    assert_eq!(page.answer, Answer::Ok);
    let said = page.html.replace("<wbr>", "");
    assert!(said.contains("keeps those who edited it") && said.contains("two of leads"), "{said}");
    assert!(!said.contains("<a href"), "{said}");
    assert!(rig.desk.lock().outs.iter().all(|mail| mail.digest != "next"), "they are not asked");
}

#[tokio::test]
async fn a_plan_that_nobody_must_approve_is_said_to_go_on() {
    let rig = rig();
    rig.service.known().is_auto = true;
    let page = rig.bridge.decide(&rig.link, edit(YAML)).await;
    assert!(page.answer == Answer::Ok && page.html.contains("it is worked on"), "{}", page.html);
}

#[tokio::test]
async fn what_is_wrong_is_said_and_what_was_written_stays() {
    let rig = rig();
    let finding = Finding {
        severity: Severity::Error,
        code: "unknown_need".to_owned(),
        file: "plan".to_owned(),
        line: 5,
        column: 3,
        message: "there is no task scna".to_owned(),
        hint: Some("did you mean scan?".to_owned()),
    };
    let unsound = Problem { findings: vec![finding], ..problem("plan_invalid", 422) };
    rig.service.known().edit_fails = Some(unsound);
    let page = rig.bridge.decide(&rig.link, edit(YAML)).await;
    assert_eq!((page.answer, edits(&rig), rig.used()), (Answer::Incomplete, 0, None));
    for word in ["Line 5: there is no task scna", "did you mean scan?", "title: Other", "<details open>", DIGEST] {
        assert!(page.html.contains(word), "{word}: {}", page.html);
    }
    for (plan, why) in [(" \n", "no plan in the form"), ("", "no plan in the form")] {
        let page = rig.bridge.decide(&rig.link, edit(plan)).await;
        assert!(page.answer == Answer::Incomplete && page.html.contains(why), "{}", page.html);
    }
    rig.service.known().edit_fails = None;
    let shown = rig.service.known().only().plan.clone().unwrap();
    let same = crate::planfile::yaml(&shown).unwrap();
    let page = rig.bridge.decide(&rig.link, edit(&same)).await;
    assert!(page.answer == Answer::Incomplete && page.html.contains("You changed nothing"), "{}", page.html);
    assert_eq!((edits(&rig), rig.used()), (0, None));
}

#[tokio::test]
async fn who_may_not_edit_is_told_so_and_loses_nothing() {
    let rig = rig();
    rig.service.known().edit_fails = Some(problem("no_member", 403));
    let page = rig.bridge.decide(&rig.link, edit(YAML)).await;
    assert!(page.answer == Answer::Forbidden && page.html.contains("title: Other"), "{}", page.html);
    assert!(page.html.contains("it is no_member") && !page.html.contains("<form"), "{}", page.html);
}

#[tokio::test]
async fn an_edit_after_a_decision_or_another_edit_changes_nothing_and_loses_nothing() {
    let rig = rig();
    let other = Filled { digest: "other".to_owned(), ..edit(YAML) };
    let page = rig.bridge.decide(&rig.link, other).await;
    assert!(page.answer == Answer::Closed && page.html.contains("title: Other"), "{}", page.html);
    // The service hears of the other edit first: this one was under way.
    rig.service.known().edit_fails = Some(problem("digest_mismatch", 409));
    let page = rig.bridge.decide(&rig.link, edit(YAML)).await;
    assert!(page.answer == Answer::Closed && page.html.contains("title: Other"), "{}", page.html);
    rig.service.known().edit_fails = None;
    rig.bridge.decide(&rig.link, filled("reject", "wrong branch")).await;
    let page = rig.bridge.decide(&rig.link, edit(YAML)).await;
    assert_eq!((page.answer, edits(&rig)), (Answer::Closed, 0));
    for word in ["Your edit came too late", "wrong branch", "title: Other", " readonly>"] {
        assert!(page.html.contains(word), "{word}: {}", page.html);
    }
}

#[tokio::test]
async fn trouble_edits_nothing_and_the_form_can_be_sent_again() {
    let rig = rig();
    let trouble = |page: Page| {
        assert_eq!((page.answer, edits(&rig), rig.used()), (Answer::Later, 0, None));
        for word in ["title: Other", "Try again", "value=\"edit\"", DIGEST] {
            assert!(page.html.contains(word), "{word}: {}", page.html);
        }
    };
    rig.service.known().down = down();
    trouble(rig.bridge.decide(&rig.link, edit(YAML)).await);
    rig.service.known().down = None;
    rig.service.known().edit_fails = Some(problem("storage_full", 507));
    trouble(rig.bridge.decide(&rig.link, edit(YAML)).await);
    rig.service.known().edit_fails = None;
    assert_eq!(rig.bridge.decide(&rig.link, edit(YAML)).await.answer, Answer::Ok);
    let foreign = token::link(&[8; 32], Uuid::from_u128(9));
    assert_eq!(rig.bridge.decide(&foreign, edit(YAML)).await, gone());
}

#[tokio::test]
async fn only_a_plan_is_edited() {
    let rig = rig();
    rig.service.known().only().subject =
        ApprovalSubject::Skill { task_id: bus_schemas::id::TaskId::from_uuid(Uuid::from_u128(5)), attempt: 1 };
    assert!(!rig.bridge.show(&rig.link).await.html.contains("name=\"plan\""));
    let page = rig.bridge.decide(&rig.link, edit(YAML)).await;
    assert!(page.answer == Answer::Incomplete && page.html.contains("Only a plan"), "{}", page.html);
    assert_eq!(edits(&rig), 0);
}
