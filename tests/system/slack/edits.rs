//! Plans edited in Slack before they are approved.

use bus_schemas::v1::{
    api::{ApprovalView, NewProject, PlanSource, ProjectView},
    approval::{ApprovalSubject, Verdict},
};
use harness::{
    slack::{Post, View},
    wait,
};

use super::rig::{Office, PATIENCE, says};

const PLAN: &str = "
version: 1
title: first
tasks:
  - { id: one, run: 'true', checks: ['true'] }
";

/// Two must agree, of three.
const PAIR: &str = "
version: 1
title: first
approval: pair
policies:
  pair: { decide: { quorum: { n: 2, of: everyone } } }
tasks:
  - { id: one, run: 'true', checks: ['true'] }
";

impl Office {
    /// A project of eve's whose plan waits, the request about it and its card.
    async fn planned(&self, plan: &str) -> (ProjectView, ApprovalView, Post) {
        let new = NewProject {
            plan: PlanSource { file: "plan.yaml".to_owned(), text: plan.to_owned(), ..PlanSource::default() },
            folder: self.serve.folder().display().to_string(),
            owner: "eve".to_owned(),
            channel: "cli".to_owned(),
            ..NewProject::default()
        };
        let project = self.client().create_project(&new).await.expect("a project");
        let approval = self.asked().await;
        assert_eq!(approval.subject, ApprovalSubject::Plan);
        let card = self.card(&approval).await;
        (project, approval, card)
    }

    /// The request about a project's plan that takes the place of this one.
    async fn asked_instead(&self, before: &ApprovalView) -> ApprovalView {
        let client = self.client();
        wait::until("the request about the new plan", PATIENCE, || async {
            let asked = client.approvals(false).await.ok()?;
            asked.into_iter().find(|view| view.approval_id != before.approval_id)
        })
        .await
    }

    /// `actor channel digest` of what the audit log says about edits.
    async fn edits(&self) -> Vec<String> {
        let audit = self.client().audit(0, None).await.expect("the audit log");
        let edits = audit.iter().filter(|entry| entry.kind == "plan.edited");
        edits.map(|entry| format!("{} {} {}", entry.actor, entry.channel, entry.digest)).collect()
    }
}

/// The plan a form begins with.
fn plan_of(view: &View) -> String {
    let blocks = view.view["blocks"].as_array().expect("blocks");
    let input = blocks.iter().find(|block| block["block_id"] == "plan").expect("a field for the plan");
    assert_eq!(input["element"]["type"], "plain_text_input");
    input["element"]["initial_value"].as_str().expect("the plan").to_owned()
}

#[tokio::test]
async fn a_plan_is_edited_in_slack_and_approved_by_who_edited_it() {
    let office = Office::open("").await;
    let (project, first, card) = office.planned(PLAN).await;
    let ann = office.slack.person("U0ANN");
    ann.clicks(&card, "baton.edit").acked().await;
    let view = office.slack.wait_for_view("U0ANN").await;
    assert_eq!(view.callback(), "baton.edit");
    let yaml = plan_of(&view);
    let bad = yaml.replace("tasks:\n", "tasks:\n  - id: two\n    needs: [uno]\n    run: 'true'\n");
    ann.submits(&view, &[("plan", &bad)]).acked().await;
    let view = office.slack.view_of("U0ANN").expect("the form stays");
    let line = bad.lines().position(|line| line.contains("uno")).expect("the line") + 1;
    assert!(format!("{:?}", view.errors).contains(&format!("Line {line}: ")), "{:?}", view.errors);
    assert_eq!((office.request(&first).await.decision, office.edits().await.len()), (None, 0));

    let good = bad.replace("uno", "one");
    ann.submits(&view, &[("plan", &good)]).acked().await;
    office.slack.wait_for_no_view("U0ANN").await;
    let second = office.asked_instead(&first).await;
    assert_ne!(second.digest, first.digest);
    assert_eq!(office.edits().await, [format!("ann slack {}", second.digest)]);
    says(&office.told("U0ANN", 0).await.shown(), &["saved", "you may approve it"]);
    for old in office.closed_cards(&first).await {
        says(&old.shown(), &["void", "ann proposes another plan"]);
        assert!(!old.offers("baton.edit"));
    }
    let new = office.card(&second).await;
    ann.clicks(&new, "baton.approve").acked().await;
    let decision = office.decided(&second).await;
    assert_eq!((decision.verdict, decision.by.as_str()), (Verdict::Approved, "ann"));
    let done = office.completed(&project).await;
    assert_eq!(done.tasks.iter().map(|task| task.key.as_str()).collect::<Vec<_>>(), ["two", "one"]);
    office.slack.no_violations();
}

#[tokio::test]
async fn an_edit_after_somebody_decided_is_refused_in_its_form() {
    let office = Office::open("").await;
    let (_, first, card) = office.planned(PLAN).await;
    let (ann, bob) = (office.slack.person("U0ANN"), office.slack.person("U0BOB"));
    ann.clicks(&card, "baton.edit").acked().await;
    let view = office.slack.wait_for_view("U0ANN").await;
    office.decides("bob", &first, Verdict::Rejected, "not this").await;
    let edited = plan_of(&view).replace("title: first", "title: late");
    ann.submits(&view, &[("plan", &edited)]).acked().await;
    let view = office.slack.view_of("U0ANN").expect("the form stays, with what was written");
    says(&format!("{:?}", view.errors), &["too late", "bob rejected it"]);
    bob.clicks(&card, "baton.edit").acked().await;
    says(&office.told("U0BOB", 0).await.shown(), &["too late"]);
    office.slack.person("U0STRANGER").clicks(&card, "baton.edit").acked().await;
    says(&office.told("U0STRANGER", 0).await.shown(), &["member"]);
    assert_eq!((office.edits().await.len(), office.slack.view_of("U0STRANGER")), (0, None));
    office.slack.no_violations();
}

#[tokio::test]
async fn where_two_must_agree_whoever_edits_in_slack_is_none_of_them() {
    let office = Office::open("").await;
    let (project, first, card) = office.planned(PAIR).await;
    let ann = office.slack.person("U0ANN");
    ann.clicks(&card, "baton.edit").acked().await;
    let view = office.slack.wait_for_view("U0ANN").await;
    let edited = plan_of(&view).replace("title: first", "title: second");
    ann.submits(&view, &[("plan", &edited)]).acked().await;
    let second = office.asked_instead(&first).await;
    says(&office.told("U0ANN", 0).await.shown(), &["saved", "cannot approve it yourself"]);
    let card = office.card(&second).await;
    ann.clicks(&card, "baton.approve").acked().await;
    says(&office.told("U0ANN", 1).await.shown(), &["started or edited"]);
    for other in ["U0BOB", "U0EVE"] {
        assert_eq!(office.request(&second).await.decision, None);
        office.slack.person(other).clicks(&card, "baton.approve").acked().await;
        office.told(other, 0).await;
    }
    let decision = office.decided(&second).await;
    assert_eq!((decision.verdict, decision.by.as_str()), (Verdict::Approved, "bob, eve"));
    office.completed(&project).await;
    let worked = office.client().plan(&project.project_id.to_string()).await.expect("the plan").plan;
    assert_eq!(worked.title, "second");
    office.slack.no_violations();
}
