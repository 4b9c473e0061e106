//! What came in, done: in each person's order, again after trouble, and never less than once.

use std::{future::Future, pin::Pin, time::Duration};

use bus_schemas::v1::api::Problem;

use super::{answers, core::Bridge, desk::Desk, post::Asker, talk};
use crate::{
    adapter::slack::{Envelope, Inbound, SlackWeb},
    port::{Service, journal::DeadLetter},
};

/// The first wait before something is tried again, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How often something is tried that others than the orchestrator stand in the way of.
const TRIES: u32 = 6;
/// How long it is tried while Slack does not say who somebody is, in milliseconds.
const UNSURE_MS: u64 = 3_600_000;

/// Something that came in, to be done.
#[derive(Debug)]
pub(super) struct Job {
    /// It.
    pub envelope: Envelope,
    /// It was begun before: some of it may be done.
    pub again: bool,
}

/// It cannot be done now; nothing is wrong with it.
#[derive(Debug)]
pub(super) struct Later(pub Problem);

/// What came of it, for the inbox; or that it must wait.
pub(super) type Outcome = Result<String, Later>;

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// Puts something behind what the same person did before.
    pub(super) fn line_up(&self, envelope: Envelope, again: bool) {
        let lane = lane(&envelope);
        let bridge = self.clone();
        self.0.lanes.push(lane, Job { envelope, again }, move |job| {
            let bridge = bridge.clone();
            async move { bridge.work(job).await }
        });
    }

    /// Lines up what an earlier run left over; the future ends when all that is done.
    pub(super) async fn resume(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // Nothing is kept while this looks: what came in before is known, what comes later is not seen.
        let mut early = self.0.kept_early.lock().await;
        let mut rows = match self.0.desk.unfinished().await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "Slack: what was left over cannot be read");
                Vec::new()
            }
        };
        let in_work = early.take().unwrap_or_default();
        drop(early);
        rows.retain(|row| !in_work.contains(&row.key));
        if !rows.is_empty() {
            tracing::info!(count = rows.len(), "Slack: finishing what was left over");
        }
        for row in rows {
            self.line_up(Envelope::again(row.key, row.raw, row.received_at), true);
        }
        let lanes = self.0.lanes.clone();
        Box::pin(async move { lanes.idle().await })
    }

    async fn work(&self, job: Job) {
        let Job { envelope, mut again } = job;
        let mut wait = BACKOFF.0;
        let mut tries = 0;
        loop {
            let problem = match self.perform(&envelope, again).await {
                Ok(outcome) => {
                    self.finish(&envelope.key, &outcome).await;
                    // What people say to each other in threads; what of it was for the agents is in the journal.
                    if let Ok(Inbound::Reply(_)) = envelope.inbound
                        && let Err(error) = self.0.desk.drop_words(&envelope.key).await
                    {
                        tracing::warn!(key = %envelope.key, %error, "Slack: what somebody said is not forgotten yet");
                    }
                    return;
                }
                Err(Later(problem)) => problem,
            };
            tries += 1;
            let unsure = || answers::is_unsure(&problem) && self.now().since(envelope.received_at) < UNSURE_MS;
            if tries >= TRIES && !answers::is_ours(&problem) && !unsure() {
                tracing::warn!(key = %envelope.key, problem = %problem.detail, "Slack: given up");
                self.whisper(&asker(&envelope), answers::given_up(&self.told(&problem))).await;
                self.finish(&envelope.key, &format!("given up: {}", problem.code)).await;
                return;
            }
            if wait == BACKOFF.0 {
                tracing::warn!(key = %envelope.key, problem = %problem.detail, "Slack: kept for later");
                let asker = asker(&envelope);
                self.whisper(&asker, answers::kept(&self.told(&problem), envelope.received_at)).await;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // Kept: the next start does it.
                () = self.0.stop.cancelled() => return,
            }
            wait = (wait * 2).min(BACKOFF.1);
            again = true;
        }
    }

    /// It needs nothing more. If that cannot be written down, the next start does it again, which changes nothing.
    pub(super) async fn finish(&self, key: &str, outcome: &str) {
        if let Err(error) = self.0.desk.finish(key, outcome, self.now()).await {
            tracing::warn!(%key, %error, "Slack: done, but not written down");
        }
    }

    async fn perform(&self, envelope: &Envelope, again: bool) -> Outcome {
        match &envelope.inbound {
            Err(why) => self.set_aside(envelope, why).await,
            Ok(Inbound::Click(click)) => self.click(click, again).await,
            Ok(Inbound::Submitted(submission)) => self.submitted(submission, envelope, again).await,
            Ok(Inbound::Command(slash)) => self.command(slash, envelope).await,
            Ok(Inbound::Shortcut(shortcut)) => self.shortcut_late(shortcut).await,
            Ok(Inbound::Mention(said)) => self.mentioned(said, envelope, again).await,
            Ok(Inbound::Reply(said)) => self.replied(said, envelope, again).await,
            Ok(Inbound::Direct(said)) => self.direct(said, envelope, again).await,
            Ok(Inbound::HomeOpened { user }) => {
                self.home_opened(user).await;
                Ok("home shown".to_owned())
            }
            Ok(Inbound::Closed(_) | Inbound::Nothing) => Ok("of no interest".to_owned()),
        }
    }

    /// What cannot be read is kept where people see it.
    async fn set_aside(&self, envelope: &Envelope, why: &str) -> Outcome {
        let letter = DeadLetter {
            stream: "slack".to_owned(),
            stream_seq: u64::try_from(envelope.received_at.0).unwrap_or_default(),
            subject: envelope.key.clone(),
            reason: why.to_owned(),
            payload: envelope.raw.to_string().into_bytes(),
            received_at: envelope.received_at,
        };
        tracing::warn!(key = %envelope.key, reason = %why, "Slack sent something unreadable: see `baton dead-letters`");
        match self.0.desk.set_aside(letter).await {
            Ok(()) => Ok(format!("set aside: {why}")),
            Err(error) => Err(Later(unkept(&error.to_string()))),
        }
    }
}

