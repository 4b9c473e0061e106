use axum::{
    http::{StatusCode, header},
    response::{IntoResponse as _, Redirect},
};

use super::*;
use crate::adapter::slack::{
    testing::Api,
    web::{Message, Place, Search, SlackWeb as _, Upload},
};

fn message() -> Message {
    let blocks = vec![json!({"type": "section", "text": {"type": "mrkdwn", "text": "*hi*"}})];
    Message { channel: "C1".into(), text: "hi".into(), blocks, ..Message::default() }
}

fn refusal(error: &str) -> axum::Json<Value> {
    axum::Json(json!({"ok": false, "error": error}))
}

#[tokio::test]
async fn a_message_goes_out_as_it_is_and_nothing_is_unfolded() {
    let api = Api::start().await;
    let web = api.client();
    assert_eq!(web.post(&message()).await, Ok(Place { channel: "C1".into(), ts: "1.1".into() }));
    let metadata = json!({"event_type": "baton_card", "event_payload": {"approval_id": "x"}});
    let answer = Message {
        thread_ts: Some("0.9".into()),
        metadata: Some(metadata.clone()),
        blocks: Vec::new(),
        broadcast: true,
        ..message()
    };
    web.post(&answer).await.unwrap();
    let asked = api.asked("chat.postMessage");
    let blocks = message().blocks;
    assert_eq!(
        asked[0].json(),
        json!({"channel": "C1", "text": "hi", "blocks": blocks, "unfurl_links": false, "unfurl_media": false})
    );
    assert_eq!(asked[0].bearer(), "Bearer xoxb-secret");
    assert_eq!(
        asked[1].json(),
        json!({"channel": "C1", "thread_ts": "0.9", "text": "hi", "metadata": metadata, "reply_broadcast": true,
            "unfurl_links": false, "unfurl_media": false})
    );
    web.update(&Place { channel: "C1".into(), ts: "1.1".into() }, "done", &[]).await.unwrap();
    assert_eq!(api.asked("chat.update")[0].json()["blocks"], json!([]), "an empty list takes the buttons away");
    assert!(!format!("{web:?}").contains("secret"));
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_and_only_so_long() {
    let api = Api::start().await;
    let web = api.client();
    let limited =
        |after: &'static str| (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, after)], refusal("ratelimited"));
    api.will("chat.postMessage", limited("0"));
    api.will("chat.postMessage", (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "0")], "slow down"));
    assert!(web.post(&message()).await.is_ok());
    assert_eq!(api.asked("chat.postMessage").len(), 3, "a message that was limited was not posted: it is tried again");
    // Another channel's messages go on, this one's wait longer than a call may take.
    api.will("chat.postMessage", limited("3600"));
    let error = web.post(&message()).await.unwrap_err();
    assert!(matches!(error, SlackError::RateLimited { retry_after, .. } if retry_after > Duration::from_secs(3590)));
    let elsewhere = Message { channel: "C2".into(), ..message() };
    assert!(web.post(&elsewhere).await.is_ok());
    let asked = api.asked("chat.postMessage").len();
    assert!(matches!(web.post(&message()).await, Err(SlackError::RateLimited { .. })));
    assert_eq!(api.asked("chat.postMessage").len(), asked, "Slack is left alone until then");
}

#[tokio::test]
async fn only_what_cannot_be_done_twice_by_that_is_tried_again() {
    let api = Api::start().await;
    let web = api.client();
    let place = Place { channel: "C1".into(), ts: "1.1".into() };
    api.will("chat.update", StatusCode::BAD_GATEWAY);
    api.will("chat.update", refusal("internal_error"));
    assert_eq!(web.update(&place, "x", &[]).await, Ok(()));
    assert_eq!(api.asked("chat.update").len(), 3);
    for answer in [StatusCode::BAD_GATEWAY.into_response(), refusal("fatal_error").into_response()] {
        api.will("chat.postMessage", answer);
        assert!(matches!(web.post(&message()).await, Err(SlackError::Unknown { .. })));
    }
    // Posted, but where?
    api.will("chat.postMessage", axum::Json(json!({"ok": true})));
    assert!(matches!(web.post(&message()).await, Err(SlackError::Unknown { .. })));
    assert_eq!(api.asked("chat.postMessage").len(), 3);
    // Not even begun.
    api.will("chat.postMessage", StatusCode::SERVICE_UNAVAILABLE);
    assert!(web.post(&message()).await.is_ok());
    assert_eq!(api.asked("chat.postMessage").len(), 5);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_unknown_and_nobody_at_all_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Patience {
        attempt: Duration::from_millis(100),
        call: Duration::from_millis(300),
        trigger: Duration::from_millis(100),
        backoff: Duration::from_millis(10),
    };
    let access = Access {
        api_url: format!("http://{address}/api"),
        bot_token: Secret::new("xoxb-1".into()),
        app_token: None,
        patience,
    };
    let web = Morphism::new(&access).unwrap();
    // It listens and never answers.
    assert!(matches!(web.post(&message()).await, Err(SlackError::Unknown { .. })));
    assert!(matches!(web.user("U1").await, Err(SlackError::Transport { .. })));
    drop(listener);
    // A busy machine may need longer to say that nobody is there than the server above was given to answer.
    let patience = Patience { attempt: Duration::from_secs(30), call: Duration::from_secs(2), ..patience };
    let web = Morphism::new(&Access { patience, ..access }).unwrap();
    assert!(matches!(web.post(&message()).await, Err(SlackError::Transport { .. })));
    assert!(matches!(web.open_socket().await, Err(SlackError::Refused { .. })), "no app token");
}

