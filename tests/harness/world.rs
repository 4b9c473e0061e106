//! A whole Baton in a home of its own: `baton up` with its nats-server, orchestrator and vm-pool, used through the
//! `baton` command as a person would.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{model::Model, paths, wait};

/// Long enough for emulated VMs on a busy machine; only a broken test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// A running Baton. Dropping it ends everything it started.
#[derive(Debug)]
pub struct World {
    home: TempDir,
    up: Option<Child>,
    variables: Vec<(String, String)>,
}

/// What a `baton` command answered.
#[derive(Debug)]
pub struct Answer {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Answer {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The one JSON value on standard output.
    ///
    /// # Panics
    /// If the command failed or printed something else.
    #[must_use]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "exit code; stderr: {}", self.err);
        serde_json::from_str(self.out.trim()).unwrap_or_else(|e| panic!("{e}: {:?}", self.out))
    }

    /// Every JSON line on standard output.
    ///
    /// # Panics
    /// If a line is something else.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l:?}"))).collect()
    }
}

impl World {
    /// A home with this `baton.toml`, nothing running.
    ///
    /// # Panics
    /// If the folder cannot be made.
    #[must_use]
    pub fn new(config: &str) -> Self {
        let home = tempfile::Builder::new().prefix("baton").tempdir().expect("a temporary folder");
        fs::create_dir_all(home.path().join("config")).expect("the config folder");
        fs::write(home.path().join("config/baton.toml"), config).expect("write baton.toml");
        Self { home, up: None, variables: Vec::new() }
    }

    /// One slot, one spare, and this model for every agent; running.
    pub async fn with_model(model: &Model) -> Self {
        let mut world = Self::new(&format!("[pool]\nslots = 1\nspares = 1\n{}", model.config()));
        world.start().await;
        world
    }

    /// Sets an environment variable for everything that is started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// A home, and everything running in it, two slots and one spare.
    pub async fn up() -> Self {
        let mut world = Self::new("[pool]\nslots = 2\nspares = 1\n");
        world.start().await;
        world
    }

    /// Runs `baton up` and waits until a host offers slots.
    ///
    /// # Panics
    /// If it ends or nothing answers in time.
    pub async fn start(&mut self) {
        let log = fs::File::create(self.home.path().join("up.log")).expect("a log file");
        let child = self
            .command(&["up"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("start baton up");
        self.up = Some(child);
        self.until_ready().await;
    }

    /// Waits until the orchestrator answers and a live host has slots.
    pub async fn until_ready(&mut self) {
        let home = self.home.path().to_path_buf();
        wait::until("a host with slots", PATIENCE, || {
            if let Some(Ok(Some(status))) = self.up.as_mut().map(Child::try_wait) {
                let log = fs::read_to_string(home.join("up.log")).unwrap_or_default();
                panic!("baton up ended with {status}: {log}");
            }
            let answer = self.baton(&["--json", "hosts"]);
            async move {
                let hosts = (answer.code == 0).then(|| answer.lines())?;
                hosts.iter().any(|h| h["beat"]["slots"].as_u64() > Some(0) && h["lost"] == false).then_some(())
            }
        })
        .await;
    }

    /// The home folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A command with the environment of this world.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let dist = paths::dist();
        let mut command = Command::new(dist.join("baton"));
        command
            .args(arguments)
            .current_dir(self.home.path())
            .env("BATON_HOME", self.home.path())
            .env("BATON_NATS_SERVER", paths::nats_server())
            .env("BATON_WORKER", dist.join("baton-worker"))
            .env("NO_COLOR", "1")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a `baton` command to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn baton(&self, arguments: &[&str]) -> Answer {
        Answer::of(&self.command(arguments).stdin(Stdio::null()).output().expect("start baton"))
    }

    /// Runs a command that must succeed.
    ///
    /// # Panics
    /// If it does not.
    pub fn ok(&self, arguments: &[&str]) -> Answer {
        let answer = self.baton(arguments);
        assert_eq!(answer.code, 0, "baton {}: {}{}", arguments.join(" "), answer.out, answer.err);
        answer
    }

    /// A new folder below the home with these files.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn folder(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = self.home.path().join("folders").join(name);
        fs::create_dir_all(&folder).expect("the folder");
        for (path, text) in files {
            let file = folder.join(path);
            fs::create_dir_all(file.parent().expect("a parent")).expect("the folder");
            fs::write(file, text).expect("write a file");
        }
        folder
    }

    /// Writes a plan file and returns its path.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn plan(&self, name: &str, text: &str) -> String {
        let file = self.home.path().join(format!("{name}.yaml"));
        fs::write(&file, text).expect("write the plan");
        file.display().to_string()
    }

    /// Starts a project with its plan approved; returns its id.
    ///
    /// # Panics
    /// If it is refused.
    #[must_use]
    pub fn run(&self, plan: &str, folder: &Path) -> String {
        let folder = folder.display().to_string();
        let answer = self.ok(&["--json", "run", plan, "--folder", &folder, "--yes", "--detach"]);
        let id = answer.lines().iter().find_map(|line| line["project_id"].as_str().map(str::to_owned));
        id.unwrap_or_else(|| panic!("no project id in {:?}", answer.out))
    }

