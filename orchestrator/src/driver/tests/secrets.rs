//! Agents ask for the use of secrets: asked, remembered, offered; and what there is not is asked of nobody.

use std::collections::BTreeMap;

use bus_schemas::{
    secrets::{SecretSetup, Secrets},
    v1::{
        agent::{AttemptPaused, Pause},
        api::{ApprovalView, Capability, RememberScope},
        task::Program,
    },
};

use super::*;
use crate::{
    plan::event::{RememberScope as Scope, RememberSpec, Verdict},
    policy::Approvals,
};

const AGENT: &str =
    r#"{"version":1,"title":"t","tasks":[{"id":"one","secrets":["mirror"],"agent":{"instructions":"do"}}]}"#;

fn under(approvals: Approvals) -> Notes {
    Notes { rules: rules(approvals, "api.github.com"), ..Notes::default() }
}

/// There are two secrets, of which `github` goes to this host.
fn rules(approvals: Approvals, github: &str) -> Arc<Rules> {
    let setup = |host: &str| SecretSetup {
        env: Some("TOKEN".to_owned()),
        hosts: vec![host.to_owned()],
        about: "comments on issues".to_owned(),
        ..SecretSetup::default()
    };
    let secrets: Secrets = [("github", setup(github)), ("mirror", setup("http://10.0.0.1:81"))]
        .map(|(name, setup)| (name.to_owned(), setup))
        .into();
    let rules = Rules::new(BTreeMap::new(), BTreeMap::new(), approvals, BTreeMap::new()).unwrap();
    Arc::new(rules.with_secrets(secrets))
}

fn asks(attempt: AttemptRef, name: &str) -> Observation {
    let capability = Capability::Secret { name: name.to_owned() };
    pauses(attempt, Pause::Capability { capability, reason: "the issue wants an answer".to_owned() })
}

fn pauses(attempt: AttemptRef, pause: Pause) -> Observation {
    let nonce = ClaimNonce::from_uuid(Uuid::from_u128(1));
    Observation::Paused(Box::new(AttemptPaused {
        attempt,
        nonce,
        pause,
        saved_turn: attempt.number,
        usage: Usage::default(),
    }))
}

/// The attempt is claimed and asks for a secret.
async fn paused(rig: &mut Rig, offered: usize, name: &str) -> Offer {
    let offer = rig.offered(offered).await;
    rig.deliver(Ok(claim(offer.attempt, 1))).await;
    rig.deliver(Ok(asks(offer.attempt, name))).await;
    offer
}

async fn asked(rig: &Rig) -> ApprovalView {
    let asked = until(|| async { rig.store.approvals(false).await.unwrap().pop() }).await;
    rig.store.approval(asked.approval_id).await.unwrap().unwrap()
}

fn approves(asked: &ApprovalView, remember: Option<RememberSpec>) -> Fact {
    Fact::ApprovalDecided {
        approval_id: asked.approval_id,
        verdict: Verdict::Approved,
        digest: asked.digest.clone(),
        by: "ann".to_owned(),
        channel: "cli".to_owned(),
        note: "go on".to_owned(),
        remember,
    }
}

