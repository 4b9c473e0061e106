//! One request, three who decide it at once: the command line, a click, the deadline.

use bus_schemas::v1::{api::DecisionRequest, approval::Verdict};
use harness::{hostsim, wait};

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
