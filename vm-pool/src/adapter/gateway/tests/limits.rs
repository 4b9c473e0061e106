//! What the gateway does when the provider will not.

use http::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;

use super::world::{QUICK, World, json_reply, parsed, provider, reply_with};
use crate::governor::Tuning;

const ASK: &str = r#"{"model":"claude/m-1"}"#;
const FINE: &str = r#"{"usage":{"input_tokens":3,"output_tokens":4}}"#;

#[tokio::test]
async fn what_passes_is_waited_for_under_one_reservation() {
    for (status, headers) in [
        (429, &[("retry-after", "0")][..]),
        (429, &[]),
        (500, &[]),
        (502, &[]),
        (503, &[("retry-after-ms", "1")]),
        (529, &[]),
    ] {
        let mut world = World::new().await;
        world.upstream.will(reply_with(status, headers, "{\"error\":{}}"));
        world.upstream.will(reply_with(status, headers, "<html>"));
        world.upstream.will(json_reply(FINE));
        let (got, _, body) = world.post("/v1/messages", ASK).await;
        assert_eq!((got, body.as_ref()), (StatusCode::OK, FINE.as_bytes()), "{status}");
        assert_eq!(world.upstream.asked().len(), 3);
        assert_eq!(world.settled().await.tokens.total(), 7);
        assert!(world.log.recv().await.unwrap().starts_with(&format!("claude: answered {status}")));
    }
}

#[tokio::test]
async fn what_does_not_pass_in_time_is_put_off() {
    let world = World::tuned(Tuning { hold_ms: 30, ..QUICK }).await;
    for _ in 0..100 {
        world.upstream.will(reply_with(429, &[], "{}"));
    }
    let (status, headers, body) = world.post("/v1/chat/completions", r#"{"model":"gpt/m-2"}"#).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let body = parsed(&body);
    assert_eq!((&body["baton"]["code"], &body["baton"]["provider"]), (&json!("rate_limited"), &json!("gpt")));
    assert!(body["baton"]["resume_at"].as_i64().unwrap() > jiff::Timestamp::now().as_millisecond());
    assert!(headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 9);
    assert_eq!(world.settled().await.calls, 0, "a call that was not made costs nothing");
}

#[tokio::test]
async fn a_long_wait_is_not_begun() {
    let world = World::new().await;
    world.upstream.will(reply_with(429, &[("retry-after", "600")], "{}"));
    let (status, _, body) = world.post("/v1/messages", ASK).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let resume_at = parsed(&body)["baton"]["resume_at"].as_i64().unwrap();
    assert!(resume_at >= jiff::Timestamp::now().as_millisecond() + 590_000);
    // The other provider with another key is not affected; this one is not asked again.
    world.upstream.will(json_reply(FINE));
    assert_eq!(world.post("/v1/chat/completions", r#"{"model":"gpt/m-2"}"#).await.0, 200);
    assert_eq!(world.post("/v1/messages", ASK).await.0, 429);
    assert_eq!(world.upstream.asked().len(), 2);
    assert_eq!(world.till.reserved.lock().unwrap().len(), 2, "no money is held for a call that is not let through");
}

#[tokio::test]
async fn near_its_end_an_attempt_is_put_off_instead_of_held() {
    let mut world = World::new().await;
    let left = std::time::Duration::from_secs(20);
    std::sync::Arc::get_mut(&mut world.access).unwrap().deadline = Some(tokio::time::Instant::now() + left);
    world.upstream.will(json_reply(FINE));
    assert_eq!(world.post("/v1/messages", ASK).await.0, 200, "what need not wait is let through");
    world.upstream.will(reply_with(429, &[("retry-after", "15")], "{}"));
    let (status, _, body) = world.post("/v1/messages", ASK).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(parsed(&body)["baton"]["code"], "rate_limited");
    assert_eq!(world.upstream.asked().len(), 2);
}

#[tokio::test]
async fn refusals_are_passed_on_with_a_word_of_our_own() {
    for (status, body) in [
        (401, r#"{"type":"error","error":{"type":"authentication_error","message":"no"}}"#),
        (402, "{}"),
        (403, "<html>forbidden</html>"),
        (404, r#"{"error":{"message":"no such model"}}"#),
        (429, r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}"#),
    ] {
        let world = World::new().await;
        world.upstream.will(reply_with(status, &[("content-type", "text/html")], body));
        let (got, headers, answer) = world.post("/v1/messages", ASK).await;
        assert_eq!((got.as_u16(), &headers["x-should-retry"]), (status, &"false".parse().unwrap()));
        let answer = parsed(&answer);
        let baton = json!({ "code": "provider_refused", "provider": "claude", "status": status });
        assert_eq!(answer["baton"], baton);
        assert!(status != 401 || answer["error"]["type"] == "authentication_error");
        assert!(status != 403 || answer["error"]["message"] == "<html>forbidden</html>");
        assert_eq!(world.upstream.asked().len(), 1, "{status} is not tried again");
        assert_eq!(world.settled().await.calls, 0);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let world = World::new().await;
    world.upstream.will(reply_with(307, &[("location", "http://127.0.0.1:1/v1/messages")], ""));
    let (status, _, body) = world.post("/v1/messages", ASK).await;
    assert_eq!(status, StatusCode::TEMPORARY_REDIRECT);
    assert!(parsed(&body)["error"]["message"].as_str().unwrap().contains("providers.claude.base_url"));
    assert_eq!(world.upstream.asked().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut setup = bus_schemas::settings::ModelSetup::default();
    let kind = bus_schemas::settings::ProviderKind::OpenaiCompatible;
    setup.providers.insert("lab".to_owned(), provider(kind, &format!("http://{address}/v1")));
    let mut world = World::with(std::sync::Arc::default(), &setup, QUICK, &["lab/m"]);
    let (gateway, access) = (world.gateway.clone(), world.access.clone());
    let call = tokio::spawn(async move {
        let (guest, host) = tokio::io::duplex(1_000);
        tokio::spawn(async move { gateway.serve(host, access).await });
        let io = hyper_util::rt::TokioIo::new(guest);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let body = http_body_util::Full::new(bytes::Bytes::from_static(b"{\"model\":\"m\"}"));
        let request = http::Request::post("/v1/chat/completions").body(body).unwrap();
        sender.send_request(request).await.unwrap().status()
    });
    assert!(world.log.recv().await.unwrap().contains("lab: "), "the person is told");
    let listener = TcpListener::bind(address).await.unwrap();
    let router = axum::Router::new().fallback(|| async { "{}" });
    tokio::spawn(async move { axum::serve(listener, router).await });
    assert_eq!(call.await.unwrap(), StatusCode::OK);
}
