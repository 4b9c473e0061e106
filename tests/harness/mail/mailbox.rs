//! What lies in a mailbox, read from where Dovecot keeps it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use mail_parser::{Message, MessageParser};

/// A mail as it was delivered.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// All of it, with what the servers put on top.
    pub raw: Vec<u8>,
}

impl Mail {
    /// The parsed mail.
    ///
    /// # Panics
    /// If it is no mail.
    #[must_use]
    pub fn parsed(&self) -> Message<'_> {
        MessageParser::default().parse(&self.raw).expect("a mail")
    }

    /// The text of the first header by this name, unfolded and not decoded; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        self.headers(name).into_iter().next().unwrap_or_default()
    }

    /// The texts of all headers by this name, from the top.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<String> {
        let parsed = self.parsed();
        let named = parsed.headers_raw().filter(|(held, _)| held.eq_ignore_ascii_case(name));
        named.map(|(_, text)| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// The decoded subject.
    #[must_use]
    pub fn subject(&self) -> String {
        self.parsed().subject().unwrap_or_default().to_owned()
    }

    /// The first text to read, as plain text.
    #[must_use]
    pub fn text(&self) -> String {
        self.parsed().body_text(0).unwrap_or_default().into_owned()
    }

    /// The first HTML to look at (plain text made into it, if there is no other).
    #[must_use]
    pub fn html(&self) -> String {
        self.parsed().body_html(0).unwrap_or_default().into_owned()
    }
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.raw))
    }
}

/// The folder on disk of a mailbox's folder.
pub(super) fn place(home: &Path, folder: &str) -> PathBuf {
    let maildir = home.join("Maildir");
    if folder == "INBOX" { maildir } else { maildir.join(format!(".{}", folder.replace('/', "."))) }
}

/// All mails of a folder, the oldest first.
pub(super) fn read(place: &Path) -> Vec<Mail> {
    let mut files: Vec<((u64, u64, String), PathBuf)> = ["new", "cur"]
        .into_iter()
        .flat_map(|part| fs::read_dir(place.join(part)).into_iter().flatten().flatten())
        .filter_map(|entry| {
            // "<seconds>.M<microseconds>P<process>…": the name of a delivery.
            let name = entry.file_name().to_str()?.to_owned();
            let (seconds, rest) = name.split_once('.')?;
            let digits: String = rest.trim_start_matches('M').chars().take_while(char::is_ascii_digit).collect();
            let order = (seconds.parse().ok()?, digits.parse().unwrap_or_default(), rest.to_owned());
            Some((order, entry.path()))
        })
        .collect();
    files.sort();
    // A file that a client marks as read in this moment has another name in the next: who waits looks again.
    files.into_iter().filter_map(|(_, file)| Some(Mail { raw: fs::read(file).ok()? })).collect()
}
