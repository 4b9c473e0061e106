//! The status message of a project, its summary, and home tabs.

use std::time::Duration;

use harness::{
    slack::{Post, TEAM_CHANNEL},
    wait,
};

use super::rig::{Office, PATIENCE, says};

/// Between two edits of one message; a little less than is configured, since both ends measure.
const LEAST: Duration = Duration::from_millis(900);

#[tokio::test]
async fn one_status_message_is_edited_in_place_and_not_too_often() {
    let office = Office::open("status_every = \"1s\"\n").await;
    let mut plan = "version: 1\ntitle: many steps\napproval: auto\ntasks:\n".to_owned();
    for number in 0..40_u32 {
        let needs = number.checked_sub(1).map(|before| format!(" needs: [t{before}],")).unwrap_or_default();
        plan.push_str(&format!("  - {{ id: t{number},{needs} run: 'true', checks: ['true'] }}\n"));
    }
    let project = office.project(&plan).await;
    office.completed(&project).await;
    let is_status = |post: &Post| post.channel == TEAM_CHANNEL && post.shown().contains("many steps");
    let status =
        office.slack.wait_for_message("the finished status", |p| is_status(p) && p.shown().contains("40")).await;
    says(&status.shown(), &["many steps"]);
    // Not one message for each of some 160 events.
    let posted = office.slack.posts().iter().filter(|post| post.is_ours()).count();
    assert!(posted <= 4, "{posted} messages");
    for post in office.slack.posts() {
        let edits = post.edits;
        for pair in edits.windows(2) {
            let [earlier, later] = pair else { continue };
            assert!(later.duration_since(*earlier) >= LEAST, "{:?} between two edits", later.duration_since(*earlier));
        }
    }
    office.slack.no_violations();
}

#[tokio::test]
async fn the_end_is_summed_up() {
    let office = Office::open("").await;
    let (project, _, card) = office.waiting().await;
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    office.completed(&project).await;
    let summary = office
        .slack
        .wait_for_message("the summary", |post| {
            post.metadata.as_ref().is_some_and(|m| m.to_string().contains("summary"))
                || post.shown().contains("What was done")
        })
        .await;
    says(&summary.shown(), &["completed", "one"]);
    office.slack.no_violations();
}

#[tokio::test]
async fn the_home_tab_shows_my_projects_and_what_waits_for_me() {
    let office = Office::open("").await;
    let eve = office.slack.person("U0EVE");
    eve.opens_home().acked().await;
    office.slack.wait_for_home("U0EVE", |_| true).await;
    let (project, approval, card) = office.waiting().await;
    eve.opens_home().acked().await;
    let home = office.slack.wait_for_home("U0EVE", |home| home.shown().contains("one")).await;
    says(&home.shown(), &["one"]);
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    office.decided(&approval).await;
    office.completed(&project).await;
    // It follows what happens while it is looked at; opening it again is enough in any case.
    wait::until("the home tab to say it is done", PATIENCE, || async {
        eve.opens_home().acked().await;
        let home = office.slack.home_of("U0EVE")?;
        home.shown().to_lowercase().contains("completed").then_some(())
    })
    .await;
    let stranger = office.slack.person("U0STRANGER");
    stranger.opens_home().acked().await;
    wait::until("the stranger's home tab, if they get one", PATIENCE, || async { Some(()) }).await;
    if let Some(home) = office.slack.home_of("U0STRANGER") {
        assert!(!home.shown().contains("simulated"), "strangers see no work: {}", home.shown());
    }
    office.slack.no_violations();
}