#[tokio::test]
async fn slacks_no_is_told_with_the_way_out() {
    let api = Api::start().await;
    let web = api.client();
    api.will(
        "conversations.info",
        axum::Json(json!({"ok": false, "error": "missing_scope", "needed": "channels:read"})),
    );
    let error = web.channel("C1").await.unwrap_err();
    assert_eq!(error.word(), Some("missing_scope"));
    assert!(error.to_string().contains("lacks channels:read"), "{error}");
    api.will("views.open", refusal("expired_trigger_id"));
    let error = web.open_view("1.2.3", &json!({"type": "modal"})).await.unwrap_err();
    assert!(error.to_string().contains("three seconds"), "{error}");
    api.will("users.info", "<html>a proxy's page</html>");
    assert!(matches!(web.user("U1").await, Err(SlackError::Unreadable { .. })));
}

#[tokio::test]
async fn questions_are_read_as_far_as_they_are_needed() {
    let api = Api::start().await;
    let web = api.client();
    api.will(
        "auth.test",
        (
            [("x-oauth-scopes", "chat:write, im:history")],
            axum::Json(json!({"ok": true, "team": "T",
        "team_id": "T1", "user_id": "UB", "bot_id": "B1", "url": "https://x.slack.com/"})),
        ),
    );
    let auth = web.auth().await.unwrap();
    assert_eq!(
        (auth.bot_user_id.as_str(), auth.scopes),
        ("UB", vec!["chat:write".to_owned(), "im:history".to_owned()])
    );
    api.will(
        "users.info",
        axum::Json(json!({"ok": true, "user": {"id": "U1", "name": "ann", "tz": "Europe/Berlin",
        "profile": {"email": "ann@example.org", "real_name": "Ann A"}}})),
    );
    let user = web.user("U1").await.unwrap();
    assert_eq!(
        (user.email.as_deref(), user.real_name.as_str(), user.deleted),
        (Some("ann@example.org"), "Ann A", false)
    );
    assert_eq!(api.asked("users.info")[0].query, "user=U1");
    api.will("views.open", axum::Json(json!({"ok": true, "view": {"id": "V1", "hash": "h"}})));
    assert_eq!(web.open_view("t", &json!({})).await, Ok(View { id: "V1".into(), hash: "h".into() }));
    api.will("apps.connections.open", axum::Json(json!({"ok": true, "url": "wss://wss.slack.com/link?ticket=1"})));
    assert_eq!(web.open_socket().await.as_deref(), Ok("wss://wss.slack.com/link?ticket=1"));
    assert_eq!(api.asked("apps.connections.open")[0].bearer(), "Bearer xapp-secret");
}

#[tokio::test]
async fn history_comes_page_by_page_with_its_metadata() {
    let api = Api::start().await;
    let web = api.client();
    let page = |ts: &str, cursor: &str| {
        axum::Json(json!({"ok": true, "messages": [{"ts": ts, "text": "x", "bot_id": "B1",
            "metadata": {"event_type": "baton_card", "event_payload": {"approval_id": ts}}}, {"text": "no ts"}],
            "response_metadata": {"next_cursor": cursor}}))
    };
    api.will("conversations.history", page("1.1", "next="));
    api.will("conversations.history", page("2.2", ""));
    let search = Search { channel: "C1".into(), oldest: Some("0.5".into()), limit: 50, thread_ts: None };
    let found = web.history(&search).await.unwrap();
    assert_eq!(found.iter().map(|one| one.ts.as_str()).collect::<Vec<_>>(), ["2.2", "1.1"]);
    assert_eq!(found[0].metadata.as_ref().unwrap()["event_payload"]["approval_id"], "2.2");
    let asked = api.asked("conversations.history");
    assert_eq!(asked[0].query, "channel=C1&limit=50&include_all_metadata=true&oldest=0.5");
    assert!(asked[1].query.ends_with("&cursor=next%3D"), "{}", asked[1].query);
    api.will("conversations.replies", page("1.1", ""));
    web.history(&Search { thread_ts: Some("1.0".into()), limit: 1, ..search }).await.unwrap();
    assert!(api.asked("conversations.replies")[0].query.contains("ts=1.0"));
}

