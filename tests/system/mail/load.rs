//! Much at once, large, and broken.

use harness::mail::{ANN, BATON, EVE, Envelope};
use serde_json::Value;

use super::{
    rig::{Office, planner},
    written::Written,
};

fn in_state(log: &[Value], state: &str) -> usize {
    log.iter().filter(|letter| letter["state"] == state).count()
}

#[tokio::test]
async fn a_thousand_mails_at_once_are_all_judged_and_the_ten_that_count_are_done() {
    let office = Office::setup().played(planner().0).open().await;
    // Four connections at a time, as a server that was away for a while.
    let strangers = |from: usize| {
        let envelope = Envelope::new(EVE, BATON).by("mx.elsewhere.test", "127.0.0.6");
        let mut sender = office.mail.sender(&envelope);
        for number in (from..990).step_by(3) {
            let mut written = Written::new(EVE, BATON, &format!("Offer {number}"), "Buy this.\n");
            if number % 2 == 0 {
                written = written.header("List-Id", "<offers.elsewhere.test>").header("Precedence", "bulk");
            }
            let raw = office.signer("elsewhere.test").sign(&written.raw());
            assert_eq!(sender.send(&envelope, &raw).code, 250);
        }
    };
    std::thread::scope(|scope| {
        for from in 0..3 {
            scope.spawn(move || strangers(from));
        }
        scope.spawn(|| {
            for number in 0..10 {
                office.sends(&Written::new(ANN, BATON, &format!("Order {number}"), &format!("Do number {number}.\n")));
            }
        });
    });
    let log = office.judged(1_000).await;
    assert_eq!(log.len(), 1_000);
    let done = log.iter().filter(|letter| letter["trusted"] == true && letter["state"] == "done").count();
    assert_eq!((done, office.projects().await), (10, 10));
    assert_eq!(in_state(&log, "quarantined"), 495, "those who pass for people are put aside, lists are only noise");
    assert_eq!(office.mail.mails(EVE), []);
    let mut goals: Vec<String> =
        office.client().projects().await.expect("projects").into_iter().map(|p| p.title).collect();
    goals.sort();
    goals.dedup();
    assert_eq!(goals.len(), 10);
}

#[tokio::test]
async fn who_writes_too_much_is_put_aside_and_others_go_on() {
    let office = Office::setup().played(planner().0).keys("per_sender = 3\n").open().await;
    for number in 0..6 {
        office.sends(&Written::new(ANN, BATON, &format!("Order {number}"), "Do something.\n"));
    }
    let log = office.judged(6).await;
    assert_eq!((in_state(&log, "done"), in_state(&log, "quarantined"), office.projects().await), (3, 3, 3));
    let bob = Written::new("bob@team.test", BATON, "Mine", "Do mine.\n");
    office.sends(&bob);
    assert_eq!(office.outcome(&bob).await["state"], "done");
    assert_eq!(office.projects().await, 4);
}

#[tokio::test]
async fn an_attachment_of_25_megabytes_becomes_an_input_to_the_byte() {
    let office = Office::open().await;
    // No two pieces are alike, so that nothing shrinks.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(25_000_000 / 8)
    .flatten()
    .collect();
    office.sends(&Written::new(ANN, BATON, "Big", "Look at it.\n").file("big.bin", "application/octet-stream", &bytes));
    let project = office.only_project().await;
    let kept = office.base_file(&project, "inputs/big.bin").expect("the input");
    assert!(kept == bytes, "{} bytes of {}", kept.len(), bytes.len());
}

#[tokio::test]
async fn what_is_too_large_is_not_read_and_says_so() {
    let office = Office::setup().played(planner().0).keys("max_mail_mib = 1\n").open().await;
    let large =
        Written::new(ANN, BATON, "Too big", "Look at it.\n").file("a.bin", "application/octet-stream", &[7; 2_000_000]);
    office.sends(&large);
    let letter = office.outcome(&large).await;
    assert!(letter["outcome"].as_str().is_some_and(|text| text.contains("large") || text.contains("MiB")), "{letter}");
    assert_eq!(office.projects().await, 0);
    office.sends(&Written::new(ANN, BATON, "Small", "Look at this.\n"));
    assert!(office.only_project().await.goal.contains("Look at this"));
}

