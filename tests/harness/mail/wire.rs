//! A wire between a mail program and a server, without TLS, that can be cut at the worst moment: when the server has a mail and
//! its answer is on its way.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// What becomes of the server's word that it has a mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastWord {
    /// It arrives.
    #[default]
    Arrives,
    /// The connection ends instead.
    IsCut,
    /// Nothing arrives, and the connection stays as it is until the program goes.
    IsSwallowed,
}

#[derive(Debug, Default)]
struct State {
    last_word: LastWord,
    /// The Message-IDs of the mails the server took, in order, without angle brackets.
    taken: Vec<String>,
}

/// The wire. Dropping it ends it.
#[derive(Debug)]
pub struct Wire {
    port: u16,
    shared: Arc<Mutex<State>>,
}

impl Wire {
    /// A wire to a port of this machine.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::<Mutex<State>>::default();
        let weak = Arc::downgrade(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(program), Some(shared)) = (stream, weak.upgrade()) else { return };
                thread::spawn(move || drop(converse(program, server, &shared)));
            }
        });
        Self { port, shared }
    }

    /// Where the program is to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// From now on, this becomes of the server's last word about each mail.
    pub fn last_word(&self, becomes: LastWord) {
        held(&self.shared).last_word = becomes;
    }

    /// The Message-IDs of the mails the server said it has, in their order, whether the program heard so or not.
    #[must_use]
    pub fn taken(&self) -> Vec<String> {
        held(&self.shared).taken.clone()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The listener wakes up, and finds nobody.
        let (port, shared) = (self.port, std::mem::take(&mut self.shared));
        drop(shared);
        drop(TcpStream::connect(("127.0.0.1", port)));
    }
}

fn held(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One conversation, a question and its answer after the other.
fn converse(program: TcpStream, server: u16, shared: &Mutex<State>) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server))?;
    let mut from_server = BufReader::new(server.try_clone()?);
    let mut from_program = BufReader::new(program.try_clone()?);
    let (mut program, mut server) = (program, server);
    program.write_all(&answer(&mut from_server)?)?;
    loop {
        let mut line = Vec::new();
        if from_program.read_until(b'\n', &mut line)? == 0 {
            return server.shutdown(Shutdown::Both);
        }
        server.write_all(&line)?;
        let said = answer(&mut from_server)?;
        program.write_all(&said)?;
        if !line.to_ascii_uppercase().starts_with(b"DATA") || !said.starts_with(b"354") {
            continue;
        }
        let mail = mail(&mut from_program)?;
        server.write_all(&mail)?;
        let said = answer(&mut from_server)?;
        let last_word = {
            let mut state = held(shared);
            if said.starts_with(b"250") {
                state.taken.push(message_id(&mail));
            }
            state.last_word
        };
        match last_word {
            LastWord::Arrives => program.write_all(&said)?,
            LastWord::IsCut => return program.shutdown(Shutdown::Both),
            LastWord::IsSwallowed => {
                from_program.read_to_end(&mut Vec::new())?;
                return Ok(());
            }
        }
    }
}

/// A whole answer, of however many lines.
fn answer(from: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut said = Vec::new();
    loop {
        let start = said.len();
        if from.read_until(b'\n', &mut said)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if said.get(start + 3) != Some(&b'-') {
            return Ok(said);
        }
    }
}

/// A mail with the dot that ends it.
fn mail(from: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut mail = Vec::new();
    loop {
        let start = mail.len();
        if from.read_until(b'\n', &mut mail)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if mail.get(start..) == Some(b".\r\n") {
            return Ok(mail);
        }
    }
}

fn message_id(mail: &[u8]) -> String {
    let text = String::from_utf8_lossy(mail);
    let line = text.lines().find(|line| line.to_lowercase().starts_with("message-id:")).unwrap_or_default();
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}
