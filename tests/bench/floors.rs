//! What the ground gives: one fdatasync, one SQLite commit, one publish that the bus has stored. The orchestrator's
//! figures stand beside these.

use std::{
    io::{Seek as _, Write as _},
    time::Instant,
};

use anyhow::Result;
use harness::nats::NatsServer;

use crate::report::Report;

const SAMPLES: usize = 300;

/// Measures the three floors.
pub async fn floors(report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut file = std::fs::File::create(folder.path().join("file"))?;
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let start = Instant::now();
        file.rewind()?;
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        samples.push(start.elapsed());
    }
    report.spread("floor: one 4 KiB write + fdatasync", &mut samples, None, None);

    let database = rusqlite::Connection::open(folder.path().join("floor.db"))?;
    database.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);",
    )?;
    samples.clear();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        database.execute("INSERT INTO t(b) VALUES (?1)", ["x".repeat(300)])?;
        samples.push(start.elapsed());
    }
    report.spread("floor: one SQLite commit (WAL, FULL)", &mut samples, None, None);

    let server = NatsServer::start().await;
    let bus = server.bus().await;
    samples.clear();
    for n in 0..SAMPLES {
        let subject = format!("baton.v1.feed.floor.{n}");
        let start = Instant::now();
        bus.jetstream().publish(subject, vec![7; 1_024].into()).await?.await?;
        samples.push(start.elapsed());
    }
    report.spread("floor: one publish + ack (sync_interval: always)", &mut samples, None, None);
    Ok(())
}
