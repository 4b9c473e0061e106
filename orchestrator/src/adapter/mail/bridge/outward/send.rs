//! Mails of ours, handed to the next server; again after trouble, the same to the byte, until it is there or there is no sense in it.

use std::{collections::BTreeMap, time::Duration};

use bus_schemas::time::UnixMs;
use futures::{StreamExt as _, stream};

use super::{
    super::core::Bridge,
    people::{NO_NEED, is_lost},
    say::with_token,
};
use crate::{
    adapter::mail::{Desk, OutKind, OutMail, OutState, Transport, TransportError, Verifier},
    mail::token,
    port::Service,
};

/// How long until a mail is tried again, after each time; the last one repeats.
const BACKOFF: [Duration; 5] = [
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(1800),
    Duration::from_secs(3600),
];
/// How long a mail is tried: after that it is no news any more, and somebody else is to be asked. Only pauses between tries count:
/// while nothing ran, nothing was tried.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// Mails that are looked at together.
const BATCH: u32 = 100;
/// Recipients that are served at the same time: a mail server takes few connections of one client.
const SENDERS: usize = 4;
/// How long until the outbox is looked at again after it could not be read, or changed.
const STORE_AGAIN: Duration = Duration::from_secs(5);
/// The longest sleep: a clock that was put forward is noticed.
const LONGEST: Duration = Duration::from_secs(60);

/// How the trouble begins of a mail that a server may have: it got all of it and did not say so, or this program ended before it
/// could.
const UNSURE: &str = "perhaps handed over";

impl<S: Service, D: Desk, V: Verifier, T: Transport> Bridge<S, D, V, T> {
    /// Sends what is due, until the bridge stops: then what is being handed over is waited for, so that it need not be sent again.
    pub(in super::super) async fn keep_outbox(self) {
        while !self.0.stop.is_cancelled() {
            let wait = match self.send_due().await {
                Ok(wait) => wait,
                Err(why) => {
                    tracing::warn!(%why, "mail: the outbox cannot be worked on; tried again");
                    STORE_AGAIN
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.0.outward.notified() => {}
                () = self.0.stop.cancelled() => {}
            }
        }
    }

    /// Sends what is due, and says how long nothing is.
    async fn send_due(&self) -> Result<Duration, String> {
        let desk = &self.0.world.desk;
        loop {
            let due = desk.due(self.now(), BATCH).await.map_err(|e| e.to_string())?;
            if due.is_empty() {
                break;
            }
            let mut by_recipient: BTreeMap<String, Vec<OutMail>> = BTreeMap::new();
            for mail in due {
                by_recipient.entry(mail.to.clone()).or_default().push(mail);
            }
            // One recipient's mails in their order: what came of a request after the request.
            let sent = stream::iter(by_recipient.into_values()).map(|mails| async move {
                for mail in mails {
                    if self.0.stop.is_cancelled() {
                        break;
                    }
                    self.send_one(mail).await?;
                }
                Ok::<(), String>(())
            });
            let outcomes: Vec<Result<(), String>> = sent.buffer_unordered(SENDERS).collect().await;
            outcomes.into_iter().collect::<Result<Vec<()>, String>>()?;
            if self.0.stop.is_cancelled() {
                break;
            }
        }
        let next = desk.next_due().await.map_err(|e| e.to_string())?;
        Ok(next
            .map_or(LONGEST, |at| Duration::from_millis(at.since(self.now())).clamp(Duration::from_millis(1), LONGEST)))
    }

    async fn send_one(&self, mut mail: OutMail) -> Result<(), String> {
        let world = &self.0.world;
        if !self.is_needed(&mail).await? {
            (mail.state, mail.error) = (OutState::Failed, Some(NO_NEED.to_owned()));
            return world.desk.set_out(mail).await.map_err(|e| e.to_string());
        }
        let text = world.desk.out_text(mail.id).await;
        // Written down before: should what came of it not be, it is tried again no sooner than after trouble, and counts as a mail
        // that may be there.
        mail.tries = mail.tries.saturating_add(1);
        let now = self.now();
        let wait = i64::try_from(backoff(mail.tries, mail.id.as_u128()).as_millis()).unwrap_or(i64::MAX);
        let under_way = format!("{UNSURE}: try {} is under way, or ended with the program", mail.tries);
        let tried = OutMail { next_at: UnixMs(now.0.saturating_add(wait)), error: Some(under_way), ..mail.clone() };
        world.desk.set_out(tried).await.map_err(|e| e.to_string())?;
        let outcome = match text {
            Ok(Some(text)) => {
                // What comes back comes to the mail's own address, whatever of the mail it quotes.
                let path = with_token(&world.settings.address, &token::plus(&world.settings.key, mail.id));
                world.transport.send(&path, &mail.to, &text).await
            }
            Ok(None) => Err(TransportError::Never("its text is not there any more".to_owned())),
            Err(error) => Err(TransportError::Later(error.to_string())),
        };
        let was_unsure = mail.error.as_deref().is_some_and(|error| error.starts_with(UNSURE));
        match outcome {
            Ok(()) => (mail.state, mail.error) = (OutState::Sent, None),
            Err(TransportError::Never(why)) => (mail.state, mail.error) = (OutState::Failed, Some(why)),
            // A second time everything was handed over without an answer: a third copy helps nobody.
            Err(TransportError::Unknown(why)) if was_unsure => {
                tracing::warn!(name = %mail.name, to = %mail.to, %why, "mail: handed over twice without an answer; not sent again");
                (mail.state, mail.error) = (OutState::Sent, Some(format!("{UNSURE}: {why}")));
            }
            Err(TransportError::Unknown(why)) => self.put_off(&mut mail, format!("{UNSURE}: {why}")),
            // What happens to this try says nothing about the one before.
            Err(TransportError::Later(why)) if was_unsure => {
                self.put_off(&mut mail, format!("{UNSURE} before; since then: {why}"));
            }
            Err(TransportError::Later(why)) => self.put_off(&mut mail, why),
        }
        if mail.state == OutState::Failed {
            return self.lose(mail).await.map_err(|e| e.to_string());
        }
        world.desk.set_out(mail).await.map_err(|e| e.to_string())
    }

    fn put_off(&self, mail: &mut OutMail, why: String) {
        let now = self.now();
        if is_tried_enough(mail.tries, mail.id.as_u128()) {
            mail.state = OutState::Failed;
            mail.error = Some(format!("given up after {} tries, a day of them; the last time: {why}", mail.tries));
            return;
        }
        let wait = backoff(mail.tries, mail.id.as_u128());
        tracing::info!(name = %mail.name, to = %mail.to, %why, wait_s = wait.as_secs(), "mail: not sent yet");
        mail.next_at = UnixMs(now.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)));
        mail.error = Some(why);
    }

    /// Whether a mail still says what is so. A request that was decided, or shows something else now, is not asked any more, and
    /// who was not asked is not told what came of it.
    async fn is_needed(&self, mail: &OutMail) -> Result<bool, String> {
        let Some(approval_id) = mail.approval_id else { return Ok(true) };
        if mail.kind == OutKind::Request {
            return match self.0.world.service.approval(&approval_id.to_string()).await {
                Ok(view) => Ok(view.decision.is_none() && view.digest == mail.digest),
                Err(problem) if problem.code == "not_found" => Ok(false),
                // It cannot be known now: better once too often.
                Err(_) => Ok(true),
            };
        }
        if !mail.name.starts_with("outcome:") {
            return Ok(true);
        }
        let asked = self.0.world.desk.asks(approval_id).await.map_err(|e| e.to_string())?;
        let was_tried = |asked: &OutMail| asked.to == mail.to && asked.tries > 0 && !is_lost(asked);
        Ok(asked.iter().any(was_tried))
    }
}

