//! One session's work: what is new, fetched, kept, and marked as seen.

use std::{collections::HashMap, future::Future};

use async_imap::{Session, error::Error, types::Fetch};
use bus_schemas::time::UnixMs;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};

use super::{
    connect::{ImapError, Wire, failed, within},
    fetch::{Fetched, Stuck},
    settings::ImapSettings,
};
use crate::{
    adapter::mail::{Desk, Kept, Position},
    mail::letter::{Delivery, Source},
};

/// So many mails, or bytes, are kept in one step.
const TOGETHER: (usize, usize) = (25, 8 * 1024 * 1024);
/// In a mailbox that is new to us, mails older than this are left alone: nobody would believe them any more.
const FRESH_MS: i64 = 9 * 24 * 3_600_000;

/// What a mailbox is read into.
pub trait Inbox: Send + Sync {
    /// How far a mailbox was read.
    fn position(&self, mailbox: &str) -> impl Future<Output = Kept<Option<Position>>> + Send;
    /// Keeps mails of a mailbox, and how far it is read now, in one step.
    fn keep_all(
        &self,
        mailbox: &str,
        mails: Vec<(Bytes, Delivery)>,
        position: Position,
        at: UnixMs,
    ) -> impl Future<Output = Kept<()>> + Send;
}

impl<D: Desk> Inbox for D {
    async fn position(&self, mailbox: &str) -> Kept<Option<Position>> {
        Desk::position(self, mailbox).await
    }

    async fn keep_all(&self, mailbox: &str, mails: Vec<(Bytes, Delivery)>, position: Position, at: UnixMs) -> Kept<()> {
        Desk::keep_all(self, mailbox, mails, position, at).await.map(drop)
    }
}

/// A mail to be kept.
struct Came {
    raw: Bytes,
    /// Its UID, if the server is to hear that it was read.
    read: Option<u32>,
}

/// A mailbox that is open.
pub(super) struct Mailbox<'a, D> {
    pub(super) session: Session<Wire>,
    pub(super) settings: &'a ImapSettings,
    pub(super) desk: &'a D,
    pub(super) name: String,
    pub(super) validity: u32,
    /// The last UID that was kept; `None` if nothing was read of this mailbox.
    pub(super) last: Option<u32>,
}

impl<'a, D: Inbox> Mailbox<'a, D> {
    /// Opens the folder, and looks up how far it was read.
    pub(super) async fn open(
        mut session: Session<Wire>,
        settings: &'a ImapSettings,
        desk: &'a D,
    ) -> Result<Self, ImapError> {
        let limit = settings.timing.command;
        let selected =
            within("SELECT", limit, session.select(&settings.folder)).await.map_err(|error| match error {
                ImapError::Refused(why) => {
                    ImapError::Refused(format!("{why}. Look at mail.folder ({:?})", settings.folder))
                }
                other => other,
            })?;
        let validity = selected.uid_validity.ok_or_else(|| {
            ImapError::Refused(format!("the folder {:?} has no UIDVALIDITY: it cannot be followed", settings.folder))
        })?;
        let name = settings.mailbox();
        let known = desk.position(&name).await.map_err(|error| ImapError::Store(error.to_string()))?;
        // A new UIDVALIDITY: the numbers mean other mails now. What is known is known by its digest.
        let last = known.filter(|known| known.validity == validity).map(|known| known.uid);
        Ok(Self { session, settings, desk, name, validity, last })
    }

    /// Keeps everything that is new. How many mails that were.
    pub(super) async fn take(
        &mut self,
        now: impl Fn() -> UnixMs,
        stuck: &mut Option<Stuck>,
        kept: impl Fn(),
    ) -> Result<usize, ImapError> {
        let mut count = 0;
        let wanted = self.wanted(now()).await?;
        for group in wanted.chunks(TOGETHER.0) {
            let sizes = self.sizes(group).await?;
            let mut mails: Vec<Came> = Vec::new();
            let mut last = self.last.unwrap_or_default();
            for uid in group {
                match self.fetch(*uid, sizes.get(uid).copied(), stuck).await {
                    Ok(Fetched::Whole(raw)) => mails.push(Came { raw, read: Some(*uid) }),
                    Ok(Fetched::Stub(raw)) => mails.push(Came { raw, read: None }),
                    Ok(Fetched::Gone) => {}
                    Err(error) => {
                        // What came before it need not come again.
                        if !mails.is_empty() {
                            self.keep_only(mails, last, now(), &kept).await?;
                        }
                        return Err(error);
                    }
                }
                last = *uid;
                if mails.iter().map(|came| came.raw.len()).sum::<usize>() >= TOGETHER.1 {
                    count += mails.len();
                    self.keep(std::mem::take(&mut mails), last, now(), &kept).await?;
                }
            }
            count += mails.len();
            self.keep(mails, last, now(), &kept).await?;
        }
        if wanted.is_empty() && self.last.is_none() {
            // An empty mailbox was read, too: from here on everything is new.
            self.keep(Vec::new(), 0, now(), &kept).await?;
        }
        Ok(count)
    }

