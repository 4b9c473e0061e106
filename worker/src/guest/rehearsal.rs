//! A rehearsal while the guest is frozen: the worker serves itself once, as it will serve the host, with fixed data.
//!
//! A guest does everything slowly the first time: an emulator translates every instruction it meets, and programs are read from the disk.
//! A spare that has been through an attempt, checks and a collection before it is stopped has all that behind it, and
//! keeps it: translated code and cached files stay where they are while its processors are stopped.
//!
//! Nothing of a host's is part of it, no entropy is credited, and what it leaves in the workspace, the exchange
//! folder and the home is removed. The names it sets are replaced by the first rejuvenation, without which the guest serves nothing.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bus_schemas::{
    frame::{self, Decoder},
    v1::{
        guest::{
            Assignment, AttemptAssignment, CHANNEL_VERSION, DataHeader, ENTROPY_BYTES, FromGuest, Rejuvenate, ToGuest,
        },
        task::{CheckSpec, Interpreter, Program},
    },
};
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::machine::GuestMachine;
use crate::{
    adapter::data::{self, Opener},
    port::{Layout, Machine, MachineError, User},
};

/// Longer than it takes on any machine that is good for anything; after it the guest says that it is over all the same.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes on their way between the two sides; what the real ports have.
const PIPE_BYTES: usize = 128 * 1024;
/// What a program of the rehearsal may print and take.
const OUTPUT_BYTES: u64 = 4096;
const WALL_MS: u64 = 10_000;
const MAX_PROCESSES: u32 = 64;
const CHANGES_BYTES: u64 = 1024 * 1024;

/// What most programs begin with. Its end is of no interest: an image may lack some of it.
const BASH: &str = "read -r line < kept/seed.txt; echo \"$line\" > new.txt\n\
    cat new.txt | grep -q seed; rm kept/seed.txt; /bin/true\n";
const PYTHON: &str = "print('seed')\n";

/// Goes through everything a lease goes through; ends after the next step if told to `stop`.
///
/// # Errors
/// Why it broke off; the machine is as good as without it.
pub(super) async fn run(machine: &GuestMachine, stop: &CancellationToken) -> anyhow::Result<()> {
    let (control, far_control) = duplex(PIPE_BYTES);
    let (data, far_data) = duplex(PIPE_BYTES);
    // Frozen, a guest has no way to its host.
    let layout = Layout { services: None, ..machine.layout().clone() };
    let stage = Rehearsed(machine.clone(), layout);
    let play = async {
        tokio::select! {
            served = crate::driver::serve(far_control, far_data, stage) => served.context("serve"),
            played = Prompter::new(control, data).play(stop) => played,
        }
    };
    let played = tokio::time::timeout(PATIENCE, play).await;
    let cleared = machine.clone();
    tokio::task::spawn_blocking(move || cleared.prepare()).await?.context("clear the stage")?;
    played.context("it took too long")?
}

/// The guest's machine, without entropy to take over, and with cages of its own.
struct Rehearsed(GuestMachine, Layout);

impl Machine for Rehearsed {
    fn rejuvenate(&self, identity: &Rejuvenate) -> Result<i64, MachineError> {
        self.0.rejuvenate_in_play(identity)
    }

    fn layout(&self) -> &Layout {
        &self.1
    }

    fn prepare(&self) -> Result<(), MachineError> {
        self.0.prepare()
    }

    fn user(&self) -> Option<User> {
        self.0.user()
    }

    fn cage(&self, label: &str) -> Result<Option<PathBuf>, MachineError> {
        self.0.cage(&format!("rehearsal-{label}"))
    }
}

/// Stands in for the host.
struct Prompter {
    control: DuplexStream,
    decoder: Decoder,
    opener: Opener,
    _tasks: JoinSet<()>,
}

impl Prompter {
    fn new(control: DuplexStream, data: DuplexStream) -> Self {
        let (opener, mut outputs, drive) = data::start(data, yamux::Mode::Client);
        let mut tasks = JoinSet::new();
        tasks.spawn(drive);
        tasks.spawn(async move {
            let mut readers = JoinSet::new();
            while let Some(mut output) = outputs.recv().await {
                readers.spawn(async move { tokio::io::copy(&mut output, &mut tokio::io::sink()).await });
            }
        });
        Self { control, decoder: Decoder::default(), opener, _tasks: tasks }
    }

    async fn play(mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        self.ask(&ToGuest::Hello { nonce: "rehearsal".into(), version: CHANNEL_VERSION }).await?;
        self.ask(&ToGuest::Ping { sequence: 1 }).await?;
        self.ask(&ToGuest::Rejuvenate(identity())).await?;
        let mut stream = self.opener.open(&DataHeader::Workspace).await?;
        stream.write_all(&tree()?).await?;
        stream.shutdown().await?;
        self.answer().await?;
        for (interpreter, text) in [(Interpreter::Bash, BASH), (Interpreter::Python, PYTHON)] {
            if stop.is_cancelled() {
                return Ok(());
            }
            self.ask(&ToGuest::Assign(Assignment::Attempt(attempt(interpreter, text)))).await?;
        }
        if stop.is_cancelled() {
            return Ok(());
        }
        let mut changes = self.opener.open(&DataHeader::Changes { limit_bytes: CHANGES_BYTES }).await?;
        tokio::io::copy(&mut changes, &mut tokio::io::sink()).await?;
        let check = CheckSpec { name: "rehearsal".into(), run: "test -s new.txt".into(), timeout_ms: WALL_MS };
        let checks = Assignment::Checks { checks: vec![check], env: [].into(), output_bytes: OUTPUT_BYTES };
        self.ask(&ToGuest::Assign(checks)).await
    }

    async fn ask(&mut self, message: &ToGuest) -> anyhow::Result<()> {
        self.control.write_all(&frame::encode(&serde_json::to_vec(message)?)?).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; 1024];
        loop {
            if let Some(body) = self.decoder.next_frame()? {
                return match serde_json::from_slice(&body)? {
                    FromGuest::Refused { code, detail } => bail!("{code:?}: {detail}"),
                    _ => Ok(()),
                };
            }
            match self.control.read(&mut buffer).await? {
                0 => bail!("the worker hung up"),
                count => self.decoder.push(&buffer[..count]),
            }
        }
    }
}

/// Names nobody else has, and the time that it is already.
fn identity() -> Rejuvenate {
    let now = clock_gettime(ClockId::Realtime);
    Rejuvenate {
        entropy: STANDARD.encode([0; ENTROPY_BYTES]),
        wall_ns: now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec).max(1),
        hostname: "baton-spare".into(),
        machine_id: "0".repeat(32),
        lease_token: "rehearsal".into(),
    }
}

fn tree() -> anyhow::Result<Vec<u8>> {
    let mut tree = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(5);
    tree.append_data(&mut header.clone(), "kept/seed.txt", b"seed\n".as_slice())?;
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Symlink);
    tree.append_link(&mut header, "link", "kept/seed.txt")?;
    Ok(tree.into_inner()?)
}

fn attempt(interpreter: Interpreter, text: &str) -> AttemptAssignment {
    AttemptAssignment {
        task_key: "rehearsal".into(),
        title: String::new(),
        goal: String::new(),
        attempt: 1,
        program: Program::Script { interpreter, text: text.into() },
        env: [].into(),
        item: None,
        needs: [].into(),
        notes: Vec::new(),
        models: Vec::new(),
        checks: Vec::new(),
        network: Vec::new(),
        secrets: Vec::new(),
        wall_ms: WALL_MS,
        output_bytes: OUTPUT_BYTES,
        max_processes: MAX_PROCESSES,
    }
}