/// The store of the bridge did not do it.
pub(super) fn unkept(detail: &str) -> Problem {
    Problem { code: "storage".to_owned(), status: 500, detail: detail.to_owned(), hint: None, findings: Vec::new() }
}

/// Whose order it is in.
fn lane(envelope: &Envelope) -> String {
    let asker = asker(envelope);
    if asker.user.is_empty() { "-".to_owned() } else { asker.user }
}

/// Who did it, and where they are answered.
pub(super) fn asker(envelope: &Envelope) -> Asker {
    match &envelope.inbound {
        Ok(Inbound::Click(click)) => Asker {
            user: click.user.clone(),
            channel: click.channel.clone(),
            thread_ts: click.thread_ts.clone(),
            response_url: click.response_url.clone(),
        },
        Ok(Inbound::Submitted(submission)) => super::forms::asker(submission),
        Ok(Inbound::Command(slash)) => Asker {
            user: slash.user.clone(),
            channel: Some(slash.channel.clone()).filter(|channel| !channel.is_empty()),
            thread_ts: None,
            response_url: slash.response_url.clone(),
        },
        Ok(Inbound::Shortcut(shortcut)) => Asker {
            user: shortcut.user.clone(),
            channel: Some(shortcut.channel.clone()),
            thread_ts: shortcut.message.thread_ts.clone(),
            response_url: shortcut.response_url.clone(),
        },
        Ok(Inbound::Mention(said) | Inbound::Reply(said) | Inbound::Direct(said)) => talk::asker(said),
        Ok(Inbound::HomeOpened { user }) => Asker { user: user.clone(), ..Asker::default() },
        Ok(Inbound::Closed(_) | Inbound::Nothing) | Err(_) => Asker::default(),
    }
}