/// Mails that no program should write.
fn broken() -> Vec<Vec<u8>> {
    let head = "From: ann@team.test\r\nTo: baton@orch.test\r\nSubject: broken\r\n";
    let mime = |rest: &str| format!("{head}MIME-Version: 1.0\r\n{rest}").into_bytes();
    let mut nested = format!("{head}MIME-Version: 1.0\r\n");
    for level in 0..300 {
        nested.push_str(&format!("Content-Type: multipart/mixed; boundary=\"b{level}\"\r\n\r\n--b{level}\r\n"));
    }
    let parts = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(5_000);
    let mut mails = vec![
        b"\r\n".to_vec(),
        b"no header at all\r\n".to_vec(),
        head.as_bytes().to_vec(),
        format!("{head}\r\n").into_bytes(),
        format!(": empty name\r\n{head}: :\r\n \r\n\r\ntext\r\n").into_bytes(),
        format!("{head}{}\r\n\r\ntext\r\n", "References: <a@b> ".repeat(20_000)).into_bytes(),
        format!("{head}X: {}\r\n\r\ntext\r\n", "y".repeat(90_000)).into_bytes(),
        mime(
            "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nnever closed",
        ),
        mime("Content-Type: multipart/mixed\r\n\r\nno boundary\r\n"),
        mime("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n--\r\n----\r\n"),
        mime(&format!("Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n{parts}--b--\r\n")),
        mime(
            "Content-Type: text/plain; charset=utf-7\r\nContent-Transfer-Encoding: base64\r\n\r\n=====%%%%not base64\r\n",
        ),
        mime("Content-Type: text/plain; charset=\"no-such-charset\"\r\n\r\n\u{fffd}\r\n"),
        mime("Content-Type: text/html\r\n\r\n<html><body><div><div><div><blockquote><p>approve"),
        mime(
            "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n",
        ),
        mime(
            "Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\neJ8+IgAA\r\n",
        ),
        mime(
            "Content-Disposition: attachment; filename*=utf-8''%2e%2e%2f%2e%2e%2fetc%2fpasswd\r\nContent-Type: text/plain\r\n\r\nx\r\n",
        ),
        [mime("Content-Type: text/plain\r\n\r\n"), vec![0x00, 0xFF, 0xFE, 0x80, b'\r', b'\n']].concat(),
        nested.into_bytes(),
    ];
    // And good ones with a few bytes changed, always the same.
    let good = Written::new(ANN, BATON, "=?utf-8?B?SGVsbG8=?=", "Hello.\n")
        .file("a.zip", "application/zip", b"PK\x03\x04 nothing")
        .raw();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..100 {
        let mut mail = good.clone();
        for _ in 0..8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = usize::try_from(state % mail.len() as u64).unwrap_or_default();
            mail[at] = state.to_le_bytes()[7];
        }
        mails.push(mail);
    }
    mails
}

#[tokio::test]
async fn broken_mails_are_judged_and_harm_nobody() {
    let office = Office::setup().played(planner().0).keys("per_sender = 1000\n").open().await;
    let mut sent = std::collections::BTreeSet::new();
    for (number, mail) in broken().into_iter().enumerate() {
        // Half of them with a good signature, so that they get to where mails are read.
        let raw = if number % 2 == 0 { office.signer("team.test").sign(&mail) } else { mail };
        let envelope = Envelope::new(ANN, BATON).by("mx.team.test", "127.0.0.5");
        if office.mail.send(&envelope, &raw).code == 250 {
            sent.insert(number);
        }
    }
    assert!(sent.len() > 100, "the mail server took {} of them", sent.len());
    let log = office.judged(sent.len()).await;
    assert!(
        log.iter().all(|letter| !letter["outcome"].as_str().unwrap_or_default().is_empty()),
        "every one has a reason"
    );
    let fine = Written::new("bob@team.test", BATON, "Still there", "Are you still there?\n");
    office.sends(&fine);
    assert_eq!(office.outcome(&fine).await["state"], "done");
    assert!(office.only_of("Still there").await.goal.contains("Are you still there?"));
}
