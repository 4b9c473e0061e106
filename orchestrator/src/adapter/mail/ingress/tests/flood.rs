//! Floods at one door, and requests that are refused before their bodies are read.

use std::fmt::Write as _;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    super::sendgrid::{SIGNATURE, TIMESTAMP},
    *,
};

/// A request of which only this much of the body comes.
async fn begun(server: &Server, path: &str, headers: &[(&str, &str)], length: usize, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    // The server may answer, and hang up, before all of it is sent.
    drop(stream.write_all(body).await);
    stream
}

/// The status and the text that come while the body does not.
async fn answered(mut stream: TcpStream) -> (u16, String) {
    let mut answer = Vec::new();
    while !answer.windows(2).any(|end| end == b".\n") {
        let mut piece = [0; 1024];
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "it hung up: {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..read]);
    }
    let answer = String::from_utf8(answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), text.to_owned())
}

#[tokio::test]
async fn what_can_be_refused_by_its_head_is_refused_before_its_body_comes() {
    let server = Server::start().await;
    let fresh = (now().0 / 1000).to_string();
    let old = (now().0 / 1000 - 301).to_string();
    let signature = BASE64_STANDARD.encode([1; 70]);
    let long = BASE64_STANDARD.encode([1; 73]);
    let form = ("Content-Type", "multipart/form-data; boundary=B");
    for (path, headers, status) in [
        ("/in/postmark", vec![], 401),
        ("/in/mailgun", vec![("Content-Type", "application/json")], 401),
        ("/in/sendgrid", vec![form], 401),
        ("/in/sendgrid", vec![form, (TIMESTAMP, &fresh), (SIGNATURE, "no base64!")], 401),
        ("/in/sendgrid", vec![form, (TIMESTAMP, &fresh), (SIGNATURE, &long)], 401),
        ("/in/sendgrid", vec![form, (TIMESTAMP, &old), (SIGNATURE, &signature)], 503),
        ("/in/ses", vec![], 401),
        ("/in/ses", vec![(sns::TOPIC, "arn:aws:sns:eu-west-1:123456789012:other")], 401),
    ] {
        let stream = begun(&server, path, &headers, 1000, b"").await;
        let (found, text) = answered(stream).await;
        assert_eq!(found, status, "{path} {headers:?}: {text}");
        assert!(text.ends_with(".\n") && text.len() > 20, "{text:?} says why");
    }
    let large = begun(&server, "/in/mailgun", &[form], 3 * MAX_MAIL + (2 << 20), b"").await;
    assert_eq!(answered(large).await.0, 413);
    let other = begun(&server, "/in/nobody", &[], 1000, b"");
    let mut stream = other.await;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 404");
}

#[tokio::test]
async fn a_flood_at_one_door_leaves_the_others_open() {
    let server = Server::start().await;
    let form = ("Content-Type", "multipart/form-data; boundary=B");
    let part = vec![b'x'; 500_000];
    // Bodies that begin, and never end, until there is no room at this door.
    let mut held = Vec::new();
    loop {
        held.push(begun(&server, "/in/mailgun", &[form], part.len() + 1, &part).await);
        let last = held.last_mut().unwrap();
        let mut start = [0; 12];
        let answer = tokio::time::timeout(std::time::Duration::from_millis(100), last.read_exact(&mut start)).await;
        if answer.is_ok() {
            assert_eq!(&start, b"HTTP/1.1 503");
            break;
        }
        assert!(held.len() < 20, "all of it together is far more than there is room for");
    }
    let inbound = json!({ "OriginalRecipient": "baton@example.com", "RawEmail": RAW });
    let postmark = server.post("/in/postmark").basic_auth("hook", Some("s3cret")).json(&inbound);
    assert_eq!(status(postmark).await, 200);
    let mailgun = || server.post("/in/mailgun").header(form.0, form.1).body(vec![b'y'; 500_000]);
    let full = mailgun().send().await.unwrap();
    assert_eq!((full.status().as_u16(), full.headers()["retry-after"].to_str().unwrap()), (503, "60"));
    assert!(full.text().await.unwrap().starts_with("Too many mails of this service"));
    drop(held);
    while status(mailgun()).await == 503 {
        tokio::task::yield_now().await;
    }
}
