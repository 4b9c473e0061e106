//! Hello, frozen, refusals, and what a worker makes of nonsense.

use bus_schemas::{
    frame,
    v1::guest::{Assignment, FromGuest, RefusalCode, Rejuvenate, ToGuest},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use vm_pool::{
    adapter::session::{Session, SessionError},
    port::Channels,
};
use worker::driver::serve;

use super::rig::{Folder, Rig, bash, identity, soon, tar_of};

/// Makes an identity unusable.
type Spoil = fn(&mut Rejuvenate);

fn refused(result: Result<impl std::fmt::Debug, SessionError>) -> RefusalCode {
    match result {
        Err(SessionError::Refused { code, .. }) => code,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_frozen_guest_answers_hello_and_ping_and_refuses_the_rest() {
    let rig = Rig::frozen();
    let hello = rig.session.hello(soon()).await.expect("hello");
    assert!(hello.frozen);
    rig.session.ping(soon()).await.expect("pong");
    assert_eq!(refused(rig.push(&tar_of(&[])).await), RefusalCode::Frozen);
    assert_eq!(refused(rig.session.collect(1 << 20, soon()).await), RefusalCode::Frozen);
    rig.session.assign(Assignment::Attempt(bash("true"))).await.expect("sent");
    assert_eq!(refused(rig.session.finished(soon()).await), RefusalCode::Frozen);
    rig.session.rejuvenate(&identity(), soon()).await.expect("rejuvenated");
    assert!(!rig.session.hello(soon()).await.expect("hello").frozen);
}

#[tokio::test]
async fn an_identity_that_is_not_whole_or_not_applied_leaves_the_guest_frozen() {
    let rig = Rig::frozen();
    let spoilers: [(Spoil, RefusalCode); 4] = [
        (|identity| identity.entropy.truncate(8), RefusalCode::BadMessage),
        (|identity| identity.machine_id = "XYZ".into(), RefusalCode::BadMessage),
        (|identity| identity.hostname = "a b".into(), RefusalCode::BadMessage),
        (|identity| identity.hostname = "fails".into(), RefusalCode::GuestError),
    ];
    for (spoil, code) in spoilers {
        let mut spoilt = identity();
        spoil(&mut spoilt);
        assert_eq!(refused(rig.session.rejuvenate(&spoilt, soon()).await), code);
        assert!(rig.session.hello(soon()).await.expect("hello").frozen);
    }
}

#[tokio::test]
async fn work_needs_a_workspace_and_comes_one_at_a_time() {
    let mut rig = Rig::frozen();
    rig.session.hello(soon()).await.expect("hello");
    rig.session.rejuvenate(&identity(), soon()).await.expect("rejuvenated");
    rig.session.assign(Assignment::Attempt(bash("true"))).await.expect("sent");
    assert_eq!(refused(rig.session.finished(soon()).await), RefusalCode::BadMessage);
    rig.push(&tar_of(&[])).await.expect("workspace");
    rig.session.assign(Assignment::Attempt(bash("echo begun; sleep 1000"))).await.expect("sent");
    rig.until_printed("begun").await;
    rig.session.assign(Assignment::Attempt(bash("true"))).await.expect("sent");
    assert_eq!(refused(rig.session.finished(soon()).await), RefusalCode::Busy);
    assert_eq!(refused(rig.session.rejuvenate(&identity(), soon()).await), RefusalCode::Busy);
    assert_eq!(refused(rig.session.collect(1 << 20, soon()).await), RefusalCode::Busy);
    rig.session.stop("enough").await.expect("stop");
    assert_eq!(rig.session.finished(soon()).await.expect("finished").signal, Some(9));
}

#[tokio::test]
async fn stop_ends_everything_the_program_started() {
    let mut rig = Rig::with(&[]).await;
    let script = "sleep 1000 & echo $! > $BATON_RESULT; trap '' TERM; echo begun; wait";
    rig.session.assign(Assignment::Attempt(bash(script))).await.expect("sent");
    rig.until_printed("begun").await;
    rig.session.stop("enough").await.expect("stop");
    let finished = rig.finish().await;
    assert_eq!((finished.exit_code, finished.signal, finished.timed_out), (None, Some(9), false));
    let child = finished.result_text.expect("the child's id");
    let gone = || !std::path::Path::new(&format!("/proc/{}/cwd", child.trim())).exists();
    assert!(gone() || is_zombie(child.trim()), "{child} still runs");
}

fn is_zombie(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

#[tokio::test]
async fn hello_comes_through_although_the_first_bytes_are_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let (control, mut port) = UnixStream::pair().expect("a pair");
    let (data, guest_data) = UnixStream::pair().expect("a pair");
    let session = Session::open(Channels { control, data });
    let machine = Folder::new(folder.path());
    let guest = tokio::spawn(async move {
        // As the port does: what comes before the guest opened it is gone, here all of one hello and part of the next.
        let mut lost = [0; 100];
        port.read_exact(&mut lost).await.expect("the first bytes");
        serve(port, guest_data, machine).await
    });
    assert!(session.hello(soon()).await.expect("hello").frozen);
    drop(session);
    guest.await.expect("joined").expect("a host that hangs up is a normal end");
}

#[tokio::test]
async fn garbage_and_other_versions_are_refused_and_survived() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut control, guest_control) = UnixStream::pair().expect("a pair");
    let (_data, guest_data) = UnixStream::pair().expect("a pair");
    let serving = tokio::spawn(serve(guest_control, guest_data, Folder::new(folder.path())));
    for (garbage, code) in [
        (frame::encode(b"not json").expect("frame"), RefusalCode::BadMessage),
        (frame::encode(br#"{"kind":"dance"}"#).expect("frame"), RefusalCode::BadMessage),
        (vec![0xff; 64], RefusalCode::BadMessage),
        (encode(&ToGuest::Hello { nonce: "n".into(), version: 99 }), RefusalCode::Version),
    ] {
        control.write_all(&garbage).await.expect("written");
        match answer(&mut control).await {
            FromGuest::Refused { code: got, .. } => assert_eq!(got, code),
            other => panic!("{other:?}"),
        }
    }
    control.write_all(&encode(&ToGuest::Ping { sequence: 7 })).await.expect("written");
    assert_eq!(answer(&mut control).await, FromGuest::Pong { sequence: 7 });
    drop(control);
    serving.await.expect("joined").expect("a normal end");
}

fn encode(message: &ToGuest) -> Vec<u8> {
    frame::encode(&serde_json::to_vec(message).expect("json")).expect("frame")
}

async fn answer(control: &mut UnixStream) -> FromGuest {
    let length = control.read_u32().await.expect("length");
    let mut body = vec![0; length as usize];
    control.read_exact(&mut body).await.expect("body");
    serde_json::from_slice(&body).expect("json")
}
