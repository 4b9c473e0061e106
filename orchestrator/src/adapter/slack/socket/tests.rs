use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};

use super::*;
use crate::adapter::slack::{
    Inbound,
    testing::{Api, Remembers},
};

const SOON: Duration = Duration::from_secs(20);

/// Slack's end of the sockets, driven by the test.
struct World {
    api: Api,
    sockets: TcpListener,
    receiver: Remembers,
    state: watch::Receiver<SocketState>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl World {
    async fn start(change: impl FnOnce(&mut SocketSettings)) -> Self {
        let api = Api::start().await;
        Self::over(api, change).await
    }

    async fn over(api: Api, change: impl FnOnce(&mut SocketSettings)) -> Self {
        let sockets = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = sockets.local_addr().unwrap();
        for _ in 0..20 {
            let url = format!("ws://{address}/link?ticket=t");
            api.will("apps.connections.open", axum::Json(json!({"ok": true, "url": url})));
        }
        let web = api.client();
        let mut settings = SocketSettings::new(&web).unwrap();
        settings.backoff = Duration::from_millis(5);
        settings.longest_backoff = Duration::from_millis(20);
        change(&mut settings);
        let receiver = Remembers::default();
        let (tell, state) = watch::channel(SocketState::Connecting { after: None });
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(web, receiver.clone(), settings, tell, stop.clone()));
        Self { api, sockets, receiver, state, stop, task }
    }

    async fn accept(&self) -> End {
        let (stream, _) = timeout(SOON, self.sockets.accept()).await.expect("a connection").unwrap();
        End { socket: accept_async(stream).await.unwrap() }
    }

    async fn greeted(&mut self) -> End {
        let mut end = self.accept().await;
        end.send(&json!({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"}})).await;
        self.until(|state| *state == SocketState::Connected).await;
        end
    }

    async fn until(&mut self, good: impl FnMut(&SocketState) -> bool) -> SocketState {
        timeout(SOON, self.state.wait_for(good)).await.expect("the state").unwrap().clone()
    }
}

struct End {
    socket: WebSocketStream<TcpStream>,
}

impl End {
    async fn send(&mut self, value: &Value) {
        self.socket.send(Message::text(value.to_string())).await.unwrap();
    }

    /// The next acknowledgement; `None` when the connection is closed.
    async fn ack(&mut self) -> Option<Value> {
        let next = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(text.as_str()).unwrap()),
                    None | Some(Ok(Message::Close(_)) | Err(_)) => return None,
                    Some(Ok(_)) => {}
                }
            }
        };
        timeout(SOON, next).await.expect("an acknowledgement")
    }
}

