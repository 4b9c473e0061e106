//! What a `baton serve` keeps in memory with a large project open. It is started with the environment that `baton up` gives it.

use std::{
    fs,
    process::{Child, Stdio},
};

use anyhow::{Context as _, Result};
use harness::{
    nats::NatsServer,
    wait,
    world::{PATIENCE, World},
};

use orchestrator::supervise::HEAP;

use crate::{
    plan::{TASKS, wide_plan},
    report::Report,
};

const TARGET_MIB: f64 = 60.0;

/// Measures an empty orchestrator, one that took a project of 10,000 tasks, and one that loaded it at its start.
pub async fn memory(report: &mut Report) -> Result<()> {
    let nats = NatsServer::start().await;
    let world = World::new("");
    let folder = world.folder("folder", &[("hello.txt", "hello\n")]);
    let plan = world.plan("plan", &wide_plan(TASKS));
    let serve = Serve::start(&world, &nats).await?;
    report.at_most("memory: serve without projects", serve.resident("VmRSS:")?, "MiB", None);
    let id = world.run(&plan, &folder);
    // The first layer is ready: what follows the start has been done.
    wait::until("the first layer to be ready", PATIENCE, || {
        let answer = world.baton(&["--json", "status", &id]);
        async move { (answer.code == 0 && is_under_way(&answer.json())).then_some(()) }
    })
    .await;
    report.at_most("memory: serve that took 10,000 tasks", serve.resident("VmRSS:")?, "MiB", Some(TARGET_MIB));
    report.at_most("memory: its peak while it took them", serve.resident("VmHWM:")?, "MiB", None);
    drop(serve);
    let serve = Serve::start(&world, &nats).await?;
    report.at_most("memory: serve that loaded 10,000 tasks", serve.resident("VmRSS:")?, "MiB", Some(TARGET_MIB));
    report.at_most("memory: its peak while it loaded them", serve.resident("VmHWM:")?, "MiB", None);
    Ok(())
}

/// Every task of the first layer is ready.
fn is_under_way(project: &serde_json::Value) -> bool {
    let tasks = project.get("tasks").and_then(|tasks| tasks.as_array());
    tasks
        .is_some_and(|tasks| tasks.iter().filter(|task| task.get("state").is_some_and(|s| s == "ready")).count() >= 100)
}

struct Serve {
    child: Child,
}

impl Serve {
    async fn start(world: &World, nats: &NatsServer) -> Result<Self> {
        let log = fs::File::create(world.home().join("serve.log"))?;
        let child = world
            .command(&["serve", "--nats-url", &nats.url()])
            .envs(HEAP)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("start baton serve")?;
        let serve = Self { child };
        wait::until("baton serve to answer", PATIENCE, || {
            let answer = world.baton(&["--json", "ps"]);
            async move { (answer.code == 0).then_some(()) }
        })
        .await;
        Ok(serve)
    }

    /// A line of `/proc/PID/status`, in MiB.
    fn resident(&self, line: &str) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib: Option<f64> =
            text.lines().find_map(|l| l.strip_prefix(line)?.trim().strip_suffix("kB")?.trim().parse().ok());
        Ok(kib.with_context(|| format!("no {line} in /proc"))? / 1_024.0)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
