use super::*;
use crate::adapter::slack::view::{action, callback};
use bus_schemas::v1::{
    api::{ApprovalView, Risk},
    approval::Verdict,
};

/// Nothing about it looks like a secret; `&` is written in another way in Slack.
const CANARY: &str = "correct & horse-battery-staple";
/// What nobody may read of it: what is left when it is cut in the middle.
const HALF: &str = "correct &amp; hor";

fn rig() -> Rig {
    Rig::set(Settings { secrets: vec![CANARY.to_owned()], ..Settings::default() })
}

/// Everything that was said in Slack.
fn told(rig: &Rig) -> String {
    rig.slack.with(|said| {
        let posts = said.posts.iter().map(|(_, message)| format!("{} {:?}", message.text, message.blocks));
        let whispers = said.whispers.iter().map(|(_, text)| text.clone());
        let views = said.views.iter().map(ToString::to_string);
        let updates = said.updates.iter().map(|(_, text)| text.clone());
        let drawn = said.drawn.iter().map(|blocks| format!("{blocks:?}"));
        posts.chain(whispers).chain(views).chain(updates).chain(drawn).collect::<Vec<String>>().join("\n")
    })
}

fn hides(rig: &Rig) {
    let told = told(rig);
    for part in [CANARY, HALF, "correct & hor", "battery-staple"] {
        assert!(!told.contains(part), "{part:?} is in {told}");
    }
    assert!(told.contains("[withheld]"), "{told}");
}

/// A note that is cut in the middle of the secret.
fn cut(at: usize) -> String {
    format!("{}{CANARY} and more", "x".repeat(at - 20))
}

#[tokio::test(start_paused = true)]
async fn what_became_of_equal_requests_is_hidden_before_it_is_cut() {
    let rig = rig();
    let views: Vec<ApprovalView> = (1..=2)
        .map(|number| {
            let mut view = samples::proven();
            view.approval_id = samples::approval_id(number);
            view.route.batch = "docs".to_owned();
            view.route.risk = Risk::Low;
            view.route.eligible = Vec::new();
            view
        })
        .collect();
    views.iter().for_each(|view| rig.service.asks(view.clone()));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(rig.slack.posted("batch:").len(), 1);
    for view in views {
        let mut view = samples::decided(view, Verdict::Rejected, "bob", "cli");
        if let Some(decision) = &mut view.decision {
            decision.note = cut(300);
        }
        rig.service.asks(view);
    }
    rig.calm().await;
    hides(&rig);
}

#[tokio::test(start_paused = true)]
async fn who_comes_too_late_is_told_no_secret_either() {
    let rig = rig();
    let mut view = samples::decided(fresh(), Verdict::Rejected, "bob", "cli");
    if let Some(decision) = &mut view.decision {
        decision.note = cut(300);
    }
    rig.service.asks(view);
    for action in [action::APPROVE, action::OPEN] {
        rig.press(ANN, action, &pressed()).await;
        assert!(rig.slack.last_whisper().1.contains("xxx"), "{:?}", rig.slack.last_whisper());
    }
    hides(&rig);
}

#[tokio::test(start_paused = true)]
async fn a_form_shows_no_secret() {
    let rig = rig();
    let mut view = samples::question();
    view.route.eligible = Vec::new();
    view.project_title = format!("about {CANARY}");
    if let Some(question) = &mut view.question {
        question.question = format!("Is it {CANARY}?");
    }
    rig.service.asks(view.clone());
    rig.calm().await;
    let value = crate::adapter::slack::view::value(&Pressed::on(&view));
    for action in [action::ANSWER, action::REJECT, action::ASK, action::CHANGES, action::DELEGATE] {
        rig.press(ANN, action, &value).await;
    }
    let chosen = json!({"type": "message_action", "callback_id": callback::GOAL, "trigger_id": "m", "message_ts": "5.5", "user": {"id": ANN},
        "channel": {"id": "C1"}, "message": {"type": "message", "user": BOB, "ts": "5.5", "text": "it is correct &amp; horse-battery-staple"}});
    rig.comes(Kind::Interaction, chosen).await;
    rig.calm().await;
    assert_eq!(rig.slack.with(|said| said.views.len()), 6);
    hides(&rig);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_a_part_of_another_leaves_no_rest_of_it() {
    // The shorter one first, and a line end behind the longer one, as in a file.
    let secrets = vec!["anchor & chain".to_owned(), "anchor & chain-of-harbour\n".to_owned()];
    let rig = Rig::set(Settings { secrets, ..Settings::default() });
    let text = "keep it: anchor &amp; chain-of-harbour, and anchor &amp; chain";
    let chosen = json!({"type": "message_action", "callback_id": callback::GOAL, "trigger_id": "m", "message_ts": "5.5", "user": {"id": ANN},
        "channel": {"id": "C1"}, "message": {"type": "message", "user": BOB, "ts": "5.5", "text": text}});
    rig.comes(Kind::Interaction, chosen).await;
    rig.calm().await;
    let told = told(&rig);
    assert!(told.contains("keep it: [withheld], and [withheld]") && !told.contains("-of-harbour"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn the_names_of_changed_files_are_hidden_before_they_are_cut() {
    let rig = rig();
    rig.service.with(|known| {
        known.diff.changed[0].path = format!("docs/{CANARY}.md");
        known.project.state = bus_schemas::v1::project::ProjectState::Completed;
        known.project.result_commit = Some("b".repeat(40));
        known.project.pending_approvals.clear();
        known.project.changed_at = samples::NOW;
    });
    rig.service.rings(None);
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(rig.slack.posted("summary:").len(), 1);
    hides(&rig);
}
