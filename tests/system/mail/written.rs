//! What people write: mails as a mail program makes them.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use harness::mail::Mail;
use uuid::Uuid;

/// A mail that is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// An address, with a name before it or not.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    /// Without angle brackets.
    pub(crate) id: String,
    headers: Vec<(String, String)>,
    files: Vec<(String, String, Vec<u8>)>,
}

impl Written {
    pub(crate) fn new(from: &str, to: &str, subject: &str, text: &str) -> Self {
        let domain = domain_of(from);
        Self {
            from: from.to_owned(),
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: text.to_owned(),
            id: format!("{}@{domain}", Uuid::now_v7().simple()),
            headers: Vec::new(),
            files: Vec::new(),
        }
    }

    /// An answer to a mail, as most programs write it: to where the mail wants answers, the text on top, the mail quoted below.
    pub(crate) fn reply(from: &str, mail: &Mail, text: &str) -> Self {
        let subject = mail.subject();
        let subject = if subject.starts_with("Re: ") { subject } else { format!("Re: {subject}") };
        let quoted: Vec<String> = mail.text().lines().map(|line| format!("> {line}")).collect();
        let text =
            format!("{text}\n\nOn Mon, 23 Nov 2026 at 10:00, Baton <baton@orch.test> wrote:\n{}\n", quoted.join("\n"));
        let answers = mail.header("Message-ID");
        let references = format!("{} {answers}", mail.header("References"));
        Self::new(from, &answer_address(mail), &subject, &text)
            .header("In-Reply-To", &answers)
            .header("References", references.trim())
    }

    /// With a further header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without the headers that name the mail it answers.
    pub(crate) fn out_of_thread(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "In-Reply-To" && name != "References");
        self
    }

    /// With a file.
    pub(crate) fn file(mut self, name: &str, media_type: &str, bytes: &[u8]) -> Self {
        self.files.push((name.to_owned(), media_type.to_owned(), bytes.to_vec()));
        self
    }

    /// The whole mail.
    pub(crate) fn raw(&self) -> Vec<u8> {
        let date = jiff::fmt::rfc2822::to_string(&jiff::Zoned::now()).expect("a date");
        let mut head = format!(
            "From: {}\r\nTo: {}\r\nSubject: {}\r\nDate: {date}\r\nMessage-ID: <{}>\r\nMIME-Version: 1.0\r\n",
            self.from, self.to, self.subject, self.id
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let text = format!(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}",
            self.text.replace('\n', "\r\n")
        );
        if self.files.is_empty() {
            return format!("{head}{text}").into_bytes();
        }
        let mut raw =
            format!("{head}Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n--=_b\r\n{text}").into_bytes();
        for (name, media_type, bytes) in &self.files {
            raw.extend_from_slice(
                format!(
                    "\r\n--=_b\r\nContent-Type: {media_type}; name=\"{name}\"\r\n\
                     Content-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                )
                .as_bytes(),
            );
            for line in BASE64.encode(bytes).as_bytes().chunks(76) {
                raw.extend_from_slice(line);
                raw.extend_from_slice(b"\r\n");
            }
        }
        raw.extend_from_slice(b"\r\n--=_b--\r\n");
        raw
    }

    /// The address of its sender.
    pub(crate) fn sender(&self) -> &str {
        self.from.rsplit_once('<').map_or(&self.from, |(_, address)| address.trim_end_matches('>'))
    }
}

/// What stands behind the @.
pub(crate) fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain.trim_end_matches('>'))
}

/// Where a mail wants answers.
pub(crate) fn answer_address(mail: &Mail) -> String {
    let parsed = mail.parsed();
    let address = parsed.reply_to().and_then(|to| to.first()).and_then(|to| to.address());
    address.unwrap_or_else(|| panic!("no Reply-To: {mail:?}")).to_owned()
}
