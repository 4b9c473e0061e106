//! Guests that do not take, or do not answer, what an agent needs.

use std::time::Duration;

use bus_schemas::{
    frame,
    v1::{
        call::GuestAnswer,
        guest::{DataHeader, FromGuest, RefusalCode, StreamAnswer},
        handoff::Usage,
        task::{FailureReason, Note},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::{
    SessionError, Worked,
    tests::{mux, pair, say, soon},
};

fn framed(answer: &StreamAnswer) -> Vec<u8> {
    frame::encode(&serde_json::to_vec(answer).unwrap()).unwrap()
}

/// Sends `bytes` of transcript to a guest that reads some of it and answers with `answer`.
async fn sent(bytes: u64, reads: usize, answer: Vec<u8>, by: Instant) -> Result<(), SessionError> {
    let (session, guest) = pair();
    let (mut arrived, _opens) = mux(guest.data);
    let _control = guest.control;
    tokio::spawn(async move {
        let mut stream = arrived.recv().await.unwrap();
        let mut taken = vec![0; reads];
        stream.read_exact(&mut taken).await.unwrap();
        if !answer.is_empty() {
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
            // What is still on its way.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    });
    session.send(&DataHeader::Transcript, tokio::io::repeat(b'x').take(bytes), by).await
}

#[tokio::test]
async fn a_guest_takes_what_it_is_sent_or_says_why_not() {
    sent(1 << 20, 10, framed(&StreamAnswer::Done), soon()).await.unwrap();
    let refusal = framed(&StreamAnswer::Failed { detail: format!("\u{1b}{}", "é".repeat(10_000)) });
    match sent(100 << 20, 10, refusal, soon()).await.unwrap_err() {
        SessionError::Refused { code: RefusalCode::GuestError, detail } => {
            assert!(detail.len() <= 1024 && detail.starts_with(' '), "{detail}");
        }
        other => panic!("{other}"),
    }
    for nonsense in [frame::encode(b"{}").unwrap(), vec![0xff; 8], vec![0, 0, 1]] {
        let error = sent(10, 10, nonsense, soon()).await.unwrap_err();
        assert!(matches!(error, SessionError::Protocol { .. }), "{error}");
    }
    let late = Instant::now() + Duration::from_millis(150);
    let error = sent(u64::MAX, 10, Vec::new(), late).await.unwrap_err();
    assert!(!matches!(error, SessionError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_giving_up_must_have_a_reason_that_is_the_guests_own() {
    for (reason, fits) in [(FailureReason::ModelFailed, true), (FailureReason::HostStopped, false)] {
        let (session, mut guest) = pair();
        let detail = "d\n".repeat(1_000);
        say(&mut guest.control, &FromGuest::GaveUp { reason, detail, usage: Usage::default() }).await;
        match session.worked(soon()).await {
            Ok(Worked::GaveUp { detail, .. }) => assert!(fits && detail.len() <= 1024 && !detail.contains('\n')),
            other => assert!(!fits && matches!(other, Err(SessionError::Protocol { .. })), "{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_larger_than_a_frame_is_not_sent() {
    let (session, _guest) = pair();
    let text = "x".repeat(frame::MAX_FRAME_BYTES);
    let note = Note { from: "p".into(), text: text.clone(), id: "n".into() };
    assert!(matches!(session.tell(&note).await, Err(SessionError::Input { .. })));
    let answer = GuestAnswer::Refused { detail: text };
    assert!(matches!(session.answer(1, answer).await, Err(SessionError::Input { .. })));
}
