use bus_schemas::v1::{
    api::{ApprovalView, Finding, Problem, Severity},
    approval::Verdict,
    plan::Run,
};

use super::*;
use crate::{
    adapter::slack::view::{Pressed, action, callback, form, limits, value},
    port::fake::{down, problem},
};

const YAML: &str = "version: 1\ntitle: Other\ntasks:\n  - id: b\n    run: make\n";

/// A request about a plan, and what its buttons carry.
fn plan() -> (ApprovalView, String) {
    let mut view = samples::plan();
    view.route = Default::default();
    let text = json!({"version": 1, "title": "Docs", "tasks": [{"id": "a", "run": "make"}]});
    view.plan = Some(serde_json::from_value(text).unwrap());
    let pressed = value(&Pressed::on(&view));
    (view, pressed)
}

impl Rig {
    /// Ann presses Edit; the form that opens.
    async fn edits(&self, pressed: &str) -> Value {
        self.press(ANN, action::EDIT, pressed).await;
        self.slack.with(|said| said.views.pop()).expect("a form")
    }

    /// Ann sends the form; what is answered.
    async fn saves(&self, view: &Value, text: &str, trigger: &str) -> Option<Value> {
        let submission = json!({"type": "view_submission", "user": {"id": ANN}, "trigger_id": trigger, "view": {
            "id": "V", "callback_id": callback::EDIT, "private_metadata": view["private_metadata"],
            "state": {"values": {form::PLAN: {form::PLAN: {"type": "plain_text_input", "value": text}}}}}});
        let answer = self.comes(Kind::Interaction, submission).await;
        self.calm().await;
        answer
    }

    fn saved(&self) -> usize {
        self.service.with(|known| known.edits.len())
    }
}

