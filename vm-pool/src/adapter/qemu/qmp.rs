//! QEMU's control protocol (docs/interop/qmp-spec.rst): one JSON object a line; answers carry the id of their question,
//! events carry none and may come at any time.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

/// Questions on their way. Callers wait for each answer, so more than a few is a mistake.
const QUEUE: usize = 8;
/// An answer may take this long on a loaded host; a process that needs longer is not going to give one.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The longest line taken from QEMU: a ring buffer of 64 KiB in JSON, with room.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// A question was not answered, or answered with an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QmpError {
    /// The process or its socket is gone.
    #[error("QEMU ended before it answered {command}")]
    Gone {
        /// What it was told.
        command: &'static str,
    },
    /// No answer came in time.
    #[error("QEMU did not answer {command} in time")]
    Late {
        /// What it was told.
        command: &'static str,
    },
    /// It said no.
    #[error("QEMU refused {command}: {detail}")]
    Refused {
        /// What it was told.
        command: &'static str,
        /// Its words.
        detail: String,
    },
}

type Answer = oneshot::Sender<Result<Value, QmpError>>;
/// Questions without an answer yet, by id.
type Waiting = HashMap<u64, (&'static str, Answer)>;

struct Question {
    command: &'static str,
    arguments: Value,
    answer: Answer,
}

/// The client. The connection ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Qmp {
    questions: mpsc::Sender<Question>,
    /// Why the guest stopped, once it did.
    ended: watch::Receiver<Option<String>>,
}

impl Qmp {
    /// Reads the greeting and leaves capability negotiation.
    pub(super) async fn connect(socket: UnixStream) -> Result<Self, QmpError> {
        let (questions, asked) = mpsc::channel(QUEUE);
        let (end, ended) = watch::channel(None);
        tokio::spawn(converse(socket, asked, end));
        let client = Self { questions, ended };
        client.execute("qmp_capabilities", Value::Null).await?;
        Ok(client)
    }

    /// Asks and waits for the answer.
    pub(super) async fn execute(&self, command: &'static str, arguments: Value) -> Result<Value, QmpError> {
        let (answer, answered) = oneshot::channel();
        let ask = async {
            let question = Question { command, arguments, answer };
            self.questions.send(question).await.map_err(|_| QmpError::Gone { command })?;
            answered.await.map_err(|_| QmpError::Gone { command })?
        };
        timeout(ANSWER_WITHIN, ask).await.map_err(|_| QmpError::Late { command })?
    }

    /// Waits until QEMU says that the guest ended; says why. Never returns if the socket just closes. Cancel safe.
    pub(super) async fn guest_ended(&self) -> String {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            _ => std::future::pending().await,
        }
    }
}

/// The connection's task: writes questions, hands out answers, keeps the event that ends a guest.
async fn converse(socket: UnixStream, mut asked: mpsc::Receiver<Question>, ended: watch::Sender<Option<String>>) {
    let (read, mut write) = socket.into_split();
    let mut read = BufReader::new(read);
    let mut line = Vec::new();
    let mut waiting = Waiting::new();
    let mut next_id = 0_u64;
    loop {
        tokio::select! {
            question = asked.recv() => {
                let Some(Question { command, arguments, answer }) = question else { return };
                next_id += 1;
                let mut message = json!({ "execute": command, "id": next_id });
                if !arguments.is_null() {
                    message["arguments"] = arguments;
                }
                waiting.insert(next_id, (command, answer));
                if write.write_all(format!("{message}\n").as_bytes()).await.is_err() {
                    return;
                }
            }
            // `read_until` keeps what it has in `line` when it is cancelled.
            got = read.read_until(b'\n', &mut line) => {
                if !matches!(got, Ok(1..)) || line.len() > MAX_LINE_BYTES {
                    return;
                }
                if let Ok(message) = serde_json::from_slice::<Value>(&line) {
                    take(&message, &mut waiting, &ended);
                }
                line.clear();
            }
        }
    }
}

