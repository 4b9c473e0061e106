//! From a transport to the receiver: kept first, acted on in a task of its own that nothing cuts short, answered in time.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{Envelope, Receiver};

/// Slack wants its answer within three seconds; this leaves some for the way.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_millis(2500);

/// Hands an envelope over. `Ok` says it is kept and may be acknowledged, with what goes into the acknowledgement; `Err` that it
/// is not, or not yet: Slack must send it again.
pub(super) async fn hand<R: Receiver>(
    receiver: &R,
    envelope: Envelope,
    within: Duration,
) -> Result<Option<Value>, String> {
    let latest = Instant::now() + within;
    let (tell_kept, kept) = oneshot::channel();
    let (tell_reply, reply) = oneshot::channel();
    let receiver = receiver.clone();
    let key = envelope.key.clone();
    tokio::spawn(async move {
        let kept = receiver.keep(&envelope).await;
        let fresh = kept == Ok(true);
        // Whoever waited may have given up; what is kept is acted on all the same.
        let _ = tell_kept.send(kept);
        if fresh {
            let _ = tell_reply.send(receiver.receive(envelope).await);
        }
    });
    match timeout_at(latest, kept).await {
        Ok(Ok(Ok(true))) => {}
        Ok(Ok(Ok(false))) => {
            tracing::debug!(key, "nothing is to be done: Slack sent it again, or it is no business of ours");
            return Ok(None);
        }
        Ok(Ok(Err(why))) => return Err(why),
        Ok(Err(_)) => return Err("the receiver ended".to_owned()),
        Err(_) => return Err("it was not kept in time".to_owned()),
    }
    match timeout_at(latest, reply).await {
        Ok(reply) => Ok(reply.unwrap_or_default()),
        Err(_) => {
            tracing::warn!(key, "acknowledged before it was acted on: that takes too long");
            Ok(None)
        }
    }
}
