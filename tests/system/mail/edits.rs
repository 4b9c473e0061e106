//! Plans edited on the page behind a mail's link, before they are approved.

use bus_schemas::v1::{
    api::{ApprovalView, DecisionRequest, NewProject, PlanSource, ProjectView},
    approval::{ApprovalSubject, Verdict},
};
use harness::{
    mail::{ANN, BOB, Mail},
    wait,
};

use super::{
    links::{hidden, post},
    rig::{Office, PATIENCE, browser, planner},
};

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
    /// A project of carl's whose plan waits, the request about it, and the mail to ann.
    async fn planned(&self, plan: &str) -> (ProjectView, ApprovalView, Mail) {
        let new = NewProject {
            plan: PlanSource { file: "plan.yaml".to_owned(), text: plan.to_owned(), ..PlanSource::default() },
            folder: self.serve.folder().display().to_string(),
            owner: "carl".to_owned(),
            channel: "cli".to_owned(),
            ..NewProject::default()
        };
        let project = self.client().create_project(&new).await.expect("a project");
        let approval = self.asked().await;
        assert_eq!(approval.subject, ApprovalSubject::Plan);
        (project, approval, self.request(ANN, 0).await)
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

    /// `kind actor channel digest` of what the audit log says about edits.
    async fn edits(&self) -> Vec<String> {
        let audit = self.client().audit(0, None).await.expect("the audit log");
        let edits = audit.iter().filter(|entry| entry.kind == "plan.edited");
        edits.map(|entry| format!("{} {} {}", entry.actor, entry.channel, entry.digest)).collect()
    }
}

