//! What a project came to, and news on the way.

use bus_schemas::v1::{api::TaskView, project::ProjectState};

use super::*;

fn task(state: &str) -> TaskView {
    let view = json!({
        "task_id": Uuid::from_u128(5), "key": "build", "title": "Build", "needs": [], "state": state, "attempt": 1,
        "max_attempts": 3,
    });
    serde_json::from_value(view).unwrap()
}

/// The offer to put the result into the folder.
fn offer(eligible: &[&str]) -> ApprovalView {
    let subject = serde_json::from_value(json!({"kind": "apply"})).unwrap();
    ApprovalView { subject, ..request(eligible) }
}

fn completes(rig: &Rig) {
    rig.service.with(|known| {
        known.project.state = ProjectState::Completed;
        known.project.result_commit = Some("b".repeat(40));
    });
    rig.service.feeds("result.merged", "the result is merged", None, Vec::new());
}

#[tokio::test(start_paused = true)]
async fn who_began_it_hears_the_result_once_where_they_wrote_from() {
    let rig = Rig::running();
    rig.began_by_mail("ann").await;
    let started = OutMail {
        id: Uuid::from_u128(50),
        name: format!("started:{}", project_id()),
        to: "ann@home.example".to_owned(),
        person: "ann".to_owned(),
        message_id: "50@baton.our.example".to_owned(),
        ..OutMail::default()
    };
    rig.store.intend(started, bytes::Bytes::from_static(b"Started\r\n")).await.unwrap();
    rig.service.with(|known| known.project.state = ProjectState::Completed);
    rig.service.feeds("attempt.handoff", "done", None, Vec::new());
    rig.pass(Duration::from_secs(10)).await;
    assert!(rig.named("result:").await.is_empty(), "the result is not merged yet");
    completes(&rig);
    rig.pass(Duration::from_secs(3)).await;
    rig.service.feeds("apply.started", "again", None, Vec::new());
    rig.to_be("result:", &["ann@home.example"]).await;
    let rig = rig.restarted().await;
    rig.pass(Duration::from_secs(10)).await;
    rig.there_are(1, "result:").await;
    let at = rig.clock.now();
    rig.service.with(|known| known.project.applied_at = Some(at));
    rig.service.feeds("apply.finished", "the result is in the folder", None, Vec::new());
    rig.to_be("applied:", &["ann@home.example"]).await;
    let said = text(rig.server.took("ann@home.example").last().unwrap());
    assert!(said.contains("/work/docs"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_result_waits_for_the_decision_about_it_and_says_that_it_is_applied() {
    let rig = Rig::running();
    rig.began_by_mail("ann").await;
    completes(&rig);
    rig.service.asks(offer(&["ann"]));
    rig.pass(Duration::from_secs(60)).await;
    rig.there_are(1, "request:").await;
    assert!(rig.named("result:").await.is_empty(), "one mail shows it");
    rig.service.asks(decided(&offer(&["ann"]), "ann", "email"));
    rig.pass(Duration::from_secs(5)).await;
    assert!(rig.named("result:").await.is_empty(), "it is being written to the folder");
    let at = rig.clock.now();
    rig.service.with(|known| known.project.applied_at = Some(at));
    rig.service.feeds("apply.finished", "the result is in the folder", None, Vec::new());
    rig.there_are(1, "result:").await;
    assert!(rig.named("applied:").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_result_does_not_wait_for_ever_nor_for_others() {
    let rig = Rig::running();
    rig.began_by_mail("ann").await;
    completes(&rig);
    rig.service.asks(offer(&["ann"]));
    rig.pass(Duration::from_secs(5)).await;
    rig.service.asks(decided(&offer(&["ann"]), "ann", "email"));
    rig.pass(Duration::from_secs(31)).await;
    // The folder takes its time: it is told without.
    rig.there_are(1, "result:").await;
    let rig = Rig::running();
    rig.began_by_mail("ann").await;
    completes(&rig);
    rig.service.asks(offer(&["carl"]));
    rig.pass(Duration::from_secs(5)).await;
    // Carl decides, ann need not wait.
    rig.to_be("result:", &["ann@our.example"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_does_not_arrive_goes_to_the_next_address() {
    let rig = Rig::running();
    rig.began_by_mail("ann").await;
    rig.server.says("ann@our.example", TransportError::Never("550 gone".to_owned()));
    rig.service.with(|known| known.project.state = ProjectState::Failed);
    rig.service.feeds("attempt.failed", "it failed", None, Vec::new());
    rig.to_be("result:", &["ann@home.example", "ann@our.example"]).await;
    assert_eq!(rig.server.took("ann@home.example").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn news_come_together_in_one_mail_and_not_to_those_who_want_none() {
    let rig = Rig::running();
    rig.began_by_mail("ann").await;
    for (person, is_quiet) in [("bob", false), ("carl", true)] {
        let thread = Thread { is_quiet, ..Thread::default() };
        rig.store.set_thread(project_id(), person, thread).await.unwrap();
    }
    rig.service.feeds("attempt.handoff", "handed on", None, vec![task("completed")]);
    rig.service.feeds("task.merged", "merged", None, vec![task("completed")]);
    rig.service.feeds("budget.warned", "half of the budget is used", None, Vec::new());
    rig.service.feeds("attempt.staged", "no news", None, vec![task("working")]);
    rig.settle().await;
    assert_eq!(rig.store.news("ann").await.unwrap().len(), 2, "what ended is told once");
    rig.pass(Duration::from_secs(3000)).await;
    assert!(rig.named("digest:").await.is_empty());
    rig.pass(Duration::from_secs(720)).await;
    rig.to_be("digest:", &["ann@our.example", "bob@our.example"]).await;
    let said = text(&rig.server.took("ann@our.example")[0]);
    assert!(said.contains("Build is done") && said.contains("budget is used"), "{said}");
    assert!(rig.store.news("ann").await.unwrap().is_empty());
    let rig = rig.restarted().await;
    rig.pass(Duration::from_secs(4200)).await;
    // After a restart nothing is told twice.
    rig.there_are(2, "digest:").await;
}

#[tokio::test(start_paused = true)]
async fn news_go_where_mail_arrives() {
    let rig = Rig::with(Settings { news: Some(Duration::ZERO), ..settings() });
    rig.began_by_mail("ann").await;
    rig.service.feeds("budget.warned", "half of the budget is used", None, Vec::new());
    let first = rig.there_are(1, "news:").await.remove(0);
    rig.bridge.bounced(&bounce(&first, "ann@our.example", Action::Failed)).await.unwrap();
    rig.service.feeds("budget.warned", "most of the budget is used", None, Vec::new());
    rig.to_be("news:", &["ann@home.example", "ann@our.example"]).await;
    // When mail is lost there, too, the first address may be mended as well as any.
    let second = rig.named("news:").await.pop().unwrap();
    rig.bridge.bounced(&bounce(&second, "ann@home.example", Action::Failed)).await.unwrap();
    rig.service.feeds("budget.warned", "the budget is used", None, Vec::new());
    rig.to_be("news:", &["ann@home.example", "ann@our.example", "ann@our.example"]).await;
    rig.service.feeds("budget.warned", "the budget was raised", None, Vec::new());
    rig.to_be("news:", &["ann@home.example", "ann@our.example", "ann@our.example", "ann@our.example"]).await;
    assert_eq!(rig.server.took("ann@our.example").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_quiet_gets_nothing_of_what_was_gathered() {
    let rig = Rig::running();
    rig.began_by_mail("ann").await;
    rig.service.feeds("budget.warned", "half of the budget is used", None, Vec::new());
    rig.settle().await;
    rig.bridge.change_thread(project_id(), "ann", |thread| thread.is_quiet = true).await.unwrap();
    rig.pass(Duration::from_secs(4200)).await;
    assert!(rig.named("digest:").await.is_empty());
    assert!(rig.store.news("ann").await.unwrap().is_empty());
    rig.service.with(|known| known.project.state = ProjectState::Failed);
    rig.service.feeds("attempt.failed", "it failed", None, Vec::new());
    // What it came to is no news.
    rig.there_are(1, "result:").await;
}

#[tokio::test(start_paused = true)]
async fn news_can_come_one_by_one_or_not_at_all() {
    let rig = Rig::with(Settings { news: Some(Duration::ZERO), ..settings() });
    rig.began_by_mail("ann").await;
    rig.store.set_thread(project_id(), "bob", Thread::default()).await.unwrap();
    rig.service.feeds("budget.warned", "half of the budget is used", None, Vec::new());
    rig.to_be("news:", &["ann@our.example", "bob@our.example"]).await;
    rig.service.with(|known| known.project.state = ProjectState::Failed);
    rig.service.feeds("attempt.failed", "it failed", None, Vec::new());
    // Ann gets the result.
    rig.to_be("news:", &["ann@our.example", "bob@our.example", "bob@our.example"]).await;
    let rig = Rig::with(Settings { news: None, ..settings() });
    rig.began_by_mail("ann").await;
    rig.service.feeds("budget.warned", "half of the budget is used", None, Vec::new());
    rig.settle().await;
    assert!(rig.store.news("ann").await.unwrap().is_empty() && rig.named("news:").await.is_empty());
}
