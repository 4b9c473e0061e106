//! The stream of observations, read in order from where the journal stands. Nothing is acknowledged: the cursor moves in
//! the transaction of the effect, and a message that comes twice is stale.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{DeliverPolicy, pull::OrderedConfig},
    stream::Info,
};
use bus_schemas::{
    envelope::Message,
    id::AttemptRef,
    nats::{self, Bus},
    stream::EVENTS,
    subject::{self, EventKind},
    v1::{
        agent::AttemptPaused,
        task::{AttemptFailed, Claimed, HandoffReady, Progress},
    },
};
use futures::StreamExt;
use tokio::sync::{mpsc, watch};

use crate::port::{
    bus::{Delivery, Inbound, IntakeStart, Observation},
    journal::Cursor,
};

/// The pause before the stream is opened again.
const PAUSE: Duration = Duration::from_millis(200);
/// How often it is asked whether the stream is still the same one, while nothing comes.
const INSPECT: Duration = Duration::from_secs(5);

/// Where reading is.
struct Place {
    start: IntakeStart,
    /// The stream is another one than the driver knows, and it has not been told so yet: reading may fail in between.
    fresh: bool,
}

/// Why reading stopped.
enum Stopped {
    /// The driver is gone.
    Gone,
    /// Begin again: the driver says so, or the connection or the stream is a new one.
    Again,
    /// It failed.
    Failed(String),
}

/// Reads until the driver is gone. `connects` changes with every new connection.
pub(super) async fn run(
    bus: Bus,
    mut start: watch::Receiver<IntakeStart>,
    mut connects: watch::Receiver<u64>,
    inbound: mpsc::Sender<Inbound>,
) {
    let mut place = Place { start: start.borrow_and_update().clone(), fresh: false };
    loop {
        connects.borrow_and_update();
        let reading = Reading { bus: &bus, inbound: &inbound };
        match reading.run(&mut place, &mut start, &mut connects).await {
            Stopped::Gone => return,
            Stopped::Again => {}
            Stopped::Failed(detail) => {
                tracing::warn!(detail, "stream of observations not read");
                tokio::time::sleep(PAUSE).await;
            }
        }
        let told = start.borrow_and_update().clone();
        if told.run != place.start.run {
            place.start = told;
        }
    }
}

struct Reading<'a> {
    bus: &'a Bus,
    inbound: &'a mpsc::Sender<Inbound>,
}

impl Reading<'_> {
    async fn run(
        &self,
        place: &mut Place,
        start: &mut watch::Receiver<IntakeStart>,
        connects: &mut watch::Receiver<u64>,
    ) -> Stopped {
        match self.follow(place, start, connects).await {
            Ok(stopped) => stopped,
            Err(detail) => Stopped::Failed(detail),
        }
    }

    async fn follow(
        &self,
        place: &mut Place,
        start: &mut watch::Receiver<IntakeStart>,
        connects: &mut watch::Receiver<u64>,
    ) -> Result<Stopped, String> {
        let info = self.inspect().await?;
        let created = created(&info);
        let another = is_another(&place.start.cursor, &info);
        place.fresh |= another;
        if another || place.start.cursor.stream_created.is_empty() {
            place.start.cursor = Cursor { seq: 0, stream_created: created.clone() };
        }
        let last = info.state.last_sequence;
        let stream = self.bus.jetstream().get_stream_no_info(EVENTS.name).await.map_err(|e| e.to_string())?;
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: place.start.cursor.seq + 1 },
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.map_err(|e| e.to_string())?;
        let mut messages = consumer.messages().await.map_err(|e| e.to_string())?;
        let mut behind = info.state.messages > 0 && place.start.cursor.seq < last;
        if !behind && self.caught_up(place).await.is_err() {
            return Ok(Stopped::Gone);
        }
        loop {
            let message = tokio::select! {
                biased;
                changed = start.changed() => return Ok(if changed.is_ok() { Stopped::Again } else { Stopped::Gone }),
                changed = connects.changed() => return Ok(if changed.is_ok() { Stopped::Again } else { Stopped::Gone }),
                message = messages.next() => message,
                () = tokio::time::sleep(INSPECT) => {
                    if is_another(&place.start.cursor, &self.inspect().await?) {
                        return Ok(Stopped::Again);
                    }
                    continue;
                }
            };
            let message = message.ok_or("the consumer ended")?.map_err(|e| e.to_string())?;
            let at = message.info().map_err(|e| e.to_string())?;
            let seq = at.stream_sequence;
            let drained = at.pending == 0;
            let delivery = Delivery {
                seq,
                stream_created: created.clone(),
                run: place.start.run,
                subject: message.subject.to_string(),
                observation: decode(&message.subject, &message.payload),
                payload: message.payload.clone(),
            };
            if self.inbound.send(Inbound::Delivery(delivery)).await.is_err() {
                return Ok(Stopped::Gone);
            }
            place.start.cursor.seq = seq;
            if behind && (seq >= last || drained) {
                behind = false;
                if self.caught_up(place).await.is_err() {
                    return Ok(Stopped::Gone);
                }
            }
        }
    }

    async fn caught_up(&self, place: &mut Place) -> Result<(), mpsc::error::SendError<Inbound>> {
        let fresh = std::mem::take(&mut place.fresh);
        self.inbound.send(Inbound::CaughtUp { run: place.start.run, fresh }).await
    }

    /// Looks at the stream; makes it, and the others, if it is not there.
    async fn inspect(&self) -> Result<Info, String> {
        let context = self.bus.jetstream();
        if let Ok(stream) = context.get_stream(EVENTS.name).await {
            return Ok(stream.cached_info().clone());
        }
        self.bus.ensure_streams().await.map_err(|e| e.to_string())?;
        let stream = context.get_stream(EVENTS.name).await.map_err(|e| e.to_string())?;
        Ok(stream.cached_info().clone())
    }
}

fn created(info: &Info) -> String {
    info.created.to_string()
}

/// Whether the stream is not the one the cursor is about: made anew, or fallen back behind it.
fn is_another(cursor: &Cursor, info: &Info) -> bool {
    !cursor.stream_created.is_empty()
        && (cursor.stream_created != created(info) || info.state.last_sequence < cursor.seq)
}

/// Reads a message of the stream of observations. What it is about comes from the subject, and the body must agree.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn decode(subject: &str, payload: &[u8]) -> Result<Observation, String> {
    let (attempt, kind) = subject::parse_event(subject).map_err(|e| e.to_string())?;
    match kind {
        EventKind::Claimed => body::<Claimed>(payload, attempt, |body| body.attempt).map(Observation::Claimed),
        EventKind::Progress => body::<Progress>(payload, attempt, |body| body.attempt).map(Observation::Progress),
        EventKind::Handoff => {
            body::<HandoffReady>(payload, attempt, |body| body.attempt).map(|body| Observation::Handoff(Box::new(body)))
        }
        EventKind::Failed => {
            body::<AttemptFailed>(payload, attempt, |body| body.attempt).map(|body| Observation::Failed(Box::new(body)))
        }
        EventKind::Paused => {
            body::<AttemptPaused>(payload, attempt, |body| body.attempt).map(|body| Observation::Paused(Box::new(body)))
        }
    }
}

fn body<T: Message>(payload: &[u8], attempt: AttemptRef, of: impl Fn(&T) -> AttemptRef) -> Result<T, String> {
    let body = nats::decode::<T>(payload).map_err(|e| e.to_string())?.body;
    let says = of(&body);
    if says == attempt { Ok(body) } else { Err(format!("the subject is about {attempt}, the body about {says}")) }
}
