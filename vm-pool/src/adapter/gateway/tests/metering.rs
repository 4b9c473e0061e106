//! What is reserved, counted and settled.

use bus_schemas::{
    settings::{ModelSetup, Provider, ProviderKind},
    v1::agent::{Resource, Spend, Tokens},
};
use http::StatusCode;
use serde_json::json;

use super::world::{QUICK, World, events, json_reply, parsed, provider, reply_with, serving};
use crate::port::Denied;

const CLAUDE: &str = r#"{"model":"claude/m-1","stream":true,"max_tokens":100}"#;
const GPT: &str = r#"{"model":"gpt/m-2","stream":true}"#;

#[tokio::test]
async fn a_stream_of_messages_is_counted_and_priced() {
    let world = World::new().await;
    world.upstream.will(events(concat!(
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":30,",
        "\"cache_read_input_tokens\":7,\"cache_creation\":{\"ephemeral_5m_input_tokens\":10,",
        "\"ephemeral_1h_input_tokens\":20},\"output_tokens\":1}}}\n\n",
        "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":15}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
    )));
    assert_eq!(world.post("/v1/messages", CLAUDE).await.0, 200);
    let tokens = Tokens { input: 25, output: 15, cache_write_5m: 10, cache_write_1h: 20, cache_read: 7 };
    let usd_nanos = 25 + 15 * 10 + 10 * 100 + 20 * 1_000 + 7 * 10_000;
    assert_eq!(world.settled().await, Spend { calls: 1, tokens, usd_nanos, price_assumed: false });
    let (_, estimate) = world.till.reserved.lock().unwrap()[0];
    let input = (CLAUDE.len() as u64).div_ceil(3);
    assert_eq!(estimate.tokens, Tokens { input, output: 100, ..Tokens::default() });
    assert_eq!((estimate.calls, estimate.usd_nanos), (1, input + 1_000));
}

#[tokio::test]
async fn both_openai_wires_are_counted() {
    let world = World::new().await;
    world.upstream.will(events(concat!(
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":20,",
        "\"prompt_tokens_details\":{\"cached_tokens\":60}}}\n\ndata: [DONE]\n\n",
    )));
    assert_eq!(world.post("/v1/chat/completions", GPT).await.0, 200);
    let want = Tokens { input: 40, output: 20, cache_read: 60, ..Tokens::default() };
    assert_eq!(world.settled().await.tokens, want);
    assert!(parsed(&world.upstream.asked()[0].body)["stream_options"]["include_usage"].as_bool().unwrap());

    let world = World::new().await;
    world.upstream.will(events(concat!(
        "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":50,\"output_tokens\":9,",
        "\"input_tokens_details\":{\"cached_tokens\":8}}}}\n\n",
    )));
    assert_eq!(world.post("/v1/responses", GPT).await.0, 200);
    let want = Tokens { input: 42, output: 9, cache_read: 8, ..Tokens::default() };
    assert_eq!(world.settled().await.tokens, want);
    assert_eq!(world.upstream.asked()[0].body, GPT.replace("gpt/m-2", "m-2"), "nothing is put in here");
}

