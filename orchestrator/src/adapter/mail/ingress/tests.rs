//! The webhooks over real HTTP, each signed as its service signs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bus_schemas::time::UnixMs;
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use reqwest::RequestBuilder;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

mod flood;

use super::*;
use crate::{config::Secret, mail::letter::Source, port::journal::JournalError};

const RAW: &str = "From: Ann <ann@example.org>\r\nSubject: hello\r\n\r\nTidy up the docs.\r\n";
const NOW: &str = "2027-01-15T12:00:00Z";
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:mail";
const CERTIFICATE: &str = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem";
const MAX_MAIL: usize = 20_000;

fn now() -> UnixMs {
    UnixMs(NOW.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        now()
    }
}

#[derive(Default)]
struct World {
    kept: Vec<(Bytes, Delivery)>,
    is_broken: bool,
    documents: HashMap<String, Bytes>,
    fetched: Vec<String>,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<World>>);

impl Fake {
    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intake for Fake {
    async fn keep(&self, raw: Bytes, delivery: Delivery) -> Kept<()> {
        let mut world = self.world();
        if world.is_broken {
            return Err(JournalError::Full { operation: "keep a mail" });
        }
        world.kept.push((raw, delivery));
        Ok(())
    }
}

impl Fetch for Fake {
    async fn get(&self, url: &str) -> Result<Bytes, String> {
        let mut world = self.world();
        world.fetched.push(url.to_owned());
        world.documents.get(url).cloned().ok_or_else(|| format!("get {url}: nobody answers"))
    }
}

struct Server {
    url: String,
    fake: Fake,
    http: reqwest::Client,
    key: EcdsaKeyPair,
}

impl Server {
    async fn start() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let head = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
        let mut spki: Vec<u8> =
            (0..head.len()).step_by(2).map(|at| u8::from_str_radix(&head[at..at + 2], 16).unwrap()).collect();
        spki.extend_from_slice(key.public_key().as_ref());
        let fake = Fake::default();
        fake.world().documents.insert(CERTIFICATE.to_owned(), Bytes::from_static(include_bytes!("tests/sns.pem")));
        let secret = |text: &str| Some(Secret::new(text.to_owned()));
        let webhooks = Webhooks {
            postmark: secret("hook:s3cret"),
            mailgun: secret("key-123"),
            sendgrid: Some(BASE64_STANDARD.encode(spki)),
            ses: Some(TOPIC.to_owned()),
        };
        Self::with(fake, webhooks, key).await
    }

    async fn with(fake: Fake, webhooks: Webhooks, key: EcdsaKeyPair) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let doors =
            Doors { intake: fake.clone(), fetch: fake.clone(), clock: Arc::new(Fixed), webhooks, max_mail: MAX_MAIL };
        tokio::spawn(async move { axum::serve(listener, router(doors)).await });
        Self { url, fake, http: crate::adapter::web::http().build().unwrap(), key }
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.url))
    }

    fn kept(&self) -> Vec<(Bytes, Delivery)> {
        self.fake.world().kept.clone()
    }
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

