//! The bridge between a recorded Slack, an orchestrator and a memory that are all in this process, under a paused clock.

mod clicks;
mod desk;
mod edits;
mod outward;
mod secrets;
mod slack;
mod starting;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bus_schemas::{
    time::UnixMs,
    v1::{api::ApprovalView, handoff::ChangeKind},
};
use serde_json::{Value, json};

use self::{desk::MemoryDesk, slack::FakeSlack};
use super::{Bridge, Settings, World};
use crate::{
    adapter::slack::{
        Envelope, Kind, Receiver as _,
        view::{Pressed, samples},
    },
    people::{Member, People},
    port::{Clock, fake::FakeService},
};

/// The default channel.
const CHANNEL: &str = "CDEFAULT";
/// Ann is a member, bob too; eve is none.
const ANN: &str = "UANN";
const BOB: &str = "UBOB";
const EVE: &str = "UEVE";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// An orchestrator that knows the members by their ids of Slack.
fn orchestrator() -> FakeService {
    let service = FakeService::new(samples::project(), samples::NOW);
    service.with(|known| {
        known.names = |by| match by {
            ANN => "ann".to_owned(),
            BOB => "bob".to_owned(),
            other => format!("slack:{other}"),
        };
        known.diff.changed = vec![samples::path("x", ChangeKind::Added, 3)];
    });
    service
}

#[derive(Debug)]
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> UnixMs {
        samples::NOW
    }
}

/// Everything around a bridge.
#[derive(Clone)]
struct Rig {
    service: FakeService,
    slack: FakeSlack,
    desk: MemoryDesk,
    bridge: Bridge<FakeService, FakeSlack, MemoryDesk>,
    clicks: Arc<Mutex<u32>>,
}

impl Rig {
    /// A bridge that takes what comes in; it does not speak by itself yet.
    fn quiet() -> Self {
        Self::around(orchestrator(), FakeSlack::default(), MemoryDesk::default())
    }

    /// A bridge that runs.
    fn running() -> Self {
        let rig = Self::quiet();
        rig.bridge.run();
        rig
    }

    /// A bridge that runs, with these settings.
    fn set(settings: Settings) -> Self {
        let rig = Self::with(orchestrator(), FakeSlack::default(), MemoryDesk::default(), settings);
        rig.bridge.run();
        rig
    }

    fn around(service: FakeService, slack: FakeSlack, desk: MemoryDesk) -> Self {
        Self::with(service, slack, desk, Settings::default())
    }

    fn with(service: FakeService, slack: FakeSlack, desk: MemoryDesk, settings: Settings) -> Self {
        let member = |slack: &str| Member { slack: Some(slack.to_owned()), ..Member::default() };
        let members = BTreeMap::from([("ann".to_owned(), member(ANN)), ("bob".to_owned(), member(BOB))]);
        let bridge = Bridge::new(World {
            service: service.clone(),
            web: slack.clone(),
            desk: desk.clone(),
            people: Arc::new(People::new(members).unwrap()),
            clock: Arc::new(StoppedClock),
            settings: Settings { channel: Some(CHANNEL.to_owned()), ..settings },
        });
        Self { service, slack, desk, bridge, clicks: Arc::default() }
    }

    /// The program ends and is started again.
    async fn restarted(self) -> Self {
        self.bridge.stop().await;
        let rig = Self::around(self.service, self.slack, self.desk);
        rig.bridge.run();
        rig
    }

    /// Something comes in, as from either transport; what Slack is answered.
    async fn comes(&self, kind: Kind, payload: Value) -> Option<Value> {
        let envelope = Envelope::new(kind, payload, Some("e"), samples::NOW);
        if !self.bridge.keep(&envelope).await.unwrap() {
            return None;
        }
        self.bridge.receive(envelope).await
    }

    /// Somebody presses a button of a card.
    async fn press(&self, user: &str, action: &str, value: &str) {
        let number = {
            let mut clicks = lock(&self.clicks);
            *clicks += 1;
            *clicks
        };
        let payload = click(user, action, value, &format!("{number}.0"));
        self.comes(Kind::Interaction, payload).await;
        self.calm().await;
    }

    /// Until everything that came in is done, and a while longer: time does not pass by itself.
    async fn calm(&self) {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

fn click(user: &str, action: &str, value: &str, at: &str) -> Value {
    json!({
        "type": "block_actions", "user": {"id": user}, "team": {"id": "T"}, "channel": {"id": CHANNEL}, "trigger_id": format!("t{at}"),
        "message": {"ts": "1.0"}, "actions": [{"action_id": action, "value": value, "action_ts": at, "type": "button"}]
    })
}

/// The sample request before anybody voted or asked anything.
fn fresh() -> ApprovalView {
    let mut view = samples::handoff();
    view.route.votes.clear();
    view.route.questions.clear();
    view
}

/// What a button of the sample request carries.
fn pressed() -> String {
    super::super::view::value(&Pressed::on(&fresh()))
}
