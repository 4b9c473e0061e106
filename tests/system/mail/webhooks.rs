//! Mail that a service hands on.

use harness::mail::{ANN, BATON};
use serde_json::{Value, json};

use super::{
    rig::{Office, browser, planner},
    written::Written,
};

const KEYS: &str = "webhooks = { postmark = \"postmark:open-sesame\" }\n";

async fn post(office: &Office, path: &str, password: Option<&str>, body: &Value) -> u16 {
    let request = browser().post(format!("{}{path}", office.url)).header("content-type", "application/json");
    let request = match password {
        Some(password) => request.basic_auth("postmark", Some(password)),
        None => request,
    };
    request.body(body.to_string()).send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn a_webhook_and_the_mailbox_lead_to_one_project() {
    let office = Office::setup().played(planner().0).keys(KEYS).open().await;
    let written = Written::new(ANN, BATON, "By two ways", "Do it once.\n");
    let signed = office.signer("team.test").sign(&written.raw());
    let body = json!({ "RawEmail": String::from_utf8(signed.clone()).expect("text"), "OriginalRecipient": BATON });
    for password in [None, Some("wrong")] {
        assert!([401, 403].contains(&post(&office, "/in/postmark", password, &body).await));
    }
    // Services that are not configured are not there.
    assert_ne!(post(&office, "/in/mailgun", None, &body).await, 200);
    assert_eq!(office.log(), [] as [Value; 0]);

    assert_eq!(post(&office, "/in/postmark", Some("open-sesame"), &body).await, 200);
    assert_eq!(office.outcome(&written).await["state"], "done");
    // The service tries again, and the mail comes into the mailbox, too.
    assert_eq!(post(&office, "/in/postmark", Some("open-sesame"), &body).await, 200);
    office.hands_on(ANN, BATON, &signed);
    let log = office.judged(2).await;
    assert_eq!((log.len(), office.projects().await), (2, 1));
}

#[tokio::test]
async fn a_webhook_believes_no_sender() {
    let office = Office::setup().played(planner().0).keys(KEYS).open().await;
    let forged = Written::new(ANN, BATON, "Forged", "Pay me.\n");
    let body =
        json!({ "RawEmail": String::from_utf8(forged.raw()).expect("text"), "From": ANN, "OriginalRecipient": BATON });
    assert_eq!(post(&office, "/in/postmark", Some("open-sesame"), &body).await, 200);
    office.put_aside(&forged, &["team.test"]).await;
    assert_eq!((office.projects().await, office.mail.mails(ANN).len()), (0, 0));
}
