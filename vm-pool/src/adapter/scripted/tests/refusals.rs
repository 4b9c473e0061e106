//! Faults, expectations, keys.

use serde_json::{Value, json};

use super::{super::Kind, answer, client, parse, post, request, start};

#[tokio::test]
async fn faults_happen_as_often_as_they_should_and_then_it_goes_well() {
    let running = start(
        r#"
[[conversation]]
[[conversation.turn]]
text = "well"
calls = [{ tool = "exec", input = { command = "true" } }]
[[conversation.turn.fault]]
kind = "status"
status = 429
retry_after = 7
times = 2
headers = { x-should-retry = "true" }
[[conversation.turn.fault]]
kind = "status"
status = 529
[[conversation.turn.fault]]
kind = "error_body_with_200"
message = "no credit"
[[conversation.turn.fault]]
kind = "empty"
[[conversation.turn.fault]]
kind = "invalid_tool_json"
[[conversation.turn.fault]]
kind = "hang"
ms = 1
"#,
    )
    .await;
    let body = request("messages", "x", 0, false);
    for _ in 0..2 {
        let response = post(&running, "messages", &body).await;
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"7".parse().unwrap()));
        assert_eq!(response.headers()["x-should-retry"], "true");
    }
    let overloaded = post(&running, "messages", &body).await;
    assert_eq!(overloaded.status(), 529);
    assert!(overloaded.text().await.unwrap().contains("overloaded_error"));
    assert_eq!(answer(&running, "messages", &body).await["error"]["message"], "no credit");
    assert_eq!(answer(&running, "messages", &body).await["content"], json!([]));
    assert!(answer(&running, "messages", &body).await["content"][1]["input"].is_string());
    assert_eq!(answer(&running, "messages", &body).await["content"][0]["text"], "well");
    let kinds: Vec<Option<Kind>> = running.requests().iter().map(|seen| seen.fault).collect();
    assert_eq!(kinds[6..], [Some(Kind::Hang), None]);
    assert_eq!(running.given("#1"), [(1, 1)]);
}

#[tokio::test]
async fn a_cut_stream_is_no_end_and_an_error_comes_as_an_event() {
    for wire in ["messages", "chat", "responses"] {
        let running = start(
            "[[conversation]]\n[[conversation.turn]]\ntext = 'a long enough text to be more than a piece or two'\n\
             [[conversation.turn.fault]]\nkind = 'cut'\nafter_events = 2\ntimes = 2\n\
             [[conversation.turn.fault]]\nkind = 'error_event'\n",
        )
        .await;
        let mut response = post(&running, wire, &request(wire, "x", 0, true)).await;
        let mut bytes = Vec::new();
        let broken = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend(chunk),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert!(broken, "{wire}: a cut must not look like an end");
        assert_eq!(parse(&String::from_utf8(bytes).unwrap()).len(), 2, "{wire}");
        let whole = post(&running, wire, &request(wire, "x", 0, false)).await;
        assert!(whole.bytes().await.is_err(), "{wire}: cut in one piece");
        let text = post(&running, wire, &request(wire, "x", 0, true)).await.text().await.unwrap();
        assert!(text.contains("Overloaded") && !text.contains("[DONE]"), "{wire}: {text}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_as_expected_is_refused_and_recorded() {
    let running = start(
        r#"
[expect]
absent = ["CANARY"]
[[conversation]]
[conversation.expect]
model = "m"
[[conversation.turn]]
text = "fine"
expect = { last = ["ok"], tools = ["exec", "read"], wire = "chat_completions", headers = { x-a = "" }, no_headers = ["x-b"] }
"#,
    )
    .await;
    let client = client();
    let send = |body: Value, headers: &[(&'static str, &'static str)]| {
        let mut request = client.post(format!("{}/v1/chat/completions", running.url)).json(&body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(send(request("chat", "ok", 0, false), &[("x-a", "1")]).await, 200);
    assert_eq!(running.failures(), Vec::<String>::new());
    let mut other = request("chat", "a CANARY sings", 0, false);
    other["model"] = "n".into();
    other["tools"] = Value::Null;
    assert_eq!(send(other, &[("x-b", "a CANARY")]).await, 400);
    let failures = running.failures().join("\n");
    for wanted in [
        "header x-b contains entry 1 of `absent`",
        "the body contains entry 1",
        "the model is \"n\"",
        "tool exec is not offered",
        "header x-a is missing",
        "header x-b is there",
        "the last message does not contain \"ok\"",
    ] {
        assert!(failures.contains(wanted), "{wanted:?} is not in {failures}");
    }
    assert_eq!(send(json!({"model": "m", "messages": []}), &[]).await, 400);
    let unanswered = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "a"}]});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "ok"}, unanswered]});
    assert_eq!(send(body, &[]).await, 400);
    assert!(running.failures().last().unwrap().contains("without an answer: a"));
}

#[tokio::test]
async fn a_key_is_required_and_models_are_listed() {
    let running =
        start("models = ['one', 'two']\nrequire_key = 'k'\n[[conversation]]\n[[conversation.turn]]\ntext = 'hi'\n")
            .await;
    let client = client();
    let send = |name: &'static str, value: &'static str| {
        let request = client.post(format!("{}/v1/messages", running.url)).header(name, value);
        let request = request.json(&request_of_one());
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(send("x-api-key", "wrong").await, 401);
    assert_eq!(send("x-api-key", "k").await, 200);
    assert_eq!(send("authorization", "Bearer k").await, 200);
    let listed = client.get(format!("{}/v1/models", running.url)).send().await.unwrap().text().await.unwrap();
    assert!(listed.contains("\"one\"") && listed.contains("\"two\""), "{listed}");
    assert!(running.failures().is_empty(), "a wrong key is no failure of the script");
}

fn request_of_one() -> Value {
    request("messages", "x", 0, false)
}