/// Whether the pauses there were before so many tries make up the time a mail is tried.
fn is_tried_enough(tries: u32, seed: u128) -> bool {
    (1..tries).map(|before| backoff(before, seed)).sum::<Duration>() >= GIVE_UP
}

/// How long until the next try, up to a fifth longer so that many do not come at once.
fn backoff(tries: u32, seed: u128) -> Duration {
    let step = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX).min(BACKOFF.len() - 1);
    let base = BACKOFF.get(step).copied().unwrap_or(LONGEST);
    let mixed = seed ^ (seed >> 64) ^ u128::from(tries);
    let percent = u32::try_from(mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 21).unwrap_or_default();
    base + base * percent / 100
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn the_pauses_grow_to_an_hour_and_are_not_all_the_same() {
        let floors = [30, 120, 600, 1800, 3600, 3600];
        for (tries, floor) in (1..).zip(floors) {
            let waits: Vec<u64> = (0..100).map(|seed| backoff(tries, seed).as_secs()).collect();
            assert!(waits.iter().all(|wait| (floor..=floor * 6 / 5).contains(wait)), "{tries}: {waits:?}");
            assert!(waits.iter().max() > waits.iter().min());
        }
        assert!(backoff(u32::MAX, u128::MAX) <= Duration::from_secs(3600 * 6 / 5));
    }

    #[test]
    fn a_day_of_tries_is_some_thirty_of_them() {
        for seed in 0..100 {
            let last = (1..100).find(|tries| is_tried_enough(*tries, seed));
            assert!(last.is_some_and(|tries| (23..=30).contains(&tries)), "{last:?}");
        }
        assert!(!is_tried_enough(0, 0) && !is_tried_enough(1, 0));
    }
}
