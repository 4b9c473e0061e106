//! Connections of programs to their host's services.

use bus_schemas::v1::guest::Service;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::rig::{Rig, bash};

#[tokio::test]
async fn a_script_with_a_network_speaks_to_the_proxy() {
    let mut rig = Rig::with(&[]).await;
    let mut wishes = rig.wishes.take().expect("wishes");
    let mut work = bash(
        "python3 - <<'END'\nimport urllib.request\nprint(urllib.request.urlopen('http://example.org/a').read().decode())\nEND",
    );
    work.network = vec!["example.org".into()];
    let proxy = tokio::spawn(async move {
        let mut connection = wishes.connections.recv().await.expect("a connection");
        assert_eq!(connection.service, Service::Proxy);
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(connection.stream.read_u8().await.expect("a request"));
        }
        let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";
        connection.stream.write_all(answer).await.expect("answered");
        connection.stream.shutdown().await.expect("ended");
        String::from_utf8(request).expect("text")
    });
    let finished = rig.run(work).await;
    assert_eq!(finished.exit_code, Some(0), "{}", rig.text("stderr"));
    assert_eq!(rig.text("stdout"), "hello\n");
    let request = proxy.await.expect("joined");
    assert!(request.starts_with("GET http://example.org/a HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn a_script_without_one_is_not_told_of_it() {
    let mut rig = Rig::with(&[]).await;
    rig.run(bash("env | grep -i proxy || echo none")).await;
    assert_eq!(rig.text("stdout"), "none\n");
}
