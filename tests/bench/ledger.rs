//! Requests to people: ten thousand that wait are listed, and decided at a steady rate, each with its entries in the audit log.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use bus_schemas::{
    id::ProjectId,
    time::UnixMs,
    v1::{
        api::{ApprovalView, DecisionRequest, Problem},
        approval::Verdict,
        policy::Policy,
    },
};
use futures::{StreamExt as _, stream};
use harness::hostsim::HostSim;
use orchestrator::{
    adapter::web::{Client, Endpoint, Listeners, serve},
    policy::{self, Approvals, Asking, Facts, Rules},
    port::{Service as _, waiting::Waiting},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    report::Report,
    rig::{PATIENCE, Rig},
};

const PROJECTS: usize = 10;
const TASKS: usize = 1_000;
const PENDING: usize = PROJECTS * TASKS;
/// Slots of the simulated host.
const SLOTS: u32 = 64;
/// Lists that are measured.
const LISTS: usize = 50;
/// Decisions at the steady rate, and the rate.
const STEADY: usize = 2_000;
const RATE: f64 = 200.0;
/// Decisions as fast as they go, and how many are under way at once.
const FAST: usize = 2_000;
const TOGETHER: usize = 16;
/// How often it is looked whether all wait.
const LOOK: Duration = Duration::from_millis(200);