/// The plan as it stands in a page's form.
fn plan_of(page: &str) -> String {
    let (_, rest) = page.split_once("id=\"plan\"").unwrap_or_else(|| panic!("no form for a plan: {page}"));
    let (text, _) = rest.split_once("</textarea>").expect("an end");
    let (_, text) = text.split_once(">\n").expect("a text");
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

async fn look(link: &str) -> String {
    browser().get(link).send().await.expect("an answer").text().await.expect("a page")
}

/// The link of a page to the request that is asked instead.
fn onward(link: &str, page: &str) -> String {
    let (_, rest) = page.split_once("<a href=\"").unwrap_or_else(|| panic!("no link: {page}"));
    let token = rest.split('"').next().expect("a link");
    let (start, _) = link.rsplit_once('/').expect("a path");
    format!("{start}/{token}")
}

#[tokio::test]
async fn a_plan_is_edited_on_its_page_and_approved_by_who_edited_it() {
    let office = Office::open().await;
    let (project, first, mail) = office.planned(PLAN).await;
    let (link, bobs) = (office.link(&mail), office.link(&office.request(BOB, 0).await));
    let page = look(&link).await;
    let (digest, yaml) = (hidden(&page, "digest"), plan_of(&page));
    assert_eq!(digest, first.digest);
    // As a browser sends it.
    let send = |yaml: &str| yaml.replace('\n', "\r\n");
    let bad = yaml.replace("tasks:\n", "tasks:\n  - id: two\n    needs: [uno]\n    run: 'true'\n");
    let fields = [("verdict", "edit"), ("digest", digest.as_str()), ("plan", &send(&bad))];
    let (status, page) = post(&link, &fields).await;
    assert_eq!(status, 422, "{page}");
    let line = bad.lines().position(|line| line.contains("uno")).expect("the line") + 1;
    assert!(page.contains(&format!("Line {line}: ")) && page.contains("uno"), "{page}");
    assert_eq!(plan_of(&page), bad, "what was written stays");
    let (status, page) = post(&link, &[("verdict", "edit"), ("digest", &digest), ("plan", "version: [\r\n")]).await;
    assert!(status == 422 && page.contains("Line ") && plan_of(&page) == "version: [\n", "{status} {page}");
    assert_eq!(office.request_now(&first).await.decision, None);
    assert_eq!(office.edits().await, [""; 0]);

    let good = bad.replace("uno", "one");
    let fields = [("verdict", "edit"), ("digest", digest.as_str()), ("plan", &send(&good))];
    // Pressed twice at once, it is one edit.
    let (one, other) = futures::future::join(post(&link, &fields), post(&link, &fields)).await;
    let (done, late) = if one.0 == 200 { (one, other) } else { (other, one) };
    assert_eq!((done.0, late.0), (200, 409), "{} {}", done.1, late.1);
    assert_eq!(plan_of(&late.1), good, "and the other is not lost");
    let second = office.asked_instead(&first).await;
    assert_ne!(second.digest, first.digest);
    assert_eq!(office.edits().await, [format!("ann email {}", second.digest)]);
    // The old links are void, and say why.
    for old in [&link, &bobs] {
        let page = look(old).await;
        assert!(
            page.contains("Void") && page.contains("ann proposes another plan") && !page.contains("<form"),
            "{page}"
        );
    }
    let fields = [("verdict", "edit"), ("digest", digest.as_str()), ("plan", "version: 1\ntitle: bobs\n")];
    let (status, page) = post(&bobs, &fields).await;
    assert!(status == 409 && plan_of(&page).contains("title: bobs"), "{status} {page}");

    let next = onward(&link, &done.1);
    let page = look(&next).await;
    assert!(hidden(&page, "digest") == second.digest && plan_of(&page).contains("id: two"), "{page}");
    let fields = [("verdict", "approve"), ("digest", second.digest.as_str())];
    assert_eq!(post(&next, &fields).await.0, 200);
    let decision = office.decided(&second).await;
    assert_eq!(
        (decision.verdict, decision.by.as_str(), decision.channel.as_str()),
        (Verdict::Approved, "ann", "email")
    );
    // Somebody decided: nothing is edited any more, and nothing is lost.
    let fields = [("verdict", "edit"), ("digest", second.digest.as_str()), ("plan", "version: 1\ntitle: late\n")];
    let (status, page) = post(&next, &fields).await;
    assert!(status == 409 && plan_of(&page).contains("title: late") && page.contains("too late"), "{status} {page}");
    let view = office.completed(&project).await;
    assert_eq!(view.tasks.iter().map(|task| task.key.as_str()).collect::<Vec<_>>(), ["two", "one"]);
    assert_eq!(office.client().verify_audit(None).await.expect("a report").findings, []);
}

#[tokio::test]
async fn where_two_must_agree_whoever_edits_the_plan_is_none_of_them() {
    let office = Office::setup().played(planner().0).open().await;
    let (project, first, mail) = office.planned(PAIR).await;
    let link = office.link(&mail);
    let page = look(&link).await;
    let yaml = plan_of(&page).replace("title: first", "title: second");
    let fields = [("verdict", "edit"), ("digest", first.digest.as_str()), ("plan", &yaml)];
    let (status, page) = post(&link, &fields).await;
    assert!(
        status == 200 && page.contains("keeps those who edited it") && !page.contains("<a href"),
        "{status} {page}"
    );
    let second = office.asked_instead(&first).await;
    assert_eq!(office.request_now(&second).await.route.excluded, ["ann"]);
    let approve = |by: &str| DecisionRequest {
        verdict: Verdict::Approved,
        digest: second.digest.clone(),
        by: by.to_owned(),
        channel: "cli".to_owned(),
        note: String::new(),
        remember: None,
    };
    let (client, id) = (office.client(), second.approval_id.to_string());
    let refused = client.decide(&id, &approve("ann")).await.expect_err("she edited it");
    assert!(refused.to_string().contains("started or edited"), "{refused}");
    // Bob is asked anew; his page offers him all there is.
    let bobs = office.link(&office.request(BOB, 1).await);
    assert_eq!(post(&bobs, &[("verdict", "approve"), ("digest", second.digest.as_str())]).await.0, 200);
    assert_eq!(office.request_now(&second).await.decision, None, "one of two");
    client.decide(&id, &approve("carl")).await.expect("the other one");
    assert_eq!(office.decided(&second).await.verdict, Verdict::Approved);
    office.completed(&project).await;
    let worked = office.client().plan(&project.project_id.to_string()).await.expect("the plan").plan;
    assert_eq!(worked.title, "second");
}
