//! A person's click in Slack: from the socket to the durable decision, with `baton serve` as it is shipped, a local Slack and
//! a simulated host. What the bridge says back to Slack goes on meanwhile, as it does in life.

use std::{collections::HashMap, fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use bus_schemas::{
    id::ApprovalId,
    v1::api::{ApprovalView, NewProject, PlanSource, ProjectView},
};
use futures::StreamExt as _;
use harness::{
    hostsim::HostSim,
    nats::NatsServer,
    serve::Serve,
    slack::{Post, Slack},
};

use crate::{report::Report, rig::PATIENCE};

/// Requests that are clicked, one after the other.
const CLICKS: usize = 300;
/// From the click to the journalled decision, in milliseconds.
const TARGET: f64 = 20.0;
/// How often it is looked whether everything is asked.
const LOOK: Duration = Duration::from_millis(100);

/// Measures clicks.
pub async fn slack(report: &mut Report) -> Result<()> {
    let nats = NatsServer::start().await;
    let slack = Slack::start();
    let config = format!(
        "{}[members.ann]\nslack = \"U0ANN\"\n[approvals]\nbatch = false\ntrust_cli_names = true\n",
        slack.config()
    );
    let mut serve = Serve::new(&nats.url(), &config);
    serve.start().await;
    let host = HostSim::start(&nats.bus().await, 8).await;
    let project = project(&serve).await?;
    let asked = asked(&serve).await?;
    let cards = cards(&slack, &asked).await?;
    let client = serve.client();
    let mut feed = client.feed(&project.project_id.to_string(), 0).await?;
    let (mut decided, mut acked) = (Vec::with_capacity(CLICKS), Vec::with_capacity(CLICKS));
    let ann = slack.person("U0ANN");
    for approval in &asked {
        let card = cards.get(&approval.approval_id).context("a card")?;
        let click = ann.clicks(card, "baton.approve");
        let sent = click.at;
        let heard = async {
            while let Some(event) = feed.next().await {
                let event = event?;
                if event.approval_id == Some(approval.approval_id) && event.kind == "approval.decided" {
                    return Ok(sent.elapsed());
                }
            }
            bail!("the feed ended")
        };
        let (heard, ()) = tokio::try_join!(tokio::time::timeout(PATIENCE, heard), async {
            click.acked().await;
            acked.push(sent.elapsed());
            Ok(())
        })?;
        decided.push(heard?);
    }
    ensure!(slack.violations().is_empty(), "Slack's rules were broken: {:?}", slack.violations());
    report.spread("slack: click → acknowledged", &mut acked, None, None);
    report.spread("slack: click → journalled decision, heard in the feed", &mut decided, None, Some(TARGET));
    drop(host);
    serve.stop().await;
    Ok(())
}

/// Many tasks side by side, each of which waits for a person.
async fn project(serve: &Serve) -> Result<ProjectView> {
    let mut text = "version: 1\ntitle: bench\napproval: auto\ntasks:\n".to_owned();
    for number in 0..CLICKS {
        writeln!(text, "  - {{ id: t{number}, run: 'true', checks: ['true'], approval: ask }}")?;
    }
    let new = NewProject {
        plan: PlanSource { file: "plan.yaml".to_owned(), text, ..PlanSource::default() },
        folder: serve.folder().display().to_string(),
        owner: "bench".to_owned(),
        channel: "cli".to_owned(),
        approve_plan: true,
        ..NewProject::default()
    };
    Ok(serve.client().create_project(&new).await?)
}

/// Waits until every task asks.
async fn asked(serve: &Serve) -> Result<Vec<ApprovalView>> {
    let client = serve.client();
    let look = async {
        loop {
            let asked = client.approvals(false).await?;
            if asked.len() == CLICKS {
                return Ok(asked);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await?
}

/// Waits until every request has a card.
async fn cards(slack: &Slack, asked: &[ApprovalView]) -> Result<HashMap<ApprovalId, Post>> {
    let ids: HashMap<String, ApprovalId> = asked.iter().map(|a| (a.approval_id.to_string(), a.approval_id)).collect();
    let of = |post: &Post| {
        let metadata = post.metadata.as_ref()?.to_string();
        ids.iter().find(|(text, _)| metadata.contains(text.as_str())).map(|(_, id)| *id)
    };
    let look = async {
        loop {
            let posts = slack.posts().into_iter().filter(|post| post.offers("baton.approve"));
            let cards: HashMap<ApprovalId, Post> = posts.filter_map(|post| Some((of(&post)?, post))).collect();
            if cards.len() == asked.len() {
                return cards;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    Ok(tokio::time::timeout(PATIENCE, look).await?)
}
