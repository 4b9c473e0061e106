//! Output of attempts, read back from its stream: what is there, then what comes.

use async_nats::jetstream::{
    consumer::{DeliverPolicy, pull::OrderedConfig},
    stream::{LastRawMessageErrorKind, Stream as JetStream},
};
use bus_schemas::{
    id::{ProjectId, TaskId},
    nats::{self, Bus},
    stream::LOGS,
    subject,
    v1::task::LogChunk,
};
use futures::{Stream, StreamExt, future::Future};

/// Until when a reader of output goes on.
pub trait LogEnd: Send + 'static {
    /// Waits until nothing more will be written.
    fn ended(&mut self) -> impl Future<Output = ()> + Send;
}

/// Output of a project's attempts, or of one task's.
#[derive(Clone, Debug)]
pub struct Logs {
    bus: Bus,
    filter: String,
}

impl Logs {
    /// The output of a project, or of one of its tasks.
    #[must_use]
    pub fn new(bus: Bus, project_id: ProjectId, task_id: Option<TaskId>) -> Self {
        let filter =
            task_id.map_or_else(|| subject::logs_of(project_id), |task| subject::logs_of_task(project_id, task));
        Self { bus, filter }
    }

    /// What is there now, oldest first; with `end`, what comes until then, too.
    ///
    /// # Errors
    /// A sentence, if the stream cannot be read. Later failures end the output and are logged.
    pub async fn read<E: LogEnd>(
        self,
        end: Option<E>,
    ) -> Result<impl Stream<Item = LogChunk> + Send + 'static, String> {
        let stream = self.bus.jetstream().get_stream_no_info(LOGS.name).await.map_err(|e| e.to_string())?;
        let last = match end {
            None => Some(last(&stream, &self.filter).await?),
            Some(_) => None,
        };
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::All,
            filter_subject: self.filter.clone(),
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.map_err(|e| e.to_string())?;
        let messages = consumer.messages().await.map_err(|e| e.to_string())?;
        let reader = Reader { stream, filter: self.filter, messages: messages.boxed(), end, last, seq: 0 };
        Ok(futures::stream::unfold(reader, |mut reader| async move {
            let chunk = reader.next().await?;
            Some((chunk, reader))
        }))
    }
}

type Messages = futures::stream::BoxStream<
    'static,
    Result<async_nats::jetstream::Message, async_nats::jetstream::consumer::pull::OrderedError>,
>;

struct Reader<E> {
    stream: JetStream<()>,
    filter: String,
    messages: Messages,
    end: Option<E>,
    /// The sequence to stop at, once it is known.
    last: Option<u64>,
    seq: u64,
}

impl<E: LogEnd> Reader<E> {
    async fn next(&mut self) -> Option<LogChunk> {
        loop {
            if self.last.is_some_and(|last| self.seq >= last) {
                return None;
            }
            let ended = async {
                match (&mut self.end, self.last) {
                    (Some(end), None) => end.ended().await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                message = self.messages.next() => match message? {
                    Ok(message) => {
                        self.seq = message.info().ok()?.stream_sequence;
                        match nats::decode::<LogChunk>(&message.payload) {
                            Ok(envelope) => return Some(envelope.body),
                            Err(error) => tracing::warn!(msg.subject = %message.subject, %error, "output not read"),
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "stream of output not read");
                        return None;
                    }
                },
                () = ended => self.last = last(&self.stream, &self.filter).await.ok(),
            }
        }
    }
}

/// The sequence of the last message that matches; 0 if there is none.
async fn last(stream: &JetStream<()>, filter: &str) -> Result<u64, String> {
    match stream.get_last_raw_message_by_subject(filter).await {
        Ok(message) => Ok(message.sequence),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
        Err(error) => Err(error.to_string()),
    }
}
