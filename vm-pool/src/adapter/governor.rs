//! The governors at work: one task per provider key owns the pure core, a second one keeps what it learned in step with
//! the other hosts. Without a bus each host governs alone.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bus_schemas::{id::ProjectId, nats::Bus, time::UnixMs};
use tokio::sync::{mpsc, oneshot, watch};

use super::governor_link;
use crate::governor::{Answer, CallId, Command, Event, Fact, Shared, Signals, State, Tuning, step};

/// The time, for the core.
pub(super) fn now() -> UnixMs {
    UnixMs(jiff::Timestamp::now().as_millisecond())
}

/// Makes governors.
#[derive(Clone, Debug, Default)]
pub struct Governors {
    bus: Option<Bus>,
    tuning: Tuning,
}

impl Governors {
    /// Governors that share what they learn over `bus`, if there is one.
    #[must_use]
    pub fn new(bus: Option<Bus>) -> Self {
        Self { bus, tuning: Tuning::default() }
    }

    /// The same, set otherwise: tests do not wait for minutes.
    #[must_use]
    pub const fn tuned(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    pub(super) const fn tuning(&self) -> Tuning {
        self.tuning
    }

    /// The governor of one provider key, which `print` names without saying anything about it.
    pub(super) fn govern(&self, provider: &str, print: &str, tuning: Tuning, shared: bool) -> Governor {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
        let name: String = provider.chars().map(plain).collect();
        let bus = self.bus.clone().filter(|_| shared);
        let calls = AtomicU64::new(0);
        Governor {
            inner: Arc::new(Inner { tuning, key: format!("{name}.{print}"), bus, calls, desk: OnceLock::new() }),
        }
    }
}

/// One provider key's governor. Cheap to clone; starts to work with the first call.
#[derive(Clone, Debug)]
pub(super) struct Governor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tuning: Tuning,
    key: String,
    bus: Option<Bus>,
    calls: AtomicU64,
    desk: OnceLock<mpsc::UnboundedSender<Ask>>,
}

/// What the task is told.
#[derive(Debug)]
pub(super) enum Ask {
    Admit { call: CallId, project: ProjectId, verdict: Verdict },
    Fine { call: CallId, signals: Signals },
    Again { call: CallId, answer: Answer, verdict: Verdict },
    Over { call: CallId },
    Heard(Shared),
}

/// Gets `Ok` when the call may go, or the moment when it may come again.
type Verdict = oneshot::Sender<Result<(), UnixMs>>;

/// An admitted call. Its slot is free when this is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    call: CallId,
    desk: mpsc::UnboundedSender<Ask>,
}

impl Governor {
    /// Waits until a call of this project may go.
    ///
    /// # Errors
    /// When it may come again.
    pub(super) async fn admit(&self, project: ProjectId) -> Result<Ticket, UnixMs> {
        let desk = self.inner.desk.get_or_init(|| self.inner.start()).clone();
        let call = CallId(self.inner.calls.fetch_add(1, Ordering::Relaxed));
        // Dropped while it waits, the ticket takes the call out of the queue.
        let ticket = Ticket { call, desk };
        let (verdict, heard) = oneshot::channel();
        ticket.tell(Ask::Admit { call, project, verdict });
        wait(heard).await.map(|()| ticket)
    }
}

impl Ticket {
    /// The provider took the call.
    pub(super) fn fine(&self, signals: Signals) {
        self.tell(Ask::Fine { call: self.call, signals });
    }

    /// It did not: waits until the call may go once more.
    ///
    /// # Errors
    /// When it may come again.
    pub(super) async fn again(&self, answer: Answer) -> Result<(), UnixMs> {
        let (verdict, heard) = oneshot::channel();
        self.tell(Ask::Again { call: self.call, answer, verdict });
        wait(heard).await
    }

    fn tell(&self, ask: Ask) {
        // The task ends after the last sender, with the process.
        let _ = self.desk.send(ask);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.tell(Ask::Over { call: self.call });
    }
}

async fn wait(heard: oneshot::Receiver<Result<(), UnixMs>>) -> Result<(), UnixMs> {
    // A task that is gone means that the process ends.
    heard.await.unwrap_or_else(|_| Err(now().plus_ms(1_000)))
}

impl Inner {
    fn start(&self) -> mpsc::UnboundedSender<Ask> {
        let (desk, asks) = mpsc::unbounded_channel();
        let (tell, told) = watch::channel(Shared::default());
        if let Some(bus) = &self.bus {
            tokio::spawn(governor_link::keep(bus.clone(), self.key.clone(), told, desk.downgrade()));
        }
        tokio::spawn(work(State::new(self.tuning), asks, tell));
        desk
    }
}

/// Owns the core.
async fn work(mut state: State, mut asks: mpsc::UnboundedReceiver<Ask>, tell: watch::Sender<Shared>) {
    let mut verdicts: BTreeMap<CallId, Verdict> = BTreeMap::new();
    let mut wake: Option<UnixMs> = None;
    loop {
        let pause = Duration::from_millis(wake.map_or(u64::MAX / 2, |at| at.since(now())));
        let fact = tokio::select! {
            ask = asks.recv() => match ask {
                None => return,
                Some(ask) => fact_of(ask, &mut verdicts),
            },
            () = tokio::time::sleep(pause), if wake.is_some() => Fact::Passed,
        };
        wake = None;
        for command in step(&mut state, &Event { at: now(), fact }) {
            match command {
                Command::Admit { call } => answer(&mut verdicts, call, Ok(())),
                Command::Refuse { call, resume_at } => answer(&mut verdicts, call, Err(resume_at)),
                Command::Share(shared) => {
                    tell.send_replace(shared);
                }
                Command::Wake { at } => wake = Some(at),
            }
        }
    }
}

fn answer(verdicts: &mut BTreeMap<CallId, Verdict>, call: CallId, verdict: Result<(), UnixMs>) {
    if let Some(asker) = verdicts.remove(&call) {
        // A caller that is gone says so itself, with its ticket.
        let _ = asker.send(verdict);
    }
}

fn fact_of(ask: Ask, verdicts: &mut BTreeMap<CallId, Verdict>) -> Fact {
    match ask {
        Ask::Admit { call, project, verdict } => {
            verdicts.insert(call, verdict);
            Fact::Asked { call, project }
        }
        Ask::Fine { call, signals } => Fact::Answered { call, answer: Answer::Fine(signals), luck: 0 },
        Ask::Again { call, answer, verdict } => {
            verdicts.insert(call, verdict);
            Fact::Answered { call, answer, luck: luck() }
        }
        Ask::Over { call } => {
            verdicts.remove(&call);
            Fact::Ended { call }
        }
        Ask::Heard(shared) => Fact::Heard(shared),
    }
}

/// A random number; the middle if there is none.
fn luck() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
#[path = "governor_tests.rs"]
mod tests;