#[tokio::test]
async fn a_whole_answer_is_counted() {
    let world = World::new().await;
    world.upstream.will(json_reply(r#"{"usage":{"input_tokens":3,"output_tokens":4}}"#));
    assert_eq!(world.post("/v1/messages", r#"{"model":"claude/m-1"}"#).await.0, 200);
    let spent = world.settled().await;
    assert_eq!((spent.tokens.input, spent.tokens.output, spent.usd_nanos), (3, 4, 43));
}

#[tokio::test]
async fn the_next_call_is_asked_for_after_the_last_one_is_settled() {
    let world = World::new().await;
    for calls in 1..=3_usize {
        world.upstream.will(json_reply(r#"{"usage":{"input_tokens":3,"output_tokens":4}}"#));
        assert_eq!(world.post("/v1/messages", r#"{"model":"claude/m-1"}"#).await.0, 200);
        let settled = world.till.settled.borrow().len();
        assert!(settled >= calls - 1, "{settled} of {calls}");
    }
    world.access.meter.settled().await;
    assert_eq!(world.till.settled.borrow().len(), 3);
    assert_eq!((world.access.meter.spent().calls, world.access.meter.spent().tokens.total()), (3, 21));
}

#[tokio::test]
async fn success_with_an_error_inside_is_passed_on_and_costs_nothing() {
    let world = World::new().await;
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    world.upstream.will(json_reply(error));
    let (status, _, body) = world.post("/v1/messages", r#"{"model":"claude/m-1"}"#).await;
    assert_eq!((status, body.as_ref()), (StatusCode::OK, error.as_bytes()));
    assert_eq!(world.settled().await.tokens, Tokens::default());
}

#[tokio::test]
async fn other_mistakes_are_the_guests_own() {
    let world = World::new().await;
    let error = r#"{"error":{"message":"no such parameter"}}"#;
    world.upstream.will(reply_with(400, &[("content-type", "application/json"), ("x-request-id", "r")], error));
    let (status, headers, body) = world.post("/v1/responses", GPT).await;
    assert_eq!((status, body.as_ref()), (StatusCode::BAD_REQUEST, error.as_bytes()));
    assert_eq!(headers["x-request-id"], "r");
    assert_eq!(world.settled().await, Spend::default());
}

#[tokio::test]
async fn what_the_provider_would_reach_by_itself_needs_leave() {
    let world = World::new().await;
    let search = r#"{"model":"m-1","tools":[ {"type":"web_search_20250305", "name":"web_search"}]}"#;
    for path in ["/v1/messages", "/v1/chat/completions", "/v1/responses"] {
        let body = search.replace("m-1", "claude/m-1");
        let (status, headers, body) = world.post(path, &body).await;
        assert_eq!((status, &headers["x-should-retry"]), (StatusCode::BAD_REQUEST, &"false".parse().unwrap()));
        let body = parsed(&body);
        assert_eq!(body["baton"], json!({ "code": "server_tools", "what": "web_search_20250305" }));
        assert_eq!(body["error"]["type"], "invalid_request_error");
    }
    assert!(world.upstream.asked().is_empty() && world.till.reserved.lock().unwrap().is_empty());

    let (upstream, url) = serving().await;
    let own = Provider { server_tools: Some(true), ..provider(ProviderKind::Anthropic, &url) };
    let mut setup = ModelSetup::default();
    setup.providers.insert("claude".to_owned(), own);
    let world = World::with(upstream, &setup, QUICK, &["claude/m-1"]);
    world.upstream.will(json_reply("{}"));
    assert_eq!(world.post("/v1/messages", search).await.0, 200);
    assert_eq!(world.upstream.asked()[0].body, search, "byte for byte");
}

#[tokio::test]
async fn without_money_nothing_is_asked() {
    for (path, status, kind) in [
        ("/v1/messages", 402, "billing_error"),
        ("/v1/chat/completions", 402, "insufficient_quota"),
        ("/v1/responses", 429, "insufficient_quota"),
    ] {
        let world = World::new().await;
        let denied = Denied::Limit { task_key: "build".to_owned(), resource: Resource::Usd, used: 12, limit: 10 };
        *world.till.denial.lock().unwrap() = Some(denied);
        let (got, headers, body) = world.post(path, GPT).await;
        assert_eq!(
            (got.as_u16(), &headers["x-should-retry"], headers.get("retry-after")),
            (status, &"false".parse().unwrap(), None)
        );
        let body = parsed(&body);
        assert_eq!(body["error"]["type"], kind);
        let baton = json!({ "code": "budget", "task_key": "build", "resource": "usd", "used": 12, "limit": 10 });
        assert_eq!(body["baton"], baton);
        assert!(world.upstream.asked().is_empty());
        world.access.meter.settled().await;
        assert!(world.till.settled.borrow().is_empty(), "what was denied is not settled");
    }
    let world = World::new().await;
    *world.till.denial.lock().unwrap() = Some(Denied::Stale);
    let (status, _, body) = world.post("/v1/messages", CLAUDE).await;
    assert_eq!((status, &parsed(&body)["baton"]["code"]), (StatusCode::FORBIDDEN, &json!("stale")));
    *world.till.denial.lock().unwrap() = Some(Denied::Failed { detail: "no".to_owned() });
    let (status, _, body) = world.post("/v1/messages", CLAUDE).await;
    let code = &parsed(&body)["baton"]["code"];
    assert_eq!((status, code), (StatusCode::INTERNAL_SERVER_ERROR, &json!("not_reserved")));
}