    /// The UIDs above the last one that was kept, the lowest first.
    async fn wanted(&mut self, now: UnixMs) -> Result<Vec<u32>, ImapError> {
        let query = match self.last {
            Some(u32::MAX) => return Ok(Vec::new()),
            Some(last) => format!("UID {}:*", last + 1),
            None => format!("SINCE {}", day(now.0 - FRESH_MS)),
        };
        let found = within("UID SEARCH", self.settings.timing.command, self.session.uid_search(&query)).await?;
        let above = self.last.unwrap_or_default();
        // `*` is the highest one, even if that is below: it may be an old one.
        let mut found: Vec<u32> = found.into_iter().filter(|uid| *uid > above).collect();
        found.sort_unstable();
        Ok(found)
    }

    async fn sizes(&mut self, uids: &[u32]) -> Result<HashMap<u32, u32>, ImapError> {
        let set: Vec<String> = uids.iter().map(u32::to_string).collect();
        let found = self.ask("UID FETCH (RFC822.SIZE)", &set.join(","), "(UID RFC822.SIZE)").await?;
        Ok(found.iter().filter_map(|one| Some((one.uid?, one.size?))).collect())
    }

    pub(super) async fn ask(&mut self, what: &str, set: &str, items: &str) -> Result<Vec<Fetch>, ImapError> {
        let session = &mut self.session;
        let answer = async { session.uid_fetch(set, items).await?.try_collect().await };
        within(what, self.settings.timing.fetch, answer).await
    }

    /// Keeps mails and how far the mailbox was read, in one step.
    async fn keep_only(
        &mut self,
        mails: Vec<Came>,
        last: u32,
        now: UnixMs,
        kept: &impl Fn(),
    ) -> Result<Vec<String>, ImapError> {
        let uids = mails.iter().filter_map(|came| came.read).map(|uid| uid.to_string()).collect();
        let is_empty = mails.is_empty();
        let delivery = |is_stub| Delivery { source: Source::Imap, is_stub, ..Delivery::default() };
        let mails = mails.into_iter().map(|came| (came.raw, delivery(came.read.is_none()))).collect();
        let position = Position { validity: self.validity, uid: last };
        let taken = self.desk.keep_all(&self.name, mails, position, now).await;
        taken.map_err(|error| ImapError::Store(format!("the store does not take what came: {error}")))?;
        self.last = Some(last);
        if !is_empty {
            kept();
        }
        Ok(uids)
    }

    /// The same; then the server hears that they were read.
    async fn keep(&mut self, mails: Vec<Came>, last: u32, now: UnixMs, kept: &impl Fn()) -> Result<(), ImapError> {
        let uids = self.keep_only(mails, last, now, kept).await?;
        if uids.is_empty() {
            return Ok(());
        }
        // For people who look into the mailbox; we do not go by it, so a folder that may not be written to is no trouble.
        let session = &mut self.session;
        let mark = async {
            let answers = session.uid_store(uids.join(","), "+FLAGS.SILENT (\\Seen)").await?;
            answers.for_each(|_| async {}).await;
            Ok::<_, Error>(())
        };
        tokio::time::timeout(self.settings.timing.command, mark)
            .await
            .map_err(|_| ImapError::Lost("no answer to UID STORE".to_owned()))?
            .map_err(|error| failed("UID STORE", &error))
    }
}

/// A day as IMAP writes it: `23-Nov-2026`.
fn day(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms.max(0)).unwrap_or_default();
    at.strftime("%d-%b-%Y").to_string()
}
