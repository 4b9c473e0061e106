use bus_schemas::v1::api::NewProject;

use super::*;
use crate::adapter::slack::view::{action, callback, form};
use bus_schemas::v1::api::{RememberScope, RememberedView, Risk};

fn mention(user: &str, text: &str, id: &str, thread: Option<&str>) -> Value {
    json!({"type": "event_callback", "event_id": id, "event": {
    "type": "app_mention", "user": user, "channel": "C1", "ts": format!("{id}.0"), "thread_ts": thread, "text": text,
    "files": [
        {"id": "F1", "name": "../notes.txt", "size": 5, "url_private_download": "https://files.slack.com/x"},
        {"id": "F2", "name": "big.iso", "size": 999_999_999, "url_private_download": "https://files.slack.com/y"}
    ]}})
}

fn reply(user: &str, text: &str, id: &str) -> Value {
    json!({"type": "event_callback", "event_id": id, "event": {
        "type": "message", "channel_type": "channel", "user": user, "channel": "C1", "ts": format!("{id}.0"), "thread_ts": "1.0", "text": text}})
}

#[tokio::test(start_paused = true)]
async fn a_mention_starts_a_project_in_its_thread_and_files_come_along() {
    let rig = Rig::running();
    rig.comes(Kind::Event, mention(ANN, "<@UBOT> make it &lt;fast&gt;", "1", None)).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let new = rig.service.with(|known| known.created.pop()).unwrap();
    assert_eq!((new.goal.as_deref(), new.owner.as_str(), new.channel.as_str()), (Some("make it <fast>"), ANN, "slack"));
    assert_eq!(new.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(), ["notes.txt"]);
    let status = rig.slack.posted("status:");
    assert_eq!((status.len(), status[0].1.thread_ts.as_deref()), (1, Some("1.0")));
    let refused = rig.slack.posted("files:");
    assert!(refused[0].1.text.contains("big.iso") && refused[0].1.thread_ts.as_deref() == Some("1.0"));
    let mut view = fresh();
    view.route.eligible = Vec::new();
    rig.service.asks(view);
    rig.calm().await;
    assert_eq!(rig.slack.posted("card:")[0].1.thread_ts.as_deref(), Some("1.0"), "its requests come into its thread");
}

#[tokio::test(start_paused = true)]
async fn nobody_starts_anything_who_is_no_member() {
    let rig = Rig::quiet();
    rig.comes(Kind::Event, mention(EVE, "<@UBOT> do it", "1", None)).await;
    rig.calm().await;
    assert!(rig.service.with(|known| known.created.is_empty()));
    assert!(rig.slack.last_whisper().1.contains("Only members"));
}

