//! One request, three who decide it at once: the command line, a click, the deadline; and a kill in the midst of it.

use bus_schemas::v1::{
    api::{ApprovalView, AuditEntry, DecisionRequest},
    approval::{Decision, Verdict},
};
use harness::{hostsim, wait};
use orchestrator::adapter::web::Client;

use super::rig::{Office, PATIENCE, says};

const HASTY: &str = "
version: 1
title: hasty
policies:
  hasty: { decide: ask, deadline: 4s }
tasks:
  - { id: one, run: 'true', checks: ['true'], approval: hasty }
";

/// So long before the deadline the two people decide, in one round after the other: early enough, too late, in between.
const BEFORE_MS: [i64; 6] = [600, 300, 150, 100, 50, -200];

#[tokio::test]
async fn a_click_a_command_and_the_deadline_at_once_have_one_outcome_that_every_copy_shows() {
    let office = Office::open("").await;
    let ann = office.slack.person("U0ANN");
    for (round, before) in BEFORE_MS.into_iter().enumerate() {
        let project = office.project(HASTY).await;
        let approval = office.asked().await;
        let card = office.card(&approval).await;
        let due = approval.expires_at.expect("a deadline").0 - before;
        wait::until("the deadline", PATIENCE, || async { (hostsim::now().0 >= due).then_some(()) }).await;

        let request = DecisionRequest {
            verdict: Verdict::Rejected,
            digest: approval.digest.clone(),
            by: "bob".to_owned(),
            channel: "cli".to_owned(),
            note: "not so".to_owned(),
            remember: None,
        };
        let (client, id) = (office.client(), approval.approval_id.to_string());
        let click = ann.clicks(&card, "baton.approve");
        let again = office.slack.sends_again(&click);
        let (command, _, _) = tokio::join!(client.decide(&id, &request), click.acked(), again.acked());
        let told = office.told("U0ANN", round).await.shown();

        let decision = office.decided(&approval).await;
        let verdict = match decision.channel.as_str() {
            "cli" => Verdict::Rejected,
            "slack" => Verdict::Approved,
            _ => Verdict::Expired,
        };
        assert_eq!(decision.verdict, verdict, "round {round}: {decision:?}");
        // Both people know what came of it.
        assert_eq!(command.is_ok(), verdict == Verdict::Rejected, "round {round}: {command:?}, {decision:?}");
        let word = if verdict == Verdict::Approved { "done" } else { "too late" };
        says(&told, &[word]);
        // Every copy says the same, and goes on saying it.
        for card in office.closed_cards(&approval).await {
            let words = match verdict {
                Verdict::Rejected => ["rejected", "bob"],
                Verdict::Approved => ["approved", "ann"],
                _ => ["expired", "nobody decided"],
            };
            says(&card.shown(), &words);
        }
        office.finished(&project).await;
        assert_eq!(office.request(&approval).await.decision.as_ref(), Some(&decision), "it stays as it is");
        let audit = office.client().audit(0, None).await.expect("the audit log");
        let made = audit.iter().filter(|e| e.approval_id == approval.approval_id && e.kind == "decision.made").count();
        assert_eq!(made, 1, "round {round}: one decision is recorded");
    }
    office.slack.no_violations();
}

const PATIENT: &str = "
version: 1
title: patient
tasks:
  - { id: one, run: 'true', checks: ['true'], approval: ask }
";

const SOON: &str = "
version: 1
title: soon
policies:
  soon: { decide: ask, deadline: 8s }
tasks:
  - { id: one, run: 'true', checks: ['true'], approval: soon }
";

/// So long before the deadline people decide and the orchestrator is killed, in milliseconds.
const JUST_BEFORE_MS: i64 = 150;

/// When the orchestrator is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Killed {
    /// The click and the command are on their way.
    Between,
    /// Slack knows that the click is kept; nobody knows whether it is done.
    AfterTheClick,
    /// The command has its answer.
    AfterTheCommand,
}

