//! One mail, fetched: at once; in pieces, where that broke; and where no piece comes either, what can be said about it.

use std::fmt::Write as _;

use async_imap::types::Fetch;
use bytes::Bytes;

use super::{
    connect::{ImapError, within},
    mailbox::{Inbox, Mailbox},
};

/// A mail that was not read because it is too large: only its header is kept, below this field with its size.
pub const TOO_LARGE: &str = "X-Baton-Too-Large";
/// A mail the server did not hand out: this field stands for it, with what is known of it.
pub const UNFETCHED: &str = "X-Baton-Unfetched";
/// How often a mail the server does not hand out is asked for before it is left where it is.
const TRIES: u32 = 5;
/// The longest that is kept of a value of an envelope, in characters.
const SHOWN_CHARS: usize = 400;

/// The mail that did not come the last time.
#[derive(Debug)]
pub(super) struct Stuck {
    validity: u32,
    uid: u32,
    /// How often it was asked for in vain: the server answered without it, or a connection that had answered everything before
    /// broke without one more piece of it. The first break is none: networks break, too.
    tries: u32,
    so_far: Vec<u8>,
    /// What happened the last time.
    why: String,
    /// Its envelope was asked for, and that broke, too.
    has_no_envelope: bool,
}

/// What came of a mail.
pub(super) enum Fetched {
    /// It is here.
    Whole(Bytes),
    /// It is not, and will not be: this is kept in its place, and it stays unread.
    Stub(Bytes),
    /// There is no such mail any more.
    Gone,
}