fn click(envelope: &str, at: &str) -> Value {
    json!({"type": "interactive", "envelope_id": envelope, "accepts_response_payload": false,
        "payload": {"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "baton.approve", "action_ts": at}]}})
}

fn submission(envelope: &str) -> Value {
    json!({"type": "interactive", "envelope_id": envelope, "accepts_response_payload": true,
        "payload": {"type": "view_submission", "user": {"id": "U1"}, "trigger_id": envelope, "view": {"callback_id": "baton.reject"}}})
}

#[tokio::test]
async fn envelopes_are_kept_and_then_acknowledged_with_the_answer_where_one_is_wanted() {
    let mut world = World::start(|_| {}).await;
    let mut end = world.greeted().await;
    assert_eq!(world.api.asked("apps.connections.open")[0].bearer(), "Bearer xapp-secret");
    end.send(&click("e1", "1")).await;
    assert_eq!(end.ack().await, Some(json!({"envelope_id": "e1"})));
    assert!(
        matches!(&world.receiver.kept()[0].inbound, Ok(Inbound::Click(click)) if click.action_id == "baton.approve")
    );
    let reply = json!({"response_action": "errors", "errors": {"reason": "say why"}});
    world.receiver.replies(reply.clone());
    end.send(&submission("e2")).await;
    assert_eq!(end.ack().await, Some(json!({"envelope_id": "e2", "payload": reply})));
    end.send(&click("e3", "3")).await;
    assert_eq!(end.ack().await, Some(json!({"envelope_id": "e3"})), "no payload where none is accepted");
    end.send(&click("e4", "3")).await;
    assert_eq!(end.ack().await, Some(json!({"envelope_id": "e4"})), "a repeat is acknowledged, too");
    assert_eq!(world.receiver.acted(), 3);
    world.stop.cancel();
    world.task.await.unwrap();
    assert_eq!(*world.state.borrow(), SocketState::Stopped);
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_and_then_acknowledged() {
    let mut world = World::start(|_| {}).await;
    let mut end = world.greeted().await;
    end.send(&json!({"type": "interactive", "envelope_id": "e1", "payload": {"type": "block_actions"}})).await;
    assert_eq!(end.ack().await, Some(json!({"envelope_id": "e1"})));
    end.send(&json!({"type": "telepathy", "envelope_id": "e2", "payload": {}})).await;
    assert_eq!(end.ack().await, Some(json!({"envelope_id": "e2"})));
    end.send(&json!({"type": "events_api", "envelope_id": "e3"})).await;
    assert_eq!(end.ack().await, Some(json!({"envelope_id": "e3"})));
    end.socket.send(Message::text("{nonsense")).await.unwrap();
    end.socket.send(Message::binary(vec![0xff, 0xfe])).await.unwrap();
    world.receiver.until(|receiver| receiver.kept().len() == 5).await;
    assert!(world.receiver.kept().iter().all(|one| one.inbound.is_err()));
}

#[tokio::test]
async fn a_slow_receiver_is_acknowledged_in_time_and_acts_all_the_same() {
    let mut world = World::start(|settings| settings.answer_within = Duration::from_millis(50)).await;
    let mut end = world.greeted().await;
    world.receiver.replies(json!({"late": true}));
    let gate = world.receiver.slow();
    end.send(&submission("e1")).await;
    assert_eq!(end.ack().await, Some(json!({"envelope_id": "e1"})));
    assert_eq!(world.receiver.acted(), 0);
    gate.notify_one();
    world.receiver.until(|receiver| receiver.acted() == 1).await;
}

#[tokio::test]
async fn what_is_not_kept_is_not_acknowledged() {
    let mut world = World::start(|_| {}).await;
    let mut end = world.greeted().await;
    world.receiver.full(true);
    end.send(&click("e1", "1")).await;
    world.receiver.until(|receiver| receiver.refused() == 1).await;
    world.receiver.full(false);
    // Slack sends the same click again, in another envelope.
    end.send(&click("e2", "1")).await;
    assert_eq!(end.ack().await, Some(json!({"envelope_id": "e2"})));
    assert_eq!((world.receiver.kept().len(), world.receiver.acted()), (1, 1));
}

#[tokio::test]
async fn a_warning_brings_the_next_connection_before_the_old_one_goes() {
    let mut world = World::start(|_| {}).await;
    let mut old = world.greeted().await;
    old.send(&json!({"type": "disconnect", "reason": "warning", "debug_info": {"host": "h"}})).await;
    let mut new = world.accept().await;
    // Until the new one is greeted, the old one serves.
    old.send(&click("e1", "1")).await;
    assert_eq!(old.ack().await, Some(json!({"envelope_id": "e1"})));
    assert_eq!(*world.state.borrow(), SocketState::Connected);
    new.send(&json!({"type": "hello"})).await;
    assert_eq!(old.ack().await, None, "the old one is closed");
    new.send(&click("e2", "2")).await;
    assert_eq!(new.ack().await, Some(json!({"envelope_id": "e2"})));
}

#[tokio::test]
async fn a_silent_connection_is_given_up() {
    let quick = |settings: &mut SocketSettings| {
        settings.silence = Duration::from_millis(150);
        settings.ping_every = Duration::from_millis(20);
    };
    let mut world = World::start(quick).await;
    // Nobody reads at this end any more: pings are not answered, and TCP says nothing.
    let _half_open = world.greeted().await;
    let state = world.until(|state| *state != SocketState::Connected).await;
    assert_eq!(state, SocketState::Connecting { after: Some("nothing was heard for 150 ms".into()) });
    let mut end = world.greeted().await;
    end.send(&click("e1", "1")).await;
    assert_eq!(end.ack().await, Some(json!({"envelope_id": "e1"})));
}

#[tokio::test]
async fn it_comes_back_after_every_kind_of_failure() {
    let api = Api::start().await;
    api.will("apps.connections.open", axum::Json(json!({"ok": false, "error": "internal_error"})));
    api.will("apps.connections.open", axum::Json(json!({"ok": false, "error": "invalid_auth"})));
    api.will("apps.connections.open", axum::Json(json!({"ok": true, "url": "ws://127.0.0.1:1/nobody?ticket=hidden"})));
    api.will("apps.connections.open", axum::Json(json!({"ok": true, "url": "gopher://x"})));
    let mut world = World::over(api, |settings| settings.connect = Duration::from_millis(300)).await;
    let state = world.until(|state| matches!(state, SocketState::Connecting { after: Some(_) })).await;
    assert!(!format!("{state:?}").contains("hidden"));
    // No hello.
    let mute = world.accept().await;
    // Closed at once.
    let mut end = world.greeted().await;
    drop(mute);
    end.socket.close(None).await.unwrap();
    let mut end = world.greeted().await;
    end.send(&click("e1", "1")).await;
    assert_eq!(end.ack().await, Some(json!({"envelope_id": "e1"})));
    assert!(world.api.asked("apps.connections.open").len() >= 6);
}
