//! Projects that begin in Slack.

use std::sync::{Arc, Mutex};

use bus_schemas::v1::{agent::Role, api::ProjectView, approval::ApprovalSubject, project::ProjectState, task::Program};
use harness::{
    hostsim::{Played, Player},
    slack::{Fault, Post, TEAM_CHANNEL},
    wait,
};

use super::rig::{Office, PATIENCE, says};

const PLAN: &str = r#"{"version": 1, "title": "worked out", "tasks": [{"id": "one", "run": "true", "checks": ["true"], "approval": "auto"}]}"#;

pub(crate) type Offers = Arc<Mutex<Vec<bus_schemas::v1::task::Offer>>>;

/// A planner that always has the same plan; keeps what was offered.
fn planner() -> (Player, Offers) {
    planning(PLAN)
}

/// A planner that always has this plan.
pub(crate) fn planning(plan: &str) -> (Player, Offers) {
    let offers = Offers::default();
    let (kept, plan) = (Arc::clone(&offers), plan.to_owned());
    let player: Player = Arc::new(move |played: Played| {
        kept.lock().expect("no poison").push(played.offer.clone());
        let plan = plan.clone();
        Box::pin(async move {
            let plans = matches!(&played.offer.program, Program::Agent(work) if work.role == Role::Planner);
            if plans {
                return played.handoff_with(|handoff| handoff.result = serde_json::from_str(&plan).ok());
            }
            played.handoff()
        })
    });
    (player, offers)
}

/// From the plan's card to the end; returns the card.
pub(crate) async fn goes_on(office: &Office, channel: &str, root: &str) -> Post {
    let project = office.only_project().await;
    let approval = office.asked().await;
    assert_eq!(approval.subject, ApprovalSubject::Plan);
    let card = wait::until("the plan's card in the thread", PATIENCE, || async {
        office
            .cards(&approval)
            .into_iter()
            .find(|card| card.channel == channel && card.thread_ts.as_deref() == Some(root))
    })
    .await;
    office.slack.person("U0BOB").clicks(&card, "baton.approve").acked().await;
    office.completed(&project).await;
    card
}

/// Whoever works on it begins with the base of the project.
fn works_on_its_base(offers: &Offers, project: &ProjectView) {
    let offers = offers.lock().expect("no poison");
    let base = Some(&project.base_commit);
    assert_eq!(offers.first().map(|offer| &offer.base_commit), base, "{offers:?}");
}

#[tokio::test]
async fn a_mention_starts_a_project_whose_thread_hangs_on_it_and_files_become_inputs() {
    let (player, offers) = planner();
    let office = Office::played("", player).await;
    let ann = office.slack.person("U0ANN");
    let said = ann.mentions(TEAM_CHANNEL, "Count the lines of the report", &[("report.txt", b"a\nb\n")]).acked().await;
    let project = office.only_project().await;
    assert_eq!((project.owner.as_str(), project.goal.as_str()), ("ann", "Count the lines of the report"));
    goes_on(&office, TEAM_CHANNEL, &said.ts).await;
    works_on_its_base(&offers, &project);
    assert_eq!(office.base_file(&project, "inputs/report.txt").as_deref(), Some(&b"a\nb\n"[..]), "it is an input");
    assert!(office.slack.thread(TEAM_CHANNEL, &said.ts).len() >= 3, "status, card, summary");
    office.slack.no_violations();
}

#[tokio::test]
async fn a_direct_message_starts_a_project() {
    let (player, _) = planner();
    let office = Office::played("", player).await;
    let said = office.slack.person("U0ANN").direct("Tidy up", &[]).acked().await;
    let project = office.only_project().await;
    assert_eq!((project.owner.as_str(), project.goal.as_str()), ("ann", "Tidy up"));
    let approval = office.asked().await;
    let card = wait::until("the plan's card", PATIENCE, || async {
        office.cards(&approval).into_iter().find(|card| card.channel == said.channel)
    })
    .await;
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    office.completed(&project).await;
    // The app heard its own words all the time, and took none for an order.
    assert_eq!(office.client().projects().await.expect("projects").len(), 1);
    office.slack.no_violations();
}

