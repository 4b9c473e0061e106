//! What goes through, and how.

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;

use super::world::{CANARY, World, json_reply, parsed, reply_with, stream_reply};

#[tokio::test]
async fn bytes_pass_as_they_are() {
    let world = World::new().await;
    let answer =
        "{ \"id\" : \"x\",\n\t\"usage\": {\"input_tokens\": 1.0e0, \"output_tokens\":2}, \"é\":\"\\u00e9\" }\n";
    world.upstream.will(reply_with(
        200,
        &[("content-type", "application/json"), ("request-id", "req_1"), ("anthropic-ratelimit-x", "7")],
        answer,
    ));
    let body = "{\"unknown\":[1.50, {\"model\":\"claude/m-1\"}],  \"model\" : \"claude/m-1\",\n\"max_tokens\":5 }\n";
    let headers = [
        ("x-api-key", "guest"),
        ("authorization", "Bearer guest"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "one,two"),
        ("x-stainless-retry-count", "0"),
        ("content-type", "application/json"),
    ];
    let response = world.ask(Method::POST, "/v1/messages?beta=true", &headers, body).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["request-id"], "req_1");
    assert_eq!(response.headers()["anthropic-ratelimit-x"], "7");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), answer);

    let asked = world.upstream.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].uri, "/v1/messages?beta=true");
    let want = body.replace("\"model\" : \"claude/m-1\"", "\"model\" : \"m-1\"");
    assert_eq!(asked[0].body, want.as_bytes());
    let got = |name: &str| asked[0].headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(got("x-api-key").as_deref(), Some(CANARY));
    assert_eq!(got("anthropic-beta").as_deref(), Some("one,two"));
    assert_eq!(got("x-stainless-retry-count").as_deref(), Some("0"));
    assert_eq!((got("authorization"), got("accept-encoding")), (None, None));
}

#[tokio::test]
async fn a_frame_arrives_before_the_next_one_is_sent() {
    let world = World::new().await;
    let (frames, reply) = stream_reply();
    world.upstream.will(reply);
    let body = r#"{"model":"claude/m-1","stream":true}"#;
    let response = world.ask(Method::POST, "/v1/messages", &[], body).await;
    let mut body = response.into_body();
    for frame in [&b"data: one\n\n"[..], b"data: tw", b"o\n\n"] {
        frames.send(Ok(Bytes::from_static(frame))).unwrap();
        // The provider has not ended, and sends nothing more until this has come.
        let got = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(got, frame);
    }
    drop(frames);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_cut_stream_is_cut_here_too() {
    let world = World::new().await;
    let (frames, reply) = stream_reply();
    world.upstream.will(reply);
    let body = r#"{"model":"lab/org/m-3","stream":true}"#;
    let response = world.ask(Method::POST, "/v1/chat/completions", &[], body).await;
    let mut down = response.into_body();
    frames.send(Ok(Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"abcdef\"}}]}\n\n"))).unwrap();
    assert!(down.frame().await.unwrap().is_ok());
    frames.send(Err(std::io::Error::other("gone"))).unwrap();
    assert!(down.frame().await.unwrap().is_err(), "never a clean end");
    let spent = world.settled().await;
    let sent = world.upstream.asked()[0].body.len();
    assert!(spent.tokens.input > 0 && spent.tokens.input <= sent as u64, "{spent:?}");
    assert_eq!((spent.calls, spent.tokens.output), (1, 2));
}

#[tokio::test]
async fn a_guest_that_goes_away_pays_for_what_it_got() {
    let world = World::new().await;
    let (frames, reply) = stream_reply();
    world.upstream.will(reply);
    let body = r#"{"model":"claude/m-1","stream":true}"#;
    let response = world.ask(Method::POST, "/v1/messages", &[], body).await;
    let mut down = response.into_body();
    let delta = "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"abcdef\"}}\n\n";
    frames.send(Ok(delta.into())).unwrap();
    assert!(down.frame().await.unwrap().is_ok());
    drop(down);
    world.access.stop.cancel();
    assert_eq!(world.settled().await.tokens.output, 2);
    frames.closed().await;
}

#[tokio::test]
async fn only_the_routes_are_there() {
    let world = World::new().await;
    for (method, path, status) in [
        (Method::GET, "/v1/responses", 426),
        (Method::GET, "/v1/messages", 404),
        (Method::HEAD, "/api/hello", 404),
        (Method::POST, "/v1/messages/count_tokens", 404),
        (Method::POST, "/v1/embeddings", 404),
        (Method::DELETE, "/v1/models", 404),
    ] {
        let response = world.ask(method, path, &[("upgrade", "websocket"), ("connection", "upgrade")], "").await;
        assert_eq!(response.status(), status, "{path}");
    }
    let response = world.ask(Method::GET, "/v1/models?limit=1000", &[], "").await;
    let list = parsed(&response.into_body().collect().await.unwrap().to_bytes());
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["claude/m-1", "gpt/m-2", "lab/org/m-3"]);
    assert!(world.upstream.asked().is_empty());
}

#[tokio::test]
async fn a_model_goes_by_its_full_name_or_by_the_only_bare_one() {
    let mut world = World::new().await;
    for (asked, sent) in [("lab/org/m-3", "org/m-3"), ("org/m-3", "org/m-3"), ("m-2", "m-2")] {
        world.upstream.will(json_reply("{}"));
        let (status, ..) = world.post("/v1/chat/completions", &json!({ "model": asked }).to_string()).await;
        assert_eq!(status, 200, "{asked}");
        assert_eq!(parsed(&world.upstream.asked().last().unwrap().body)["model"], sent);
    }
    let access =
        super::super::Access { models: vec!["claude/m-1".to_owned(), "gpt/m-1".to_owned()], ..(*world.access).clone() };
    world.access = access.into();
    for unknown in ["m-1", "m-2", "gpt/m-2", "claude-haiku-5-5", "../m-1"] {
        let (status, headers, body) = world.post("/v1/responses", &json!({ "model": unknown }).to_string()).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{unknown}");
        assert_eq!(headers["x-should-retry"], "false");
        let body = parsed(&body);
        assert_eq!(body["baton"], json!({ "code": "model_unknown", "allowed": ["claude/m-1", "gpt/m-1"] }));
        assert!(body["error"]["message"].as_str().unwrap().contains("claude/m-1, gpt/m-1"));
    }
}

#[tokio::test]
async fn bad_requests_go_nowhere() {
    let world = World::new().await;
    for body in ["", "[]", "{", r#"{"model":1}"#, r#"{"model":"claude/m-1","model":"gpt/m-2"}"#] {
        let (status, _, answer) = world.post("/v1/messages", body).await;
        assert_eq!(
            (status, &parsed(&answer)["error"]["type"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_request_error"))
        );
    }
    let large = vec![b' '; super::super::serve::MAX_BODY + 1];
    let response = world.ask(Method::POST, "/v1/messages", &[], large).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let long = "x".repeat(100_000);
    let response = world.ask(Method::POST, "/v1/messages", &[("x-long", &long)], "{}").await;
    assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert!(world.upstream.asked().is_empty() && world.till.reserved.lock().unwrap().is_empty());
}
