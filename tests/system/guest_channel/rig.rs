//! A worker on a plain folder, and the session that drives it.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use bus_schemas::v1::{
    guest::{Assignment, AttemptAssignment, CheckResult, Finished, Rejuvenate},
    task::{CheckSpec, Interpreter, LogSource, Program},
};
use tokio::{net::UnixStream, sync::mpsc, task::JoinSet, time::Instant};
use vm_pool::{
    adapter::session::{Output, Session, SessionError, Wishes, Worked, WorkspaceReady},
    port::Channels,
};
use worker::{
    driver::{ServeError, serve},
    port::{Layout, Machine, MachineError, Services, User},
};

/// Far longer than anything here takes; reaching it is a failure.
pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Sixty-four zero bytes.
pub(super) fn identity() -> Rejuvenate {
    Rejuvenate {
        entropy: format!("{}==", "A".repeat(86)),
        wall_ns: 1_700_000_000_000_000_000,
        hostname: "guest".into(),
        machine_id: "0123456789abcdef0123456789abcdef".into(),
        lease_token: "lease".into(),
    }
}

/// A folder as a machine. When the tests are root, programs run as nobody, so that a limit on processes binds them.
pub(super) struct Folder {
    layout: Layout,
    user: Option<User>,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).expect("open the folder");
        let layout = Layout {
            workspace: root.join("workspace"),
            exchange: root.join("exchange"),
            home: root.join("home"),
            skills: root.join("skills"),
            services: Some(Services { models: 0, proxy: 0 }),
        };
        let user = rustix::process::getuid().is_root().then_some(User { uid: 65534, gid: 65534 });
        Self { layout, user }
    }
}

impl Machine for Folder {
    fn rejuvenate(&self, identity: &Rejuvenate) -> Result<i64, MachineError> {
        if identity.hostname == "fails" {
            return Err(MachineError::at("set the host name")(io::Error::other("no")));
        }
        Ok(identity.wall_ns)
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn prepare(&self) -> Result<(), MachineError> {
        for folder in [&self.layout.workspace, &self.layout.exchange, &self.layout.home] {
            let _ = fs::remove_dir_all(folder);
            fs::create_dir(folder).map_err(MachineError::at("make a folder"))?;
        }
        Ok(())
    }

    fn user(&self) -> Option<User> {
        self.user
    }
}

/// A session with a worker at its other end.
pub(super) struct Rig {
    pub(super) session: Session,
    pub(super) printed: BTreeMap<&'static str, Vec<u8>>,
    /// What the guest wants of its host; held up until somebody takes it.
    pub(super) wishes: Option<Wishes>,
    /// Aborted with the rig, so that nothing outlives a failed test.
    _serving: JoinSet<Result<(), ServeError>>,
    pub(super) root: PathBuf,
    output: mpsc::Receiver<Output>,
    _folder: tempfile::TempDir,
}

impl Rig {
    /// Still frozen.
    pub(super) fn frozen() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (control, guest_control) = UnixStream::pair().expect("a pair");
        let (data, guest_data) = UnixStream::pair().expect("a pair");
        let mut serving = JoinSet::new();
        serving.spawn(serve(guest_control, guest_data, Folder::new(folder.path())));
        let mut session = Session::open(Channels { control, data });
        let output = session.take_output().expect("output");
        let wishes = session.take_wishes();
        let root = folder.path().to_path_buf();
        Self { session, printed: BTreeMap::new(), wishes, _serving: serving, root, output, _folder: folder }
    }

