//! A team: a Slack workspace, `baton serve` with its members, and a host that works in no time.

use std::{process::Command, time::Duration};

use bus_schemas::v1::{
    api::{ApprovalView, DecisionRequest, JournalEntry, NewProject, PlanSource, ProjectView},
    approval::{Decision, Verdict},
    project::ProjectState,
};
use harness::{
    hostsim::{HostSim, Player},
    nats::NatsServer,
    serve::Serve,
    slack::{Ephemeral, Post, Slack},
    wait,
};
use orchestrator::adapter::web::Client;

/// Long enough for a busy machine; only a broken test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Three members; nobody is anybody by uid alone, since one person runs all tests.
pub(crate) const MEMBERS: &str = "
[members.ann]
slack = \"U0ANN\"
groups = [\"leads\"]
[members.bob]
slack = \"U0BOB\"
groups = [\"leads\"]
[members.eve]
slack = \"U0EVE\"
[models]
default = \"anthropic/claude-sonnet-4-5\"
[approvals]
trust_cli_names = true
";

/// One task that a person approves.
pub(crate) const ONE: &str = "
version: 1
title: one
tasks:
  - { id: one, run: 'true', checks: ['true'], approval: ask }
  - { id: two, needs: [one], run: 'true', checks: ['true'] }
";

pub(crate) struct Office {
    pub(crate) slack: Slack,
    pub(crate) serve: Serve,
    _nats: NatsServer,
    _host: HostSim,
}

impl Office {
    /// With these further keys of `[slack]`, and of `[approvals]` behind a line that says so.
    pub(crate) async fn open(more: &str) -> Self {
        Self::with(more, |_| {}).await
    }

    /// The same, with what `prepare` does to Slack before anything starts.
    pub(crate) async fn with(more: &str, prepare: impl FnOnce(&Slack)) -> Self {
        let office = Self::closed(more, None).await;
        prepare(&office.slack);
        office.opened().await
    }

    /// The same, with attempts played by this player.
    pub(crate) async fn played(more: &str, player: Player) -> Self {
        Self::closed(more, Some(player)).await.opened().await
    }

    /// Everything but `baton serve` runs.
    pub(crate) async fn closed(more: &str, player: Option<Player>) -> Self {
        let nats = NatsServer::start().await;
        let slack = Slack::start();
        let (keys, approvals) = more.split_once("[approvals]\n").unwrap_or((more, ""));
        let config = format!("{}{keys}\n{MEMBERS}{approvals}\n", slack.config());
        let serve = Serve::new(&nats.url(), &config);
        let bus = nats.bus().await;
        let host = match player {
            Some(player) => HostSim::playing(&bus, 2, player).await,
            None => HostSim::start(&bus, 2).await,
        };
        Self { slack, serve, _nats: nats, _host: host }
    }

    async fn opened(mut self) -> Self {
        self.serve.start().await;
        self.until_connected().await;
        self
    }

    /// Waits until Slack has a socket of ours that is not deaf.
    pub(crate) async fn until_connected(&self) {
        wait::until("a socket to Slack", PATIENCE, || async { (self.slack.sockets() > 0).then_some(()) }).await;
    }

    /// Kills the orchestrator; Slack knows.
    pub(crate) async fn kill(&mut self) {
        self.slack.expects_deafness(true);
        self.serve.kill();
        wait::until("the sockets to be gone", PATIENCE, || async { (self.slack.sockets() == 0).then_some(()) }).await;
    }

    /// Starts it again.
    pub(crate) async fn restart(&mut self) {
        self.serve.start().await;
        self.until_connected().await;
        self.slack.expects_deafness(false);
    }

    pub(crate) fn client(&self) -> Client {
        self.serve.client()
    }

    /// A project of this owner, its plan approved.
    pub(crate) async fn project_of(&self, owner: &str, plan: &str) -> ProjectView {
        let new = NewProject {
            plan: PlanSource { file: "plan.yaml".to_owned(), text: plan.to_owned(), ..PlanSource::default() },
            folder: self.serve.folder().display().to_string(),
            owner: owner.to_owned(),
            channel: "cli".to_owned(),
            approve_plan: true,
            ..NewProject::default()
        };
        self.client().create_project(&new).await.expect("a project")
    }

    /// A project of eve's.
    pub(crate) async fn project(&self, plan: &str) -> ProjectView {
        self.project_of("eve", plan).await
    }

    /// Waits until the project is final.
    pub(crate) async fn finished(&self, project: &ProjectView) -> ProjectView {
        let (client, id) = (self.client(), project.project_id.to_string());
        wait::until("the project to be final", PATIENCE, || async {
            let view = client.project(&id).await.ok()?;
            view.state.is_final().then_some(view)
        })
        .await
    }

    /// Waits until it is completed.
    pub(crate) async fn completed(&self, project: &ProjectView) -> ProjectView {
        let view = self.finished(project).await;
        assert_eq!(view.state, ProjectState::Completed, "{view:?}");
        view
    }

    /// The only project there is, once there is one.
    pub(crate) async fn only_project(&self) -> ProjectView {
        let client = self.client();
        let found = wait::until("a project", PATIENCE, || async { client.projects().await.ok()?.pop() }).await;
        client.project(&found.project_id.to_string()).await.expect("the project")
    }

    /// Waits for a request that waits for people.
    pub(crate) async fn asked(&self) -> ApprovalView {
        let client = self.client();
        wait::until("a request", PATIENCE, || async { client.approvals(false).await.ok()?.pop() }).await
    }

    /// Waits until a request is decided.
    pub(crate) async fn decided(&self, approval: &ApprovalView) -> Decision {
        let (client, id) = (self.client(), approval.approval_id.to_string());
        let look = || async { client.approval(&id).await.ok()?.decision };
        wait::until("a decision", PATIENCE, look).await
    }

    /// The request as it is now.
    pub(crate) async fn request(&self, approval: &ApprovalView) -> ApprovalView {
        self.client().approval(&approval.approval_id.to_string()).await.expect("the request")
    }

    /// Somebody decides on the command line.
    pub(crate) async fn decides(&self, by: &str, approval: &ApprovalView, verdict: Verdict, note: &str) {
        let request = DecisionRequest {
            verdict,
            digest: approval.digest.clone(),
            by: by.to_owned(),
            channel: "cli".to_owned(),
            note: note.to_owned(),
            remember: None,
        };
        self.client().decide(&approval.approval_id.to_string(), &request).await.expect("decide");
    }

    /// How many decisions about this request the journal holds: votes that decided nothing are none.
    pub(crate) async fn decisions(&self, approval: &ApprovalView) -> usize {
        let journal = self.client().journal(&approval.project_id.to_string()).await.expect("the journal");
        let id = approval.approval_id.to_string();
        let is_about = |entry: &&JournalEntry| {
            entry.kind == "approval_decided" && serde_json::to_string(&entry.event).is_ok_and(|text| text.contains(&id))
        };
        journal.iter().filter(is_about).count()
    }

    /// A file of a project's base, as the orchestrator keeps it.
    pub(crate) fn base_file(&self, project: &ProjectView, path: &str) -> Option<Vec<u8>> {
        let repository = self.serve.home().join(format!("state/shadow/{}.git", project.project_id));
        let shown = Command::new("git")
            .arg("--git-dir")
            .arg(repository)
            .args(["show", &format!("{}:{path}", project.base_commit)])
            .output()
            .expect("git");
        shown.status.success().then_some(shown.stdout)
    }

    /// Waits until nothing about this request can be pressed any more, on any copy of its card; returns them.
    pub(crate) async fn closed_cards(&self, approval: &ApprovalView) -> Vec<Post> {
        wait::until("every copy of the card to be closed", PATIENCE, || async {
            let cards = self.cards(approval);
            let is_open = |card: &Post| card.offers("baton.approve") || card.offers("baton.reject");
            (!cards.is_empty() && !cards.iter().any(is_open)).then_some(cards)
        })
        .await
    }

    /// Every copy of a request's card: they carry its id in their metadata.
    pub(crate) fn cards(&self, approval: &ApprovalView) -> Vec<Post> {
        let id = approval.approval_id.to_string();
        let is_of = |post: &Post| post.metadata.as_ref().is_some_and(|m| m.to_string().contains(&id));
        self.slack.posts().into_iter().filter(|post| post.is_ours() && is_of(post)).collect()
    }

    /// Waits for the card of a request, in the channel where the team is.
    pub(crate) async fn card(&self, approval: &ApprovalView) -> Post {
        wait::until("the request's card", PATIENCE, || async {
            self.cards(approval).into_iter().find(|card| card.channel == harness::slack::TEAM_CHANNEL)
        })
        .await
    }

    /// A project whose task waits for approval, and its card.
    pub(crate) async fn waiting(&self) -> (ProjectView, ApprovalView, Post) {
        let project = self.project(ONE).await;
        let approval = self.asked().await;
        let card = self.card(&approval).await;
        (project, approval, card)
    }

    /// What a person was told alone, once they were; of the words after the first `skip`.
    pub(crate) async fn told(&self, user: &str, skip: usize) -> Ephemeral {
        self.slack.wait_for_ephemeral(user, skip).await
    }
}

/// A message of this kind: its name is in its metadata.
pub(crate) fn named(post: &Post, kind: &str) -> bool {
    post.metadata.as_ref().is_some_and(|metadata| metadata.to_string().contains(&format!("\"{kind}:")))
}

/// All of these words are there, whatever their case.
pub(crate) fn says(text: &str, words: &[&str]) {
    let lower = text.to_lowercase();
    for word in words {
        assert!(lower.contains(&word.to_lowercase()), "{word:?} is not in {text:?}");
    }
}
