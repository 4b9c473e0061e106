//! What is done while the loop goes on listening.

use std::{io, sync::Arc, time::Duration};

use bus_schemas::{
    frame,
    v1::{
        guest::{Assignment, AttemptAssignment, Finished, FromGuest},
        task::{Note, Program},
    },
};
use tokio::{io::AsyncWriteExt, sync::mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    adapter::{
        blocking::BlockingWriter,
        calls::Asker,
        changes::{self, Meanwhile},
        checkpoint::Checkpoints,
        data::{Opener, Stream},
        exchange,
        loopback::Loopback,
        manifest::Manifest,
        output::Budget,
    },
    harness::{HarnessError, builtin, checks, desk::Desk, script},
    port::Machine,
};

/// An agent that was stopped may take so long to end what it started.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// Everything an assignment is worked on with.
pub(super) struct Work<M> {
    pub(super) machine: Arc<M>,
    pub(super) opener: Opener,
    pub(super) before: Arc<Manifest>,
    pub(super) restored: bool,
    pub(super) transcript: Option<Vec<u8>>,
    pub(super) notes: mpsc::UnboundedReceiver<Note>,
    pub(super) asker: Asker,
    pub(super) label: String,
    pub(super) stop: CancellationToken,
}

impl<M: Machine> Work<M> {
    /// Works, and says what came of it.
    pub(super) async fn run(self, assignment: Assignment) -> FromGuest {
        let done = match assignment {
            Assignment::Attempt(attempt) => self.attempt(attempt).await,
            Assignment::Checks { checks, env, output_bytes } => {
                checks::run(&self.machine, &self.opener, &checks, &env, output_bytes, &self.label, &self.stop)
                    .await
                    .map(|results| FromGuest::ChecksFinished { results })
            }
        };
        done.unwrap_or_else(|error| FromGuest::Refused { code: error.code(), detail: error.to_string() })
    }

    async fn attempt(self, attempt: AttemptAssignment) -> Result<FromGuest, HarnessError> {
        // Open as long as the attempt lasts.
        let loopback = match self.machine.layout().services {
            Some(services) => Some(
                Loopback::open(&self.opener, services)
                    .await
                    .map_err(HarnessError::at("listen for connections to the host's services"))?,
            ),
            None => None,
        };
        match (&attempt.program, loopback) {
            (Program::Agent(_), Some(loopback)) => self.agent(attempt, &loopback).await,
            (_, loopback) => {
                let proxy = loopback.as_ref().map(|loopback| loopback.proxy);
                script::run(&self.machine, &self.opener, &attempt, &self.label, proxy, &self.stop)
                    .await
                    .map(FromGuest::Finished)
            }
        }
    }

    async fn agent(self, attempt: AttemptAssignment, loopback: &Loopback) -> Result<FromGuest, HarnessError> {
        let layout = self.machine.layout();
        exchange::write_told(layout, &attempt).map_err(HarnessError::at("write the exchange folder"))?;
        let wall = Duration::from_millis(attempt.wall_ms);
        let stop = self.stop.child_token();
        let desk = Desk {
            checkpoints: Checkpoints::new(self.opener.clone(), layout.workspace.clone(), self.before, self.restored),
            machine: self.machine.clone(),
            opener: self.opener,
            budget: Arc::new(Budget::new(attempt.output_bytes)),
            assignment: Arc::new(attempt),
            transcript: self.transcript,
            notes: self.notes,
            asker: self.asker,
            models: loopback.models,
            proxy: loopback.proxy,
            label: self.label,
            stop: stop.clone(),
        };
        let budget = Arc::clone(&desk.budget);
        let mut agent = Box::pin(builtin::run(desk));
        let timed_out = tokio::select! {
            done = &mut agent => return Ok(done),
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(wall) => true,
        };
        stop.cancel();
        let done = tokio::time::timeout(STOP_WAIT, agent).await.ok();
        let finished = match done {
            Some(FromGuest::Finished(finished)) => finished,
            _ => Finished { signal: Some(9), output_bytes: budget.printed(), ..Finished::default() },
        };
        Ok(FromGuest::Finished(Finished { timed_out, exit_code: None, ..finished }))
    }
}

/// Sends the tar of changes, or a refusal in its place.
pub(super) async fn send_changes<M: Machine>(
    machine: Arc<M>,
    before: Arc<Manifest>,
    mut stream: Stream,
    limit_bytes: u64,
) -> io::Result<()> {
    let root = machine.layout().workspace.clone();
    let surveyed = tokio::task::spawn_blocking({
        let root = root.clone();
        move || changes::survey(&root, &before, limit_bytes)
    });
    match surveyed.await.map_err(io::Error::other)? {
        Err(error) => {
            let refusal = FromGuest::Refused { code: error.code, detail: error.to_string() };
            let frame = frame::encode(&serde_json::to_vec(&refusal)?).map_err(io::Error::other)?;
            stream.write_all(&frame).await?;
        }
        Ok(packing) => {
            let writer = BlockingWriter::new(stream);
            let packed = tokio::task::spawn_blocking(move || changes::pack(&root, &packing, Meanwhile::Refuse, writer));
            stream = packed.await.map_err(io::Error::other)??.into_stream();
        }
    }
    stream.shutdown().await
}