#[tokio::test(start_paused = true)]
async fn an_order_from_before_a_crash_starts_one_project() {
    let rig = Rig::quiet();
    let envelope = Envelope::new(Kind::Event, mention(ANN, "<@UBOT> do it", "1", None), None, samples::NOW);
    assert!(rig.bridge.keep(&envelope).await.unwrap());
    // The program ended after the project was made and before its thread was written down; its planner named it otherwise.
    let key = Some(format!("slack:{}", envelope.key));
    rig.service.with(|known| {
        known.created.push(NewProject { key, ..NewProject::default() });
        known.project.goal = "what the planner made of it".to_owned();
    });
    let rig = rig.restarted().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.service.with(|known| known.created.len()), 1);
    assert!(rig.desk.with(|memory| memory.threads.values().any(|thread| thread.started_by == ANN)));
    assert_eq!(rig.slack.posted("status:").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_word_in_the_thread_is_a_note_or_the_answer_to_the_only_question() {
    let rig = Rig::running();
    rig.comes(Kind::Event, mention(ANN, "<@UBOT> do it", "1", None)).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    rig.comes(Kind::Event, reply(BOB, "mind the tests", "2")).await;
    rig.calm().await;
    let told = rig.service.with(|known| known.told.clone());
    assert_eq!((told.len(), told[0].by.as_str(), told[0].text.as_str()), (1, BOB, "mind the tests"));
    let mut question = samples::question();
    question.route.eligible = Vec::new();
    rig.service.asks(question.clone());
    rig.calm().await;
    rig.comes(Kind::Event, reply(BOB, "the blue one", "3")).await;
    rig.calm().await;
    assert_eq!(rig.service.with(|known| known.decided[0].note.clone()), "the blue one");
    for number in [31, 32] {
        question.approval_id = samples::approval_id(number);
        rig.service.asks(question.clone());
    }
    rig.calm().await;
    rig.comes(Kind::Event, reply(BOB, "the red one", "4")).await;
    rig.calm().await;
    assert!(rig.slack.last_whisper().1.contains("Several questions"));
    rig.comes(Kind::Event, reply(BOB, "Note: hurry", "5")).await;
    rig.calm().await;
    assert_eq!(rig.service.with(|known| (known.decided.len(), known.told.len())), (1, 2));
    rig.comes(Kind::Event, reply(EVE, "me too", "6")).await;
    rig.calm().await;
    assert_eq!(rig.service.with(|known| known.told.len()), 2);
}

#[tokio::test(start_paused = true)]
async fn a_file_in_a_thread_is_not_left_out_in_silence() {
    let rig = Rig::running();
    rig.comes(Kind::Event, mention(ANN, "<@UBOT> do it", "1", None)).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut message = reply(ANN, "here are the numbers", "2");
    message["event"]["files"] = json!([{"id": "F1", "name": "numbers.csv", "size": 5}]);
    rig.comes(Kind::Event, message).await;
    rig.calm().await;
    assert_eq!(rig.service.with(|known| known.told.len()), 1, "what was written is told");
    let told = rig.slack.with(|said| said.whispers.iter().any(|(_, text)| text.contains("1 file not passed on")));
    assert!(told, "{:?}", rig.slack.with(|said| said.whispers.clone()));
}

#[tokio::test(start_paused = true)]
async fn the_home_tab_of_somebody_who_is_no_member_says_so() {
    let rig = Rig::running();
    let opened = |user: &str| json!({"type": "event_callback", "event_id": user, "event": {"type": "app_home_opened", "user": user, "tab": "home"}});
    for (user, is_member) in [(EVE, false), (ANN, true)] {
        rig.comes(Kind::Event, opened(user)).await;
        rig.calm().await;
        let shown = rig.slack.with(|said| said.pages.last().map(Value::to_string)).unwrap();
        assert_eq!(shown.contains("Nothing waits for your decision"), is_member, "{shown}");
        assert_eq!(
            shown.contains("`UEVE` is the Slack id of none") && shown.contains("[members.NAME]"),
            !is_member,
            "{shown}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_people_say_to_each_other_is_not_written_down_and_what_they_say_in_threads_is_forgotten() {
    let rig = Rig::running();
    rig.comes(Kind::Event, mention(ANN, "<@UBOT> do it", "1", None)).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let words = |rig: &Rig, text: &str| {
        rig.desk.with(|memory| memory.inbox.iter().filter(|(row, _)| row.raw.to_string().contains(text)).count())
    };
    let mut aside = reply(ANN, "between you and me", "2");
    aside["event"]["thread_ts"] = Value::Null;
    rig.comes(Kind::Event, aside).await;
    rig.calm().await;
    assert_eq!(words(&rig, "between you and me"), 0, "said in a channel, to nobody of ours");
    let mut elsewhere = reply(ANN, "lunch at noon", "3");
    elsewhere["event"]["thread_ts"] = json!("77.0");
    rig.comes(Kind::Event, elsewhere).await;
    rig.comes(Kind::Event, reply(EVE, "what is this about?", "4")).await;
    rig.comes(Kind::Event, reply(BOB, "mind the tests", "5")).await;
    rig.calm().await;
    assert_eq!(rig.service.with(|known| known.told.len()), 1, "what was for the agents reaches them");
    for text in ["lunch at noon", "what is this about?", "mind the tests"] {
        assert_eq!(words(&rig, text), 0, "{text:?} is still written down");
    }
    // That they came stays known: Slack may send them again.
    rig.comes(Kind::Event, reply(BOB, "mind the tests", "5")).await;
    rig.calm().await;
    assert_eq!(rig.service.with(|known| known.told.len()), 1);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_somebody_is_found_without_reading_all_that_waits() {
    let rig = Rig::running();
    rig.comes(Kind::Event, mention(ANN, "<@UBOT> do it", "1", None)).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    for number in 0..30 {
        let mut view = fresh();
        view.approval_id = samples::approval_id(100 + number);
        view.route.eligible = vec![if number < 25 { "ann" } else { "bob" }.to_owned()];
        rig.service.asks(view);
    }
    let mut question = samples::question();
    question.route.eligible = vec!["bob".to_owned()];
    rig.service.asks(question);
    rig.calm().await;
    rig.service.with(|known| known.listed = 0);
    let command = |trigger: &str| json!({"command": "/baton", "text": "approvals", "user_id": ANN, "channel_id": "C1", "trigger_id": trigger});
    rig.comes(Kind::Command, command("a")).await;
    rig.calm().await;
    let (_, said) = rig.slack.last_whisper();
    assert!(said.contains("25 requests for you") && said.contains(" more"), "{said}");
    let opened = json!({"type": "event_callback", "event_id": "h", "event": {"type": "app_home_opened", "user": ANN, "tab": "home"}});
    rig.comes(Kind::Event, opened).await;
    rig.calm().await;
    assert_eq!(rig.slack.with(|said| said.homes.clone()), [ANN]);
    rig.comes(Kind::Event, reply(BOB, "the blue one", "3")).await;
    rig.calm().await;
    assert_eq!(
        rig.service.with(|known| known.decided.last().map(|one| one.note.clone())).as_deref(),
        Some("the blue one")
    );
    assert_eq!(rig.service.with(|known| known.listed), 0, "nobody read the whole list");
}

#[tokio::test(start_paused = true)]
async fn the_command_opens_a_form_and_the_form_starts_a_project_with_a_budget() {
    let rig = Rig::running();
    let command = |text: &str, trigger: &str| json!({"command": "/baton", "text": text, "user_id": ANN, "channel_id": "C1", "trigger_id": trigger});
    rig.comes(Kind::Command, command("", "a")).await;
    rig.calm().await;
    let view = rig.slack.with(|said| said.views.pop()).unwrap();
    assert_eq!(view["callback_id"], callback::GOAL);
    let submission = |budget: &str, trigger: &str| {
        json!({"type": "view_submission", "user": {"id": ANN}, "trigger_id": trigger, "view": {
            "id": "V", "callback_id": callback::GOAL, "private_metadata": view["private_metadata"], "state": {"values": {
                form::GOAL: {form::GOAL: {"value": "do it"}}, form::BUDGET: {form::BUDGET: {"value": budget}}}}}})
    };
    let answer = rig.comes(Kind::Interaction, submission("much", "b")).await.unwrap();
    assert!(answer["errors"].get(form::BUDGET).is_some());
    rig.comes(Kind::Interaction, submission("2.5", "c")).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let new = rig.service.with(|known| known.created.pop()).unwrap();
    assert_eq!((new.goal.as_deref(), new.budget.usd), (Some("do it"), Some(2.5)));
    let status = rig.slack.posted("status:");
    assert_eq!((status[0].1.channel.as_str(), status[0].1.thread_ts.as_deref()), ("C1", None));
    let thread = rig.desk.with(|memory| memory.threads.values().next().cloned()).unwrap();
    assert_eq!(thread.thread_ts.as_deref(), Some(status[0].0.ts.as_str()), "its first message is the thread");
    for (text, trigger, wanted) in
        [("help", "d", "Delegate this"), ("approvals", "e", "Nothing waits"), ("status", "f", "worked on")]
    {
        rig.comes(Kind::Command, command(text, trigger)).await;
        rig.calm().await;
        assert!(rig.slack.last_whisper().1.contains(wanted), "{text}: {:?}", rig.slack.last_whisper());
    }
}

#[tokio::test(start_paused = true)]
async fn many_events_are_one_change_of_the_status_message() {
    let rig = Rig::running();
    rig.comes(Kind::Event, mention(ANN, "<@UBOT> do it", "1", None)).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let before = rig.slack.with(|said| said.updates.len());
    for number in 0..50 {
        rig.service.with(|known| known.project.spend.usd_nanos = 400_000_000 + number * 10_000_000);
        rig.service.rings(None);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    let updates = rig.slack.with(|said| said.updates.len()) - before;
    assert!((1..=3).contains(&updates), "{updates}");
    assert_eq!(rig.slack.posted("status:").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_the_result_is_summed_up_and_attached_once() {
    let rig = Rig::running();
    rig.comes(Kind::Event, mention(ANN, "<@UBOT> do it", "1", None)).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    rig.service.with(|known| {
        known.project.state = bus_schemas::v1::project::ProjectState::Completed;
        known.project.result_commit = Some("b".repeat(40));
        known.project.pending_approvals.clear();
    });
    for _ in 0..3 {
        rig.service.rings(None);
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    assert_eq!(rig.slack.posted("summary:").len(), 1);
    assert_eq!(rig.slack.with(|said| said.uploads.len()), 1);
    assert!(rig.desk.with(|memory| memory.threads.values().all(|thread| thread.closed)));
}

#[tokio::test(start_paused = true)]
async fn the_home_tab_is_shown_when_opened_and_kept_up_to_date() {
    let rig = Rig::running();
    rig.comes(Kind::Event, json!({"type": "event_callback", "event_id": "h", "event": {"type": "app_home_opened", "user": ANN, "tab": "home"}})).await;
    rig.calm().await;
    assert_eq!(rig.slack.with(|said| said.homes.clone()), [ANN]);
    for _ in 0..20 {
        rig.service.rings(None);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rig.slack.with(|said| said.homes.len()), 2);
    rig.press(ANN, action::LINK, "").await;
}

#[tokio::test(start_paused = true)]
async fn a_project_from_elsewhere_gets_a_thread_in_the_default_channel_its_cards_and_its_summary() {
    let rig = Rig::running();
    let mut view = fresh();
    view.route.eligible = Vec::new();
    rig.service.asks(view.clone());
    rig.calm().await;
    let status = rig.slack.posted("status:");
    assert_eq!((status.len(), status[0].1.channel.as_str(), status[0].1.thread_ts.as_deref()), (1, CHANNEL, None));
    let root = Some(status[0].0.ts.as_str());
    let cards = rig.slack.posted("card:");
    assert_eq!((cards.len(), cards[0].1.thread_ts.as_deref()), (1, root), "its requests come into its thread");
    rig.service.asks(samples::decided(view, bus_schemas::v1::approval::Verdict::Approved, "bob", "cli"));
    rig.service.with(|known| {
        known.project.state = bus_schemas::v1::project::ProjectState::Completed;
        known.project.result_commit = Some("b".repeat(40));
    });
    rig.service.rings(None);
    tokio::time::sleep(Duration::from_secs(8)).await;
    let summary = rig.slack.posted("summary:");
    assert_eq!((summary.len(), summary[0].1.thread_ts.as_deref()), (1, root));
    let uploads = rig.slack.with(|said| said.uploads.clone());
    assert_eq!(
        (uploads.len(), uploads[0].thread_ts.as_deref(), &*uploads[0].bytes),
        (1, root, &b"+the new line\n"[..])
    );
    assert!(rig.desk.with(|memory| memory.threads.values().all(|thread| thread.closed)));
}

#[tokio::test(start_paused = true)]
async fn what_ended_long_ago_is_not_told_again() {
    let rig = Rig::running();
    rig.service.with(|known| {
        known.project.state = bus_schemas::v1::project::ProjectState::Completed;
        known.project.changed_at = UnixMs(samples::NOW.0 - 3_600_000);
        known.project.pending_approvals.clear();
    });
    rig.service.rings(None);
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(rig.slack.with(|said| said.posts.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn requests_that_end_together_are_all_closed() {
    let rig = Rig::running();
    let views: Vec<ApprovalView> = [41, 42, 43]
        .into_iter()
        .map(|number| ApprovalView { approval_id: samples::approval_id(number), ..fresh() })
        .collect();
    views.iter().for_each(|view| rig.service.asks(view.clone()));
    tokio::time::sleep(Duration::from_secs(4)).await;
    // What changes in the last one is shown, though the event names another.
    let mut asked = views[2].clone();
    asked.route.reminders = 1;
    rig.service.with(|known| known.approvals.insert(asked.approval_id, asked));
    rig.service.rings(Some(views[0].approval_id));
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(rig.slack.posted("reminder:").len(), 1);
    // One event ends all of them, and names the first.
    rig.service.with(|known| {
        for view in views.iter().cloned() {
            let ended = samples::decided(view, bus_schemas::v1::approval::Verdict::Rejected, "ann", "cancel");
            known.approvals.insert(ended.approval_id, ended);
        }
        known.project.pending_approvals.clear();
    });
    rig.service.rings(Some(views[0].approval_id));
    tokio::time::sleep(Duration::from_secs(8)).await;
    let open = |memory: &mut desk::Memory| {
        memory.postings.values().filter(|posting| posting.name.starts_with("card:") && !posting.closed).count()
    };
    assert_eq!(rig.desk.with(open), 0);
}

#[tokio::test(start_paused = true)]
async fn the_menu_entry_of_the_manifest_opens_the_form_with_the_message_in_it() {
    let manifest = include_str!("../../../../../../deploy/slack/manifest.yaml");
    let after = |key: &str| manifest.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key));
    let (shortcut, command) = (after("callback_id: ").unwrap(), after("command: ").unwrap());
    assert_eq!(shortcut, callback::GOAL);
    let rig = Rig::quiet();
    let chosen = json!({"type": "message_action", "callback_id": shortcut, "trigger_id": "a", "message_ts": "5.5", "user": {"id": ANN},
        "channel": {"id": "C1"}, "message": {"type": "message", "user": BOB, "ts": "5.5", "text": "the numbers are wrong"}});
    rig.comes(Kind::Interaction, chosen).await;
    rig.calm().await;
    let view = rig.slack.with(|said| said.views.pop()).unwrap();
    assert!(view["callback_id"] == callback::GOAL && view.to_string().contains("the numbers are wrong"), "{view}");
    let typed = json!({"command": command, "text": "", "user_id": ANN, "channel_id": "C1", "trigger_id": "b"});
    rig.comes(Kind::Command, typed).await;
    rig.calm().await;
    assert_eq!(rig.slack.with(|said| said.views.pop()).unwrap()["callback_id"], callback::GOAL);
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_listed_and_taken_back_by_a_command() {
    let rig = Rig::quiet();
    let one = |number: u128, until: i64| RememberedView {
        approval_id: samples::approval_id(number),
        project_id: samples::project_id(),
        by: "bob".to_owned(),
        kind: "handoff".to_owned(),
        policy: "ask".to_owned(),
        subject: "docs".to_owned(),
        folder: "/srv/<!channel>".to_owned(),
        scope: RememberScope::Folder,
        risk: Risk::Low,
        since: samples::NOW,
        until: UnixMs(samples::NOW.0 + until),
        used: 2,
        revoked_by: None,
    };
    let mut typed_so_far = 0;
    let mut command = async |text: &str| {
        typed_so_far += 1;
        let typed = json!({"command": "/baton", "text": text, "user_id": ANN, "channel_id": "C1", "trigger_id": format!("r{typed_so_far}")});
        rig.comes(Kind::Command, typed).await;
        rig.calm().await;
        rig.slack.last_whisper().1
    };
    assert!(command("remembered").await.contains("No approval is remembered"));
    rig.service.with(|known| known.remembered = vec![one(7, 60_000), one(8, -1)]);
    let said = command("remembered").await;
    let id: String = samples::approval_id(7).to_string().chars().take(18).collect();
    assert!(said.contains(&id) && said.contains("<@UBOB>") && said.contains("used 2 times"), "{said}");
    assert_eq!(said.matches('•').count(), 1, "what is over is not listed: {said}");
    assert!(!said.contains("<!channel>"), "{said}");
    assert!(command(&format!("revoke {id}")).await.contains("Taken back"));
    assert_eq!(rig.service.with(|known| known.remembered[0].revoked_by.clone()).as_deref(), Some("ann"));
    assert!(command("remembered").await.contains("No approval is remembered"));
    assert!(command("revoke 00000000-ffff").await.contains("Nothing was done"));
    for (text, answer) in [
        ("aprovals", "Did you mean `/baton approvals`?"),
        ("list", "`list` is no command"),
        ("approve 01932c3a-1b2c", "buttons of their cards"),
        ("revoke", "Did you mean `/baton revoke ID`?"),
    ] {
        let said = command(text).await;
        assert!(said.contains("Nothing was started") && said.contains(answer), "{text}: {said}");
    }
    assert!(rig.service.with(|known| known.created.is_empty()), "none of that was a goal");
}