fn take(message: &Value, waiting: &mut Waiting, ended: &watch::Sender<Option<String>>) {
    if let Some(event) = message["event"].as_str() {
        if let Some(reason) = end_of_guest(event, &message["data"]) {
            ended.send_if_modified(|state| {
                let first = state.is_none();
                state.get_or_insert(reason);
                first
            });
        }
        return;
    }
    let Some((command, answer)) = message["id"].as_u64().and_then(|id| waiting.remove(&id)) else { return };
    let result = match message.get("return") {
        Some(value) => Ok(value.clone()),
        None => {
            let detail = message["error"]["desc"].as_str().unwrap_or("no reason given").to_owned();
            Err(QmpError::Refused { command, detail })
        }
    };
    // Whoever asked may have given up.
    let _ = answer.send(result);
}

/// What an event says about the guest's end, if anything.
fn end_of_guest(event: &str, data: &Value) -> Option<String> {
    match event {
        "SHUTDOWN" => Some(match data["reason"].as_str() {
            Some("guest-shutdown") => "the guest powered off".to_owned(),
            Some("guest-reset") => "the guest reset itself".to_owned(),
            Some("guest-panic") => "the guest's kernel panicked".to_owned(),
            Some(other) => format!("the VM shut down ({other})"),
            None => "the VM shut down".to_owned(),
        }),
        "GUEST_PANICKED" => Some("the guest's kernel panicked".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// A QEMU that answers in the way the function says, given the questions so far.
    async fn fake(mut socket: UnixStream, answer: impl Fn(&Value) -> String) {
        socket.write_all(b"{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n").await.unwrap();
        let mut buffer = Vec::new();
        let mut byte = [0u8];
        while socket.read_exact(&mut byte).await.is_ok() {
            if byte[0] != b'\n' {
                buffer.push(byte[0]);
                continue;
            }
            let question: Value = serde_json::from_slice(&buffer).unwrap();
            buffer.clear();
            socket.write_all(answer(&question).as_bytes()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn answers_find_their_questions_past_events() {
        let (near, far) = UnixStream::pair().unwrap();
        tokio::spawn(fake(far, |question| {
            let id = &question["id"];
            format!(
                "{{\"event\": \"STOP\", \"timestamp\": {{}}}}\r\n{{\"return\": {{}}, \"id\": 99}}\n{{\"return\": {{\"was\": {}}}, \"id\": {id}}}\n",
                question["execute"]
            )
        }));
        let qmp = Qmp::connect(near).await.unwrap();
        let (stop, status) = tokio::join!(qmp.execute("stop", Value::Null), qmp.execute("query-status", Value::Null));
        assert_eq!(stop.unwrap()["was"], "stop");
        assert_eq!(status.unwrap()["was"], "query-status");
    }

    #[tokio::test]
    async fn a_refusal_keeps_qemus_words() {
        let (near, far) = UnixStream::pair().unwrap();
        tokio::spawn(fake(far, |question| match question["execute"].as_str() {
            Some("qmp_capabilities") => format!("{{\"return\": {{}}, \"id\": {}}}\n", question["id"]),
            _ => format!(
                "{{\"error\": {{\"class\": \"GenericError\", \"desc\": \"no such\"}}, \"id\": {}}}\n",
                question["id"]
            ),
        }));
        let qmp = Qmp::connect(near).await.unwrap();
        let error = qmp.execute("cont", Value::Null).await.unwrap_err();
        assert_eq!(error, QmpError::Refused { command: "cont", detail: "no such".into() });
    }

    #[tokio::test]
    async fn a_process_that_ends_is_told() {
        let (near, far) = UnixStream::pair().unwrap();
        drop(far);
        assert!(matches!(Qmp::connect(near).await, Err(QmpError::Gone { .. })));
    }

    #[tokio::test]
    async fn the_first_reason_of_an_end_stays() {
        let (near, far) = UnixStream::pair().unwrap();
        tokio::spawn(fake(far, |question| {
            format!(
                "{{\"event\": \"SHUTDOWN\", \"data\": {{\"guest\": true, \"reason\": \"guest-panic\"}}}}\n\
                 {{\"event\": \"SHUTDOWN\", \"data\": {{\"reason\": \"host-qmp-quit\"}}}}\n{{\"return\": {{}}, \"id\": {}}}\n",
                question["id"]
            )
        }));
        let qmp = Qmp::connect(near).await.unwrap();
        assert_eq!(qmp.guest_ended().await, "the guest's kernel panicked");
    }
}
