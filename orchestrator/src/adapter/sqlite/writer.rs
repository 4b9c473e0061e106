//! One thread owns the only connection that writes. Waiting transactions share one commit; each runs under a savepoint
//! of its own, so that a failing one falls back alone. Nobody is answered before the commit is on the disk.

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::port::journal::JournalError;

/// Transactions that may wait for the writer: more would only be latency.
const QUEUE: usize = 256;
/// Transactions that share one commit at most, so that the first of them does not wait for ever.
const GROUP: usize = 128;

/// A transaction on its way to the writer.
trait Logical: Send {
    /// Does the work.
    fn run(&mut self, connection: &Connection) -> Result<(), JournalError>;
    /// Answers the caller: after the commit.
    fn settle(self: Box<Self>, outcome: Result<(), JournalError>);
}

struct Call<F, T> {
    work: Option<F>,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, JournalError>>,
}

impl<F, T> Logical for Call<F, T>
where
    F: FnOnce(&Connection) -> Result<T, JournalError> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), JournalError> {
        if let Some(work) = self.work.take() {
            self.value = Some(work(connection)?);
        }
        Ok(())
    }

    fn settle(self: Box<Self>, outcome: Result<(), JournalError>) {
        let answer = match (outcome, self.value) {
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => Err(JournalError::Closed { operation: "run transaction" }),
            (Err(error), _) => Err(error),
        };
        // The caller may have gone; its work is committed all the same.
        drop(self.reply.send(answer));
    }
}

/// The way to the writer thread.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Logical>>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("closed", &self.queue.is_closed()).finish()
    }
}

impl Writer {
    /// Starts the thread; it ends when the last `Writer` is gone, and drops `guard` after the connection.
    pub(super) fn start<G: Send + 'static>(connection: Connection, guard: G) -> std::io::Result<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || {
            serve(connection, waiting);
            drop(guard);
        })?;
        Ok(Self { queue })
    }

    /// Runs `work` in a transaction and returns what it returned once that is durable.
    pub(super) async fn call<F, T>(&self, operation: &'static str, work: F) -> Result<T, JournalError>
    where
        F: FnOnce(&Connection) -> Result<T, JournalError> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let call = Box::new(Call { work: Some(work), value: None, reply });
        self.queue.send(call).await.map_err(|_| JournalError::Closed { operation })?;
        answer.await.map_err(|_| JournalError::Closed { operation })?
    }
}

fn serve(mut connection: Connection, mut waiting: mpsc::Receiver<Box<dyn Logical>>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next);
        }
        commit(&mut connection, group);
    }
}

/// Runs a group in one physical transaction and answers everybody.
fn commit(connection: &mut Connection, mut group: Vec<Box<dyn Logical>>) {
    let mut outcomes: Vec<Result<(), JournalError>> = Vec::with_capacity(group.len());
    match run(connection, &mut group, &mut outcomes) {
        Ok(()) => {
            for (call, outcome) in group.into_iter().zip(outcomes) {
                call.settle(outcome);
            }
        }
        Err(error) => {
            for (index, call) in group.into_iter().enumerate() {
                let own = outcomes.get(index).and_then(|outcome| outcome.clone().err());
                call.settle(Err(own.unwrap_or_else(|| error.clone())));
            }
        }
    }
}

fn run(
    connection: &mut Connection,
    group: &mut [Box<dyn Logical>],
    outcomes: &mut Vec<Result<(), JournalError>>,
) -> Result<(), JournalError> {
    let mut transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|e| failed("begin transaction", &e))?;
    for call in group {
        let savepoint = transaction.savepoint().map_err(|e| failed("begin transaction", &e))?;
        let outcome = call.run(&savepoint);
        let broken = savepoint.is_autocommit();
        if let Err(error) = &outcome {
            // A full disk may end the whole transaction, not only this part of it.
            if broken {
                let error = error.clone();
                outcomes.push(outcome);
                return Err(error);
            }
        } else {
            savepoint.commit().map_err(|e| failed("commit transaction", &e))?;
        }
        outcomes.push(outcome);
    }
    transaction.commit().map_err(|e| failed("commit transaction", &e))
}

/// Turns SQLite's error into the port's.
pub(super) fn failed(operation: &'static str, error: &rusqlite::Error) -> JournalError {
    let code = error.sqlite_error_code();
    if code == Some(ErrorCode::DiskFull) {
        return JournalError::Full { operation };
    }
    // SQLite reports a full disk as an I/O error where it met it while it wrote its log.
    let detail = error.to_string();
    if code == Some(ErrorCode::SystemIoFailure) && detail.contains("No space left") {
        return JournalError::Full { operation };
    }
    JournalError::Store { operation, detail }
}
