//! A stream of output that several may write to at once: what an agent says, or what its tools print.

use std::{io, sync::Arc, time::Duration};

use bus_schemas::v1::task::LogSource;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    data::Opener,
    output::{Budget, Sink},
};

/// Pieces on their way to the host. A host that lags holds up those who print.
const QUEUE: usize = 16;
/// The end of a stream may take so long to reach a slow host.
const END_WAIT: Duration = Duration::from_secs(20);

/// Prints. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Console {
    queue: Option<mpsc::Sender<Vec<u8>>>,
    budget: Arc<Budget>,
}

/// The end of a [`Console`].
#[derive(Debug)]
pub(crate) struct Closing(JoinHandle<()>);

impl Console {
    /// Opens the stream; `budget` is shared with the attempt's other streams.
    pub(crate) async fn open(opener: &Opener, source: LogSource, budget: &Arc<Budget>) -> io::Result<(Self, Closing)> {
        let mut sink = Sink::open(opener, source).await?;
        let (queue, mut pieces) = mpsc::channel::<Vec<u8>>(QUEUE);
        let task = tokio::spawn(async move {
            while let Some(piece) = pieces.recv().await {
                sink.write(&piece).await;
            }
            sink.close().await;
        });
        Ok((Self { queue: Some(queue), budget: Arc::clone(budget) }, Closing(task)))
    }

    /// Prints to nobody, but counts.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { queue: None, budget: Arc::new(Budget::new(0)) }
    }

    /// Prints, as far as the budget goes.
    pub(crate) async fn print(&self, bytes: &[u8]) {
        let send = self.budget.charge(bytes.len());
        if send > 0
            && let Some(queue) = &self.queue
        {
            // Nobody listens when the attempt is over.
            let _ = queue.send(bytes[..send].to_vec()).await;
        }
    }
}

impl Closing {
    /// Waits until all that was printed is on its way, but not for ever; every [`Console`] should be gone.
    pub(crate) async fn end(mut self) {
        if tokio::time::timeout(END_WAIT, &mut self.0).await.is_err() {
            self.0.abort();
        }
    }
}
