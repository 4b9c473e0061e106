//! What never gets into Slack, and what gets there harmless.

use std::sync::Arc;

use bus_schemas::{
    id::LeaseId,
    v1::{
        agent::Pause,
        handoff::{ChangeKind, ChangedPath, CheckEvidence},
    },
};
use harness::{
    hostsim::{Ending, Played, Player},
    wait,
};
use uuid::Uuid;

use super::rig::{Office, PATIENCE, named, says};

/// Built at run time, so that no scanner takes this file for a leak.
fn canaries() -> Vec<String> {
    let tail = "Zq7".repeat(14);
    vec![
        format!("ghp_{}", &tail[..36]),
        format!("AKIA{}", &tail.to_uppercase()[..16]),
        format!("sk-ant-api03-{tail}{tail}"),
        format!("xoxb-123456789012-1234567890123-{}", &tail[..24]),
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1c7+9z5Pad7OejecsQ0bu3aumzMzPBiHaGKpXUgvFXwFVnZb\n-----END RSA PRIVATE KEY-----"
            .to_owned(),
    ]
}

/// Everything an agent may write is full of it.
fn leaky(text: String) -> Player {
    Arc::new(move |played: Played| {
        let text = text.clone();
        Box::pin(async move {
            played.handoff_with(|handoff| {
                handoff.summary = format!("Done. {text}");
                handoff.open_questions = vec![format!("What of {text}?")];
                handoff.changed_paths =
                    vec![ChangedPath { path: text.replace('\n', " "), kind: ChangeKind::Added, bytes: 3 }];
                handoff.result = serde_json::from_value(serde_json::json!({ "note": text })).ok();
                handoff.evidence = vec![CheckEvidence {
                    name: text.clone(),
                    run: format!("echo {text}"),
                    passed: true,
                    exit_code: Some(0),
                    timed_out: false,
                    wall_ms: 1,
                    output_tail: text.clone(),
                    lease_id: LeaseId::from_uuid(Uuid::now_v7()),
                }];
            })
        })
    })
}

#[tokio::test]
async fn secrets_in_a_handoff_never_reach_slack() {
    let canaries = canaries();
    let office = Office::played("", leaky(canaries.join(" and "))).await;
    let (project, approval, card) = office.waiting().await;
    let ann = office.slack.person("U0ANN");
    for action in ["baton.open", "baton.changes"] {
        ann.clicks(&card, action).acked().await;
    }
    office.slack.wait_for_view("U0ANN").await;
    office.slack.person("U0BOB").clicks(&card, "baton.approve").acked().await;
    office.decided(&approval).await;
    office.closed_cards(&approval).await;
    office.finished(&project).await;
    let told = office.slack.everything_told();
    for canary in &canaries {
        let middle = canary.lines().find(|line| !line.starts_with("-----")).unwrap_or(canary);
        assert!(!told.contains(middle), "{middle:?} got into Slack");
    }
    for token in [harness::slack::APP_TOKEN, harness::slack::BOT_TOKEN] {
        assert!(!told.contains(token), "a token got into a message");
    }
    office.slack.no_violations();
}