#[tokio::test]
async fn whenever_it_is_killed_there_is_one_outcome_that_journal_audit_and_every_copy_agree_on() {
    let mut office = Office::open("").await;
    let mut outcomes = Vec::new();
    for (plan, killed) in [
        (PATIENT, Killed::Between),
        (PATIENT, Killed::AfterTheClick),
        (PATIENT, Killed::AfterTheCommand),
        // Its deadline passes while nobody is there, or just before, or just after.
        (SOON, Killed::Between),
        (SOON, Killed::AfterTheClick),
    ] {
        outcomes.push(one_outcome(&mut office, plan, killed).await);
    }
    // Once more: what was decided stays decided, for everybody.
    office.kill().await;
    office.restart().await;
    for (approval, decision) in &outcomes {
        assert_eq!(office.request(approval).await.decision.as_ref(), Some(decision), "it stays as it is");
        let words = match decision.verdict {
            Verdict::Rejected => ["rejected", "bob"],
            Verdict::Approved => ["approved", "ann"],
            _ => ["expired", "nobody decided"],
        };
        for card in office.closed_cards(approval).await {
            says(&card.shown(), &words);
        }
    }
    let client = office.client();
    assert_eq!(client.verify_audit(None).await.expect("a report").findings, []);
    assert_eq!(client.rebuild().await.expect("a rebuild").differences, 0);
    office.slack.no_violations();
}

/// Ann clicks, Bob commands, the deadline passes, and the orchestrator is killed in the midst of it.
async fn one_outcome(office: &mut Office, plan: &str, killed: Killed) -> (ApprovalView, Decision) {
    let project = office.project(plan).await;
    let approval = office.asked().await;
    let card = office.card(&approval).await;
    let request = DecisionRequest {
        verdict: Verdict::Rejected,
        digest: approval.digest.clone(),
        by: "bob".to_owned(),
        channel: "cli".to_owned(),
        note: "not so".to_owned(),
        remember: None,
    };
    let id = approval.approval_id.to_string();
    let command = |client: Client| {
        let (id, request) = (id.clone(), request.clone());
        tokio::spawn(async move { client.decide(&id, &request).await })
    };
    if let Some(deadline) = approval.expires_at {
        let due = deadline.0 - JUST_BEFORE_MS;
        wait::until("the deadline", PATIENCE, || async { (hostsim::now().0 >= due).then_some(()) }).await;
    }
    let click = office.slack.person("U0ANN").clicks(&card, "baton.approve");
    let first = match killed {
        Killed::Between => {
            let commanded = command(office.client());
            office.kill().await;
            commanded.await
        }
        Killed::AfterTheClick => {
            click.acked().await;
            let commanded = command(office.client());
            office.kill().await;
            commanded.await
        }
        Killed::AfterTheCommand => {
            let commanded = command(office.client()).await;
            office.kill().await;
            commanded
        }
    };
    let first = first.expect("no panic");
    office.restart().await;
    // Whoever heard nothing says it again.
    let second = command(office.client()).await.expect("no panic");
    let decision = office.decided(&approval).await;
    let verdict = match decision.channel.as_str() {
        "cli" => Verdict::Rejected,
        "slack" => Verdict::Approved,
        _ => Verdict::Expired,
    };
    assert_eq!(decision.verdict, verdict, "{killed:?}: {decision:?}");
    // Who was told that they decided did.
    if first.is_ok() || second.is_ok() {
        assert_eq!(verdict, Verdict::Rejected, "{killed:?}: {first:?}, {second:?}, {decision:?}");
    }
    assert!(first.is_err() || second.is_err(), "{killed:?}: it was decided twice");
    office.finished(&project).await;
    let audit = office.client().audit(0, None).await.expect("the audit log");
    let is_made = |entry: &&AuditEntry| entry.approval_id == approval.approval_id && entry.kind == "decision.made";
    let made: Vec<&AuditEntry> = audit.iter().filter(is_made).collect();
    let [entry] = made.as_slice() else { panic!("{killed:?}: one decision is recorded: {made:?}") };
    assert_eq!((&entry.actor, &entry.channel), (&decision.by, &decision.channel), "{killed:?}");
    let by_people = usize::from(verdict != Verdict::Expired);
    assert_eq!(office.decisions(&approval).await, by_people, "{killed:?}: the journal has the one that counted");
    (approval, decision)
}
