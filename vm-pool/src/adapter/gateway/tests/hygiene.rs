//! The key is seen by its provider and by nobody else.

use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use tracing_subscriber::fmt::MakeWriter;

use super::world::{CANARY, World, events, json_reply, reply_with, stream_reply};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_key_is_nowhere() {
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(lines.clone()).finish();
    let _on = tracing::subscriber::set_default(subscriber);
    // With a single subscriber in the process, a test on another thread that comes by a place first turns it off for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).finish());
    let mut world = World::new().await;
    let echo = format!("{{\"error\":{{\"message\":\"bad key {CANARY}!\"}}}}");
    let header = [("x-echo", CANARY), ("content-type", "application/json")];
    let stream = format!("data: {{\"error\":\"{CANARY}\"}}\n\ndata: {CANARY}\n\n");
    world.upstream.will(reply_with(401, &header, &echo));
    world.upstream.will(reply_with(400, &header, &echo));
    world.upstream.will(reply_with(404, &header, CANARY));
    world.upstream.will(reply_with(500, &header, &echo));
    world.upstream.will(reply_with(200, &header, &echo));
    world.upstream.will(events(&stream));
    world.upstream.will(reply_with(302, &[("location", CANARY)], CANARY));
    let mut seen = String::new();
    for _ in 0..6 {
        let (status, headers, body) = world.post("/v1/messages", r#"{"model":"claude/m-1"}"#).await;
        seen += &format!("{status} {headers:?} {}\n", String::from_utf8_lossy(&body));
    }
    assert!(world.upstream.replies.lock().unwrap().is_empty());
    assert!(seen.contains("bad key xxxx"), "the text around it stays: {seen}");
    // In pieces.
    let (frames, reply) = stream_reply();
    world.upstream.will(reply);
    let (one, two) = CANARY.split_at(9);
    for piece in ["data: ", one, two, "\n\n", one] {
        frames.send(Ok(piece.to_owned().into())).unwrap();
    }
    drop(frames);
    let (_, _, body) = world.post("/v1/messages", r#"{"model":"claude/m-1","stream":true}"#).await;
    assert_eq!(body, format!("data: {}\n\n{one}", "x".repeat(CANARY.len())));
    world.access.meter.settled().await;
    while let Ok(line) = world.log.try_recv() {
        seen += &line;
    }
    seen += &format!("{:?} {:?} {:?}", world.gateway, world.access, world.till);
    seen += &String::from_utf8_lossy(&lines.0.lock().unwrap());
    assert!(seen.contains("a model call is tried again"), "the log is being listened to");
    assert!(!seen.contains(CANARY));
    assert!(!seen.contains(&CANARY[3..]), "not even a part of it");
    assert!(world.upstream.asked().iter().all(|asked| asked.headers["x-api-key"] == CANARY));
}

#[tokio::test]
async fn the_guests_own_key_goes_nowhere() {
    let world = World::new().await;
    world.upstream.will(json_reply("{}"));
    let headers = [("authorization", "Bearer guest-secret"), ("x-api-key", "guest-secret"), ("cookie", "guest-secret")];
    let response = world.ask(http::Method::POST, "/v1/responses", &headers, r#"{"model":"gpt/m-2"}"#).await;
    let _ = response.into_body().collect().await.unwrap();
    let asked = &world.upstream.asked()[0];
    assert_eq!(asked.headers["authorization"], format!("Bearer {CANARY}"));
    assert!(asked.headers.values().all(|value| value != "guest-secret" && value != "Bearer guest-secret"));
}
