//! The connection: watched, so that the driver knows whether it can hear anybody.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bus_schemas::{
    nats::{Bus, BusOptions, ConnectError},
    subject,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{beats, calls, intake, outgoing::NatsBus};
use crate::port::{
    Clock, Ids,
    bus::{Bus as _, HostCalls, Inbound, IntakeStart},
};

/// How often the connection is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// The running readers of the bus.
#[derive(Debug)]
pub struct Link {
    tasks: Vec<JoinHandle<()>>,
}

impl Link {
    /// Starts listening: beats, observations from where the intake is to begin, the state of the connection; and answers
    /// the calls of hosts.
    ///
    /// # Errors
    /// A sentence, if beats cannot be subscribed to.
    pub async fn start(
        bus: &NatsBus,
        inbound: mpsc::Sender<Inbound>,
        start: watch::Receiver<IntakeStart>,
        answers: impl HostCalls,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, String> {
        let connection = bus.connection();
        let called = connection.client().subscribe(subject::CALLS).await.map_err(|e| e.to_string())?;
        let subscription = connection.client().subscribe(subject::BEATS).await.map_err(|e| e.to_string())?;
        let (connected, connects) = watch::channel(0);
        let tasks = vec![
            tokio::spawn(watch_connection(bus.clone(), connected, inbound.clone())),
            tokio::spawn(beats::run(subscription, inbound.clone())),
            tokio::spawn(calls::run(connection.clone(), called, answers, clock, ids)),
            tokio::spawn(intake::run(connection.clone(), start, connects, inbound)),
        ];
        Ok(Self { tasks })
    }

    /// Stops listening.
    pub fn stop(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Connects, checks the server and makes the streams.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(options: &BusOptions, clock: Arc<dyn Clock>) -> Result<NatsBus, ConnectError> {
    let bus = Bus::connect(options).await?;
    bus.ensure_streams().await?;
    Ok(NatsBus::new(bus, clock))
}

/// Tells the driver when the connection goes and comes; a new connection also makes the intake begin again.
async fn watch_connection(bus: NatsBus, connected: watch::Sender<u64>, inbound: mpsc::Sender<Inbound>) {
    let statistics = bus.connection().client().statistics();
    let mut known: Option<u64> = None;
    loop {
        let up = bus.connection().is_connected();
        let connects = statistics.connects.load(Ordering::Relaxed);
        let told = match (known, up) {
            (Some(_), false) => {
                known = None;
                inbound.send(Inbound::Down).await
            }
            (was, true) if was != Some(connects) => {
                known = Some(connects);
                connected.send_replace(connects);
                if let Err(error) = bus.ask_report().await {
                    tracing::warn!(%error, "hosts not asked, they beat anyway");
                }
                inbound.send(Inbound::Up).await
            }
            _ => Ok(()),
        };
        if told.is_err() || inbound.is_closed() {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}
