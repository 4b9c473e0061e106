//! The guest's log is the kernel's: the host keeps the tail of the console and quotes it when a VM fails.

use std::{fs::OpenOptions, io::Write as _, process::Stdio};

const KMSG: &str = "/dev/kmsg";

/// One line to the console, as an error. Best effort: there is nowhere to complain.
pub(super) fn error(text: &str) {
    if let Ok(mut kmsg) = OpenOptions::new().write(true).open(KMSG) {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(900).collect();
        // One write is one record; a partial write cannot happen.
        let _ = kmsg.write_all(format!("<3>baton: {line}").as_bytes());
    }
}

/// An output of a child process that ends up in the same log.
pub(super) fn stdio() -> Stdio {
    OpenOptions::new().write(true).open(KMSG).map_or_else(|_| Stdio::null(), Stdio::from)
}