#[tokio::test]
async fn mentions_links_and_markup_of_agents_are_only_text() {
    let text = "<!channel> <!here> @everyone <@U0ANN> <#C0TEAM|team> <https://evil.example/x|docs> https://evil.example/y *bold* `code` \
                mailto:a@b.example <!subteam^S1> \u{202e}gnp.exe";
    let office = Office::played("", leaky(text.to_owned())).await;
    let (_, approval, card) = office.waiting().await;
    let shown = serde_json::to_string(&card.blocks).expect("json") + &card.text;
    for bad in ["<!channel", "<!here", "<!subteam", "<@U0ANN", "<#C0TEAM", "<https://evil", "\u{202e}"] {
        assert!(!shown.contains(bad), "{bad} is in {shown}");
    }
    // Every mention is out of the reach of Slack's own reading, too.
    assert!(shown.contains("&lt;!channel") || !shown.contains("!channel>"), "{shown}");
    for call in office.slack.calls("chat.postMessage") {
        assert_eq!((&call.args["unfurl_links"], &call.args["unfurl_media"]), (&false.into(), &false.into()));
        assert!(call.args["link_names"] != true && call.args["parse"] != "full", "{}", call.args);
    }
    office.slack.person("U0BOB").clicks(&card, "baton.approve").acked().await;
    office.decided(&approval).await;
    office.closed_cards(&approval).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn a_huge_handoff_still_fits_into_a_card() {
    let office = Office::played("", leaky("a very long story 🦀 <&> ".repeat(1_500))).await;
    let (_, approval, card) = office.waiting().await;
    assert!(card.offers("baton.approve"));
    office.slack.person("U0BOB").clicks(&card, "baton.approve").acked().await;
    office.decided(&approval).await;
    office.closed_cards(&approval).await;
    office.slack.no_violations();
}

/// Nothing about it looks like a secret; two of its letters are written in another way in Slack.
const SHAPELESS: &str = "the moon & the <old> harbour";

/// Says it in a question, in the names and contents of files, in a report, and in an answer.
fn talkative() -> Player {
    Arc::new(|played: Played| {
        Box::pin(async move {
            let asked = played.work().map(|work| format!("{} {:?}", work.instructions, played.offer.notes));
            if asked.is_some_and(|asked| asked.contains("Why the harbour")) {
                return played.handoff_with(|handoff| {
                    handoff.summary = format!("Because of {SHAPELESS}.");
                    let answer = serde_json::json!({ "answer": format!("Because of {SHAPELESS}.") });
                    handoff.result = serde_json::from_value(answer).ok();
                });
            }
            if played.offer.attempt.number == 1 {
                let options = vec![format!("to {SHAPELESS}"), "home".to_owned()];
                return Ending::Paused(Pause::Question { question: format!("To {SHAPELESS}?"), options, stuck: false });
            }
            let folder = tempfile::tempdir().expect("a temporary folder");
            std::fs::write(folder.path().join("hello.txt"), "hello\n").expect("a file");
            std::fs::write(folder.path().join(format!("{SHAPELESS}.txt")), format!("{SHAPELESS}\n")).expect("a file");
            let commit = played.commit(folder.path()).await;
            played.handoff_with(|handoff| {
                handoff.commit = commit;
                handoff.summary = format!("{}{SHAPELESS} and back", "on and on ".repeat(200));
                handoff.open_questions = vec![format!("What of {SHAPELESS}?")];
                let path = format!("{SHAPELESS}.txt");
                handoff.changed_paths = vec![ChangedPath { path, kind: ChangeKind::Added, bytes: 29 }];
            })
        })
    })
}

#[tokio::test]
async fn what_the_settings_name_is_hidden_whatever_it_looks_like_and_wherever_an_agent_says_it() {
    let office = Office::played(&format!("never = [{SHAPELESS:?}]\n"), talkative()).await;
    let plan = "
version: 1
title: travel
tasks:
  - { id: a, agent: { instructions: work }, checks: ['true'], approval: ask }
";
    let project = office.project(plan).await;
    let question = office.asked().await;
    let card = office.card(&question).await;
    let (ann, bob, eve) = (office.slack.person("U0ANN"), office.slack.person("U0BOB"), office.slack.person("U0EVE"));
    ann.clicks(&card, "baton.answer").acked().await;
    let form = office.slack.wait_for_view("U0ANN").await;
    assert!(form.view.to_string().contains("[withheld]"), "{}", form.view);
    ann.submits(&form, &[("note", "anywhere")]).acked().await;
    office.decided(&question).await;
    let handoff = wait::until("the handoff", PATIENCE, || async {
        office.client().approvals(false).await.ok()?.into_iter().find(|asked| asked.approval_id != question.approval_id)
    })
    .await;
    let card = office.card(&handoff).await;
    says(&card.shown(), &["[withheld]"]);
    for action in ["baton.open", "baton.reject", "baton.ask"] {
        ann.clicks(&card, action).acked().await;
    }
    let form = wait::until("the form of the question", PATIENCE, || async {
        office.slack.view_of("U0ANN").filter(|view| view.callback() == "baton.ask")
    })
    .await;
    ann.submits(&form, &[("note", "Why the harbour?")]).acked().await;
    let answer = office.slack.wait_for_message("the agent's answer", |post| named(post, "answer")).await;
    says(&answer.shown(), &["[withheld]"]);
    eve.opens_home().acked().await;
    bob.clicks(&office.slack.post(&card), "baton.approve").acked().await;
    office.decided(&handoff).await;
    office.closed_cards(&handoff).await;
    eve.clicks(&card, "baton.approve").acked().await;
    office.told("U0EVE", 0).await;
    office.completed(&project).await;
    office.slack.wait_for_message("the summary", |post| named(post, "summary")).await;
    assert!(!office.slack.uploads().is_empty(), "differences were attached");
    let told = office.slack.everything_told();
    for part in [SHAPELESS, "the moon", "harbour>", "<old>", "&lt;old&gt;", "old> harbour"] {
        assert!(!told.contains(part), "{part:?} got into Slack");
    }
    office.slack.no_violations();
}