fn multipart(fields: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend_from_slice(
            format!("--xYzZY\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--xYzZY--\r\n");
    ("multipart/form-data; boundary=xYzZY".to_owned(), body)
}

mod postmark {
    use super::*;

    fn inbound(raw: &str) -> Value {
        json!({ "From": "ann@example.org", "OriginalRecipient": "baton+abc@example.com", "RawEmail": raw,
            "Headers": [{ "Name": "Received-SPF", "Value": "Pass client-ip=1.2.3.4" }] })
    }

    #[tokio::test]
    async fn a_mail_comes_in_under_its_password() {
        let server = Server::start().await;
        let post = || server.post("/in/postmark").json(&inbound(RAW));
        assert_eq!(status(post().basic_auth("hook", Some("s3cret"))).await, 200);
        let kept = server.kept();
        assert_eq!(kept[0].0, RAW);
        let wanted = Delivery {
            source: Source::Postmark,
            rcpt_to: vec!["baton+abc@example.com".to_owned()],
            ..Delivery::default()
        };
        assert_eq!(kept[0].1, wanted, "nothing a sender can write is believed");
        assert_eq!(status(post()).await, 401);
        assert_eq!(status(post().basic_auth("hook", Some("s3cret "))).await, 401);
        assert_eq!(status(post().basic_auth("hook:s3cret", None::<&str>)).await, 401);
        assert_eq!(status(post().bearer_auth("hook:s3cret")).await, 401);
        assert_eq!(server.kept().len(), 1);
    }

    #[tokio::test]
    async fn what_is_not_whole_is_asked_for_again() {
        let server = Server::start().await;
        let post = |body: Value| server.post("/in/postmark").basic_auth("hook", Some("s3cret")).json(&body);
        assert_eq!(status(post(json!({ "From": "ann@example.org" }))).await, 503, "the setting is missing");
        assert_eq!(status(post(json!([1, 2]))).await, 503);
        server.fake.world().is_broken = true;
        assert_eq!(status(post(inbound(RAW))).await, 503, "the disk is full");
        server.fake.world().is_broken = false;
        assert_eq!(status(post(inbound(RAW))).await, 200);
        assert_eq!(status(post(inbound(&"x".repeat(MAX_MAIL + 1)))).await, 413);
        let huge =
            server.post("/in/postmark").basic_auth("hook", Some("s3cret")).body(vec![b' '; 3 * MAX_MAIL + (2 << 20)]);
        assert_eq!(status(huge).await, 413);
        assert_eq!(server.kept().len(), 1);
    }
}

mod mailgun {
    use super::*;

    fn signature(key: &str, timestamp: &str, token: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(format!("{timestamp}{token}").as_bytes());
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn fields(token: &str, offset_s: i64) -> Vec<(&'static str, Vec<u8>)> {
        let timestamp = (now().0 / 1000 + offset_s).to_string();
        let signature = signature("key-123", &timestamp, token);
        let text = |text: &str| text.as_bytes().to_vec();
        vec![
            ("recipient", text("baton+abc@example.com")),
            ("sender", text("ann@example.org")),
            ("timestamp", text(&timestamp)),
            ("token", text(token)),
            ("signature", text(&signature)),
            ("body-mime", [RAW.as_bytes(), b"caf\xe9"].concat()),
        ]
    }

    async fn send(server: &Server, path: &str, fields: &[(&str, Vec<u8>)]) -> u16 {
        let borrowed: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        let (kind, body) = multipart(&borrowed);
        status(server.post(path).header("content-type", kind).body(body)).await
    }

    #[tokio::test]
    async fn a_mail_comes_in_signed_in_both_forms() {
        let server = Server::start().await;
        assert_eq!(send(&server, "/in/mailgun/mime", &fields("one", 0)).await, 200);
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields("two", -299) {
            form.append_pair(name, &String::from_utf8_lossy(&value).replace('\u{fffd}', ""));
        }
        let request = server.post("/in/mailgun").header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(status(request.body(form.finish())).await, 200);
        let kept = server.kept();
        assert_eq!(kept[0].0, [RAW.as_bytes(), b"caf\xe9"].concat());
        assert_eq!(kept[1].0, [RAW, "caf"].concat());
        let delivery = &kept[0].1;
        assert_eq!((delivery.source, delivery.mail_from.as_deref()), (Source::Mailgun, Some("ann@example.org")));
        assert_eq!(delivery.rcpt_to, ["baton+abc@example.com"]);
    }

    #[tokio::test]
    async fn other_signatures_are_refused() {
        let server = Server::start().await;
        let mut forged = fields("one", 0);
        forged[4].1 = signature("key-124", &(now().0 / 1000).to_string(), "one").into_bytes();
        assert_eq!(send(&server, "/in/mailgun", &forged).await, 401);
        forged[4].1 = b"zz".to_vec();
        assert_eq!(send(&server, "/in/mailgun", &forged).await, 401);
        forged.remove(4);
        assert_eq!(send(&server, "/in/mailgun", &forged).await, 401);
        assert_eq!(status(server.post("/in/mailgun").json(&json!({}))).await, 401);
        for offset in [-301, 301] {
            assert_eq!(send(&server, "/in/mailgun", &fields("one", offset)).await, 503, "genuine, of another time");
        }
        let parsed: Vec<_> = fields("one", 0).into_iter().filter(|(name, _)| *name != "body-mime").collect();
        assert_eq!(send(&server, "/in/mailgun", &parsed).await, 503, "the route does not send whole mails");
        assert_eq!(server.kept(), []);
    }

    #[tokio::test]
    async fn a_token_is_good_for_one_mail() {
        let server = Server::start().await;
        server.fake.world().is_broken = true;
        assert_eq!(send(&server, "/in/mailgun", &fields("one", 0)).await, 503);
        server.fake.world().is_broken = false;
        assert_eq!(send(&server, "/in/mailgun", &fields("one", 0)).await, 200, "it was not kept, so it may come again");
        assert_eq!(send(&server, "/in/mailgun", &fields("one", 0)).await, 200, "our answer was lost");
        let mut other = fields("one", 0);
        other[5].1 = b"From: eve@example.org\r\n\r\nanother mail".to_vec();
        assert_eq!(send(&server, "/in/mailgun", &other).await, 403);
        assert_eq!(server.kept().len(), 1);
    }
}

mod sendgrid {
    use super::*;

    fn request(server: &Server, body: &[u8], kind: &str, offset_s: i64) -> RequestBuilder {
        let timestamp = (now().0 / 1000 + offset_s).to_string();
        let message = [timestamp.as_bytes(), body].concat();
        let signature = server.key.sign(&SystemRandom::new(), &message).unwrap();
        let request = server.post("/in/sendgrid").header("content-type", kind).body(body.to_vec());
        request.header(SIGNATURE, BASE64_STANDARD.encode(signature)).header(TIMESTAMP, timestamp)
    }

    use super::super::sendgrid::{SIGNATURE, TIMESTAMP};

    fn form(envelope: &str) -> (String, Vec<u8>) {
        let raw = [RAW.as_bytes(), b"caf\xe9"].concat();
        multipart(&[("sender_ip", b"192.0.2.7"), ("envelope", envelope.as_bytes()), ("email", &raw)])
    }

    #[tokio::test]
    async fn a_mail_comes_in_signed_with_its_envelope() {
        let server = Server::start().await;
        let (kind, body) = form("{\"to\":[\"baton+abc@example.com\"],\"from\":\"\"}");
        assert_eq!(status(request(&server, &body, &kind, 0)).await, 200);
        let kept = server.kept();
        assert_eq!(kept[0].0, [RAW.as_bytes(), b"caf\xe9"].concat());
        let wanted = Delivery {
            source: Source::Sendgrid,
            mail_from: Some(String::new()),
            rcpt_to: vec!["baton+abc@example.com".to_owned()],
            client_ip: Some("192.0.2.7".parse().unwrap()),
            ..Delivery::default()
        };
        assert_eq!(kept[0].1, wanted);
        let (kind, body) = form("not JSON");
        assert_eq!(status(request(&server, &body, &kind, 0)).await, 200);
        assert_eq!(server.kept()[1].1.mail_from, None, "a mail without an envelope is still a mail");
    }

    #[tokio::test]
    async fn what_was_changed_is_refused() {
        let server = Server::start().await;
        let (kind, body) = form("{}");
        let changed = request(&server, &body, &kind, 0).body(body.replace_first(b"ann@", b"eve@"));
        assert_eq!(status(changed).await, 401);
        let mut late = HeaderMap::new();
        late.insert(TIMESTAMP, (now().0 / 1000 + 1).into());
        let late = request(&server, &body, &kind, 0).headers(late);
        assert_eq!(status(late).await, 401, "the time is signed, too");
        let plain = server.post("/in/sendgrid").header("content-type", &kind).body(body.clone());
        assert_eq!(status(plain).await, 401);
        let other = Server::start().await;
        let signed = request(&other, &body, &kind, 0).build().unwrap();
        let mut sent = server.post("/in/sendgrid").headers(signed.headers().clone());
        sent = sent.body(body.clone());
        assert_eq!(status(sent).await, 401, "another key");
        assert_eq!(status(request(&server, &body, &kind, -301)).await, 503, "genuine, of another time");
        let (kind, body) = multipart(&[("text", b"parsed")]);
        assert_eq!(status(request(&server, &body, &kind, 0)).await, 503, "not the whole mail");
        assert_eq!(server.kept(), []);
    }

    trait Replace {
        fn replace_first(&self, from: &[u8], to: &[u8]) -> Vec<u8>;
    }

    impl Replace for Vec<u8> {
        fn replace_first(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
            let at = self.windows(from.len()).position(|window| window == from).unwrap();
            [&self[..at], to, &self[at + from.len()..]].concat()
        }
    }
}

mod ses {
    use super::*;

    fn message(text: &str) -> Value {
        json!({ "Type": "Notification", "MessageId": "m-1", "TopicArn": TOPIC, "Message": text,
            "Timestamp": "2027-01-15T11:59:30.000Z", "SignatureVersion": "2", "SigningCertURL": CERTIFICATE })
    }

    fn signed(mut message: Value) -> Value {
        let keys: &[&str] = match message["Type"].as_str() {
            Some("Notification") => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
            _ => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
        };
        let text: String =
            keys.iter().filter_map(|key| Some(format!("{key}\n{}\n", message.get(key)?.as_str()?))).collect();
        let key = RsaKeyPair::from_pkcs8(include_bytes!("tests/sns.key.der")).unwrap();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        message["Signature"] = BASE64_STANDARD.encode(signature).into();
        message
    }

    fn received(content: Option<&str>, encoding: &str) -> String {
        json!({ "notificationType": "Received", "content": content, "mail": { "source": "ann@example.org" },
            "receipt": { "recipients": ["baton+abc@example.com"], "action": { "type": "SNS", "encoding": encoding } } })
        .to_string()
    }

    async fn send(server: &Server, message: &Value) -> u16 {
        // SNS declares its JSON as text.
        let request = server.post("/in/ses").header("content-type", "text/plain; charset=UTF-8");
        status(request.header(sns::TOPIC, TOPIC).body(message.to_string())).await
    }

    #[tokio::test]
    async fn a_mail_comes_in_signed_in_both_ways() {
        let server = Server::start().await;
        let encoded = BASE64_STANDARD.encode([RAW.as_bytes(), b"caf\xe9"].concat());
        assert_eq!(send(&server, &signed(message(&received(Some(&encoded), "BASE64")))).await, 200);
        let old: Value = serde_json::from_str(include_str!("tests/sns_v1.json")).unwrap();
        assert_eq!(send(&server, &old).await, 200);
        let kept = server.kept();
        assert_eq!(kept[0].0, [RAW.as_bytes(), b"caf\xe9"].concat());
        assert!(kept[1].0.starts_with(b"From: ann@example.org\r\nSubject: old signature\r\n"));
        let delivery = &kept[0].1;
        assert_eq!((delivery.source, delivery.mail_from.as_deref()), (Source::Ses, Some("ann@example.org")));
        assert_eq!(delivery.rcpt_to, ["baton+abc@example.com"]);
        assert_eq!(server.fake.world().fetched, [CERTIFICATE], "a certificate is got once");
    }

    #[tokio::test]
    async fn what_is_not_of_our_topic_or_was_changed_is_refused() {
        let server = Server::start().await;
        let good = signed(message(&received(Some(RAW), "UTF8")));
        let with = |key: &str, value: &str| {
            let mut other = good.clone();
            other[key] = value.into();
            other
        };
        for (key, value) in [
            ("Message", received(Some("From: eve"), "UTF8").as_str()),
            ("MessageId", "m-2"),
            ("Subject", "more"),
            ("Timestamp", "2027-01-15T11:59:31.000Z"),
            ("Signature", "AAAA"),
            ("SignatureVersion", "1"),
            ("SignatureVersion", "3"),
            ("TopicArn", "arn:aws:sns:eu-west-1:123456789012:other"),
            ("SigningCertURL", "https://evil.example/SimpleNotificationService-ab.pem"),
        ] {
            assert_eq!(send(&server, &with(key, value)).await, 401, "{key} {value}");
        }
        assert_eq!(server.fake.world().fetched, [CERTIFICATE], "nobody else is asked for anything");
        assert_eq!(status(server.post("/in/ses").header(sns::TOPIC, TOPIC).body("{}")).await, 401);
        let mut old = message(&received(Some(RAW), "UTF8"));
        old["Timestamp"] = "2027-01-15T10:00:00.000Z".into();
        assert_eq!(send(&server, &signed(old)).await, 503, "genuine, of another time");
        assert_eq!(server.kept(), []);
    }

    #[tokio::test]
    async fn trouble_is_not_the_end_of_a_mail() {
        let server = Server::start().await;
        let good = signed(message(&received(Some(RAW), "UTF8")));
        let certificate = server.fake.world().documents.remove(CERTIFICATE).unwrap();
        assert_eq!(send(&server, &good).await, 503, "SNS cannot be reached");
        server.fake.world().documents.insert(CERTIFICATE.to_owned(), "no certificate".into());
        assert_eq!(send(&server, &good).await, 503);
        server.fake.world().documents.insert(CERTIFICATE.to_owned(), certificate);
        server.fake.world().is_broken = true;
        assert_eq!(send(&server, &good).await, 503, "the disk is full");
        server.fake.world().is_broken = false;
        assert_eq!(send(&server, &good).await, 200);
        assert_eq!(send(&server, &good).await, 200, "SNS repeats itself now and then");
        assert_eq!(server.kept().len(), 1);
        assert_eq!(send(&server, &signed(message(&received(None, "UTF8")))).await, 503, "an S3 action");
        for other in ["Successfully validated SNS topic", "{\"notificationType\":\"Bounce\"}"] {
            assert_eq!(send(&server, &signed(message(other))).await, 200, "nothing to keep: {other}");
        }
        assert_eq!(server.kept().len(), 1);
    }

    #[tokio::test]
    async fn a_subscription_of_our_topic_is_taken_up() {
        let server = Server::start().await;
        let url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t";
        server.fake.world().documents.insert(url.to_owned(), "<ok/>".into());
        let confirm = |url: &str| {
            let mut confirm = message("You have chosen to subscribe");
            confirm["Type"] = "SubscriptionConfirmation".into();
            confirm["SubscribeURL"] = url.into();
            confirm["Token"] = "t".into();
            signed(confirm)
        };
        assert_eq!(send(&server, &confirm(url)).await, 200);
        assert_eq!(server.fake.world().fetched, [CERTIFICATE, url]);
        assert_eq!(send(&server, &confirm("https://evil.example/?Action=ConfirmSubscription")).await, 401);
        let mut forged = confirm(url);
        forged["Token"] = "u".into();
        assert_eq!(send(&server, &forged).await, 401);
        assert_eq!(server.fake.world().fetched.len(), 2);
    }
}

#[tokio::test]
async fn a_service_without_a_key_is_not_there() {
    let Server { fake, key, .. } = Server::start().await;
    let server = Server::with(fake, Webhooks::default(), key).await;
    for path in ["/in/postmark", "/in/mailgun", "/in/sendgrid", "/in/ses", "/in/other"] {
        assert_eq!(status(server.post(path).body("x")).await, 404, "{path}");
        assert!(matches!(status(server.http.get(format!("{}{path}", server.url))).await, 404 | 405), "{path}");
    }
    assert_eq!(server.kept(), []);
}
