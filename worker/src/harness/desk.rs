//! All that an agent's loop has to do with: its computer, its task, the host.

use std::{net::SocketAddr, sync::Arc};

use bus_schemas::v1::{guest::AttemptAssignment, task::Note};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    adapter::{calls::Asker, checkpoint::Checkpoints, console::Console, data::Opener, output::Budget},
    port::Machine,
    tool::{Bench, Toolbox},
};

/// Handed to an agent's loop, which owns it until its attempt ends. The loop returns the last word of the attempt; afterwards
/// the connections to the host's services end.
pub(crate) struct Desk {
    /// The computer.
    pub(crate) machine: Arc<dyn Machine>,
    /// Opens streams to the host.
    pub(crate) opener: Opener,
    /// The task; its program is an agent's.
    pub(crate) assignment: Arc<AttemptAssignment>,
    /// What [`Checkpoints::save`] was given in all the turns of an earlier attempt, if this one goes on from there. Its
    /// changes are in the workspace already.
    pub(crate) transcript: Option<Vec<u8>>,
    /// What is said to the agent while it works, and what was said before it began.
    pub(crate) notes: mpsc::UnboundedReceiver<Note>,
    /// Asks the orchestrator.
    pub(crate) asker: Asker,
    /// Saves turns.
    pub(crate) checkpoints: Checkpoints,
    /// How much may be printed, by all streams together; for [`crate::adapter::console::Console`].
    pub(crate) budget: Arc<Budget>,
    /// Where the model gateway listens.
    pub(crate) models: SocketAddr,
    /// Where the proxy listens.
    pub(crate) proxy: SocketAddr,
    /// Begins the names of cages.
    pub(crate) label: String,
    /// Stop soon: the host wants it so, or the time is up. The loop ends what it started and returns whatever it has; the
    /// driver knows why it stopped.
    pub(crate) stop: CancellationToken,
}

impl Desk {
    /// The tools, which print to `console` (opened for [`bus_schemas::v1::task::LogSource::Tool`]).
    pub(crate) fn toolbox(&self, console: Console) -> Toolbox {
        Toolbox::new(Bench {
            machine: Arc::clone(&self.machine),
            assignment: Arc::clone(&self.assignment),
            asker: self.asker.clone(),
            console,
            proxy: Some(self.proxy),
            label: self.label.clone(),
        })
    }
}