impl<D: Inbox> Mailbox<'_, D> {
    pub(super) async fn fetch(
        &mut self,
        uid: u32,
        size: Option<u32>,
        stuck: &mut Option<Stuck>,
    ) -> Result<Fetched, ImapError> {
        let validity = self.validity;
        let before = stuck.take().filter(|known| (known.validity, known.uid) == (validity, uid));
        let is_first = before.is_none();
        let mut known = before.unwrap_or_else(|| Stuck {
            validity,
            uid,
            tries: 0,
            so_far: Vec::new(),
            why: String::new(),
            has_no_envelope: false,
        });
        let large = size.filter(|size| u64::from(*size) > self.settings.max_bytes);
        let had = known.so_far.len();
        let answer = if known.tries > TRIES {
            self.stub(size, &mut known).await.map(Fetched::Stub)
        } else if let Some(size) = large {
            self.header(uid, size).await
        } else if is_first {
            self.whole(uid).await
        } else {
            self.pieces(size, &mut known).await
        };
        let error = match answer {
            Ok(Fetched::Gone) if self.is_there(uid).await? => {
                known.tries += 1;
                ImapError::Lost(format!("the server does not hand mail {uid} out"))
            }
            Ok(fetched) => return Ok(fetched),
            Err(error) => {
                // What goes on, however slowly, is the network's trouble and not the mail's.
                known.tries = match known.so_far.len() > had {
                    true => 0,
                    false => known.tries + u32::from(!is_first),
                };
                error
            }
        };
        if known.tries <= TRIES {
            known.why = error.to_string();
        }
        *stuck = Some(known);
        Err(error)
    }

    /// Whether the folder still has it, by the word of a server that answers.
    async fn is_there(&mut self, uid: u32) -> Result<bool, ImapError> {
        let limit = self.settings.timing.command;
        let found = within("UID SEARCH", limit, self.session.uid_search(format!("UID {uid}"))).await?;
        within("NOOP", limit, self.session.noop()).await?;
        Ok(found.contains(&uid))
    }

    async fn header(&mut self, uid: u32, size: u32) -> Result<Fetched, ImapError> {
        let found = self.ask("UID FETCH", &uid.to_string(), "(UID BODY.PEEK[HEADER])").await?;
        let Some(head) = found.iter().filter(|one| one.uid == Some(uid)).find_map(Fetch::header) else {
            return Ok(Fetched::Gone);
        };
        tracing::warn!(uid, size, "mail: a mail is too large: only its header is kept");
        Ok(Fetched::Whole(Bytes::from([format!("{TOO_LARGE}: {size}\r\n").as_bytes(), head].concat())))
    }

    async fn whole(&mut self, uid: u32) -> Result<Fetched, ImapError> {
        let found = self.ask("UID FETCH", &uid.to_string(), "(UID BODY.PEEK[])").await?;
        let body = found.iter().filter(|one| one.uid == Some(uid)).find_map(Fetch::body);
        Ok(body.map_or(Fetched::Gone, |body| Fetched::Whole(Bytes::copy_from_slice(body))))
    }

    /// What is missing of a mail, piece by piece: what came before a break need not come again.
    ///
    /// It is whole when it is as long as the server said. Where that is not so (servers err about it), it ends with a piece
    /// behind which nothing comes.
    async fn pieces(&mut self, size: Option<u32>, known: &mut Stuck) -> Result<Fetched, ImapError> {
        let piece = self.settings.piece;
        let said = size.map(u64::from);
        let mut was_uneven = false;
        loop {
            let had = known.so_far.len() as u64;
            // A mail that has grown beyond what was said of it would have no end.
            if had > 0 && (said == Some(had) || had > self.settings.max_bytes) {
                return Ok(Fetched::Whole(Bytes::from(std::mem::take(&mut known.so_far))));
            }
            let items = format!("(UID BODY.PEEK[]<{}.{piece}>)", known.so_far.len());
            let found = self.ask("UID FETCH", &known.uid.to_string(), &items).await?;
            let came = found.iter().filter(|one| one.uid == Some(known.uid)).find_map(Fetch::body);
            // Behind a piece that was not full, no answer is one, too: there is nothing more.
            let Some(came) = came.or_else(|| was_uneven.then_some(&b""[..])) else { return Ok(Fetched::Gone) };
            known.so_far.extend_from_slice(came);
            let now = known.so_far.len() as u64;
            was_uneven = came.len() != piece;
            if came.is_empty() || (was_uneven && said.is_none_or(|said| now >= said)) {
                if said.is_some_and(|said| said != now) {
                    tracing::warn!(uid = known.uid, size, came = now, "mail: a mail is not as long as the server said");
                }
                return Ok(Fetched::Whole(Bytes::from(std::mem::take(&mut known.so_far))));
            }
        }
    }

    /// What is kept in place of a mail that the server does not hand out.
    async fn stub(&mut self, size: Option<u32>, known: &mut Stuck) -> Result<Bytes, ImapError> {
        let uid = known.uid;
        let size = size.map_or_else(|| "unknown size".to_owned(), |size| format!("{size} bytes"));
        let why = plain(known.why.as_bytes());
        let mut stub =
            format!("{UNFETCHED}: UID {uid} of {}, validity {}, {size}: {why}\r\n", self.name, known.validity);
        if !known.has_no_envelope {
            // Should this break, too, it is left out the next time.
            known.has_no_envelope = true;
            let found = self.ask("UID FETCH", &uid.to_string(), "(UID ENVELOPE)").await;
            match found {
                Ok(found) => envelope(found.iter().find(|one| one.uid == Some(uid)), &mut stub),
                Err(ImapError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        tracing::warn!(uid, %why, "mail: the server does not hand this mail out; it is left in the mailbox unread, and put aside");
        stub.push_str("\r\n");
        Ok(Bytes::from(stub))
    }
}

/// The lines of a header that an envelope tells of.
fn envelope(found: Option<&Fetch>, out: &mut String) {
    let Some(envelope) = found.and_then(Fetch::envelope) else { return };
    let address = |list: &Option<Vec<async_imap::imap_proto::Address<'_>>>| {
        let one = list.as_ref()?.first()?;
        Some(format!("{}@{}", plain(one.mailbox.as_ref()?), plain(one.host.as_ref()?)))
    };
    let text = |value: &Option<std::borrow::Cow<'_, [u8]>>| value.as_deref().map(plain);
    let lines = [
        ("From", address(&envelope.from)),
        ("To", address(&envelope.to)),
        ("Subject", text(&envelope.subject)),
        ("Date", text(&envelope.date)),
        ("Message-ID", text(&envelope.message_id)),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            let _ = write!(out, "{name}: {value}\r\n");
        }
    }
}

/// On one line, as far as that can be read.
fn plain(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect()
}
