//! Real VMs: how fast one boots, and how fast a task starts in one that was booted before.

use std::{
    fs,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use bus_schemas::{
    id::AttemptRef,
    nats,
    subject::{self, EventKind},
    time::UnixMs,
    v1::{
        api::ProjectView,
        task::{Claimed, Machine, Progress, Stage},
    },
};
use futures::StreamExt as _;
use harness::{paths, wait, world};
use orchestrator::port::Service as _;
use vm_pool::{
    adapter::{
        qemu::{QemuHypervisor, QemuOptions},
        session::Session,
    },
    port::{Hypervisor as _, Vm as _},
};

use crate::{
    report::Report,
    rig::{PATIENCE, Rig},
};

const BOOTS: usize = 5;
const STARTS: usize = 5;
const PLAN: &str = "version: 1\ntitle: one\napproval: auto\ntasks:\n  - { id: only, run: 'true', checks: ['true'] }\n";

/// Measures boots, then starts on spares.
pub async fn vm(report: &mut Report) -> Result<()> {
    boots(report).await?;
    starts(report).await
}

async fn boots(report: &mut Report) -> Result<()> {
    let state = tempfile::tempdir()?;
    let options = QemuOptions::new(&paths::cache(), state.path(), &paths::dist().join("baton-worker"));
    let hypervisor = QemuHypervisor::open(options).await?;
    println!("VMs are run by {} {}", hypervisor.accelerator().name, hypervisor.accelerator().note);
    let machine = Machine { cpus: 1, memory_mib: 320, disk_mib: 256, image: "base".into() };
    let mut samples = Vec::with_capacity(BOOTS);
    for _ in 0..BOOTS {
        let start = Instant::now();
        let (mut vm, channels) = hypervisor.start(&machine).await?;
        let session = Session::open(channels);
        tokio::select! {
            hello = session.hello(tokio::time::Instant::now() + PATIENCE) => drop(hello?),
            reason = vm.exited() => bail!("the VM is gone: {reason}"),
        }
        samples.push(start.elapsed());
        vm.kill().await;
    }
    spread(report, "vm: cold boot → hello", &mut samples, Some(3_000.0));
    Ok(())
}

async fn starts(report: &mut Report) -> Result<()> {
    let rig = Rig::start().await?;
    let bus = rig.nats.bus().await;
    let mut events = bus.client().subscribe("baton.v1.event.>").await?;
    bus.client().flush().await?;
    let state = tempfile::tempdir()?;
    let pool = Pool::start(&rig, state.path())?;
    let (mut leased, mut started) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        spare(&rig, &pool).await;
        let project = rig.project(PLAN.to_owned()).await?;
        let seen = tokio::time::timeout(PATIENCE, story(&mut events, &project)).await??;
        leased.push(seen.leased);
        started.push(seen.running);
        rig.finished(&project).await?;
    }
    spread(report, "vm: claim → booted spare leased", &mut leased, None);
    spread(report, "vm: claim → its program runs, on a booted spare", &mut started, Some(150.0));
    drop(pool);
    rig.stop().await;
    Ok(())
}

/// What one attempt said, after its claim.
struct Story {
    leased: Duration,
    running: Duration,
}

/// Follows an attempt until its program runs. All instants are the host's own.
async fn story(events: &mut async_nats::Subscriber, project: &ProjectView) -> Result<Story> {
    let mut claimed: Option<(AttemptRef, UnixMs)> = None;
    let mut leased = None;
    while let Some(message) = events.next().await {
        let (attempt, kind) = subject::parse_event(&message.subject)?;
        if attempt.project_id != project.project_id {
            continue;
        }
        match kind {
            EventKind::Claimed => {
                claimed = Some((attempt, nats::decode::<Claimed>(&message.payload)?.sent_at));
            }
            EventKind::Progress => {
                let Progress { stage, entered_at, .. } = nats::decode::<Progress>(&message.payload)?.body;
                let (_, since) = claimed.context("progress before a claim")?;
                let elapsed = Duration::from_millis(entered_at.since(since));
                match stage {
                    Stage::Preparing => leased = Some(elapsed),
                    Stage::Running => {
                        let leased = leased.context("it runs without having been prepared")?;
                        return Ok(Story { leased, running: elapsed });
                    }
                    _ => {}
                }
            }
            EventKind::Handoff | EventKind::Paused => bail!("the attempt ended before its program was seen to run"),
            EventKind::Failed => bail!("the attempt failed: {}", String::from_utf8_lossy(&message.payload)),
        }
    }
    bail!("the bus is gone")
}

/// Waits until the host shows a booted spare and nothing to do, and the spare has rehearsed and rests.
async fn spare(rig: &Rig, pool: &Pool) {
    wait::until("a booted spare", world::PATIENCE, || async {
        let hosts = rig.service.hosts().await.ok()?;
        hosts.iter().any(|host| host.beat.spares > 0 && host.beat.attempts.is_empty()).then_some(())
    })
    .await;
    wait::until("the spare to rest", world::PATIENCE, || async {
        let before = pool.ticks();
        tokio::time::sleep(Duration::from_millis(600)).await;
        (before > 0 && pool.ticks() == before).then_some(())
    })
    .await;
}

fn spread(report: &mut Report, name: &str, samples: &mut [Duration], target: Option<f64>) {
    samples.sort_unstable();
    report.at_most(&format!("{name}, min"), crate::report::percentile(samples, 0), "ms", None);
    report.at_most(&format!("{name}, median"), crate::report::percentile(samples, 50), "ms", target);
}

/// A `baton-vm-pool serve`; told to stop and waited for on drop, so that it takes its VMs along.
struct Pool {
    child: Child,
}

impl Pool {
    fn start(rig: &Rig, state: &std::path::Path) -> Result<Self> {
        let program = paths::dist().join("baton-vm-pool");
        ensure!(program.exists(), "{} is not there", program.display());
        let log = fs::File::create(state.join("pool.log"))?;
        let child = std::process::Command::new(program)
            .args(["serve", "--slots", "1", "--spares", "1", "--nats-url", &rig.nats.url(), "--state-dir"])
            .arg(state.join("state"))
            .arg("--worker")
            .arg(paths::dist().join("baton-worker"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("start baton-vm-pool")?;
        Ok(Self { child })
    }

    /// Processor time its VMs have used, in clock ticks: it stands still when they are paused.
    fn ticks(&self) -> u64 {
        let stats = fs::read_dir("/proc").into_iter().flatten().flatten();
        let of_vms = stats.filter_map(|entry| {
            // "pid (name) state parent … utime stime" (proc(5))
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let (start, rest) = stat.rsplit_once(')')?;
            let fields: Vec<&str> = rest.split_whitespace().collect();
            let ours = fields.get(1)?.parse() == Ok(self.child.id()) && start.contains("(qemu-system");
            ours.then(|| [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum::<u64>())
        });
        of_vms.sum()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        world::signal(self.child.id(), rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}
