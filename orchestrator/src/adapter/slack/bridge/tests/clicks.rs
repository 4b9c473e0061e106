use super::*;
use crate::adapter::slack::{
    SlackError,
    view::{action, callback, form},
};
use crate::port::fake::down;
use bus_schemas::v1::approval::Verdict;

#[tokio::test(start_paused = true)]
async fn a_click_decides_once_and_the_second_one_is_told() {
    let rig = Rig::quiet();
    rig.service.asks(fresh());
    rig.press(ANN, action::APPROVE, &pressed()).await;
    let (to, said) = rig.slack.last_whisper();
    assert!(to == ANN && said.contains("Done") && said.contains("approved"), "{said}");
    rig.press(ANN, action::APPROVE, &pressed()).await;
    let (_, said) = rig.slack.last_whisper();
    assert!(said.contains("You were heard before"), "{said}");
    rig.press(BOB, action::APPROVE, &pressed()).await;
    let (to, said) = rig.slack.last_whisper();
    assert!(to == BOB && said.contains("Too late") && said.contains("<@UANN>") && said.contains("in Slack"), "{said}");
    assert_eq!(rig.service.with(|known| known.decided.len()), 1);
    assert!(rig.desk.outcomes().iter().all(Option::is_some));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_envelope_changes_nothing() {
    let rig = Rig::quiet();
    rig.service.asks(fresh());
    let payload = click(ANN, action::APPROVE, &pressed(), "7.0");
    rig.comes(Kind::Interaction, payload.clone()).await;
    rig.comes(Kind::Interaction, payload).await;
    rig.calm().await;
    assert_eq!(rig.slack.with(|said| said.whispers.len()), 1);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_is_told_who_may() {
    let rig = Rig::quiet();
    let mut view = fresh();
    view.route.eligible = vec!["bob".to_owned()];
    rig.service.asks(view.clone());
    rig.press(EVE, action::APPROVE, &pressed()).await;
    let (to, said) = rig.slack.last_whisper();
    assert!(to == EVE && said.contains("Only members") && said.contains("<@UANN>"), "{said}");
    rig.press(ANN, action::APPROVE, &pressed()).await;
    let (_, said) = rig.slack.last_whisper();
    assert!(said.contains("no say") && said.contains("<@UBOB>"), "{said}");
    view.route = Default::default();
    view.route.excluded = vec!["ann".to_owned()];
    rig.service.asks(view);
    rig.press(ANN, action::APPROVE, &pressed()).await;
    assert!(rig.slack.last_whisper().1.contains("started or edited"));
    rig.press(EVE, action::REJECT, &pressed()).await;
    assert!(rig.slack.with(|said| said.views.is_empty()), "no form opens for a stranger");
    assert!(rig.service.with(|known| known.decided.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn where_everyone_may_people_of_another_workspace_may_not() {
    let rig = Rig::set(Settings { allow_everyone: true, ..Settings::default() });
    let mut view = fresh();
    view.route.eligible = Vec::new();
    rig.service.asks(view);
    rig.slack.with(|said| said.foreign.push("UFOREIGN".to_owned()));
    for action in [action::APPROVE, action::REJECT] {
        rig.press("UFOREIGN", action, &pressed()).await;
        let (to, said) = rig.slack.last_whisper();
        assert!(to == "UFOREIGN" && said.contains("own workspace"), "{said}");
    }
    assert!(rig.slack.with(|said| said.views.is_empty()) && rig.service.with(|known| known.decided.is_empty()));
    rig.press(EVE, action::REJECT, &pressed()).await;
    assert_eq!(rig.slack.with(|said| said.views.len()), 1, "a colleague gets the form");
    rig.press(EVE, action::APPROVE, &pressed()).await;
    assert_eq!(rig.service.with(|known| known.decided.len()), 1);
    assert_eq!(
        rig.slack.with(|said| said.looked_up.clone()),
        ["UFOREIGN", EVE],
        "each is looked up once, members never"
    );
}

/// Slack is in trouble when it is asked about somebody.
fn troubles() -> [SlackError; 4] {
    let method = "users.info";
    [
        SlackError::RateLimited { method, retry_after: Duration::from_secs(30) },
        SlackError::Transport { method, why: "503".to_owned() },
        SlackError::Unreadable { method, why: "a page".to_owned() },
        SlackError::Api { method, error: "internal_error".to_owned(), hint: String::new() },
    ]
}

#[tokio::test(start_paused = true)]
async fn where_slack_does_not_say_who_somebody_is_their_click_waits_and_is_not_refused() {
    for trouble in troubles() {
        let rig = Rig::set(Settings { allow_everyone: true, ..Settings::default() });
        let mut view = fresh();
        view.route.eligible = Vec::new();
        rig.service.asks(view);
        rig.slack.with(|said| said.no_word = vec![trouble.clone(); 2]);
        rig.press(EVE, action::APPROVE, &pressed()).await;
        let (to, said) = rig.slack.last_whisper();
        assert!(to == EVE && said.contains("does not say just now") && said.contains("is kept"), "{trouble}: {said}");
        assert!(rig.service.with(|known| known.decided.is_empty()), "{trouble}");
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(rig.service.with(|known| known.decided.len()), 1, "{trouble}: done when Slack answers");
        let refused = rig.slack.with(|said| said.whispers.iter().any(|(_, said)| said.contains("own workspace")));
        assert!(!refused, "{trouble}: nobody was turned away");
    }
}

#[tokio::test(start_paused = true)]
async fn a_form_waits_for_slacks_word_and_somebody_slack_does_not_know_is_refused_for_good() {
    let rig = Rig::set(Settings { allow_everyone: true, ..Settings::default() });
    let mut view = fresh();
    view.route.eligible = Vec::new();
    rig.service.asks(view);
    rig.slack.with(|said| said.no_word = vec![troubles()[1].clone()]);
    rig.press(EVE, action::REJECT, &pressed()).await;
    let (_, said) = rig.slack.last_whisper();
    assert!(said.contains("in time") && said.contains("press it again"), "{said}");
    assert_eq!(rig.slack.with(|said| said.views.len()), 0);
    rig.press(EVE, action::REJECT, &pressed()).await;
    assert_eq!(rig.slack.with(|said| said.views.len()), 1, "pressed again, it opens");
    let nobody = SlackError::Api { method: "users.info", error: "user_not_found".to_owned(), hint: String::new() };
    rig.slack.with(|said| said.no_word = vec![nobody]);
    rig.press("UGONE", action::APPROVE, &pressed()).await;
    let (to, said) = rig.slack.last_whisper();
    assert!(to == "UGONE" && said.contains("own workspace"), "{said}");
    // Slack's trouble does not end: it is kept far beyond the usual tries, and nobody is called a stranger.
    rig.slack.with(|said| said.no_word = vec![troubles()[0].clone(); 20]);
    rig.press("UNEW", action::APPROVE, &pressed()).await;
    tokio::time::sleep(Duration::from_secs(180)).await;
    let (to, said) = rig.slack.last_whisper();
    assert!(to == "UNEW" && said.contains("is kept") && !said.contains("tried several times"), "{said}");
    assert!(rig.slack.with(|said| said.no_word.len()) < 20 - 6, "it is tried all the while");
    assert!(rig.service.with(|known| known.decided.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn where_two_must_agree_the_missing_one_is_named() {
    let rig = Rig::quiet();
    rig.service.with(|known| known.quorum = 2);
    let mut view = fresh();
    view.route.eligible = vec!["ann".to_owned(), "bob".to_owned()];
    rig.service.asks(view);
    rig.press(ANN, action::APPROVE, &pressed()).await;
    let (_, said) = rig.slack.last_whisper();
    assert!(said.contains("counted") && said.contains("Still missing: <@UBOB>"), "{said}");
    rig.press(ANN, action::APPROVE, &pressed()).await;
    let (_, said) = rig.slack.last_whisper();
    assert!(said.contains("nobody counts twice") && said.contains("<@UBOB>"), "{said}");
    rig.press(BOB, action::APPROVE, &pressed()).await;
    assert!(rig.slack.last_whisper().1.contains("Done"));
}

#[tokio::test(start_paused = true)]
async fn a_card_that_shows_something_old_decides_nothing_and_the_new_one_is_linked() {
    let rig = Rig::running();
    let mut view = fresh();
    rig.service.asks(view.clone());
    rig.calm().await;
    view.digest = "f".repeat(64);
    rig.service.asks(view);
    rig.press(ANN, action::APPROVE, &pressed()).await;
    let (_, said) = rig.slack.last_whisper();
    assert!(said.contains("changed after this card") && said.contains("https://slack.test/CDEFAULT/"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_click_that_cannot_be_done_now_is_kept_and_done_later() {
    let rig = Rig::quiet();
    rig.service.asks(fresh());
    rig.service.with(|known| known.down = down());
    rig.press(ANN, action::APPROVE, &pressed()).await;
    assert!(rig.slack.last_whisper().1.contains("is kept"));
    assert_eq!(rig.desk.outcomes(), [None]);
    rig.service.with(|known| known.down = None);
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert!(rig.slack.last_whisper().1.contains("Done"));
    assert_eq!(rig.service.with(|known| known.decided.len()), 1);
    assert_eq!(rig.slack.with(|said| said.whispers.len()), 2, "it is said once that it is kept");
}

#[tokio::test(start_paused = true)]
async fn what_others_stand_in_the_way_of_is_given_up_and_said_and_the_next_click_is_not_held_up() {
    let rig = Rig::quiet();
    rig.service.asks(fresh());
    rig.service.with(|known| known.away = true);
    rig.press(ANN, action::APPROVE, &pressed()).await;
    assert!(rig.slack.last_whisper().1.contains("is kept"));
    tokio::time::sleep(Duration::from_secs(14)).await;
    assert_eq!(rig.desk.outcomes(), [None], "1 + 2 + 4 + 8 seconds: the fifth try is to come");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (to, said) = rig.slack.last_whisper();
    assert!(to == ANN && said.contains("Nothing was done") && said.contains("tried several times"), "{said}");
    assert_eq!(rig.desk.outcomes(), [Some("given up: away".to_owned())]);
    assert_eq!(rig.service.with(|known| (known.tries, known.decided.len())), (6, 0));
    assert_eq!(rig.slack.with(|said| said.whispers.len()), 2, "that it is kept, and that it is given up");
    rig.service.with(|known| known.away = false);
    rig.press(ANN, action::APPROVE, &pressed()).await;
    assert!(rig.slack.last_whisper().1.contains("Done"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_question_that_is_not_there_is_refused_at_once_and_not_kept() {
    let rig = Rig::quiet();
    let chosen = Pressed { option: Some(0), ..Pressed::on(&samples::question()) };
    rig.press(ANN, &format!("{}.0", action::ANSWER), &crate::adapter::slack::view::value(&chosen)).await;
    let (to, said) = rig.slack.last_whisper();
    assert!(to == ANN && said.contains("Nothing was done") && !said.contains("is kept"), "{said}");
    assert_eq!(rig.desk.outcomes(), [Some("refused: not_found".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn the_orchestrators_own_trouble_is_waited_out_however_long_it_takes() {
    let rig = Rig::quiet();
    rig.service.asks(fresh());
    rig.service.with(|known| known.down = down());
    rig.press(ANN, action::APPROVE, &pressed()).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(rig.desk.outcomes(), [None]);
    assert!(rig.service.with(|known| known.tries) > 20);
    rig.service.with(|known| known.down = None);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(rig.service.with(|known| known.decided.len()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_click_from_before_a_restart_is_finished_after_it() {
    let rig = Rig::quiet();
    rig.service.asks(fresh());
    rig.service.with(|known| known.down = down());
    rig.press(ANN, action::APPROVE, &pressed()).await;
    rig.service.with(|known| known.down = None);
    let rig = rig.restarted().await;
    rig.calm().await;
    assert_eq!(rig.service.with(|known| known.decided.len()), 1);
    assert!(rig.slack.with(|said| said.whispers.iter().any(|(_, text)| text.contains("Done"))));
}

#[tokio::test(start_paused = true)]
async fn a_decision_taken_before_a_crash_is_confirmed_after_it_as_this_clicks_own() {
    let rig = Rig::quiet();
    let decided = samples::decided(fresh(), Verdict::Approved, "ann", "slack");
    rig.service.asks(decided);
    let envelope = Envelope::new(Kind::Interaction, click(ANN, action::APPROVE, &pressed(), "9.0"), None, samples::NOW);
    assert!(rig.bridge.keep(&envelope).await.unwrap());
    let rig = rig.restarted().await;
    rig.calm().await;
    assert!(rig.slack.last_whisper().1.contains("Done"), "{:?}", rig.slack.last_whisper());
}

#[tokio::test(start_paused = true)]
async fn a_reason_is_asked_for_at_once_and_an_empty_one_is_refused_in_the_form() {
    let rig = Rig::quiet();
    rig.service.asks(fresh());
    rig.press(ANN, action::REJECT, &pressed()).await;
    let view = rig.slack.with(|said| said.views.pop()).unwrap();
    assert_eq!(view["callback_id"], callback::REJECT);
    let submission = |note: &str, trigger: &str| {
        json!({"type": "view_submission", "user": {"id": ANN}, "trigger_id": trigger, "view": {
            "id": "V", "callback_id": callback::REJECT, "private_metadata": view["private_metadata"],
            "state": {"values": {form::NOTE: {form::NOTE: {"type": "plain_text_input", "value": note}}}}}})
    };
    let answer = rig.comes(Kind::Interaction, submission(" ", "a")).await.unwrap();
    assert_eq!(answer["response_action"], "errors");
    assert_eq!(rig.comes(Kind::Interaction, submission("not like this", "b")).await, None);
    rig.calm().await;
    let decided = rig.service.with(|known| known.decided.clone());
    assert_eq!((decided.len(), decided[0].verdict, decided[0].note.as_str()), (1, Verdict::Rejected, "not like this"));
}

#[tokio::test(start_paused = true)]
async fn asking_decides_nothing_and_the_answer_comes_into_the_thread() {
    let rig = Rig::running();
    rig.service.asks(fresh());
    rig.calm().await;
    rig.press(ANN, action::ASK, &pressed()).await;
    let view = rig.slack.with(|said| said.views.pop()).unwrap();
    let submission = json!({"type": "view_submission", "user": {"id": ANN}, "trigger_id": "a", "view": {
        "id": "V", "callback_id": callback::ASK, "private_metadata": view["private_metadata"],
        "state": {"values": {form::NOTE: {form::NOTE: {"value": "why?"}}}}}});
    rig.comes(Kind::Interaction, submission).await;
    rig.calm().await;
    assert_eq!(rig.service.with(|known| known.asked[0].question.clone()), "why?");
    let mut view = rig.service.with(|known| known.approvals.values().next().cloned()).unwrap();
    assert!(view.decision.is_none());
    view.route.questions[0].answer = Some("because <!channel>".to_owned());
    rig.service.asks(view);
    rig.calm().await;
    let answers = rig.slack.posted("answer:");
    assert_eq!(answers.len(), 1);
    assert!(answers[0].1.thread_ts.is_some() && answers[0].1.text.contains("because"));
    assert!(!answers[0].1.text.contains("<!channel>"));
}

#[tokio::test(start_paused = true)]
async fn opening_is_recorded_as_seen() {
    let rig = Rig::running();
    rig.service.asks(fresh());
    rig.calm().await;
    rig.press(ANN, action::OPEN, &pressed()).await;
    assert_eq!(rig.service.with(|known| known.viewed.len()), 1);
    assert_eq!(rig.slack.with(|said| said.uploads.len()), 1);
    assert!(rig.slack.last_whisper().1.contains("baton diff"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_kept_for_people() {
    let rig = Rig::quiet();
    rig.comes(Kind::Interaction, json!({"type": "block_actions", "nonsense": true})).await;
    rig.calm().await;
    let letters = rig.desk.with(|memory| memory.letters.clone());
    assert_eq!((letters.len(), letters[0].stream.as_str()), (1, "slack"));
    assert!(rig.desk.outcomes()[0].as_deref().is_some_and(|outcome| outcome.starts_with("set aside")));
}
