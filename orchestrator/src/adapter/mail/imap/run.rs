//! The loop: connect, take what is new, wait for news; and all over again whenever something breaks.

use std::{future::Future, time::Duration};

use async_imap::{
    extensions::idle::{Handle, IdleResponse},
    types::UnsolicitedResponse,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    connect::{ImapError, Wire, connect, failed, within},
    fetch::Stuck,
    mailbox::{Inbox, Mailbox},
    settings::ImapSettings,
};
use crate::{adapter::clock::SystemClock, port::Clock as _};

/// What is logged when the server tells of news, in the moment it does: what comes after is our own time.
pub const TOLD: &str = "mail: the mailbox has news";
/// So much a server may tell between two looks; more may have been lost.
const MANY: usize = 50;

/// How the mailbox is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ImapState {
    /// Not connected yet.
    #[default]
    Starting,
    /// Followed.
    Open {
        /// The server tells news at once; else it is asked.
        is_told: bool,
    },
    /// Not followed: why. It is tried again.
    Trouble(String),
}

/// Reads a mailbox until it is stopped. `bell` is rung whenever something was kept.
pub async fn run<D: Inbox>(
    settings: ImapSettings,
    desk: D,
    bell: impl Fn() + Send + Sync,
    told: watch::Sender<ImapState>,
    stop: CancellationToken,
) {
    let mut pause = settings.timing.again.0;
    let mut stuck = None;
    loop {
        let mut was_open = false;
        let follow = Box::pin(follow(&settings, &desk, &bell, &told, &mut stuck, &mut was_open));
        let Some(Err(error)) = unless(&stop, follow).await else { return };
        if was_open {
            pause = settings.timing.again.0;
        }
        let wait = match &error {
            ImapError::Refused(_) => settings.timing.refused.max(pause),
            ImapError::Lost(_) | ImapError::Store(_) => pause,
        };
        tracing::warn!(mailbox = settings.mailbox(), again_in_ms = wait.as_millis(), "mail: {error}");
        told.send_replace(ImapState::Trouble(error.to_string()));
        if unless(&stop, tokio::time::sleep(wait)).await.is_none() {
            return;
        }
        pause = (pause * 2).min(settings.timing.again.1);
    }
}

async fn unless<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        () = stop.cancelled() => None,
        done = work => Some(done),
    }
}

/// What never ends well.
enum Never {}

async fn follow<D: Inbox>(
    settings: &ImapSettings,
    desk: &D,
    bell: &(impl Fn() + Send + Sync),
    told: &watch::Sender<ImapState>,
    stuck: &mut Option<Stuck>,
    was_open: &mut bool,
) -> Result<Never, ImapError> {
    let (session, able) = connect(settings).await?;
    let is_told = able.has_str("IDLE");
    let mut mailbox = Mailbox::open(session, settings, desk).await?;
    loop {
        mailbox.take(|| SystemClock.now(), stuck, bell).await?;
        *was_open = true;
        told.send_if_modified(|state| {
            let now = ImapState::Open { is_told };
            let is_new = *state != now;
            *state = now;
            is_new
        });
        mailbox = if is_told { wait_for_news(mailbox).await? } else { look_again(mailbox).await? };
    }
}

async fn look_again<D: Inbox>(mut mailbox: Mailbox<'_, D>) -> Result<Mailbox<'_, D>, ImapError> {
    tokio::time::sleep(mailbox.settings.timing.poll).await;
    let limit = mailbox.settings.timing.command;
    within("NOOP", limit, mailbox.session.noop()).await?;
    Ok(mailbox)
}

/// IDLE: until the server says anything, or for a while. What it says is only a hint to look.
async fn wait_for_news<D: Inbox>(mailbox: Mailbox<'_, D>) -> Result<Mailbox<'_, D>, ImapError> {
    let Mailbox { session, settings, desk, name, validity, last } = mailbox;
    let timing = settings.timing;
    // News that came with the answers to other commands, after what we looked at: they are not told again.
    let news = session.unsolicited_responses.clone();
    let mut handle: Handle<Wire> = session.idle();
    within("IDLE", timing.command, handle.init()).await?;
    let (mut has_come, mut count) = (false, 0);
    while let Ok(said) = news.try_recv() {
        count += 1;
        // Where so much came, the rest was not kept for us.
        has_come |= matches!(said, UnsolicitedResponse::Exists(_)) || count > MANY;
    }
    if has_come || wait(&mut handle, timing.idle).await? {
        tracing::debug!("{TOLD}");
    }
    let session = within("DONE", timing.done, handle.done()).await?;
    Ok(Mailbox { session, settings, desk, name, validity, last })
}

/// Whether the server said anything.
async fn wait(handle: &mut Handle<Wire>, limit: Duration) -> Result<bool, ImapError> {
    // A server that says `still here` all the time must not keep us from looking.
    let (answer, _interrupt) = handle.wait_with_timeout(limit);
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(IdleResponse::NewData(_))) => Ok(true),
        Err(_) | Ok(Ok(IdleResponse::Timeout)) => Ok(false),
        Ok(Ok(IdleResponse::ManualInterrupt)) => Err(ImapError::Lost("the server hung up".to_owned())),
        Ok(Err(error)) => Err(failed("IDLE", &error)),
    }
}