/// What the form says beside the text.
fn beside(answer: Option<Value>) -> String {
    let answer = answer.expect("an answer");
    assert_eq!(answer["response_action"], "errors", "{answer}");
    answer["errors"][form::PLAN].as_str().expect("a sentence").to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_edited_in_a_form_and_the_old_card_says_by_whom() {
    let rig = Rig::running();
    let (view, pressed) = plan();
    rig.service.asks(view.clone());
    rig.calm().await;
    let form = rig.edits(&pressed).await;
    assert_eq!(limits::check_view(&form), Ok(()));
    let field = &form["blocks"][1]["element"];
    let initial = field["initial_value"].as_str().expect("the plan");
    assert!(initial.contains("run: make"), "{initial}");
    assert_eq!((field["multiline"].as_bool(), field["max_length"].as_u64()), (Some(true), Some(3_000)));
    assert_eq!(rig.saves(&form, YAML, "a").await, None, "the form closes");
    let sent = rig.service.with(|known| known.edits[0].clone());
    assert_eq!((sent.by.as_str(), sent.channel.as_str(), &sent.digest), (ANN, "slack", &view.digest));
    assert_eq!(sent.plan.text, YAML);
    let (to, said) = rig.slack.last_whisper();
    assert!(to == ANN && said.contains("Saved") && said.contains("You may approve it there"), "{said}");
    let shown = rig.slack.with(|said| format!("{said:?}"));
    assert!(shown.contains("ann proposes another plan"), "{shown}");
    assert_eq!(rig.slack.posted("card:").len(), 2, "the new plan has a card of its own");
    assert!(rig.desk.outcomes().iter().all(Option::is_some));
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_said_in_the_form_which_stays() {
    let rig = Rig::quiet();
    let (view, pressed) = plan();
    rig.service.asks(view);
    let form = rig.edits(&pressed).await;
    assert!(beside(rig.saves(&form, " \n", "a").await).contains("no plan"));
    let same = form["blocks"][1]["element"]["initial_value"].as_str().expect("the plan");
    assert!(beside(rig.saves(&form, same, "same").await).contains("the plan is as it was"));
    let finding = |line| Finding {
        severity: Severity::Error,
        code: "unknown_need".to_owned(),
        file: "plan".to_owned(),
        line,
        column: 1,
        message: "there is no task scna".to_owned(),
        hint: Some("did you mean scan?".to_owned()),
    };
    let unsound = Problem { findings: (1..=20).map(finding).collect(), ..problem("plan_invalid", 422) };
    rig.service.with(|known| known.edit_fails = Some(unsound));
    let said = beside(rig.saves(&form, YAML, "b").await);
    assert!(said.contains("Line 1: there is no task scna (did you mean scan?)") && said.contains("12 more"), "{said}");
    rig.service.with(|known| known.edit_fails = Some(problem("no_member", 403)));
    assert!(beside(rig.saves(&form, YAML, "c").await).contains("Nothing was changed: it is no_member"));
    rig.service.with(|known| known.edit_fails = None);
    rig.service.with(|known| known.down = down());
    assert!(beside(rig.saves(&form, YAML, "d").await).contains("press Save again"));
    rig.service.with(|known| known.down = None);
    assert_eq!((rig.saved(), rig.slack.with(|said| said.whispers.len())), (0, 0));
    assert_eq!(rig.saves(&form, YAML, "e").await, None);
    assert_eq!(rig.saved(), 1);
    // Twice: from another window, in which the form is still open.
    assert!(beside(rig.saves(&form, YAML, "f").await).contains("ann proposes another plan"));
    assert_eq!(rig.saved(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_decision_nothing_is_edited_and_it_is_said_by_whom() {
    let rig = Rig::quiet();
    let (view, pressed) = plan();
    rig.service.asks(view.clone());
    let form = rig.edits(&pressed).await;
    rig.service.asks(samples::decided(view, Verdict::Rejected, "bob", "email"));
    let said = beside(rig.saves(&form, YAML, "a").await);
    assert!(said.contains("Too late") && said.contains("bob rejected it over email"), "{said}");
    rig.press(ANN, action::EDIT, &pressed).await;
    assert!(rig.slack.last_whisper().1.contains("Too late"), "no form opens");
    assert_eq!((rig.slack.with(|said| said.views.len()), rig.saved()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_edited_and_may_not_approve_is_told_who_must() {
    let rig = Rig::quiet();
    let (mut view, pressed) = plan();
    view.route.eligible = vec!["ann".to_owned(), "bob".to_owned()];
    view.route.excluded = vec!["ann".to_owned()];
    rig.service.asks(view);
    let form = rig.edits(&pressed).await;
    assert_eq!(rig.saves(&form, YAML, "a").await, None);
    let (_, said) = rig.slack.last_whisper();
    assert!(said.contains("cannot approve it yourself") && said.contains("<@UBOB>"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_done_behind_the_form_once_and_its_text_is_not_lost() {
    let rig = Rig::quiet();
    let (view, pressed) = plan();
    rig.service.asks(view.clone());
    let form = rig.edits(&pressed).await;
    rig.service.with(|known| known.edit_takes = Duration::from_secs(5));
    assert_eq!(rig.saves(&form, YAML, "a").await, None);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(rig.saved(), 1);
    assert!(rig.slack.last_whisper().1.contains("Saved"));
    // It was saved, and nobody heard of it before the program ended: that is no failure.
    let again = Rig::quiet();
    again.service.asks(view.clone());
    let form = again.edits(&pressed).await;
    let submission = json!({"type": "view_submission", "user": {"id": ANN}, "trigger_id": "b", "view": {
        "id": "V", "callback_id": callback::EDIT, "private_metadata": form["private_metadata"],
        "state": {"values": {form::PLAN: {form::PLAN: {"value": YAML}}}}}});
    let envelope = Envelope::new(Kind::Interaction, submission, None, samples::NOW);
    assert!(again.bridge.keep(&envelope).await.unwrap());
    let mut void = samples::decided(view.clone(), Verdict::Rejected, "orchestrator", "void");
    void.decision.as_mut().unwrap().note = "ann proposes another plan".to_owned();
    again.service.asks(void);
    let again = again.restarted().await;
    again.calm().await;
    assert!(again.slack.last_whisper().1.contains("Saved"), "{:?}", again.slack.last_whisper());
    assert_eq!(again.saved(), 0);
    // Refused behind a closed form: the text comes back.
    let late = Rig::quiet();
    late.service.asks(view);
    let form = late.edits(&pressed).await;
    late.service.with(|known| {
        known.edit_takes = Duration::from_secs(5);
        known.edit_fails = Some(problem("plan_invalid", 422));
    });
    assert_eq!(late.saves(&form, YAML, "c").await, None);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let (_, said) = late.slack.last_whisper();
    assert!(said.contains("it is plan_invalid") && said.contains("title: Other"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_is_too_long_or_not_shown_is_edited_elsewhere() {
    for run in
        ["a".repeat(3_000), ["Bearer ", "abcdefghijklmnopqrstuvwxyz0123456789"].concat(), "a\u{202e}b".to_owned()]
    {
        let rig = Rig::quiet();
        let (mut view, pressed) = plan();
        view.plan.as_mut().unwrap().tasks[0].run = Some(Run::Bash(run));
        rig.service.asks(view);
        let form = rig.edits(&pressed).await;
        assert_eq!(limits::check_view(&form), Ok(()));
        assert!(form.get("submit").is_none() && form.to_string().contains("baton plan edit"), "{form}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_gets_no_form_and_edits_nothing() {
    let rig = Rig::quiet();
    let (view, pressed) = plan();
    rig.service.asks(view);
    rig.press(EVE, action::EDIT, &pressed).await;
    assert!(rig.slack.last_whisper().1.contains("nly members"));
    assert!(rig.slack.with(|said| said.views.is_empty()) && rig.saved() == 0);
}