/// Conditions, each as costly as its kind gets: what a policy may say before it is refused, over so many paths as it is not.
const CONDITIONS: [(&str, &str); 6] = [
    ("a test of each path", r#"paths.exists(p, p.startsWith("deploy/"))"#),
    ("a loop in a loop", "!paths.all(p, paths.exists(q, q == p))"),
    ("a search in the list for each path", "!paths.all(p, p in paths)"),
    ("a new text for each path", r#"paths.map(p, p + "x").size() == 0"#),
    ("a copy of the list for each path", "paths.map(p, paths).size() == 0"),
    ("lists compared for each path", "!paths.all(p, [paths, paths] == [paths, paths])"),
];
/// Paths that are tried at most, and how often the most that are admitted are measured.
const MOST_PATHS: usize = 200_000;
const ROUTES: usize = 50;

/// Measures listing and deciding.
pub async fn ledger(report: &mut Report) -> Result<()> {
    conditions(report)?;
    let rig = Rig::start().await?;
    for _ in 0..PROJECTS {
        rig.project(plan()).await?;
    }
    let bus = rig.nats.bus().await;
    let host = HostSim::start(&bus, SLOTS).await;
    let waiting = all_wait(&rig).await?;
    let socket = rig.socket();
    let shutdown = CancellationToken::new();
    let listeners = Listeners::bind(&socket, None).await?;
    let server = tokio::spawn(serve(listeners, rig.service.clone(), None, shutdown.clone()));
    let client = Client::new(Endpoint::Unix(socket))?;
    list(report, &rig, &client).await?;
    let (steady, rest) = waiting.split_at(STEADY);
    at_a_rate(report, &rig, steady).await?;
    fast(report, &client, rest.get(..FAST).unwrap_or_default()).await?;
    verify(report, &rig).await?;
    shutdown.cancel();
    server.await??;
    drop(host);
    rig.stop().await;
    Ok(())
}

/// How long everybody else waits while a request is routed under the costliest condition that is admitted.
fn conditions(report: &mut Report) -> Result<()> {
    let (mut worst, mut worst_name) = (Vec::new(), String::new());
    for (what, when) in CONDITIONS {
        let policy: Policy = serde_json::from_value(json!({
            "decide": "ask", "rules": [{ "name": "costly", "when": when, "decide": "ask" }]
        }))?;
        let policies = BTreeMap::from([("p".to_owned(), policy)]);
        let rules = Rules::new(BTreeMap::new(), policies, Approvals::default(), BTreeMap::new())?;
        let admitted = |count: usize| (routed(&rules, &facts(count)).1, count);
        let (mut most, mut refused) = (1, MOST_PATHS);
        ensure!(admitted(most).0 && !admitted(refused).0, "{what}: not bounded within {MOST_PATHS} paths");
        while most + 1 < refused {
            let middle = most.midpoint(refused);
            if admitted(middle).0 { most = middle } else { refused = middle }
        }
        let facts = facts(most);
        let mut times: Vec<Duration> = (0..ROUTES).map(|_| routed(&rules, &facts).0).collect();
        times.sort_unstable();
        if times.get(ROUTES / 2) > worst.get(ROUTES / 2) {
            (worst, worst_name) = (times, format!("{what}, {most} paths"));
        }
    }
    let name = format!("ledger: a request routed under the costliest condition admitted ({worst_name})");
    report.spread(&name, &mut worst, None, None);
    Ok(())
}

fn facts(paths: usize) -> Facts {
    let paths = (0..paths).map(|number| format!("src/module/file{number}.rs")).collect();
    Facts { paths, ..Facts::default() }
}

/// How long it took, and whether the condition was admitted.
fn routed(rules: &Rules, facts: &Facts) -> (Duration, bool) {
    let (own, project_id) = (BTreeMap::new(), ProjectId::from_uuid(Uuid::nil()));
    let asking = Asking { rules, own: &own, facts, project_id, remembered: &[], now: UnixMs(0) };
    let start = Instant::now();
    let route = policy::route(&asking, "p");
    (start.elapsed(), route.problem.is_none())
}

fn plan() -> String {
    let mut plan = "version: 1\ntitle: bench\napproval: auto\ntasks:\n".to_owned();
    for number in 0..TASKS {
        let _ = writeln!(plan, "  - {{ id: t{number}, run: 'true', approval: ask }}");
    }
    plan
}

fn told<T>(answer: Result<T, Problem>) -> Result<T> {
    match answer {
        Ok(value) => Ok(value),
        Err(problem) => bail!("{problem:?}"),
    }
}

/// Waits until every handoff waits for a person.
async fn all_wait(rig: &Rig) -> Result<Vec<ApprovalView>> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let waiting = told(rig.service.approvals(false).await)?;
        if waiting.len() == PENDING {
            return Ok(waiting);
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("the handoffs do not come")
}

async fn list(report: &mut Report, rig: &Rig, client: &Client) -> Result<()> {
    let (mut served, mut read) = (Vec::new(), Vec::new());
    for _ in 0..LISTS {
        let start = Instant::now();
        let body = told(rig.service.approvals_json(false).await)?;
        served.push(start.elapsed());
        ensure!(!body.is_empty(), "an empty list");
        let start = Instant::now();
        let listed = client.approvals(false).await?;
        read.push(start.elapsed());
        ensure!(listed.len() == PENDING, "{} of {PENDING} are listed", listed.len());
    }
    report.spread("ledger: 10,000 pending approvals listed as JSON", &mut served, Some(50.0), None);
    report.spread("ledger: the same, over the socket and read by a client", &mut read, None, None);
    let mut found = Vec::new();
    for _ in 0..LISTS {
        let start = Instant::now();
        let waits = told(rig.service.waiting(Waiting::For("bench".to_owned()), 20).await)?;
        found.push(start.elapsed());
        ensure!(
            waits.requests.len() == 20 && waits.count == PENDING,
            "{} of {} wait",
            waits.requests.len(),
            waits.count
        );
    }
    report.spread("ledger: the first 20 of the 10,000 that wait for one person", &mut found, None, None);
    Ok(())
}

fn decision(of: &ApprovalView) -> DecisionRequest {
    DecisionRequest {
        verdict: Verdict::Approved,
        digest: of.digest.clone(),
        by: "bench".to_owned(),
        channel: "cli".to_owned(),
        note: String::new(),
        remember: None,
    }
}

/// An open loop: each decision comes at its instant, whether or not the one before is through.
async fn at_a_rate(report: &mut Report, rig: &Rig, requests: &[ApprovalView]) -> Result<()> {
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / RATE));
    let start = Instant::now();
    let mut under_way = Vec::with_capacity(requests.len());
    for request in requests {
        ticks.tick().await;
        let (service, id, decision) = (rig.service.clone(), request.approval_id.to_string(), decision(request));
        under_way.push(tokio::spawn(async move {
            let begun = Instant::now();
            service.decide(&id, decision).await.map(|_| begun.elapsed())
        }));
    }
    let mut latencies = Vec::with_capacity(requests.len());
    for decided in under_way {
        latencies.push(told(decided.await?)?);
    }
    let elapsed = start.elapsed();
    report.at_least(
        "ledger: decisions per second, asked for at 200/s",
        per_second(latencies.len(), elapsed),
        "/s",
        Some(RATE * 0.99),
    );
    report.spread("ledger: decision asked for → durable and answered, at 200/s", &mut latencies, None, Some(20.0));
    Ok(())
}

async fn fast(report: &mut Report, client: &Client, requests: &[ApprovalView]) -> Result<()> {
    let start = Instant::now();
    let mut decided = stream::iter(requests)
        .map(|request| async move { client.decide(&request.approval_id.to_string(), &decision(request)).await })
        .buffer_unordered(TOGETHER);
    let mut count = 0;
    while let Some(after) = decided.next().await {
        ensure!(after?.decision.is_some(), "a decision that does not decide");
        count += 1;
    }
    let rate = per_second(count, start.elapsed());
    report.at_least("ledger: decisions per second through the API", rate, "/s", Some(RATE));
    Ok(())
}

async fn verify(report: &mut Report, rig: &Rig) -> Result<()> {
    let start = Instant::now();
    let checked = told(rig.service.verify_audit(None).await)?;
    ensure!(checked.findings.is_empty(), "the audit log is not whole: {:?}", checked.findings);
    let name = format!("ledger: audit log of {} entries verified", checked.entries);
    report.at_most(&name, start.elapsed().as_secs_f64(), "s", None);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn per_second(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}
