use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::*;
use crate::{
    adapter::slack::{Inbound, testing::Remembers},
    digest::hex,
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

struct World {
    url: String,
    receiver: Remembers,
    http: reqwest::Client,
}

fn sign(secret: &str, at: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{at}:{body}").as_bytes());
    format!("v0={}", hex(&mac.finalize().into_bytes()))
}

impl World {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
        let receiver = Remembers::default();
        let secret = Secret::new("signing-secret".to_owned());
        tokio::spawn(serve(listener, secret, receiver.clone(), CancellationToken::new()));
        Self { url, receiver, http: crate::adapter::web::http().build().unwrap() }
    }

    fn request(&self, kind: &str, at: i64, secret: &str, body: &str) -> reqwest::RequestBuilder {
        let at = at.to_string();
        let signature = sign(secret, &at, body);
        self.http
            .post(&self.url)
            .header("content-type", kind)
            .header("x-slack-request-timestamp", at)
            .header("x-slack-signature", signature)
            .body(body.to_owned())
    }

    async fn send(&self, kind: &str, body: &str) -> (u16, String) {
        done(self.request(kind, now(), "signing-secret", body)).await
    }
}

fn now() -> i64 {
    SystemClock.now().0 / 1000
}

async fn done(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn event(id: &str) -> String {
    json!({"type": "event_callback", "event_id": id, "team_id": "T1",
        "event": {"type": "app_mention", "user": "U1", "channel": "C1", "ts": "1.1", "text": "ü & ö"}})
    .to_string()
}

#[tokio::test]
async fn all_three_kinds_come_in_by_one_address() {
    let world = World::start().await;
    assert_eq!(world.send(JSON, &event("Ev1")).await, (200, String::new()));
    let click = json!({"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "baton.approve", "action_ts": "5"}]});
    assert_eq!(world.send(FORM, &form(&[("payload", &click.to_string())])).await.0, 200);
    let command = form(&[("user_id", "U1"), ("command", "/baton"), ("text", "fix it & more"), ("trigger_id", "9.9")]);
    assert_eq!(world.send(FORM, &command).await.0, 200);
    let kept = world.receiver.kept();
    assert!(matches!(&kept[0].inbound, Ok(Inbound::Mention(said)) if said.text == "ü & ö"));
    assert!(matches!(&kept[1].inbound, Ok(Inbound::Click(click)) if click.action_id == "baton.approve"));
    assert!(matches!(&kept[2].inbound, Ok(Inbound::Command(slash)) if slash.text == "fix it & more"));
}

#[tokio::test]
async fn what_the_receiver_answers_is_the_body() {
    let world = World::start().await;
    let reply = json!({"response_action": "errors", "errors": {"reason": "say why"}});
    world.receiver.replies(reply.clone());
    let view = json!({"type": "view_submission", "user": {"id": "U1"}, "trigger_id": "1.1", "view": {"callback_id": "baton.reject"}});
    let (status, body) = world.send(FORM, &form(&[("payload", &view.to_string())])).await;
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (200, reply));
}

#[tokio::test]
async fn who_does_not_sign_rightly_learns_nothing() {
    let world = World::start().await;
    let body = event("Ev1");
    let right = sign("signing-secret", &now().to_string(), &body);
    let cases = [
        world.request(JSON, now(), "another-secret", &body),
        world.request(JSON, now() - 400, "signing-secret", &body),
        world.request(JSON, now() + 400, "signing-secret", &body),
        world.request(JSON, now(), "signing-secret", &body).body(body.replace("U1", "U2")),
        world.http.post(&world.url).body(body.clone()),
    ];
    for request in cases {
        let (status, said) = done(request).await;
        assert_eq!((status, said.as_str()), (401, ""));
        assert!(!said.contains(&right));
    }
    let challenge = json!({"type": "url_verification", "challenge": "c"}).to_string();
    assert_eq!(done(world.request(JSON, now(), "another-secret", &challenge)).await.0, 401);
    assert!(world.receiver.kept().is_empty());
}

#[tokio::test]
async fn slacks_probes_are_answered_and_not_kept() {
    let world = World::start().await;
    let challenge = json!({"type": "url_verification", "challenge": "abc", "token": "t"}).to_string();
    assert_eq!(world.send(JSON, &challenge).await, (200, r#"{"challenge":"abc"}"#.to_owned()));
    assert_eq!(world.send(FORM, "ssl_check=1&token=t").await.0, 200);
    assert!(world.receiver.kept().is_empty());
}

#[tokio::test]
async fn a_retry_is_acknowledged_and_not_acted_on_twice() {
    let world = World::start().await;
    world.send(JSON, &event("Ev1")).await;
    let again = world.request(JSON, now(), "signing-secret", &event("Ev1"));
    let again = again.header("x-slack-retry-num", "1").header("x-slack-retry-reason", "http_timeout");
    assert_eq!(done(again).await.0, 200);
    world.send(JSON, &event("Ev2")).await;
    world.receiver.until(|receiver| receiver.acted() == 2).await;
    assert_eq!(world.receiver.kept().len(), 2);
}

#[tokio::test]
async fn what_is_not_kept_is_not_acknowledged() {
    let world = World::start().await;
    world.receiver.full(true);
    assert_eq!(world.send(JSON, &event("Ev1")).await, (503, String::new()));
    world.receiver.full(false);
    assert_eq!(world.send(JSON, &event("Ev1")).await.0, 200);
    assert_eq!(world.receiver.kept().len(), 1);
}

#[tokio::test]
async fn signed_nonsense_is_kept_with_the_reason() {
    let world = World::start().await;
    assert_eq!(world.send(JSON, "{nonsense").await.0, 200);
    assert_eq!(world.send(FORM, "payload=%7Bnonsense").await.0, 200);
    assert_eq!(world.send(JSON, "[1]").await.0, 200);
    let why: Vec<String> = world.receiver.kept().into_iter().map(|one| one.inbound.unwrap_err()).collect();
    assert!(why[0].starts_with("it is not JSON") && why[1].starts_with("its payload is not JSON"), "{why:?}");
    assert_eq!(why[2], "the payload is not a JSON object");
}

#[tokio::test]
async fn large_bodies_and_other_methods_are_refused() {
    let world = World::start().await;
    assert_eq!(world.send(JSON, &"x".repeat(MAX_BODY + 1)).await.0, 413);
    assert_eq!(done(world.http.get(&world.url)).await.0, 405);
}