    /// With this tree in its workspace.
    pub(super) async fn with(tree: &[(&str, Entry<'_>)]) -> Self {
        let rig = Self::frozen();
        rig.session.hello(soon()).await.expect("hello");
        rig.session.rejuvenate(&identity(), soon()).await.expect("rejuvenated");
        rig.push(&tar_of(tree)).await.expect("workspace");
        rig
    }

    pub(super) async fn push(&self, tar: &[u8]) -> Result<WorkspaceReady, SessionError> {
        self.session.push_workspace(tar, soon()).await
    }

    pub(super) async fn run(&mut self, attempt: AttemptAssignment) -> Finished {
        self.session.assign(Assignment::Attempt(attempt)).await.expect("assigned");
        self.finish().await
    }

    /// Waits for the end, reading what is printed.
    pub(super) async fn finish(&mut self) -> Finished {
        let mut finished_future = Box::pin(self.session.finished(soon()));
        let finished = loop {
            tokio::select! {
                finished = &mut finished_future => break finished.expect("finished"),
                Some(output) = self.output.recv() => keep(&mut self.printed, &output),
            }
        };
        drop(finished_future);
        self.rest();
        finished
    }

    pub(super) async fn check(&mut self, checks: &[CheckSpec], output_bytes: u64) -> Vec<CheckResult> {
        let assignment = Assignment::Checks { checks: checks.to_vec(), env: BTreeMap::new(), output_bytes };
        self.session.assign(assignment).await.expect("assigned");
        let mut finished_future = Box::pin(self.session.checks_finished(checks.len(), soon()));
        let results = loop {
            tokio::select! {
                results = &mut finished_future => break results.expect("checks finished"),
                Some(output) = self.output.recv() => keep(&mut self.printed, &output),
            }
        };
        drop(finished_future);
        self.rest();
        results
    }

    /// Waits for the end of an agent, reading what is printed.
    pub(super) async fn work(&mut self) -> Worked {
        let mut worked_future = Box::pin(self.session.worked(soon()));
        let worked = loop {
            tokio::select! {
                worked = &mut worked_future => break worked.expect("worked"),
                Some(output) = self.output.recv() => keep(&mut self.printed, &output),
            }
        };
        drop(worked_future);
        self.rest();
        worked
    }

    fn rest(&mut self) {
        while let Ok(output) = self.output.try_recv() {
            keep(&mut self.printed, &output);
        }
    }

    /// What was printed so far, as text.
    pub(super) fn text(&self, source: &str) -> String {
        self.printed.get(source).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
    }

    /// Waits until the program printed `text` on standard output.
    pub(super) async fn until_printed(&mut self, text: &str) {
        self.until_said("stdout", text).await;
    }

    /// Waits until `source` printed `text`.
    pub(super) async fn until_said(&mut self, source: &str, text: &str) {
        while !self.text(source).contains(text) {
            let output = tokio::time::timeout_at(soon(), self.output.recv()).await.expect("output in time");
            keep(&mut self.printed, &output.expect("more output"));
        }
    }

    pub(super) fn exchange(&self) -> PathBuf {
        self.root.join("exchange")
    }

    pub(super) fn workspace(&self) -> PathBuf {
        self.root.join("workspace")
    }
}

fn keep(printed: &mut BTreeMap<&'static str, Vec<u8>>, output: &Output) {
    let source = match output.source {
        LogSource::Stdout => "stdout",
        LogSource::Stderr => "stderr",
        LogSource::Check => "check",
        LogSource::Host => "host",
        LogSource::Agent => "agent",
        LogSource::Tool => "tool",
    };
    printed.entry(source).or_default().extend_from_slice(&output.bytes);
}

/// An attempt with room for everything.
pub(super) fn attempt(interpreter: Interpreter, text: &str) -> AttemptAssignment {
    AttemptAssignment {
        task_key: "build".into(),
        title: "Build it".into(),
        goal: "A thing".into(),
        attempt: 1,
        program: Program::Script { interpreter, text: text.into() },
        env: BTreeMap::new(),
        item: None,
        needs: BTreeMap::new(),
        notes: Vec::new(),
        models: Vec::new(),
        checks: Vec::new(),
        network: Vec::new(),
        secrets: Vec::new(),
        wall_ms: 60_000,
        output_bytes: 1024 * 1024,
        max_processes: 256,
    }
}

pub(super) fn bash(text: &str) -> AttemptAssignment {
    attempt(Interpreter::Bash, text)
}

/// What goes into a tar.
#[derive(Clone, Copy)]
pub(super) enum Entry<'a> {
    File(u32, &'a [u8]),
    Link(&'a str),
    Device,
}

pub(super) fn tar_of(tree: &[(&str, Entry<'_>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, entry) in tree {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        // Written raw where the builder would refuse a hostile path.
        header.as_gnu_mut().expect("gnu").name[..path.len()].copy_from_slice(path.as_bytes());
        match entry {
            Entry::File(mode, content) => {
                header.set_mode(*mode);
                header.set_size(content.len() as u64);
                header.set_cksum();
                tar.append(&header, *content).expect("file");
            }
            Entry::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name_literal(target).expect("target");
                header.set_cksum();
                tar.append(&header, io::empty()).expect("link");
            }
            Entry::Device => {
                header.set_entry_type(tar::EntryType::Char);
                header.set_cksum();
                tar.append(&header, io::empty()).expect("device");
            }
        }
    }
    tar.into_inner().expect("tar")
}
