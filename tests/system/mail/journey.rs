//! From a mail to a result, all of it by mail.

use std::sync::Arc;

use bus_schemas::v1::{
    agent::Role,
    approval::{ApprovalSubject, Verdict},
    task::Program,
};
use harness::{
    hostsim::{Played, Player},
    mail::{ANN, BATON, BOB, EVE, Envelope},
    wait,
};

use super::{
    rig::{Office, PATIENCE, planner},
    written::{Written, answer_address},
};

#[tokio::test]
async fn a_mail_becomes_a_project_that_a_reply_approves_and_whose_thread_ends_with_the_result() {
    let (player, _) = planner();
    let office = Office::setup().played(player).open().await;
    let written = Written::new(
        "Ann <ann@team.test>",
        BATON,
        "Count the lines",
        "Please count the lines of the report.\n\n-- \nAnn\n",
    )
    .file("report.txt", "text/plain", b"a\nb\n");
    office.sends(&written);
    let project = office.only_project().await;
    assert_eq!(project.owner, "ann");
    assert!(project.goal.contains("count the lines of the report"), "{}", project.goal);
    assert_eq!(office.base_file(&project, "inputs/report.txt").as_deref(), Some(&b"a\nb\n"[..]), "it is an input");

    let started = office.told(ANN, &["Count the lines"], 0).await;
    assert_eq!(started.header("In-Reply-To"), format!("<{}>", written.id));
    assert_eq!(started.header("Auto-Submitted"), "auto-replied");

    let approval = office.asked().await;
    assert_eq!(approval.subject, ApprovalSubject::Plan);
    let request = office.request(BOB, 0).await;
    assert!(answer_address(&request).starts_with("baton+"), "{request:?}");
    assert!(request.header("From").contains(BATON) && request.header("To").contains(BOB), "{request:?}");
    assert_eq!(request.header("Auto-Submitted"), "auto-generated");
    assert!(request.header("Message-ID").ends_with("@baton.orch.test>"), "{request:?}");
    assert!(request.html().contains(&office.link(&request)), "the link is in both texts");
    assert!(request.raw.split(|byte| *byte == b'\n').all(|line| line.len() <= 999), "lines are not too long");

    office.replies(BOB, &request, "Approved, thanks!");
    let decision = office.decided(&approval).await;
    assert_eq!(
        (decision.verdict, decision.by.as_str(), decision.channel.as_str()),
        (Verdict::Approved, "bob", "email")
    );
    office.told(BOB, &["approved"], 0).await;
    // She was asked, too, and hears who decided.
    office.told(ANN, &["approved", "bob"], 0).await;

    office.completed(&project).await;
    let result = office.told(ANN, &["completed", "Count the lines"], 0).await;
    assert!(result.header("References").contains(&written.id), "it is in the thread: {result:?}");
    assert_eq!((office.projects().await, office.decisions(&approval).await), (1, 1));
    assert_eq!(office.mail.mails(EVE), []);
}

/// Plans one task; whoever works on it changes `hello.txt`.
fn painter() -> Player {
    Arc::new(|played: Played| {
        Box::pin(async move {
            if matches!(&played.offer.program, Program::Agent(work) if work.role == Role::Planner) {
                let plan = r#"{"version": 1, "title": "greet", "tasks": [{"id": "greet", "run": "true", "checks": ["true"], "approval": "auto"}]}"#;
                return played.handoff_with(|handoff| handoff.result = serde_json::from_str(plan).ok());
            }
            let folder = tempfile::tempdir().expect("a temporary folder");
            std::fs::write(folder.path().join("hello.txt"), "hello, world\n").expect("a file");
            let commit = played.commit(folder.path()).await;
            played.handoff_with(|handoff| handoff.commit = commit)
        })
    })
}

#[tokio::test]
async fn what_is_approved_by_mail_is_in_the_folder_in_the_end() {
    let office = Office::setup().played(painter()).open().await;
    let folder = office.serve.folder();
    let text = format!("folder: {}\napply: ask\n\nGreet the world.\n", folder.display());
    office.sends(&Written::new(ANN, BATON, "Greet", &text));
    let project = office.only_project().await;
    assert_eq!(std::path::Path::new(&project.folder), folder);

    let plan = office.request(ANN, 0).await;
    let approval = office.asked().await;
    assert_eq!(approval.subject, ApprovalSubject::Plan);
    office.replies(ANN, &plan, "approve");
    office.decided(&approval).await;

    let apply = office.request(ANN, 1).await;
    let approval = office.asked().await;
    assert_eq!(approval.subject, ApprovalSubject::Apply);
    assert_eq!(
        std::fs::read_to_string(folder.join("hello.txt")).expect("the file"),
        "hello\n",
        "not before it is approved"
    );
    let patch = apply.parsed().attachments().find_map(|part| {
        let text = String::from_utf8_lossy(part.contents()).into_owned();
        text.contains("+hello, world").then_some(text)
    });
    assert!(patch.is_some_and(|text| text.contains("-hello\n")), "the difference is attached: {apply:?}");
    office.replies(ANN, &apply, "approve");
    office.decided(&approval).await;
    wait::until("the result in the folder", PATIENCE, || async {
        let text = std::fs::read_to_string(folder.join("hello.txt")).ok()?;
        (text == "hello, world\n").then_some(())
    })
    .await;
    office.completed(&project).await;
    office.told(ANN, &["completed", "hello.txt"], 0).await;
}

#[tokio::test]
async fn a_mail_that_a_program_of_somebody_else_sends_begins_a_project() {
    let office = Office::open().await;
    let written = Written::new("Ann <ann@team.test>", BATON, "By swaks", "Count the words.\n");
    // Nobody signed it: her machine's address speaks for her.
    let envelope = Envelope::new(ANN, BATON).by("mx.team.test", "127.0.0.5");
    let said = office.mail.swaks(&envelope, &written.raw()).expect("swaks sends it");
    assert!(said.contains("250"), "{said}");
    assert_eq!(office.only_project().await.owner, "ann");
    // From another machine nothing does.
    let forged = Written::new(ANN, BATON, "By swaks from elsewhere", "Pay me.\n");
    let elsewhere = Envelope::new(ANN, BATON).by("mx.elsewhere.test", "127.0.0.6");
    office.mail.swaks(&elsewhere, &forged.raw()).expect("swaks sends it");
    office.put_aside(&forged, &["team.test"]).await;
    assert_eq!(office.projects().await, 1);
}

#[tokio::test]
async fn a_reply_without_a_token_finds_its_thread() {
    let office = Office::open().await;
    let (project, approval, request) = office.waiting().await;
    let mut reply = Written::reply(ANN, &request, "approve");
    BATON.clone_into(&mut reply.to);
    office.sends(&reply);
    assert_eq!(office.decided(&approval).await.by, "ann");
    office.completed(&project).await;
}

#[tokio::test]
async fn a_reply_without_its_thread_finds_it_by_the_token() {
    let office = Office::open().await;
    let (project, approval, request) = office.waiting().await;
    office.sends(&Written::reply(ANN, &request, "approve").out_of_thread());
    assert_eq!(office.decided(&approval).await.by, "ann");
    office.completed(&project).await;
}

#[tokio::test]
async fn a_block_with_a_mistake_starts_nothing_and_is_answered() {
    let office = Office::open().await;
    office.sends(&Written::new(ANN, BATON, "Tidy up", "bugdet: 5\n\nTidy up.\n"));
    let answer = office.told(ANN, &["bugdet", "budget"], 0).await;
    assert!(answer.header("In-Reply-To").ends_with("@team.test>"), "{answer:?}");
    assert_eq!(office.projects().await, 0);
}
