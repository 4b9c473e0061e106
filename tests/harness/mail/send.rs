//! Senders of mail: a small client that says exactly what it is told, and `swaks`, which is nobody's code of ours.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

/// How long an answer of a mail server may take. Only a broken test waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a mail server is told about a mail besides its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who gets bounces; empty: nobody (a bounce itself).
    pub from: String,
    /// Who gets the mail.
    pub to: Vec<String>,
    /// What the sending machine says its name is.
    pub helo: String,
    /// The sending machine's address, one of 127.0.0.0/8.
    pub client: Ipv4Addr,
}

impl Envelope {
    /// From one to another, from `127.0.0.1`, which says it is `client.test`.
    #[must_use]
    pub fn new(from: &str, to: &str) -> Self {
        Self {
            from: from.to_owned(),
            to: vec![to.to_owned()],
            helo: "client.test".to_owned(),
            client: Ipv4Addr::LOCALHOST,
        }
    }

    /// From a machine with this name and address.
    #[must_use]
    pub fn by(mut self, helo: &str, client: &str) -> Self {
        self.helo = helo.to_owned();
        self.client = client.parse().expect("an IPv4 address");
        self
    }
}

/// What a mail server answered: its code and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Such as 250, 450 or 550.
    pub code: u16,
    /// All lines of it.
    pub text: String,
}

/// A connection to the port that takes the world's mail.
#[derive(Debug)]
pub struct Sender {
    stream: BufReader<TcpStream>,
}

impl Sender {
    /// Connects and says hello.
    ///
    /// # Panics
    /// If nobody answers.
    #[must_use]
    pub fn connect(port: u16, helo: &str, client: Ipv4Addr) -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&socket, &SocketAddrV4::new(client, 0)).expect("the client's address");
        connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).expect("connect to the mail server");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut sender = Self { stream: BufReader::new(stream) };
        let greeting = sender.answer();
        assert_eq!(greeting.code, 220, "{}", greeting.text);
        let hello = sender.say(&format!("EHLO {helo}"));
        assert_eq!(hello.code, 250, "{}", hello.text);
        sender
    }

    /// Sends one mail; its lines may end in any way. The answer is the first that is no success, or the last.
    pub fn send(&mut self, envelope: &Envelope, mail: &[u8]) -> Answer {
        let mut steps = vec![format!("MAIL FROM:<{}> BODY=8BITMIME", envelope.from)];
        steps.extend(envelope.to.iter().map(|to| format!("RCPT TO:<{to}>")));
        steps.push("DATA".to_owned());
        for step in steps {
            let answer = self.say(&step);
            if answer.code >= 400 {
                self.say("RSET");
                return answer;
            }
        }
        self.stream.get_mut().write_all(&data(mail)).expect("send the mail");
        self.answer()
    }

    fn say(&mut self, line: &str) -> Answer {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).expect("speak to the mail server");
        self.answer()
    }

    fn answer(&mut self) -> Answer {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            let read = self.stream.read_line(&mut line).expect("an answer of the mail server");
            assert!(read > 0, "the mail server hung up after {text:?}");
            let is_last = line.as_bytes().get(3) != Some(&b'-');
            text.push_str(&line);
            if is_last {
                let code = line.get(..3).and_then(|code| code.parse().ok()).unwrap_or_default();
                return Answer { code, text };
            }
        }
    }
}

/// A mail as it goes over the wire: every line ends with CRLF, a dot at its start is doubled, a lone dot ends it.
fn data(mail: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(mail.len() + mail.len() / 20 + 8);
    for line in mail.strip_suffix(b"\n").unwrap_or(mail).split(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            wire.push(b'.');
        }
        wire.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

/// Sends one mail with `swaks`. Gives what it said; an error is what it said when the mail was not taken.
pub(super) fn swaks(port: u16, envelope: &Envelope, mail: &[u8]) -> Result<String, String> {
    let mut command = Command::new("swaks");
    // swaks takes an empty sender by this name.
    let from = if envelope.from.is_empty() { "<>" } else { &envelope.from };
    command
        .args(["--server", "127.0.0.1", "--port", &port.to_string()])
        .args(["--from", from, "--to", &envelope.to.join(",")])
        .args(["--helo", &envelope.helo, "--local-interface", &envelope.client.to_string()])
        .args(["--no-data-fixup", "--data", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("start swaks: run `cargo xtask setup`");
    let mut input = child.stdin.take().expect("its input");
    let bytes = data(mail);
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().expect("swaks ends");
    let _ = writer.join();
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    let _ = write!(said, "{}", String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_are_ended_and_dots_doubled() {
        assert_eq!(super::data(b"a\n.b\r\n\n..\n"), b"a\r\n..b\r\n\r\n...\r\n.\r\n");
        assert_eq!(super::data(b"no end"), b"no end\r\n.\r\n");
    }
}