#[tokio::test]
async fn a_file_goes_up_in_three_steps_and_its_address_gets_no_token() {
    let api = Api::start().await;
    let web = api.client();
    let address = api.url.replace("/api", "/upload/v1/abc");
    api.will("files.getUploadURLExternal", axum::Json(json!({"ok": true, "file_id": "F1", "upload_url": address})));
    api.will("/upload/v1/abc", "OK - 5");
    let upload = Upload {
        channel: "C1".into(),
        thread_ts: Some("1.1".into()),
        filename: "a.diff".into(),
        title: "the diff".into(),
        bytes: Bytes::from_static(b"hello"),
    };
    assert_eq!(web.upload(&upload).await.as_deref(), Ok("F1"));
    assert_eq!(api.asked("files.getUploadURLExternal")[0].query, "filename=a.diff&length=5");
    let sent = &api.asked("/upload/v1/abc")[0];
    assert_eq!((sent.body.as_slice(), sent.bearer()), (b"hello".as_slice(), ""));
    assert_eq!(
        api.asked("files.completeUploadExternal")[0].json(),
        json!({"files": [{"id": "F1", "title": "the diff"}], "channel_id": "C1", "thread_ts": "1.1"})
    );
    api.will(
        "files.getUploadURLExternal",
        axum::Json(json!({"ok": true, "file_id": "F1", "upload_url": "https://evil.example/u"})),
    );
    assert!(matches!(web.upload(&upload).await, Err(SlackError::Refused { .. })));
}

#[tokio::test]
async fn files_are_fetched_from_slack_only_and_only_so_much() {
    let api = Api::start().await;
    let web = api.client();
    let at = |path: &str| api.url.replace("/api", path);
    api.will("/files/a", "hello");
    assert_eq!(web.download(&at("/files/a"), 5).await, Ok(Bytes::from_static(b"hello")));
    assert_eq!(api.asked("/files/a")[0].bearer(), "Bearer xoxb-secret");
    let refused = |answer: Answer<Bytes>| match answer {
        Err(SlackError::Refused { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    api.will("/files/a", "hello!");
    assert_eq!(refused(web.download(&at("/files/a"), 5).await), "the file is larger than 5 bytes");
    let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 1024])));
    api.will("/files/a", axum::body::Body::from_stream(endless));
    assert_eq!(refused(web.download(&at("/files/a"), 4096).await), "the file is larger than 4096 bytes");
    api.will("/files/a", Redirect::temporary("http://127.0.0.2:9/steal"));
    assert_eq!(refused(web.download(&at("/files/a"), 5).await), "the file is said to be on another host");
    api.will("/files/a", Redirect::temporary("/files/b"));
    api.will("/files/b", "moved");
    assert_eq!(web.download(&at("/files/a"), 5).await, Ok(Bytes::from_static(b"moved")));
    api.will("/files/a", axum::response::Html("<form>sign in</form>"));
    assert!(refused(web.download(&at("/files/a"), 100).await).contains("files:read"));
    for elsewhere in ["https://evil.example/files/a", "http://169.254.169.254/", "file:///etc/passwd", "x"] {
        assert!(matches!(web.download(elsewhere, 5).await, Err(SlackError::Refused { .. })), "{elsewhere}");
    }
}

#[tokio::test]
async fn a_response_url_is_answered_without_a_token() {
    let api = Api::start().await;
    let web = api.client();
    let url = api.url.replace("/api", "/hook/1");
    api.will("/hook/1", "ok");
    assert_eq!(web.respond(&url, &json!({"text": "too late"})).await, Ok(()));
    assert_eq!(api.asked("/hook/1")[0].bearer(), "");
    assert!(matches!(web.respond("https://evil.example/", &json!({})).await, Err(SlackError::Refused { .. })));
    api.will("/hook/1", (StatusCode::NOT_FOUND, "expired_url"));
    assert!(matches!(web.respond(&url, &json!({})).await, Err(SlackError::Api { .. })));
}