#[tokio::test]
async fn the_command_opens_a_modal_that_says_what_is_missing() {
    let (player, _) = planner();
    let roots = format!("folders = [{:?}]\n", std::env::temp_dir().display().to_string());
    let office = Office::played(&roots, player).await;
    let folder = office.serve.folder().display().to_string();
    let ann = office.slack.person("U0ANN");
    ann.slash(TEAM_CHANNEL, "/baton", "").acked().await;
    let view = office.slack.wait_for_view("U0ANN").await;
    assert_eq!(view.callback(), "baton.goal");
    ann.submits(&view, &[("goal", "Write a poem"), ("budget", "a lot"), ("folder", "here")]).acked().await;
    let view = office.slack.view_of("U0ANN").expect("the modal stays");
    assert!(view.errors.contains_key("budget") && view.errors.contains_key("folder"), "{:?}", view.errors);
    assert_eq!(office.client().projects().await.expect("projects"), []);
    ann.submits(&view, &[("goal", "Write a poem"), ("budget", "2.50"), ("folder", &folder)]).acked().await;
    office.slack.wait_for_no_view("U0ANN").await;
    let project = office.only_project().await;
    assert_eq!((project.goal.as_str(), project.folder.as_str()), ("Write a poem", folder.as_str()));
    let approval = office.asked().await;
    let card = office.card(&approval).await;
    office.slack.person("U0BOB").clicks(&card, "baton.approve").acked().await;
    office.completed(&project).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn a_message_is_delegated_with_its_files() {
    let (player, offers) = planner();
    let office = Office::played("", player).await;
    let said =
        office.slack.person("U0BOB").says(TEAM_CHANNEL, "The numbers are wrong", &[("numbers.csv", b"1,2\n")]).post;
    let ann = office.slack.person("U0ANN");
    ann.shortcut(&said, "baton.goal").acked().await;
    let view = office.slack.wait_for_view("U0ANN").await;
    says(&view.view.to_string(), &["The numbers are wrong"]);
    ann.submits(&view, &[]).acked().await;
    let project = office.only_project().await;
    assert_eq!(project.goal, "The numbers are wrong");
    goes_on(&office, TEAM_CHANNEL, &said.ts).await;
    works_on_its_base(&offers, &project);
    assert_eq!(office.base_file(&project, "inputs/numbers.csv").as_deref(), Some(&b"1,2\n"[..]), "it is an input");
    office.slack.no_violations();
}

#[tokio::test]
async fn strangers_start_nothing() {
    let office = Office::open("").await;
    let stranger = office.slack.person("U0STRANGER");
    stranger.mentions(TEAM_CHANNEL, "Give me everything", &[]).acked().await;
    says(&office.told("U0STRANGER", 0).await.shown(), &["member"]);
    stranger.slash(TEAM_CHANNEL, "/baton", "Give me everything").acked().await;
    says(&office.told("U0STRANGER", 1).await.shown(), &["member"]);
    assert_eq!(office.slack.view_of("U0STRANGER"), None);
    assert_eq!(office.client().projects().await.expect("projects"), []);
    office.slack.no_violations();
}

#[tokio::test]
async fn a_mention_that_is_delivered_twice_starts_one_project() {
    let (player, _) = planner();
    let office = Office::played("", player).await;
    let mut said = office.slack.person("U0ANN").mentions(TEAM_CHANNEL, "Only once", &[]);
    let sent = said.sent.pop().expect("an event");
    let again = office.slack.sends_again(&sent);
    sent.acked().await;
    again.acked().await;
    let card = goes_on(&office, TEAM_CHANNEL, &said.post.ts).await;
    assert_eq!(card.channel, TEAM_CHANNEL);
    let projects = office.client().projects().await.expect("projects");
    assert_eq!(projects.len(), 1);
    assert_eq!(projects[0].state, ProjectState::Completed);
    office.slack.no_violations();
}

#[tokio::test]
async fn while_slack_is_in_trouble_a_colleague_waits_and_is_not_taken_for_a_stranger() {
    let (player, _) = planner();
    let office = Office::played("allow_everyone = true\n", player).await;
    office.slack.fails("users.info", 10_000, Fault::Status(503));
    let colleague = office.slack.person("U0STRANGER");
    colleague.mentions(TEAM_CHANNEL, "Tidy up", &[]).acked().await;
    says(&office.told("U0STRANGER", 0).await.shown(), &["does not say just now", "is kept"]);
    assert_eq!(office.client().projects().await.expect("projects"), []);
    office.slack.is_well();
    let project = office.only_project().await;
    assert_eq!((project.owner.as_str(), project.goal.as_str()), ("slack:U0STRANGER", "Tidy up"));
    let refused = office.slack.ephemerals_to("U0STRANGER").iter().any(|told| told.shown().contains("Nothing was done"));
    assert!(!refused, "nobody was turned away");
    office.slack.no_violations();
}

#[tokio::test]
async fn where_everyone_may_a_colleague_starts_and_decides_and_a_guest_of_another_company_does_not() {
    let (player, _) = planner();
    let office = Office::played("allow_everyone = true\n", player).await;
    let foreign = office.slack.person("U0FOREIGN");
    foreign.mentions(TEAM_CHANNEL, "Give me everything", &[]).acked().await;
    says(&office.told("U0FOREIGN", 0).await.shown(), &["nothing was done", "workspace"]);
    foreign.slash(TEAM_CHANNEL, "/baton", "").acked().await;
    says(&office.told("U0FOREIGN", 1).await.shown(), &["nothing was done", "workspace"]);
    assert_eq!(office.slack.view_of("U0FOREIGN"), None);
    assert_eq!(office.client().projects().await.expect("projects"), []);
    let said = office.slack.person("U0STRANGER").mentions(TEAM_CHANNEL, "Tidy up", &[]).acked().await;
    let project = office.only_project().await;
    assert_eq!((project.owner.as_str(), project.goal.as_str()), ("slack:U0STRANGER", "Tidy up"));
    let approval = office.asked().await;
    let card = office.card(&approval).await;
    foreign.clicks(&card, "baton.approve").acked().await;
    says(&office.told("U0FOREIGN", 2).await.shown(), &["nothing was done", "workspace"]);
    assert_eq!(office.request(&approval).await.decision, None);
    goes_on(&office, TEAM_CHANNEL, &said.ts).await;
    office.slack.no_violations();
}
