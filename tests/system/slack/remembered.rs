//! Approvals that count for later requests: given, listed and taken back in Slack.

use bus_schemas::v1::approval::Verdict;
use harness::slack::{Post, TEAM_CHANNEL};
use serde_json::Value;

use super::rig::{ONE, Office, says};

/// The entry of the card's menu with these words.
fn entry(card: &Post, words: &str) -> Value {
    let menus = card.blocks.iter().flat_map(|block| block["elements"].as_array().cloned().unwrap_or_default());
    let options = menus.flat_map(|menu| menu["options"].as_array().cloned().unwrap_or_default());
    let mut all = options.filter(|option| option["text"]["text"].as_str().is_some_and(|text| text.contains(words)));
    all.next().unwrap_or_else(|| panic!("no entry {words:?} in {}", card.shown()))
}

#[tokio::test]
async fn an_approval_is_remembered_for_the_folder_and_taken_back_by_a_command() {
    let office = Office::open("").await;
    let (project, approval, card) = office.waiting().await;
    let ann = office.slack.person("U0ANN");
    let mut click = ann.click(&card, "baton.remember", |_| true);
    click["actions"][0]["selected_option"] = entry(&card, "folder");
    office.slack.sends("interactive", click).acked().await;
    says(&office.told("U0ANN", 0).await.shown(), &["done", "remembered", "/baton remembered"]);
    assert_eq!(office.decided(&approval).await.by, "ann");
    office.completed(&project).await;
    // The same task of the next project of this folder asks nobody.
    let second = office.project(ONE).await;
    office.completed(&second).await;
    ann.slash(TEAM_CHANNEL, "/baton", "remembered").acked().await;
    let listed = office.told("U0ANN", 1).await.shown();
    says(&listed, &["one", "<@U0ANN>", "used once"]);
    let id = approval.approval_id.to_string();
    let shown = listed.split('`').find(|part| part.len() > 12 && id.starts_with(*part)).expect("its id");
    office.slack.person("U0BOB").slash(TEAM_CHANNEL, "/baton", &format!("revoke {shown}")).acked().await;
    says(&office.told("U0BOB", 0).await.shown(), &["taken back"]);
    let third = office.project(ONE).await;
    let asked = office.asked().await;
    assert_eq!(asked.project_id, third.project_id, "it asks again");
    let card = office.card(&asked).await;
    ann.clicks(&card, "baton.approve").acked().await;
    assert_eq!(office.decided(&asked).await.verdict, Verdict::Approved);
    office.completed(&third).await;
    ann.slash(TEAM_CHANNEL, "/baton", "remembered").acked().await;
    says(&office.told("U0ANN", 3).await.shown(), &["no approval is remembered"]);
    let stranger = office.slack.person("U0STRANGER");
    stranger.slash(TEAM_CHANNEL, "/baton", "remembered").acked().await;
    says(&office.told("U0STRANGER", 0).await.shown(), &["member"]);
    assert_eq!(office.client().projects().await.expect("projects").len(), 3, "no command was taken for a goal");
    office.slack.no_violations();
}
