//! The status message of a project, its summary, and home tabs.

use std::{sync::Arc, time::Duration};

use harness::{
    hostsim::{Played, Player},
    slack::{Post, TEAM_CHANNEL},
    wait,
};

use serde_json::json;

use super::{
    rig::{Office, PATIENCE, named, says},
    starting::{goes_on, planning},
};

const SMALL: &str = r#"{"version": 1, "title": "small", "tasks": [{"id": "only", "run": "true", "checks": ["true"], "approval": "auto"}]}"#;

/// Between two edits of one message; a little less than is configured, since both ends measure.
const LEAST: Duration = Duration::from_millis(900);

#[tokio::test]
async fn one_status_message_is_edited_in_place_and_not_too_often() {
    let tasks = (0..40_u32).map(|number| {
        let needs: Vec<String> = number.checked_sub(1).map(|before| format!("t{before}")).into_iter().collect();
        json!({ "id": format!("t{number}"), "needs": needs, "run": "true", "checks": ["true"], "approval": "auto" })
    });
    let plan = json!({ "version": 1, "title": "many steps", "tasks": tasks.collect::<Vec<_>>() });
    let (player, _) = planning(&plan.to_string());
    let office = Office::played("status_every = \"1s\"\n", player).await;
    let said = office.slack.person("U0ANN").mentions(TEAM_CHANNEL, "Do many steps", &[]).acked().await;
    goes_on(&office, TEAM_CHANNEL, &said.ts).await;
    let is_status = |post: &Post| named(post, "status");
    // A bare number could be one of the moment's.
    let goes_on = |shown: String| shown.contains("of 41") && shown.contains('▓');
    let status = office.slack.wait_for_message("the status", |p| is_status(p) && goes_on(p.shown())).await;
    assert_eq!(status.thread_ts.as_deref(), Some(said.ts.as_str()), "thread = project");
    says(&status.shown(), &["many steps", "▓"]);
    office.slack.wait_for_message("the summary", |post| named(post, "summary")).await;
    // Not one message for each of some 160 events: the status, the plan's card, the summary.
    let ours: Vec<Post> = office.slack.posts().into_iter().filter(Post::is_ours).collect();
    assert!(ours.len() <= 4 && ours.iter().filter(|post| is_status(post)).count() == 1, "{ours:#?}");
    for pair in status.edits.windows(2) {
        let [earlier, later] = pair else { continue };
        assert!(later.duration_since(*earlier) >= LEAST, "{:?} between two edits", later.duration_since(*earlier));
    }
    office.slack.no_violations();
}

#[tokio::test]
async fn the_end_is_summed_up_with_the_result() {
    let (player, _) = planning(SMALL);
    let office = Office::played("", player).await;
    let said = office.slack.person("U0ANN").mentions(TEAM_CHANNEL, "Do one thing", &[]).acked().await;
    goes_on(&office, TEAM_CHANNEL, &said.ts).await;
    let summary = office.slack.wait_for_message("the summary", |post| named(post, "summary")).await;
    assert_eq!(summary.thread_ts.as_deref(), Some(said.ts.as_str()));
    says(&summary.shown(), &["Do one thing", "completed", "only"]);
    office.slack.no_violations();
}

#[tokio::test]
async fn a_project_from_the_command_line_has_a_thread_and_its_summary_carries_the_difference() {
    let player: Player = Arc::new(|played: Played| {
        Box::pin(async move {
            let folder = tempfile::tempdir().expect("a temporary folder");
            std::fs::write(folder.path().join("hello.txt"), "hello, world\n").expect("a file");
            let commit = played.commit(folder.path()).await;
            played.handoff_with(|handoff| handoff.commit = commit)
        })
    });
    let office = Office::played("", player).await;
    let (project, approval, card) = office.waiting().await;
    let status = office.slack.wait_for_message("the status", |post| named(post, "status")).await;
    assert_eq!((status.channel.as_str(), status.thread_ts.as_deref()), (TEAM_CHANNEL, None));
    assert_eq!(card.thread_ts.as_deref(), Some(status.ts.as_str()), "its requests come into its thread");
    office.slack.person("U0BOB").clicks(&card, "baton.approve").acked().await;
    office.decided(&approval).await;
    office.completed(&project).await;
    let summary = office.slack.wait_for_message("the summary", |post| named(post, "summary")).await;
    assert_eq!(summary.thread_ts.as_deref(), Some(status.ts.as_str()));
    says(&summary.shown(), &["hello.txt", "in this thread"]);
    let files = office.slack.uploads();
    let file = files.iter().find(|file| file.name == "result.diff").expect("the difference");
    assert_eq!((file.channel.as_deref(), file.thread_ts.as_deref()), (Some(TEAM_CHANNEL), Some(status.ts.as_str())));
    let text = String::from_utf8_lossy(&file.bytes);
    assert!(text.contains("-hello\n") && text.contains("+hello, world"), "{text}");
    office.slack.wait_until("the last status", &status, |post| post.shown().contains("completed")).await;
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
