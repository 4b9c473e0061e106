//! A session against guests that do not keep to the protocol.

use std::{future::poll_fn, io, task::Poll, time::Duration};

use bus_schemas::{
    frame,
    v1::{
        guest::{Assignment, CHANNEL_VERSION, DataHeader, Finished, FromGuest, RefusalCode, Rejuvenate, ToGuest},
        task::LogSource,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::mpsc,
    time::Instant,
};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

use super::{Session, SessionError};
use crate::port::Channels;

pub(super) type Stream = Compat<yamux::Stream>;

/// Reached only by failure.
pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Reached on purpose.
fn at_once() -> Instant {
    Instant::now() + Duration::from_millis(150)
}

/// The guest's ends, to be used as a test likes.
pub(super) struct Guest {
    pub(super) control: UnixStream,
    pub(super) data: UnixStream,
}

pub(super) fn pair() -> (Session, Guest) {
    let (control, guest_control) = UnixStream::pair().unwrap();
    let (data, guest_data) = UnixStream::pair().unwrap();
    (Session::open(Channels { control, data }), Guest { control: guest_control, data: guest_data })
}

pub(super) async fn say(control: &mut UnixStream, message: &FromGuest) {
    let frame = frame::encode(&serde_json::to_vec(message).unwrap()).unwrap();
    control.write_all(&frame).await.unwrap();
}

async fn hear(control: &mut UnixStream) -> ToGuest {
    let length = control.read_u32().await.unwrap();
    let mut body = vec![0; length as usize];
    control.read_exact(&mut body).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// The data port as a guest's yamux: streams that the host opens, and a way to open some.
pub(super) fn mux(data: UnixStream) -> (mpsc::Receiver<Stream>, mpsc::Sender<mpsc::Sender<Stream>>) {
    let mut connection = yamux::Connection::new(data.compat(), yamux::Config::default(), yamux::Mode::Server);
    let (inbound, arrived) = mpsc::channel(64);
    let (opens, mut asked) = mpsc::channel::<mpsc::Sender<Stream>>(64);
    tokio::spawn(async move {
        loop {
            let next = poll_fn(|cx| {
                while let Poll::Ready(Some(reply)) = asked.poll_recv(cx) {
                    if let Poll::Ready(Ok(stream)) = connection.poll_new_outbound(cx) {
                        let _ = reply.try_send(stream.compat());
                    }
                }
                connection.poll_next_inbound(cx)
            });
            let Some(Ok(stream)) = next.await else { return };
            let _ = inbound.send(stream.compat()).await;
        }
    });
    (arrived, opens)
}

async fn open(opens: &mpsc::Sender<mpsc::Sender<Stream>>, header: &[u8]) -> Stream {
    let (reply, mut opened) = mpsc::channel(1);
    opens.send(reply).await.unwrap();
    let mut stream = opened.recv().await.unwrap();
    let _ = stream.write_all(header).await;
    stream
}

fn header(header: &DataHeader) -> Vec<u8> {
    frame::encode(&serde_json::to_vec(header).unwrap()).unwrap()
}

fn checks(count: usize, output_bytes: u64) -> Assignment {
    let check = bus_schemas::v1::task::CheckSpec { name: "c".into(), run: "true".into(), timeout_ms: 1 };
    Assignment::Checks { checks: vec![check; count], env: std::collections::BTreeMap::new(), output_bytes }
}

fn identity() -> Rejuvenate {
    Rejuvenate {
        entropy: String::new(),
        wall_ns: 1_700_000_000_000_000_000,
        hostname: "h".into(),
        machine_id: "0".repeat(32),
        lease_token: "token".into(),
    }
}

fn is_protocol(error: &SessionError) -> bool {
    matches!(error, SessionError::Protocol { .. })
}

fn is_lost(error: &SessionError) -> bool {
    matches!(error, SessionError::Lost { .. })
}

fn is_late(error: &SessionError) -> bool {
    matches!(error, SessionError::TimedOut { .. })
}

#[tokio::test]
async fn a_silent_guest_costs_no_more_than_each_deadline() {
    let (session, _guest) = pair();
    assert!(is_late(&session.hello(at_once()).await.unwrap_err()));
    assert!(is_late(&session.ping(at_once()).await.unwrap_err()));
    assert!(is_late(&session.rejuvenate(&identity(), at_once()).await.unwrap_err()));
    assert!(is_late(&session.finished(at_once()).await.unwrap_err()));
    assert!(is_late(&session.checks_finished(1, at_once()).await.unwrap_err()));
    assert!(is_late(&session.collect(1000, at_once()).await.unwrap_err()));
    // More than sockets and windows hold.
    let tar = tokio::io::repeat(7);
    assert!(is_late(&session.push_workspace(tar, at_once()).await.unwrap_err()));
}

#[tokio::test]
async fn a_guest_that_reads_nothing_does_not_make_the_queue_grow() {
    let (session, _guest) = pair();
    let large = Rejuvenate { hostname: "h".repeat(1 << 20), ..identity() };
    for _ in 0..40 {
        let deadline = Instant::now() + Duration::from_millis(5);
        assert!(is_late(&session.rejuvenate(&large, deadline).await.unwrap_err()));
    }
    let too_large = Rejuvenate { hostname: "h".repeat(frame::MAX_FRAME_BYTES), ..identity() };
    let error = session.rejuvenate(&too_large, soon()).await.unwrap_err();
    assert!(matches!(error, SessionError::Input { .. }), "{error}");
}

#[tokio::test]
async fn a_guest_that_hangs_up_is_lost_whatever_was_asked() {
    let (session, guest) = pair();
    drop(guest);
    assert!(is_lost(&session.hello(soon()).await.unwrap_err()));
    assert!(is_lost(&session.finished(soon()).await.unwrap_err()));
    assert!(is_lost(&session.collect(1000, soon()).await.unwrap_err()));
    assert!(is_lost(&session.push_workspace(tokio::io::empty(), soon()).await.unwrap_err()));
    assert!(is_lost(&session.ended().await));

    // Mid-way, with half a frame.
    let (session, mut guest) = pair();
    guest.control.write_all(&[0, 0, 1, 0, b'{']).await.unwrap();
    let waiting = session.finished(soon());
    drop(guest);
    assert!(is_lost(&waiting.await.unwrap_err()));
}

#[tokio::test]
async fn what_was_said_before_hanging_up_counts() {
    let (session, mut guest) = pair();
    say(&mut guest.control, &FromGuest::Finished(Finished { exit_code: Some(3), ..Finished::default() })).await;
    drop(guest);
    session.ended().await;
    assert_eq!(session.finished(soon()).await.unwrap().exit_code, Some(3));
}

#[tokio::test]
async fn frames_that_are_too_long_or_no_messages_end_the_session() {
    let no_json = frame::encode(b"{").unwrap();
    let no_message = frame::encode(br#"{"kind":"explode"}"#).unwrap();
    let empty = frame::encode(b"").unwrap();
    for bytes in [vec![0xff, 0xff, 0xff, 0xff], no_json, no_message, empty] {
        let (session, mut guest) = pair();
        guest.control.write_all(&bytes).await.unwrap();
        assert!(is_protocol(&session.hello(soon()).await.unwrap_err()));
        assert!(is_protocol(&session.ping(soon()).await.unwrap_err()), "for good");
    }
}

#[tokio::test]
async fn answers_to_other_questions_end_the_session() {
    let ready = FromGuest::WorkspaceReady { entries: 1, bytes: 1 };
    let others = FromGuest::Rejuvenated { lease_token: "another".into(), wall_ns: identity().wall_ns };
    let slow = FromGuest::Rejuvenated { lease_token: "token".into(), wall_ns: 1 };
    let fast = FromGuest::Rejuvenated { lease_token: "token".into(), wall_ns: i64::MAX };
    for answer in [ready, others, slow, fast] {
        let (session, mut guest) = pair();
        say(&mut guest.control, &answer).await;
        assert!(is_protocol(&session.rejuvenate(&identity(), soon()).await.unwrap_err()), "{answer:?}");
    }
    let (session, mut guest) = pair();
    say(&mut guest.control, &FromGuest::ChecksFinished { results: Vec::new() }).await;
    assert!(is_protocol(&session.checks_finished(2, soon()).await.unwrap_err()));
}

#[tokio::test]
async fn a_flood_of_answers_ends_the_session() {
    let (session, mut guest) = pair();
    let flood = async {
        loop {
            let frame = frame::encode(br#"{"kind":"workspace_ready","entries":1,"bytes":1}"#).unwrap();
            if guest.control.write_all(&frame).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = flood => {}
        error = session.ended() => assert!(is_protocol(&error)),
    }
    assert!(is_protocol(&session.ended().await));
}

#[tokio::test]
async fn hello_needs_its_own_nonce_and_the_same_version() {
    let (session, mut guest) = pair();
    let hello = |nonce: &str, version| FromGuest::Hello {
        nonce: nonce.into(),
        version,
        worker: "w\u{1b}[2J".into(),
        frozen: true,
    };
    say(&mut guest.control, &hello("of an earlier lease", CHANNEL_VERSION)).await;
    assert!(is_late(&session.hello(at_once()).await.unwrap_err()));
    let answering = async {
        loop {
            if let ToGuest::Hello { nonce, .. } = hear(&mut guest.control).await {
                say(&mut guest.control, &hello(&nonce, CHANNEL_VERSION + 1)).await;
            }
        }
    };
    tokio::select! {
        () = answering => {}
        answer = session.hello(soon()) => {
            assert!(matches!(answer, Err(SessionError::Refused { code: RefusalCode::Version, .. })), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_is_passed_on_bounded_and_harmless() {
    let (session, mut guest) = pair();
    let detail = format!("\u{1b}[2J{}", "é".repeat(100_000));
    say(&mut guest.control, &FromGuest::Refused { code: RefusalCode::DiskFull, detail }).await;
    match session.finished(soon()).await.unwrap_err() {
        SessionError::Refused { code: RefusalCode::DiskFull, detail } => {
            assert!(detail.len() <= 1024 && detail.starts_with(" [2J"), "{detail}");
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn streams_nobody_asked_for_end_the_session() {
    let output = header(&DataHeader::Output { source: LogSource::Check });
    let (session, guest) = pair();
    let (_arrived, opens) = mux(guest.data);
    let _stream = open(&opens, &output).await;
    assert!(is_protocol(&session.ended().await), "before any assignment");

    let (session, guest) = pair();
    let (_arrived, opens) = mux(guest.data);
    session.assign(checks(1, 1000)).await.unwrap();
    let _first = open(&opens, &output).await;
    let _second = open(&opens, &output).await;
    assert!(is_protocol(&session.ended().await), "one more than there are");
}

#[tokio::test]
async fn streams_of_the_wrong_kind_end_the_session() {
    let long = [&u32::MAX.to_be_bytes()[..], b"{}"].concat();
    let host = header(&DataHeader::Output { source: LogSource::Host });
    for bytes in [header(&DataHeader::Workspace), host, frame::encode(b"[]").unwrap(), long] {
        let (session, guest) = pair();
        let (_arrived, opens) = mux(guest.data);
        session.assign(checks(1, 1000)).await.unwrap();
        let _stream = open(&opens, &bytes).await;
        assert!(is_protocol(&session.ended().await));
    }
}

#[tokio::test]
async fn more_output_than_allowed_ends_the_session() {
    let (mut session, guest) = pair();
    let mut output = session.take_output().unwrap();
    let (_arrived, opens) = mux(guest.data);
    session.assign(checks(1, 100_000)).await.unwrap();
    let mut stream = open(&opens, &header(&DataHeader::Output { source: LogSource::Check })).await;
    tokio::spawn(async move { while stream.write_all(&[b'x'; 10_000]).await.is_ok() {} });
    let mut got = 0;
    let error = loop {
        tokio::select! {
            Some(piece) = output.recv() => got += piece.bytes.len(),
            error = session.ended() => break error,
        }
    };
    assert!(is_protocol(&error), "{error}");
    assert!(got <= 100_000 + 64 * 1024, "{got}");
}

#[tokio::test]
async fn output_that_nobody_reads_stops_the_guest_and_not_the_host() {
    let (session, mut guest) = pair();
    let (_arrived, opens) = mux(guest.data);
    session.assign(checks(1, u64::MAX / 2)).await.unwrap();
    let mut stream = open(&opens, &header(&DataHeader::Output { source: LogSource::Check })).await;
    let mut sent = 0_usize;
    let piece = vec![b'x'; 64 * 1024];
    // A writer that waits long enough is one that is held up.
    while tokio::time::timeout(Duration::from_millis(300), stream.write_all(&piece)).await.is_ok() {
        sent += piece.len();
        assert!(sent < 64 << 20, "the host holds {sent} bytes");
    }
    hear(&mut guest.control).await;
    let pong = async {
        if let ToGuest::Ping { sequence } = hear(&mut guest.control).await {
            say(&mut guest.control, &FromGuest::Pong { sequence }).await;
        }
    };
    let (ping, ()) = tokio::join!(session.ping(soon()), pong);
    ping.unwrap();
}

#[tokio::test]
async fn nonsense_on_the_data_port_ends_the_session() {
    let (session, mut guest) = pair();
    guest.data.write_all(&[0x55; 4096]).await.unwrap();
    assert!(is_lost(&session.ended().await));
    assert!(is_lost(&session.collect(1000, soon()).await.unwrap_err()));
}

/// Asks for changes and answers with what `answer` writes.
async fn collected(
    limit: u64,
    deadline: Instant,
    answer: &[u8],
    end: bool,
) -> Result<io::Result<Vec<u8>>, SessionError> {
    let (session, guest) = pair();
    let (mut arrived, _opens) = mux(guest.data);
    let answer = answer.to_vec();
    tokio::spawn(async move {
        let mut stream = arrived.recv().await.unwrap();
        let _ = stream.write_all(&answer).await;
        if end {
            let _ = stream.shutdown().await;
        } else {
            std::future::pending::<()>().await;
        }
    });
    let mut changes = session.collect(limit, deadline).await?;
    let mut bytes = Vec::new();
    Ok(changes.read_to_end(&mut bytes).await.map(|_| bytes))
}

#[tokio::test]
async fn changes_are_whole_and_within_their_limit_or_an_error() {
    let mut whole = vec![b'.'; 2048];
    whole.extend([0; 1024]);
    assert_eq!(collected(3072, soon(), &whole, true).await.unwrap().unwrap(), whole);
    let kind = |result: Result<io::Result<Vec<u8>>, _>| result.unwrap().unwrap_err().kind();
    assert_eq!(kind(collected(3071, soon(), &whole, true).await), io::ErrorKind::FileTooLarge);
    assert_eq!(kind(collected(3072, soon(), &whole[..3071], true).await), io::ErrorKind::UnexpectedEof);
    assert_eq!(kind(collected(1 << 20, at_once(), &whole, false).await), io::ErrorKind::TimedOut);
    let endless = vec![b'x'; 4 << 20];
    assert_eq!(kind(collected(1 << 20, soon(), &endless, false).await), io::ErrorKind::FileTooLarge);
}

#[tokio::test]
async fn what_is_neither_a_tar_nor_a_refusal_ends_the_session() {
    let refusal = FromGuest::Refused { code: RefusalCode::ChangesTooLarge, detail: "big".into() };
    let refusal = frame::encode(&serde_json::to_vec(&refusal).unwrap()).unwrap();
    let error = collected(1000, soon(), &refusal, true).await.unwrap_err();
    assert!(matches!(error, SessionError::Refused { code: RefusalCode::ChangesTooLarge, .. }), "{error}");
    let pong = frame::encode(br#"{"kind":"pong","sequence":1}"#).unwrap();
    for nonsense in [pong.as_slice(), &[0, 0, 0, 0], &[0, 0, 1, 0, b'{']] {
        assert!(is_protocol(&collected(1000, soon(), nonsense, true).await.unwrap_err()));
    }
    assert!(is_protocol(&collected(1000, soon(), &[], true).await.unwrap_err()), "ended at once");
    assert!(is_late(&collected(1000, at_once(), &[0, 0], false).await.unwrap_err()));
}

#[tokio::test]
async fn a_workspace_that_cannot_be_read_is_the_hosts_own_fault() {
    let (session, guest) = pair();
    let (_arrived, _opens) = mux(guest.data);
    let broken = tokio_util::io::StreamReader::new(futures::stream::once(std::future::ready(Err::<bytes::Bytes, _>(
        io::Error::other("the disk"),
    ))));
    let error = session.push_workspace(broken, soon()).await.unwrap_err();
    assert!(matches!(error, SessionError::Input { .. }), "{error}");
}
