//! Mail servers that stop, die, hang and come back.

use std::fs;

use super::{MailServer, held, mailbox};

impl MailServer {
    /// Stops Postfix; what it has taken stays in its queue.
    pub fn stop_postfix(&self) {
        held(&self.postfix).stop();
    }

    /// Kills Postfix as a power cut would.
    pub fn kill_postfix(&self) {
        held(&self.postfix).kill();
    }

    /// Starts Postfix again, on the same ports and queue.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_postfix(&self) {
        self.try_start_postfix().expect("Postfix starts again");
    }

    /// Stops Dovecot: its clients are cut off, and mail waits in Postfix's queue.
    pub fn stop_dovecot(&self) {
        held(&self.dovecot).stop();
    }

    /// Kills Dovecot as a power cut would.
    pub fn kill_dovecot(&self) {
        held(&self.dovecot).kill();
    }

    /// Starts Dovecot again, on the same ports and mailboxes.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_dovecot(&self) {
        self.try_start_dovecot().expect("Dovecot starts again");
    }

    /// Stops and starts both.
    pub fn restart(&self) {
        self.stop_postfix();
        self.stop_dovecot();
        self.start_dovecot();
        self.start_postfix();
    }

    /// Connections to Dovecot stay open and nobody answers, until it is thawed.
    pub fn freeze_dovecot(&self, is_frozen: bool) {
        held(&self.dovecot).freeze(is_frozen);
    }

    /// Connections to Postfix stay open and nobody answers, until it is thawed.
    pub fn freeze_postfix(&self, is_frozen: bool) {
        held(&self.postfix).freeze(is_frozen);
    }

    /// Every mail has another UID from now on, as after a restored backup: the mailbox has a new UIDVALIDITY. Clients are
    /// cut off.
    ///
    /// # Panics
    /// If Dovecot does not come back.
    pub fn renumber(&self, address: &str) {
        let ran = held(&self.dovecot).runs();
        self.stop_dovecot();
        let maildir = mailbox::place(&self.home(address), "INBOX");
        for entry in fs::read_dir(maildir).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("dovecot") {
                let _ = fs::remove_file(entry.path());
            }
        }
        if ran {
            self.start_dovecot();
        }
    }
}
