//! The server and its client.

use std::os::unix::fs::PermissionsExt as _;

use bus_schemas::v1::{
    api::{CancelRequest, DecisionRequest, Problem},
    approval::Verdict,
    project::ProjectState,
};
use futures::StreamExt as _;
use orchestrator::{
    adapter::web::{Client, ClientError, Endpoint, Listeners, ServerError, serve},
    config::Secret,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    fake::{DIGEST, Fake, approval_id},
    world::{PATIENCE, World, until},
};

/// A request by hand: what a client that is not ours may send.
async fn raw(world: &World, request: &str) -> (u16, String) {
    let mut socket = UnixStream::connect(world.socket()).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

fn body_of(answer: &str) -> Problem {
    assert!(answer.contains("application/problem+json"), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn the_socket_is_private_and_goes_away() {
    let mut world = World::served().await;
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(world.socket()), 0o600);
    assert_eq!(mode(world.path("run")), 0o700);
    assert!(matches!(Listeners::bind(&world.socket(), None).await, Err(ServerError::InUse { .. })));
    world.stop().await;
    assert!(!world.socket().exists());
    // One that a killed orchestrator left behind is no obstacle.
    drop(std::os::unix::net::UnixListener::bind(world.socket()).unwrap());
    assert!(world.socket().exists());
    world.serve().await;
    assert_eq!(world.client().health().await.unwrap().version, "1.2.3");
}

#[tokio::test]
async fn every_route_answers_its_client() {
    let world = World::served().await;
    let client = world.client();
    let id = "0193abcd";
    client.health().await.unwrap();
    assert_eq!(client.hosts().await.unwrap().len(), 1);
    assert_eq!(client.projects().await.unwrap().len(), 1);
    assert_eq!(client.project(id).await.unwrap().tasks.len(), 1);
    assert_eq!(client.journal(id).await.unwrap().len(), 1);
    assert!(client.diff(id, Some("scan")).await.unwrap().text.contains("+hello"));
    assert_eq!(client.approvals(false).await.unwrap().len(), 1);
    assert_eq!(client.approval(&approval_id().to_string()).await.unwrap().digest, DIGEST);
    assert_eq!(client.dead_letters().await.unwrap()[0].sequence, 7);
    assert_eq!(client.rebuild().await.unwrap().journal_entries, 9);
    let request = DecisionRequest {
        verdict: Verdict::Approved,
        digest: DIGEST.to_owned(),
        by: "ada".to_owned(),
        channel: "cli".to_owned(),
        note: String::new(),
        remember: None,
    };
    assert!(client.decide(id, &request).await.unwrap().decision.is_some());
    assert!(matches!(client.decide(id, &request).await, Err(ClientError::Problem(problem)) if problem.status == 409));
    let request = CancelRequest { task: None, by: "ada".to_owned(), channel: "cli".to_owned(), reason: String::new() };
    assert_eq!(client.cancel(id, &request).await.unwrap().state, ProjectState::Canceled);
    assert!(matches!(client.project("ffff").await, Err(ClientError::Problem(problem)) if problem.code == "not_found"));
}

#[tokio::test]
async fn bad_requests_get_problems_that_name_the_place() {
    let world = World::served().await;
    let (status, answer) = raw(&world, "GET /v1/nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!((status, body_of(&answer).code.as_str()), (404, "no_route"));
    let (status, answer) = raw(&world, "DELETE /v1/hosts HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!((status, body_of(&answer).code.as_str()), (405, "no_method"));
    let (status, answer) = raw(&world, &post("/v1/projects", "{\"plan\": {\"file\": 3}}")).await;
    assert_eq!(status, 400);
    let detail = body_of(&answer).detail;
    assert!(detail.contains("plan.file") && detail.contains("line 1 column"), "{detail}");
    let (status, answer) = raw(&world, &post("/v1/projects", "{")).await;
    assert_eq!((status, body_of(&answer).status), (400, 400));
    let get = "GET /v1/projects/0193/events?after=soon HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (status, answer) = raw(&world, get).await;
    assert_eq!(status, 400);
    assert!(body_of(&answer).detail.contains("after"), "{answer}");
    let large = "POST /v1/projects HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n";
    let (status, answer) = raw(&world, large).await;
    assert_eq!((status, body_of(&answer).code.as_str()), (413, "too_large"));
    let plain = "POST /v1/plans/check HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(raw(&world, plain).await.0, 415);
}

#[tokio::test]
async fn a_stream_goes_on_where_the_reader_was() {
    let world = World::served().await;
    world.fake.happen("task.started", ProjectState::Working, "one");
    world.fake.happen("task.started", ProjectState::Working, "two");
    let mut feed = world.client().feed("0193", 1).await.unwrap();
    assert_eq!(feed.next().await.unwrap().unwrap().text, "two");
    world.fake.happen("project.completed", ProjectState::Completed, "three\nlines");
    assert_eq!(feed.next().await.unwrap().unwrap().text, "three\nlines");
    assert!(feed.next().await.is_none(), "a final project has nothing more to say");
    let get = "GET /v1/projects/0193/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\nlast-event-id: 2\r\n\r\n";
    let (status, answer) = raw(&world, get).await;
    assert_eq!(status, 200);
    assert!(answer.contains("id: 3\n") && answer.contains("event: project.completed\n"), "{answer}");
    assert!(!answer.contains("id: 2\n"), "{answer}");
}

#[tokio::test]
async fn shutdown_ends_streams() {
    let mut world = World::served().await;
    let mut feed = world.client().feed("0193", 0).await.unwrap();
    until("the stream is open", || world.fake.readers() == 1).await;
    world.stop().await;
    assert!(timeout(PATIENCE, feed.next()).await.unwrap().is_none_or(|item| item.is_err()));
}

#[tokio::test]
async fn tcp_wants_the_token() {
    let world = World::bare();
    let token = "0123456789abcdef";
    let listeners = Listeners::bind(&world.socket(), Some("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let url = format!("http://{}", listeners.tcp_address().unwrap());
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(serve(listeners, Fake::new(), Some(token), shutdown.clone()));
    let with = |token: Option<&str>| {
        let token = token.map(|token| Secret::new(token.to_owned()));
        Client::new(Endpoint::Http { url: url.clone(), token }).unwrap()
    };
    for wrong in [None, Some("0123456789abcdeF")] {
        let error = with(wrong).health().await.unwrap_err();
        assert!(matches!(error, ClientError::Problem(problem) if problem.status == 401));
    }
    assert_eq!(with(Some(token)).health().await.unwrap().slots, 2);
    assert_eq!(world.client().health().await.unwrap().slots, 2, "the socket needs none");
    shutdown.cancel();
    timeout(PATIENCE, served).await.unwrap().unwrap().unwrap();
}
