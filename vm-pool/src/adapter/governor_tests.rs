//! Governors of two hosts with one key, over a real server.

use bus_schemas::nats::BusOptions;
use uuid::Uuid;

use self::nats::Nats;
use super::*;

#[path = "../driver/tests/nats.rs"]
#[expect(clippy::duplicate_mod, reason = "the same server for two rooms' tests")]
#[expect(dead_code, reason = "the driver's tests need more of it")]
mod nats;

const QUICK: Tuning = Tuning { max_concurrent: 16, hold_ms: 60_000, first_backoff_ms: 1, max_backoff_ms: 5 };

fn project() -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(1))
}

async fn host(nats: &Nats) -> Governors {
    let options = BusOptions { url: nats.url.clone(), name: "test".to_owned(), ..BusOptions::default() };
    Governors::new(Some(Bus::connect(&options).await.unwrap())).tuned(QUICK)
}

fn limited(seconds: u64) -> Answer {
    Answer::Limited(Signals { retry_after_ms: Some(seconds * 1_000), ..Signals::default() })
}

/// Asks until the answer is as wanted: news take their time.
async fn until(governor: &Governor, wanted: impl Fn(&Result<Ticket, UnixMs>) -> bool) -> Result<Ticket, UnixMs> {
    loop {
        let got = governor.admit(project()).await;
        if wanted(&got) {
            return got;
        }
        drop(got);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_one_host_learns_the_other_one_knows() {
    let nats = Nats::start().await;
    let (one, two) = (host(&nats).await, host(&nats).await);
    let (one, two) = (one.govern("lab/1", "k", QUICK, true), two.govern("lab/1", "k", QUICK, true));
    let other_key = host(&nats).await.govern("lab/1", "other", QUICK, true);
    let first = one.admit(project()).await.unwrap();
    drop(two.admit(project()).await.unwrap());
    let resume_at = first.again(limited(600)).await.unwrap_err();
    let heard = until(&two, Result::is_err).await.unwrap_err();
    // The same moment, or one second and a bit later if it was refused later.
    assert!(heard.since(resume_at) < 60_000, "{heard} {resume_at}");
    assert!(other_key.admit(project()).await.is_ok(), "another key is another matter");
    // A host that comes later knows it, too.
    let late = host(&nats).await.govern("lab/1", "k", QUICK, true);
    assert!(until(&late, Result::is_err).await.is_err());
}

#[tokio::test]
async fn without_a_bus_each_host_governs_alone() {
    let nats = Nats::start().await;
    let governors = host(&nats).await;
    drop(nats);
    let governor = governors.govern("lab", "k", QUICK, true);
    let ticket = governor.admit(project()).await.unwrap();
    ticket.again(limited(0)).await.unwrap();
    assert!(ticket.again(limited(600)).await.is_err());
    assert!(governor.admit(project()).await.is_err());
}

#[tokio::test]
async fn a_caller_that_gives_up_frees_its_place() {
    let tuning = Tuning { max_concurrent: 1, ..QUICK };
    let governor = Governors::default().govern("lab", "k", tuning, false);
    let first = governor.admit(project()).await.unwrap();
    {
        let mut waiting = std::pin::pin!(governor.admit(project()));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
    }
    drop(first);
    assert!(governor.admit(project()).await.is_ok());
}