    /// Starts a project from a goal; returns its id.
    ///
    /// # Panics
    /// If it is refused.
    #[must_use]
    pub fn run_goal(&self, goal: &str, folder: &Path) -> String {
        let folder = folder.display().to_string();
        let answer = self.ok(&["--json", "run", goal, "--folder", &folder, "--detach"]);
        let id = answer.lines().iter().find_map(|line| line["project_id"].as_str().map(str::to_owned));
        id.unwrap_or_else(|| panic!("no project id in {:?}", answer.out))
    }

    /// What a pending request of the project is about, with all that is shown.
    pub async fn asked(&self, id: &str) -> Value {
        let approval = self.until_asked(id).await;
        self.baton(&["--json", "approvals", &approval]).json()
    }

    /// The project as it is now.
    #[must_use]
    pub fn project(&self, id: &str) -> Value {
        self.baton(&["--json", "status", id]).json()
    }

    /// One task of a project.
    ///
    /// # Panics
    /// If it has no such task.
    #[must_use]
    pub fn task(&self, id: &str, key: &str) -> Value {
        let project = self.project(id);
        let tasks = project["tasks"].as_array().expect("tasks");
        tasks.iter().find(|t| t["key"] == key).cloned().unwrap_or_else(|| panic!("no task {key}: {project:#}"))
    }

    /// Waits until the project is in one of these states; returns it.
    pub async fn until_state(&self, id: &str, states: &[&str]) -> Value {
        wait::until(&format!("project {id} to be {states:?}"), PATIENCE, || {
            let answer = self.baton(&["--json", "status", id]);
            async move {
                let project = (answer.code == 0).then(|| answer.json())?;
                states.iter().any(|s| project["state"] == **s).then_some(project)
            }
        })
        .await
    }

    /// Waits until the task is in one of these states; returns it.
    pub async fn until_task(&self, id: &str, key: &str, states: &[&str]) -> Value {
        wait::until(&format!("task {key} to be {states:?}"), PATIENCE, || {
            let answer = self.baton(&["--json", "status", id]);
            async move {
                let project = (answer.code == 0).then(|| answer.json())?;
                let task = project["tasks"].as_array()?.iter().find(|t| t["key"] == key)?.clone();
                states.iter().any(|s| task["state"] == **s).then_some(task)
            }
        })
        .await
    }

    /// Waits until a request of the project waits for a person; returns its id.
    pub async fn until_asked(&self, id: &str) -> String {
        wait::until(&format!("project {id} to ask"), PATIENCE, || {
            let answer = self.baton(&["--json", "status", id]);
            async move {
                let project = (answer.code == 0).then(|| answer.json())?;
                project["pending_approvals"].as_array()?.first()?.as_str().map(str::to_owned)
            }
        })
        .await
    }

    /// The process id of a child of `baton up`, by the program's name.
    #[must_use]
    pub fn child(&self, program: &str) -> Option<u32> {
        let home = self.home.path().display().to_string();
        fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let read =
                |file: &str| fs::read(entry.path().join(file)).ok().map(|b| String::from_utf8_lossy(&b).into_owned());
            let (line, environment) = (read("cmdline")?, read("environ")?);
            let named = line.split('\0').any(|word| word.ends_with(program) || word == program);
            (named && (environment.contains(&home) || line.contains(&home))).then_some(pid)
        })
    }

    /// The process ids of this world's VMs.
    #[must_use]
    pub fn machines(&self) -> Vec<u32> {
        let Some(host) = self.child("baton-vm-pool") else { return Vec::new() };
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let of_host = processes.filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            // "pid (name) state parent …" (proc(5)); the name may hold blanks and brackets.
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let (start, rest) = stat.rsplit_once(')')?;
            let parent: u32 = rest.split_whitespace().nth(1)?.parse().ok()?;
            (parent == host && start.contains("(qemu-system")).then_some(pid)
        });
        of_host.collect()
    }

    /// Sends SIGKILL to a child of `baton up` (and to nothing else).
    ///
    /// # Panics
    /// If there is no such child.
    pub fn kill(&self, program: &str) -> u32 {
        let pid = self.child(program).unwrap_or_else(|| panic!("{program} does not run"));
        signal(pid, rustix::process::Signal::KILL);
        pid
    }

    /// Kills `baton up` itself with SIGKILL; its children must follow it.
    pub fn kill_up(&mut self) {
        if let Some(mut child) = self.up.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks `baton up` to stop and waits until it has.
    ///
    /// # Panics
    /// If it does not stop.
    pub async fn down(&mut self) {
        let Some(mut child) = self.up.take() else { return };
        signal(child.id(), rustix::process::Signal::TERM);
        wait::until("baton up to stop", Duration::from_secs(60), || {
            let ended = child.try_wait().ok().flatten();
            async move { ended }
        })
        .await;
    }
}

/// Sends a signal to one process.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut child) = self.up.take() {
            signal(child.id(), rustix::process::Signal::TERM);
            for _ in 0..500 {
                if !matches!(child.try_wait(), Ok(None)) {
                    break;
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.home.path().join("up.log")).unwrap_or_default();
            eprintln!("--- up.log\n{log}");
            for file in fs::read_dir(self.home.path().join("state/log")).into_iter().flatten().flatten() {
                let text = fs::read_to_string(file.path()).unwrap_or_default();
                let tail: Vec<&str> = text.lines().rev().take(60).collect();
                eprintln!("--- {}", file.path().display());
                tail.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}