fn names(offer: &Offer) -> Vec<&str> {
    offer.secrets.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn a_secret_is_asked_for_shown_granted_offered_and_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), under(Approvals::default())).await;
    let project_id = rig.project_of(AGENT).await.unwrap();
    let first = paused(&mut rig, 1, "github").await;
    assert_eq!(names(&first), ["mirror"], "the plan was approved with it");
    let Program::Agent(work) = &first.program else { panic!("an agent's work: {first:?}") };
    let known: Vec<&str> = work.secrets.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(known, ["github", "mirror"], "it knows what there is");

    let view = asked(&rig).await;
    let shown = view.capability.clone().unwrap();
    assert_eq!(shown.capability, Capability::Secret { name: "github".to_owned() });
    let secret = shown.secret.unwrap();
    assert_eq!((secret.about.as_str(), secret.header.as_str()), ("comments on issues", "authorization"));
    assert_eq!(secret.hosts, ["api.github.com"]);
    assert_eq!(view.route.risk_reasons, ["reaches api.github.com", "uses the secret github"]);
    let until_at = bus_schemas::time::UnixMs(view.asked_at.0 + 3_600_000);
    let remember = RememberSpec { scope: Scope::Folder, until: until_at };
    rig.handle.ask(project_id, approves(&view, Some(remember)), None).await.unwrap();
    let second = rig.offered(2).await;
    assert_eq!(names(&second), ["mirror", "github"], "the next attempt has it");

    rig.deliver(Ok(claim(second.attempt, 1))).await;
    rig.deliver(Ok(handoff(second.attempt, 1, "done".to_owned()))).await;

    // Another project of the folder: nobody is asked. A host of that name is asked about.
    let remembered = until(|| async { rig.store.remembered().await.unwrap().pop() }).await;
    assert_eq!(
        (remembered.subject.as_str(), remembered.scope),
        ("secret github: authorization to api.github.com", RememberScope::Folder)
    );
    rig.project_of(AGENT).await.unwrap();
    let other = paused(&mut rig, 3, "github").await;
    let fourth = rig.offered(4).await;
    assert_eq!((fourth.attempt.task_id, names(&fourth)), (other.attempt.task_id, vec!["mirror", "github"]));
    rig.deliver(Ok(claim(fourth.attempt, 1))).await;
    let pause = Pause::Capability { capability: Capability::Host { host: "github".to_owned() }, reason: String::new() };
    rig.deliver(Ok(pauses(fourth.attempt, pause))).await;
    assert!(matches!(asked(&rig).await.capability.unwrap().capability, Capability::Host { .. }));
    assert_eq!(rig.handle.rebuild().await.unwrap().differences, 0);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_grant_and_a_remembered_decision_end_where_the_secret_goes_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), under(Approvals::default())).await;
    let project_id = rig.project_of(AGENT).await.unwrap();
    paused(&mut rig, 1, "github").await;
    let view = asked(&rig).await;
    let until_at = bus_schemas::time::UnixMs(view.asked_at.0 + 3_600_000);
    let remember = RememberSpec { scope: Scope::Folder, until: until_at };
    rig.handle.ask(project_id, approves(&view, Some(remember)), None).await.unwrap();
    let second = rig.offered(2).await;
    assert_eq!(second.secret_terms["github"], "authorization to api.github.com");
    assert_eq!(second.secret_terms["mirror"], "authorization to http://10.0.0.1:81");
    rig.deliver(Ok(claim(second.attempt, 1))).await;
    let question = Pause::Question { question: "which?".to_owned(), options: Vec::new(), stuck: false };
    rig.deliver(Ok(pauses(second.attempt, question))).await;
    let view = asked(&rig).await;

    // `baton.toml` is edited and Baton started again.
    let (store, notes) = (rig.store.clone(), rig.notes.clone());
    rig.tasks.stop().await;
    let mut rig = Rig::start(store, Notes { rules: rules(Approvals::default(), "elsewhere.example"), ..notes }).await;
    rig.handle.ask(project_id, approves(&view, None), None).await.unwrap();
    let third = rig.offered(3).await;
    assert_eq!(names(&third), ["mirror"]);
    let told = |text: &str| third.notes.iter().any(|note| note.text.contains(text));
    assert!(told("its hosts or its header are others now"), "{:?}", third.notes);
    rig.deliver(Ok(claim(third.attempt, 1))).await;
    rig.deliver(Ok(asks(third.attempt, "github"))).await;
    let view = asked(&rig).await;
    assert_eq!(
        view.capability.clone().unwrap().secret.unwrap().hosts,
        ["elsewhere.example"],
        "a person is asked again"
    );
    rig.handle.ask(project_id, approves(&view, None), None).await.unwrap();
    let fourth = rig.offered(4).await;
    assert_eq!(fourth.secret_terms["github"], "authorization to elsewhere.example");
    assert_eq!(rig.handle.rebuild().await.unwrap().differences, 0);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_secret_there_is_not_is_asked_of_nobody_and_no_policy_for_hosts_grants_one() {
    let dir = tempfile::tempdir().unwrap();
    let approvals = Approvals { capabilities: Some("auto".to_owned()), ..Approvals::default() };
    let mut rig = Rig::start(store(dir.path()), under(approvals)).await;
    rig.project_of(AGENT).await.unwrap();
    paused(&mut rig, 1, "aws\u{1b}[2J").await;
    let second = rig.offered(2).await;
    assert_eq!(names(&second), ["mirror"]);
    let text = &second.notes.last().unwrap().text;
    assert!(text.contains("not granted: there is no secret of that name, only github, mirror"), "{text}");
    assert!(rig.store.approvals(false).await.unwrap().is_empty(), "nobody is asked for what cannot be given");
    rig.deliver(Ok(claim(second.attempt, 1))).await;
    rig.deliver(Ok(asks(second.attempt, "github"))).await;
    let view = asked(&rig).await;
    let why = "no rule of its policy is for this `capability.kind` alone: a person must decide";
    assert!(view.route.risk_reasons.iter().any(|reason| reason == why), "{:?}", view.route);
    assert_eq!(rig.handle.rebuild().await.unwrap().differences, 0);
    rig.tasks.stop().await;
}
