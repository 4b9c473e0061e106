//! One running VM.

use serde_json::{Value, json};
use tokio::process::Child;

use super::{
    command::{CONSOLE, CONSOLE_BYTES},
    folder::RunFolder,
    qmp::{Qmp, QmpError},
};
use crate::port::{StartError, Vm};

/// How much of the console's end goes into an error, in characters.
const TAIL_CHARS: usize = 1500;

/// A VM in a QEMU process. Dropping it kills the process and removes its folder.
#[derive(Debug)]
pub struct QemuVm {
    // In this order: the process goes before its folder does.
    child: Child,
    qmp: Qmp,
    folder: RunFolder,
}

impl QemuVm {
    pub(super) fn new(child: Child, qmp: Qmp, folder: RunFolder) -> Self {
        Self { child, qmp, folder }
    }

    /// The process id of QEMU, while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The end of what the guest's kernel and PID 1 printed; empty if there is nothing or nobody to ask.
    pub async fn console_tail(&self) -> String {
        let asked = self.qmp.execute("ringbuf-read", json!({ "device": CONSOLE, "size": CONSOLE_BYTES })).await;
        let printed = asked.ok().and_then(|answer| answer.as_str().map(tail)).unwrap_or_default();
        if printed.is_empty() { log_tail(&self.folder) } else { printed }
    }

    async fn steer(&self, operation: &'static str, command: &'static str) -> Result<(), StartError> {
        self.qmp.execute(command, Value::Null).await.map(drop).map_err(|error| steer_error(operation, &error))
    }
}

fn steer_error(operation: &'static str, error: &QmpError) -> StartError {
    StartError { operation, detail: error.to_string(), exhausted: false }
}

/// What QEMU itself said on standard error.
pub(super) fn log_tail(folder: &RunFolder) -> String {
    std::fs::read(folder.log()).map(|said| tail(&String::from_utf8_lossy(&said))).unwrap_or_default()
}

/// The last characters, without control characters other than line ends: the guest wrote them.
fn tail(text: &str) -> String {
    let clean: String = text.trim().chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    let clean = clean.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    let skip = clean.chars().count().saturating_sub(TAIL_CHARS);
    clean.chars().skip(skip).collect()
}

impl Vm for QemuVm {
    async fn pause(&mut self) -> Result<(), StartError> {
        self.steer("pause a VM", "stop").await
    }

    async fn resume(&mut self) -> Result<(), StartError> {
        self.steer("resume a VM", "cont").await
    }

    async fn exited(&mut self) -> String {
        let reason = tokio::select! {
            reason = self.qmp.guest_ended() => reason,
            status = self.child.wait() => match status {
                Ok(status) => format!("QEMU ended ({status})"),
                Err(error) => format!("QEMU could not be waited for: {error}"),
            },
        };
        let printed = self.console_tail().await;
        if printed.is_empty() { reason } else { format!("{reason}; the last it printed:\n{printed}") }
    }

    async fn kill(mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(vm = %self.folder.name(), %error, "a VM could not be killed");
        }
        // The folder may hold gigabytes of scratch disk.
        let folder = self.folder;
        let _ = tokio::task::spawn_blocking(move || drop(folder)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_short_and_prints_on_any_terminal() {
        assert_eq!(tail("\u{1b}[31mred\r\n\n\nend\0\n"), "[31mred\nend");
        assert_eq!(tail(&"é".repeat(5000)).chars().count(), TAIL_CHARS);
    }
}
