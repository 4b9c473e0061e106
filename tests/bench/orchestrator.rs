//! The orchestrator between a real bus and a simulated host that works in no time: what is left is its own cost, the
//! bus's and the disk's.

use std::{
    collections::HashMap,
    fmt::Write as _,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Result, ensure};
use bus_schemas::{
    id::TaskId,
    time::UnixMs,
    v1::{
        api::{FeedEvent, ProjectView},
        task::TaskState,
    },
};
use futures::StreamExt as _;
use harness::hostsim::HostSim;

use crate::{
    report::Report,
    rig::{PATIENCE, Rig},
};

const CHAIN: usize = 1_000;
const FAN: usize = 1_000;
const PROJECTS: usize = 200;
const PROJECT_TASKS: usize = 20;
/// Slots of the simulated host where throughput is measured; a chain needs one.
const SLOTS: u32 = 64;
/// Records a second that must become durable.
const RATE: f64 = 1_000.0;

/// Measures a chain, a fan and many projects.
pub async fn orchestrator(report: &mut Report) -> Result<()> {
    chain(report).await?;
    fan(report).await?;
    projects(report).await
}

/// What a reader of the feed saw of one task.
struct Seen {
    /// When the record says the task became ready.
    recorded: UnixMs,
    /// When the reader knew.
    heard: Instant,
}

async fn chain(report: &mut Report) -> Result<()> {
    let rig = Rig::start().await?;
    let anchor = (Instant::now(), SystemTime::UNIX_EPOCH.elapsed()?);
    let project = rig.project(chain_plan(CHAIN)).await?;
    let mut feed = rig.feed(&project).await?;
    let host = HostSim::start(&rig.nats.bus().await, 1).await;
    let start = Instant::now();
    let mut ready: HashMap<String, Seen> = HashMap::new();
    let read = async {
        while let Some(event) = feed.next().await {
            let heard = Instant::now();
            let FeedEvent { tasks, at, .. } = event;
            for task in tasks.into_iter().filter(|task| task.state != TaskState::Blocked) {
                ready.entry(task.key).or_insert(Seen { recorded: at, heard });
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await?;
    let elapsed = start.elapsed();
    let records = rig.records(&project).await?;
    let times = host.times();
    let ids: HashMap<&str, TaskId> = project.tasks.iter().map(|task| (task.key.as_str(), task.task_id)).collect();
    ensure!(times.len() == CHAIN, "{} of {CHAIN} tasks were worked on", times.len());
    let of = |number: usize| {
        let key = format!("t{number}");
        Some((ready.get(&key)?, times.get(ids.get(key.as_str())?)?))
    };
    let (mut claims, mut offers, mut handoffs, mut hops) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 1..CHAIN {
        let (Some((_, before)), Some((seen, after))) = (of(number - 1), of(number)) else { continue };
        // Records have whole milliseconds, rounded down: what is measured from them is never too small.
        claims.push(since(anchor, after.claimed, seen.recorded));
        offers.push(since(anchor, after.offered, seen.recorded));
        handoffs.push(seen.heard.saturating_duration_since(before.handing_off));
        hops.push(after.claimed.saturating_duration_since(before.handing_off));
    }
    ensure!(claims.len() == CHAIN - 1, "the feed lacks tasks: {}", claims.len());
    report.spread("chain: ready → claimed", &mut claims, Some(3.0), Some(30.0));
    report.spread("chain: ready → the host has the offer", &mut offers, None, None);
    report.spread("chain: handoff → successor ready", &mut handoffs, Some(5.0), None);
    report.spread("chain: handoff → successor claimed (a whole hop)", &mut hops, None, None);
    report.at_least("chain: durable records per second (one task at a time)", rate(records, elapsed), "/s", None);
    drop(host);
    rig.stop().await;
    Ok(())
}

async fn fan(report: &mut Report) -> Result<()> {
    let rig = Rig::start().await?;
    let project = rig.project(fan_plan(FAN)).await?;
    let before = rig.records(&project).await?;
    let bus = rig.nats.bus().await;
    let start = Instant::now();
    let host = HostSim::start(&bus, SLOTS).await;
    rig.finished(&project).await?;
    let elapsed = start.elapsed();
    let records = rig.records(&project).await? - before;
    report.at_most("fan: 1 → 1,000 → 1 tasks worked off", elapsed.as_secs_f64(), "s", None);
    report.at_least("fan: durable records per second", rate(records, elapsed), "/s", Some(RATE));
    drop(host);
    rig.stop().await;
    Ok(())
}

async fn projects(report: &mut Report) -> Result<()> {
    let rig = Rig::start().await?;
    let mut projects: Vec<ProjectView> = Vec::with_capacity(PROJECTS);
    let start = Instant::now();
    for _ in 0..PROJECTS {
        projects.push(rig.project(small_plan(PROJECT_TASKS)).await?);
    }
    let created = start.elapsed().as_secs_f64() * 1_000.0 / 200.0;
    report.at_most("projects: one started, its folder copied in", created, "ms", None);
    let before = total(&rig, &projects).await?;
    let bus = rig.nats.bus().await;
    let start = Instant::now();
    let host = HostSim::start(&bus, SLOTS).await;
    rig.all_finished().await?;
    let elapsed = start.elapsed();
    let records = total(&rig, &projects).await? - before;
    report.at_most("projects: 200 × 20 tasks worked off", elapsed.as_secs_f64(), "s", None);
    report.at_least("projects: durable records per second", rate(records, elapsed), "/s", Some(RATE));
    drop(host);
    rig.stop().await;
    Ok(())
}

async fn total(rig: &Rig, projects: &[ProjectView]) -> Result<usize> {
    let mut sum = 0;
    for project in projects {
        sum += rig.records(project).await?;
    }
    Ok(sum)
}

/// From an instant in whole milliseconds of the wall clock to a later instant of this process.
fn since(anchor: (Instant, Duration), later: Instant, recorded: UnixMs) -> Duration {
    let wall = anchor.1 + later.saturating_duration_since(anchor.0);
    wall.saturating_sub(Duration::from_millis(u64::try_from(recorded.0).unwrap_or_default()))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn rate(records: usize, elapsed: Duration) -> f64 {
    records as f64 / elapsed.as_secs_f64()
}

const HEAD: &str = "version: 1\ntitle: bench\napproval: auto\ntasks:\n";

fn chain_plan(tasks: usize) -> String {
    let mut plan = HEAD.to_owned();
    for number in 0..tasks {
        let needs = number.checked_sub(1).map(|before| format!(" needs: [t{before}],")).unwrap_or_default();
        let _ = writeln!(plan, "  - {{ id: t{number},{needs} run: 'true', checks: ['true'] }}");
    }
    plan
}

fn fan_plan(tasks: usize) -> String {
    let mut plan = HEAD.to_owned() + "  - { id: first, run: 'true', checks: ['true'] }\n";
    for number in 0..tasks {
        let _ = writeln!(plan, "  - {{ id: t{number}, needs: [first], run: 'true', checks: ['true'] }}");
    }
    let all: Vec<String> = (0..tasks).map(|number| format!("t{number}")).collect();
    let _ = writeln!(plan, "  - {{ id: last, needs: [{}], run: 'true', checks: ['true'] }}", all.join(", "));
    plan
}

/// One task, then all but two side by side, then one.
fn small_plan(tasks: usize) -> String {
    fan_plan(tasks - 2)
}
